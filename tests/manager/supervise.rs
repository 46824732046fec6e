//! Processes that end by themselves, and how they are replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gaffer::ErrorKind;
use gaffer::process::{Backoff, Exit, JobConfig, JobState, Pid, Restart, Signal, UserRef, What};

use crate::descriptors::may_have;
use crate::watch::{Scratch, Watch, alive, processor_time, sh, signal, sleeper};

#[test]
fn a_killed_process_comes_back() {
    let mut w = Watch::new();
    w.start(sleeper("a").backoff(Backoff::OFF));
    for n in 1..=20 {
        w.running("a", 1);
        let os_pid = w.os_pids("a")[0];
        signal(os_pid, Signal::KILL);
        w.until("its exit", |w| w.exits().len() == n);
        let exit = Exit::Signal { signal: Signal::KILL, core: false };
        assert_eq!(w.exits().last(), Some(&(Pid(n as u64), exit)));
    }
    w.finish();
}

#[test]
fn the_restart_rule() {
    let mut w = Watch::new();
    w.start(sh("never", "exit 1").restart(Restart::Never));
    w.start(sh("ok", "exit 0").restart(Restart::OnFailure));
    w.start(sh("bad", "exit 3").restart(Restart::OnFailure).backoff(Backoff::new(Duration::ZERO, Duration::ZERO)));
    w.until("many exits", |w| w.exits().len() > 20);
    let of = |w: &Watch, job: &str| {
        let exits = w.events().into_iter().filter(|event| event.what.name() == "exit");
        exits.filter(|event| event.job.as_ref().is_some_and(|name| name.label() == job)).count()
    };
    assert_eq!((of(&w, "never"), of(&w, "ok")), (1, 1), "{}", w.dump());
    assert_eq!(w.manager.info("ok").expect("info").state, JobState::Active);
    w.manager.stop_job("bad").expect("stop");
    w.finish();
}

#[test]
fn respawns_are_paced() {
    let mut w = Watch::new();
    w.start(sh("bad", "exit 1"));
    w.until("four exits", |w| w.exits().len() == 4);
    let times: Vec<_> =
        w.events().iter().filter(|event| event.what.name() == "spawn").map(|event| event.time).collect();
    let pauses: Vec<u128> =
        times.windows(2).map(|pair| pair[1].duration_since(pair[0]).expect("later").as_millis()).collect();
    // 0, then 0.1 s doubling. An event can be told later than it was decided, so a pause may look shorter.
    assert!(pauses[2] >= 100 && pauses.iter().sum::<u128>() >= 200, "{pauses:?}\n{}", w.dump());
    w.finish();
}

#[test]
fn a_program_that_is_not_there_is_an_exit_with_the_reason_and_paced() {
    let mut w = Watch::new();
    w.start(JobConfig::new("gone", "/nope/nope").expect("job").backoff(Backoff::OFF));
    w.until("five tries", |w| w.exits().len() >= 5);
    // The first pause is none, the others are 0.1 s. An event can be told later than it was decided, so it may look like a little less.
    let times: Vec<_> = w.events().iter().filter(|event| event.what.name() == "exit").map(|event| event.time).collect();
    let paced = times[4].duration_since(times[0]).expect("later");
    assert!(paced >= Duration::from_millis(250), "a hot loop: {paced:?}\n{}", w.dump());
    let exits = w.exits();
    for (_, exit) in &exits {
        let Exit::Failed(reason) = exit else { panic!("{exit:?}") };
        assert!(reason.contains("/nope/nope") && reason.contains("No such file"), "{reason}");
    }
    assert_eq!(w.count("spawn"), 0);
    w.finish();
}

#[test]
fn a_failed_spawn_names_the_step() {
    let scratch = Scratch::new();
    std::fs::write(scratch.file("text"), "x").expect("write");
    let mut w = Watch::new();
    let once = |name: &str| sleeper(name).restart(Restart::Never);
    w.start(once("cwd").cwd("/nope"));
    w.start(JobConfig::new("exec", scratch.file("text").display().to_string()).expect("job").restart(Restart::Never));
    let mut expected = vec![("cwd", vec!["/nope", "No such file"]), ("exec", vec!["text", "denied"])];
    if !gaffer_is_root() {
        w.start(once("uid").uid(UserRef::Id(0)));
        expected.push(("uid", vec!["not permitted"]));
    }
    let n = expected.len();
    w.until("all exits", |w| w.exits().len() == n);
    for (job, words) in expected {
        let event = w
            .events()
            .into_iter()
            .find(|event| event.what.name() == "exit" && event.job.as_ref().is_some_and(|name| name.label() == job));
        let Some(What::Exit { exit: Exit::Failed(reason), os_pid: None, .. }) = event.map(|event| event.what.clone())
        else {
            panic!("{job}\n{}", w.dump())
        };
        assert!(words.iter().all(|word| reason.contains(word)), "{job}: {reason}");
        println!("{job}: {reason}");
    }
    w.finish();
}

