//! A websocket client of the API.

use std::io::Write;

use gaffer::proto::ws::{CloseCode, Connection, Event, Limits, Masks, client::Handshake};
use serde_json::{Value, json};

use crate::node::{Client, Node};

pub(crate) struct Ws {
    pub(crate) client: Client,
    connection: Connection,
    out: Vec<u8>,
    /// Events that came before the answer that was waited for.
    events: Vec<Value>,
}

impl Ws {
    pub(crate) fn new(node: &Node, path: &str) -> Self {
        Self::shake(node, Handshake::new("localhost", path, [3; 16]).expect("valid"))
    }

    /// One whose request has a key.
    pub(crate) fn with_key(node: &Node, path: &str, key: &str) -> Self {
        let handshake = Handshake::new("localhost", path, [3; 16]).expect("valid");
        Self::shake(node, handshake.header("X-Api-Key", key).expect("valid"))
    }

    fn shake(node: &Node, handshake: Handshake) -> Self {
        let mut client = node.connect();
        let mut request = Vec::new();
        handshake.write(&mut request);
        client.send(&String::from_utf8(request).expect("text"));
        let head = client.head();
        let fields = head.head.lines().filter_map(|line| line.split_once(": ")).map(|(n, v)| (n, v.as_bytes()));
        handshake.check(head.status, fields).expect("accepted");
        let connection = Connection::client(Limits::default(), Masks::seeded(7));
        Self { client, connection, out: Vec::new(), events: Vec::new() }
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.connection.text(text, &mut self.out).expect("open");
        self.flush();
    }

    pub(crate) fn binary(&mut self, bytes: &[u8]) {
        self.connection.binary(bytes, &mut self.out).expect("open");
        self.flush();
    }

    fn flush(&mut self) {
        self.client.stream.write_all(&std::mem::take(&mut self.out)).expect("it takes it");
    }

    /// The next message; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            let fed = self.connection.feed(&self.client.input);
            self.client.input.drain(..fed.used);
            if let Some(event) = fed.out.expect("well-formed") {
                return Some(event);
            }
            if fed.used == 0 && !self.client.more() {
                return None;
            }
        }
    }

    pub(crate) fn close_code(&mut self) -> Option<CloseCode> {
        match self.next() {
            Some(Event::Close(close)) => close.code,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn json(&mut self) -> Value {
        match self.next() {
            Some(Event::Text(text)) => serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")),
            other => panic!("{other:?}"),
        }
    }

    /// Says something and gives its answer.
    pub(crate) fn say(&mut self, event: &str, data: Value) -> Value {
        self.text(&json!({"event": event, "data": data}).to_string());
        loop {
            let message = self.json();
            if message["event"] != "gaffer:event" {
                return message;
            }
            self.events.push(message);
        }
    }

    #[track_caller]
    pub(crate) fn subscribe(&mut self, topic: &str) {
        let answer = self.say("SUB", json!({"topic": topic}));
        assert_eq!(answer["event"], "gaffer:subscription_success", "{answer}");
        assert_eq!(answer["topic"], topic);
    }

    #[track_caller]
    pub(crate) fn unsubscribe(&mut self, topic: &str) {
        let answer = self.say("UNSUB", json!({"topic": topic}));
        assert_eq!(answer["event"], "gaffer:unsubscription_success", "{answer}");
    }

    /// The answer of a command.
    pub(crate) fn command(&mut self, name: &str, args: Value) -> Value {
        let mut answer = self.say("CMD", json!({"identity": name, "name": name, "args": args}));
        assert_eq!(answer["data"]["id"], name);
        answer["data"].take()
    }

    /// The data of the first event that is wanted.
    #[track_caller]
    pub(crate) fn event(&mut self, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        loop {
            let mut message = if self.events.is_empty() { self.json() } else { self.events.remove(0) };
            assert_eq!(message["event"], "gaffer:event", "{message}");
            if wanted(&message["data"]) {
                return message["data"].take();
            }
        }
    }
}
