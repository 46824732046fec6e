//! What is ours: who may, mail, the bounds, and the end.

use super::*;

#[test]
fn only_allowed_pages() {
    let (node, _hear) = node_with(Config::default().allow_origin("http://page.example"), sockjs::Config::default());
    let (good, evil) = ("Origin: http://page.example\r\n", "Origin: http://evil.example\r\n");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let fetched = "Sec-Fetch-Site: cross-site\r\nReferer: http://evil.example/\r\n";
    for (method, path, fields) in [
        ("GET", "/echo/info", evil),
        ("OPTIONS", "/echo/info", evil),
        ("POST", "/echo/0/e/xhr", evil),
        ("POST", "/echo/0/e/xhr_send", evil),
        ("GET", "/echo/0/e/eventsource", evil),
        ("GET", "/echo/0/e/jsonp?c=x", fetched),
        ("GET", "/echo/0/e/htmlfile?c=x", "Sec-Fetch-Site: cross-site\r\n"),
        ("GET", "/echo/websocket", &format!("{upgrade}{evil}")),
        ("GET", "/echo/0/e/websocket", &format!("{upgrade}{evil}")),
    ] {
        let answer = ask(&node, method, path, fields, "");
        assert_eq!(answer.status, 403, "{method} {path}");
        assert_eq!(answer.field("access-control-allow-origin"), None, "{method} {path}");
        assert_eq!(answer.json()["error"], "forbidden_origin");
    }
    let answer = ask(&node, "POST", "/echo/0/g/xhr", good, "");
    assert_eq!(answer.text(), "o\n");
    assert_eq!(answer.field("access-control-allow-origin"), Some("http://page.example"));
    assert_eq!(answer.field("access-control-allow-credentials"), Some("true"));
    let page = node.ask("GET", "/echo/iframe.html");
    assert_eq!(page.field("content-security-policy"), Some("frame-ancestors 'self' http://page.example"));
    let mut client = node.connect();
    client.send("GET /echo/info HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(client.answer().status, 421);

    let (open, _hear) = node_with(Config::default().allow_origin("*"), sockjs::Config::default());
    let answer = ask(&open, "GET", "/echo/info", evil, "");
    assert_eq!(answer.field("access-control-allow-origin"), Some("http://evil.example"));
    assert_eq!(answer.field("access-control-allow-credentials"), Some("true"));
    let answer = ask(&open, "GET", "/echo/info", "Origin: null\r\n", "");
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.field("access-control-allow-credentials"), None);
}

#[test]
fn mail_waits_for_the_next_poll() {
    let (node, told) = node();
    poll(&node, "/echo/0/s/xhr", "o\n");
    let Told::Open(address) = hear(&told) else { panic!("it opens") };
    let mail = |text: &'static str| {
        node.handle.call(move |cx| address.send(cx, text.to_owned())).expect("it runs");
    };
    mail("one");
    mail("two");
    poll(&node, "/echo/0/s/xhr", "a[\"one\",\"two\"]\n");
    let mut waiting = node.connect();
    send(&mut waiting, "POST", "/echo/0/s/xhr", "", "");
    waiting.head();
    mail("three");
    assert_eq!(chunk(&mut waiting), "a[\"three\"]\n");
    post(&node, "/echo/0/s/xhr_send", "[\"bye\",\"unheard\"]");
    assert_eq!(hear(&told), Told::Closed);
    mail("too late");
    assert_eq!(post(&node, "/echo/0/s/xhr_send", "[\"x\"]").status, 204, "its client will read the end");
    poll(&node, "/echo/0/s/xhr", "a[\"last words\"]\n");
    poll(&node, "/echo/0/s/xhr", "c[3001,\"as asked\"]\n");
}

