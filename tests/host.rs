//! A program that has children, signal handlers and threads of its own, as a host of the library would.
//!
//! It owns its `main`, because what it does to signals holds for the whole process: the cases run one after
//! the other, and each leaves everything as it was.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests say what they saw")]

#[path = "common/descriptors.rs"]
mod descriptors;
#[cfg(feature = "signals")]
#[path = "host/signals.rs"]
mod signals;
#[path = "host/spawner.rs"]
mod spawner;

use std::fs::File;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use gaffer::Manager;
use gaffer::manager::{Flow, OutputLimit, Status, StreamSelector, Target};
use gaffer::process::{Backoff, Exit, JobConfig, Restart, Signal, What};

/// Those of a manager.
const CASES: &[(&str, fn())] = &[
    ("a_manager_with_sigchld_ignored", a_manager_with_sigchld_ignored),
    ("a_manager_with_a_thief", a_manager_with_a_thief),
    ("a_manager_beside_a_sigchld_handler", a_manager_beside_a_sigchld_handler),
    ("a_manager_beside_children_of_the_host", a_manager_beside_children_of_the_host),
    ("a_dropped_manager_leaves_nothing", a_dropped_manager_leaves_nothing),
    ("five_hundred_children_leave_nothing", five_hundred_children_leave_nothing),
    ("two_thousand_respawns_leave_nothing", two_thousand_respawns_leave_nothing),
    ("a_line_of_ten_megabytes_takes_little_memory", a_line_of_ten_megabytes_takes_little_memory),
    ("out_of_descriptors", out_of_descriptors),
];

fn main() -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if !std::path::Path::new("/proc/self/fd").exists() {
        println!("skipped: there is no /proc to look into");
    }
    #[cfg(not(feature = "signals"))]
    let signals: &[(&str, fn())] = &[];
    #[cfg(feature = "signals")]
    let signals = signals::CASES;
    let all = spawner::CASES.iter().chain(CASES).chain(signals);
    for (name, case) in all.filter(|_| std::path::Path::new("/proc/self/fd").exists()) {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter)) {
            continue;
        }
        let ok = catch_unwind(AssertUnwindSafe(case)).is_ok();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        *(if ok { &mut passed } else { &mut failed }) += 1;
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The handler of a signal replaced until this is dropped.
struct Handler(libc::c_int, libc::sigaction);

impl Handler {
    fn set(signal: libc::c_int, handler: libc::sighandler_t) -> Self {
        // SAFETY: a zeroed sigaction is valid; the handlers below only count.
        unsafe {
            let (mut new, mut old): (libc::sigaction, libc::sigaction) = mem::zeroed();
            new.sa_sigaction = handler;
            new.sa_flags = libc::SA_RESTART;
            assert_eq!(libc::sigaction(signal, &new, &mut old), 0);
            Self(signal, old)
        }
    }

    fn now(signal: libc::c_int) -> libc::sighandler_t {
        // SAFETY: asks only.
        unsafe {
            let mut old: libc::sigaction = mem::zeroed();
            assert_eq!(libc::sigaction(signal, ptr::null(), &mut old), 0);
            old.sa_sigaction
        }
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        // SAFETY: what was there before.
        unsafe { libc::sigaction(self.0, &self.1, ptr::null_mut()) };
    }
}

static CALLS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    CALLS.fetch_add(1, Ordering::SeqCst);
}

fn counting() -> libc::sighandler_t {
    CALLS.store(0, Ordering::SeqCst);
    count as extern "C" fn(libc::c_int) as libc::sighandler_t
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// Waits until only so many threads are left: a waiting thread ends a moment after its child.
#[track_caller]
fn settle(threads: usize) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while std::fs::read_dir("/proc/self/task").expect("/proc").count() != threads {
        assert!(Instant::now() < deadline, "threads are left");
        thread::yield_now();
    }
}

