//! Samples of what processes use, and silence where nobody wants them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gaffer::manager::{Sample, Target};
use gaffer::process::{Pid, ProcessStats, Scale};

use crate::watch::{Running, Watch, processor_time, sh, sleeper, wait_for};

const MS: Duration = Duration::from_millis(1);

fn collect(w: &mut Watch, target: Target, interval: Duration) -> Arc<Mutex<Vec<Sample>>> {
    let samples = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&samples);
    w.manager.cx().monitor(target, interval, move |_, sample| notes.lock().expect("notes").push(sample.clone()));
    samples
}

#[test]
fn processor_time_since_the_sample_before() {
    let mut w = Watch::new();
    w.start(sh("busy", "while :; do :; done"));
    w.running("busy", 1);
    let samples = collect(&mut w, Target::Process(Pid(1)), 200 * MS);
    w.until("it is busy", |_| {
        let samples = samples.lock().expect("notes");
        samples.len() >= 2 && samples.last().is_some_and(|sample| sample.stats.cpu.is_some_and(|cpu| cpu > 5.0))
    });
    let samples = samples.lock().expect("notes").clone();
    assert!(samples[0].stats.cpu.is_none() && samples[1..].iter().all(|sample| sample.stats.cpu.is_some()));
    assert!(samples.iter().all(|sample| sample.name.label() == "busy" && sample.pid == Pid(1)));
    w.finish();
}

#[test]
fn children_of_children() {
    let mut w = Watch::new();
    w.start(sh("a", "sh -c 'sleep 1000 & wait' & wait"));
    w.running("a", 1);
    let samples = collect(&mut w, Target::All, 100 * MS);
    let depth = |stats: &ProcessStats| {
        let inner = stats.children.first().and_then(|child| child.children.first());
        inner.is_some_and(|inner| inner.cmdline == ["sleep", "1000"])
    };
    w.until("the grandchild", |_| samples.lock().expect("notes").iter().any(|sample| depth(&sample.stats)));
    w.finish();
}

#[test]
fn the_shortest_interval() {
    let mut w = Watch::new();
    w.start(sleeper("a"));
    w.running("a", 1);
    let samples = collect(&mut w, Target::All, Duration::ZERO);
    let began = Instant::now();
    w.until("six samples", |_| samples.lock().expect("notes").len() >= 6);
    assert!(began.elapsed() >= 500 * MS, "{:?}", began.elapsed());
    w.finish();
}

#[test]
fn later_processes_of_the_job_and_nobody_elses() {
    let mut w = Watch::new();
    let samples = collect(&mut w, Target::Job("default.a".parse().expect("name")), 100 * MS);
    w.idle(50 * MS);
    w.start(sleeper("a"));
    w.start(sleeper("b"));
    w.until("a sample", |_| !samples.lock().expect("notes").is_empty());
    w.manager.scale("a", Scale::By(1)).expect("scale");
    w.until("the other's", |_| samples.lock().expect("notes").iter().any(|sample| sample.pid == Pid(3)));
    assert!(samples.lock().expect("notes").iter().all(|sample| sample.name.label() == "a"));
    w.finish();
}

#[test]
fn a_monitor_may_end_itself_and_one_that_panics_is_removed() {
    let mut w = Watch::new();
    w.start(sleeper("a").numprocesses(3));
    w.running("a", 3);
    let count = Arc::new(AtomicUsize::new(0));
    let id = Arc::new(Mutex::new(None));
    let (own, calls) = (Arc::clone(&id), Arc::clone(&count));
    let monitor = w.manager.cx().monitor(Target::All, 100 * MS, move |cx, _| {
        calls.fetch_add(1, Ordering::Relaxed);
        assert!(cx.unmonitor(own.lock().expect("id").expect("set")));
    });
    *id.lock().expect("id") = Some(monitor);
    w.manager.cx().monitor(Target::All, 100 * MS, |_, _| panic!("a monitor"));
    w.until("the fault", |w| !w.faults().is_empty());
    w.idle(150 * MS);
    assert_eq!(count.load(Ordering::Relaxed), 1);
    assert_eq!(w.faults(), ["monitor: a monitor"]);
    assert_eq!(w.manager.next_deadline(), None);
    w.finish();
}

#[test]
fn two_hundred_processes_do_not_hold_the_loop() {
    let mut w = Watch::new();
    w.start(sleeper("many").numprocesses(200));
    w.running("many", 200);
    let samples = collect(&mut w, Target::All, 100 * MS);
    let mut turns = Vec::new();
    w.until("three rounds", |w| {
        let before = processor_time();
        let _ = w.manager.turn(Some(Duration::ZERO)).expect("turn");
        turns.push(processor_time() - before);
        samples.lock().expect("notes").len() >= 600
    });
    turns.sort_unstable();
    let (longest, median) = (turns[turns.len() - 1], turns[turns.len() / 2]);
    println!("{} turns, longest {longest:?}, median {median:?}", turns.len());
    // The budget is 1 ms.
    assert!(turns[turns.len() * 99 / 100] < 20 * MS, "longest {longest:?}, median {median:?}");
    w.finish();
}

/// How often the loop's thread has given up the processor: once for each wait. And whether it sleeps.
fn waits(tid: &str) -> (u64, bool) {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).expect("status");
    let line = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.split_whitespace().next().expect("a word").to_owned()
    };
    (line("voluntary_ctxt_switches:").parse().expect("a number"), line("State:") == "S")
}

#[test]
fn idle_means_idle() {
    let running = Running::new();
    running.start(sleeper("a").numprocesses(20).redirect_output(["out", "err"]).redirect_input(true));
    running.until("all run", |m| m.list().iter().all(|pid| m.process(*pid).is_ok_and(|p| p.os_pid.is_some())));
    let tid = running.handle.call(|_| std::fs::read_link("/proc/thread-self").expect("linux")).expect("call");
    let tid = tid.display().to_string();
    let monitor = running.handle.call(|m| m.monitor(Target::All, 100 * MS, |_, _| ())).expect("call");
    let (before, _) = waits(&tid);
    wait_for("the measure to work", || waits(&tid).0 > before + 2);
    assert!(running.handle.call(move |m| m.unmonitor(monitor)).expect("call"));
    // The answer comes before the turn ends: that it has is seen by its sleep, which nothing has interrupted for a while.
    let mut before = waits(&tid);
    wait_for("its rest", || {
        std::thread::sleep(50 * MS);
        let last = std::mem::replace(&mut before, waits(&tid));
        last.1 && last == before
    });
    std::thread::sleep(300 * MS);
    assert_eq!(waits(&tid), before, "something wakes the loop\n{}", running.dump());
}
