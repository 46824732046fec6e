//! The library's connections for commands, topics and the input and output of processes: against a node, and against others that
//! mean harm.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use gaffer::ErrorKind;
use gaffer::client::{IoChannel, Mode, Server, Socket};
use gaffer::process::{Pid, Signal};
use gaffer::proto::ws::{CloseCode, Connection, Limits, server};
use serde_json::{Map, Value, json};

use crate::node::Node;
use crate::support::until;

const DEADLINE: Duration = Duration::from_secs(90);

fn command(socket: &Socket, name: &str, args: &[Value]) -> Value {
    socket.send_command(name, args, &Map::new()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Loads a program with input and output, which is called `name`; its process.
fn program(node: &Node, name: &str, script: &str) -> Pid {
    let definition = json!({"name": name, "cmd": script, "shell": true, "redirect_input": true,
        "redirect_output": ["out", "err"], "custom_streams": ["ctl"], "restart": "never"});
    node.server().load(&definition, None, true, false).expect("loaded");
    Pid(node.pids(name, 1)[0])
}

#[test]
fn commands_and_their_refusals() {
    let node = Node::new("");
    let socket = node.server().socket().expect("a connection");
    let loaded = command(&socket, "load", &[json!({"name": "a", "cmd": "sleep 1000"}), json!("s")]);
    assert_eq!(loaded, json!({"ok": true}));
    let mut named = Map::new();
    named.insert("name".to_owned(), "s.a".into());
    named.insert("n".to_owned(), 2.into());
    assert_eq!(socket.send_command("scale", &[], &named).expect("by their names"), json!({"numprocesses": 3}));
    for (name, args, errno, reason) in [
        ("nope", json!([]), 404, "command_not_found"),
        ("info", json!(["s.b"]), 404, "not_found"),
        ("load", json!([{"name": "a", "cmd": "true"}, "s"]), 409, "process_conflict"),
        ("load", json!([{"name": "b"}]), 400, "invalid_config"),
        ("scale", json!(["s.a"]), 400, "bad_command"),
    ] {
        let args: Vec<Value> = serde_json::from_value(args).expect("a list");
        let error = socket.send_command(name, &args, &Map::new()).expect_err(name);
        assert_eq!((error.errno, &*error.reason), (errno, reason), "{error}");
        assert!(error.message.contains(' '), "a sentence: {error}");
    }
    // Many at once: each has its own answer, also those that take time.
    let pid = node.pids("s.a", 3)[0];
    let pending: Vec<_> = (0..60)
        .map(|n| match n % 3 {
            0 => socket.post("process_stats", &[json!(pid)], &Map::new()).expect("sent"),
            1 => socket.post("pids", &[json!("s.a")], &Map::new()).expect("sent"),
            _ => socket.post("nope", &[], &Map::new()).expect("sent"),
        })
        .collect();
    for (n, pending) in pending.into_iter().enumerate() {
        let answer = pending.wait();
        match n % 3 {
            0 => assert_eq!(answer.expect("figures")["stats"]["pid"], pid),
            1 => assert_eq!(answer.expect("pids")["name"], "s.a"),
            _ => assert_eq!(answer.expect_err("no such command").errno, 404),
        }
    }
    drop(socket.post("pids", &[], &Map::new()).expect("sent")); // nobody wants it
    let long = socket.send_command("pids", &[json!("x".repeat(1 << 20))], &Map::new()).expect_err("too long");
    assert_eq!(long.errno, 400, "{long}");
    assert_eq!(command(&socket, "sessions", &[]), json!({"sessions": ["s"]}));
}

#[test]
fn topics_have_their_own_queues() {
    let node = Node::new("");
    let socket = node.server().socket().expect("a connection");
    let error = socket.subscribe("JOBS:a").expect_err("no topic");
    assert_eq!((error.errno, &*error.reason), (400, "invalid_topic"));
    assert_eq!(socket.subscribe("STREAM:99").expect_err("no process").errno, 404);
    assert_eq!(gaffer::Error::from(socket.subscribe("STATS:99").expect_err("none")).kind(), ErrorKind::NotFound);
    let all = socket.subscribe("EVENTS").expect("a topic");
    let [long, short] = ["JOB:default.a", "job:a"].map(|topic| socket.subscribe(topic).expect("a topic"));
    assert_eq!((long.topic(), short.topic()), ("JOB:default.a", "JOB:default.a"));
    command(&socket, "load", &[json!({"name": "a", "cmd": "sleep 1000"})]);
    node.pids("a", 1);
    for channel in [&short, &long] {
        for want in ["load", "start", "spawn"] {
            let event = channel.recv_timeout(DEADLINE).expect("in time").expect("subscribed");
            assert_eq!((event.event.as_str(), event.topic.as_str()), (want, "JOB:default.a"));
        }
    }
    let first = all.recv().expect("in time").expect("subscribed");
    assert_eq!((first.event.as_str(), first.name.expect("a job").as_str()), ("create", "default.a"));

    // One goes, the other stays.
    drop(long);
    let nothing = short.recv_timeout(Duration::ZERO).expect_err("nothing has happened");
    assert_eq!(nothing.kind(), ErrorKind::TimedOut);
    command(&socket, "stop_job", &[json!("a")]);
    let stop = short.recv_timeout(DEADLINE).expect("in time").expect("subscribed");
    assert_eq!(stop.event, "stop");
    socket.unsubscribe("JOB:a").expect("it is subscribed");
    assert!(short.take(10).all(|event| event.is_ok()), "it ends, with what it has got before");
    assert_eq!(&*socket.unsubscribe("JOB:a").expect_err("no more").reason, "not_subscribed");
    assert!(socket.is_open());

    // Figures at an interval, and output with its end.
    let pid = program(&node, "b", "read line; echo \"$line\"");
    let figures = socket.subscribe_every("STATS:b", Duration::from_millis(100)).expect("a topic");
    for _ in 0..2 {
        assert_eq!(figures.recv_timeout(DEADLINE).expect("in time").expect("subscribed").pid, Some(pid));
    }
    assert_eq!(&*socket.subscribe_every("STATS", Duration::ZERO).expect_err("too often").reason, "invalid_interval");
    let output = socket.subscribe(&format!("STREAM:{pid}")).expect("a topic");
    command(&socket, "send", &[json!(pid.0), json!("hello\n")]);
    let piece = output.recv_timeout(DEADLINE).expect("in time").expect("subscribed");
    assert_eq!((piece.event.as_str(), &piece.fields["data"]), ("out", &json!("hello\n")));
    assert_eq!(output.recv_timeout(DEADLINE).expect("in time").expect("subscribed").fields["end"], true);
}

#[test]
fn one_connection_for_many_threads() {
    const THREADS: usize = 8;
    let node = Node::new("");
    let socket = node.server().socket().expect("a connection");
    let loads = Arc::new(socket.subscribe("EVENTS:load").expect("a topic"));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let socket = socket.clone();
            thread::spawn(move || {
                let mine = socket.subscribe(&format!("JOB:t{thread}.a")).expect("a topic");
                for round in 0..20 {
                    let definition = json!({"name": "a", "cmd": "true", "start": false});
                    command(&socket, "load", &[definition, json!(format!("t{thread}"))]);
                    command(&socket, "unload", &[json!(format!("t{thread}.a"))]);
                    for want in ["load", "unload"] {
                        let event = mine.recv_timeout(DEADLINE).expect("in time").expect("subscribed");
                        assert_eq!(event.event, want, "{thread}, {round}");
                    }
                }
            })
        })
        .collect();
    let mut counts = [0; THREADS];
    for _ in 0..20 * THREADS {
        let event = loads.recv_timeout(DEADLINE).expect("in time").expect("subscribed");
        let session = event.name.expect("a job").session().to_owned();
        counts[session[1..].parse::<usize>().expect("t and a number")] += 1;
    }
    assert_eq!(counts, [20; THREADS]);
    threads.into_iter().for_each(|thread| thread.join().expect("it ends well"));
}

