//! A program that has children, signal handlers and threads of its own, as a host of the library would.
//!
//! It owns its `main`, because what it does to signals holds for the whole process: the cases run one after
//! the other, and each leaves everything as it was.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests say what they saw")]

#[path = "common/descriptors.rs"]
mod descriptors;

use std::fs::File;
use std::io::{self, Read};
use std::mem;
use std::os::fd::{AsFd, AsRawFd};
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
use gaffer::sys::stdio::{self, Moved};
use gaffer::sys::{ChildFd, ExitWatch, Group, SpawnPlan, Spawner, Step};

const CASES: &[(&str, fn())] = &[
    ("own_children_keep_their_status", own_children_keep_their_status),
    ("exits_are_noticed_with_sigchld_ignored", exits_are_noticed_with_sigchld_ignored),
    ("a_thief_of_exit_statuses", a_thief_of_exit_statuses),
    ("the_sigchld_handler_stays", the_sigchld_handler_stays),
    ("children_get_exactly_their_descriptors", children_get_exactly_their_descriptors),
    ("children_get_default_signals", children_get_default_signals),
    ("no_handler_runs_in_a_child", no_handler_runs_in_a_child),
    ("a_closed_pipe_does_not_kill_the_host", a_closed_pipe_does_not_kill_the_host),
    ("dropping_a_watch_reaps_nothing", dropping_a_watch_reaps_nothing),
    ("threads_may_spawn_at_once", threads_may_spawn_at_once),
    ("a_thousand_spawns_leave_nothing", a_thousand_spawns_leave_nothing),
    ("a_manager_with_sigchld_ignored", a_manager_with_sigchld_ignored),
    ("a_manager_with_a_thief", a_manager_with_a_thief),
    ("a_manager_beside_a_sigchld_handler", a_manager_beside_a_sigchld_handler),
    ("a_manager_beside_children_of_the_host", a_manager_beside_children_of_the_host),
    ("a_dropped_manager_leaves_nothing", a_dropped_manager_leaves_nothing),
    ("five_hundred_children_leave_nothing", five_hundred_children_leave_nothing),
    ("two_thousand_respawns_leave_nothing", two_thousand_respawns_leave_nothing),
    ("a_line_of_ten_megabytes_takes_little_memory", a_line_of_ten_megabytes_takes_little_memory),
    ("out_of_descriptors", out_of_descriptors),
    #[cfg(feature = "signals")]
    ("signals_stop_then_kill", signals_stop_then_kill),
    #[cfg(feature = "signals")]
    ("signals_restart_and_call", signals_restart_and_call),
    #[cfg(feature = "signals")]
    ("signals_suspend_and_go_on", signals_suspend_and_go_on),
    #[cfg(feature = "signals")]
    ("signals_that_cannot_be_handled", signals_that_cannot_be_handled),
];

fn main() -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if !std::path::Path::new("/proc/self/fd").exists() {
        println!("skipped: there is no /proc to look into");
    }
    for (name, case) in CASES.iter().filter(|_| std::path::Path::new("/proc/self/fd").exists()) {
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

fn sh(script: &str) -> SpawnPlan<'static> {
    let mut plan = SpawnPlan::new(["/bin/sh", "-c", script]);
    plan.env = vec![("PATH".into(), "/usr/bin:/bin".into())];
    plan
}

/// Waits until the watch is readable, at most 90 s.
#[track_caller]
fn wait(watch: &ExitWatch) {
    let mut poll = libc::pollfd { fd: watch.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        // SAFETY: one pollfd.
        match unsafe { libc::poll(&mut poll, 1, 1000) } {
            1 => return,
            _ => assert!(Instant::now() < deadline, "the end of {} was not noticed", watch.os_pid()),
        }
    }
}

/// Waits for the end and reaps.
#[track_caller]
fn end(watch: ExitWatch) -> Exit {
    wait(&watch);
    let seen = watch.peek().expect("peek").expect("it has ended");
    let exit = watch.reap();
    assert_eq!(exit, seen, "peek and reap agree");
    exit
}

