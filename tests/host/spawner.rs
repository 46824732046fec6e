//! Children of the spawner alone: their exits, their descriptors and their signals.

use std::fs::File;
use std::io::Read;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::catch_unwind;
use std::process::Command;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gaffer::process::{Exit, Signal};
use gaffer::sys::stdio::{self, Moved};
use gaffer::sys::{ChildFd, ExitWatch, Group, SpawnPlan, Spawner, Step};

use crate::{CALLS, Handler, counting, descriptors, no_children, settle};

pub(crate) const CASES: &[(&str, fn())] = &[
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
];

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
    no_children();
}
