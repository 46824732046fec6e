//! Feeds.

use gaffer::process::JobConfig;
use gaffer::proto::sse::Parser;
use gaffer::server::Config;

use crate::node::{Client, Node};

fn load(node: &Node, name: &str) {
    let job = JobConfig::new(name, "true").expect("valid");
    node.handle.call(move |cx| cx.load(job, false).map(drop)).expect("it runs").expect("it loads");
}

fn get(node: &Node, path: &str, fields: &str) -> Client {
    let mut client = node.connect();
    client.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"));
    let head = client.head();
    assert_eq!(head.status, 200, "{head:?}");
    client
}

struct Sse {
    client: Client,
    parser: Parser,
    rest: Vec<u8>,
}

impl Sse {
    fn new(node: &Node, path: &str, fields: &str) -> Self {
        Self { client: get(node, path, fields), parser: Parser::default(), rest: Vec::new() }
    }

    /// The next event: its type, its data, its id.
    fn next(&mut self) -> (String, String, String) {
        loop {
            let fed = self.parser.feed(&self.rest);
            self.rest.drain(..fed.used);
            if let Some(event) = fed.out.expect("well-formed") {
                return (event.event.to_string(), event.data.to_string(), self.parser.last_event_id().to_owned());
            }
            if self.rest.is_empty() {
                self.rest = self.client.chunk().expect("not the end");
            }
        }
    }
}

#[test]
fn events_as_server_sent_events() {
    let node = Node::new();
    let mut feed = Sse::new(&node, "/events?feed=eventsource", "");
    load(&node, "web");
    let (event, data, id) = feed.next();
    let data: serde_json::Value = serde_json::from_str(&data).expect("JSON");
    assert_eq!((event.as_str(), data["event"].as_str()), ("create", Some("create")));
    assert_eq!(data["name"], "default.web");
    assert!(data["time"].as_f64().is_some_and(|time| time > 1.6e9));
    assert_eq!(feed.parser.retry(), Some(std::time::Duration::from_secs(2)));
    let (event, _, second) = feed.next();
    assert_eq!(event, "proc.web.create");
    assert_ne!(id, second);
    drop(feed);

    // What happens while nobody is there comes later.
    load(&node, "other");
    let mut feed = Sse::new(&node, "/events?feed=eventsource", &format!("Last-Event-ID: {id}\r\n"));
    let names: Vec<_> = (0..3).map(|_| feed.next().0).collect();
    assert_eq!(names, ["proc.web.create", "create", "proc.other.create"]);
    let mut feed = Sse::new(&node, "/events/proc?feed=eventsource", &format!("Last-Event-ID: {second}\r\n"));
    assert_eq!(feed.next().0, "proc.other.create");
    let mut feed = Sse::new(&node, "/events?feed=eventsource", "Last-Event-ID: 1-2.3\r\n");
    assert_eq!(feed.next().0, "gap");
}

#[test]
fn events_as_lines_and_long_polls() {
    let node = Node::new();
    let mut lines = get(&node, "/events/create?feed=continuous", "");
    let mut poll = get(&node, "/events/proc/b?feed=longpoll", "");
    load(&node, "a");
    load(&node, "b");
    for name in ["default.a", "default.b"] {
        let line = lines.chunk().expect("a line");
        assert_eq!(line.last(), Some(&b'\n'));
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&line).expect("JSON")["name"], name);
    }
    let one = poll.chunk().expect("one event");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&one).expect("JSON")["topic"], "proc.b.create");
    assert_eq!(poll.chunk(), None);
    // The connection is as good as new, and what was sent behind the feed is answered.
    poll.send("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(poll.answer().text(), "OK");
    drop(lines);
    node.wait_connections(1);
}

