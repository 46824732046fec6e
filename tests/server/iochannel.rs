//! `/<pid>/channel`, and custom streams by HTTP.

use std::time::Instant;

use gaffer::process::{JobConfig, Pid, Restart};
use gaffer::proto::frame::{Frame, Kind};
use gaffer::proto::ws::{CloseCode, Event};
use gaffer::server::Config;
use serde_json::{Value, json};

use crate::node::{Node, PATIENCE};
use crate::wsclient::Ws;

/// A node with a process 1 that has started.
fn node_with(job: JobConfig) -> Node {
    let node = Node::api(Config::default());
    node.handle.call(move |cx| cx.load(job, true).map(drop)).expect("it runs").expect("it loads");
    let start = Instant::now();
    while node.handle.call(|cx| cx.process(Pid(1)).is_ok_and(|p| p.os_pid.is_none())).expect("it runs") {
        assert!(start.elapsed() < PATIENCE, "it does not start");
    }
    node
}

fn cat() -> JobConfig {
    let job = JobConfig::new("cat", "cat").expect("valid");
    job.redirect_input(true).redirect_output(["out", "err"]).restart(Restart::Never)
}

struct Channel(Ws);

impl Channel {
    fn new(node: &Node, path: &str) -> Self {
        Self(Ws::new(node, path))
    }

    fn write(&mut self, id: &str, body: &[u8]) {
        let mut wire = Vec::new();
        Frame::new(Kind::Message, id, body).encode(&mut wire);
        match String::from_utf8(wire) {
            Ok(text) => self.0.text(&text),
            Err(e) => self.0.binary(e.as_bytes()),
        }
    }

    /// Kind, id and body of the next frame, and whether it came as text.
    fn frame(&mut self) -> (Kind, String, Vec<u8>, bool) {
        let (bytes, is_text) = match self.0.next() {
            Some(Event::Text(text)) => (text.into_bytes(), true),
            Some(Event::Binary(bytes)) => (bytes, false),
            other => panic!("{other:?}"),
        };
        let frame = Frame::decode(&bytes).expect("a frame");
        (frame.kind, frame.id.to_owned(), frame.body.to_vec(), is_text)
    }

    #[track_caller]
    fn is_taken(&mut self, id: &str) {
        let (kind, found, body, is_text) = self.frame();
        assert_eq!((kind, &*found, &*body, is_text), (Kind::Response, id, &b"OK"[..], true));
    }

    /// Output until so much has come, and whether all of it was text.
    #[track_caller]
    fn output(&mut self, length: usize) -> (Vec<u8>, bool) {
        let (mut all, mut all_text) = (Vec::new(), true);
        while all.len() < length {
            let (kind, id, body, is_text) = self.frame();
            assert_eq!((kind, id.len()), (Kind::Message, 32), "{}", String::from_utf8_lossy(&body));
            all.extend(body);
            all_text &= is_text;
        }
        (all, all_text)
    }

    /// The body of an error.
    #[track_caller]
    fn error(&mut self, id: &str) -> (String, u64) {
        let (kind, found, body, _) = self.frame();
        assert_eq!((kind, &*found), (Kind::Error, id), "{}", String::from_utf8_lossy(&body));
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(body["reason"].is_string());
        (body["error"].as_str().expect("a word").to_owned(), body["errno"].as_u64().expect("a number"))
    }
}

#[test]
fn an_echo_of_text_and_of_bytes() {
    let node = node_with(cat());
    let mut channel = Channel::new(&node, "/1/channel");
    channel.write("a1", "héllo\n".as_bytes());
    channel.is_taken("a1");
    assert_eq!(channel.output(7), ("héllo\n".as_bytes().to_vec(), true));
    // A NUL in a body is a byte like others.
    channel.write("a2", b"a\0b\n");
    channel.is_taken("a2");
    assert_eq!(channel.output(4), (b"a\0b\n".to_vec(), true));
    channel.write("a3", b"\xff\xfe\n");
    channel.is_taken("a3");
    assert_eq!(channel.output(3), (b"\xff\xfe\n".to_vec(), false));
    // It ends with the process and its output.
    node.handle.call(|cx| cx.close_input(Pid(1), None)).expect("it runs").expect("it is open");
    assert_eq!(channel.0.close_code(), Some(CloseCode::NORMAL));
    assert_eq!(channel.0.next(), None);
    wait_no_taps(&node);
}

fn wait_no_taps(node: &Node) {
    let start = Instant::now();
    while node.handle.call(|cx| (cx.taps(), cx.events().subscriptions())).expect("it runs") != (0, 0) {
        assert!(start.elapsed() < PATIENCE, "something listens still");
    }
}

