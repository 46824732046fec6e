//! Requests and answers.

use std::sync::mpsc::channel;
use std::time::Instant;

use crate::node::{Client, Node, PATIENCE};

#[test]
fn keep_alive_and_pipelining() {
    let node = Node::new();
    let mut client = node.connect();
    for _ in 0..3 {
        client.send("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = client.answer();
        assert_eq!((answer.status, answer.text().as_str()), (200, "OK"));
        assert!(answer.field("date").is_some_and(|date| date.ends_with(" GMT")));
        assert!(answer.field("server").is_some_and(|server| server.starts_with("gaffer/")));
    }
    let mut all = String::new();
    for n in 0..500 {
        all.push_str(&format!("GET /hello/{n}?q=%26 HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    }
    all.push_str("GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\nGET /ping HTTP/1.1\r\n");
    client.send(&all);
    for n in 0..500 {
        assert_eq!(client.answer().text(), format!("{n} &"));
    }
    let last = client.answer();
    assert_eq!((last.status, last.field("connection")), (200, Some("close")));
    assert_eq!(client.rest(), b"");
}

/// What many have asked is found ready in one turn.
#[test]
fn all_that_ask_at_once_are_answered() {
    const GET: &str = "HTTP/1.1\r\nHost: localhost\r\n";
    let node = Node::new();
    let mut clients: Vec<Client> = (0..21).map(|_| node.connect()).collect();
    node.wait_connections(21);
    let (asked, wait) = channel();
    node.handle.post(move |_| wait.recv_timeout(PATIENCE).expect("they have asked")).expect("it runs");
    for (n, client) in clients.iter_mut().enumerate() {
        match n {
            4 => client.send("rubbish\r\n\r\n"),
            8 => client.send(&format!("GET /events/create {GET}\r\n")),
            12 => client.send(&format!("GET /hello/12 {GET}Connection: close\r\n\r\n")),
            16 => client.send(&format!("GET /hello/{n} {GET}\r\n").repeat(3)),
            _ => client.send(&format!("GET /hello/{n} {GET}\r\n")),
        }
    }
    asked.send(()).expect("it waits");
    for (n, client) in clients.iter_mut().enumerate().filter(|(n, _)| ![4, 8].contains(n)) {
        for _ in 0..if n == 16 { 3 } else { 1 } {
            assert_eq!(client.answer().text(), format!("{n} -"));
        }
    }
    assert_eq!(clients[4].answer().status, 400);
    assert_eq!(clients[12].rest(), b"");
    // Nobody is forgotten after that.
    clients[8].until(b"\r\n\r\n");
    node.load("one", "true");
    clients[8].until(b"create");
    clients[20].send(&format!("GET /hello/again {GET}\r\n"));
    assert_eq!(clients[20].answer().text(), "again -");
}

#[test]
fn large_answers_that_were_asked_for_in_advance() {
    let node = Node::new();
    let mut client = node.connect();
    client.send(&"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(30));
    for _ in 0..30 {
        assert_eq!(client.answer().body.len(), 1 << 20);
    }
}

#[test]
fn split_at_every_byte() {
    let node = Node::new();
    let mut client = node.connect();
    let request = "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for byte in request.bytes() {
        client.stream_write(byte);
    }
    let answer = client.answer();
    assert_eq!((answer.status, answer.text().as_str()), (201, "abc"));
}

impl Client {
    fn stream_write(&mut self, byte: u8) {
        self.send(std::str::from_utf8(&[byte]).expect("ASCII"));
    }
}

#[test]
fn bodies() {
    let node = Node::new();
    let mut client = node.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().status, 100);
    client.send("xyz");
    let answer = client.answer();
    assert_eq!((answer.status, answer.text().as_str()), (201, "xyz"));
    assert_eq!(answer.field("content-type"), Some("a/b"));
    assert_eq!((answer.field("cache-control"), answer.field("etag")), (Some("no-store"), None));
    // Nobody waits for a content that nobody will read.
    client.send("POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 404);
    assert_eq!(client.rest(), b"");

    let mut client = node.connect();
    client.send("POST /json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n{\"a\":1}");
    assert_eq!(client.answer().json()["a"], 1);
    client.send("POST /json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{]");
    let answer = client.answer();
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("bad_request")));
    assert!(answer.text().contains("line 1 column 2"), "{}", answer.text());
}

#[test]
fn head_and_entity_tags() {
    let node = Node::new();
    let mut client = node.connect();
    client.send("HEAD /ping HTTP/1.1\r\nHost: localhost\r\n\r\nGET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = client.answer_to("HEAD");
    let get = client.answer();
    assert_eq!((head.status, head.field("content-length")), (200, Some("2")));
    let tag = get.field("etag").expect("a tag").to_owned();
    assert_eq!(head.field("etag"), Some(&*tag));
    for (condition, status) in [(tag.as_str(), 304), ("*", 304), ("\"other\"", 200)] {
        client.send(&format!("GET /ping HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {condition}\r\n\r\n"));
        assert_eq!(client.answer().status, status, "{condition}");
    }
}

#[test]
fn errors_have_one_shape() {
    let node = Node::new();
    for (method, path, status, word) in [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/missing", 404, "not_found"),
        ("DELETE", "/ping", 405, "method_not_allowed"),
        ("GET", "/panic", 500, "internal_error"),
        ("GET", "/hello/%zz", 400, "bad_request"),
        ("GET", "/ping?%zz", 400, "bad_request"),
        ("BREW", "/ping", 501, "not_implemented"),
        ("GET", "/socket", 426, "upgrade_required"),
    ] {
        let answer = node.ask(method, path);
        let json = answer.json();
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!((json["error"].as_str(), json["errno"].as_u64()), (Some(word), Some(u64::from(status))));
        assert!(json["reason"].as_str().is_some_and(|reason| reason.len() > 5), "{json}");
        assert!(answer.field("content-type").is_some_and(|t| t.starts_with("application/json")));
    }
    assert_eq!(node.ask("DELETE", "/ping").field("allow"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(node.ask("GET", "/echo").field("allow"), Some("DELETE, OPTIONS, POST"));
    assert_eq!(node.ask("GET", "/ping/").status, 200);
    assert_eq!(node.ask("GET", "/hello/a%2Fb").text(), "a/b -");
    assert_eq!(node.ask("DELETE", "/echo").status, 204);
}

#[test]
fn smuggling_is_refused() {
    let node = Node::new();
    for (head, status) in [
        ("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
        ("GET /ping HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n", 400),
        ("GET /ping HTTP/1.1\nHost: localhost\n\n", 400),
        ("GET /ping HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        ("GET /ping HTTP/1.1\r\n\r\n", 400),
        ("GET /ping HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
    ] {
        let mut client = node.connect();
        client.send(head);
        client.send("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = client.answer();
        assert_eq!((answer.status, answer.field("connection")), (status, Some("close")), "{head:?}");
        assert_eq!(answer.json()["errno"], status);
        assert_eq!(client.rest(), b"", "{head:?}");
    }
}

#[test]
fn http_1_0() {
    let node = Node::new();
    let mut client = node.connect();
    client.send("GET /ping HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer().text(), "OK");
    assert_eq!(client.rest(), b"");
}

#[test]
fn curl_understands() {
    let node = Node::new();
    let url = format!("http://{}", node.address);
    let curl = |args: &[&str]| std::process::Command::new("curl").args(["-sS", "-m", "20"]).args(args).output();
    let Ok(out) = curl(&[&format!("{url}/ping"), &format!("{url}/hello/x")]) else {
        eprintln!("SKIPPED: curl_understands: there is no curl");
        return;
    };
    assert_eq!(String::from_utf8_lossy(&out.stdout), "OKx -", "{out:?}");
    let big = "y".repeat(100_000);
    let out = curl(&["-d", &big, &format!("{url}/echo")]).expect("curl");
    assert_eq!(out.stdout.len(), big.len(), "{}", String::from_utf8_lossy(&out.stderr));
    let out = curl(&["-H", "Transfer-Encoding: chunked", "-d", "abc", &format!("{url}/echo")]).expect("curl");
    assert_eq!(out.stdout, b"abc");
}

#[test]
fn answers_are_told_to_who_wants_to_know() {
    let (sender, told) = std::sync::mpsc::channel();
    let node = Node::observed(move |answered| {
        let rest = format!("{answered}");
        // The time is what differs from run to run.
        let (line, time) = rest.rsplit_once(' ').expect("a time");
        assert!(time.strip_suffix("ms").is_some_and(|ms| ms.parse::<f64>().is_ok()), "{rest}");
        sender.send(line.to_owned()).expect("somebody listens");
    });
    let mut client = node.connect();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.send(&(get("/hello/x?q=1") + &get("/nope") + &get("/panic").replace("GET", "HEAD")));
    client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n");
    client.rest();
    node.connect().send("nonsense\r\n\r\n");
    let told = || told.recv_timeout(PATIENCE).expect("a line");
    let address = "(127.0.0.1)";
    assert_eq!(told(), format!("200 GET /hello/x?q=1 {address}"));
    assert_eq!(told(), format!("404 GET /nope {address}"));
    assert_eq!(told(), format!("500 HEAD /panic {address}"));
    assert_eq!(told(), format!("413 POST /echo {address}"));
    assert_eq!(told(), format!("400 - - {address}"));
    let mut socket = node.connect();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    socket.send(&format!("GET /socket HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n\r\n"));
    assert_eq!(told(), format!("101 GET /socket {address}"));
    let mut feed = node.connect();
    feed.send(&get("/events?feed=eventsource"));
    assert_eq!(told(), format!("200 GET /events?feed=eventsource {address}"));
    // When the answer comes, not when it was promised.
    let subscriptions = || node.handle.call(|cx| cx.events().subscriptions()).expect("it runs");
    let before = subscriptions();
    let mut later = node.connect();
    later.send(&get("/later/a"));
    let start = Instant::now();
    while subscriptions() == before {
        assert!(start.elapsed() < PATIENCE, "the request does not arrive");
    }
    node.load("one", "exit");
    assert!(later.answer().text() == "a" && told() == format!("200 GET /later/a {address}"));
}