#[test]
fn a_request_behind_a_feed_waits_for_its_end() {
    let node = Node::new();
    let mut client = node.connect();
    client.send(
        "GET /events?feed=longpoll HTTP/1.1\r\nHost: localhost\r\n\r\nGET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    assert_eq!(client.head().status, 200);
    load(&node, "a");
    assert!(client.chunk().is_some());
    assert_eq!(client.chunk(), None);
    assert_eq!(client.answer().text(), "OK");
}

#[test]
fn heartbeats() {
    let node = Node::new();
    let mut sse = get(&node, "/events?feed=eventsource&heartbeat=50", "");
    let mut lines = get(&node, "/events?feed=continuous&heartbeat=50", "");
    assert!(sse.chunk().is_some_and(|retry| retry.starts_with(b"retry: ")));
    for _ in 0..3 {
        assert!(sse.chunk().is_some_and(|comment| comment.starts_with(b":")));
        assert_eq!(lines.chunk().as_deref(), Some(&b"\n"[..]));
    }
}

#[test]
fn output_ends_with_its_process() {
    let node = Node::new();
    node.load("cat", "read x; printf 'one\\ntwo €\\n'; read y; echo late >&2");
    let pid = node.pid("cat");
    let mut raw = get(&node, &format!("/streams/{pid}/out?feed=continuous"), "");
    let mut poll = get(&node, &format!("/streams/{pid}/err?feed=longpoll"), "");
    let mut sse = Sse::new(&node, &format!("/streams/{pid}/out?feed=eventsource"), "");
    let mut stats = get(&node, &format!("/stats/{pid}?feed=continuous"), "");
    let sample: serde_json::Value = serde_json::from_slice(&stats.chunk().expect("a sample")).expect("JSON");
    assert_eq!((sample["pid"].as_u64(), sample["name"].as_str()), (Some(pid), Some("default.cat")));
    node.handle.call(move |cx| cx.write_stdin(pid)).expect("it runs");
    let mut got = Vec::new();
    while got.len() < 12 {
        got.extend(raw.chunk().expect("more"));
    }
    assert_eq!(got, "one\ntwo €\n".as_bytes());
    let (event, data, _) = sse.next();
    assert_eq!((event.as_str(), data.as_str()), ("out", "one\ntwo €\n"));
    node.handle.call(move |cx| cx.write_stdin(pid)).expect("it runs");
    assert_eq!(poll.chunk().as_deref(), Some(&b"late\n"[..]));
    assert_eq!(poll.chunk(), None);
    assert_eq!(raw.chunk(), None);
    assert_eq!(sse.client.chunk(), None);
    while stats.chunk().is_some() {}
    // Of one that has ended, nothing comes.
    let mut late = get(&node, &format!("/streams/{pid}/out"), "");
    assert_eq!(late.chunk(), None);
}

trait Stdin {
    fn write_stdin(&mut self, pid: u64);
}

impl Stdin for gaffer::manager::Cx<'_> {
    fn write_stdin(&mut self, pid: u64) {
        self.send(gaffer::process::Pid(pid), None, b"go\n").expect("it has room");
    }
}

#[test]
fn slow_readers_of_events_are_told_of_gaps() {
    let node = Node::with(Config::default().unsent(1 << 16));
    let mut slow = get(&node, "/events?feed=continuous", "");
    let mut fast = get(&node, "/events/proc/last", "");
    // More than the socket buffers of both sides hold.
    node.handle
        .call(|cx| {
            for n in 0..60 {
                let job = JobConfig::new(&format!("j{n}"), "true").expect("valid");
                cx.load(job, false).expect("it loads");
            }
        })
        .expect("it runs");
    for round in 0..500 {
        node.handle
            .call(|cx| {
                for n in 0..60 {
                    cx.start_job_and_stop(&format!("j{n}"));
                }
            })
            .unwrap_or_else(|e| panic!("round {round}: {e}"));
    }
    load(&node, "last");
    assert!(fast.chunk().is_some());
    loop {
        let line = slow.chunk().expect("it goes on");
        let event: serde_json::Value = serde_json::from_slice(&line).expect("whole lines");
        if event["event"] == "gap" {
            assert!(event["dropped"].as_u64().is_some_and(|n| n > 0), "{event}");
            break;
        }
    }
}

trait Churn {
    fn start_job_and_stop(&mut self, name: &str);
}

impl Churn for gaffer::manager::Cx<'_> {
    fn start_job_and_stop(&mut self, name: &str) {
        // Stopping publishes nothing new for a stopped job; an update always does.
        let config = (*self.info(name).expect("loaded").config).clone();
        self.update(config, false).expect("it updates");
    }
}
