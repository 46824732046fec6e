//! What is open under a key ends when the key goes, or has less rights.

use std::time::{Duration, Instant};

use gaffer::access::{Access, NewUser, Permissions, Who};
use gaffer::process::JobConfig;
use gaffer::proto::frame::{Frame, Kind};
use gaffer::proto::ws::{CloseCode, Event};
use gaffer::server::{Needs, Reply, Streamed};
use serde_json::{Value, json};

use crate::keys::Guarded;
use crate::node::{Client, PATIENCE};
use crate::wsclient::Ws;

/// Kinds of keys.
const ADMIN: usize = 0;
const READER: usize = 3;
const OF_A: usize = 6;

impl Guarded {
    /// A feed under a key, after its head.
    fn feed(&self, key: &str, path: &str) -> Client {
        let mut client = self.node.connect();
        client.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {key}\r\n\r\n"));
        assert_eq!(client.head().status, 200, "{path}");
        client
    }

    fn key(&self, rights: Value) -> (String, String) {
        let rights = Permissions::from_json(&rights).expect("rights");
        let new = self.access.create_key(&Who::Trusted, rights, "", None).expect("a key");
        (new.key, new.id)
    }

    fn remove(&self, id: &str) {
        self.access.remove_key(&Who::Trusted, id).expect("it was there");
    }

    fn event(&self, name: &'static str) {
        let job = JobConfig::new(name, "true").expect("valid");
        self.node.handle.call(move |cx| cx.load(job, false).map(drop)).expect("it runs").expect("it loads");
        self.node.handle.call(move |cx| cx.unload(name)).expect("it runs").expect("it was there");
    }

    #[track_caller]
    fn audited(&self, text: &str) {
        let lines = self.audit.lock().expect("fine");
        assert!(lines.iter().any(|line| line.contains(text)), "{text}: {lines:#?}");
    }
}

fn reason(id: &str) -> String {
    format!("key {id} is not good any more")
}

#[test]
fn feeds_end_and_say_why() {
    let node = Guarded::new();
    let (key, id) = node.key(json!({"read": ["*"]}));
    let (key, id) = (key.as_str(), id.as_str());
    let mut sse = node.feed(key, "/watch?feed=eventsource");
    let mut lines = node.feed(key, "/watch/create?feed=continuous");
    let mut one = node.feed(key, "/watch/flap?feed=longpoll");
    let mut figures = node.feed(key, "/stats?feed=eventsource&interval=1000");
    let mut raw = node.feed(key, "/streams/1/out?feed=continuous");
    let mut text = node.feed(key, "/streams/1/out?feed=eventsource");
    let mut other = node.feed(&node.keys[READER].0, "/watch/create?feed=continuous");
    node.remove(id);
    let error = json!({"error": "forbidden", "reason": reason(id), "errno": 403});
    for feed in [&mut sse, &mut figures, &mut text] {
        let all = String::from_utf8(std::iter::from_fn(|| feed.chunk()).flatten().collect()).expect("text");
        let data = all.split("event: error\ndata: ").nth(1).unwrap_or_else(|| panic!("{all}"));
        assert_eq!(serde_json::from_str::<Value>(data.trim_end()).expect("JSON"), error);
    }
    for feed in [&mut lines, &mut one] {
        let all: Vec<u8> = std::iter::from_fn(|| feed.chunk()).flatten().collect();
        assert_eq!(serde_json::from_slice::<Value>(&all).expect("JSON"), error);
    }
    // Raw output has no words: its end is missing.
    assert_eq!(raw.rest(), b"");
    // The connection of one that has ended well is of use, but not that key.
    sse.send(&format!("GET /jobs/default/a HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {key}\r\n\r\n"));
    assert_eq!(sse.answer().status, 403);
    node.event("late");
    assert!(String::from_utf8_lossy(&other.chunk().expect("it goes on")).contains("late"));
    node.audited(&format!("refused key {id}: GET /watch, under way from 127.0.0.1: {}", reason(id)));
    node.audited("GET /streams/1/out, under way");
    assert!(!node.audit.lock().expect("fine").iter().any(|line| line.contains(key)));
}