/// What the program writes to standard output.
#[track_caller]
fn output(spawner: &mut Spawner, mut plan: SpawnPlan<'_>) -> String {
    let (read, write) = stdio::pipe().expect("pipe");
    plan.fds.resize(plan.fds.len().max(3), ChildFd::Null);
    // A plan of a shorter life: it borrows the pipe.
    let mut plan = plan;
    plan.fds[1] = ChildFd::Fd(write.as_fd());
    let spawned = spawner.spawn(&plan).expect("spawn");
    drop(plan);
    drop(write);
    let mut text = String::new();
    File::from(read).read_to_string(&mut text).expect("text");
    assert_eq!(end(spawned.exit), Exit::Code(0), "{text}");
    text
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

fn own_children_keep_their_status() {
    let mut spawner = Spawner::new().expect("a spawner");
    let mut mine = Vec::new();
    let mut theirs = Vec::new();
    for code in 0..20 {
        mine.push((code, Command::new("/bin/sh").args(["-c", &format!("exit {code}")]).spawn().expect("spawn")));
        theirs.push((100 + code, spawner.spawn(&sh(&format!("exit {}", 100 + code))).expect("spawn")));
    }
    for (code, spawned) in theirs {
        assert_eq!(end(spawned.exit), Exit::Code(code));
    }
    for (code, mut child) in mine {
        assert_eq!(child.wait().expect("ours to wait for").code(), Some(code));
    }
}

fn exits_are_noticed_with_sigchld_ignored() {
    let mut spawner = Spawner::new().expect("a spawner");
    let _ignored = Handler::set(libc::SIGCHLD, libc::SIG_IGN);
    let mut known = 0;
    for _ in 0..20 {
        match end(spawner.spawn(&sh("exit 3")).expect("spawn").exit) {
            Exit::Code(3) => known += 1,
            other => assert_eq!(other, Exit::Lost),
        }
    }
    println!("    with SIGCHLD ignored the system told {known} of 20 exits");
    // Reaping without having peeked.
    let exit = spawner.spawn(&sh("kill -9 $$")).expect("spawn").exit.reap();
    assert!(exit == Exit::Lost || exit.signal() == Some(Signal::KILL), "{exit:?}");
    let error = spawner.spawn(&SpawnPlan::new(["/nope"])).expect_err("no such program");
    assert_eq!((error.step(), error.raw_os_error()), (Step::Exec, Some(libc::ENOENT)));
}

fn a_thief_of_exit_statuses() {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let thief = scope.spawn(|| {
            let mut stolen = 0;
            while !stop.load(Ordering::SeqCst) {
                // SAFETY: waits for any child, as careless programs do.
                match unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) } {
                    1.. => stolen += 1,
                    _ => thread::yield_now(),
                }
            }
            stolen
        });
        let result = catch_unwind(|| {
            let mut spawner = Spawner::new().expect("a spawner");
            let mut known = 0;
            for code in 0..100 {
                let spawned = spawner.spawn(&sh(&format!("exit {code}"))).expect("spawn");
                wait(&spawned.exit);
                let seen = spawned.exit.peek().expect("peek").expect("it has ended");
                for exit in [seen, spawned.exit.reap()] {
                    if exit == Exit::Code(code) {
                        known += 1;
                    } else {
                        assert_eq!(exit, Exit::Lost);
                    }
                }
                let error = spawner.spawn(&SpawnPlan::new(["/nope"])).expect_err("no such program");
                assert_eq!(error.step(), Step::Exec);
            }
            known
        });
        stop.store(true, Ordering::SeqCst);
        let stolen = thief.join().expect("the thief");
        match result {
            Ok(known) => println!("    {stolen} of 100 statuses stolen, {known} of 200 answers known all the same"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
}

fn the_sigchld_handler_stays() {
    let handler = counting();
    let _handler = Handler::set(libc::SIGCHLD, handler);
    let mut spawner = Spawner::new().expect("a spawner");
    for _ in 0..10 {
        assert_eq!(end(spawner.spawn(&sh("exit 1")).expect("spawn").exit), Exit::Code(1));
    }
    assert!(Handler::now(libc::SIGCHLD) == handler);
    // Signals of one number may merge, but the last one arrives.
    let deadline = Instant::now() + Duration::from_secs(90);
    while CALLS.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < deadline, "the host's handler is still called");
        thread::yield_now();
    }
    if cfg!(target_os = "linux") {
        let before = CALLS.load(Ordering::SeqCst);
        for _ in 0..10 {
            spawner.spawn(&SpawnPlan::new(["/nope"])).expect_err("no such program");
        }
        assert_eq!(CALLS.load(Ordering::SeqCst), before, "a spawn that fails is no child the host hears of");
    }
}

