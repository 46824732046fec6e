//! The manager from other threads, and in somebody else's loop.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use gaffer::manager::{OutputLimit, Status, StreamSelector};
use gaffer::process::{JobConfig, Scale, Signal};
use gaffer::{ErrorKind, Manager};

use crate::watch::{DEADLINE, Running, Watch, sleeper, wait_for};

/// Runs until it is stopped; kills everything and fails if that does not come in time.
#[track_caller]
fn run(manager: &mut Manager) {
    let late = Arc::new(AtomicUsize::new(0));
    let flag = Arc::clone(&late);
    manager.cx().after(DEADLINE, move |cx| {
        flag.store(1, Ordering::Relaxed);
        cx.stop_now();
    });
    manager.run().expect("run");
    assert_eq!(late.load(Ordering::Relaxed), 0, "nobody stopped it in time");
}

#[test]
fn many_threads() {
    let running = Running::new();
    running.start(sleeper("a").numprocesses(0));
    let posted = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            let (handle, posted) = (running.handle.clone(), Arc::clone(&posted));
            scope.spawn(move || {
                let events = handle.subscribe("update", 1000).expect("subscribe");
                let output = handle.output(StreamSelector::all(), OutputLimit::Newest(10)).expect("output");
                for _ in 0..20 {
                    let n = handle.call(|m| m.scale("a", Scale::By(1))).expect("call").expect("scale");
                    assert!(n >= 1);
                    handle.call(|m| m.scale("a", Scale::By(-1))).expect("call").expect("scale");
                    let posted = Arc::clone(&posted);
                    handle
                        .post(move |_| {
                            posted.fetch_add(1, Ordering::Relaxed);
                        })
                        .expect("post");
                }
                let got = (0..40).map(|_| events.recv_timeout(DEADLINE).expect("an event"));
                assert!(got.into_iter().all(|event| event.topic == "update"));
                assert_eq!(output.recv_timeout(Duration::ZERO), None);
            });
        }
    });
    let n = running.handle.call(|m| m.info("a").map(|info| info.numprocesses)).expect("call");
    assert_eq!(n.expect("info"), 0);
    assert_eq!(posted.load(Ordering::Relaxed), 160);
}

#[test]
fn the_loops_own_thread_is_refused() {
    let running = Running::new();
    let handle = running.handle.clone();
    let error = running.handle.call(move |_| handle.call(|_| ()).expect_err("it would wait for itself"));
    assert_eq!(error.expect("call").kind(), ErrorKind::Invalid);
    let handle = running.handle.clone();
    let (sender, receiver) = channel();
    running.handle.call(move |_| handle.post(move |_| sender.send(7).expect("send"))).expect("call").expect("post");
    assert_eq!(receiver.recv_timeout(DEADLINE), Ok(7), "posting is allowed");
}

#[test]
fn posts_from_the_loop_are_bounded() {
    let running = Running::new();
    let handle = running.handle.clone();
    let results = running.handle.call(move |_| {
        let post = || handle.post(|_| ()).map_err(|e| e.kind());
        (0..2000).map(|_| post()).collect::<Vec<_>>()
    });
    let results = results.expect("call");
    let accepted = results.iter().filter(|result| result.is_ok()).count();
    assert!((1000..=1024).contains(&accepted), "{accepted}");
    assert!(results[accepted..].iter().all(|result| *result == Err(ErrorKind::Full)));
    running.handle.call(|_| ()).expect("it goes on");
}

/// More calls than one turn takes, all there before the first turn.
#[test]
fn a_thousand_posts_before_the_first_turn() {
    for n in [255, 256, 257, 1024] {
        let mut manager = Manager::new().expect("a manager");
        let handle = manager.handle();
        let count = Arc::new(AtomicUsize::new(0));
        for _ in 1..n {
            let count = Arc::clone(&count);
            handle
                .post(move |_| {
                    count.fetch_add(1, Ordering::Relaxed);
                })
                .expect("post");
        }
        handle.stop().expect("stop");
        run(&mut manager);
        assert_eq!(count.load(Ordering::Relaxed), n - 1);
    }
}

#[test]
fn posts_beyond_the_bound_wait_and_keep_their_order() {
    let mut manager = Manager::new().expect("a manager");
    let handle = manager.handle();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let thread = thread::spawn(move || {
        for n in 0..5000 {
            let notes = Arc::clone(&notes);
            handle.post(move |_| notes.lock().expect("notes").push(n)).expect("post");
        }
        handle.stop().expect("stop");
    });
    run(&mut manager);
    thread.join().expect("the thread");
    assert!(seen.lock().expect("notes").iter().copied().eq(0..5000));
}

