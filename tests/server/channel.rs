//! `/channel/websocket`: commands and topics. What each does is tested without sockets, in the library.

use std::time::Instant;

use gaffer::process::{JobConfig, Restart};
use gaffer::proto::ws::Event;
use gaffer::server::Config;
use serde_json::json;

use crate::node::{Node, PATIENCE};
use crate::wsclient::Ws;

fn channel(node: &Node) -> Ws {
    Ws::new(node, "/channel/websocket")
}

/// Waits until so many listen to events, output and figures.
#[track_caller]
fn wait_listeners(node: &Node, want: (usize, usize, usize)) {
    let start = Instant::now();
    loop {
        let call = node.handle.call(|cx| (cx.events().subscriptions(), cx.taps(), cx.monitors()));
        let found = call.expect("it runs");
        if found == want {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "listeners: {found:?}, not {want:?}");
        std::thread::yield_now();
    }
}

#[test]
fn commands_and_their_errors() {
    let node = Node::api(Config::default());
    let mut ws = channel(&node);
    ws.text(r#"{"event": "NOP"}"#);
    let job = json!({"name": "Web", "cmd": "sleep 1000", "numprocesses": 2});
    assert_eq!(ws.command("load", json!([job]))["result"], json!({"ok": true}));
    assert_eq!(ws.command("jobs", json!([]))["result"], json!({"jobs": ["default.Web"]}));
    assert_eq!(ws.command("pids", json!(["Web"]))["result"]["pids"], json!([1, 2]));
    assert_eq!(ws.command("scale", json!(["Web", "-1"]))["result"], json!({"numprocesses": 1}));
    // Sampled, so it comes some turns later.
    assert_eq!(ws.command("stats", json!(["Web"]))["result"]["stats"]["name"], "default.Web");
    let error = ws.command("load", json!([job]));
    assert_eq!((&error["error"]["errno"], &error["error"]["reason"]), (&json!(409), &json!("process_conflict")));
    assert_eq!(ws.command("info", json!(["web"]))["error"]["reason"], "not_found");
    assert_eq!(ws.command("fly", json!([]))["error"]["reason"], "command_not_found");
    ws.text("{");
    assert_eq!(ws.json()["data"]["reason"], "invalid_json");
    ws.binary(b"\xff");
    assert_eq!(ws.json()["data"]["reason"], "invalid_json");
    ws.binary(br#"{"event": "CMD", "data": {"identity": 1, "name": "sessions"}}"#);
    assert_eq!(ws.json()["data"]["result"], json!({"sessions": ["default"]}));
    // A plain request learns what is wanted.
    assert_eq!(node.ask("GET", "/channel/websocket").status, 426);
}

#[test]
fn topics_follow_what_comes_later_and_end() {
    let node = Node::api(Config::default());
    wait_listeners(&node, (0, 0, 0));
    let (mut ws, mut other) = (channel(&node), channel(&node));
    for topic in ["EVENTS:exit", "JOB:Web", "PROCESS:Web"] {
        ws.subscribe(topic);
        other.subscribe(topic);
    }
    wait_listeners(&node, (3, 0, 0));
    node.load("Web", "echo ready; exec head -n 1");
    ws.event(|data| data["topic"] == "JOB:Web" && data["event"] == "spawn" && data["pid"] == 1);
    other.event(|data| data["topic"] == "PROCESS:Web" && data["event"] == "spawn");
    for topic in ["PROCESS:1", "STATS:Web", "STATS:1", "STREAM:1", "STREAM:1.err"] {
        ws.subscribe(topic);
    }
    assert_eq!(ws.say("SUB", json!({"topic": "STREAM:1.nope"}))["data"]["reason"], "stream_not_found");
    ws.event(|data| data["topic"] == "STATS:1" && data["event"] == "stat" && data["rss"].is_u64());
    assert_eq!(ws.command("send", json!([1, "bye\n"]))["result"], json!({"ok": true}));
    let mut output = String::new();
    ws.event(|data| {
        output += data["data"].as_str().filter(|_| data["topic"] == "STREAM:1").unwrap_or_default();
        output.ends_with("bye\n")
    });
    let exit = ws.event(|data| data["topic"] == "PROCESS:1" && data["event"] == "exit");
    assert_eq!((&exit["exit_status"], &exit["name"]), (&json!(0), &json!("default.Web")));
    other.event(|data| data["topic"] == "EVENTS:exit" && data["event"] == "exit");

    for topic in
        ["EVENTS:exit", "JOB:Web", "PROCESS:Web", "PROCESS:1", "STATS:Web", "STATS:1", "STREAM:1", "STREAM:1.err"]
    {
        ws.unsubscribe(topic);
    }
    assert_eq!(ws.say("UNSUB", json!({"topic": "STATS:1"}))["event"], "gaffer:subscription_error");
    wait_listeners(&node, (3, 0, 0));
    // A connection that is cut takes its subscriptions with it.
    drop(other);
    wait_listeners(&node, (0, 0, 0));
    assert_eq!(ws.command("sessions", json!([]))["result"], json!({"sessions": ["default"]}));
}

/// A client that does not read does not hold the process up, and is told what it has missed.
#[test]
fn a_stalled_client_is_told_of_its_gap() {
    const BYTES: usize = 32 << 20;
    let node = Node::api(Config::default().unsent(1 << 20));
    let flood = format!("read go; head -c {BYTES} /dev/zero | tr '\\0' x; echo last");
    let job = JobConfig::new("flood", flood).expect("valid").shell(true).redirect_input(true);
    let job = job.redirect_output(["out"]).restart(Restart::Never);
    node.handle.call(move |cx| cx.load(job, true).map(drop)).expect("it runs").expect("it loads");
    let mut ws = channel(&node);
    while ws.command("process_info", json!([1]))["result"]["info"]["os_pid"].is_null() {}
    ws.subscribe("STREAM:1");
    ws.subscribe("JOB:flood");
    assert_eq!(ws.command("send", json!([1, "go\n"]))["result"], json!({"ok": true}));
    let start = Instant::now();
    while node.handle.call(|cx| cx.has_stream(gaffer::process::Pid(1), "out")).expect("it runs") {
        assert!(start.elapsed() < PATIENCE, "the process waits for the client");
        std::thread::yield_now();
    }
    let (mut got, mut dropped) = (0, 0);
    while dropped == 0 {
        let message = ws.json();
        match message["event"].as_str() {
            Some("gaffer:event") => got += message["data"]["data"].as_str().map_or(0, str::len),
            Some("gaffer:gap") => dropped = message["data"]["dropped"].as_u64().expect("a number"),
            _ => panic!("{message}"),
        }
    }
    assert!(got < BYTES && dropped > 1, "{got} bytes came, {dropped} messages did not");
    // Then it goes on.
    assert_eq!(ws.command("scale", json!(["flood", "=0"]))["result"], json!({"numprocesses": 0}));
    ws.event(|data| data["topic"] == "JOB:flood" && data["event"] == "update");
    wait_listeners(&node, (1, 1, 0));
}

#[test]
fn the_server_says_goodbye() {
    let node = Node::api(Config::default());
    let mut ws = channel(&node);
    ws.subscribe("EVENTS");
    node.handle.stop().expect("it runs");
    assert!(matches!(ws.next(), Some(Event::Close(close)) if close.code.map(|code| code.get()) == Some(1001)));
}