#[test]
fn websockets_end_with_1008() {
    let node = Guarded::new();
    let (key, id) = node.key(json!({"write": ["default.a"]}));
    let message = |body: &str| {
        let mut wire = Vec::new();
        Frame::new(Kind::Message, "1", body.as_bytes()).encode(&mut wire);
        String::from_utf8(wire).expect("text")
    };
    let mut sockets = Vec::new();
    for path in ["/wstreams/1", "/1/channel", "/channel/websocket"] {
        sockets.push((path, Ws::with_key(&node.node, path, &key)));
        let mut ws = Ws::new(&node.node, path);
        let auth = format!("AUTH:{key}");
        ws.text(if path == "/1/channel" { message(&auth) } else { auth }.as_str());
        sockets.push((path, ws));
    }
    // Whatever was said first was heard.
    for (path, ws) in &mut sockets {
        match *path {
            "/wstreams/1" => ws.text("x\n"),
            "/1/channel" => ws.text(&message("x\n")),
            _ => ws.subscribe("JOB:a"),
        }
    }
    for (path, ws) in sockets.iter_mut().filter(|(path, _)| *path != "/channel/websocket") {
        loop {
            match ws.next() {
                Some(Event::Text(text)) if text.ends_with("x\n") => break,
                Some(Event::Text(_)) => {}
                other => panic!("{path}: {other:?}"),
            }
        }
    }
    node.remove(&id);
    for (path, ws) in &mut sockets {
        let close = loop {
            match ws.next() {
                Some(Event::Close(close)) => break close,
                Some(Event::Text(text)) => assert!(!text.contains("gaffer:event"), "{path}: {text}"),
                other => panic!("{path}: {other:?}"),
            }
        };
        assert_eq!((close.code, &*close.reason), (Some(CloseCode::POLICY), &*reason(&id)), "{path}");
    }
    for what in ["GET /wstreams/1, under way", "/1/channel, under way", "the channel, under way"] {
        node.audited(&format!("{what} from 127.0.0.1"));
    }
}

#[test]
fn the_first_message_of_wstreams_is_a_key() {
    let node = Guarded::new();
    for (first, why) in [
        ("hello\n".to_owned(), "a key is needed"),
        ("AUTH:nonsense".to_owned(), "this key is not known here"),
        (format!("AUTH:{}", node.keys[7].0), "the right write on default.a is needed"),
    ] {
        let mut ws = Ws::new(&node.node, "/wstreams/1");
        ws.text(&first);
        match ws.next() {
            Some(Event::Close(close)) => {
                assert!(close.code == Some(CloseCode::POLICY) && close.reason.starts_with(why), "{first}: {close:?}");
            }
            other => panic!("{first}: {other:?}"),
        }
    }
    // Which processes there are, nobody learns without a key.
    let mut ws = Ws::new(&node.node, "/wstreams/999");
    ws.text(&format!("AUTH:{}", node.keys[7].0));
    assert_eq!(ws.close_code(), Some(CloseCode::POLICY));
    let mut ws = Ws::new(&node.node, "/wstreams/1");
    ws.text(&format!("AUTH: {} \n", node.keys[OF_A].0));
    ws.text("AUTH:this is input\n");
    assert!(matches!(ws.next(), Some(Event::Text(text)) if text == "AUTH:this is input\n"));
    assert_eq!(node.with(OF_A, "GET", "/wstreams/2", "").status, 403);
    node.audited("allowed key ");
}

