//! What goes wrong has a code and one line.

use std::os::unix::fs::PermissionsExt;

use crate::node::{Node, Said, refused, socket_path};
use crate::tool::{command, run, run_with};

#[test]
fn a_dead_daemon() {
    // A port that was free a moment ago may be somebody else's by now; at this one nobody listens.
    let address = "http://127.0.0.1:1".to_owned();
    run(&address, "status").fails(69, &["gafferctl: ", &address, "Connection refused", "is gafferd running?"]);
    run(&address, "watch").fails(69, &["is gafferd running?"]);
    // Whoever does not hear the first word does not get the second.
    run(&address, "stop a b c").fails_many(69, 1);
    let path = socket_path();
    let address = format!("unix:{}", path.display());
    run(&address, "pids").fails(69, &[&address, "No such file", "is gafferd running?"]);
}

impl crate::tool::Ran {
    #[track_caller]
    fn fails_many(&self, code: i32, lines: usize) {
        assert_eq!((self.code, self.err.lines().count()), (code, lines), "{self:?}");
    }
}

#[test]
fn a_socket_of_somebody_else() {
    let node = Node::unix(|_| crate::node::ok());
    let path = node.address.strip_prefix("unix:").expect("a path").to_owned();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).expect("it is ours");
    let ran = run(&node.address, "stop web");
    // To root all sockets are open.
    if ran.code != 0 {
        assert_eq!(ran.code, 77, "{ran:?}");
        assert!(ran.err.contains("Permission denied") && ran.err.contains("owner"), "{ran:?}");
    }
}

#[test]
fn a_refused_key() {
    let node = Node::new(|asked| {
        if asked.head.contains("x-api-key: right\n") {
            return Said::Json(200, r#"{"pids":[7]}"#.to_owned());
        }
        let status = if asked.head.contains("x-api-key") { 403 } else { 401 };
        refused(status, "forbidden", "this needs a key")
    });
    for line in ["pids", "pids --api-key wrong"] {
        run(&node.address, line).fails(77, &["this needs a key", "--api-key", "GAFFER_API_KEY"]);
    }
    run(&node.address, "pids --api-key right").says("7\n");
    let mut by_environment = command(&node.address, "pids");
    by_environment.env("GAFFER_API_KEY", "right");
    run_with(by_environment, "").says("7\n");
    // A key that no header can carry is no reason to show it.
    let mut broken = command(&node.address, "pids");
    broken.env("GAFFER_API_KEY", "se\ncret");
    let ran = run_with(broken, "");
    ran.fails(1, &["API key"]);
    assert!(!ran.err.contains("cret"), "{ran:?}");
}

#[test]
fn a_node_that_does_not_answer() {
    for node in [Node::new(|_| Said::Nothing), Node::unix(|_| Said::Nothing)] {
        run(&node.address, "status --timeout 0.2").fails(124, &["has not answered within 0.2 s", "--timeout"]);
        run(&node.address, "watch --timeout 200ms").fails(124, &["has not answered"]);
    }
}

#[test]
fn refusals_have_the_nodes_words() {
    for (status, error, code) in [
        (404, "not_found", 4),
        (410, "closed", 4),
        (409, "conflict", 1),
        (400, "bad_request", 1),
        (503, "stopping", 1),
        (500, "io_error", 1),
        (504, "timed_out", 124),
    ] {
        let node = Node::new(move |_| refused(status, error, "so it is"));
        run(&node.address, "kill 12 TERM").fails(code, &["gafferctl: so it is"]);
    }
}

#[test]
fn not_a_node() {
    let html = Node::new(|_| Said::Raw("Content-Type: text/html", b"<html>".to_vec()));
    run(&html.address, "status").fails(1, &["not the JSON of a gaffer node"]);
    run(&html.address, "watch").fails(69, &["has ended the feed"]);
    let other = Node::new(|_| Said::Json(200, "[1]".to_owned()));
    run(&other.address, "status").fails(1, &["is this a gaffer node?"]);
    let nothing = Node::new(|_| Said::Json(404, "<html>".to_owned()));
    run(&nothing.address, "processes").fails(4, &["the answer is 404", "is it one?"]);
}

#[test]
fn command_lines_that_are_wrong() {
    for (line, words) in [
        ("", &["a command is missing"][..]),
        ("start", &["NAME is missing"]),
        ("kill web SIGNOPE", &["SIGNOPE"]),
        ("status a.b.c", &["invalid job name"]),
        ("stauts", &["did you mean `status`?"]),
        ("status --wat", &["unknown option"]),
        ("groups strat shop", &["did you mean `start`?"]),
    ] {
        let ran = run("http://127.0.0.1:1", line);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{line}: {ran:?}");
        assert!(words.iter().all(|word| ran.err.contains(word)), "{line}: {ran:?}");
    }
    run("ftp://x", "status").fails(2, &["unknown scheme"]);
    if !cfg!(feature = "tls") {
        run("https://x", "status").fails(2, &["no TLS"]);
    }
}