#[test]
fn who_does_not_read_is_told_what_is_missing() {
    let node = Node::new("");
    let socket = node.server().socket().expect("a connection").max_queue(2000);
    let slow = socket.subscribe("EVENTS:load").expect("a topic");
    for n in 0..50 {
        let definition = json!({"name": format!("job-{n}"), "cmd": "true", "start": false});
        command(&socket, "load", &[definition]);
    }
    // An event is published before its command is answered.
    let (mut next, mut gaps) = (0, 0);
    while next < 50 {
        let event = slow.recv_timeout(DEADLINE).expect("in time").expect("subscribed");
        match event.event.as_str() {
            "gap" => {
                next += event.fields["dropped"].as_u64().expect("a number");
                gaps += 1;
            }
            _ => {
                assert_eq!(event.fields["name"], format!("default.job-{next}"), "in order");
                next += 1;
            }
        }
    }
    assert!(gaps >= 1);
}

#[test]
fn input_and_output() {
    let node = Node::new("");
    let server = node.server();
    let pid = program(&node, "cat", "echo ready >&2; cat <&3 >&3 & exec cat");
    let open = |mode, stream| server.process(pid).socket(mode, stream).expect("a channel");
    let mut io = open(Mode::Both, None);
    io.send(b"a\0b\xff").expect("taken");
    assert_eq!(take(&io, 4), b"a\0b\xff");
    // Of two threads each way.
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let echo = thread::scope(|scope| {
        scope.spawn(|| (&io).write_all(&bytes).expect("all is taken"));
        let mut echo = vec![0; bytes.len()];
        (&io).read_exact(&mut echo).expect("all comes back");
        echo
    });
    assert!(echo == bytes);

    let ctl = open(Mode::Both, Some("ctl"));
    ctl.send(b"on its own descriptor").expect("taken");
    assert_eq!(take(&ctl, 21), b"on its own descriptor");
    let reader = open(Mode::Read, Some("out"));
    let refused = reader.send(b"x").expect_err("for reading");
    assert!(refused.kind() == ErrorKind::Forbidden && refused.to_string().starts_with("not_writable"), "{refused}");
    let writer = open(Mode::Write, None);
    let refused = writer.recv().expect_err("for writing");
    assert!(refused.kind() == ErrorKind::Forbidden && refused.to_string().starts_with("not_readable"), "{refused}");
    writer.send(b"of another").expect("taken");
    for channel in [&io, &reader] {
        assert_eq!(take(channel, 10), b"of another");
    }
    let nothing = reader.recv_timeout(Duration::ZERO).expect_err("nothing comes");
    assert_eq!(nothing.kind(), ErrorKind::TimedOut);

    server.process(pid).kill(Signal::KILL).expect("killed");
    assert!(io.next().is_none() && reader.recv().expect("the end").is_none());
    assert_eq!((&reader).read(&mut [0; 9]).expect("the end"), 0);
    until(|| io.send(b"x").is_err_and(|e| e.kind() == ErrorKind::Closed), String::new);
}

