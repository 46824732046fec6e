//! The transports, after the protocol's own test document.

use super::*;

#[test]
fn greeting_info_and_iframe() {
    let (node, _hear) = node();
    for path in ["/echo", "/echo/", "/a/b/plain"] {
        let answer = node.ask("GET", path);
        assert_eq!((answer.status, answer.text().as_str()), (200, "Welcome to SockJS!\n"));
        assert_eq!(answer.field("content-type"), Some("text/plain; charset=UTF-8"));
        assert_eq!(answer.field("set-cookie"), None);
    }
    for path in ["/echo/a", "/echo/a.html", "/echo//", "/echo/a/a", "/echo/a/a/", "/echo/a./a/xhr", "/echos", "/a/b"] {
        assert_eq!(node.ask("GET", path).status, 404, "{path}");
    }

    let info = |path: &str| node.ask("GET", path);
    let (first, second) = (info("/echo/info"), info("/echo/info"));
    assert_eq!(first.field("content-type"), Some("application/json; charset=UTF-8"));
    not_cached(&first);
    let mut value = first.json();
    assert_ne!(value["entropy"], second.json()["entropy"]);
    assert!(value["entropy"].take().as_u64().is_some_and(|n| n < 1 << 32));
    let want = serde_json::json!({"websocket": true, "cookie_needed": true, "origins": ["*:*"], "entropy": null});
    assert_eq!(value, want);
    assert_eq!(info("/disabled_websocket_echo/info").json()["websocket"], false);
    assert_eq!(info("/a/b/plain/info").json()["cookie_needed"], false);

    let page = node.ask("GET", "/echo/iframe-1.6.1.html?t=1");
    assert_eq!(page.status, 200);
    assert_eq!(page.field("content-type"), Some("text/html; charset=UTF-8"));
    assert_eq!(page.field("cache-control"), Some("public, max-age=31536000"));
    assert_eq!(page.field("content-security-policy"), Some("frame-ancestors 'self'"));
    assert!(page.field("expires").is_some());
    assert!(page.text().contains("<script src=\"https://cdn.jsdelivr.net/npm/sockjs-client@1.6.1/"), "{page:?}");
    let tag = page.field("etag").expect("a tag");
    assert_eq!(node.ask("GET", "/echo/iframe.html").field("etag"), Some(tag));
    let same = ask(&node, "GET", "/echo/iframe.html", &format!("If-None-Match: {tag}\r\n"), "");
    assert_eq!((same.status, same.field("content-type")), (304, None));
    assert_eq!(node.ask("HEAD", "/echo/iframe.html").status, 200);
}

