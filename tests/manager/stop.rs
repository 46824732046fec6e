//! Stopping: politely, then not; whole groups; detached ones not at all.

use std::time::{Duration, Instant};

use gaffer::manager::Status;
use gaffer::process::{Exit, JobConfig, Pid, Signal};
use gaffer::{ErrorKind, Manager};

use crate::watch::{Running, Scratch, Watch, alive, sh, signal, sleeper, wait_for};

const KILLED: Exit = Exit::Signal { signal: Signal::KILL, core: false };

/// A script whose children write their numbers to $F and end only by signals that are not TERM.
const STUBBORN: &str = "trap '' TERM; echo $$ >> $F; (echo started >> $F.log; while :; do sleep 0.02; done) & echo $! >> $F; wait; while :; do sleep 0.02; done";

#[test]
fn grandchildren_end_with_their_group() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    let script = "sleep 1000 & echo $! >> $F; sh -c 'sleep 1000 & echo $! >> $F; wait' & echo $! >> $F; wait";
    w.start(sh("a", script).env("F", scratch.file("f").display().to_string()));
    w.until("three grandchildren", |_| scratch.pids("f").len() == 3);
    assert!(scratch.pids("f").into_iter().all(alive));
    w.manager.stop_job("a").expect("stop");
    w.until("all are gone", |w| w.exits().len() == 1 && !scratch.pids("f").into_iter().any(alive));
    w.finish();
}

#[test]
fn killed_after_the_graceful_timeout() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    let job = sh("a", STUBBORN).env("F", scratch.file("f").display().to_string());
    w.start(job.graceful_timeout(Duration::from_millis(300)));
    w.until("it runs", |_| scratch.text("f.log") == "started\n" && scratch.pids("f").len() == 2);
    let began = Instant::now();
    w.manager.stop_job("a").expect("stop");
    w.until("its exit", |w| w.exits() == [(Pid(1), KILLED)]);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(9), "{took:?}");
    w.until("all are gone", |_| !scratch.pids("f").into_iter().any(alive));
    w.finish();
}

#[test]
fn a_stopped_process_hears_its_stop_signal() {
    let mut w = Watch::new();
    w.start(sleeper("a"));
    w.running("a", 1);
    signal(w.os_pids("a")[0], "STOP".parse().expect("signal"));
    w.manager.stop_job("a").expect("stop");
    w.until("its exit", |w| w.exits() == [(Pid(1), Exit::Signal { signal: Signal::TERM, core: false })]);
    w.finish();
}

#[test]
fn the_jobs_own_stop_signal() {
    let mut w = Watch::new();
    w.start(sleeper("a").stop_signal(Signal::INT));
    w.running("a", 1);
    w.manager.stop_job("a").expect("stop");
    w.until("its exit", |w| w.exits() == [(Pid(1), Exit::Signal { signal: Signal::INT, core: false })]);
    w.finish();
}

#[test]
fn a_second_stop_kills() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    w.start(sh("a", STUBBORN).env("F", scratch.file("f").display().to_string()));
    w.until("it runs", |_| scratch.text("f.log") == "started\n");
    w.manager.stop();
    w.idle(Duration::from_millis(50));
    assert_eq!(w.manager.ending(), [Pid(1)], "it says who is awaited");
    w.manager.stop();
    w.manager.stop_now();
    w.finish();
    assert_eq!(w.exits(), [(Pid(1), KILLED)]);
    assert!(!scratch.pids("f").into_iter().any(alive));
}

#[test]
fn stopping_takes_no_work() {
    let mut w = Watch::new();
    w.start(sleeper("a"));
    w.running("a", 1);
    w.manager.stop();
    assert!(w.manager.is_stopping());
    for result in [
        w.manager.load(sleeper("b"), false).map(drop),
        w.manager.start_job("a"),
        w.manager.restart(),
        w.manager.scale("a", gaffer::process::Scale::By(1)).map(drop),
        w.manager.commit("a", gaffer::manager::Commit::default()).map(drop),
    ] {
        assert_eq!(result.expect_err("stopping").kind(), ErrorKind::Stopping);
    }
    w.finish();
    assert_eq!(w.manager.turn(None).expect("turn"), Status::Stopped, "and stays so");
}

