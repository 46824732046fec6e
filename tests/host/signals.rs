//! Signals as an application: what they do to a manager, and to the children it has.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gaffer::Manager;
use gaffer::manager::{Flow, Status, StreamSelector};
use gaffer::process::{Exit, Signal};
use gaffer::signals::{SigHandler, SignalAction};

use crate::{exits, finish, job, running, until};

pub(crate) const CASES: &[(&str, fn())] = &[
    ("signals_stop_then_kill", signals_stop_then_kill),
    ("signals_restart_and_call", signals_restart_and_call),
    ("signals_suspend_and_go_on", signals_suspend_and_go_on),
    ("signals_that_cannot_be_handled", signals_that_cannot_be_handled),
];

fn raise(signal: Signal) {
    // SAFETY: to this thread; a handler is installed.
    assert_eq!(unsafe { libc::raise(signal.number()) }, 0);
}

fn signals_stop_then_kill() {
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

fn signals_restart_and_call() {
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

fn signals_suspend_and_go_on() {
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

fn signals_that_cannot_be_handled() {
    let mut manager = Manager::new().expect("a manager");
    let faults = manager.cx().subscribe("fault", 10);
    manager.add_app(SigHandler::new().on(Signal::KILL, SignalAction::Stop));
    let _ = manager.turn(Some(Duration::ZERO)).expect("turn");
    let fault = faults.try_recv().expect("a fault").payload;
    assert!(format!("{:?}", fault.what).contains("SIGKILL cannot be handled"), "{fault:?}");
    finish(&mut manager);
}
