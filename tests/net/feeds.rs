//! Feeds, by curl.

use gaffer::process::Signal;
use serde_json::{Value, json};

use crate::util::{Node, eventually, kill, ok};

const CAT: &str = "[process:cat]\ncmd = cat\nredirect_input = true\nredirect_output = out\ngraceful_timeout = 1\n";

/// Events of server-sent text, read by the rules of the HTML standard: id, event, data. The last one may not be whole yet.
fn events(text: &str) -> Vec<(String, String, String)> {
    let body = text.split_once("\r\n\r\n").expect("a head").1;
    let body = body.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    let blocks = body.split("\n\n").map(|block| {
        let (mut id, mut event, mut data) = (String::new(), String::new(), Vec::new());
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => value.clone_into(&mut id),
                "event" => value.clone_into(&mut event),
                "data" => data.push(value),
                "" | "retry" => {}
                _ => panic!("an unknown field in {block:?}"),
            }
        }
        (id, event, data)
    });
    blocks.filter(|(_, _, data)| !data.is_empty()).map(|(id, event, data)| (id, event, data.join("\n"))).collect()
}

#[test]
fn what_is_written_comes_back() {
    let node = Node::new(CAT);
    let pid = node.pids("cat", 1)[0];
    let mut raw = node.feed(&format!("/streams/{pid}/out?feed=continuous"));
    let mut sse = node.feed(&format!("/streams/{pid}/out?feed=eventsource"));
    let mut once = node.feed(&format!("/streams/{pid}/out"));
    assert!(raw.text().contains("application/octet-stream"), "the head is there before any output: {}", raw.text());
    assert_eq!(node.json(&format!("POST /streams/{pid}/stdin"), "one\ntwo", 200), ok());
    raw.wait("one\ntwo");
    sse.wait("data: two\n\n");
    assert_eq!(once.end().text(), "one\ntwo", "longpoll: one piece, and the end");
    assert_eq!(node.json(&format!("POST /streams/{pid}/ttin"), "three\n", 200), ok());
    raw.wait("three\n");
    sse.wait("data: three\n");
    assert_eq!(node.json("POST /processes/cat/_stop", "", 200), ok());
    let answer = raw.end();
    assert_eq!((answer.text().as_str(), answer.field("transfer-encoding")), ("one\ntwothree\n", Some("chunked")));
    let answer = sse.end();
    assert_eq!(answer.field("content-type"), Some("text/event-stream"));
    assert!(answer.field("cache-control").is_some_and(|value| value.starts_with("no-")), "{answer:?}");
    assert!(node.get(&format!("/{pid}")).is_some_and(|(status, _)| status == 404));
}

#[test]
fn bytes_are_not_touched() {
    let node = Node::new(CAT);
    let pid = node.pids("cat", 1)[0];
    let all: Vec<u8> = (0..=255).cycle().take(512 * 1024).collect();
    let file = node.path("bytes");
    std::fs::write(&file, &all).unwrap();
    let mut raw = node.feed(&format!("/streams/{pid}/out?feed=continuous"));
    let data = format!("@{}", file.display());
    assert_eq!(node.curl(&["--data-binary", &data], &format!("/streams/{pid}/stdin")).status, 200);
    eventually("all bytes", || {
        (node.json(&format!("GET /{pid}"), "", 200)["pid"] == pid && raw.text().len() > all.len()).then_some(())
    });
    node.json("POST /processes/cat/_stop", "", 200);
    let got = raw.end().body;
    assert!(got == all, "{} bytes of {}", got.len(), all.len());
}

#[test]
fn what_cannot_be_watched() {
    let node =
        Node::new("[process:quiet]\ncmd = sleep 1000\n[process:loud]\ncmd = sleep 1000\nredirect_output = out\n");
    let (quiet, loud) = (node.pids("quiet", 1)[0], node.pids("loud", 1)[0]);
    node.refused(&format!("GET /streams/{quiet}/out"), "", 400, "io_not_redirected");
    node.refused(&format!("GET /streams/{loud}/err"), "", 404, "io_not_found");
    node.refused("GET /streams/99/out", "", 404, "not_found");
    node.refused(&format!("POST /streams/{loud}/stdin"), "x", 403, "forbidden_write");
    node.refused("GET /watch?feed=nope", "", 400, "bad_request");
    node.refused("GET /watch?heartbeat=nope", "", 400, "bad_request");
}

