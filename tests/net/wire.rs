//! HTTP/1.1 on the wire: what curl does with it, and what no client of good will would send.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;

use crate::util::{Answer, DEADLINE, Node, assert_refused, ok};

const JOB: &str = r#"{"name": "web", "cmd": "sleep 1000"}"#;

#[test]
fn a_body_in_chunks() {
    let node = Node::new("");
    let answer = node.curl(&["-H", "Transfer-Encoding: chunked", "--data-binary", JOB], "/jobs/default");
    assert_eq!((answer.status, answer.json()), (200, ok()));
    node.pids("web", 1);
}

#[test]
fn a_body_that_waits_for_100() {
    let node = Node::new("");
    let answer = node.curl(&["-H", "Expect: 100-continue", "--data-binary", JOB], "/jobs/default");
    assert_eq!((answer.status, answer.json()), (200, ok()));

    // Seen from a bare socket: nothing of the body before the 100.
    let mut stream = node.connect();
    let head = "PUT /jobs/default/web HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 20\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(br#"{"cmd": "sleep 1.5"}"#).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(Answer::parse(&rest).status, 201, "{}", String::from_utf8_lossy(&rest));

    // What would be refused anyway is refused at once, without the 100.
    let head =
        "PUT /jobs/default/web HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2000000\r\n\r\n";
    let answer = node.raw(head.as_bytes());
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn by_unix_socket() {
    let mut node = Node::at("unix:FOLDER/api.sock", "[process:web]\ncmd = sleep 1000\n");
    assert!(node.address.starts_with("unix:"), "{}", node.address);
    assert_eq!(node.ask("GET /ping", "").text(), "OK");
    let pid = node.pids("web", 1)[0];
    assert_eq!(node.json(&format!("GET /{pid}/stats"), "", 200)["stats"]["pid"], pid);
    let mode = std::fs::metadata(node.path("api.sock")).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    node.stop();
    assert!(!node.path("api.sock").exists(), "it is gone with its server");
}

#[test]
fn a_connection_is_kept() {
    let node = Node::new("");
    let url = node.url("/version");
    let output = node
        .curl_command(&["-D", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} "], "/ping")
        .args(["-o", "/dev/null", &url, "-o", "/dev/null", &url])
        .output()
        .expect("curl is installed");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1 0 0 ");

    let old = node.raw(b"GET /ping HTTP/1.0\r\n\r\n");
    assert!(Answer::parse(&old).text() == "OK", "HTTP/1.0 is closed after one");
    let kept = node.raw(b"GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /version HTTP/1.0\r\n\r\n");
    assert!(String::from_utf8_lossy(&kept).contains("\"name\":\"gaffer\""));
}

#[test]
fn requests_in_a_row_are_answered_in_a_row() {
    let node = Node::new("");
    let mut bytes = Vec::new();
    for i in 0..200 {
        let path = ["/ping", "/version", "/nope"][i % 3];
        bytes.extend(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes());
    }
    bytes.extend(b"POST /jobs/default HTTP/1.1\r\nHost: localhost\r\nContent-Length: 36\r\n\r\n");
    bytes.extend(JOB.as_bytes());
    bytes.extend(b"HEAD /jobs/default/web HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answers = String::from_utf8(node.raw(&bytes)).expect("text");
    let statuses: Vec<&str> =
        answers.split("HTTP/1.1 ").skip(1).map(|answer| answer.split(' ').next().unwrap_or_default()).collect();
    let mut want: Vec<&str> = (0..200).map(|i| ["200", "200", "404"][i % 3]).collect();
    want.extend(["200", "200"]);
    assert_eq!(statuses, want);
    assert!(answers.ends_with("\r\n\r\n"), "HEAD has no content");
}

#[test]
fn bounds() {
    let node = Node::new("");
    let long = "x".repeat(17 * 1024);
    assert_refused(
        &node.curl(&["-H", &format!("X-Long: {long}")], "/ping"),
        431,
        "header_fields_too_large",
        "a long head",
    );
    assert_refused(&node.curl(&[], &format!("/{}", &long[..9000])), 414, "uri_too_long", "a long target");
    let many: String = (0..101).map(|i| format!("X-{i}: y\r\n")).collect();
    let answer = node.raw(format!("GET /ping HTTP/1.1\r\nHost: localhost\r\n{many}\r\n").as_bytes());
    assert_refused(&Answer::parse(&answer), 431, "header_fields_too_large", "many fields");

    let body = node.path("body");
    std::fs::write(&body, vec![b'x'; (1 << 20) + 1]).unwrap();
    let data = format!("@{}", body.display());
    // Without the question whether it may: the answer is there before the body is.
    for encoding in ["Expect:", "Transfer-Encoding: chunked"] {
        let output =
            node.curl_command(&["-H", "Expect:", "-H", encoding, "--data-binary", &data], "/jobs/default").output();
        let output = output.expect("curl is installed");
        assert_refused(&Answer::parse(&output.stdout), 413, "content_too_large", encoding);
    }
    // An upgrade to what nobody speaks is none.
    assert_eq!(node.curl(&["-H", "Connection: Upgrade", "-H", "Upgrade: h2c"], "/ping").status, 200);
    assert_eq!(node.ask("GET /ping", "").text(), "OK", "nobody else is hurt");
}

/// Where two servers would not agree on where a request ends, this one does not guess: 400 and the end.
#[test]
fn smuggling() {
    let node = Node::new("");
    let cases: &[(&str, &[u8])] = &[
        ("both lengths", b"POST /jobs/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("two lengths", b"POST /jobs/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nxxxxx"),
        ("a list of lengths", b"POST /jobs/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4, 5\r\n\r\nxxxxx"),
        ("a signed length", b"POST /jobs/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: +4\r\n\r\nxxxx"),
        ("a hex length", b"POST /jobs/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0x4\r\n\r\nxxxx"),
        ("chunked twice", b"POST /jobs/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
        ("chunked and then not", b"POST /jobs/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        ("white space before the colon", b"GET /ping HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n"),
        ("obs-fold", b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n"),
        ("a bare CR", b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n"),
        ("a bare LF", b"GET /ping HTTP/1.1\r\nHost: localhost\nX: a\r\n\r\n"),
        ("NUL", b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n"),
        ("no host", b"GET /ping HTTP/1.1\r\n\r\n"),
        ("two hosts", b"GET /ping HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"),
        ("a bad chunk", b"POST /jobs/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n"),
        ("a chunk without its end", b"POST /jobs/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n"),
    ];
    for (about, bytes) in cases {
        // What follows must not be taken for a request.
        let follows = [*bytes, b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat();
        let answers = String::from_utf8_lossy(&node.raw(&follows)).into_owned();
        assert!(answers.starts_with("HTTP/1.1 400 "), "{about}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{about}: {answers}");
        assert!(answers.to_ascii_lowercase().contains("connection: close"), "{about}: {answers}");
        assert_refused(&Answer::parse(answers.as_bytes()), 400, "bad_request", about);
    }
    let version = node.raw(b"GET /ping HTTP/2.0\r\nHost: localhost\r\n\r\n");
    assert_refused(&Answer::parse(&version), 505, "version_not_supported", "another version");
    let coding =
        node.raw(b"POST /jobs/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n");
    assert_refused(&Answer::parse(&coding), 501, "not_implemented", "an unknown coding");
}

/// A head that drips in is given up.
#[test]
fn a_slow_head() {
    let node = Node::new("[limits]\nhead_timeout = 0.5\n");
    let mut stream = node.connect();
    stream.write_all(b"GET /ping HTTP/1.1\r\nHost: loc").unwrap();
    let mut answer = Vec::new();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.read_to_end(&mut answer).unwrap();
    assert_refused(&Answer::parse(&answer), 408, "request_timeout", "slowloris");
}

#[test]
fn too_many_connections() {
    let node = Node::new("[limits]\nconnections = 4\n");
    let held: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = node.connect();
            stream.write_all(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            stream
        })
        .collect();
    let answer = node.raw(b"");
    assert!(answer.starts_with(b"HTTP/1.1 503 "), "{}", String::from_utf8_lossy(&answer));
    drop(held);
    crate::util::eventually("room again", || node.get("/ping").filter(|(status, _)| *status == 200));
}
