//! `gaffer start` from a second terminal.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use gaffer::process::Signal;
use serde_json::Value;

use crate::support::{Room, Running, until};

const PROCFILE: &str = "\
web: echo up $PS; printf unfinished; trap 'exit 0' TERM; while :; do sleep 1; done
worker: echo oops >&2; exec sleep 1000
";

/// Started, and all have said what they say.
fn started(room: &Room) -> Running {
    let running = room.start("start --no-timestamp -c web=2");
    for text in ["| up web.1", "| up web.2", "| oops"] {
        running.wait_for(text);
    }
    running
}

/// The sockets in the runtime folder.
fn sockets(room: &Room) -> Vec<PathBuf> {
    let folder = room.path("../gaffer");
    fs::read_dir(folder).map(|dir| dir.map(|entry| entry.expect("a file").path()).collect()).unwrap_or_default()
}

/// What the commands of another terminal say, once it is that.
#[track_caller]
fn wait_for(room: &Room, line: &str, what: &str) {
    let mut said = String::new();
    until(
        || {
            said = room.run(line).expect(0).text();
            said.contains(what)
        },
        || format!("{line}: no {what}"),
    );
}

#[test]
fn the_same_folder_is_enough() {
    let room = Room::new(PROCFILE);
    let running = started(&room);
    let ps = room.run("ps").expect(0);
    assert!(ps.text().contains("web") && ps.text().contains("worker"), "{ps}");

    // Programs' output, merged, in the console's clothes.
    wait_for(&room, "logs", "oops");
    // What has no end of a line yet is kept when nothing has followed for a while.
    for name in ["web.1    | unfinished", "web.2    | unfinished"] {
        wait_for(&room, "logs", name);
    }
    let logs = room.run("logs").expect(0).quietly();
    let mut lines: Vec<String> = logs.text().lines().map(|line| line[9..].to_owned()).collect();
    lines.sort();
    let want = [
        "web.1    | unfinished",
        "web.1    | up web.1",
        "web.2    | unfinished",
        "web.2    | up web.2",
        "worker.1 | oops",
    ];
    assert_eq!(lines, want, "{logs}");
    assert_eq!(room.run("logs --stderr").expect(0).of_all(), ["oops"]);
    assert_eq!(room.run("logs web -n 0").expect(0).text(), "");
    let json = room.run("logs --json --job worker").expect(0).text();
    let record: Value = serde_json::from_str(&json).expect("one object");
    assert_eq!((&record["name"], &record["data"], &record["fd"]), (&"app.worker".into(), &"oops\n".into(), &2.into()));
    let odd = room.run("logs wbe").expect(0);
    assert!(odd.err.contains("no job 'app.wbe' is loaded; did you mean `app.web`?"), "{odd}");

    // A stopped one can be started again, so nothing ends.
    let follow = room.start("logs -f --events --color=never");
    follow.wait_for("| oops");
    room.run("stop worker --wait").expect(0);
    running.wait_for("worker.1 | exit process with pid");
    follow.wait_for("stop worker");
    room.run("ps:start worker").expect(0);
    running.wait_until("it says it again", |text| text.matches("| oops").count() == 2);
    follow.wait_until("it says it again", |text| text.matches("| oops").count() == 2);
    follow.wait_for("spawn process with pid");
    room.run("restart web").expect(0);
    running.wait_until("new ones", |text| text.matches("| up web").count() == 4);
    drop(follow);

    assert_eq!(sockets(&room).len(), 1);
    running.stop(Signal::INT).expect(0);
    assert!(sockets(&room).is_empty(), "nothing is left");
}

#[test]
fn one_start_a_folder_and_what_was_killed_leaves_no_trace() {
    let room = Room::new("web: echo up; exec sleep 1000\n");
    let running = room.start("start --no-timestamp");
    running.wait_for("| up");
    let pid = running.pid();
    let second = room.run("start").expect(1);
    let want = format!("gaffer: 'app' in {} is started already (process {pid}); another one", room.dir());
    assert!(second.err.starts_with(&want), "{second}");
    room.run("start --no-attach-api --exit-on all --no-restart nothing").expect(2);
    running.stop(Signal::KILL);
    assert_eq!(sockets(&room).len(), 1, "it had no time to tidy up");
    for (pid, _) in room.living() {
        let _ = gaffer::sys::signal_process(gaffer::process::OsPid(pid), Signal::KILL);
    }
    let running = room.start("start --no-timestamp");
    running.wait_for("| up");
    assert_eq!(room.run("ps --json").expect(0).err, "");
    running.stop(Signal::TERM).expect(0);
    assert!(sockets(&room).is_empty());
}

#[test]
fn elsewhere_or_nowhere() {
    let room = Room::new("web: echo up; exec sleep 1000\n");
    let socket = room.path("api.sock");
    let running = room.start(&format!("start --no-timestamp --attach-api unix:{}", socket.display()));
    running.wait_for("| up");
    assert!(sockets(&room).is_empty());
    let ps = room.run(&format!("ps -g unix:{}", socket.display())).expect(0);
    assert!(ps.text().contains("web"), "{ps}");
    running.stop(Signal::INT).expect(0);
    assert!(!socket.exists());

    let running = room.start("start --no-timestamp --no-attach-api");
    running.wait_for("| up");
    assert!(sockets(&room).is_empty());
    running.stop(Signal::INT).expect(0);
    room.run("start --attach-api unix:/nonexistent/s").expect(1).complains("gaffer: --attach-api: cannot listen");

    // A folder that others can write to is not used, and that does not keep the programs from running.
    fs::create_dir(room.path("../gaffer")).expect("a folder");
    fs::set_permissions(room.path("../gaffer"), fs::Permissions::from_mode(0o755)).expect("ours");
    let running = room.start("start --no-timestamp");
    running.wait_for("| up");
    let done = running.stop(Signal::INT).expect(0);
    assert!(done.err.contains("other terminals cannot reach this one") && done.err.contains("0700"), "{done}");
}
