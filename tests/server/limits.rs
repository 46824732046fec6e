//! Bounds: a client that is slow, stalled or malicious costs itself only.

use std::time::{Duration, Instant};

use gaffer::proto::h1;
use gaffer::server::Config;

use crate::descriptors::may_have;
use crate::node::{Client, Node, PATIENCE};

#[test]
fn each_limit_has_its_status() {
    let limits = h1::Limits::default().body(1000);
    let node = Node::with(Config::default().limits(limits));
    let host = "Host: localhost\r\n";
    for (request, status) in [
        (format!("GET /{} HTTP/1.1\r\n{host}\r\n", "x".repeat(9000)), 414),
        (format!("GET /ping HTTP/1.1\r\n{host}A: {}\r\n\r\n", "x".repeat(17_000)), 431),
        (format!("GET /ping HTTP/1.1\r\n{host}{}\r\n", "A: b\r\n".repeat(101)), 431),
        (format!("POST /echo HTTP/1.1\r\n{host}Content-Length: 1001\r\n\r\n"), 413),
        (format!("POST /echo HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n3e9\r\n"), 413),
        (format!("GET /ping HTTP/1.1\r\n{host}Expect: tea\r\n\r\n"), 417),
    ] {
        let mut client = node.connect();
        client.send(&request);
        let answer = client.answer();
        assert_eq!((answer.status, &answer.json()["errno"]), (status, &status.into()), "{:.60}", request);
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn slow_requests_are_cut_while_others_are_served() {
    // Time enough for a busy machine to bring a whole request along.
    let short = Duration::from_secs(3);
    let node = Node::with(Config::default().head_timeout(short).body_timeout(short));
    let start = Instant::now();
    let mut slow: Vec<Client> = (0..50)
        .map(|n| {
            let mut client = node.connect();
            let body = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx";
            client.send(if n % 2 == 0 { "GET /ping HTT" } else { body });
            client
        })
        .collect();
    let mut other = node.connect();
    let mut asked = 0;
    while start.elapsed() < short || asked <= 20 {
        other.send("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(other.answer().status, 200);
        asked += 1;
    }
    for client in &mut slow {
        let answer = client.answer();
        assert_eq!((answer.status, answer.json()["error"].as_str()), (408, Some("request_timeout")));
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn a_drip_does_not_buy_time() {
    let node = Node::with(Config::default().head_timeout(Duration::from_millis(300)));
    let start = Instant::now();
    let mut client = node.connect();
    client.send("GET /ping HTTP/1.1\r\nX: ");
    client.stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket");
    let mut got = [0; 1];
    while std::io::Read::read(&mut client.stream, &mut got).is_err() {
        assert!(start.elapsed() < PATIENCE, "never cut");
        let _ = std::io::Write::write(&mut client.stream, b"x");
    }
    assert!(start.elapsed() >= Duration::from_millis(290));
}

#[test]
fn idle_connections_end() {
    // Time enough for a busy machine to bring a whole request along.
    let node = Node::with(Config::default().idle_timeout(Duration::from_secs(2)));
    let mut used = node.connect();
    used.send("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut fresh = node.connect();
    assert_eq!(used.answer().status, 200);
    assert_eq!((fresh.rest(), used.rest()), (vec![], vec![]));
}

#[test]
fn stalled_readers_are_cut() {
    let node = Node::with(Config::default().stall_timeout(Duration::from_millis(200)));
    let mut client = node.connect();
    client.send(&"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(40));
    node.wait_connections(0);
    let got = client.rest().len();
    assert!(got < 40 << 20, "{got}");
}

#[test]
fn connections_beyond_the_limit_are_told() {
    let node = Node::with(Config::default().max_connections(3));
    let mut served: Vec<Client> = (0..3).map(|_| node.connect()).collect();
    for client in &mut served {
        client.send("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.answer().status, 200);
    }
    let mut more = node.connect();
    let answer = more.answer();
    assert_eq!((answer.status, answer.json()["error"].as_str()), (503, Some("full")));
    assert_eq!(more.rest(), b"");
    drop(more);
    drop(served.pop());
    // There is room again, as soon as the server has seen it.
    let start = Instant::now();
    loop {
        let mut client = node.connect();
        client.send("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
        if client.answer().status == 200 {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "no room again");
    }
}

/// How often a thread has gone to sleep, and whether it sleeps now.
#[cfg(target_os = "linux")]
fn sleeps(tid: i32) -> (u64, bool) {
    let status = std::fs::read_to_string(format!("/proc/self/task/{tid}/status")).expect("it runs");
    let word = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a kernel that counts");
        line.split_whitespace().next().expect("a word").to_owned()
    };
    (word("voluntary_ctxt_switches:").parse().expect("a number"), word("State:") == "S")
}

#[test]
#[cfg(target_os = "linux")]
fn idle_connections_cost_nothing() {
    if !may_have(900, "idle_connections_cost_nothing") {
        return;
    }
    let node = Node::new();
    let mut clients: Vec<Client> = (0..200).map(|_| node.connect()).collect();
    for client in &mut clients {
        client.send("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.answer().status, 200);
    }
    let tid = node.handle.call(|_| {
        let link = std::fs::read_link("/proc/thread-self").expect("proc");
        link.file_name().and_then(|name| name.to_str()).and_then(|n| n.parse().ok()).expect("a number")
    });
    let tid: i32 = tid.expect("it runs");
    // The call itself woke it; wait until it sleeps again, and has for a while.
    let (mut before, start) = (sleeps(tid), Instant::now());
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let last = std::mem::replace(&mut before, sleeps(tid));
        if last.1 && last == before {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "it does not come to rest");
    }
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(sleeps(tid), before, "it woke while all were idle");
}