#[test]
fn modes_and_streams() {
    let node = node_with(cat());
    let mut reader = Channel::new(&node, "/1/channel/out?mode=1");
    let mut writer = Channel::new(&node, "/1/channel?mode=2");
    let mut errors = Channel::new(&node, "/1/channel/err?mode=3");
    writer.write("w", b"one\n");
    writer.is_taken("w");
    assert_eq!(reader.output(4).0, b"one\n");
    reader.write("r", b"two\n");
    assert_eq!(reader.error("r"), ("EPERM".to_owned(), 403));
    // The label says what is read; written is standard input.
    errors.write("e", b"three\n");
    errors.is_taken("e");
    assert_eq!(reader.output(6).0, b"three\n");
    let mut stdin = Channel::new(&node, "/1/channel/stdin?mode=2");
    stdin.write("AUTH", b"AUTH:a key that must not reach the process");
    stdin.is_taken("AUTH");
    stdin.write("s", b"four\n");
    stdin.is_taken("s");
    assert_eq!(reader.output(5).0, b"four\n");

    // What is no frame is told, and the channel goes on.
    for (message, id) in [("garbage", "gaffer_error"), ("V1 message \0x", "gaffer_error"), ("V1 response r2\0OK", "r2")]
    {
        stdin.0.text(message);
        assert_eq!(stdin.error(id), ("EINVAL".to_owned(), 400), "{message}");
    }
    stdin.write("s2", b"five\n");
    stdin.is_taken("s2");
    assert_eq!(reader.output(5).0, b"five\n");
    drop((reader, writer, errors, stdin));
    wait_no_taps(&node);
}

#[test]
fn what_cannot_be() {
    let job = JobConfig::new("idle", "sleep 1000").expect("valid");
    let node = node_with(job.redirect_output(["out"]));
    let cases = [
        ("/9/channel", "not_found", 404),
        ("/99999999999999999999/channel", "not_found", 404),
        ("/1/channel/nope", "ENOENT", 404),
        ("/1/channel", "EPERM", 403),
        ("/1/channel?mode=2", "EPERM", 403),
        ("/1/channel/out", "EPERM", 403),
        ("/1/channel/stdin?mode=1", "EPERM", 403),
    ];
    for (path, word, errno) in cases {
        let mut channel = Channel::new(&node, path);
        assert_eq!(channel.error("gaffer_error"), (word.to_owned(), errno), "{path}");
        assert_eq!(channel.0.close_code(), Some(CloseCode::POLICY), "{path}");
    }
    for path in ["/1/channel?mode=0", "/1/channel?mode=4", "/1/channel?mode=x", "/1/channel/out?mode="] {
        let answer = node.ask("GET", path);
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("bad_request")), "{path}");
    }
    let mut channel = Channel::new(&node, "/1/channel?mode=1");
    node.handle.call(|cx| cx.stop_job("idle")).expect("it runs").expect("it is loaded");
    assert_eq!(channel.0.close_code(), Some(CloseCode::NORMAL));
}

/// Descriptor 3 by HTTP, by its channel and by the channel of commands.
#[test]
fn a_custom_stream_end_to_end() {
    let script = "while read line <&3; do echo \"got $line\" >&3; done";
    let job = JobConfig::new("echo", script).expect("valid").shell(true).restart(Restart::Never);
    let node = node_with(job.custom_stream("ctrl").redirect_input(true));
    let mut feed = node.connect();
    feed.send("GET /streams/1/ctrl?feed=continuous HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(feed.head().status, 200);
    let mut channel = Channel::new(&node, "/1/channel/ctrl");
    let mut commands = Ws::new(&node, "/channel/websocket");
    commands.subscribe("STREAM:1.ctrl");
    let mut post = node.connect();
    post.send("POST /streams/1/ctrl HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhttp\n");
    assert_eq!(post.answer().json(), json!({"ok": true}));
    let mut everybody = |channel: &mut Channel, commands: &mut Ws, want: &str| {
        let mut text = String::new();
        while text.len() < want.len() {
            text += &String::from_utf8(feed.chunk().expect("more")).expect("text");
        }
        assert_eq!(text, want);
        assert_eq!(channel.output(want.len()).0, want.as_bytes());
        let mut text = String::new();
        commands.event(|data| {
            text += data["data"].as_str().expect("text");
            text.len() >= want.len()
        });
        assert_eq!(text, want);
    };
    everybody(&mut channel, &mut commands, "got http\n");
    channel.write("c", b"channel\n");
    channel.is_taken("c");
    everybody(&mut channel, &mut commands, "got channel\n");
    assert_eq!(commands.command("send", json!([1, ["com", "mand\n"], "ctrl"]))["result"], json!({"ok": true}));
    everybody(&mut channel, &mut commands, "got command\n");
    node.handle.call(|cx| cx.send(Pid(1), Some("ctrl"), b"library\n")).expect("it runs").expect("it is open");
    everybody(&mut channel, &mut commands, "got library\n");
    // Its end ends the process, and that all of it.
    assert_eq!(commands.command("close_input", json!([1, "ctrl"]))["result"], json!({"ok": true}));
    assert!(commands.event(|data| data["end"] == true)["topic"] == "STREAM:1.ctrl");
    assert_eq!(channel.0.close_code(), Some(CloseCode::NORMAL));
    assert_eq!(feed.chunk(), None);
}