#[test]
fn sessions_of_sockjs_end_with_3403() {
    let node = Guarded::new();
    let (key, id) = node.key(json!({"read": ["*"]}));
    let field = format!("X-Api-Key: {key}\r\n");
    assert_eq!(node.ask("POST", "/channel/0/poll/xhr", &field, "").text(), "o\n");
    assert_eq!(node.ask("POST", "/channel/0/said/xhr", "", "").text(), "o\n");
    let auth = json!([format!("AUTH:{key}")]).to_string();
    assert_eq!(node.ask("POST", "/channel/0/said/xhr_send", "", &auth).status, 204);
    let mut held = node.node.connect();
    held.send("POST /channel/0/said/xhr HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    let mut ws = Ws::with_key(&node.node, "/channel/0/ws/websocket", &key);
    assert!(matches!(ws.next(), Some(Event::Text(text)) if text == "o"));
    let close = format!("c[3403,\"{}\"]", reason(&id));
    // The request that holds the session may come after the end: it is told then.
    node.remove(&id);
    assert_eq!(held.answer_to("POST").text(), format!("{close}\n"));
    assert_eq!(node.ask("POST", "/channel/0/poll/xhr", "", "").text(), format!("{close}\n"));
    assert!(matches!(ws.next(), Some(Event::Text(text)) if text == close));
    assert_eq!(ws.close_code().map(CloseCode::get), Some(3403));
    node.audited("the channel, under way");
}

/// Rewrites the file as another process would.
fn rewrite(node: &Guarded, change: impl FnOnce(&mut Value)) {
    let file = node.folder.join("access.json");
    let mut value = serde_json::from_slice(&std::fs::read(&file).expect("a file")).expect("JSON");
    change(&mut value);
    let new = node.folder.join("other");
    std::fs::write(&new, value.to_string()).expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&new, mode).expect("ours");
    std::fs::rename(new, file).expect("in its place");
}

#[test]
fn rights_that_shrink() {
    let node = Guarded::new();
    let (key, id) = node.key(json!({"manage": ["*"]}));
    let mut all = node.feed(&key, "/watch?feed=eventsource");
    let mut a = node.feed(&key, "/streams/1/out?feed=continuous");
    let mut input = Ws::with_key(&node.node, "/1/channel", &key);
    let mut channel = Ws::with_key(&node.node, "/channel/websocket", &key);
    for topic in ["JOB:a", "job:b", "PROCESS:2", "EVENTS"] {
        channel.subscribe(topic);
    }
    rewrite(&node, |file| file["keys"][&id]["permissions"] = json!({"read": ["default.a"]}));
    node.access.reload().expect("a good file");
    let text = String::from_utf8(std::iter::from_fn(|| all.chunk()).flatten().collect()).expect("text");
    assert!(text.contains("event: error\ndata: ") && text.contains("the right read is needed"), "{text}");
    let ended: Vec<Value> = (0..3).map(|_| channel.json()).collect();
    for (message, topic) in ended.iter().zip(["job:b", "PROCESS:2", "EVENTS"]) {
        assert_eq!((&message["event"], &message["topic"]), (&json!("gaffer:subscription_error"), &json!(topic)));
        assert_eq!(message["data"]["errno"], 403);
    }
    assert_eq!(channel.say("UNSUB", json!({"topic": "EVENTS"}))["data"]["error"], Value::Null);
    assert!(matches!(input.next(), Some(Event::Text(text)) if text.contains("the right write on default.a is needed")));
    assert_eq!(input.close_code(), Some(CloseCode::POLICY));
    // What is still allowed goes on.
    node.node.handle.call(|cx| cx.send(gaffer::process::Pid(1), None, b"there\n")).expect("it runs").expect("input");
    assert_eq!(a.chunk().expect("output"), b"there\n");
    node.node.handle.call(|cx| cx.stop_job("a")).expect("it runs").expect("it was there");
    assert_eq!(channel.event(|event| event["event"] == "stop")["topic"], "JOB:a");
}

#[test]
fn a_weaker_key_does_not_keep_what_a_stronger_one_has_subscribed() {
    let node = Guarded::new();
    let mut ws = Ws::with_key(&node.node, "/channel/websocket", &node.keys[READER].0);
    ws.subscribe("EVENTS");
    ws.subscribe("JOB:a");
    ws.text(&format!("AUTH:{}", node.keys[OF_A].0));
    let message = ws.json();
    assert_eq!((&message["event"], &message["topic"]), (&json!("gaffer:subscription_error"), &json!("EVENTS")));
    node.event("tick");
    node.node.handle.call(|cx| cx.stop_job("a")).expect("it runs").expect("it was there");
    assert_eq!(ws.event(|_| true)["topic"], "JOB:a");
}