#[test]
fn one_event() {
    let node = Node::new("[process:web]\ncmd = sleep 1000\n");
    let pid = node.pids("web", 1)[0];
    let mut feed = node.feed("/watch/proc/web/exit");
    kill(node.os_pid_of(pid).expect("it runs"), Signal::KILL);
    let answer = feed.end();
    assert_eq!(answer.field("content-type"), Some("application/json"));
    let event = answer.json();
    assert_eq!((&event["event"], &event["name"]), (&json!("exit"), &json!("default.web")), "{event}");
    assert_eq!((&event["pid"], &event["term_signal"]), (&json!(pid), &json!(9)), "{event}");
    assert!(event["exit_code"].is_null(), "{event}");
}

#[test]
fn a_job_is_watched() {
    let node = Node::new("[process:web]\ncmd = sleep 1000\n[process:other]\ncmd = sleep 1000\n");
    node.pids("other", 1);
    let pid = node.pids("web", 1)[0];
    let feed = node.feed("/watch/proc/web?feed=eventsource");
    let lines = node.feed("/watch/exit?feed=continuous");
    node.json("POST /processes/other/_restart", "", 200);
    kill(node.os_pid_of(pid).expect("it runs"), Signal::KILL);
    feed.wait("event: proc.web.spawn\n");
    feed.wait("\n\n");
    node.json("POST /processes/web/_stop", "", 200);
    feed.wait("event: proc.web.stop_pid\n");
    let seen = eventually("another exit", || {
        let seen = events(&feed.text());
        (seen.iter().filter(|(_, event, _)| event == "proc.web.exit").count() == 2).then_some(seen)
    });
    let names: Vec<&str> = seen.iter().map(|(_, event, _)| event.as_str()).collect();
    let want = ["proc.web.exit", "proc.web.spawn", "proc.web.stop", "proc.web.stop_pid", "proc.web.exit"];
    assert_eq!(names, want);
    for (id, event, data) in &seen {
        let data: Value = serde_json::from_str(data).expect("JSON");
        let name = event.strip_prefix("proc.web.").expect("what was asked for");
        assert_eq!((&data["event"], &data["name"]), (&json!(name), &json!("default.web")), "{id}: {data}");
    }
    assert!(feed.text().contains("retry: "), "{}", feed.text());

    // Back after the first of them: the rest, once each.
    let id = format!("Last-Event-ID: {}", seen[0].0);
    let resumed = node.feed_with(&["-H", &id], "/watch/proc/web?feed=eventsource");
    let resumed =
        eventually("the rest", || Some(events(&resumed.text())).filter(|events| events.len() >= seen.len() - 1));
    assert_eq!(resumed, seen[1..]);

    lines.wait("\"pid\":");
    let body = lines.text();
    let body = body.split_once("\r\n\r\n").expect("a head").1;
    // The last one may not be whole yet.
    let body = body.rsplit_once('\n').map_or("", |(whole, _)| whole);
    assert!(
        body.lines().filter(|line| !line.is_empty()).all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "{body}"
    );
}

#[test]
fn signs_of_life() {
    let node = Node::new("");
    let sse = node.feed("/watch?feed=eventsource&heartbeat=0.1");
    eventually("three comments", || (sse.text().matches("\n:").count() >= 3).then_some(()));
    assert!(events(&sse.text()).is_empty(), "they are no events");
    let lines = node.feed("/watch?feed=continuous&heartbeat=0.1");
    eventually("three empty lines", || lines.text().ends_with("\n\n\n").then_some(()));
}

/// The original stays open for ever.
#[test]
fn a_feed_ends_when_the_output_has() {
    let node = Node::new(
        "[process:brief]\nshell = true\ncmd = read line; echo \"said $line\"; exit 3\nredirect_input = true\nredirect_output = out\nrestart = never\n",
    );
    let pid = node.pids("brief", 1)[0];
    let mut feed = node.feed(&format!("/streams/{pid}/out?feed=continuous"));
    node.json(&format!("POST /streams/{pid}/stdin"), "hello\n", 200);
    assert_eq!(feed.end().text(), "said hello\n");
}

/// A feed of a server that ends is ended, and the server does not wait for who watches.
#[test]
fn the_server_ends_with_feeds_open() {
    let mut node = Node::new(CAT);
    let pid = node.pids("cat", 1)[0];
    let mut watch = node.feed("/watch?feed=eventsource");
    let mut output = node.feed(&format!("/streams/{pid}/out?feed=continuous"));
    node.stop();
    let watched = watch.end().text();
    assert!(watched.contains("event: exit\n"), "the last exit is told: {watched}");
    output.end();
}
