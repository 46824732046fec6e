//! The routes behind a real server, over TCP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use super::ROUTES;
use crate::Manager;
use crate::manager::Handle;
use crate::process::{JobConfig, Pid};
use crate::proto::ws::{Connection, Event, Limits, Masks, client::Handshake};
use crate::server::{Config, HttpServer, LocalAddr};

struct Live {
    address: SocketAddr,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    fn new() -> Self {
        let config = Config::default().endpoint("127.0.0.1:0".parse().expect("an address"));
        let mut server = HttpServer::bind(config).expect("a free port");
        server.routes(ROUTES).expect("the routes are right");
        let LocalAddr::Tcp(address) = server.local_addrs()[0].clone() else { panic!("it is TCP") };
        let mut manager = Manager::new().expect("a manager");
        manager.add_app(server);
        let handle = manager.handle();
        let thread = std::thread::spawn(move || manager.run().expect("a sane poller"));
        Self { address, handle, thread: Some(thread) }
    }

    fn load(&self, config: JobConfig) {
        self.handle.call(|m| m.load(config, true)).expect("it runs").expect("it loads");
    }

    fn send(&self, head: &str, body: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
        let length = body.len();
        let text = format!(
            "{head} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(text.as_bytes()).expect("it reads");
        BufReader::new(stream)
    }

    /// Status and content of an answer that closes.
    fn ask(&self, head: &str, body: &str) -> (u16, String) {
        let mut text = String::new();
        self.send(head, body).read_to_string(&mut text).expect("an answer");
        let status = text.split(' ').nth(1).expect("a status").parse().expect("a number");
        (status, text.split_once("\r\n\r\n").expect("a head").1.to_owned())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.handle.call(|m| m.stop_now());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line in time");
    line.trim_end().to_owned()
}

#[test]
fn answers() {
    let live = Live::new();
    let job = r#"{"name": "web", "cmd": "sleep 1000"}"#;
    assert_eq!(live.ask("POST /jobs/default", job), (200, r#"{"ok":true}"#.to_owned()));
    assert_eq!(live.ask("GET /jobs/", "").0, 200);
    assert_eq!(live.ask("HEAD /jobs/default/web", ""), (200, String::new()));
    assert_eq!(live.ask("GET /jobs/default/web/state", ""), (200, "1".to_owned()));
    assert_eq!(live.ask("DELETE /ping", "").0, 405);
    let (status, error) = live.ask("GET /nope", "");
    assert!(status == 404 && error.contains(r#""errno":404"#), "{error}");
    let (status, metrics) = live.ask("GET /metrics", "");
    assert!(status == 200 && metrics.contains("gaffer_job_spawns_total{job=\"default.web\"} 1\n"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"));
    // Beyond the server's limit for bodies, within that of the route.
    live.load(JobConfig::new("cat", "cat").expect("a name").redirect_input(true));
    assert_eq!(live.ask("POST /streams/2/stdin", &"x".repeat(2 << 20)).0, 200);
    assert_eq!(live.ask("POST /jobs/default", &"x".repeat(2 << 20)).0, 413);
}

#[test]
fn feeds() {
    let live = Live::new();
    let mut watch = live.send("GET /watch/proc/web/spawn?feed=eventsource", "");
    while !line(&mut watch).is_empty() {}
    let cat = JobConfig::new("web", "cat").expect("a name").redirect_input(true).redirect_output(["out"]);
    live.load(cat);
    let event = std::iter::repeat_with(|| line(&mut watch)).find(|line| line.starts_with("data: ")).expect("an event");
    assert!(event.contains(r#""event":"spawn""#) && event.contains(r#""name":"default.web""#), "{event}");

    let mut output = live.send("GET /streams/1/out?feed=longpoll", "");
    while !line(&mut output).is_empty() {}
    assert_eq!(live.ask("POST /streams/1/stdin", "hello\n").0, 200);
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("one piece, then the end");
    assert!(rest.contains("hello\n"), "{rest}");
    assert_eq!(live.ask("GET /stats/web?feed=longpoll", "").0, 200);
}

/// Whatever the process writes arrives, however much it is: the client's pace is the process's.
#[test]
fn a_flood_by_websocket() {
    const BYTES: usize = 64 << 20;
    let live = Live::new();
    let flood = format!("read go; exec head -c {BYTES} /dev/zero");
    let job = JobConfig::new("flood", flood).expect("a name").shell(true).redirect_input(true);
    live.load(job.redirect_output(["out"]).restart(crate::process::Restart::Never));
    live.handle.call(|m| m.process(Pid(1)).map(drop)).expect("it runs").expect("it is there");

    let mut stream = TcpStream::connect(live.address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
    let handshake = Handshake::new("localhost", "/wstreams/1", [7; 16]).expect("right");
    let mut out = Vec::new();
    handshake.write(&mut out);
    stream.write_all(&out).expect("it reads");
    let mut reader = BufReader::new(stream.try_clone().expect("a descriptor"));
    assert!(line(&mut reader).starts_with("HTTP/1.1 101"));
    while !line(&mut reader).is_empty() {}
    let mut connection = Connection::client(Limits::default(), Masks::seeded(1));
    out.clear();
    connection.text("go\n", &mut out).expect("open");
    stream.write_all(&out).expect("it reads");

    let (mut got, mut input, mut buffer) = (0, Vec::new(), vec![0; 1 << 16]);
    loop {
        let fed = connection.feed(&input);
        input.drain(..fed.used);
        match fed.out.expect("the server speaks websocket") {
            Some(Event::Text(text)) => {
                assert!(text.bytes().all(|b| b == 0), "a NUL is text");
                got += text.len();
            }
            Some(Event::Close(close)) => {
                assert_eq!(close.code.map(|code| code.get()), Some(1000), "{}", close.reason);
                break;
            }
            Some(other) => panic!("{other:?}"),
            None => {
                let n = reader.read(&mut buffer).expect("output in time");
                assert!(n > 0, "cut after {got} bytes");
                input.extend_from_slice(&buffer[..n]);
            }
        }
    }
    assert_eq!(got, BYTES);
}
