//! What goes to many at once, and much to one.
//!
//! - 1 000 subscribers of server-sent events, 1 000 events each, against a plain loop that writes the same bytes to as many
//!   sockets. Once with a turn of the loop for each event, once as fast as they come.
//! - The output of a child by websocket, against a pipe through `cat`.

#![allow(clippy::print_stdout)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use gaffer::Manager;
use gaffer::event_loop::{EventLoop, Interest, Ready, Source};
use gaffer::manager::Handle;
use gaffer::process::{JobConfig, Restart};
use gaffer::server::{Config, HttpServer, LocalAddr, api};

const SUBSCRIBERS: usize = 1000;
const EVENTS: usize = 1000;
const ROUNDS: usize = 3;
const OUTPUT: usize = 256 << 20;

fn main() {
    raise_descriptor_limit();
    let (address, handle) = gaffer();
    fan_out(address, &handle);
    output(address, &handle);
    handle.stop().expect("it runs");
}

fn raise_descriptor_limit() {
    // SAFETY: both calls take a valid struct of their own type.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max.min(65_536);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
}

fn gaffer() -> (SocketAddr, Handle) {
    let config = Config::default().max_connections(5000).endpoint("127.0.0.1:0".parse().expect("valid"));
    let mut server = HttpServer::bind(config).expect("a port");
    server.routes(api::ROUTES).expect("valid routes");
    let LocalAddr::Tcp(address) = server.local_addrs()[0] else { panic!("TCP was asked for") };
    let mut manager = Manager::new().expect("a manager");
    let handle = manager.handle();
    manager.add_app(server);
    thread::spawn(move || manager.run().expect("a sane poller"));
    (address, handle)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

// ---- many ----

fn fan_out(address: SocketAddr, handle: &Handle) {
    let streams = (0..SUBSCRIBERS).map(|_| subscribe(address)).collect();
    let (arrived, record) = readers(streams);
    // One event tells how long they are.
    load(handle, 0);
    let record = record.recv_timeout(Duration::from_secs(30)).expect("the first event comes");
    arrived.recv_timeout(Duration::from_secs(30)).expect("it comes to all");

    let base = TcpListener::bind("127.0.0.1:0").expect("a port");
    // One after the other: there is room for so many connections only that were not taken yet.
    let pair = || {
        let client = TcpStream::connect(base.local_addr().expect("bound")).expect("it listens");
        (client, base.accept().expect("a client").0)
    };
    let (clients, mut sockets): (Vec<_>, Vec<_>) = (0..SUBSCRIBERS).map(|_| pair()).unzip();
    let (base_arrived, _record) = readers(clients);

    let mut job = 0;
    let (mut plain, mut turns, mut burst) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(timed(&base_arrived, || {
            for _ in 0..EVENTS {
                sockets.iter_mut().for_each(|socket| socket.write_all(&record).expect("it is read"));
            }
        }));
        turns.push(timed(&arrived, || {
            for _ in 0..EVENTS {
                job += 1;
                load(handle, job);
            }
        }));
        burst.push(timed(&arrived, || {
            let first = job + 1;
            job += EVENTS;
            let all = first..=job;
            handle
                .call(move |m| all.for_each(|n| m.load(config(n), false).map(drop).expect("a new job")))
                .expect("runs");
        }));
    }
    let (plain, turns, burst) = (median(plain), median(turns), median(burst));
    println!("{SUBSCRIBERS} subscribers of {EVENTS} events of {} bytes, delivered a second:", record.len());
    println!("  plain loop {plain:.0}; one event a turn {turns:.0}, ratio {:.2}", turns / plain);
    println!("  all events at once {burst:.0}, ratio {:.2}", burst / plain);
}

/// Deliveries a second.
fn timed(arrived: &Receiver<()>, send: impl FnOnce()) -> f64 {
    let start = Instant::now();
    send();
    for _ in 0..EVENTS {
        arrived.recv_timeout(Duration::from_secs(120)).expect("everybody gets everything");
    }
    (SUBSCRIBERS * EVENTS) as f64 / start.elapsed().as_secs_f64()
}

fn config(n: usize) -> JobConfig {
    JobConfig::new(&format!("job-{n:06}"), "sleep 1").expect("valid")
}

fn load(handle: &Handle, n: usize) {
    handle.call(move |m| m.load(config(n), false)).expect("it runs").expect("a new job");
}