/// So many bytes of output.
fn take(channel: &IoChannel, n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    (&mut &*channel).read_exact(&mut bytes).expect("output");
    bytes
}

#[test]
fn channels_that_cannot_be() {
    let node = Node::new("");
    let server = node.server();
    let open = |pid, mode, stream| server.process(pid).socket(mode, stream).map(drop);
    assert_eq!(open(Pid(99), Mode::Both, None).expect_err("nobody").kind(), ErrorKind::NotFound);
    server.load(&json!({"name": "mute", "cmd": "sleep 1000"}), None, true, false).expect("loaded");
    let mute = Pid(node.pids("mute", 1)[0]);
    for mode in [Mode::Read, Mode::Write, Mode::Both] {
        let refused = open(mute, mode, None).expect_err("nothing is redirected");
        assert!(refused.kind() == ErrorKind::Forbidden && refused.to_string().contains("not redirected"), "{refused}");
    }
    let cat = program(&node, "cat", "exec cat");
    assert_eq!(open(cat, Mode::Both, Some("nope")).expect_err("no stream").kind(), ErrorKind::NotFound);
    assert_eq!(open(cat, Mode::Both, Some("stdin")).expect_err("it is not read").kind(), ErrorKind::Forbidden);
    open(cat, Mode::Write, Some("stdin")).expect("it is written");

    // One that does not read what it gets, and one that nobody reads.
    let deaf = program(&node, "deaf", "exec sleep 1000");
    let io = server.process(deaf).socket(Mode::Write, None).expect("a channel");
    let piece = vec![0; 1 << 19];
    let full = (0..100).find_map(|_| io.send(&piece).err()).expect("there is a bound");
    assert_eq!(full.kind(), ErrorKind::Full, "{full}");
    assert_eq!(io.send(&vec![0; 1 << 20]).expect_err("too much").kind(), ErrorKind::Invalid);
}

#[test]
fn the_end_of_a_node() {
    let mut node = Node::new("");
    let pid = program(&node, "cat", "exec cat");
    let socket = node.server().socket().expect("a connection");
    let mut events = socket.subscribe("EVENTS:load").expect("a topic");
    let io = node.server().process(pid).socket(Mode::Read, None).expect("a channel");
    node.end();
    let error = events.next().expect("not without a word").expect_err("it ends");
    assert!(matches!(error.kind(), ErrorKind::Stopping | ErrorKind::Unreachable), "{error}");
    assert!(events.next().is_none() && !socket.is_open());
    let error = socket.send_command("jobs", &[], &Map::new()).expect_err("it has ended");
    assert!(matches!(error.errno, 502 | 503), "{error}");
    // The process has ended with it, or the connection.
    assert!(io.recv().map_or_else(|e| e.kind() != ErrorKind::TimedOut, |piece| piece.is_none()));
    assert_eq!(node.server().socket().map(drop).expect_err("nobody").kind(), ErrorKind::Unreachable);
}

// ---- others ----

/// Somebody who serves one connection, and is given so much time for an answer.
fn impostor(timeout: Duration, serve: impl FnOnce(TcpStream) + Send + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    thread::spawn(move || serve(listener.accept().expect("a client").0));
    Server::new(&address).expect("an address").timeout(timeout).heartbeat(Duration::from_secs(1))
}

