//! A `/proc` that does not tell what it should.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::sites::ask;
use crate::util::{Folder, Gafferd, alive, eventually, ini};

/// A gafferd with this configuration that `sh` starts in namespaces of its own; its arguments are `"$@"` in the script. `None`, loudly,
/// where there can be none.
fn start(test: &str, unshare: &[&str], script: &str, config: &str) -> Option<Gafferd> {
    let sh = |script: &str, args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(unshare).args(["/bin/sh", "-ec", script, "sh"]).args(args).stdin(Stdio::null());
        command.env_remove("NOTIFY_SOCKET");
        command
    };
    let gafferd = env!("CARGO_BIN_EXE_gafferd");
    match sh(script, &[gafferd, "--version"]).output() {
        Ok(tried) if tried.status.success() => {}
        tried => {
            eprintln!("SKIPPED: {test}: this cannot be had here: {tried:?}");
            return None;
        }
    }
    let mut gafferd = Gafferd::spawn(sh(script, &[gafferd, "-c", config]));
    gafferd.line("ready: ");
    Some(gafferd)
}

/// What the whole system is asked for it tells, or says that it cannot.
#[track_caller]
fn tells_nothing(mut gafferd: Gafferd) {
    let address = gafferd.address();
    for path in ["/stats", "/stats/a", "/jobs/default/a/stats"] {
        let answer = ask(&address, "GET", path, "");
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 501, "{path}: {body}");
        assert!(body.contains("/proc does not know this process"), "{path}: {body}");
    }
    // What it can tell without, it does.
    let answer = ask(&address, "GET", "/metrics", "");
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, 200);
    assert!(body.contains("gaffer_job_processes{job=\"default.a\"} 1\n") && !body.contains("resident"), "{body}");
    gafferd.stop();
}

const QUIET: &str = "[job:a]\ncmd = sleep 1000\n";

#[test]
fn nothing_is_mounted_at_proc() {
    let folder = Folder::new();
    let config = folder.write_text("g.ini", &ini(QUIET));
    let script = "mount -t tmpfs none /proc; exec \"$@\"";
    start("nothing_is_mounted_at_proc", &["--mount"], script, &config).into_iter().for_each(tells_nothing);
}

/// As in a container that has processes of its own and the `/proc` of its host: the numbers there are not ours.
#[test]
fn the_proc_of_another_namespace() {
    let folder = Folder::new();
    let config = folder.write_text("g.ini", &ini(QUIET));
    // What is started after unshare(2) is in the new namespace; the shell is not.
    let script = "\"$@\" & trap \"kill -TERM $!\" TERM; set +e; wait $!; code=$?; [ $code -lt 128 ] || wait $!";
    start("the_proc_of_another_namespace", &["--pid"], script, &config).into_iter().for_each(tells_nothing);
}

/// A program that nobody may trace is not in the `/proc` of a user who sees but his own, and is stopped nevertheless.
#[test]
fn what_proc_hides_is_stopped_too() {
    let folder = Folder::new();
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o777)).expect("ours");
    let program = folder.path("hidden");
    fs::copy("/bin/sleep", &program).expect("a copy");
    // execve(2): who may run a program but not read it may not trace it either.
    fs::set_permissions(&program, fs::Permissions::from_mode(0o111)).expect("ours");
    let (program, pid) = (program.display(), folder.text("pid"));
    // It does not hear, and the one who has started it ends at once.
    let cmd = format!("sh -c '(trap \"\" TERM; exec {program} 1000) & echo $$! > {pid}; trap \"exit 0\" TERM; wait'");
    let config = folder.write_text("g.ini", &ini(&format!("[job:a]\ncmd = {cmd}\ngraceful_timeout = 0.2\n")));
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).expect("ours");
    let script = "mount -t proc -o hidepid=2 proc /proc; \
         exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\"";
    let Some(mut gafferd) = start("what_proc_hides_is_stopped_too", &["--mount"], script, &config) else { return };
    let hidden = eventually("the program", || folder.read("pid").trim().parse().ok());
    eventually("it runs", || {
        fs::read_to_string(format!("/proc/{hidden}/comm")).is_ok_and(|name| name == "hidden\n").then_some(())
    });
    gafferd.stop();
    assert!(!alive(hidden), "{:#?}", gafferd.log());
}