#[test]
fn dropping_the_manager_answers_those_who_wait() {
    let manager = Manager::new().expect("a manager");
    let posted = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let (handle, posted) = (manager.handle(), Arc::clone(&posted));
            let post = move || {
                handle.post(|_| ())?;
                posted.fetch_add(1, Ordering::Relaxed);
                Ok(())
            };
            let handle = manager.handle();
            thread::spawn(move || if n % 2 == 0 { handle.call(|_| ()) } else { (0..2000).try_for_each(|_| post()) })
        })
        .collect();
    let handle = manager.handle();
    // There is room for 1024, two of which may be the calls.
    wait_for("all to wait", || posted.load(Ordering::Relaxed) >= 1022);
    drop(manager);
    for thread in threads {
        assert_eq!(thread.join().expect("a thread").expect_err("it has gone").kind(), ErrorKind::Stopping);
    }
    assert_eq!(handle.call(|_| ()).expect_err("it has gone").kind(), ErrorKind::Stopping);
    assert_eq!(handle.stop().expect_err("it has gone").kind(), ErrorKind::Stopping);
    assert_eq!(handle.subscribe(".", 1).expect_err("it has gone").kind(), ErrorKind::Stopping);
}

/// A host that waits for its threads before it drops the manager must not wait for ever.
#[test]
fn a_manager_that_has_stopped_answers_too() {
    let mut manager = Manager::new().expect("a manager");
    let handle = manager.handle();
    let (ready, go) = sync_channel(0);
    let thread = thread::spawn(move || {
        let events = handle.subscribe(".", 100).expect("subscribe");
        let output = handle.output(StreamSelector::all(), OutputLimit::Wait(100)).expect("output");
        handle.stop().expect("stop");
        go.recv().expect("it has stopped");
        let error = handle.call(|_| ()).expect_err("it has stopped");
        assert_eq!(error.kind(), ErrorKind::Stopping);
        assert_eq!(events.iter().count(), 0);
        assert_eq!(output.recv(), None);
    });
    run(&mut manager);
    ready.send(()).expect("the thread waits");
    wait_for("the thread's end", || thread.is_finished());
    thread.join().expect("the thread");
    assert_eq!(manager.turn(None).expect("turn"), Status::Stopped);
}

#[test]
fn a_call_that_panics_says_so() {
    let running = Running::new();
    let faults = running.handle.subscribe("fault", 10).expect("subscribe");
    let error = running.handle.call(|_| -> () { panic!("oops") }).expect_err("it panicked");
    assert!(error.kind() != ErrorKind::Stopping && error.to_string().contains("oops"), "{error:?}");
    let fault = faults.recv_timeout(DEADLINE).expect("a fault");
    assert!(format!("{:?}", fault.payload.what).contains("oops"));
    running.handle.call(|_| ()).expect("it goes on");
}

#[test]
fn anybody_may_stop_it() {
    for _ in 0..20 {
        let mut manager = Manager::new().expect("a manager");
        manager.load(sleeper("a"), true).expect("load");
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let handle = manager.handle();
                // One may come after the end.
                thread::spawn(move || drop(handle.stop()))
            })
            .collect();
        run(&mut manager);
        threads.into_iter().for_each(|thread| thread.join().expect("a thread"));
    }
}

#[test]
fn in_a_loop_of_poll() {
    let mut manager = Manager::new().expect("a manager");
    manager.load(JobConfig::new("a", "sleep 0.05").expect("job"), true).expect("load");
    let ticks = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ticks);
    manager.cx().every(Duration::from_millis(10), move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let exits = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&exits);
    manager.cx().on("exit", move |_, _, _| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let handle = manager.handle();
    let (ticks_seen, exits_seen) = (Arc::clone(&ticks), Arc::clone(&exits));
    let thread = thread::spawn(move || {
        wait_for("timers and exits", || {
            ticks_seen.load(Ordering::Relaxed) >= 5 && exits_seen.load(Ordering::Relaxed) >= 2
        });
        handle.call(|m| m.killall("a", Signal::KILL)).expect("call").expect("kill");
        handle.stop().expect("stop");
    });
    let deadline = Instant::now() + DEADLINE;
    let mut rounds = 0;
    while manager.turn(Some(Duration::ZERO)).expect("turn") == Status::Running {
        assert!(Instant::now() < deadline, "{manager:?}");
        rounds += 1;
        let left = manager.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
        // Rounded up, or the last millisecond is spent spinning.
        let timeout = left.map_or(5000, |left| left.as_millis() as i32 + 1);
        let mut poll = libc::pollfd { fd: manager.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid entry.
        unsafe { libc::poll(&mut poll, 1, timeout) };
    }
    thread.join().expect("the thread");
    // The slower the machine, the longer it takes, and the more often the timer is due.
    let ticks = ticks.load(Ordering::Relaxed);
    assert!(rounds < 500 + 4 * ticks, "it spins: {rounds} rounds in {ticks} ticks");
}

#[test]
fn a_manager_moves_between_threads() {
    let mut w = Watch::new();
    w.start(sleeper("a"));
    w.running("a", 1);
    let handle = w.manager.handle();
    let Watch { manager, .. } = w;
    let (sender, receiver) = channel();
    let thread = thread::spawn(move || {
        let mut manager = manager;
        let _ = manager.turn(Some(Duration::ZERO)).expect("turn");
        sender.send(()).expect("send");
        manager.run().expect("run");
    });
    receiver.recv().expect("it turns there now");
    assert_eq!(handle.call(|m| m.list().len()).expect("call"), 1);
    handle.stop().expect("stop");
    wait_for("the end", || thread.is_finished());
    thread.join().expect("the thread");
}
