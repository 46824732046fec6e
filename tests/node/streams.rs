//! `gaffer send` and `recv`.

use std::process::Stdio;

use crate::node::Node;
use crate::support::{Room, Running, until};

/// A node whose program says what it hears.
fn echo() -> Node {
    let room = Room::new("cat: cat\nmute: sleep 1000\n").file(".env", "GAFFER_REDIRECT_INPUT=cat\n");
    let node = Node::beside(room);
    node.run("load --wait -q").expect(0).quietly();
    node
}

/// `recv`, once it has begun to listen: before that nothing is kept for it.
fn listen(node: &Node, line: &str) -> Running {
    let recv = node.start(line);
    until(
        || {
            node.says("send cat ping", "");
            recv.text().contains("ping\n")
        },
        || recv.dump(),
    );
    recv
}

#[test]
fn words_and_bytes() {
    let node = echo();
    let recv = listen(&node, "recv cat");
    node.says("send cat hello   there -x --json", "");
    recv.wait_for("hello there -x --json\n");
    let mut bytes: Vec<u8> = b"<".to_vec();
    bytes.extend((0..=255).cycle().take(200_000));
    bytes.push(b'>');
    assert_eq!(node.run_with("send cat -", &bytes).expect(0).quietly().text(), "");
    node.says("send cat the end", "");
    recv.wait_for("the end\n");
    // It ends when the process does.
    node.run("unload cat -q").expect(0).quietly();
    let done = recv.end().expect(0).quietly();
    let from = done.out.windows(2).position(|w| w == b"<\0").expect("the bytes begin");
    assert!(done.out[from..].starts_with(&bytes), "the bytes are unharmed");
    assert!(done.out.ends_with(b">the end\n"));
}

#[test]
fn by_number_and_label() {
    let node = echo();
    let pid = node.pids("app.cat", 1)[0];
    for line in
        [format!("recv {pid}"), format!("recv {pid} out"), format!("recv {pid}.out"), "recv app.cat out".to_owned()]
    {
        let recv = listen(&node, &line);
        node.says(&format!("send {pid} to {pid}"), "");
        recv.wait_for(&format!("to {pid}\n"));
    }
}

#[test]
fn what_cannot_be() {
    let node = echo();
    let quiet = r#"{"name": "quiet", "cmd": "sleep 1000"}"#;
    node.run_with("load - -q", quiet.as_bytes()).expect(0).quietly();
    let mute = node.pids("app.mute", 1)[0];
    for (line, code, err) in [
        ("send mute hello", 1, "can't write on this process, (no stdin)"),
        ("send -s ctl cat hello", 1, "stream 'ctl' not found"),
        ("send 99 hello", 4, "process '99' not found"),
        ("send nope hello", 4, "'nope' not found in 'app'"),
        ("recv quiet", 1, "can't read on 'quiet': its output is not redirected"),
        ("recv quiet out", 1, "can't read on 'quiet': stream 'out' not found"),
        ("recv cat nope", 1, "can't read on 'cat': stream 'nope' not found"),
        ("recv 99", 4, "process '99' not found"),
        ("recv 99 out", 4, "process '99' not found"),
        ("recv nope", 4, "'nope' not found in 'app'"),
    ] {
        node.fails(line, code, err);
    }
    node.fails(&format!("recv {mute}.nope"), 1, &format!("can't read on '{mute}': stream 'nope' not found"));
    node.run("scale cat=2 mute=0 --wait -q").expect(0).quietly();
    let pids: Vec<String> = node.pids("app.cat", 2).iter().map(u64::to_string).collect();
    node.fails("recv cat", 2, &format!("'cat' has several processes, name one: {}", pids.join(", ")));
    node.pids("app.mute", 0);
    node.fails("recv mute", 4, "'mute' has no process");
    for (line, err) in
        [("send cat", "TEXT is missing"), ("recv", "NAME or PID is missing"), ("recv cat --json", "--json")]
    {
        node.run(line).expect(2).complains(&format!("gaffer: {err}"));
    }
}

#[test]
fn more_than_the_node_keeps() {
    let room = Room::new("count: sleep 0.3; head -c 5000000 | wc -c > counted; exec sleep 1000\n");
    let node = Node::beside(room.file(".env", "GAFFER_REDIRECT_INPUT=count\n"));
    node.run("load --wait -q").expect(0).quietly();
    node.run_with("send count -", &vec![b'x'; 5_000_000]).expect(0).quietly();
    assert_eq!(node.file("counted", |text| text.ends_with('\n')).trim(), "5000000");
}

#[test]
fn nobody_reads() {
    let node = echo();
    let (closed, pipe) = gaffer::sys::stdio::pipe().expect("a pipe");
    drop(closed);
    let (mut recv, _) = Running::unread(&mut node.gaffer("recv cat"), Stdio::from(pipe));
    until(
        || {
            node.says("send cat is anybody there", "");
            recv.has_ended()
        },
        String::new,
    );
    recv.end().expect(0).quietly();
}

#[test]
fn line_by_line_at_a_terminal() {
    let node = echo();
    let recv = listen(&node, "recv cat");
    let mut terminal = node.on_terminal("send cat -");
    terminal.press("one\n");
    recv.wait_for("one\n");
    terminal.press("two\n.\n");
    recv.wait_for("two\n");
    terminal.end().expect(0);
    assert!(!recv.text().contains("\n.\n"), "{}", recv.dump());
}
