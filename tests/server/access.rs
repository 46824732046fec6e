//! Hosts and origins.

use gaffer::server::Config;

use crate::node::{Answer, Node};

fn ask(node: &Node, method: &str, host: &str, fields: &str) -> Answer {
    let mut client = node.connect();
    client.send(&format!("{method} /echo HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Length: 0\r\n\r\n"));
    client.answer_to(method)
}

#[test]
fn hosts() {
    let node = Node::with(Config::default().allow_host("node.example"));
    for host in ["localhost", "LOCALHOST:5000", "127.0.0.1", "[::1]:80", "10.1.2.3", "node.example:1", "localhost."] {
        assert_eq!(ask(&node, "POST", host, "").status, 201, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:5000"] {
        let answer = ask(&node, "POST", host, "");
        assert_eq!((answer.status, answer.json()["error"].as_str()), (421, Some("misdirected_request")), "{host}");
    }
    let mut client = node.connect();
    client.send("GET http://evil.example/ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.answer().status, 421);
}

#[test]
fn only_own_origin_by_default() {
    let node = Node::new();
    let foreign = ask(&node, "POST", "localhost:5000", "Origin: http://evil.example\r\n");
    assert_eq!((foreign.status, foreign.json()["error"].as_str()), (403, Some("forbidden_origin")));
    assert_eq!(foreign.field("access-control-allow-origin"), None);
    assert_eq!(ask(&node, "POST", "localhost", "Origin: null\r\n").status, 403);
    assert_eq!(ask(&node, "POST", "localhost:5000", "Origin: http://localhost:5000\r\n").status, 201);
    let read = ask(&node, "GET", "localhost", "Origin: http://evil.example\r\n");
    assert_eq!((read.status, read.field("access-control-allow-origin")), (405, None));
}

#[test]
fn allowed_origins() {
    let node = Node::with(Config::default().allow_origin("http://ui.example"));
    let answer = ask(&node, "POST", "localhost", "Origin: http://ui.example\r\n");
    assert_eq!(answer.field("access-control-allow-origin"), Some("http://ui.example"));
    assert_eq!((answer.status, answer.field("vary")), (201, Some("Origin")));
    let preflight = "Origin: http://ui.example\r\nAccess-Control-Request-Method: PUT\r\n";
    let answer = ask(&node, "OPTIONS", "localhost", preflight);
    assert_eq!((answer.status, answer.field("access-control-max-age")), (204, Some("86400")));
    assert!(answer.field("access-control-allow-headers").is_some_and(|fields| fields.contains("X-Api-Key")));
    assert!(answer.field("access-control-allow-methods").is_some_and(|methods| methods.contains("PUT")));
    assert_eq!(answer.field("access-control-allow-credentials"), None);
    assert_eq!(answer.field("allow"), Some("DELETE, OPTIONS, POST"));
    let answer = ask(&node, "OPTIONS", "localhost", &preflight.replace("ui", "evil"));
    assert_eq!((answer.status, answer.field("access-control-allow-origin")), (204, None));

    let node = Node::with(Config::default().allow_origin("*"));
    let answer = ask(&node, "POST", "localhost", "Origin: http://any.example\r\n");
    assert_eq!((answer.status, answer.field("access-control-allow-origin")), (201, Some("*")));
}
