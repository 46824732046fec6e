//! Which node is meant, and what becomes of those who cannot be reached.

use std::net::TcpListener;

use crate::node::Node;
use crate::support::{Room, Running};

#[test]
fn the_option_the_environment_the_file() {
    let node = Node::new("web: sleep 1000\n");
    node.run("load -q").expect(0).quietly();
    let run = |args: &str, endpoint: &str, config: &str| {
        let mut command = node.room.gaffer(args);
        if !endpoint.is_empty() {
            command.env("GAFFER_ENDPOINT", endpoint);
        }
        if !config.is_empty() {
            std::fs::write(node.room.path("client.ini"), config).expect("a file");
            command.env("GAFFER_CONFIG", node.room.path("client.ini"));
        }
        Running::spawn(command).end()
    };
    let (address, nowhere) = (&node.address, "unix:/nonexistent");
    let file = |address: &str| format!("[gaffer]\nendpoint = {address}\n\n[node \"{address}\"]\nkey = secret\n");
    for option in ["-g", "--endpoint", "--connect", "--gafferd-http-address"] {
        assert_eq!(run(&format!("apps {option} {address}"), nowhere, &file(nowhere)).expect(0).text(), "app\n");
    }
    assert_eq!(run(&format!("-g {address} apps"), nowhere, "").expect(0).text(), "app\n");
    assert_eq!(run("apps", address, &file(nowhere)).expect(0).text(), "app\n");
    assert_eq!(run("apps", "", &file(address)).expect(0).text(), "app\n");
    run("apps", "", &file(nowhere)).expect(69).complains("gaffer: cannot reach unix:/nonexistent: No such file");
    let done = run("apps", "", "[gaffer]\nendpiont = x\n").expect(1);
    assert!(done.err.contains("client.ini:2:1: unknown key `endpiont`; did you mean `endpoint`?"), "{done}");
    run("apps -g ftp://x", "", "").expect(2).complains("gaffer: invalid address \"ftp://x\"");
}

#[test]
fn without_a_node() {
    let room = Room::new("web: sleep 1000\n");
    // A port that is free now may be somebody else's soon.
    let address = format!("unix:{}", room.path("none.sock").display());
    for line in ["load", "unload", "reload web", "ps", "ps:info web", "ps:start web", "stop web", "restart web"]
        .into_iter()
        .chain(["scale web=2", "kill web HUP", "commit web", "apps", "send web x", "recv web", "ps --watch", "stop"])
    {
        let done = room.run(&format!("-g {address} {line}")).expect(69);
        assert!(done.err.contains("is gafferd running?") && done.text().is_empty(), "{line}: {done}");
        assert_eq!(done.err.lines().count(), 1, "{line}: {done}");
    }
    // One that takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let done = room.run(&format!("apps --timeout 0.2 -g {address}")).expect(124);
    assert!(done.err.contains("has not answered within 0.2 s"), "{done}");
}

#[test]
fn one_that_does_not_allow_it() {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
            head.extend(byte);
        }
        let body = r#"{"error":"forbidden","reason":"the key has no rights here","errno":403}"#;
        write!(stream, "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
            .expect("an answer");
        String::from_utf8_lossy(&head).to_ascii_lowercase()
    });
    let room = Room::empty();
    let done = room.run(&format!("apps -g {address} --api-key mine")).expect(77);
    assert!(done.err.starts_with("gaffer: the key has no rights here"), "{done}");
    assert!(thread.join().expect("a head").contains("x-api-key: mine"));
}
