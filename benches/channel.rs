//! 1 000 clients that each get 1 000 events: topics of the channel by websocket, against feeds of server-sent events of the same server, and against
//! what the system needs to move as many bytes as the channel does, written and read in one piece for every 64 events.

#![allow(clippy::print_stdout)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use gaffer::Manager;
use gaffer::manager::Handle;
use gaffer::process::{JobConfig, Scale};
use gaffer::proto::ws::{Connection, Limits, Masks, client::Handshake};
use gaffer::server::{Config, HttpServer, LocalAddr, api};

const CLIENTS: usize = 1000;
const EVENTS: usize = 1000;
const ROUNDS: u32 = 5;

fn node() -> (SocketAddr, Handle) {
    let config = Config::default().max_connections(5000).endpoint("127.0.0.1:0".parse().expect("valid"));
    let mut server = HttpServer::bind(config).expect("a port");
    server.routes(api::ROUTES).expect("valid routes");
    let LocalAddr::Tcp(address) = server.local_addrs()[0] else { panic!("TCP was asked for") };
    let mut manager = Manager::new().expect("a manager");
    manager.add_app(server);
    manager.load(JobConfig::new("bench", "true").expect("valid"), false).expect("it loads");
    let handle = manager.handle();
    thread::spawn(move || manager.run().expect("a sane poller"));
    (address, handle)
}

/// Reads until this comes.
fn until(stream: &mut TcpStream, mark: &[u8], buffer: &mut Vec<u8>) -> usize {
    let (mut total, mut chunk) = (0, [0; 64 * 1024]);
    buffer.clear();
    loop {
        let n = stream.read(&mut chunk).expect("it goes on");
        assert!(n > 0, "it was closed");
        total += n;
        let keep = buffer.len().saturating_sub(mark.len());
        buffer.drain(..keep);
        buffer.extend_from_slice(&chunk[..n]);
        if buffer.windows(mark.len()).any(|window| window == mark) {
            return total;
        }
    }
}

fn connect(address: SocketAddr, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    stream.write_all(request).expect("it reads");
    until(&mut stream, b"\r\n\r\n", &mut Vec::new());
    stream
}

fn channels(address: SocketAddr) -> Vec<TcpStream> {
    let mut request = Vec::new();
    Handshake::new("localhost", "/channel/websocket", [1; 16]).expect("valid").write(&mut request);
    let mut subscribe = Vec::new();
    let mut machine = Connection::client(Limits::default(), Masks::seeded(1));
    machine.text(r#"{"event":"SUB","data":{"topic":"JOB:bench"}}"#, &mut subscribe).expect("open");
    let one = || {
        let mut stream = connect(address, &request);
        stream.write_all(&subscribe).expect("it reads");
        until(&mut stream, b"gaffer:subscription_success", &mut Vec::new());
        stream
    };
    (0..CLIENTS).map(|_| one()).collect()
}

fn feeds(address: SocketAddr) -> Vec<TcpStream> {
    let request = b"GET /watch/job/default/bench?feed=eventsource HTTP/1.1\r\nHost: localhost\r\n\r\n";
    (0..CLIENTS).map(|_| connect(address, request)).collect()
}

/// Deliveries a second, and bytes of each client; the last event is known by its number.
fn rate(handle: &Handle, clients: &mut [TcpStream], round: u32) -> (f64, usize) {
    let last = 5000 + round;
    let mark = format!("\"numprocesses\":{last},");
    let start = Instant::now();
    let scaled = handle.call(move |cx| {
        for _ in 1..EVENTS {
            cx.scale("bench", Scale::By(1))?;
        }
        cx.scale("bench", Scale::To(last))
    });
    scaled.expect("it runs").expect("it scales");
    let mut buffer = Vec::new();
    let bytes = clients.iter_mut().map(|stream| until(stream, mark.as_bytes(), &mut buffer)).max().unwrap_or(0);
    let rate = (CLIENTS * EVENTS) as f64 / start.elapsed().as_secs_f64();
    handle.call(|cx| cx.scale("bench", Scale::To(0))).expect("it runs").expect("it scales");
    // That is an event too.
    for stream in clients {
        until(stream, b"\"numprocesses\":0,", &mut buffer);
    }
    (rate, bytes)
}

/// As many bytes, by nothing but writes and reads of 64 events at a time.
fn writes(pairs: &mut [(TcpStream, TcpStream)], bytes: usize) -> f64 {
    let event = vec![b'x'; bytes / EVENTS * 64];
    let mut buffer = event.clone();
    let start = Instant::now();
    for _ in 0..EVENTS.div_ceil(64) {
        for (ours, _) in &mut *pairs {
            ours.write_all(&event).expect("it reads");
        }
        for (_, theirs) in &mut *pairs {
            theirs.read_exact(&mut buffer).expect("it comes");
        }
    }
    (CLIENTS * EVENTS) as f64 / start.elapsed().as_secs_f64()
}

fn pairs() -> Vec<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let pair = || {
        let theirs = TcpStream::connect(address).expect("it listens");
        (listener.accept().expect("it comes").0, theirs)
    };
    (0..CLIENTS).map(|_| pair()).collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    gaffer::sys::limits::raise_nofile().expect("a limit");
    let ((channel_node, channel_handle), (feed_node, feed_handle)) = (node(), node());
    let (mut by_channel, mut by_feed) = (channels(channel_node), feeds(feed_node));
    let mut bare = pairs();
    let (mut ours, mut sse, mut base) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (rate_of_ours, bytes) = rate(&channel_handle, &mut by_channel, round);
        ours.push(rate_of_ours);
        sse.push(rate(&feed_handle, &mut by_feed, round).0);
        base.push(writes(&mut bare, bytes));
    }
    let (ours, sse, base) = (median(&mut ours), median(&mut sse), median(&mut base));
    println!(
        "{CLIENTS} clients x {EVENTS} events: channel {ours:9.0} deliveries/s, SSE feeds {sse:9.0}/s (ratio {:.2}), bare writes {base:9.0}/s (ratio {:.2})",
        ours / sse,
        ours / base
    );
}