/// Turns until the condition holds, at most two minutes.
#[track_caller]
fn until(manager: &mut Manager, what: &str, mut holds: impl FnMut(&mut Manager) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !holds(manager) {
        let _ = manager.turn(Some(Duration::from_millis(20))).expect("turn");
        assert!(Instant::now() < deadline, "waited in vain for: {what}\n{manager:#?}");
    }
}

/// Stops the manager and waits for its end, at most 90 s.
#[track_caller]
fn finish(manager: &mut Manager) {
    manager.stop();
    let deadline = Instant::now() + Duration::from_secs(90);
    while manager.turn(Some(Duration::from_millis(20))).expect("turn") == Status::Running {
        assert!(Instant::now() < deadline, "it does not stop\n{manager:#?}");
    }
}

fn job(name: &str, script: &str) -> JobConfig {
    JobConfig::new(name, script).expect("a name").shell(true).backoff(Backoff::OFF)
}

/// Exits of the manager's processes, as they come.
fn exits(manager: &mut Manager) -> Arc<Mutex<Vec<Exit>>> {
    let exits = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&exits);
    manager.cx().on("exit", move |_, _, event| {
        if let What::Exit { exit, .. } = &event.what {
            notes.lock().expect("notes").push(exit.clone());
        }
    });
    exits
}

fn running(manager: &Manager, job: &str) -> usize {
    let pids = manager.pids(job).unwrap_or_default();
    pids.into_iter().filter(|pid| manager.process(*pid).is_ok_and(|process| process.os_pid.is_some())).count()
}

/// A job that ends again and again, one whose leader leaves a child behind, and one that is stopped.
#[track_caller]
fn supervise() {
    let mut manager = Manager::new().expect("a manager");
    let exits = exits(&mut manager);
    manager.load(job("short", "exit 3"), true).expect("load");
    manager.load(job("left", "sleep 1000 & exit 3"), true).expect("load");
    manager.load(job("long", "exec sleep 1000").numprocesses(3), true).expect("load");
    until(&mut manager, "many exits", |_| exits.lock().expect("notes").len() >= 60);
    until(&mut manager, "three that stay", |manager| running(manager, "long") == 3);
    finish(&mut manager);
    let exits = exits.lock().expect("notes");
    let known = exits.iter().filter(|exit| matches!(exit, Exit::Code(3))).count();
    let told = exits.iter().filter(|exit| exit.signal() == Some(Signal::TERM)).count();
    let lost = exits.iter().filter(|exit| **exit == Exit::Lost).count();
    assert_eq!(known + told + lost, exits.len(), "{exits:?}");
    println!("    {} exits, {lost} of them lost", exits.len());
}

fn a_manager_with_sigchld_ignored() {
    let _ignored = Handler::set(libc::SIGCHLD, libc::SIG_IGN);
    supervise();
}

fn a_manager_with_a_thief() {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                // SAFETY: waits for any child, as careless programs do.
                if unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) } <= 0 {
                    thread::yield_now();
                }
            }
        });
        let result = catch_unwind(supervise);
        stop.store(true, Ordering::SeqCst);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn a_manager_beside_a_sigchld_handler() {
    let handler = counting();
    let _handler = Handler::set(libc::SIGCHLD, handler);
    supervise();
    assert!(Handler::now(libc::SIGCHLD) == handler);
    assert!(CALLS.load(Ordering::SeqCst) > 0, "the host's handler is still called");
}

fn a_manager_beside_children_of_the_host() {
    let mut manager = Manager::new().expect("a manager");
    let exits = exits(&mut manager);
    manager.load(job("short", "exit 3"), true).expect("load");
    let mut mine = Vec::new();
    for code in 0..20 {
        let _ = manager.turn(Some(Duration::from_millis(1))).expect("turn");
        mine.push((code, Command::new("/bin/sh").args(["-c", &format!("exit {code}")]).spawn().expect("spawn")));
    }
    until(&mut manager, "many exits", |_| exits.lock().expect("notes").len() >= 20);
    finish(&mut manager);
    drop(manager);
    for (code, mut child) in mine {
        assert_eq!(child.wait().expect("ours to wait for").code(), Some(code));
    }
}

