//! Who may ask: hosts, origins, preflights.

use crate::util::{Node, assert_refused};

const CONFIG: &str =
    "allow_origins = http://page.example\nallow_hosts = node1.example\n[process:web]\ncmd = sleep 1000\n";

#[test]
fn hosts() {
    let node = Node::new(CONFIG);
    for host in ["localhost", "LOCALHOST:1234", "127.0.0.1", "[::1]:80", "10.1.2.3", "node1.example"] {
        assert_eq!(node.curl(&["-H", &format!("Host: {host}")], "/ping").status, 200, "{host}");
    }
    for host in ["evil.example", "evil.example:5000", "localhost.evil.example", "127.0.0.1.evil.example"] {
        let answer = node.curl(&["-H", &format!("Host: {host}")], "/ping");
        assert_refused(&answer, 421, "misdirected_request", host);
    }
    // Of an absolute-form target the target counts.
    let answer = node.curl(&["--request-target", "http://evil.example/ping"], "/");
    assert_refused(&answer, 421, "misdirected_request", "the target");
    assert_eq!(node.curl(&["--request-target", "http://localhost/ping", "-H", "Host: localhost"], "/").text(), "OK");
}

#[test]
fn origins() {
    let node = Node::new(CONFIG);
    let own = format!("Origin: http://{}", node.address);
    let page = "Origin: http://page.example";
    let evil = "Origin: http://evil.example";

    let answer = node.curl(&["-H", page], "/jobs");
    assert_eq!((answer.status, answer.field("access-control-allow-origin")), (200, Some("http://page.example")));
    assert_eq!(answer.field("access-control-allow-credentials"), None);
    assert!(answer.field("vary").is_some_and(|vary| vary.contains("Origin")));
    let answer = node.curl(&["-H", evil], "/jobs");
    assert_eq!((answer.status, answer.field("access-control-allow-origin")), (200, None), "its browser keeps it back");

    // A form of a foreign page is sent without asking: it is refused here.
    let answer = node.curl(&["-H", evil, "-X", "POST"], "/processes/web/_stop");
    assert_refused(&answer, 403, "forbidden_origin", "a foreign page");
    let answer = node.curl(&["-H", "Origin: null", "-X", "POST"], "/processes/web/_stop");
    assert_refused(&answer, 403, "forbidden_origin", "a sandboxed page");
    for origin in [own.as_str(), page] {
        assert_eq!(node.curl(&["-H", origin, "-X", "POST"], "/processes/web/_start").status, 200, "{origin}");
    }
}

#[test]
fn preflights() {
    let node = Node::new(CONFIG);
    let ask = |origin: &str| {
        let method = "Access-Control-Request-Method: PUT";
        let fields = "Access-Control-Request-Headers: x-api-key,content-type";
        node.curl(&["-X", "OPTIONS", "-H", origin, "-H", method, "-H", fields], "/jobs/default/web")
    };
    let answer = ask("Origin: http://page.example");
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(answer.field("access-control-allow-origin"), Some("http://page.example"));
    assert_eq!(answer.field("access-control-allow-methods"), Some("POST, GET, PUT, DELETE, OPTIONS"));
    assert_eq!(answer.field("access-control-max-age"), Some("86400"));
    let fields = answer.field("access-control-allow-headers").expect("fields").to_ascii_lowercase();
    for field in ["x-api-key", "authorization", "content-type", "accept", "x-requested-with"] {
        assert!(fields.contains(field), "{field} in {fields}");
    }
    assert_eq!(ask("Origin: http://evil.example").field("access-control-allow-origin"), None);

    let any = Node::new("allow_origins = *\n");
    let answer = any.curl(&["-H", "Origin: http://evil.example"], "/ping");
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.field("access-control-allow-credentials"), None, "never with a wildcard");
}