/// The head of a request.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("text")
}

/// Takes up a websocket, sends these messages once something has come, and then reads for ever.
fn silent(mut stream: TcpStream, messages: &[&str]) {
    let head = head(&mut stream);
    let fields = head.lines().filter_map(|line| line.split_once(": ")).map(|(name, value)| (name, value.as_bytes()));
    let (upgrade, mut out) = (server::check("GET", fields).expect("a handshake"), Vec::new());
    upgrade.write(None, &mut out);
    stream.write_all(&std::mem::take(&mut out)).expect("sent");
    let mut sink = [0; 4096];
    if messages.is_empty() || stream.read(&mut sink).is_err() {
        while stream.read(&mut sink).is_ok_and(|n| n > 0) {}
        return;
    }
    let mut connection = Connection::server(Limits::default());
    for message in messages {
        match *message {
            "bye" => connection.close(CloseCode::INTERNAL_ERROR, "broken", &mut out).expect("short"),
            text => connection.text(text, &mut out).expect("open"),
        }
    }
    stream.write_all(&out).expect("sent");
    while stream.read(&mut sink).is_ok_and(|n| n > 0) {}
}

#[test]
fn nodes_that_say_nothing() {
    let started = Instant::now();
    // It does not even take the connection up; it takes it up and does not answer; it answers nothing afterwards.
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = deaf.local_addr().expect("bound").to_string();
    let server = Server::new(&address).expect("an address").timeout(Duration::from_millis(300));
    assert_eq!(server.socket().map(drop).expect_err("no answer").kind(), ErrorKind::TimedOut);
    // What the handshake needs is little, but the machine may be busy.
    let short = Duration::from_secs(2);
    let socket = impostor(short, |stream| silent(stream, &[])).socket().expect("a connection");
    assert_eq!(socket.send_command("jobs", &[], &Map::new()).expect_err("no answer").errno, 504);
    assert_eq!(
        impostor(short, |stream| silent(stream, &[]))
            .process(Pid(1))
            .socket(Mode::Both, None)
            .expect_err("none")
            .kind(),
        ErrorKind::TimedOut
    );

    // Events that do not come are no error, silence is.
    let yes = r#"{"event":"gaffer:subscription_success","topic":"EVENTS"}"#;
    let socket = impostor(DEADLINE, move |stream| silent(stream, &[yes])).socket().expect("a connection");
    let mut events = socket.subscribe("EVENTS").expect("it says yes");
    let error = events.next().expect("an error").expect_err("it is silent");
    assert!(error.kind() == ErrorKind::TimedOut && error.to_string().contains("silent since "), "{error}");
    assert!(!socket.is_open() && started.elapsed() < DEADLINE);
}

#[test]
fn others_than_nodes() {
    let answers: &[(&str, ErrorKind, &str)] = &[
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope",
            ErrorKind::NotFound,
            "nothing a gaffer node would say",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 24\r\n\r\n{\"reason\": \"not for you\"}",
            ErrorKind::Forbidden,
            "not for you",
        ),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", ErrorKind::Invalid, "not the answer"),
        ("SSH-2.0-OpenSSH\r\n\r\n", ErrorKind::Invalid, "not the websocket"),
        ("", ErrorKind::Invalid, "not the websocket"),
    ];
    for &(answer, kind, words) in answers {
        let server = impostor(DEADLINE, move |mut stream| {
            head(&mut stream);
            stream.write_all(answer.as_bytes()).expect("sent");
        });
        let error = server.socket().map(drop).expect_err(answer);
        assert!(error.kind() == kind && error.to_string().contains(words), "{answer}: {:?} {error}", error.kind());
    }
    let flood = impostor(DEADLINE, |mut stream| {
        head(&mut stream);
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    assert_eq!(flood.socket().map(drop).expect_err("no head").kind(), ErrorKind::Invalid);
    for (messages, errno) in
        [(&["{"][..], 400), (&["bye"], 500), (&[r#"{"event":"gaffer:error","data":{"error":"AUTH_REQUIRED"}}"#], 403)]
    {
        let socket = impostor(DEADLINE, move |stream| silent(stream, messages)).socket().expect("a connection");
        let error = socket.send_command("jobs", &[], &Map::new()).expect_err("it ends");
        assert_eq!(error.errno, errno, "{error}");
    }
    let key = impostor(DEADLINE, |mut stream| {
        let head = head(&mut stream);
        let status = if head.contains("\r\nX-Api-Key: secret\r\n") { "401 Key" } else { "500 No Key" };
        stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).expect("sent");
    });
    assert_eq!(key.api_key("secret").socket().map(drop).expect_err("refused").kind(), ErrorKind::Forbidden);
}
