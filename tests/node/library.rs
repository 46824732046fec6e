//! The client library by the names of 0.5, against the same node.

use gaffer::ErrorKind;
use gaffer::process::{Pid, Signal};
use serde_json::json;

use crate::node::Node;
use crate::support::until;

#[test]
fn jobs_and_processes() {
    let node = Node::new("");
    let server = node.server();
    assert!(server.version().is_ok() && server.ping().is_ok());
    let definition = json!({"name": "a", "cmd": "cat", "redirect_input": true, "redirect_output": ["out"],
        "custom_streams": ["ctl"]});
    let job = server.load(&definition, Some("s"), true, false).expect("loaded");
    assert_eq!(job.name().as_str(), "s.a");
    assert!(server.job_exists("s.a").expect("an answer"));
    let conflict = server.load(&definition, Some("s"), true, false).expect_err("it is there");
    assert_eq!(conflict.kind(), ErrorKind::Conflict);
    server.load(&definition, Some("s"), true, true).expect("by force");
    server.load(&json!({"name": "b", "cmd": "sleep 1000"}), Some("s"), false, false).expect("loaded");
    let names: Vec<String> = server.jobs_walk(Some("s")).expect("jobs").map(|job| job.name().to_string()).collect();
    assert_eq!(
        (names, server.sessions().expect("sessions")),
        (vec!["s.a".to_owned(), "s.b".to_owned()], vec!["s".to_owned()])
    );
    assert_eq!(server.jobs_walk(Some("t")).map(drop).expect_err("no session").kind(), ErrorKind::NotFound);
    assert_eq!(server.jobs_walk(None).expect("jobs").count(), 2);

    assert_eq!(job.scale("+1").expect("scaled"), 2);
    let pids = node.pids("s.a", 2);
    let once = job.commit(None, [("A", "1")]).expect("committed");
    let info = server.get_job("s.a").and_then(|job| job.info()).expect("a job");
    assert_eq!(info.kept(), pids.iter().map(|pid| Pid(*pid)).collect::<Vec<_>>());
    assert_eq!((info.committed(), job.running_out().expect("a number")), (&[once][..], 1));
    assert_eq!((job.numprocesses().expect("a number"), job.pids().expect("pids").len()), (2, 2));
    assert!(job.active().expect("a state"));
    let process = server.get_process(Pid(pids[0])).expect("a process");
    until(|| process.write("ctl", b"x").is_ok(), String::new);
    assert_eq!(process.write("nope", b"x").expect_err("no such stream").kind(), ErrorKind::NotFound);
    process.kill(Signal::KILL).expect("killed");
    until(|| !process.active().expect("an answer"), String::new);
    job.stop().expect("stopped");
    until(|| job.running().is_ok_and(|n| n == 0), String::new);
    job.start().expect("started");
    job.restart().expect("restarted");
    job.reload().expect("reloaded");
    server.unload("s.a").expect("unloaded");
    assert_eq!(job.info().map(drop).expect_err("it is gone").kind(), ErrorKind::NotFound);
}
