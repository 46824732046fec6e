//! The servers, each on threads of its own, at a port of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::thread;

use gaffer::Manager;
use gaffer::process::JobConfig;
use gaffer::server::{Config, HttpServer, LocalAddr, api};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

/// What `GET /jobs/default/x` answers is given, so that all answer alike.
pub struct Server {
    pub name: &'static str,
    pub start: fn(Vec<u8>) -> SocketAddr,
}

/// The first is compared with the others.
pub const ALL: &[Server] = &[
    Server { name: "gaffer", start: |_| gaffer() },
    Server { name: "hyper", start: hyper },
    Server { name: "tiny_http", start: tiny_http },
];

const PING: &[u8] = b"OK";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";

/// The job as gaffer shows it.
pub fn job() -> Vec<u8> {
    let mut manager = Manager::new().expect("a manager");
    load(&mut manager);
    let job = manager.view("default", "x").expect("it is loaded");
    api::shapes::job_text(job, None, &manager.logs_of(job.name()))
}

fn load(manager: &mut Manager) {
    let config = JobConfig::new("x", "sleep 1000").expect("valid").arg("--flag").redirect_output(["out", "err"]);
    manager.load(config, false).expect("it is loaded");
}

fn gaffer() -> SocketAddr {
    let config = Config::default().endpoint("127.0.0.1:0".parse().expect("valid"));
    let mut server = HttpServer::bind(config).expect("a port");
    server.routes(api::ROUTES).expect("valid routes");
    let LocalAddr::Tcp(address) = server.local_addrs()[0] else { panic!("TCP was asked for") };
    thread::spawn(move || {
        let mut manager = Manager::new().expect("a manager");
        load(&mut manager);
        manager.add_app(server);
        manager.run().expect("a sane poller");
    });
    address
}

fn hyper(job: Vec<u8>) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("bound");
    let job = Bytes::from(job);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let local = tokio::task::LocalSet::new();
        runtime.block_on(local.run_until(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                stream.set_nodelay(true).expect("a socket");
                let job = job.clone();
                let service = service_fn(move |request| answer(request, job.clone()));
                tokio::task::spawn_local(async move {
                    let mut http = http1::Builder::new();
                    http.timer(TokioTimer::new());
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        }));
    });
    address
}

async fn answer(request: Request<Incoming>, job: Bytes) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, media_type, body) = match request.uri().path() {
        "/ping" => (StatusCode::OK, TEXT, Bytes::from_static(PING)),
        "/jobs/default/x" => (StatusCode::OK, JSON, job),
        _ => (StatusCode::NOT_FOUND, TEXT, Bytes::new()),
    };
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, media_type);
    Ok(response.body(Full::new(body)).expect("a valid answer"))
}

fn tiny_http(job: Vec<u8>) -> SocketAddr {
    let server = tiny_http::Server::http("127.0.0.1:0").expect("a port");
    let address = server.server_addr().to_ip().expect("TCP was asked for");
    thread::spawn(move || {
        let [text, json] =
            [TEXT, JSON].map(|kind| tiny_http::Header::from_bytes("Content-Type", kind).expect("a valid field"));
        for request in server.incoming_requests() {
            let (status, media_type, body) = match request.url() {
                "/ping" => (200, &text, PING),
                "/jobs/default/x" => (200, &json, &job[..]),
                _ => (404, &text, &b""[..]),
            };
            let response =
                tiny_http::Response::from_data(body).with_header(media_type.clone()).with_status_code(status);
            let _ = request.respond(response);
        }
    });
    address
}
