//! `/proc` shows what a thread is doing, without a tracer.

use std::fs;
use std::process::{Child, Command, Stdio};

use super::*;

fn own_tid() -> String {
    let link = fs::read_link("/proc/thread-self").expect("/proc");
    link.file_name().expect("a thread").to_string_lossy().into_owned()
}

/// The system call the thread sits in, with its arguments and its place in the program.
fn system_call(tid: &str) -> String {
    fs::read_to_string(format!("/proc/self/task/{tid}/syscall")).expect("the system call of a thread of ours")
}

fn in_epoll_wait(call: &str) -> bool {
    let number = call.split(' ').next().and_then(|n| n.parse().ok());
    let waits = [
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait,
    ];
    waits.map(Some).contains(&number)
}

/// How often the thread has gone to sleep, or was put off the processor.
fn switches(tid: &str) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/self/task/{tid}/status")).expect("the status of a thread");
    status.lines().filter(|line| line.contains("ctxt_switches")).map(str::to_owned).collect()
}

#[track_caller]
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "timed out: {what}");
        thread::yield_now();
    }
}

#[test]
fn an_idle_turn_sits_in_one_system_call() {
    let mut io = event_loop();
    let waker = io.waker();
    let (ours, _theirs) = pair();
    let _source = io.register(ours, Interest::READ, 1).expect("registered");
    let (send, receive) = mpsc::channel();
    let thread = thread::spawn(move || {
        send.send(own_tid()).expect("received");
        turn(&mut io, None)
    });
    let tid = receive.recv().expect("the thread");
    until("the thread waits", || in_epoll_wait(&system_call(&tid)));
    let before = (system_call(&tid), switches(&tid));
    // Not to wait for something but to give it the time to happen: nothing may.
    thread::sleep(Duration::from_millis(400));
    assert_eq!((system_call(&tid), switches(&tid)), before, "the thread has moved");
    assert_eq!(before.1.len(), 2, "{before:?}");

    waker.wake();
    assert_eq!(thread.join().expect("the turn"), [Ready::Woken]);
}

/// The program of `signals_do_not_disturb_a_turn`: waits for its input and for a timer.
#[test]
#[ignore = "is run by signals_do_not_disturb_a_turn as a process of its own"]
fn victim() {
    let mut io = event_loop();
    let _input = io.register(std::io::stdin(), Interest::READ, 1).expect("registered");
    assert_eq!(one_source(&turn(&mut io, None)).1, 1);
    let timer = io.set_timer(Instant::now() + Duration::from_secs(3_600), 2);
    assert!(io.cancel_timer(timer));
}

/// Stopping and continuing a process makes `epoll_wait` fail with `EINTR` even where no handler is
/// installed (signal(7), "Interruption of system calls"), so the test needs none.
#[test]
fn signals_do_not_disturb_a_turn() {
    struct Killed(Child);
    impl Drop for Killed {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let victim = Command::new(std::env::current_exe().expect("our own program"))
        .args(["--exact", "event_loop::tests::idle::victim", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    let mut victim = Killed(victim.expect("the victim"));
    let pid = victim.0.id();
    // The test harness runs it in a thread other than the first.
    let threads = || -> Vec<String> {
        let folder = fs::read_dir(format!("/proc/{pid}/task")).expect("the victim's threads");
        folder.flatten().map(|entry| entry.path().display().to_string()).collect()
    };
    let waiting = |task: &String| match fs::read_to_string(format!("{task}/syscall")) {
        Ok(call) => in_epoll_wait(&call),
        // Hidden where Yama forbids tracing; asleep is then as near as one can tell.
        Err(e) if e.kind() == IoErrorKind::PermissionDenied => {
            fs::read_to_string(format!("{task}/stat")).is_ok_and(|stat| stat.contains(") S "))
        }
        Err(_) => false,
    };
    let state = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the victim's state");
        stat.rsplit(") ").next().and_then(|rest| rest.chars().next())
    };
    let signal = |name: &str| {
        let status = Command::new("sh").args(["-c", &format!("kill {name} {pid}")]).status().expect("sh");
        assert!(status.success(), "kill {name}");
    };
    until("the victim waits", || threads().iter().any(waiting));
    for _ in 0..5 {
        signal("-STOP");
        until("the victim stops", || state() == Some('T'));
        signal("-CONT");
        until("the victim waits again", || threads().iter().any(waiting));
    }
    victim.0.stdin.take().expect("a pipe").write_all(b"x").expect("written");
    assert!(victim.0.wait().expect("waited").success());
}