#[test]
fn options_and_methods() {
    let (node, _hear) = node_with(Config::default().allow_origin("http://page.example"), sockjs::Config::default());
    let of = |path: &str, fields: &str| ask(&node, "OPTIONS", path, fields, "");
    for (path, methods) in [
        ("/echo/info", "OPTIONS, GET"),
        ("/echo/abc/abc/xhr", "OPTIONS, POST"),
        ("/echo/abc/abc/xhr_send", "OPTIONS, POST"),
        ("/echo/abc/abc/xhr_streaming", "OPTIONS, POST"),
        ("/echo/abc/abc/eventsource", "OPTIONS, GET"),
    ] {
        let answer = of(path, "Origin: http://page.example\r\nAccess-Control-Request-Headers: a, b, c\r\n");
        assert_eq!(answer.status, 204);
        assert_eq!(answer.field("access-control-allow-methods"), Some(methods));
        assert_eq!(answer.field("access-control-max-age"), Some("31536000"));
        assert_eq!(answer.field("cache-control"), Some("public, max-age=31536000"));
        assert!(answer.field("expires").is_some());
        assert_eq!(answer.field("access-control-allow-origin"), Some("http://page.example"));
        assert_eq!(answer.field("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.field("access-control-allow-headers"), Some("a, b, c"));
        assert_eq!(answer.field("vary"), Some("Origin"));
        let wrong = ask(&node, if methods.ends_with("GET") { "POST" } else { "GET" }, path, "", "");
        assert_eq!((wrong.status, wrong.field("allow"), wrong.body.len()), (405, Some(methods), 0));
        assert_eq!(wrong.field("content-type"), None);
    }
    assert_eq!(of("/echo/nothing", "").status, 404);
    let head = ask(&node, "HEAD", "/echo/0/h/eventsource", "", "");
    assert_eq!(head.status, 200);
    assert_eq!(post(&node, "/echo/0/h/xhr_send", "[\"x\"]").status, 404, "a HEAD opens nothing");
}

#[test]
fn polling() {
    let (node, _hear) = node();
    let first = post(&node, "/echo/000/s/xhr", "");
    assert_eq!((first.status, first.text().as_str()), (200, "o\n"));
    assert_eq!(first.field("content-type"), Some("application/javascript; charset=UTF-8"));
    not_cached(&first);
    let sent = post(&node, "/echo/000/s/xhr_send", "[\"x\"]");
    assert_eq!((sent.status, sent.field("content-type")), (204, Some("text/plain; charset=UTF-8")));
    not_cached(&sent);
    // Which server is asked is not looked at.
    poll(&node, "/echo/999/s/xhr", "a[\"x\"]\n");
    assert_eq!(post(&node, "/echo/000/bad/xhr_send", "[\"x\"]").status, 404);

    for (body, words) in [("[\"x", "Broken JSON encoding."), ("", "Payload expected."), ("{}", "Broken JSON encoding.")]
    {
        let answer = post(&node, "/echo/000/s/xhr_send", body);
        assert_eq!((answer.status, answer.text().as_str()), (500, words));
    }
    let types =
        ["text/plain", "T", "application/json", "application/xml", "", "application/json; charset=utf-8", "text/xml"];
    for one in types {
        let answer = ask(&node, "POST", "/echo/0/s/xhr_send", &format!("Content-Type: {one}\r\n"), "[\"a\"]");
        assert_eq!(answer.status, 204, "{one}");
    }
    poll(&node, "/echo/0/s/xhr", &format!("a[{}]\n", ["\"a\""; 7].join(",")));

    let mut waiting = node.connect();
    send(&mut waiting, "POST", "/echo/0/s/xhr", "", "");
    assert_eq!(waiting.head().status, 200);
    poll(&node, "/echo/0/s/xhr", "c[2010,\"Another connection still open\"]\n");
    post(&node, "/echo/0/s/xhr_send", "[\"late\"]");
    assert_eq!(chunk(&mut waiting), "a[\"late\"]\n");
    assert_eq!(waiting.chunk(), None);
    // The connection is good for another poll.
    send(&mut waiting, "POST", "/echo/0/s/xhr_send", "", "[\"again\"]");
    assert_eq!(waiting.answer().status, 204);
    poll(&node, "/echo/0/s/xhr", "a[\"again\"]\n");
}

#[test]
fn an_aborted_poll_ends_the_session() {
    let (node, told) = node();
    for transport in ["xhr", "xhr_streaming"] {
        let path = format!("/echo/0/{transport}/xhr");
        poll(&node, &path, "o\n");
        assert!(matches!(hear(&told), Told::Open(_)));
        let mut waiting = node.connect();
        send(&mut waiting, "POST", &format!("/echo/0/{transport}/{transport}"), "", "");
        assert_eq!(waiting.head().status, 200);
        drop(waiting);
        assert_eq!(hear(&told), Told::Closed);
        for _ in 0..2 {
            poll(&node, &path, "c[1002,\"Connection interrupted\"]\n");
        }
    }
}

#[test]
fn streaming() {
    let (node, _hear) = node();
    let prelude = "h".repeat(2048) + "\n";
    let mut client = node.connect();
    send(&mut client, "POST", "/echo/0/s/xhr_streaming", "", "");
    let head = client.head();
    assert_eq!(head.field("content-type"), Some("application/javascript; charset=UTF-8"));
    not_cached(&head);
    assert_eq!(chunk(&mut client), prelude.clone() + "o\n");
    let message = format!("\"{}\"", "x".repeat(128));
    for _ in 0..31 {
        assert_eq!(post(&node, "/echo/0/s/xhr_send", &format!("[{message}]")).status, 204);
        assert_eq!(chunk(&mut client), format!("a[{message}]\n"));
    }
    assert_eq!(client.chunk(), None, "the response is full");
    send(&mut client, "POST", "/echo/0/s/xhr_streaming", "", "");
    client.head();
    assert_eq!(chunk(&mut client), prelude.clone());
    let second = post(&node, "/echo/0/s/xhr_streaming", "");
    assert_eq!(second.text(), prelude.clone() + "c[2010,\"Another connection still open\"]\n");

    let mut events = node.connect();
    events.send("GET /echo/0/e/eventsource HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = events.head();
    assert_eq!(head.field("content-type"), Some("text/event-stream; charset=UTF-8"));
    not_cached(&head);
    assert_eq!(chunk(&mut events), "\r\ndata: o\r\n\r\n");
    post(&node, "/echo/0/e/xhr_send", r#"["  \u0000\n\r "]"#);
    assert_eq!(chunk(&mut events), "data: a[\"  \\u0000\\n\\r \"]\r\n\r\n");

    let mut page = node.connect();
    page.send("GET /echo/0/h/htmlfile?c=%63allback HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = page.head();
    assert_eq!(head.field("content-type"), Some("text/html; charset=UTF-8"));
    assert_eq!(head.field("content-security-policy"), Some("frame-ancestors 'self'"));
    not_cached(&head);
    let start = chunk(&mut page);
    assert!(start.len() > 1024 && start.contains("parent.callback;"), "{start}");
    assert!(start.ends_with("<script>\np(\"o\");\n</script>\r\n"), "{start}");
    post(&node, "/echo/0/h/xhr_send", "[\"x\"]");
    assert_eq!(chunk(&mut page), "<script>\np(\"a[\\\"x\\\"]\");\n</script>\r\n");

    // HTTP/1.0 knows no chunks: the connection ends with the content.
    let mut old = node.connect();
    old.send("POST /close/0/o/xhr_streaming HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    let head = old.head();
    assert!(head.field("transfer-encoding").is_none() && head.field("content-length").is_none());
    assert_eq!(String::from_utf8(old.rest()).expect("text"), prelude + "o\nc[3000,\"Go away!\"]\n");
}

#[test]
fn jsonp() {
    let (node, _hear) = node();
    let get = |path: &str| {
        let answer = node.ask("GET", path);
        (answer.status, answer.text())
    };
    let first = node.ask("GET", "/echo/0/s/jsonp?c=%63allback");
    assert_eq!((first.status, first.text().as_str()), (200, "callback(\"o\");\r\n"));
    assert_eq!(first.field("content-type"), Some("application/javascript; charset=UTF-8"));
    not_cached(&first);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let sent = |fields: &str, body: &str| {
        let answer = ask(&node, "POST", "/echo/0/s/jsonp_send", fields, body);
        (answer.status, answer.text())
    };
    assert_eq!(sent(form, "d=%5B%22x%22%5D"), (200, "ok".to_owned()));
    assert_eq!(get("/echo/0/s/jsonp?c=callback"), (200, "callback(\"a[\\\"x\\\"]\");\r\n".to_owned()));
    assert_eq!(sent(form, "d=%5B%22abc%22%5D"), (200, "ok".to_owned()));
    assert_eq!(sent("Content-Type: text/plain\r\n", "[\"%61bc\"]"), (200, "ok".to_owned()));
    assert_eq!(get("/echo/0/s/jsonp?c=x"), (200, "x(\"a[\\\"abc\\\",\\\"%61bc\\\"]\");\r\n".to_owned()));
    assert_eq!(sent(form, "d=%5B%22x"), (500, "Broken JSON encoding.".to_owned()));
    for body in ["", "d=", "p=p"] {
        assert_eq!(sent(form, body), (500, "Payload expected.".to_owned()));
    }
    for transport in ["jsonp", "htmlfile"] {
        let answer = get(&format!("/echo/a/a/{transport}"));
        assert_eq!(answer, (500, "\"callback\" parameter required".to_owned()));
        let answer = get(&format!("/echo/a/a/{transport}?c=alert(1)//"));
        assert_eq!(answer, (500, "invalid \"callback\" parameter".to_owned()));
    }
    for want in ["x(\"o\");\r\n", "x(\"c[3000,\\\"Go away!\\\"]\");\r\n", "x(\"c[3000,\\\"Go away!\\\"]\");\r\n"] {
        assert_eq!(get("/close/0/s/jsonp?c=x"), (200, want.to_owned()));
    }
}

#[test]
fn the_cookie_of_balancers() {
    let (node, _hear) = node();
    let cookie = |path: &str, fields: &str| {
        let answer = ask(&node, "POST", path, fields, "");
        answer.field("set-cookie").map(str::to_owned)
    };
    assert_eq!(cookie("/echo/0/a/xhr", "").as_deref(), Some("JSESSIONID=dummy; Path=/"));
    let fields = "Cookie: x=y; JSESSIONID=abcdef\r\n";
    assert_eq!(cookie("/echo/0/b/xhr", fields).as_deref(), Some("JSESSIONID=abcdef; Path=/"));
    assert_eq!(cookie("/echo/0/b/xhr_send", fields).as_deref(), Some("JSESSIONID=abcdef; Path=/"));
    assert_eq!(cookie("/echo/0/c/xhr", "Cookie: JSESSIONID=a\"b\r\n").as_deref(), Some("JSESSIONID=dummy; Path=/"));
    assert_eq!(cookie("/a/b/plain/0/a/xhr", fields), None);
}

#[test]
fn websockets() {
    let (node, told) = node();
    // Two of one name are two sessions.
    let (mut one, mut two) = (Ws::new(&node, "/echo/0/s/websocket"), Ws::new(&node, "/echo/0/s/websocket"));
    for (ws, text) in [(&mut one, "[\"a\"]"), (&mut two, "\"b\"")] {
        assert_eq!(ws.next().as_deref(), Some("o"));
        ws.send("");
        ws.send(text);
    }
    assert_eq!(one.next().as_deref(), Some("a[\"a\"]"));
    assert_eq!(two.next().as_deref(), Some("a[\"b\"]"));
    one.send("[\"a");
    assert_eq!(one.next().as_deref(), Some("close 1007"));
    two.send("[\"1\",\"bye\",\"2\"]");
    for want in ["a[\"1\"]", "a[\"last words\"]", "c[3001,\"as asked\"]", "close 3001"] {
        assert_eq!(two.next().as_deref(), Some(want));
    }
    drop((one, two));
    let mut heard: Vec<_> = (0..4).map(|_| matches!(hear(&told), Told::Closed)).collect();
    heard.sort_unstable();
    assert_eq!(heard, [false, false, true, true]);

    let mut close = Ws::new(&node, "/close/0/s/websocket");
    for want in ["o", "c[3000,\"Go away!\"]", "close 3000"] {
        assert_eq!(close.next().as_deref(), Some(want));
    }
    let mut raw = Ws::new(&node, "/echo/websocket");
    raw.send("Hello world!\u{ffff}");
    assert_eq!(raw.next().as_deref(), Some("Hello world!\u{ffff}"));
    assert_eq!(Ws::new(&node, "/close/websocket").next().as_deref(), Some("close 3000"));

    let plain = node.ask("GET", "/echo/0/0/websocket");
    assert_eq!((plain.status, plain.text().as_str()), (400, "Can \"Upgrade\" only to \"WebSocket\"."));
    let half = ask(&node, "GET", "/echo/0/0/websocket", "Upgrade: WebSocket\r\nConnection: keep-alive\r\n", "");
    assert_eq!((half.status, half.text().as_str()), (400, "\"Connection\" must be \"Upgrade\"."));
    assert_eq!(post(&node, "/echo/0/0/websocket", "").status, 405);
    let raw = node.ask("GET", "/echo/websocket");
    assert_eq!((raw.status, raw.json()["error"].as_str()), (426, Some("upgrade_required")));
    for path in ["/disabled_websocket_echo/0/0/websocket", "/disabled_websocket_echo/websocket"] {
        assert_eq!(node.ask("GET", path).status, 404);
    }
}

#[test]
fn the_chunking_test() {
    let (node, _hear) = node();
    let mut client = node.connect();
    send(&mut client, "POST", "/echo/chunking_test", "", "");
    assert_eq!(client.head().field("content-type"), Some("application/javascript; charset=UTF-8"));
    assert_eq!(chunk(&mut client), "h\n");
    assert_eq!(chunk(&mut client), " ".repeat(2048) + "h\n");
    for _ in 0..5 {
        assert_eq!(chunk(&mut client), "h\n");
    }
    assert_eq!(client.chunk(), None);
}
