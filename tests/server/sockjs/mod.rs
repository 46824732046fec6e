//! SockJS over plain sockets.

mod bounds;
mod transports;

use std::any::Any;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use gaffer::manager::Cx;
use gaffer::proto::ws::{CloseCode, Connection, Event, Limits, Masks, client::Handshake};
use gaffer::server::{Config, HttpServer, Message, Socket, SocketAddress, SocketOut, sockjs};

use crate::node::{Answer, Client, Node, PATIENCE};

/// What a test learns of handlers.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Open(SocketAddress),
    Closed,
}

/// Sends back what comes, and what it is mailed; some words are orders.
struct Echo(Sender<Told>);

impl Socket for Echo {
    fn open(&mut self, _: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        let _ = self.0.send(Told::Open(out.address()));
    }

    fn message(&mut self, _: &mut Cx<'_>, message: Message, out: &mut SocketOut<'_>) {
        match &message {
            Message::Text(text) if text == "panic" => panic!("as asked"),
            Message::Text(text) if text == "flood" => while out.send(vec![b'x'; 1 << 16]) {},
            Message::Text(text) if text == "bye" => {
                out.text("last words");
                out.close(CloseCode::new(3001).expect("a code"), "as asked");
            }
            _ => drop(out.send(message)),
        }
    }

    fn mail(&mut self, _: &mut Cx<'_>, message: Box<dyn Any + Send>, out: &mut SocketOut<'_>) {
        out.text(message.downcast_ref::<String>().expect("a text"));
    }

    fn close(&mut self, _: &mut Cx<'_>) {
        let _ = self.0.send(Told::Closed);
    }
}

/// Counts down, no faster than its client reads.
struct Countdown(usize);

impl Countdown {
    fn go_on(&mut self, out: &mut SocketOut<'_>) {
        while self.0 > 0 && !out.is_full() {
            self.0 -= 1;
            out.text(&format!("{:01000}", self.0));
        }
        if self.0 > 0 {
            out.wait_for_room();
        }
    }
}

impl Socket for Countdown {
    fn message(&mut self, _: &mut Cx<'_>, _: Message, out: &mut SocketOut<'_>) {
        self.go_on(out);
    }

    fn room(&mut self, _: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        self.go_on(out);
    }
}

/// Closes at once.
struct Closer;

impl Socket for Closer {
    fn open(&mut self, _: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        out.close(CloseCode::new(3000).expect("a code"), "Go away!");
    }

    fn message(&mut self, _: &mut Cx<'_>, _: Message, _: &mut SocketOut<'_>) {}
}

/// The services of the protocol's test, and what the echo's handlers tell.
fn node_with(config: Config, echo: sockjs::Config) -> (Node, Receiver<Told>) {
    let (told, hear) = channel();
    let serve = |server: &mut HttpServer| {
        let echo = echo.response_limit(4096);
        let (off, plain) = (sockjs::Config::default().websocket(false), sockjs::Config::default().cookie(false));
        server.sockjs("/echo", echo, move |_| Box::new(Echo(told.clone()))).expect("a service");
        server.sockjs("/countdown", sockjs::Config::default(), |_| Box::new(Countdown(1000))).expect("a service");
        server.sockjs("/close", sockjs::Config::default(), |_| Box::new(Closer)).expect("a service");
        server.sockjs("/disabled_websocket_echo", off, |_| Box::new(Closer)).expect("a service");
        server.sockjs("/a/b/plain", plain, |_| Box::new(Closer)).expect("a service");
    };
    (Node::serving(config, serve), hear)
}

fn node() -> (Node, Receiver<Told>) {
    node_with(Config::default(), sockjs::Config::default())
}

fn hear(from: &Receiver<Told>) -> Told {
    from.recv_timeout(PATIENCE).expect("a handler tells")
}

fn send(client: &mut Client, method: &str, path: &str, fields: &str, body: &str) {
    let length = body.len();
    client.send(&format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
    ));
}

fn ask(node: &Node, method: &str, path: &str, fields: &str, body: &str) -> Answer {
    let mut client = node.connect();
    send(&mut client, method, path, fields, body);
    client.answer_to(method)
}

fn post(node: &Node, path: &str, body: &str) -> Answer {
    ask(node, "POST", path, "", body)
}

#[track_caller]
fn poll(node: &Node, path: &str, want: &str) {
    let answer = post(node, path, "");
    assert_eq!((answer.status, answer.text().as_str()), (200, want));
}

#[track_caller]
fn not_cached(answer: &Answer) {
    assert_eq!(answer.field("cache-control"), Some("no-store, no-cache, must-revalidate, max-age=0"), "{answer:?}");
    assert!(answer.field("expires").is_none() && answer.field("last-modified").is_none(), "{answer:?}");
}

#[track_caller]
fn chunk(client: &mut Client) -> String {
    String::from_utf8(client.chunk().expect("a chunk")).expect("text")
}

/// A websocket to it.
struct Ws {
    client: Client,
    connection: Connection,
}

impl Ws {
    fn new(node: &Node, path: &str) -> Self {
        let handshake = Handshake::new("localhost", path, [3; 16]).expect("valid");
        let mut client = node.connect();
        let mut request = Vec::new();
        handshake.write(&mut request);
        client.send(&String::from_utf8(request).expect("text"));
        assert_eq!(client.head().status, 101);
        Self { client, connection: Connection::client(Limits::default(), Masks::seeded(7)) }
    }

    fn send(&mut self, text: &str) {
        let mut out = Vec::new();
        self.connection.text(text, &mut out).expect("open");
        std::io::Write::write_all(&mut self.client.stream, &out).expect("it takes it");
    }

    fn next(&mut self) -> Option<String> {
        loop {
            let fed = self.connection.feed(&self.client.input);
            self.client.input.drain(..fed.used);
            match fed.out.expect("well-formed") {
                Some(Event::Text(text)) => return Some(text),
                Some(Event::Close(close)) => return Some(format!("close {}", close.code.expect("a code"))),
                Some(_) => {}
                None if !self.client.more() => return None,
                None => {}
            }
        }
    }
}
