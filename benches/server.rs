//! `GET /ping` over 1 and 32 keep-alive connections, against the least a server can do: a thread for each connection that reads until it has seen an
//! empty line and writes a fixed answer.
//!
//! And what 2 000 idle connections cost a server in a process of its own: memory, and no system call.
//!
//! Against hyper and tiny_http: see `benches/peers`.

#![allow(clippy::print_stdout)]

#[cfg(target_os = "linux")]
use std::io::{BufRead, BufReader};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
#[cfg(target_os = "linux")]
use std::process::{Command, Stdio};
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

/// Says that this process is to be the server of another one.
const SERVE: &str = "GAFFER_BENCH_SERVE";

fn main() {
    if std::env::var_os(SERVE).is_some() {
        println!("{}", gaffer());
        loop {
            thread::park();
        }
    }
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
    idle();
}

/// A figure of `/proc/PID/status`, the first of its line.
#[cfg(target_os = "linux")]
fn figure(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim_start_matches(':').split_whitespace().next().and_then(|figure| figure.parse().ok()).unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn idle() {
    println!("idle connections: what they cost is looked up in /proc, which is not there");
}

#[cfg(target_os = "linux")]
fn idle() {
    const MANY: usize = 2000;
    // SAFETY: both calls take a valid struct of their own type.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max.min(65_536);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
    let this = std::env::current_exe().expect("this program has a file");
    let mut server = Command::new(this).env(SERVE, "1").stdout(Stdio::piped()).spawn().expect("it starts");
    let (folder, mut line) = (format!("/proc/{}", server.id()), String::new());
    BufReader::new(server.stdout.take().expect("a pipe")).read_line(&mut line).expect("it says where it is");
    let address: SocketAddr = line.trim().parse().expect("an address");
    let ask = || {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(REQUEST).expect("it takes requests");
        assert!(stream.read(&mut [0; 4096]).expect("it answers") > 0);
        stream
    };
    let resident = || {
        let status = std::fs::read_to_string(format!("{folder}/status")).expect("it runs");
        figure(&status, "VmRSS") * 1024
    };
    // Of all its threads. The one that waits has switched once for each system call that had to wait.
    let switches = || {
        let tasks = std::fs::read_dir(format!("{folder}/task")).expect("it runs");
        let status = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        tasks.flatten().map(|task| figure(&status(task), "voluntary_ctxt_switches")).sum::<u64>()
    };
    drop(ask());
    let before = resident();
    let clients: Vec<TcpStream> = (0..MANY).map(|_| ask()).collect();
    let each = resident().saturating_sub(before) / MANY as u64;
    let (start, mut switched) = (Instant::now(), switches());
    // What the last answer has left to do is done when it has slept for as long as this thread.
    while start.elapsed() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(200));
        let now = switches();
        if std::mem::replace(&mut switched, now) == now {
            break;
        }
    }
    thread::sleep(Duration::from_secs(3));
    let woken = switches() - switched;
    println!("{MANY} idle connections: {each} bytes each, {woken} context switches in 3 s");
    drop(clients);
    server.kill().expect("it runs");
    server.wait().expect("it ends");
    assert_eq!(woken, 0, "it does nothing while nothing happens");
}
