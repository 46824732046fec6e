//! The client's requests and answers that the tool does not use.

use gaffer::client::Server;
use gaffer::process::{Pid, Signal};
use gaffer::{Error, ErrorKind};
use serde_json::json;

use crate::node::{Asked, Node, Said, ok, refused};

fn answer(asked: &Asked) -> Said {
    let json = |text: &str| Said::Json(200, text.to_owned());
    match asked.line.as_str() {
        "GET /version" => json(r#"{"name":"gaffer","version":"0.5.2"}"#),
        "GET /ping" => json("OK"),
        "GET /sessions" => json(r#"{"sessions":["default"]}"#),
        "GET /jobs/shop" => json(r#"{"sessionid":"shop","jobs":["shop.a"]}"#),
        "GET /status/default.a" => json(r#"{"active":true,"running":1,"numprocesses":1}"#),
        "GET /jobs/default/a/stats" => json(r#"{"name":"default.a","stats":[]}"#),
        "GET /7/stats" => json(r#"{"stats":{"rss":1}}"#),
        line if line.ends_with("/commit") => json(r#"{"pid":9}"#),
        line if line.starts_with("GET /") => refused(404, "not_found", "nothing there"),
        _ => ok(),
    }
}

#[test]
fn one_api_over_tcp_and_unix() {
    for node in [Node::new(answer), Node::unix(answer)] {
        let server = Server::new(&node.address).expect("an address");
        assert_eq!(server.address(), node.address);
        assert_eq!(server.version().expect("a version"), "0.5.2");
        server.ping().expect("a pong");
        assert_eq!(server.sessions().expect("sessions"), ["default"]);
        assert_eq!(server.jobs(Some("shop")).expect("jobs"), ["shop.a"]);
        assert!(server.job_exists("a").expect("an answer"));
        assert!(!server.job_exists("b").expect("an answer"));
        assert!(!server.is_group("nope").expect("an answer"));
        assert_eq!(server.get_job("a").map(drop).expect_err("no info").kind(), ErrorKind::NotFound);
        assert_eq!(server.get_process(Pid(7)).map(drop).expect_err("no info").kind(), ErrorKind::NotFound);
        assert!(!server.process(Pid(7)).active().expect("it is gone"));
        assert_eq!(server.process(Pid(7)).stats().expect("stats")["rss"], 1);
        let job = server.job("a").expect("a name");
        assert!(job.active().expect("a state"));
        assert_eq!(job.commit(None, [("A", "1")]).expect("a process"), Pid(9));
        assert_eq!(node.requests().last().map(|asked| asked.body.clone()), Some(r#"{"env":{"A":"1"}}"#.to_owned()));
        server.process(Pid(7)).send(b"to stdin").expect("sent");
        assert_eq!(node.requests().last().map(|asked| asked.body.clone()), Some("to stdin".to_owned()));
        server.send_signal("7", Signal::TERM).expect("sent");
        server.send_signal("a", Signal::TERM).expect("sent");
        server.reload("shop:a").expect("told");
        let lines = node.lines();
        assert_eq!(
            lines[lines.len() - 3..],
            ["POST /7/signal", "POST /jobs/default/a/signal", "POST /jobs/shop/a/state"]
        );
    }
}

#[test]
fn definitions_and_names_that_are_wrong() {
    let server = Server::new("unix:/nonexistent/socket").expect("an address");
    let kind = |result: Result<_, Error>| result.map(drop).expect_err("it is wrong").kind();
    for bad in [json!([]), json!({"cmd": "x"}), json!({"name": "a b"}), json!({"name": "s.a", "session": "t"})] {
        assert_eq!(kind(server.load(&bad, None, true, false)), ErrorKind::Invalid, "{bad}");
    }
    assert_eq!(kind(server.job("a.b.c")), ErrorKind::Invalid);
    let good = json!({"name": "a", "cmd": "x"});
    assert_eq!(kind(server.load(&good, None, true, false)), ErrorKind::Unreachable);
}

#[test]
fn connections_are_used_again() {
    let node = Node::unix(answer);
    let server = Server::new(&node.address).expect("an address");
    for _ in 0..50 {
        server.ping().expect("a pong");
    }
    assert_eq!(node.lines().len(), 50);
    assert_eq!(node.connections(), 1);
}
