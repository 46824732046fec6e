//! Odd places to be started in.

use gaffer::process::Signal;

use crate::support::{Room, Running};

const HELLO: &str = "a: echo hello; exec sleep 1000\n";

#[test]
fn in_the_background_of_a_script() {
    let room = Room::new(HELLO);
    let mut command = room.command("/bin/sh");
    let gaffer = env!("CARGO_BIN_EXE_gaffer");
    let script = format!(
        "{gaffer} start --no-timestamp > log 2>&1 < /dev/null &\n\
         until grep -q hello log; do sleep 0.02; done\nkill -TERM $!\nwait $!"
    );
    command.arg("-c").arg(script);
    Running::spawn(command).end().expect(0).quietly();
    let log = std::fs::read_to_string(room.path("log")).expect("a file");
    assert!(log.contains("a.1 | hello\n") && log.ends_with("(SIGTERM)\n"), "{log}");
}

#[test]
fn with_closed_descriptors() {
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        // What is opened first must not take the place of standard output.
        let room = Room::new("a: echo hello; touch up; echo error >&2; exec sleep 1000\n");
        let running = Running::spawn(room.shell("", &format!("start {closed}")));
        crate::support::until(|| room.path("up").exists(), || running.dump());
        let done = running.stop(Signal::INT).expect(0);
        assert_eq!(done.text().contains("| hello"), !closed.contains(">&- 2") && closed != ">&-", "{closed}: {done}");
        assert_eq!(
            std::fs::read_to_string(room.path("Procfile")).expect("a file"),
            "a: echo hello; touch up; echo error >&2; exec sleep 1000\n"
        );
    }
}

#[test]
fn with_nothing_in_the_environment() {
    let room = Room::new("a: echo hello; pwd\n");
    let mut command = room.gaffer("start --no-restart --no-timestamp");
    command.env_remove("PATH");
    let done = Running::spawn(command).end().expect(0).quietly();
    assert_eq!(done.of("a.1")[1..3], ["hello", room.dir()], "{done}");
}

#[test]
fn with_variables_that_are_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let room = Room::new("a: printf \"$X\" | od -An -tx1\n");
    let mut command = room.gaffer("start --no-restart --no-timestamp");
    command.env("X", std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    let done = Running::spawn(command).end().expect(0).quietly();
    assert_eq!(done.of("a.1")[1].trim(), "ff fe", "{done}");
}

#[test]
fn in_a_folder_that_is_gone() {
    let room = Room::new(HELLO);
    let gone = room.path("gone");
    std::fs::create_dir(&gone).expect("a folder");
    let script = |args: &str| room.shell("cd gone && rmdir ../gone && ", args);
    let done = Running::spawn(script("start")).end().expect(1);
    assert!(done.err.starts_with("gaffer: cannot read Procfile: No such file"), "{done}");
    std::fs::create_dir(&gone).expect("a folder");
    // A folder that is named by its whole path needs no other.
    let running = Running::spawn(script(&format!("start --no-timestamp -d {}", room.dir())));
    running.wait_for("a.1 | hello");
    running.stop(Signal::INT).expect(0).quietly();
}

#[test]
fn the_folder_of_a_running_application_goes() {
    let room = Room::empty().file("deploy/Procfile", "a: sleep 0.2; echo again\n");
    let running = room.start("start --no-timestamp -d deploy");
    running.wait_for("again");
    std::fs::remove_dir_all(room.path("deploy")).expect("a folder");
    running.wait_for("a.1 | exit process not started: chdir");
    std::fs::create_dir(room.path("deploy")).expect("a folder");
    let before = running.text().matches("again").count();
    running.wait_until("it is back", |text| text.matches("again").count() > before);
    running.stop(Signal::INT).expect(0).quietly();
}

#[test]
fn programs_get_what_they_should() {
    let room = Room::new(
        "a: grep -E '^Sig(Ign|Blk)' /proc/self/status; ls /proc/self/fd | tr '\\n' ' '; echo; ulimit -Sn; \
         readlink /proc/self/fd/0; tty\n",
    );
    // Ignored and blocked signals of ours are not theirs, nor are our descriptors.
    let command =
        room.shell("trap '' USR1 PIPE; ulimit -Sn 200; exec 7< Procfile;", "start --no-restart --no-timestamp -q");
    let done = Running::spawn(command).end();
    assert_eq!(
        done.of("a.1"),
        ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000", "0 1 2 3 ", "200", "/dev/null", "not a tty"],
        "{done}"
    );
}
