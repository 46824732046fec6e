//! The protocol of nodes by hand.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
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

    /// How the server ends it.
    fn goodbye(&mut self) -> (u16, String) {
        loop {
            let fed = self.connection.feed(&self.input);
            self.input.drain(..fed.used);
            match fed.out.expect("frames") {
                Some(Event::Close(close)) => return (close.code.expect("a code").get(), close.reason),
                Some(_) => {}
                None => self.read(),
            }
        }
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

/// By what it shows, a node takes the place of its old connection, of which nothing was heard yet.
#[test]
fn a_node_is_back_before_it_was_missed() {
    let mut lookupd = Daemon::lookupd(&["--bind", "127.0.0.1:0"]);
    let address = lookupd.address();
    let lookup = LookupServer::new(&address).expect("an address");
    let mut events = lookup.events().expect("a session");
    let identify = |instance: Option<&str>| {
        let mut message =
            json!({"type": "IDENTIFY", "msgid": 0, "name": "n", "origin": "http://n:1", "version": "0.1"});
        if let Some(instance) = instance {
            message["instance"] = instance.into();
        }
        message.to_string()
    };
    let register = |name: &str| json!({"type": "REGISTER_JOB", "msgid": 1, "job_name": name}).to_string();
    const ID: &str = "00112233445566778899aabbccddeeff";
    let mut old = Node::connect(&address);
    for text in [identify(Some(ID)), register("s.stays"), register("s.goes"), r#"{"type":"PING","msgid":1}"#.into()] {
        assert_eq!(old.say(&text)["ok"], true);
    }
    let mut thief = Node::connect(&address);
    for guess in [None, Some("00112233445566778899aabbccddeefe")] {
        assert_eq!(thief.say(&identify(guess))["errno"], 409);
    }
    for none in ["", "0", &ID[..31], "00112233-445566778899aabbccddeef"] {
        assert_eq!(thief.say(&identify(Some(none)))["reason"], "invalid_message");
    }
    let mut new = Node::connect(&address);
    assert_eq!(new.say(&identify(Some(ID)))["ok"], true);
    assert_eq!(old.goodbye(), (1001, "the node has another connection now".to_owned()));
    for text in [register("s.stays"), register("s.new"), r#"{"type":"PING","msgid":2}"#.into()] {
        assert_eq!(new.say(&text)["ok"], true);
    }
    let told = events.by_ref().take(6).map(|event| event.expect("an event"));
    let told: Vec<String> = told.map(|event| format!("{} {}", event.event, event.job().unwrap_or_default())).collect();
    assert_eq!(told[2..], ["add_job s.stays", "add_job s.goes", "add_job s.new", "remove_job s.goes"]);
    drop(new);
    let rest: Vec<String> = events.take(3).map(|event| event.expect("an event").event).collect();
    assert_eq!(rest, ["remove_job", "remove_job", "remove_node"]);
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

/// An answer with its head.
fn get(address: &str, path: &str, fields: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).expect("it takes it");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn figures() {
    let mut lookupd = Daemon::lookupd(&["--bind", "127.0.0.1:0"]);
    let address = lookupd.address();
    let _events = LookupServer::new(&address).expect("an address").events().expect("a session");
    let (mut node, _nobody) = (Node::connect(&address), Node::connect(&address));
    for text in [
        json!({"type": "IDENTIFY", "msgid": 0, "name": "n", "origin": "http://n:1", "version": "0.1"}),
        json!({"type": "REGISTER_JOB", "msgid": 0, "job_name": "a.b"}),
        json!({"type": "REGISTER_JOB", "msgid": 0, "job_name": "a.b"}),
        json!({"type": "REGISTER_PROCESS", "msgid": 0, "job_name": "a.b", "pid": 1}),
        json!({"type": "REGISTER_PROCESS", "msgid": 0, "job_name": "a.b", "pid": 2}),
        json!({"type": "REGISTER_PROCESS", "msgid": 0, "job_name": "a.c", "pid": 2}),
    ] {
        node.say(&text.to_string());
    }
    let page = get(&address, "/metrics", "");
    let (head, page) = page.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains("application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
    for line in [
        "gaffer_lookup_nodes 1",
        "gaffer_lookup_jobs 1",
        "gaffer_lookup_processes 2",
        "gaffer_lookup_node_connections 2",
        "gaffer_lookup_listeners 1",
        "gaffer_lookup_messages_total 6",
        "gaffer_lookup_messages_refused_total{errno=\"404\"} 1",
        "gaffer_lookup_messages_refused_total{errno=\"409\"} 1",
        "gaffer_lookup_nodes_returned_total 0",
        "gaffer_lookup_nodes_silent_total 0",
        "gaffer_lookup_requests_refused_total{status=\"401\"} 0",
        "# TYPE gaffer_turn_seconds histogram",
        "# TYPE process_resident_memory_bytes gauge",
    ] {
        assert!(page.lines().any(|l| l == line), "{line}: {page}");
    }
    assert!(page.ends_with("# EOF\n") && !page.contains("registry"), "{page}");
    // Each sample is of the family before it, and each family comes once.
    let mut families = std::collections::HashSet::new();
    let mut family = "";
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next()) {
            assert!(families.insert(name), "{line}");
            family = name;
        }
        assert!(line.starts_with('#') || line.starts_with(family), "{line}");
    }
}

/// They are for those who may read.
#[test]
fn figures_have_a_door() {
    let folder = Folder::new();
    let keys = folder.write_text("keys", "the-key-of-the-nodes\n");
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let mut lookupd = Daemon::lookupd(&["--bind", "127.0.0.1:0", "--key-file", &keys]);
    let address = lookupd.address();
    let status = |fields: &str| get(&address, "/metrics", fields).split(' ').nth(1).map(str::to_owned);
    assert_eq!(status("").as_deref(), Some("401"));
    assert_eq!(status("X-Api-Key: another\r\n").as_deref(), Some("403"));
    let page = get(&address, "/metrics", "X-Api-Key: the-key-of-the-nodes\r\n");
    for status in [401, 403] {
        let line = format!("gaffer_lookup_requests_refused_total{{status=\"{status}\"}} 1\n");
        assert!(page.contains(&line), "{page}");
    }
}