fn gaffer_is_root() -> bool {
    crate::start::is_root()
}

/// What a leader leaves in its group is told to end; only then the replacement starts.
#[test]
fn a_leader_that_leaves_a_child_behind() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    // The child takes its time, and notes that it was asked.
    let script = "(trap 'echo asked >> $F.log; sleep 0.3; echo over >> $F.log; exit' TERM; echo $$ >> $F
            while :; do sleep 0.01; done) &
        until [ -s $F ]; do sleep 0.01; done; echo $! >> $F.child; echo start >> $F.log; exit 1";
    let job = sh("a", script).env("F", scratch.file("f").display().to_string()).backoff(Backoff::OFF);
    w.start(job);
    w.until("the second", |w| w.exits().len() == 2);
    let log = scratch.text("f.log");
    assert!(log.starts_with("start\nasked\nover\nstart\n"), "{log:?}\n{}", w.dump());
    w.finish();
    assert!(scratch.pids("f.child").into_iter().all(|pid| !alive(pid)));
}

#[test]
fn a_child_left_behind_that_does_not_listen_is_killed() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    let script = "rm -f $F.log; (trap '' TERM; echo > $F.log; while :; do sleep 0.02; done) & echo $! >> $F
        until [ -s $F.log ]; do sleep 0.01; done; exit 1";
    let job = sh("a", script).env("F", scratch.file("f").display().to_string());
    w.start(job.backoff(Backoff::OFF).graceful_timeout(Duration::from_millis(200)));
    let began = Instant::now();
    w.until("the second", |w| w.exits().len() == 2);
    assert!(began.elapsed() >= Duration::from_millis(200));
    let first = scratch.pids("f")[0];
    assert!(!alive(first), "{}", w.dump());
    w.finish();
    assert!(scratch.pids("f").into_iter().all(|pid| !alive(pid)));
}

/// To look for who is left of a group takes as long as the system has processes: not for each of them.
#[test]
fn many_groups_that_linger_do_not_hold_the_loop() {
    let mut w = Watch::new();
    let script = "(trap '' TERM; exec sleep 1000) & sleep 0.3; exit 0";
    let job = sh("many", script).restart(Restart::Never).numprocesses(100);
    w.start(job.graceful_timeout(Duration::from_secs(1)));
    w.until("the leaders have ended", |w| w.exits().len() == 100);
    let mut turns = Vec::new();
    w.until("what is left is killed", |w| {
        let before = processor_time();
        let _ = w.manager.turn(Some(Duration::ZERO)).expect("turn");
        turns.push(processor_time() - before);
        w.manager.ending().is_empty()
    });
    println!("{} turns, longest {:?}", turns.len(), turns.iter().max());
    assert!(turns.into_iter().max() < Some(Duration::from_millis(300)));
    w.finish();
}

/// A process that has left the group holds a zombie in it: nobody will ever reap that, as in a
/// container whose first process does not.
#[test]
fn zombies_in_the_group_delay_nothing() {
    if std::process::Command::new("setsid").arg("true").status().is_err() {
        println!("SKIPPED: there is no setsid(1)");
        return;
    }
    let scratch = Scratch::new();
    let mut w = Watch::new();
    let script = "sh -c 'echo $$ >> $F; sleep 0.05 & exec setsid sleep 1000' & sleep 0.2; exit 1";
    let job = sh("a", script).env("F", scratch.file("f").display().to_string());
    w.start(job.backoff(Backoff::OFF));
    w.until("the second spawn", |w| w.count("spawn") == 2);
    let gap = {
        let at = |name: &str, n: usize| {
            w.events().into_iter().filter(|event| event.what.name() == name).nth(n).expect("an event").time
        };
        at("spawn", 1).duration_since(at("exit", 0)).expect("later")
    };
    w.finish();
    for pid in scratch.pids("f") {
        signal(pid, Signal::KILL);
    }
    // Of the ten seconds that it has for members that live.
    assert!(gap < Duration::from_secs(8), "{gap:?}");
}