#[test]
fn a_manager_that_is_stopped_first_thing() {
    let mut w = Watch::new();
    w.start(sleeper("a"));
    w.manager.stop();
    w.finish();
    assert_eq!(w.count("spawn"), 0, "{}", w.dump());
}

#[test]
fn a_detached_child_outlives_the_stop() {
    let mut w = Watch::new();
    w.start(sleeper("a").detach(true));
    w.start(sleeper("b"));
    w.running("a", 1);
    w.running("b", 1);
    let (detached, child) = (w.os_pids("a")[0], w.os_pids("b")[0]);
    let stat = std::fs::read_to_string(format!("/proc/{detached}/stat")).expect("stat");
    let fields: Vec<&str> = stat.rsplit_once(") ").expect("stat").1.split(' ').collect();
    assert_eq!((fields[2], fields[3]), (&*detached.to_string(), &*detached.to_string()), "group and session");
    w.finish();
    drop(w);
    assert!(alive(detached) && !alive(child));
    signal(detached, Signal::KILL);
    wait_for("it ends", || !alive(detached));
}

#[test]
fn a_detached_child_is_supervised() {
    let mut w = Watch::new();
    w.start(sleeper("a").detach(true));
    w.running("a", 1);
    signal(w.os_pids("a")[0], Signal::KILL);
    w.until("its successor", |w| w.manager.pids("a").expect("pids") == [Pid(2)] && w.os_pids("a").len() == 1);
    w.manager.stop_job("a").expect("stop");
    w.until("both exits", |w| w.exits().len() == 2);
    w.finish();
}

#[test]
fn dropping_a_manager_leaves_nobody() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    w.start(sh("a", STUBBORN).env("F", scratch.file("f").display().to_string()));
    w.start(sleeper("b").numprocesses(3));
    w.running("b", 3);
    w.until("it runs", |_| scratch.pids("f").len() == 2);
    let mut pids = w.os_pids("b");
    drop(w);
    for pid in &pids {
        assert!(!alive(*pid));
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "a zombie is left");
    }
    pids = scratch.pids("f");
    wait_for("the grandchildren end", || !pids.iter().any(|pid| alive(*pid)));
}

/// Members of the group of a leader that is reaped already.
#[test]
fn dropping_a_manager_leaves_no_stragglers() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    let script = "(trap '' TERM; echo $$ > $F.log; while :; do sleep 0.02; done) & echo $! >> $F
        until [ -s $F.log ]; do sleep 0.01; done; exit 0";
    w.start(sh("a", script).env("F", scratch.file("f").display().to_string()));
    w.until("the leader has ended", |w| w.exits().len() == 1);
    let left = scratch.pids("f");
    assert!(alive(left[0]));
    drop(w);
    wait_for("it ends", || !alive(left[0]));
}

#[test]
fn from_another_thread_and_from_a_callback() {
    let running = Running::new();
    running.start(sleeper("a"));
    running.handle.stop().expect("stop");
    running.join();

    let mut manager = Manager::new().expect("a manager");
    manager.load(JobConfig::new("a", "true").expect("job"), true).expect("load");
    manager.cx().once("exit", |cx, _, _| cx.stop());
    manager.run().expect("run");
}

#[test]
fn unloading_while_it_stops() {
    let mut w = Watch::with_output();
    w.start(
        sh("a", "trap '' TERM; echo; while :; do sleep 0.02; done")
            .redirect_output(["out"])
            .graceful_timeout(Duration::from_millis(200)),
    );
    w.until("its trap", |w| w.text("out") == "\n");
    w.manager.unload("a").expect("unload");
    // The name is free at once.
    w.start(sleeper("a"));
    w.running("a", 1);
    w.until("the old one is killed", |w| w.exits().len() == 1);
    w.finish();
    assert_eq!(w.exits().len(), 2);
}