fn children_get_exactly_their_descriptors() {
    let mut spawner = Spawner::new().expect("a spawner");
    // A careless host: descriptors without FD_CLOEXEC.
    let leaks: Vec<File> = (0..20).map(|_| File::open("/dev/zero").expect("open")).collect();
    for file in &leaks {
        // SAFETY: flags only.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) };
    }
    // `ls` has one more: the folder it reads.
    assert_eq!(output(&mut spawner, sh("ls /proc/self/fd")).split_whitespace().collect::<String>(), "0123");
    let mut plan = sh("readlink /proc/self/fd/0 /proc/self/fd/3 /proc/self/fd/4; ls /proc/self/fd | wc -l");
    let full = File::open("/dev/full").expect("open");
    plan.fds = vec![ChildFd::Null; 3];
    plan.fds.extend([ChildFd::Fd(leaks[7].as_fd()), ChildFd::Fd(full.as_fd())]);
    let text = output(&mut spawner, plan);
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["/dev/null", "/dev/zero", "/dev/full", "6"]);
}

fn children_get_default_signals() {
    let _pipe = Handler::set(libc::SIGPIPE, libc::SIG_IGN);
    let _hup = Handler::set(libc::SIGHUP, libc::SIG_IGN);
    let _usr1 = Handler::set(libc::SIGUSR1, counting());
    // SAFETY: the sets are made empty before use.
    let old = unsafe {
        let (mut set, mut old): (libc::sigset_t, libc::sigset_t) = mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in [libc::SIGTERM, libc::SIGCHLD, libc::SIGUSR2] {
            libc::sigaddset(&mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, &mut old);
        old
    };
    let mut spawner = Spawner::new().expect("a spawner");
    let text = output(&mut spawner, SpawnPlan::new(["/bin/cat", "/proc/self/status"]));
    for line in ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"] {
        assert!(text.contains(&format!("{line}:\t0000000000000000\n")), "{text}");
    }
    // And ours is as it was.
    // SAFETY: asks, then restores.
    unsafe {
        let mut now: libc::sigset_t = mem::zeroed();
        libc::pthread_sigmask(libc::SIG_SETMASK, &old, &mut now);
        assert_eq!(libc::sigismember(&now, libc::SIGTERM), 1);
        assert_eq!(libc::sigismember(&now, libc::SIGINT), 0);
    }
}

/// A signal sent between fork and exec: once the original took it as its own and shut down.
fn no_handler_runs_in_a_child() {
    let _handler = Handler::set(libc::SIGTERM, counting());
    // Thousands of places to look make the time before exec long.
    let mut plan = SpawnPlan::new(["true"]);
    plan.env = vec![("PATH".into(), format!("{}/bin", "/nope:".repeat(20_000)).into())];
    plan.group = Group::Inherit;
    let stop = AtomicBool::new(false);
    let mut killed = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                for pid in children() {
                    // SAFETY: a child of this process, which is not reaped while the signal counts.
                    unsafe { libc::kill(pid, libc::SIGTERM) };
                }
            }
        });
        let result = catch_unwind(|| {
            let mut spawner = Spawner::new().expect("a spawner");
            let mut killed = 0;
            for _ in 0..100 {
                killed += usize::from(end(spawner.spawn(&plan).expect("spawn").exit).signal() == Some(Signal::TERM));
            }
            killed
        });
        stop.store(true, Ordering::SeqCst);
        killed = result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert_eq!(CALLS.load(Ordering::SeqCst), 0, "the host's handler ran");
    println!("    {killed} of 100 children met SIGTERM");
}

