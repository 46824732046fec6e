//! The protocol of nodes by hand.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use gaffer::client::LookupServer;
use gaffer::process::{OsPid, Signal};
use gaffer::proto::ws::client::Handshake;
use gaffer::proto::ws::{Connection, Event, Limits, Masks};
use gaffer::sys;
use serde_json::{Value, json};

use crate::util::{Daemon, Folder, eventually};

pub(crate) struct Node {
    stream: TcpStream,
    connection: Connection,
    input: Vec<u8>,
}

impl Node {
    pub(crate) fn connect(address: &str) -> Self {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(90))).expect("a time");
        let handshake = Handshake::new(address, "/ws", [7; 16]).expect("a request");
        let mut out = Vec::new();
        handshake.write(&mut out);
        stream.write_all(&out).expect("it is sent");
        let connection = Connection::client(Limits::default(), Masks::seeded(1));
        let mut node = Self { stream, connection, input: Vec::new() };
        loop {
            if let Some(length) = handshake.read_answer(&node.input).expect("a websocket") {
                node.input.drain(..length);
                return node;
            }
            node.read();
        }
    }

    fn read(&mut self) {
        let mut buffer = [0; 4096];
        let n = loop {
            match self.stream.read(&mut buffer) {
                // signal(7): a socket with a time-out tells so where the process was stopped and goes on.
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other.expect("bytes"),
            }
        };
        assert!(n > 0, "the connection goes on");
        self.input.extend_from_slice(&buffer[..n]);
    }

    pub(crate) fn say(&mut self, text: &str) -> Value {
        let mut out = Vec::new();
        self.connection.text(text, &mut out).expect("it is open");
        self.stream.write_all(&out).expect("it is sent");
        loop {
            let fed = self.connection.feed(&self.input);
            self.input.drain(..fed.used);
            match fed.out.expect("frames") {
                Some(Event::Text(text)) => return serde_json::from_str(&text).expect("JSON"),
                Some(_) => {}
                None => self.read(),
            }
        }
    }
}

/// More than one response of an event source holds: the session goes on in the next one.
#[test]
fn no_event_is_lost_between_responses() {
    const ROUNDS: usize = 1000;
    let mut lookupd = Daemon::lookupd(&["--bind", "127.0.0.1:0"]);
    let address = lookupd.address();
    let events = LookupServer::new(&address).expect("an address").events().expect("a session");
    // It reads all the time: who does not come back for the next response in time has no session any more.
    let names = std::thread::spawn(move || {
        let names = events.take(2 + 2 * ROUNDS).map(|event| event.expect("an event").event);
        names.collect::<Vec<String>>()
    });
    let mut node = Node::connect(&address);
    node.say(r#"{"type": "IDENTIFY", "msgid": 0, "name": "n", "origin": "http://n:1", "version": "0.1"}"#);
    for _ in 0..ROUNDS {
        for kind in ["REGISTER_JOB", "UNREGISTER_JOB"] {
            let answer = node.say(&json!({"type": kind, "msgid": 1, "job_name": "session.job"}).to_string());
            assert_eq!(answer["ok"], true);
        }
    }
    let names = names.join().expect("all events");
    assert_eq!(names[..2], ["add_node", "identify"]);
    assert!(names[2..].chunks(2).all(|pair| *pair == ["add_job", "remove_job"]));
}

#[test]
fn in_the_background() {
    let folder = Folder::new();
    let (socket, pidfile) = (format!("unix:{}", folder.text("l.sock")), folder.text("pid"));
    let args = ["--daemon", "--pidfile", &pidfile, "--bind", &socket, "--error-log", &folder.text("log")];
    let status = Command::new(env!("CARGO_BIN_EXE_gaffer_lookupd")).args(args).status().expect("it runs");
    let pid: i32 = std::fs::read_to_string(&pidfile).expect("a pid file").trim().parse().expect("a pid");
    let lookup = LookupServer::new(&socket).expect("an address");
    let (answer, log) = (lookup.ping(), std::fs::read_to_string(folder.text("log")).expect("a log"));
    assert_eq!(sys::signal_process(OsPid(pid), Signal::TERM).expect("a signal"), sys::Sent::Sent);
    eventually("its end", || (!std::fs::exists(&pidfile).ok()?).then_some(()));
    answer.expect("it listens before its parent ends");
    assert!(status.success() && log.contains("ready: listening on unix:"), "{log}");
}

#[test]
fn a_public_address_is_refused() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_gaffer_lookupd")).args(["--bind", "0.0.0.0:0"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("0.0.0.0:0"), "{said}");
}

