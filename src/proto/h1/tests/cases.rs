//! What is taken and what is refused, request by request; each also byte by byte.

use super::*;

/// Whole requests and their status: 0 is taken, 1 is unfinished.
const CASES: &[(&str, u16)] = &[
    // The request line.
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0),
    ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0),
    ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\tx\r\nHost: a\r\n\r\n", 400),
    ("GET / a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET /\r\n\r\n", 400),
    ("GET HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/11\r\nHost: a\r\n\r\n", 400),
    ("GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/1,1\r\nHost: a\r\n\r\n", 400),
    ("GET / ICY/1.1\r\nHost: a\r\n\r\n", 400),
    ("\u{16}\u{3}\u{1}\u{2}", 400),
    ("{\"a\":1}", 400),
    // Targets.
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0),
    ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET /é HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET /a\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET /a\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET /a|b?{c}^[d] HTTP/1.1\r\nHost: a\r\n\r\n", 0),
    ("GET http://b:80/x HTTP/1.1\r\nHost: a\r\n\r\n", 0),
    ("GET HTTP://b HTTP/1.1\r\nHost: a\r\n\r\n", 0),
    ("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET http://u@b/x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET http://b\\@c/x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET ftp://b/x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET http://b/x HTTP/1.1\r\n\r\n", 400),
    // Host.
    ("GET / HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/1.0\r\n\r\n", 0),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 0),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a:80\r\n\r\n", 0),
    ("GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 0),
    ("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0),
    ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: [x]\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: [::1]80\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a:+80\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a:80:90\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: é\r\n\r\n", 400),
    // Fields.
    ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
    ("GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX\t: b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: b\u{8}c\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: b\u{7f}\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: b\tc é\r\n\r\n", 0),
    ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nÉ: b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX(a): b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", 0),
    // Lengths.
    ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", 0),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 0),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 003\r\n\r\nabc", 0),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", 1),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 0),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\ncontent-length: 4\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3.0\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3 3\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1e2\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n", 413),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n", 413),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", 413),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", 400),
    // Transfer codings.
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", 0),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\r\n : chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    // Expectations.
    ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n\r\n", 0),
    ("POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417),
    ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, tea\r\n\r\n", 417),
];

/// What follows the head of a request in chunks.
const CHUNKS: &[(&str, u16)] = &[
    ("0\r\n\r\n", 0),
    ("000\r\n\r\n", 0),
    ("3\r\nabc\r\n0\r\n\r\n", 0),
    ("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", 0),
    ("3;a\r\nabc\r\n0;b=\"\\\"\t\"\r\n\r\n", 0),
    ("3\r\nabc\r\n", 1),
    ("0\r\n", 1),
    ("\r\n\r\n", 400),
    (";a\r\n\r\n", 400),
    ("3 \r\nabc\r\n0\r\n\r\n", 400),
    (" 3\r\nabc\r\n0\r\n\r\n", 400),
    ("3 ;a\r\nabc\r\n0\r\n\r\n", 400),
    ("+3\r\nabc\r\n0\r\n\r\n", 400),
    ("-3\r\nabc\r\n0\r\n\r\n", 400),
    ("0x3\r\nabc\r\n0\r\n\r\n", 400),
    ("3_0\r\nabc\r\n0\r\n\r\n", 400),
    ("g\r\n", 400),
    ("3\nabc\r\n0\r\n\r\n", 400),
    ("3\rabc\r\n0\r\n\r\n", 400),
    ("3;a\nabc\r\n0\r\n\r\n", 400),
    ("3;a\rb\r\nabc\r\n0\r\n\r\n", 400),
    ("3;a\0\r\nabc\r\n0\r\n\r\n", 400),
    ("3\r\nabcd\r\n0\r\n\r\n", 400),
    ("3\r\nabc\n0\r\n\r\n", 400),
    ("3\r\nabc\r0\r\n\r\n", 400),
    ("3\r\nabc0\r\n\r\n", 400),
    ("3\r\nabc\r\n\r\n0\r\n\r\n", 400),
    ("0\n\r\n", 400),
    ("0\r\n\n", 400),
    ("100001\r\n", 413),
    ("1\r\na\r\n100000\r\n", 413),
    ("ffffffffffffffff\r\n", 413),
    ("1\r\na\r\nffffffffffffffff\r\n", 413),
    ("10000000000000000\r\n", 400),
    ("00000000000000003\r\nabc\r\n0\r\n\r\n", 400),
    ("0\r\nA: b\r\n\r\n", 0),
    ("0\r\nContent-Length: 3\r\nTransfer-Encoding: x\r\nHost: b\r\n\r\n", 0),
    ("0\r\nA : b\r\n\r\n", 400),
    ("0\r\nA: b\r\n c\r\n\r\n", 400),
    ("0\r\nA: b\n\r\n", 400),
    ("0\r\nA: \0\r\n\r\n", 400),
    ("0\r\nGET / HTTP/1.1\r\n\r\n", 400),
];