/// The numbers of our children, as far as this system tells.
fn children() -> Vec<libc::pid_t> {
    let mut pids = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        pids.extend(text.split_whitespace().filter_map(|pid| pid.parse::<libc::pid_t>().ok()));
    }
    pids
}

fn a_closed_pipe_does_not_kill_the_host() {
    for disposition in [libc::SIG_DFL, libc::SIG_IGN, counting()] {
        let _handler = Handler::set(libc::SIGPIPE, disposition);
        let ends = stdio::input_pipe().expect("pipe");
        drop(ends.child);
        for _ in 0..3 {
            assert_eq!(stdio::write(ends.ours.as_fd(), b"x").expect("write"), Moved::Closed);
        }
    }
    assert_eq!(CALLS.load(Ordering::SeqCst), 0, "not even a handler runs");
}

fn dropping_a_watch_reaps_nothing() {
    let mut spawner = Spawner::new().expect("a spawner");
    let spawned = spawner.spawn(&sh("exit 9")).expect("spawn");
    let pid = spawned.os_pid.0;
    drop(spawned);
    let mut status = 0;
    // SAFETY: waits for our own child.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert_eq!((libc::WIFEXITED(status), libc::WEXITSTATUS(status)), (true, 9));
    let spawned = spawner.spawn(&sh("sleep 60")).expect("spawn");
    let pid = spawned.os_pid.0;
    drop(spawned);
    // SAFETY: our own child.
    unsafe {
        assert_eq!(libc::kill(pid, libc::SIGKILL), 0, "dropping does not end it");
        assert_eq!(libc::waitpid(pid, ptr::null_mut(), 0), pid);
    }
    settle(1);
}

fn threads_may_spawn_at_once() {
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut spawner = Spawner::new().expect("a spawner");
                for _ in 0..25 {
                    let text = output(&mut spawner, sh("ls /proc/self/fd"));
                    assert_eq!(text.split_whitespace().collect::<String>(), "0123");
                }
            });
        }
        for code in 0..25 {
            let status = Command::new("/bin/sh").args(["-c", &format!("exit {code}")]).status().expect("spawn");
            assert_eq!(status.code(), Some(code));
        }
    });
}

fn a_thousand_spawns_leave_nothing() {
    let mut spawner = Spawner::new().expect("a spawner");
    settle(1);
    let before = descriptors();
    for round in 0..1000 {
        if round % 10 == 0 {
            spawner.spawn(&SpawnPlan::new(["/nope"])).expect_err("no such program");
        }
        let spawned = spawner.spawn(&SpawnPlan::new(["/bin/true"])).expect("spawn");
        assert_eq!(end(spawned.exit), Exit::Code(0));
    }
    settle(1);
    assert_eq!(descriptors(), before);
    // SAFETY: asks for any child, of any kind.
    let left = unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG | libc::__WALL) };
    assert_eq!((left, io::Error::last_os_error().raw_os_error()), (-1, Some(libc::ECHILD)), "no zombie");
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

#[cfg(feature = "signals")]
fn raise(signal: Signal) {
    // SAFETY: to this thread; a handler is installed.
    assert_eq!(unsafe { libc::raise(signal.number()) }, 0);
}