fn subscribe(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream
        .write_all(b"GET /watch/load?feed=eventsource HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("it takes requests");
    let mut head = Vec::new();
    while !head.ends_with(b"\n\n\r\n") {
        // The head, and the chunk that tells when to come back.
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("it answers");
        head.push(byte[0]);
    }
    stream
}

/// A thread that reads all streams and tells each time that all together have got one event for each of them; and, once,
/// the bytes of the first.
fn readers(streams: Vec<TcpStream>) -> (Receiver<()>, Receiver<Vec<u8>>) {
    let ((tell, told), (first, record)) = (channel(), channel());
    thread::spawn(move || {
        let mut io = EventLoop::new().expect("a loop");
        let sources: Vec<Source<TcpStream>> = (0..)
            .zip(streams)
            .map(|(n, stream)| {
                stream.set_nonblocking(true).expect("a socket");
                io.register(stream, Interest::READ, n).expect("registered")
            })
            .collect();
        // An event ends in an empty line, which may come in two parts.
        let mut last = vec![0; sources.len()];
        let (mut ready, mut buffer, mut ends) = (Vec::new(), vec![0; 1 << 16], 0);
        let mut first = Some(first);
        loop {
            io.turn(None, &mut ready).expect("a turn");
            for one in &ready {
                let Ready::Source { owner, .. } = *one else { continue };
                let owner: usize = owner;
                let Ok(n) = sources[owner].get_ref().read(&mut buffer) else { continue };
                if n == 0 {
                    return;
                }
                if let Some(first) = first.take() {
                    drop(first.send(buffer[..n].to_vec()));
                }
                for &byte in &buffer[..n] {
                    if byte == b'\n' && last[owner] == b'\n' {
                        ends += 1;
                        if ends % SUBSCRIBERS == 0 && tell.send(()).is_err() {
                            return;
                        }
                    }
                    last[owner] = byte;
                }
            }
        }
    });
    (told, record)
}

// ---- much ----

fn output(address: SocketAddr, handle: &Handle) {
    let (mut pipe, mut socket) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        pipe.push(through_cat());
        socket.push(through_websocket(address, handle, round));
    }
    let (pipe, socket) = (median(pipe), median(socket));
    println!("output of a child: cat {pipe:.0} MB/s, websocket {socket:.0} MB/s, ratio {:.2}", socket / pipe);
}

fn megabytes(start: Instant) -> f64 {
    OUTPUT as f64 / 1e6 / start.elapsed().as_secs_f64()
}

/// Both write in pieces of what a pipe holds.
fn source() -> String {
    format!("dd if=/dev/zero bs=65536 count={} 2>&-", OUTPUT / 65536)
}

fn through_cat() -> f64 {
    let mut child = Command::new("sh").args(["-c", &format!("{} | cat", source())]).stdout(Stdio::piped()).spawn();
    let child = child.as_mut().expect("a shell");
    let start = Instant::now();
    let mut pipe = child.stdout.take().expect("a pipe");
    let (mut buffer, mut total) = (vec![0; 1 << 16], 0);
    while let Ok(n @ 1..) = pipe.read(&mut buffer) {
        total += n;
    }
    let rate = megabytes(start);
    child.wait().expect("it ends");
    assert_eq!(total, OUTPUT);
    rate
}

fn through_websocket(address: SocketAddr, handle: &Handle, round: usize) -> f64 {
    let config = JobConfig::new(&format!("output-{round}"), format!("read line; {}", source())).expect("valid");
    let config = config.shell(true).redirect_input(true).redirect_output(["out"]).restart(Restart::Never);
    let name = config.name.as_str().to_owned();
    handle.call(move |m| m.load(config, true)).expect("it runs").expect("a new job");
    let pid = loop {
        let name = name.clone();
        let running = handle.call(move |m| {
            let pid = *m.pids(&name).ok()?.first()?;
            m.process(pid).ok()?.os_pid.map(|_| pid)
        });
        if let Some(pid) = running.expect("it runs") {
            break pid;
        }
    };
    let mut stream = TcpStream::connect(address).expect("it listens");
    let request = format!(
        "GET /wstreams/{pid} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it takes requests");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("it answers");
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    // A line of text, masked with zeros: RFC 6455 section 5.2.
    let start = Instant::now();
    stream.write_all(&[0x81, 0x81, 0, 0, 0, 0, b'\n']).expect("it takes frames");
    let payload = frames(&mut stream);
    assert_eq!(payload, OUTPUT);
    megabytes(start)
}

/// Reads frames up to the goodbye; how many bytes of content they had.
fn frames(stream: &mut TcpStream) -> usize {
    let mut buffer = vec![0; 1 << 18];
    let (mut filled, mut content, mut rest) = (0, 0, 0_usize);
    loop {
        let n = stream.read(&mut buffer[filled..]).expect("it goes on");
        assert!(n > 0, "it was cut after {content} bytes");
        filled += n;
        let mut at = 0;
        loop {
            let skip = rest.min(filled - at);
            (at, rest) = (at + skip, rest - skip);
            let [first, length, ..] = buffer[at..filled] else { break };
            let (head, length) = match (length, filled - at) {
                (126, 4..) => (4, usize::from(u16::from_be_bytes([buffer[at + 2], buffer[at + 3]]))),
                (127, 10..) => {
                    (10, u64::from_be_bytes(buffer[at + 2..at + 10].try_into().expect("eight bytes")) as usize)
                }
                (126 | 127, _) => break,
                (length, _) => (2, usize::from(length)),
            };
            if first & 0x0f == 8 {
                return content;
            }
            (at, rest, content) = (at + head, length, content + length);
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
}