#[test]
fn every_message_has_its_answer() {
    let mut lookupd = Daemon::lookupd(&["--bind", "127.0.0.1:0"]);
    let address = lookupd.address();
    let lookup = LookupServer::new(&address).expect("an address");
    let mut node = Node::connect(&address);
    assert_eq!(lookup.nodes().expect("an answer"), [], "it has not said who it is");
    let job = json!({"type": "REGISTER_JOB", "msgid": "j", "job_name": "a.b"}).to_string();
    let unjob = json!({"type": "UNREGISTER_JOB", "msgid": "u", "job_name": "a.b"}).to_string();
    let process = json!({"type": "REGISTER_PROCESS", "msgid": 3, "job_name": "a.b", "pid": 1}).to_string();
    let unprocess = json!({"type": "UNREGISTER_PROCESS", "msgid": 4, "job_name": "a.b", "pid": 1}).to_string();
    let identify =
        json!({"type": "IDENTIFY", "msgid": 0, "name": "n", "origin": "http://n:1", "version": "0.1"}).to_string();
    let ok = |id: Value| json!({"ok": true, "msgid": id});
    for (text, want) in [
        ("{", json!({"errno": 400, "reason": "invalid_json", "msgid": null})),
        ("[]", json!({"errno": 400, "reason": "invalid_message", "msgid": null})),
        (r#"{"type":"PING"}"#, json!({"errno": 400, "reason": "invalid_message", "msgid": null})),
        (r#"{"type":"X","msgid":1}"#, json!({"errno": 400, "reason": "invalid_message_type", "msgid": null})),
        (r#"{"type":"REGISTER_JOB","msgid":1}"#, json!({"errno": 400, "reason": "invalid_message", "msgid": 1})),
        (&job, json!({"errno": 404, "reason": "need to send IDENTIFY message first", "msgid": "j"})),
        (r#"{"type":"PING","msgid":"p"}"#, ok(json!("p"))),
        (&identify, ok(json!(0))),
        (&identify, json!({"errno": 409, "reason": "the node has identified itself already", "msgid": 0})),
        (&process, json!({"errno": 404, "reason": "job 'a.b' is not registered", "msgid": 3})),
        (&job, ok(json!("j"))),
        (&job, json!({"errno": 409, "reason": "job 'a.b' is already registered", "msgid": "j"})),
        (&process, ok(json!(3))),
        (&process, ok(json!(3))),
        (&unprocess, ok(json!(4))),
        (&unjob, ok(json!("u"))),
        (&unjob, ok(json!("u"))),
        (&unprocess, json!({"errno": 404, "reason": "job 'a.b' is not registered", "msgid": 4})),
    ] {
        assert_eq!(node.say(text), want, "{text}");
    }
    let mut other = Node::connect(&address);
    let twin = other.say(&identify);
    assert_eq!((twin["errno"].as_u64(), twin["msgid"].as_u64()), (Some(409), Some(0)));
    assert_eq!(lookup.nodes().expect("an answer").len(), 1);
    drop(node);
    eventually("the node is gone", || lookup.nodes().ok()?.is_empty().then_some(()));
    assert_eq!(other.say(&identify), ok(json!(0)), "its place is free");
}
