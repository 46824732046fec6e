//! Feeds, of the client and of the tool.

use std::time::Duration;

use gaffer::ErrorKind;
use gaffer::client::Server;
use gaffer::process::Pid;

use crate::node::{Node, SOON, Said, chunks};
use crate::tool::run;

const EXIT: &str = concat!(
    "id: 1.7\nevent: exit\n",
    r#"data: {"event":"exit","topic":"exit","name":"default.web","time":1.5,"pid":3,"os_pid":77,"exit_code":1}"#,
    "\n\n"
);
const PROC: &str = concat!(
    "id: 1.8\nevent: proc.shop.web.exit\n",
    r#"data: {"event":"exit","topic":"proc.shop.web.exit","name":"shop.web","time":1.5,"pid":3}"#,
    "\n\n"
);
const GAP: &str = "event: gap\ndata: {\"event\":\"gap\",\"dropped\":5}\n\n";

fn events() -> Said {
    // In pieces that do not respect the lines.
    let text = format!("retry: 2000\n\n{EXIT}: heartbeat\n\n{GAP}{PROC}");
    let (a, b) = text.split_at(40);
    Said::Raw("Transfer-Encoding: chunked", chunks(&[a.as_bytes(), b.as_bytes()]))
}

#[test]
fn watch() {
    let node = Node::new(|_| events());
    let ran = run(&node.address, "watch");
    assert_eq!(ran.code, 69, "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().map(|line| line.split_once(' ').expect("a time").1).collect();
    assert_eq!(lines, ["web | exit web", "shop.web | proc.shop.web.exit shop.web"]);
    assert!(ran.out.lines().all(|line| line.as_bytes()[2] == b':' && line[5..].starts_with(":01 ")), "{ran:?}");
    assert!(ran.err.contains("5 events are missing") && ran.err.contains("has ended the feed"), "{ran:?}");
    assert_eq!(node.lines(), ["GET /watch?feed=eventsource&heartbeat=20"]);

    let ran = run(&node.address, "watch proc.web.* --json");
    let events: Vec<serde_json::Value> = ran.out.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(events.len(), 3, "the gap is told in the feed");
    assert_eq!(events[0]["exit_code"], 1);
    assert_eq!(node.lines()[1], "GET /watch/proc/web/*?feed=eventsource&heartbeat=20");
}

#[test]
fn events_and_where_they_go_on() {
    let node = Node::unix(|_| events());
    let server = Server::new(&node.address).expect("an address");
    let mut feed = server.watch(".").expect("a feed");
    assert_eq!(feed.last_id(), "");
    let first = feed.next().expect("an event").expect("a good one");
    assert_eq!((first.event.as_str(), first.topic.as_str(), first.pid), ("exit", "exit", Some(Pid(3))));
    assert_eq!(feed.last_id(), "1.7");
    let rest: Vec<_> = feed.by_ref().map(|event| event.expect("a good one").event).collect();
    assert_eq!(rest, ["gap", "exit"]);
    assert!(feed.next().is_none(), "and it stays so");
    drop(server.watch_after("exit", feed.last_id()).expect("a feed"));
    assert!(node.requests()[1].head.contains("last-event-id: 1.8\n"), "{:?}", node.requests());
}

#[test]
fn a_feed_that_is_silent_or_breaks() {
    for node in [Node::new(|_| Said::Silence(EXIT)), Node::unix(|_| Said::Silence(EXIT))] {
        // Silence is three heartbeats; the answer's time-out has nothing to do with it.
        let server = Server::new(&node.address).expect("an address").heartbeat(SOON).timeout(Duration::from_secs(9));
        let mut feed = server.watch(".").expect("a feed");
        assert!(feed.next().expect("an event").is_ok());
        let error = feed.next().expect("an error").expect_err("silence");
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(error.to_string().contains("is silent since 3"), "{error}");
        assert!(feed.next().is_none());
    }
    // A chunk that was promised does not come.
    let node = Node::new(|_| Said::Raw("Transfer-Encoding: chunked", b"50\r\nid: 1".to_vec()));
    let server = Server::new(&node.address).expect("an address");
    let error = server.watch(".").expect("a feed").next().expect("an error").expect_err("it broke");
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
}

#[test]
fn raw_output() {
    let node = Node::new(|_| Said::Raw("Transfer-Encoding: chunked", chunks(&[b"a\n\xff\0", b"b"])));
    let server = Server::new(&node.address).expect("an address");
    let pieces: Vec<Vec<u8>> = server.stream(Pid(3), "std/out").expect("a feed").map(|p| p.expect("bytes")).collect();
    assert_eq!(pieces.concat(), b"a\n\xff\0b");
    assert_eq!(node.lines(), ["GET /streams/3/std%2Fout?feed=continuous&heartbeat=false"]);
}

#[test]
fn stats() {
    let sample = |name: &str, pid: u32| {
        format!(
            "data: {{\"name\":\"{name}\",\"pid\":{pid},\"os_pid\":77,\"cpu\":1.5,\"mem\":0.1,\"mem_info1\":\"3M\",\"ctime\":\"0:01.00\",\"cmdline\":[\"x\"]}}\n\n"
        )
    };
    let text = [sample("default.web", 1), sample("shop.db", 2)].concat();
    let node = Node::new(move |_| Said::Raw("Transfer-Encoding: chunked", chunks(&[text.as_bytes()])));
    let ran = run(&node.address, "stats --watch --interval 0.5");
    let names: Vec<&str> = ran.out.lines().map(|line| line.split(' ').next().expect("a word")).collect();
    assert_eq!((ran.code, names), (0, vec!["NAME", "web", "shop.db"]));
    assert_eq!(node.lines()[0], "GET /stats?interval=0.5&feed=eventsource&heartbeat=20");
    let ran = run(&node.address, "stats --watch --json shop.* x");
    assert_eq!(ran.json()["pid"], 2, "only what was asked for");
    run(&node.address, "stats --watch web");
    assert_eq!(node.lines()[2], "GET /stats/default.web?interval=1&feed=eventsource&heartbeat=20");
}

#[test]
fn logs() {
    let record = |name: &str, fd: u8, text: &str| {
        format!(
            r#"{{"time":1.5,"name":"{name}","instance":2,"pid":{fd},"os_pid":77,"label":"x","fd":{fd},"data":"{text}\n"}}"#
        )
    };
    let gap = r#"{"event":"gap","dropped":3}"#;
    let text = [record("default.web", 1, "one"), gap.to_owned(), record("shop.db", 2, "two")].join("\n") + "\n";
    let node = Node::new(move |asked| {
        if asked.line.starts_with("GET /logs") {
            Said::Raw("Transfer-Encoding: chunked", chunks(&[text.as_bytes()]))
        } else {
            Said::Json(200, r#"{"jobs":[]}"#.to_owned())
        }
    });
    let ran = run(&node.address, "logs");
    let lines: Vec<&str> = ran.out.lines().map(|line| line.split_once(' ').expect("a time").1).collect();
    assert_eq!((ran.code, lines), (0, vec!["web.2 | one", "shop.db.2 | two"]), "{ran:?}");
    assert!(ran.err.contains("gafferctl: 3 lines are missing here"), "{ran:?}");
    assert!(node.lines().contains(&"GET /logs?feed=normal&n=100".to_owned()), "{:?}", node.lines());

    let ran = run(&node.address, "logs -f -n 5 --stderr shop:db --job w* --json");
    assert_eq!((ran.code, ran.out.lines().count()), (69, 3), "{ran:?}");
    assert!(ran.err.contains("no job 'shop.db' is loaded") && ran.err.contains("has ended the feed"), "{ran:?}");
    let asked = node.lines().pop().expect("a question");
    assert_eq!(asked, "GET /logs?feed=continuous&job=shop%3Adb&job=w%2A&stderr=true&n=5&heartbeat=20");
    let ran = run(&node.address, "logs -n many");
    assert!(ran.code == 2 && ran.err.contains("invalid value `many` for -n"), "{ran:?}");
}
