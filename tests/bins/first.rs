//! `gaffer start` as process 1 of a container.

use std::fs;
use std::process::Command;

use gaffer::process::Signal;

use crate::support::{Room, Running, send};

#[test]
fn it_reaps_what_has_lost_its_parent_and_ends_as_docker_asks() {
    let unshare = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    let can = Command::new("unshare").args(unshare).arg("true").output().is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("SKIPPED: no namespace of processes can be made here (unshare(1), as root)");
        return;
    }
    // A zombie still takes signals: only who is reaped does not.
    let room = Room::new(
        "web: sh -c 'sh -c \"sleep 0.05 & echo \\$! >orphan\"; read pid <orphan; \
         while kill -0 $pid 2>/dev/null; do sleep 0.01; done; echo reaped; exec sleep 1000'\n",
    );
    let mut command = room.command("unshare");
    command.args(unshare).args([env!("CARGO_BIN_EXE_gaffer"), "start", "--no-attach-api"]);
    let running = Running::spawn(command);
    running.wait_for("| reaped");
    let outer = running.pid();
    let first = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).expect("/proc");
    send(first.trim().parse().expect("one child"), Signal::TERM);
    running.end().expect(0);
}