#[test]
fn what_another_process_has_removed_is_seen_with_the_next_event() {
    let node = Guarded::new();
    let (key, id) = node.key(json!({"read": ["*"]}));
    let mut feed = node.feed(&key, "/watch/create?feed=eventsource");
    Access::open(node.folder.join("access.json")).expect("the same").remove_key(&Who::Trusted, &id).expect("a key");
    let start = Instant::now();
    let ended = loop {
        node.event("tick");
        let piece = String::from_utf8(feed.chunk().expect("an event, or why not")).expect("text");
        if piece.contains("event: error") {
            break piece;
        }
        assert!(start.elapsed() < PATIENCE, "it goes on");
        std::thread::yield_now();
    };
    assert!(ended.contains(&reason(&id)), "{ended}");
    assert!(feed.chunk().is_none());
    // A file that makes no sense changes nothing, for nobody.
    std::fs::write(node.folder.join("access.json"), "{").expect("a file");
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1100) {
        assert_eq!(node.with(READER, "GET", "/jobs/default/a", "").status, 200);
    }
}

#[test]
fn users_and_parents_take_theirs_along() {
    let node = Guarded::new();
    let (_, id) = node.key(json!({"read": ["*"]}));
    node.access.create_user(&Who::Trusted, "eve", "secret", NewUser::new(1, Some(id))).expect("eve");
    let login = node.access.login("eve", "secret", "here").expect("the right one");
    let mut feed = node.feed(&login.key, "/watch?feed=eventsource");
    assert_eq!(node.with(ADMIN, "DELETE", "/users/eve", "").status, 200);
    let text = String::from_utf8(std::iter::from_fn(|| feed.chunk()).flatten().collect()).expect("text");
    assert!(text.contains(&reason(&login.id)), "{text}");
    let (parent, id) = node.key(json!({"create_key": true, "read": ["*"]}));
    let who = node.access.identify(&parent).expect("a key");
    let rights = Permissions::from_json(&json!({"read": ["*"]})).expect("rights");
    let child = node.access.create_key(&who, rights, "", None).expect("a key");
    let mut feed = node.feed(&child.key, "/watch?feed=eventsource");
    // It may remove itself, and is told that it has.
    assert_eq!(node.ask("DELETE", "/keys/self", &format!("X-Api-Key: {parent}\r\n"), "").status, 200, "{id}");
    assert!(
        String::from_utf8(std::iter::from_fn(|| feed.chunk()).flatten().collect()).expect("text").contains("error")
    );
}

#[test]
fn answers_that_are_still_to_come() {
    let node = Guarded::serving(|server| {
        let never = |_: &mut gaffer::server::Call<'_, '_>| Ok(Reply::Later(Box::new(|_| {})));
        server.route_for(Needs::Key, "GET", "/never", never).expect("a route");
        let endless = |_: &mut gaffer::server::Call<'_, '_>| {
            Ok(Reply::Streamed(Streamed::new(200, 1 << 30, std::io::repeat(b'x'))))
        };
        server.route_for(Needs::Key, "GET", "/endless", endless).expect("a route");
    });
    let (key, id) = node.key(json!({}));
    let ask = |path: &str| {
        let mut client = node.node.connect();
        client.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {key}\r\n\r\n"));
        client
    };
    let mut waiting = ask("/never");
    let mut endless = ask("/endless");
    assert_eq!(endless.head().status, 200);
    // One that was taken up after it has been answered, so it was taken up as well.
    assert_eq!(node.ask("GET", "/keys/self", &format!("X-Api-Key: {key}\r\n"), "").status, 200);
    node.remove(&id);
    let answer = waiting.answer();
    assert_eq!((answer.status, &answer.json()["reason"]), (403, &json!(reason(&id))));
    assert!(endless.rest().len() < 1 << 30);
}