/// No child of any kind, not even a zombie.
#[track_caller]
fn no_children() {
    // SAFETY: asks for any child, of any kind.
    let left = unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG | libc::__WALL) };
    assert_eq!((left, io::Error::last_os_error().raw_os_error()), (-1, Some(libc::ECHILD)), "a child is left");
}

fn a_dropped_manager_leaves_nothing() {
    settle(1);
    let before = descriptors();
    for stopped in [false, true] {
        let mut manager = Manager::new().expect("a manager");
        let stubborn = job("a", "trap '' TERM; while :; do sleep 0.05; done").redirect_output(["out", "err"]);
        let stubborn = stubborn.redirect_input(true).custom_stream("ctrl").numprocesses(3);
        manager.load(stubborn.graceful_timeout(Duration::from_millis(100)), true).expect("load");
        manager.load(job("b", "exit 0").redirect_output(["out"]), true).expect("load");
        let mut cx = manager.cx();
        cx.every(Duration::from_millis(1), |_| ());
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("sockets");
        cx.watch(ours, gaffer::event_loop::Interest::READ, |cx, _, _| cx.stop()).expect("watch");
        cx.tap(StreamSelector::all(), |_, _| Flow::Pause);
        cx.monitor(Target::All, Duration::ZERO, |_, _| ());
        let handle = manager.handle();
        let listens = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&listens);
        let thread = thread::spawn(move || {
            let events = handle.subscribe(".", 10).expect("subscribe");
            let output = handle.output(StreamSelector::all(), OutputLimit::Wait(1)).expect("output");
            flag.store(true, Ordering::SeqCst);
            // Until the manager has stopped or is gone.
            while handle.call(|_| ()).is_ok() {
                thread::yield_now();
            }
            drop((events, output));
        });
        until(&mut manager, "the thread", |_| listens.load(Ordering::SeqCst));
        until(&mut manager, "three", |manager| running(manager, "a") == 3);
        if stopped {
            finish(&mut manager);
        }
        drop(manager);
        drop(theirs);
        thread.join().expect("the thread");
        settle(1);
        assert_eq!(descriptors(), before, "stopped before: {stopped}");
        no_children();
    }
}

fn five_hundred_children_leave_nothing() {
    settle(1);
    let outside = descriptors();
    let mut manager = Manager::new().expect("a manager");
    manager.load(job("warm", "exit 0").restart(Restart::Never), true).expect("load");
    until(&mut manager, "the first", |manager| manager.list().is_empty() && manager.ending().is_empty());
    settle(1);
    let before = descriptors();
    // Two descriptors or three for each, and two for each thread that waits.
    if !descriptors::may_have(2_100, "five_hundred_children_leave_nothing") {
        return;
    }
    let all = job("all", "exec sleep 1000").numprocesses(500).redirect_output(["out"]);
    manager.load(all, true).expect("load");
    until(&mut manager, "all", |manager| running(manager, "all") == 500);
    assert!(descriptors() >= before + 1000);
    manager.stop_job("all").expect("stop");
    until(&mut manager, "none", |manager| manager.list().is_empty() && manager.ending().is_empty());
    settle(1);
    assert_eq!(descriptors(), before);
    no_children();
    finish(&mut manager);
    drop(manager);
    assert_eq!(descriptors(), outside);
}

/// A number of `/proc/self/status`, in KiB.
fn memory(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|line| line.starts_with(field)).expect("a line");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