#[test]
fn table() {
    assert!(CASES.len() + CHUNKS.len() >= 60);
    for (input, want) in CASES {
        check(Limits::default(), input, *want);
    }
    for (chunks, want) in CHUNKS {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(Limits::default(), format!("{head}{chunks}"), *want);
    }
}

#[test]
fn limits() {
    let limits = Limits::default();
    let get = |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    check(limits, get(&format!("/{}", "a".repeat(8191)), ""), 0);
    check(limits, get(&format!("/{}", "a".repeat(8192)), ""), 414);
    check(limits, get(&format!("/{}", "a".repeat(8192 + 40)), ""), 414);
    check(limits, get(&format!("/{}", "a".repeat(1 << 20)), ""), 414);
    check(limits, format!("GET /{}", "a".repeat(1 << 20)), 414);
    check(limits.target(usize::MAX), format!("GET /{}", "a".repeat(1 << 20)), 414);
    check(limits, "A".repeat(1 << 20), 501);
    check(limits, format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "A".repeat(33)), 501);
    check(limits, format!("A{}", "\u{1}".repeat(1 << 20)), 400);

    check(limits, get("/", &"X: y\r\n".repeat(99)), 0);
    check(limits, get("/", &"X: y\r\n".repeat(100)), 431);
    check(limits.headers(2), "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nZ:", 1);
    check(limits.headers(2), "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nZ:\r\n", 431);
    let room = 16 * 1024 - get("/", "X: \r\n").len();
    check(limits, get("/", &format!("X: {}\r\n", "y".repeat(room))), 0);
    check(limits, get("/", &format!("X: {}\r\n", "y".repeat(room + 1))), 431);
    check(limits, get("/", &format!("X: {}", "y".repeat(1 << 20))), 431);

    let post = |n: usize| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n{}", "b".repeat(n));
    check(limits.body(10), post(10), 0);
    check(limits.body(10), post(11), 413);

    let chunked = |body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    check(limits.body(10), chunked(&format!("{}0\r\n\r\n", "1\r\na\r\n".repeat(10))), 0);
    check(limits.body(10), chunked(&format!("{}0\r\n\r\n", "1\r\na\r\n".repeat(11))), 413);
    check(limits, chunked(&format!("0;{}\r\n\r\n", "x".repeat(254))), 0);
    check(limits, chunked(&format!("0;{}\r\n\r\n", "x".repeat(255))), 400);
    check(limits, chunked(&format!("0;{}", "x".repeat(1 << 20))), 400);
    // In all, however short each is.
    check(limits, chunked(&format!("{}0\r\n\r\n", "1;xxx\r\na\r\n".repeat(1024))), 0);
    check(limits, chunked(&format!("{}0\r\n\r\n", "1;xxx\r\na\r\n".repeat(1025))), 400);
    check(limits, chunked(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(32))), 0);
    check(limits, chunked(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(33))), 431);
    check(limits, chunked(&format!("0\r\nX: {}\r\n\r\n", "y".repeat(4089))), 0);
    check(limits, chunked(&format!("0\r\nX: {}\r\n\r\n", "y".repeat(4090))), 431);
    check(limits, chunked(&format!("0\r\nX: {}", "y".repeat(1 << 20))), 431);
}
