//! Clients.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// How long each server is asked in a round.
const ROUND: Duration = Duration::from_millis(300);

/// Requests over so many connections, one at a time on each: how many, and how many a second.
pub fn run(address: SocketAddr, path: &str, connections: usize) -> (u32, f64) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:5000\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n");
    // One after the other: tiny_http forgets some of those that come at once until others have gone.
    let streams: Vec<_> = (0..connections)
        .map(|_| {
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream.set_nodelay(true).expect("a socket");
            let length = first(&mut stream, request.as_bytes());
            (stream, vec![0; length])
        })
        .collect();
    let barrier = Barrier::new(connections);
    let client = |(mut stream, mut buffer): (TcpStream, Vec<u8>)| {
        barrier.wait();
        let (start, mut done) = (Instant::now(), 0_u32);
        while start.elapsed() < ROUND {
            stream.write_all(request.as_bytes()).expect("it takes requests");
            stream.read_exact(&mut buffer).expect("it answers");
            done += 1;
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer));
        (done, f64::from(done) / start.elapsed().as_secs_f64())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = streams.into_iter().map(|one| scope.spawn(|| client(one))).collect();
        let each = threads.into_iter().map(|thread| thread.join().expect("no panic"));
        each.fold((0, 0.0), |(sum, rates), (done, rate)| (sum + done, rates + rate))
    })
}

/// The length of an answer: those that follow are as long.
fn first(stream: &mut TcpStream, request: &[u8]) -> usize {
    stream.write_all(request).expect("it takes requests");
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let n = stream.read(&mut buffer).expect("it answers");
        assert!(n > 0, "it closed after {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let field = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let content: usize = field.expect("a length").trim().parse().expect("a number");
        if answer.len() == head.len() + 4 + content {
            return answer.len();
        }
    }
}

pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