#[cfg(feature = "signals")]
fn signals_stop_then_kill() {
    use gaffer::signals::SigHandler;
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let mut manager = Manager::new().expect("a manager");
        let exits = exits(&mut manager);
        manager.add_app(SigHandler::default());
        let stubborn = job("a", "trap '' TERM; echo; while :; do sleep 0.05; done").redirect_output(["out"]);
        manager.load(stubborn, true).expect("load");
        let ready = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ready);
        manager.cx().tap(StreamSelector::all(), move |_, _| {
            flag.store(true, Ordering::SeqCst);
            Flow::Continue
        });
        until(&mut manager, "it is deaf", |_| ready.load(Ordering::SeqCst));
        raise(signal);
        until(&mut manager, "the stop", |manager| manager.is_stopping());
        assert!(exits.lock().expect("notes").is_empty());
        raise(signal);
        let deadline = Instant::now() + Duration::from_secs(90);
        while manager.turn(Some(Duration::from_millis(20))).expect("turn") == Status::Running {
            assert!(Instant::now() < deadline, "the second signal kills");
        }
        assert_eq!(*exits.lock().expect("notes"), [Exit::Signal { signal: Signal::KILL, core: false }]);
    }
}

#[cfg(feature = "signals")]
fn signals_restart_and_call() {
    use gaffer::signals::{SigHandler, SignalAction};
    let mut manager = Manager::new().expect("a manager");
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let call = SignalAction::Call(Box::new(move |_, signal| {
        assert_eq!(signal, Signal::USR1);
        count.fetch_add(1, Ordering::SeqCst);
    }));
    manager.add_app(SigHandler::default().on(Signal::USR1, call));
    manager.load(job("a", "exec sleep 1000"), true).expect("load");
    until(&mut manager, "the first", |manager| running(manager, "a") == 1);
    let first = manager.pids("a").expect("pids");
    raise(Signal::USR1);
    until(&mut manager, "the call", |_| calls.load(Ordering::SeqCst) == 1);
    raise(Signal::HUP);
    until(&mut manager, "the second", |manager| {
        running(manager, "a") == 1 && manager.pids("a").expect("pids") != first && manager.ending().is_empty()
    });
    finish(&mut manager);
}

#[cfg(feature = "signals")]
fn signals_suspend_and_go_on() {
    use gaffer::signals::{SigHandler, SignalAction};
    let state = |os_pid: libc::pid_t| {
        let stat = std::fs::read_to_string(format!("/proc/{os_pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next())
    };
    let mut manager = Manager::new().expect("a manager");
    manager.add_app(SigHandler::default().on(Signal::TSTP, SignalAction::Suspend));
    manager.load(job("a", "exec sleep 1000"), true).expect("load");
    until(&mut manager, "the first", |manager| running(manager, "a") == 1);
    let child = manager.process(manager.pids("a").expect("pids")[0]).expect("process").os_pid.expect("started").0;
    // Somebody outside sees both of us stopped, and lets us go on.
    let script = "us=$0 child=$1; until grep -q '^State:.T' /proc/$us/status && grep -q '^State:.T' /proc/$child/status
        do sleep 0.01; done; kill -CONT $us";
    let args = ["-c", script, &std::process::id().to_string(), &child.to_string()];
    let mut helper = Command::new("/bin/sh").args(args).spawn().expect("spawn");
    raise(Signal::TSTP);
    let mut status = None;
    until(&mut manager, "the helper", |_| {
        status = helper.try_wait().expect("wait");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(0));
    until(&mut manager, "the child goes on", |_| state(child) == Some('S'));
    assert_eq!(running(&manager, "a"), 1);
    finish(&mut manager);
}

#[cfg(feature = "signals")]
fn signals_that_cannot_be_handled() {
    use gaffer::signals::{SigHandler, SignalAction};
    let mut manager = Manager::new().expect("a manager");
    let faults = manager.cx().subscribe("fault", 10);
    manager.add_app(SigHandler::new().on(Signal::KILL, SignalAction::Stop));
    let _ = manager.turn(Some(Duration::ZERO)).expect("turn");
    let fault = faults.try_recv().expect("a fault").payload;
    assert!(format!("{:?}", fault.what).contains("SIGKILL cannot be handled"), "{fault:?}");
    finish(&mut manager);
}
