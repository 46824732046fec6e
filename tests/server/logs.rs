//! `/logs`: what is kept of output, and what follows.

use std::time::Instant;

use gaffer::process::{JobConfig, Restart};
use gaffer::server::Config;
use serde_json::Value;

use super::node::{Client, Node, PATIENCE};

/// The lines of a feed as they come, whatever the chunks.
struct Feed {
    client: Client,
    text: Vec<u8>,
}

impl Feed {
    fn open(node: &Node, target: &str) -> Self {
        let mut client = node.connect();
        client.send(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(client.head().status, 200, "{target}");
        Self { client, text: Vec::new() }
    }

    /// The next record; `None` at the end.
    fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(at) = self.text.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.text.drain(..=at).collect();
                return Some(serde_json::from_slice(&line).expect("JSON"));
            }
            self.text.extend(self.client.chunk()?);
        }
    }

    #[track_caller]
    fn data(&mut self) -> String {
        let record = self.next().expect("a record");
        record["data"].as_str().unwrap_or_else(|| panic!("{record}")).to_owned()
    }
}

fn records(node: &Node, target: &str) -> Vec<Value> {
    let answer = node.ask("GET", target);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// All data of an answer.
fn text(node: &Node, target: &str) -> String {
    records(node, target).iter().map(|record| record["data"].as_str().expect("text")).collect()
}

/// Asks until the answer is as it should be.
#[track_caller]
fn wait_for(node: &Node, target: &str, want: &str) {
    let start = Instant::now();
    while text(node, target) != want {
        assert!(start.elapsed() < PATIENCE, "{target}: {:?}", text(node, target));
        std::thread::yield_now();
    }
}

fn write(node: &Node, pid: u64, text: &'static str) {
    let sent = node.handle.call(move |cx| cx.send(gaffer::process::Pid(pid), None, text.as_bytes()));
    sent.expect("it runs").expect("it takes it");
}

#[test]
fn last_words_of_those_that_have_gone() {
    let node = Node::with_history(Config::default());
    node.load("web", "echo one; echo two >&2; printf three; exit 3");
    node.load("shop.web", "printf '\\377\\n'");
    wait_for(&node, "/logs?job=web&stderr=false", "one\nthree");
    wait_for(&node, "/logs?job=web&label=err", "two\n");
    let all = records(&node, "/logs?job=web");
    assert_eq!(all.len(), 3);
    let (one, two) = (&all[0], &all[1]);
    assert_eq!((&one["name"], &one["label"], &one["fd"]), (&"default.web".into(), &"out".into(), &1.into()));
    assert_eq!((&one["instance"], &one["pid"]), (&1.into(), &1.into()));
    assert!(one["os_pid"].is_u64() && one["time"].is_f64(), "{one}");
    assert!(two["label"] == "err" || all[2]["label"] == "err", "{all:?}");
    assert_eq!(text(&node, "/logs?label=err"), "two\n");
    assert_eq!(text(&node, "/logs?stderr=true"), "two\n");
    assert_eq!(text(&node, "/logs?job=web&n=1&label=out"), "three");
    assert_eq!(text(&node, "/logs?job=web&n=0"), "");
    assert_eq!(text(&node, "/logs?pid=1&label=out&since=3600"), "one\nthree");
    assert_eq!(text(&node, "/logs?pid=99"), "");
    // What is not UTF-8.
    let start = Instant::now();
    let bytes = loop {
        match records(&node, "/logs?job=shop.*").first() {
            Some(record) => break record.clone(),
            None => assert!(start.elapsed() < PATIENCE),
        }
    };
    assert_eq!((&bytes["data_base64"], bytes.get("data")), (&"/wo=".into(), None));

    for (target, reason) in [
        ("/logs?job=a.b.c", "no job's name"),
        ("/logs?pid=x", "pid: expected the number of a process"),
        ("/logs?n=-1", "n: expected a number of lines"),
        ("/logs?since=1e3", "since: expected a number of seconds"),
        ("/logs?stderr=maybe", "stderr: expected true or false"),
        ("/logs?feed=push", "feed: expected"),
    ] {
        let answer = node.ask("GET", target);
        assert_eq!(answer.status, 400, "{target}");
        assert!(answer.json()["reason"].as_str().is_some_and(|why| why.contains(reason)), "{target}: {answer:?}");
    }
}

#[test]
fn what_is_kept_and_then_what_comes() {
    let node = Node::with_history(Config::default());
    node.load("web", "printf 'one\\ntwo'; while read -r x; do printf \"$$x\"; done; echo end >&2");
    wait_for(&node, "/logs", "one\ntwo");
    let pid = node.pid("web");
    let mut all = Feed::open(&node, "/logs?feed=continuous");
    let mut last = Feed::open(&node, &format!("/logs?feed=continuous&n=1&pid={pid}"));
    let mut others = Feed::open(&node, "/logs?feed=continuous&job=other&stderr=false");
    let mut poll = Feed::open(&node, "/logs?feed=longpoll&n=1");
    assert_eq!(
        (all.data(), all.data(), last.data(), poll.data()),
        ("one\n".into(), "two".into(), "two".into(), "two".into())
    );
    // The rest of a line, and whole ones; an unfinished one comes when it was silent.
    write(&node, pid, "_and_a_half\\nthree\\nfo\n");
    for feed in [&mut all, &mut last, &mut poll] {
        assert_eq!((feed.data(), feed.data()), ("_and_a_half\n".into(), "three\n".into()));
    }
    assert_eq!(poll.next(), None, "a long poll ends with the first output that comes");
    assert_eq!((all.data(), last.data()), ("fo".into(), "fo".into()));
    write(&node, pid, "ur\\n\n");
    assert_eq!((all.data(), last.data()), ("ur\n".into(), "ur\n".into()));
    assert_eq!(text(&node, "/logs"), "one\ntwo_and_a_half\nthree\nfour\n");

    node.load("other", "echo mine; echo not mine >&2; read x");
    assert_eq!(others.data(), "mine\n");
    // A feed of one process ends with it.
    node.handle.call(|cx| cx.stop_job("web")).expect("it runs").expect("loaded");
    assert_eq!(last.next(), None);
    last.client.send("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(last.client.answer().text(), "OK");
    assert_eq!(
        Feed::open(&node, &format!("/logs?feed=continuous&n=1&pid={pid}")).data(),
        "four\n",
        "after its end too"
    );
}

#[test]
fn no_gap_and_nothing_twice_while_lines_come() {
    let node = Node::with_history(Config::default());
    let count = 20_000;
    node.load("numbers", &format!("i=0; while [ $$i -lt {count} ]; do echo $$i; i=$$((i+1)); done; read x"));
    let mut feeds: Vec<Feed> = Vec::new();
    let start = Instant::now();
    loop {
        let far = records(&node, "/logs?n=1")
            .first()
            .map_or(0, |r| r["data"].as_str().expect("text").trim().parse().expect("a number"));
        if far > count / 20 * feeds.len() && feeds.len() < 18 {
            feeds.push(Feed::open(&node, "/logs?feed=continuous"));
        }
        if far == count - 1 {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{far}");
    }
    assert!(!feeds.is_empty());
    for mut feed in feeds {
        let first: usize = feed.data().trim().parse().expect("a number");
        for n in first + 1..count {
            assert_eq!(feed.data(), format!("{n}\n"));
        }
    }
}

#[test]
fn server_sent_events_and_a_job_that_keeps_nothing() {
    let node = Node::with_history(Config::default());
    let job = JobConfig::new("silent", "sh -c 'echo secret; read x'").expect("valid").redirect_output(["out"]);
    let job = job.redirect_input(true).restart(Restart::Never).log_history(0);
    node.handle.call(move |cx| cx.load(job, true).map(drop)).expect("it runs").expect("it loads");
    node.load("web", "echo hello; read x");
    wait_for(&node, "/logs", "hello\n");
    let mut client = node.connect();
    client.send("GET /logs?feed=eventsource HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.head().field("content-type"), Some("text/event-stream"));
    let mut text = String::new();
    while !text.ends_with("}\n\n") {
        text.push_str(&String::from_utf8(client.chunk().expect("more")).expect("text"));
    }
    let event = text.split("event: log\ndata: ").nth(1).expect("an event");
    assert_eq!(serde_json::from_str::<Value>(event).expect("JSON")["data"], "hello\n");
}

/// A feed of server-sent events.
struct Lines {
    client: Client,
    text: String,
    last: String,
}

impl Lines {
    fn open(node: &Node, last: &str) -> Self {
        let mut client = node.connect();
        let last_field = if last.is_empty() { String::new() } else { format!("Last-Event-ID: {last}\r\n") };
        client.send(&format!("GET /logs?feed=eventsource&n=0 HTTP/1.1\r\nHost: localhost\r\n{last_field}\r\n"));
        assert_eq!(client.head().status, 200);
        Self { client, text: String::new(), last: last.to_owned() }
    }

    /// The label of the job and the line, or `gap`.
    fn next(&mut self) -> (String, String) {
        loop {
            let Some((event, rest)) = self.text.split_once("\n\n") else {
                let chunk = self.client.chunk().expect("more");
                self.text.push_str(&String::from_utf8(chunk).expect("text"));
                continue;
            };
            let (event, rest) = (event.to_owned(), rest.to_owned());
            self.text = rest;
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            if !field("id: ").is_empty() {
                field("id: ").clone_into(&mut self.last);
            }
            if field("data: ").is_empty() {
                continue;
            }
            let data: Value = serde_json::from_str(field("data: ")).expect("JSON");
            let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
            return (text("name").replace("default.", "") + &text("event"), text("data"));
        }
    }

    /// So many lines, sorted.
    fn take(&mut self, n: usize) -> Vec<String> {
        let mut lines: Vec<String> = (0..n).map(|_| self.next()).map(|(name, text)| format!("{name} {text}")).collect();
        lines.sort();
        lines
    }
}

#[test]
fn a_feed_goes_on_where_it_was() {
    let node = Node::with_history(Config::default());
    for name in ["a", "b"] {
        node.load(name, "while read -r x; do printf \"$$x\"; done");
    }
    let (a, b) = (node.pid("a"), node.pid("b"));
    let mut feed = Lines::open(&node, "");
    write(&node, a, "one\\ntw\n");
    assert_eq!(feed.take(1), ["a one\n"]);
    let after_one = feed.last.clone();
    // After a silence.
    assert_eq!(feed.take(1), ["a tw"]);
    let after_half = feed.last.clone();
    write(&node, b, "x\\n\n");
    assert_eq!(feed.take(1), ["b x\n"]);
    let after_x = feed.last.clone();
    drop(feed);
    write(&node, a, "o\\nthree\\n\n");
    write(&node, b, "y\n");
    wait_for(&node, "/logs?job=a", "one\ntwo\nthree\n");
    wait_for(&node, "/logs?job=b", "x\ny");
    for (last, want) in [
        (&after_one, &["a three\n", "a two\n", "b x\n", "b y"][..]),
        (&after_half, &["a o\n", "a three\n", "b x\n", "b y"]),
        (&after_x, &["a o\n", "a three\n", "b y"]),
    ] {
        let mut feed = Lines::open(&node, last);
        assert_eq!(feed.take(want.len()), want, "{last}");
    }
    // From the last one on, which is half a line, and from the other half.
    let mut feed = Lines::open(&node, &after_x);
    feed.take(3);
    let mut feed = Lines::open(&node, &feed.last);
    write(&node, b, "z\\n\n");
    assert_eq!(feed.take(1), ["b z\n"]);
    let mut feed = Lines::open(&node, &feed.last);
    write(&node, a, "end\\n\n");
    assert_eq!(feed.take(1), ["a end\n"]);
    // What is none of this run.
    for last in ["1-1", "x", &after_x.replace('-', "0-"), &format!("{after_x},?")] {
        assert_eq!(Lines::open(&node, last).next().0, "gap", "{last}");
    }
}

#[test]
fn nothing_is_missing_or_twice_however_often_a_client_comes_back() {
    const COUNT: usize = 1000;
    let node = Node::with_history(Config::default());
    for name in ["a", "b"] {
        // Pieces that end within a line.
        let script =
            "read x; i=0; while [ $$i -lt 1000 ]; do printf \"$$i\\nx\"; i=$$((i+1)); done; printf '\\n'; read x";
        node.load(name, script);
    }
    let mut last = Lines::open(&node, "").last;
    let mut seen = [String::new(), String::new()];
    let mut feed = Lines::open(&node, &last);
    for name in ["a", "b"] {
        write(&node, node.pid(name), "\n");
    }
    let want: String = (0..COUNT).map(|i| format!("{i}\nx")).collect::<String>() + "\n";
    let mut rounds = 0;
    while seen.iter().any(|text| text.len() < want.len()) {
        rounds += 1;
        for _ in 0..rounds % 50 + 1 {
            let (name, text) = feed.next();
            assert_ne!(name, "gap", "round {rounds}");
            seen[usize::from(name == "b")].push_str(&text);
            if seen.iter().all(|text| text.len() == want.len()) {
                break;
            }
        }
        last.clone_from(&feed.last);
        feed = Lines::open(&node, &last);
    }
    assert!(seen.iter().all(|text| *text == want), "{rounds} rounds");
}

#[test]
fn what_is_not_kept_is_a_gap() {
    let node = Node::with_history(Config::default());
    node.load(
        "a",
        "read x; echo begin; read x; yes 0123456789012345678901234567890123456789 | head -n 5000; echo end; read x",
    );
    let mut feed = Lines::open(&node, "");
    write(&node, node.pid("a"), "\n");
    assert_eq!(feed.next().1, "begin\n");
    let last = feed.last.clone();
    drop(feed);
    write(&node, node.pid("a"), "\n");
    wait_for(&node, "/logs?n=1", "end\n");
    let mut feed = Lines::open(&node, &last);
    assert_eq!(feed.next().0, "gap");
    while feed.next().1 != "end\n" {}
}

/// A client that does not read makes nobody wait, and is told what it has missed.
#[test]
fn a_slow_client_is_told_how_much_it_has_missed() {
    let node = Node::with_history(Config::default().unsent(256 << 10));
    node.load(
        "flood",
        "read x; i=0; while [ $$i -lt 60 ]; do yes 0123456789abcdefghij | head -n 2000; i=$$((i+1)); done; echo done",
    );
    let pid = node.pid("flood");
    let mut slow = Feed::open(&node, "/logs?feed=continuous");
    write(&node, pid, "\n");
    wait_for(&node, "/logs?n=1", "done\n");
    let (mut lines, mut missed) = (0, 0);
    while lines + missed < 120_001 {
        let record = slow.next().expect("more");
        match record["event"].as_str() {
            Some("gap") => missed += record["dropped"].as_u64().expect("a number"),
            _ => lines += 1,
        }
    }
    assert_eq!(lines + missed, 120_001);
    assert!(missed > 0, "socket buffers are smaller than that");
}

/// A stream that goes to a file as it is has no ring; the end of the file stands for it.
#[test]
fn the_end_of_a_log_file() {
    let node = Node::with_history(Config::default());
    let folder = std::env::temp_dir().join(format!("gaffer-logs-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("a temporary folder");
    let file = folder.join("web.log");
    let job = JobConfig::new("web", "sh -c 'echo one; echo two >&2; printf three; read x; echo four; read x'")
        .expect("valid");
    let job = job.redirect_output(["out", "err"]).redirect_input(true).restart(Restart::Never).stdout_logfile(&file);
    node.handle.call(move |cx| cx.load(job, true).map(drop)).expect("it runs").expect("it loads");
    wait_for(&node, "/logs?label=out", "one\nthree");
    wait_for(&node, "/logs?label=err", "two\n");
    assert_eq!(text(&node, "/logs?n=1&label=out"), "three");
    assert_eq!(records(&node, "/logs").len(), 3);
    let mut feed = Feed::open(&node, "/logs?feed=continuous&label=out&n=1");
    assert_eq!(feed.data(), "three");
    write(&node, node.pid("web"), "\n");
    assert_eq!(feed.data(), "four\n");
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), "one\nthreefour\n");
    drop(feed);
    drop(node);
    std::fs::remove_dir_all(&folder).expect("ours");
}