#[test]
fn bounds_and_panics() {
    let config = Config::default().unsent(1 << 18);
    let (node, told) = node_with(config, sockjs::Config::default().max_sessions(3).body_limit(100));
    for (name, order, want) in [
        ("flood", "[\"flood\"]", "c[1008,\"Too far behind\"]\n"),
        ("panic", "[\"panic\"]", "c[1011,\"the handler panicked\"]\n"),
    ] {
        poll(&node, &format!("/echo/0/{name}/xhr"), "o\n");
        assert!(matches!(hear(&told), Told::Open(_)));
        assert_eq!(post(&node, &format!("/echo/0/{name}/xhr_send"), order).status, 204);
        assert_eq!(hear(&told), Told::Closed);
        poll(&node, &format!("/echo/0/{name}/xhr"), want);
    }
    poll(&node, "/echo/0/third/xhr", "o\n");
    let full = post(&node, "/echo/0/fourth/xhr", "");
    assert_eq!((full.status, full.json()["error"].as_str()), (503, Some("full")));
    let long = format!("[\"{}\"]", "x".repeat(100));
    assert_eq!(post(&node, "/echo/0/third/xhr_send", &long).status, 413);
}

#[test]
fn a_handler_waits_for_its_client() {
    // A mebibyte through 64 KiB: what is sent before there is room would be too much.
    let (node, _hear) = node_with(Config::default().unsent(1 << 16), sockjs::Config::default());
    for (transport, way) in [("polls", "xhr"), ("streams", "xhr_streaming")] {
        let path = |way: &str| format!("/countdown/0/{transport}/{way}");
        poll(&node, &path("xhr"), "o\n");
        assert_eq!(post(&node, &path("xhr_send"), "[\"go\"]").status, 204);
        let mut next = 1000;
        let mut client = node.connect();
        while next > 0 {
            send(&mut client, "POST", &path(way), "", "");
            assert_eq!(client.head().status, 200);
            let mut body = String::new();
            while next > 0 {
                let Some(chunk) = client.chunk() else { break };
                body.push_str(&String::from_utf8(chunk).expect("text"));
                while let Some(end) = body.find('\n') {
                    let line: String = body.drain(..=end).collect();
                    let Some(messages) = line.strip_prefix('a') else { continue };
                    for message in serde_json::from_str::<Vec<String>>(messages).expect("JSON") {
                        next -= 1;
                        assert_eq!(message, format!("{next:01000}"));
                    }
                }
            }
        }
    }
}

#[test]
fn clocks() {
    let quick = Duration::from_millis(100);
    let (node, told) = node_with(Config::default(), sockjs::Config::default().heartbeat(quick).disconnect_delay(quick));
    let mut client = node.connect();
    send(&mut client, "POST", "/echo/0/s/xhr_streaming", "", "");
    client.head();
    assert!(chunk(&mut client).ends_with("\no\n"));
    assert!(matches!(hear(&told), Told::Open(_)));
    for _ in 0..3 {
        assert_eq!(chunk(&mut client), "h\n");
    }
    let mut ws = Ws::new(&node, "/echo/0/s/websocket");
    assert!(matches!(hear(&told), Told::Open(_)));
    assert_eq!(ws.next().as_deref(), Some("o"));
    assert_eq!(ws.next().as_deref(), Some("h"));
    drop(ws);
    assert_eq!(hear(&told), Told::Closed);
    drop(client);
    assert_eq!(hear(&told), Told::Closed);

    // Nobody comes back, and another one of the name is new.
    poll(&node, "/echo/0/t/xhr", "o\n");
    assert!(matches!(hear(&told), Told::Open(_)));
    assert_eq!(hear(&told), Told::Closed);
    poll(&node, "/echo/0/t/xhr", "o\n");
}

#[test]
fn a_server_that_stops_says_so() {
    let (node, told) = node();
    let mut client = node.connect();
    send(&mut client, "POST", "/echo/0/s/xhr_streaming", "", "");
    client.head();
    chunk(&mut client);
    let mut ws = Ws::new(&node, "/echo/0/s/websocket");
    assert_eq!(ws.next().as_deref(), Some("o"));
    poll(&node, "/echo/0/t/xhr", "o\n");
    for _ in 0..3 {
        assert!(matches!(hear(&told), Told::Open(_)));
    }
    node.handle.call(|cx| cx.stop()).expect("it runs");
    assert_eq!(chunk(&mut client), "c[3000,\"Go away!\"]\n");
    assert_eq!(ws.next().as_deref(), Some("c[3000,\"Go away!\"]"));
    for _ in 0..3 {
        assert_eq!(hear(&told), Told::Closed);
    }
}