#[test]
fn what_cannot_be_loaded_leaves_nothing() {
    let mut w = Watch::new();
    let bad = [
        (sleeper("a").uid(UserRef::Name("no-such-user".to_owned())), ErrorKind::NotFound, "no-such-user"),
        (JobConfig::new("a", "echo $NO_SUCH_VAR").expect("job"), ErrorKind::Invalid, "NO_SUCH_VAR"),
        (JobConfig::new("a", " ").expect("job"), ErrorKind::Invalid, "empty"),
        (JobConfig::new("a", "echo 'open").expect("job"), ErrorKind::Invalid, "quote"),
        (
            sleeper("a").flapping(gaffer::process::Flapping::new(0, Duration::ZERO, Duration::ZERO, 0)),
            ErrorKind::Invalid,
            "flapping",
        ),
        (sleeper("a").redirect_output(["a", "b", "c"]), ErrorKind::Invalid, "redirect_output"),
        (sleeper("a").env("A=B", ""), ErrorKind::Invalid, "A=B"),
        (sleeper("a").env("A", "x\0y"), ErrorKind::Invalid, "NUL"),
        (sleeper("a").custom_stream("x").custom_stream("x"), ErrorKind::Invalid, "taken"),
        (sleeper("a").umask(0o1000), ErrorKind::Invalid, "umask"),
        (sleeper("a").port(65535).numprocesses(2), ErrorKind::Invalid, "PORT"),
        (sleeper("a").numprocesses(1_000_000), ErrorKind::Invalid, "processes"),
    ];
    for (config, kind, word) in bad {
        let error = w.manager.load(config, true).expect_err(word);
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(word) && error.to_string().contains('a'), "{error}");
        assert!(!w.manager.is_loaded("a") && w.manager.sessions().is_empty());
    }
    w.start(sleeper("a"));
    assert_eq!(w.manager.load(sleeper("a"), true).expect_err("taken").kind(), ErrorKind::Conflict);
    w.running("a", 1);
    assert_eq!(w.manager.list(), [Pid(1)], "no number was used up");
    assert_eq!(w.manager.info("b").expect_err("none").kind(), ErrorKind::NotFound);
    assert_eq!(w.manager.info("a.b.c").expect_err("none").kind(), ErrorKind::Invalid);
    w.manager.stop();
    assert_eq!(w.manager.load(sleeper("b"), true).expect_err("stopping").kind(), ErrorKind::Stopping);
    w.finish();
}

#[test]
fn five_hundred_start_and_stop() {
    if !may_have(1_500, "five_hundred_start_and_stop") {
        return;
    }
    let mut w = Watch::new();
    w.start(sleeper("many").numprocesses(500));
    let mut longest = Duration::ZERO;
    w.until("all run", |w| {
        let before = Instant::now();
        let _ = w.manager.turn(Some(Duration::ZERO)).expect("turn");
        longest = longest.max(before.elapsed());
        w.os_pids("many").len() == 500
    });
    println!("longest turn while starting: {longest:?}");
    let os_pids = w.os_pids("many");
    w.finish();
    assert_eq!(w.exits().len(), 500);
    assert!(os_pids.into_iter().all(|pid| !alive(pid)));
}

/// Others have their turn while many programs start.
#[test]
fn spawns_are_shared_out_among_turns() {
    if !may_have(900, "spawns_are_shared_out_among_turns") {
        return;
    }
    let mut w = Watch::new();
    w.start(sleeper("many").numprocesses(200));
    let mut most = 0;
    while w.os_pids("many").len() < 200 {
        let before = w.count("spawn");
        let _ = w.manager.turn(Some(Duration::from_millis(20))).expect("turn");
        most = most.max(w.count("spawn") - before);
    }
    assert!(most <= 64, "{most} in one turn");
    w.finish();
}

#[test]
fn two_thousand_respawns_leave_no_trace() {
    let mut w = Watch::new();
    w.start(JobConfig::new("a", "true").expect("job").redirect_output(["out"]).backoff(Backoff::OFF).numprocesses(4));
    let exits = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&exits);
    w.manager.cx().on("exit", move |_, _, _| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    w.until("many exits", |w| {
        w.forget();
        exits.load(Ordering::Relaxed) >= 2000
    });
    w.manager.stop_job("a").expect("stop");
    w.until("nobody is left", |w| w.manager.list().is_empty() && w.manager.ending().is_empty());
    // The loop forgets sources that have ended when it turns.
    w.idle(Duration::from_millis(1));
    let state = format!("{:?}", *w.manager);
    for word in ["map: {}", "sources: 0", "timers: 0", "processes: 0"] {
        assert!(state.contains(word), "{word}\n{state}");
    }
    w.finish();
}