fn two_thousand_respawns_leave_nothing() {
    let mut manager = Manager::new().expect("a manager");
    let exits = exits(&mut manager);
    let crashing = JobConfig::new("a", "/bin/false").expect("job").backoff(Backoff::OFF);
    let crashing = crashing.redirect_output(["out", "err"]).redirect_input(true).numprocesses(2);
    manager.load(crashing, true).expect("load");
    manager.cx().tap(StreamSelector::all(), |_, _| Flow::Continue);
    let mut at = Vec::new();
    for n in [500, 2500] {
        until(&mut manager, "many exits", |_| exits.lock().expect("notes").len() >= n);
        at.push((descriptors(), memory("RssAnon")));
    }
    println!("    descriptors and KiB of memory after 500 and 2500: {at:?}");
    // A moment more or less in the life of two processes.
    assert!(at[1].0 <= at[0].0 + 20, "{at:?}");
    // The list of exits itself is 100 KiB.
    assert!(at[1].1 <= at[0].1 + 512, "{at:?}");
    finish(&mut manager);
    settle(1);
}

fn a_line_of_ten_megabytes_takes_little_memory() {
    let before = memory("VmRSS");
    // Writing 5 to clear_refs starts VmHWM anew (proc_pid_clear_refs(5)).
    if std::fs::write("/proc/self/clear_refs", "5").is_err() {
        println!("    SKIPPED: the peak cannot be started anew");
        return;
    }
    let mut manager = Manager::new().expect("a manager");
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    manager.cx().tap_lines(StreamSelector::all(), 64 * 1024, move |_, _, line| {
        count.fetch_add(line.bytes.len(), Ordering::SeqCst);
        Flow::Continue
    });
    let long = job("a", "head -c 10485760 /dev/zero; echo").redirect_output(["out"]).restart(Restart::Never);
    manager.load(long, true).expect("load");
    until(&mut manager, "all of it", |_| seen.load(Ordering::SeqCst) == 10 << 20);
    let peak = memory("VmHWM");
    assert!(peak < before + 1024, "{before} KiB before, {peak} at most");
    finish(&mut manager);
}

/// The limit of open files, until this is dropped.
struct Limit(libc::rlimit);

impl Limit {
    fn set(soft: usize) -> Self {
        // SAFETY: reads and writes a struct of ours.
        unsafe {
            let mut old: libc::rlimit = mem::zeroed();
            assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut old), 0);
            let new = libc::rlimit { rlim_cur: soft as _, ..old };
            assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &new), 0);
            Self(old)
        }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // SAFETY: what was there before.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &self.0) };
    }
}

/// What cannot be started for want of descriptors is tried again, and the rest goes on.
fn out_of_descriptors() {
    let mut manager = Manager::new().expect("a manager");
    let exits = exits(&mut manager);
    manager.load(job("first", "exec sleep 1000"), true).expect("load");
    until(&mut manager, "the first", |manager| running(manager, "first") == 1);
    let limit = Limit::set(descriptors() + 20);
    let many = job("many", "exec sleep 1000").numprocesses(20).redirect_output(["out", "err"]);
    manager.load(many.backoff(Backoff::new(Duration::from_millis(20), Duration::from_millis(20))), true).expect("load");
    until(&mut manager, "failures", |_| {
        exits.lock().expect("notes").iter().any(|exit| matches!(exit, Exit::Failed(why) if why.contains("open files")))
    });
    assert_eq!(running(&manager, "first"), 1);
    drop(limit);
    // `/proc` can be listed, but no file in it be read.
    let (held, room) = (File::open("/dev/null").expect("a file"), descriptors() + 8);
    let limit = Limit::set(room);
    let mut held: Vec<File> = std::iter::from_fn(|| held.try_clone().ok()).collect();
    drop(held.pop());
    let e = manager.stats(&Target::All).expect_err("an answer with gaps");
    assert!(e.to_string().contains("Too many open files"), "{e}");
    drop((held, limit));
    assert!(!manager.stats(&Target::All).expect("an answer").is_empty());
    until(&mut manager, "all", |manager| running(manager, "many") == 20);
    finish(&mut manager);
    drop(manager);
    settle(1);
    no_children();
}
