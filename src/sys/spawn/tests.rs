use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::process::{Exit, Signal};
use crate::sys::stdio;

/// `/bin/sh -c script`, with a `PATH`.
fn sh(script: &str) -> SpawnPlan<'static> {
    let mut plan = SpawnPlan::new(["/bin/sh", "-c", script]);
    plan.env = vec![("PATH".into(), DEFAULT_PATH.into())];
    plan
}

#[track_caller]
fn run(plan: &SpawnPlan<'_>) -> Exit {
    let spawned = Spawner::new().expect("a spawner").spawn(plan).expect("spawn");
    spawned.exit.reap()
}

#[track_caller]
fn fail(plan: &SpawnPlan<'_>) -> (Step, String) {
    let error = Spawner::new().expect("a spawner").spawn(plan).expect_err("must fail");
    (error.step(), error.to_string())
}

/// The exit, and what the program wrote to standard output.
#[track_caller]
fn output(plan: &SpawnPlan<'_>) -> (Exit, String) {
    let (read, write) = stdio::pipe().expect("pipe");
    let mut plan = plan.clone();
    plan.fds.resize(plan.fds.len().max(3), ChildFd::Null);
    plan.fds[1] = ChildFd::Fd(write.as_fd());
    let spawned = Spawner::new().expect("a spawner").spawn(&plan).expect("spawn");
    drop(plan);
    drop(write);
    let mut text = String::new();
    File::from(read).read_to_string(&mut text).expect("text");
    (spawned.exit.reap(), text)
}

#[test]
fn exits_as_they_were() {
    assert_eq!(run(&sh("exit 0")), Exit::Code(0));
    assert_eq!(run(&sh("exit 7")), Exit::Code(7));
    assert_eq!(run(&sh("kill -9 $$")), Exit::Signal { signal: Signal::KILL, core: false });
    assert_eq!(run(&sh("kill -TERM $$")).signal(), Some(Signal::TERM));
}

#[test]
fn failures_name_their_step() {
    let mut plan = sh(":");
    plan.cwd = Some("/nope".into());
    assert_eq!(fail(&plan), (Step::Chdir, "chdir to '/nope': No such file or directory (os error 2)".into()));
    let nope = SpawnPlan::new(["./x"]);
    assert_eq!(fail(&nope), (Step::Exec, "exec './x': No such file or directory (os error 2)".into()));
    let _ = PermissionsExt::mode(&std::fs::metadata("/").expect("/").permissions());
    assert_eq!(output(&sh("echo hallo")), (Exit::Code(0), "hallo\n".into()));
}
