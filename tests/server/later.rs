//! Answers that come later.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use gaffer::server::Config;

use crate::node::{Client, Node, PATIENCE};

/// A client that has asked, and whose request has arrived.
fn asked(node: &Node, requests: &str) -> Client {
    let before = subscriptions(node);
    let mut client = node.connect();
    client.send(requests);
    wait("the request", || subscriptions(node) > before);
    client
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn subscriptions(node: &Node) -> usize {
    node.handle.call(|cx| cx.events().subscriptions()).expect("it runs")
}

fn gave_up(node: &Node) -> bool {
    node.handle.call(|cx| cx.is_loaded("gave-up")).expect("it runs")
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waiting for {what}");
        std::thread::yield_now();
    }
}

#[test]
fn answers_keep_the_order_of_their_requests() {
    let node = Node::new();
    let requests: String = ["/later/a", "/ping", "/later/b", "/hello/x"].map(get).concat();
    let mut client = asked(&node, &requests);
    assert_eq!(node.ask("GET", "/ping").text(), "OK", "others are served");
    assert!(client.input.is_empty());
    let before = subscriptions(&node);
    node.load("one", "exit");
    assert_eq!(client.answer().text(), "a");
    assert_eq!(client.answer().text(), "OK");
    // The second one waits now.
    wait("the next request", || subscriptions(&node) >= before);
    node.load("two", "exit");
    assert_eq!((client.answer().text(), client.answer().text()), ("b".to_owned(), "x -".to_owned()));
    client.send(&get("/ping"));
    assert_eq!(client.answer().text(), "OK");
    assert!(!gave_up(&node));
}

#[test]
fn any_reply_will_do() {
    let node = Node::new();
    let mut head = asked(&node, &get("/later/text").replace("GET", "HEAD"));
    let mut feed = asked(&node, &get("/later/feed"));
    let mut refused = asked(&node, &get("/later/refused"));
    let mut old = asked(&node, "GET /later/old HTTP/1.0\r\nHost: localhost\r\n\r\n");
    node.load("one", "exit");
    let answer = head.answer_to("HEAD");
    assert_eq!((answer.status, answer.field("content-length")), (200, Some("4")));
    assert!(feed.answer().text().contains("\"event\":"));
    assert_eq!(refused.answer().status, 404);
    assert_eq!(old.answer().text(), "old");
    assert_eq!(old.rest(), b"", "and the connection ends");
}

#[test]
fn work_for_a_client_that_has_gone_is_given_up() {
    let node = Node::new();
    drop(asked(&node, &get("/later/a")));
    wait("it to be given up", || gave_up(&node));
    node.wait_connections(0);
    assert_eq!(subscriptions(&node), 0);
}

#[test]
fn a_client_that_has_said_all_is_answered() {
    let node = Node::new();
    let mut client = asked(&node, &get("/later/a"));
    client.stream.shutdown(Shutdown::Write).expect("it is open");
    node.load("one", "exit");
    assert_eq!(client.answer().text(), "a");
    assert_eq!(client.rest(), b"");
    assert!(!gave_up(&node));
}

#[test]
fn no_answer_in_time_is_504() {
    let node = Node::with(Config::default().answer_timeout(Duration::from_millis(50)));
    let mut client = node.connect();
    client.send(&(get("/later/a") + &get("/never") + &get("/ping")));
    let answer = client.answer();
    assert_eq!((answer.status, answer.json()["error"].as_str()), (504, Some("timed_out")), "{answer:?}");
    assert!(gave_up(&node));
    assert_eq!(client.answer().status, 504, "whoever gives up may panic");
    assert_eq!(client.answer().text(), "OK");
}

#[test]
fn a_server_that_stops_says_so() {
    let node = Node::new();
    let mut client = asked(&node, &get("/later/a"));
    node.handle.post(|cx| cx.stop()).expect("it runs");
    let answer = client.answer();
    assert_eq!((answer.status, answer.json()["error"].as_str()), (503, Some("stopping")), "{answer:?}");
}
