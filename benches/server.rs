//! `GET /ping` over 1 and 32 keep-alive connections, against the least a server can do: a thread for each connection that reads until it has seen an
//! empty line and writes a fixed answer.
//!
//! And what an idle connection costs.

#![allow(clippy::print_stdout)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use gaffer::Manager;
use gaffer::server::{Config, HttpServer, LocalAddr, Reply};

const REQUEST: &[u8] = b"GET /ping HTTP/1.1\r\nHost: localhost:5000\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: base/0.1.0\r\n\
    Content-Type: text/plain; charset=utf-8\r\nETag: \"0123456789abcdef\"\r\nContent-Length: 2\r\n\r\nOK";
const ROUND: Duration = Duration::from_millis(500);
const ROUNDS: usize = 7;

fn base() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("a socket");
    let (mut buffer, mut filled) = ([0; 4096], 0);
    while let Ok(n @ 1..) = stream.read(&mut buffer[filled..]) {
        filled += n;
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            if stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    }
}

fn gaffer() -> SocketAddr {
    let mut server =
        HttpServer::bind(Config::default().max_connections(5000).endpoint("127.0.0.1:0".parse().expect("valid")))
            .expect("a port");
    server.route("GET", "/ping", |_| Ok(Reply::Text(200, "OK".to_owned()))).expect("a valid route");
    let LocalAddr::Tcp(address) = server.local_addrs()[0] else { panic!("TCP was asked for") };
    thread::spawn(move || {
        let mut manager = Manager::new().expect("a manager");
        manager.add_app(server);
        manager.run().expect("a sane poller");
    });
    address
}

/// Requests a second over so many connections, each by a thread, one request at a time.
fn rate(address: SocketAddr, connections: usize) -> f64 {
    let barrier = Barrier::new(connections);
    let total: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = TcpStream::connect(address).expect("it listens");
                    stream.set_nodelay(true).expect("a socket");
                    let mut buffer = [0; 4096];
                    barrier.wait();
                    let (start, mut done) = (Instant::now(), 0);
                    while start.elapsed() < ROUND {
                        stream.write_all(REQUEST).expect("it takes requests");
                        let mut filled = 0;
                        while !buffer[..filled].ends_with(b"OK") {
                            let n = stream.read(&mut buffer[filled..]).expect("it answers");
                            assert!(n > 0, "it closed");
                            filled += n;
                        }
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    total as f64 / ROUND.as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn main() {
    let (base, gaffer) = (base(), gaffer());
    for connections in [1, 32] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            theirs.push(rate(base, connections));
            ours.push(rate(gaffer, connections));
        }
        let (ours, theirs) = (median(&mut ours), median(&mut theirs));
        let ratio = ours / theirs;
        println!(
            "GET /ping, {connections:2} connections: {ours:8.0}/s, thread per connection {theirs:8.0}/s, ratio {ratio:.2}"
        );
    }
    idle(gaffer);
}

fn idle(address: SocketAddr) {
    const MANY: usize = 400;
    let before = resident();
    let mut clients: Vec<TcpStream> = (0..MANY).map(|_| TcpStream::connect(address).expect("it listens")).collect();
    for stream in &mut clients {
        stream.write_all(REQUEST).expect("it takes requests");
        let mut buffer = [0; 4096];
        assert!(stream.read(&mut buffer).expect("it answers") > 0);
    }
    if let (Some(before), Some(after)) = (before, resident()) {
        println!("{MANY} idle connections: {} bytes each, both ends", after.saturating_sub(before) / MANY as u64);
    }
}
