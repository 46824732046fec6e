//! Websockets.

use gaffer::process::JobConfig;
use gaffer::proto::ws::{CloseCode, Connection, Event, Limits, Masks, client::Handshake};
use gaffer::server::Config;

use crate::node::{Client, Node};

struct Ws {
    client: Client,
    connection: Connection,
    out: Vec<u8>,
}

impl Ws {
    fn new(node: &Node) -> Self {
        let handshake =
            Handshake::new("localhost", "/socket", [3; 16]).and_then(|h| h.protocol("echo")).expect("valid");
        let mut client = node.connect();
        let mut request = Vec::new();
        handshake.write(&mut request);
        client.send(&String::from_utf8(request).expect("text"));
        let head = client.head();
        let fields = head.head.lines().filter_map(|line| line.split_once(": ")).map(|(n, v)| (n, v.as_bytes()));
        assert_eq!(handshake.check(head.status, fields).expect("accepted"), Some("echo"));
        let connection = Connection::client(Limits::default(), Masks::seeded(7));
        let mut ws = Self { client, connection, out: Vec::new() };
        assert_eq!(ws.next(), Some(Event::Text("welcome".to_owned())));
        ws
    }

    fn text(&mut self, text: &str) {
        self.connection.text(text, &mut self.out).expect("open");
        self.flush();
    }

    fn flush(&mut self) {
        std::io::Write::write_all(&mut self.client.stream, &std::mem::take(&mut self.out)).expect("it takes it");
    }

    fn next(&mut self) -> Option<Event> {
        loop {
            let fed = self.connection.feed(&self.client.input);
            self.client.input.drain(..fed.used);
            if let Some(event) = fed.out.expect("well-formed") {
                return Some(event);
            }
            if self.client.input.is_empty() && !self.client.more() {
                return None;
            }
        }
    }

    fn close_code(&mut self) -> Option<CloseCode> {
        match self.next() {
            Some(Event::Close(close)) => close.code,
            other => panic!("{other:?}"),
        }
    }
}

fn is_gone(node: &Node) {
    let start = std::time::Instant::now();
    while !node.handle.call(|cx| cx.is_loaded("socket-gone")).expect("it runs") {
        assert!(start.elapsed() < crate::node::PATIENCE, "close was not called");
        std::thread::yield_now();
    }
}

#[test]
fn echo_and_goodbye() {
    let node = Node::new();
    let mut ws = Ws::new(&node);
    ws.text("héllo");
    assert_eq!(ws.next(), Some(Event::Text("héllo".to_owned())));
    ws.connection.binary(&[0, 255], &mut ws.out).expect("open");
    ws.connection.ping(b"?", &mut ws.out).expect("open");
    ws.flush();
    assert_eq!(ws.next(), Some(Event::Binary(vec![0, 255])));
    assert_eq!(ws.next(), Some(Event::Pong(b"?".to_vec())));
    let job = JobConfig::new("a", "true").expect("valid");
    node.handle.call(move |cx| cx.load(job, false).map(drop)).expect("it runs").expect("it loads");
    assert_eq!(ws.next(), Some(Event::Text("create".to_owned())), "mail of a closure");
    ws.connection.close(CloseCode::NORMAL, "bye", &mut ws.out).expect("short");
    ws.flush();
    assert_eq!(ws.close_code(), Some(CloseCode::NORMAL));
    assert_eq!(ws.next(), None);
    is_gone(&node);
}

#[test]
fn a_lost_connection_closes_its_socket() {
    let node = Node::new();
    drop(Ws::new(&node));
    is_gone(&node);
}

#[test]
fn faults_end_the_connection_only() {
    let node = Node::with(Config::default().unsent(1 << 20));
    let mut ws = Ws::new(&node);
    ws.text("panic");
    assert_eq!(ws.close_code(), Some(CloseCode::INTERNAL_ERROR));
    let mut ws = Ws::new(&node);
    ws.client.stream_raw(b"\xff\xff");
    assert_eq!(ws.close_code(), Some(CloseCode::PROTOCOL_ERROR));
    // More than may wait: it is cut.
    let mut ws = Ws::new(&node);
    ws.text("flood");
    ws.client.rest();
    assert_eq!(node.ask("GET", "/ping").text(), "OK");
    is_gone(&node);
}

impl Client {
    fn stream_raw(&mut self, bytes: &[u8]) {
        std::io::Write::write_all(&mut self.stream, bytes).expect("it takes it");
    }
}

#[test]
fn silent_ones_are_asked_for_a_sign_of_life() {
    // Time enough for a busy machine to answer in.
    let node = Node::with(Config::default().ping_interval(std::time::Duration::from_secs(1)));
    let mut ws = Ws::new(&node);
    assert_eq!(ws.next(), Some(Event::Ping(vec![])));
    ws.connection.flush(&mut ws.out);
    ws.flush();
    assert_eq!(ws.next(), Some(Event::Ping(vec![])));
    // Without an answer it ends.
    assert_eq!(ws.next(), None);
    is_gone(&node);
}

#[test]
fn the_server_says_goodbye() {
    let node = Node::new();
    let mut ws = Ws::new(&node);
    ws.text("stop");
    assert_eq!(ws.close_code(), Some(CloseCode::GOING_AWAY));
}

#[test]
fn foreign_origins_are_refused() {
    let node = Node::new();
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n";
    for (fields, status) in [("Origin: http://evil.example\r\n", 403), ("Origin: http://localhost\r\n", 101), ("", 101)]
    {
        let mut client = node.connect();
        client.send(&format!("GET /socket HTTP/1.1\r\nHost: localhost\r\n{upgrade}{fields}\r\n"));
        assert_eq!(client.head().status, status, "{fields}");
    }
}
