//! Output of children: all of it, in order, at the pace of whoever reads it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use gaffer::Manager;
use gaffer::manager::{Flow, Output, OutputLimit, Piece, StreamData, StreamSelector, TapId};
use gaffer::process::{Backoff, JobConfig, Pid, Restart, Signal, What};

use crate::watch::{DEADLINE, Running, Scratch, Seen, Watch, sh, signal, sleeps, wait_for};

/// Bytes that look like nothing else, so that what is lost, doubled or moved shows.
fn noise(n: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(n).collect()
}

#[test]
fn everything_comes_before_the_exit() {
    let mut w = Watch::new();
    let bytes: Arc<Mutex<HashMap<Pid, usize>>> = Arc::default();
    let at_exit: Arc<Mutex<Vec<usize>>> = Arc::default();
    let count = Arc::clone(&bytes);
    w.manager.cx().tap(StreamSelector::all(), move |_, chunk| {
        if let StreamData::Bytes(bytes) = chunk.data {
            *count.lock().expect("count").entry(chunk.origin.pid).or_default() += bytes.len();
        }
        Flow::Continue
    });
    let (count, notes) = (Arc::clone(&bytes), Arc::clone(&at_exit));
    w.manager.cx().on("exit", move |_, _, event| {
        let pid = event.what.pid().expect("a pid");
        notes.lock().expect("notes").push(count.lock().expect("count").get(&pid).copied().unwrap_or(0));
    });
    let job = JobConfig::new("a", "head -c 204800 /dev/zero").expect("job").redirect_output(["out"]);
    w.start(job.numprocesses(5).backoff(Backoff::OFF));
    w.until("50 exits", |_| at_exit.lock().expect("notes").len() >= 50);
    // More than a turn's share, and ended while nobody looked.
    w.start(
        JobConfig::new("b", "head -c 60000 /dev/zero").expect("job").redirect_output(["out"]).restart(Restart::Never),
    );
    assert!(at_exit.lock().expect("notes").iter().all(|n| *n == 204_800), "{at_exit:?}");
    w.finish();
}

#[test]
fn several_subscribers_bytes_and_lines() {
    let mut w = Watch::with_output();
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let notes = Arc::clone(&lines);
    let only_err = StreamSelector::job("default.a".parse().expect("name")).label("err");
    w.manager.cx().tap_lines(only_err, 1024, move |_, origin, line| {
        let text = String::from_utf8_lossy(line.bytes).into_owned();
        notes.lock().expect("notes").push(format!("{}.{} {text}", origin.name.label(), origin.instance));
        Flow::Continue
    });
    let script = "printf 'one\\ntw' >&2; echo x; sleep 0.05; printf 'o\\nrest' >&2";
    w.start(sh("a", script).redirect_output(["out", "err"]).restart(Restart::Never));
    w.start(sh("b", "echo other >&2").redirect_output(["out", "err"]).restart(Restart::Never));
    w.until("the ends", |w| w.seen().iter().filter(|seen| matches!(seen, Seen::End(_))).count() == 4);
    assert_eq!(*lines.lock().expect("notes"), ["a.1 one", "a.1 two", "a.1 rest"]);
    assert!(w.text("err").replace("other\n", "") == "one\ntwo\nrest" && w.text("out") == "x\n", "{}", w.dump());
    w.finish();
}

#[test]
fn a_late_subscriber_gets_what_comes_from_then_on() {
    let scratch = Scratch::new();
    let mut w = Watch::with_output();
    let script = "echo early; until [ -e $F ]; do sleep 0.01; done; echo late; exec sleep 1000";
    w.start(sh("a", script).env("F", scratch.file("go").display().to_string()).redirect_output(["out"]));
    w.until("the first", |w| w.text("out") == "early\n");
    let late: Arc<Mutex<Vec<u8>>> = Arc::default();
    let notes = Arc::clone(&late);
    w.manager.cx().tap(StreamSelector::pid(Pid(1)), move |_, chunk| {
        if let StreamData::Bytes(bytes) = chunk.data {
            notes.lock().expect("notes").extend(bytes);
        }
        Flow::Continue
    });
    std::fs::write(scratch.file("go"), "").expect("write");
    w.until("the second", |w| w.text("out") == "early\nlate\n");
    assert_eq!(*late.lock().expect("notes"), b"late\n");
    w.finish();
}

#[test]
fn one_label_merges_both_in_order() {
    let mut w = Watch::with_output();
    w.start(sh("a", "echo 1; echo 2 >&2; echo 3").redirect_output(["log", "log"]).restart(Restart::Never));
    w.until("the end", |w| w.seen().iter().any(|seen| matches!(seen, Seen::End(_))));
    assert_eq!(w.text("log"), "1\n2\n3\n");
    assert_eq!(w.seen().iter().filter(|seen| matches!(seen, Seen::End(_))).count(), 1);
    w.finish();
}

/// A child that writes numbered blocks to `out` and its progress to `err`.
fn counter() -> JobConfig {
    let script = "B=$(head -c 4000 /dev/zero | tr '\\0' x); i=0
        while [ $i -lt 300 ]; do i=$((i+1)); echo $i $B; echo $i >&2; done; exec sleep 1000";
    sh("a", script).redirect_output(["out", "err"])
}

#[test]
fn a_pause_makes_the_child_wait_and_loses_nothing() {
    let mut w = Watch::new();
    let paused = Arc::new(AtomicBool::new(false));
    let progress = Arc::new(AtomicUsize::new(0));
    let numbers: Arc<Mutex<Vec<usize>>> = Arc::default();
    let (pausing, notes) = (Arc::clone(&paused), Arc::clone(&numbers));
    let tap = w.manager.cx().tap_lines(StreamSelector::all().label("out"), 8192, move |_, _, line| {
        let text = String::from_utf8_lossy(line.bytes).into_owned();
        assert_eq!(text.trim_end().len(), text.find(' ').expect("a number") + 4001);
        let mut numbers = notes.lock().expect("notes");
        numbers.push(text.split(' ').next().and_then(|n| n.parse().ok()).expect("a number"));
        if numbers.len() % 100 == 50 {
            pausing.store(true, Ordering::Relaxed);
            return Flow::Pause;
        }
        Flow::Continue
    });
    let count = Arc::clone(&progress);
    w.manager.cx().tap_lines(StreamSelector::all().label("err"), 100, move |_, _, line| {
        let n = String::from_utf8_lossy(line.bytes).parse().expect("a number");
        count.store(n, Ordering::Relaxed);
        Flow::Continue
    });
    w.start(counter());
    for round in 0..3 {
        w.until("the pause", |_| paused.load(Ordering::Relaxed));
        // It goes on until its pipe is full; then nothing moves, and nobody wakes. One that waits for its processor only does not sleep.
        let quiet = |w: &mut Watch| {
            let before = progress.load(Ordering::Relaxed);
            let waited = sleeps(w.os_pids("a")[0]);
            w.idle(Duration::from_millis(100));
            waited && sleeps(w.os_pids("a")[0]) && progress.load(Ordering::Relaxed) == before
        };
        w.until("it waits", quiet);
        let read = numbers.lock().expect("notes").len();
        let written = progress.load(Ordering::Relaxed);
        assert!(written <= read + 34, "round {round}: {written} blocks written, {read} read");
        let began = Instant::now();
        let _ = w.manager.turn(Some(Duration::from_millis(100))).expect("turn");
        assert!(began.elapsed() >= Duration::from_millis(100), "a paused stream wakes the loop");
        paused.store(false, Ordering::Relaxed);
        w.manager.resume(tap);
    }
    w.until("everything", |_| numbers.lock().expect("notes").len() == 300);
    assert!(numbers.lock().expect("notes").iter().copied().eq(1..=300));
    w.finish();
}

#[test]
fn whoever_paused_and_goes_lets_it_go_on() {
    let mut w = Watch::with_output();
    let tap = w.manager.cx().tap(StreamSelector::all(), |_, _| Flow::Pause);
    w.start(counter());
    w.until("it begins", |w| !w.bytes("out").is_empty());
    w.idle(Duration::from_millis(50));
    assert!(w.bytes("out").len() < 1_000_000);
    assert!(w.manager.untap(tap) && !w.manager.untap(tap));
    w.until("it goes on", |w| w.bytes("out").len() > 1_200_000);
    w.finish();
}

#[test]
fn subscribers_may_end_themselves_and_each_other() {
    let mut w = Watch::with_output();
    let ids: Arc<Mutex<Vec<TapId>>> = Arc::default();
    let calls = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        let (others, calls) = (Arc::clone(&ids), Arc::clone(&calls));
        let id = w.manager.cx().tap(StreamSelector::all(), move |cx, _| {
            calls.fetch_add(1, Ordering::Relaxed);
            for id in others.lock().expect("ids").iter() {
                cx.untap(*id);
            }
            Flow::Pause
        });
        ids.lock().expect("ids").push(id);
    }
    let count = Arc::clone(&calls);
    w.manager.cx().tap(StreamSelector::all(), move |_, _| {
        count.fetch_add(10, Ordering::Relaxed);
        panic!("a subscriber")
    });
    w.start(sh("a", "echo 1; sleep 0.1; echo 2; exec sleep 1000").redirect_output(["out"]));
    w.until("both lines", |w| w.text("out") == "1\n2\n");
    assert_eq!(calls.load(Ordering::Relaxed), 11);
    w.until("the fault", |w| w.faults() == ["output subscriber: a subscriber"]);
    w.finish();
}

/// Reads until all streams of the job have ended; fails if that takes too long.
#[track_caller]
fn read_all(output: &Output, mut each: impl FnMut(Piece)) {
    loop {
        let piece = output.recv_timeout(DEADLINE).expect("a piece in time");
        let end = matches!(piece, Piece::End(_));
        each(piece);
        if end {
            return;
        }
    }
}

#[test]
fn a_slow_thread_gets_every_byte() {
    const MIB: usize = 1 << 20;
    let scratch = Scratch::new();
    let noise = noise(MIB);
    std::fs::write(scratch.file("noise"), &noise).expect("write");
    let running = Running::new();
    let output = running.handle.output(StreamSelector::all(), OutputLimit::Wait(100_000)).expect("output");
    let script = "i=0; while [ $i -lt 50 ]; do i=$((i+1)); cat $F; done";
    let job = sh("a", script).env("F", scratch.file("noise").display().to_string());
    running.start(job.redirect_output(["out"]).restart(Restart::Never));
    let (mut total, mut pieces) = (0, 0);
    read_all(&output, |piece| {
        let Piece::Bytes(origin, bytes) = piece else {
            assert!(matches!(piece, Piece::End(_)), "{piece:?}");
            return;
        };
        assert_eq!(origin.pid, Pid(1));
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let at = total % MIB;
            let n = rest.len().min(MIB - at);
            assert!(rest[..n] == noise[at..at + n], "other bytes after {total}");
            total += n;
            rest = &rest[n..];
        }
        pieces += 1;
        if pieces % 50 == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        if pieces % 100 == 0 {
            let waiting = format!("{output:?}");
            let bytes = waiting.split("bytes: ").nth(1).and_then(|text| text.split(',').next()).expect("bytes");
            assert!(bytes.parse::<usize>().expect("a number") <= 100_000 + 65_536, "{waiting}");
        }
    });
    assert_eq!(total, 50 * MIB);
    assert_eq!(output.recv_timeout(Duration::from_millis(10)), None, "nothing after the end");
}

#[test]
fn the_newest_bytes_and_how_many_are_missing() {
    for limit in [1000, 100_000] {
        let scratch = Scratch::new();
        let noise = noise(3_000_000);
        std::fs::write(scratch.file("noise"), &noise).expect("write");
        let running = Running::new();
        let output = running.handle.output(StreamSelector::all(), OutputLimit::Newest(limit)).expect("output");
        let job = sh("a", "cat $F").env("F", scratch.file("noise").display().to_string());
        running.start(job.redirect_output(["out"]).restart(Restart::Never));
        running.until("nobody runs", |m| m.list().is_empty() && format!("{m:?}").contains("map: {}"));
        let (mut gap, mut kept, mut ends) = (0, Vec::new(), 0);
        read_all(&output, |piece| match piece {
            Piece::Gap(n) => {
                assert!(kept.is_empty(), "the gap comes first");
                gap += n as usize;
            }
            Piece::Bytes(_, bytes) => kept.extend(bytes),
            _ => ends += 1,
        });
        assert_eq!((gap + kept.len(), ends), (noise.len(), 1), "limit {limit}");
        assert!(kept.len() <= limit && kept.len() + 200 > limit, "{} of {limit}", kept.len());
        assert!(noise.ends_with(&kept));
    }
}

#[test]
fn a_reader_that_goes_lets_the_child_go_on() {
    let running = Running::new();
    let output = running.handle.output(StreamSelector::all(), OutputLimit::Wait(1)).expect("output");
    running.start(sh("a", "head -c 1000000 /dev/zero").redirect_output(["out"]).restart(Restart::Never));
    assert!(matches!(output.recv_timeout(DEADLINE), Some(Piece::Bytes(..))));
    drop(output);
    running.until("its end", |m| m.list().is_empty());
}

/// The last words of a child that ends while its reader is behind.
#[test]
fn a_stop_loses_nothing() {
    let mut manager = Manager::new().expect("a manager");
    let handle = manager.handle();
    let output = {
        let (sender, receiver) = std::sync::mpsc::channel();
        let other = handle.clone();
        let thread = thread::spawn(move || sender.send(other.output(StreamSelector::all(), OutputLimit::Wait(1))));
        let _ = manager.turn(Some(DEADLINE)).expect("turn");
        thread.join().expect("thread").expect("send");
        receiver.recv().expect("sent").expect("output")
    };
    let script = "echo first; sleep 0.1; head -c 60000 /dev/zero; exit 0";
    manager.load(sh("a", script).redirect_output(["out"]).restart(Restart::Never), true).expect("load");
    manager.cx().once("exit", |cx, _, _| cx.stop());
    manager.run().expect("run");
    let (mut total, mut ends) = (0, 0);
    // `None` comes because the manager has stopped.
    for piece in output {
        match piece {
            Piece::Bytes(_, bytes) => total += bytes.len(),
            Piece::End(_) => ends += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((total, ends), (60_006, 1));
}

#[test]
fn chatty_children_keep_nobody_waiting() {
    let running = Running::new();
    running.start(JobConfig::new("yes", "yes").expect("job").redirect_output(["out", "err"]).numprocesses(4));
    let bytes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&bytes);
    let tap = move |chunk: StreamData<'_>| {
        if let StreamData::Bytes(bytes) = chunk {
            count.fetch_add(bytes.len(), Ordering::Relaxed);
        }
        Flow::Continue
    };
    running.handle.call(|m| m.tap(StreamSelector::all(), move |_, chunk| tap(chunk.data))).expect("call");
    wait_for("a lot of output", || bytes.load(Ordering::Relaxed) > 10_000_000);
    let mut calls: Vec<Duration> = (0..50)
        .map(|_| {
            let began = Instant::now();
            running.handle.call(|_| ()).expect("call");
            began.elapsed()
        })
        .collect();
    calls.sort_unstable();
    println!("longest call {:?}, {} bytes", calls[49], bytes.load(Ordering::Relaxed));
    // A machine that has other things to do may delay some, but the children would delay each.
    assert!(calls[25] < Duration::from_secs(1), "{calls:?}");
    running.handle.stop().expect("stop");
    running.join();
}

/// A daemon that a child leaves behind has the pipe for as long as it likes.
#[test]
fn a_daemon_that_holds_the_pipe_delays_nothing() {
    if std::process::Command::new("setsid").arg("true").status().is_err() {
        println!("SKIPPED: there is no setsid(1)");
        return;
    }
    let scratch = Scratch::new();
    let mut w = Watch::with_output();
    let script = "setsid sh -c 'echo $$ >> $F; until [ -e $F.go ]; do sleep 0.01; done; echo late' & \
        until [ -s $F ]; do sleep 0.01; done; echo early";
    let job = sh("a", script).env("F", scratch.file("f").display().to_string());
    w.start(job.redirect_output(["out"]).restart(Restart::Never));
    w.until("its exit", |w| w.exits().len() == 1 && w.manager.ending().is_empty());
    assert_eq!(w.text("out"), "early\n");
    std::fs::write(scratch.file("f.go"), "").expect("write");
    w.until("the late words", |w| w.text("out") == "early\nlate\n");
    w.until("the end", |w| matches!(w.seen().last(), Some(Seen::End(_))));
    for pid in scratch.pids("f") {
        signal(pid, Signal::KILL);
    }
    w.finish();
}

#[test]
fn a_line_of_ten_megabytes_comes_in_pieces() {
    const MAX: usize = 64 * 1024;
    let mut w = Watch::new();
    let sizes: Arc<Mutex<(usize, usize, bool)>> = Arc::default();
    let notes = Arc::clone(&sizes);
    w.manager.cx().tap_lines(StreamSelector::all(), MAX, move |_, _, line| {
        let mut notes = notes.lock().expect("notes");
        notes.0 += line.bytes.len();
        notes.1 = notes.1.max(line.bytes.len());
        notes.2 = line.end.is_complete();
        Flow::Continue
    });
    let script = "head -c 10485760 /dev/zero; echo";
    w.start(sh("a", script).redirect_output(["out"]).restart(Restart::Never));
    w.until("its exit", |w| w.exits().len() == 1);
    assert_eq!(*sizes.lock().expect("notes"), (10 << 20, MAX, true));
    w.finish();
}

#[test]
fn every_stream_ends_once_and_last() {
    let mut w = Watch::with_output();
    let script = "echo $PS; echo e >&2; echo x >&3";
    let job = sh("a", script).ps(true).redirect_output(["out", "err"]).custom_stream("x");
    w.start(job.restart(Restart::Never).numprocesses(5));
    w.until("all ends", |w| w.seen().iter().filter(|seen| matches!(seen, Seen::End(_))).count() == 15);
    let mut over = Vec::new();
    for seen in w.seen() {
        match seen {
            Seen::Bytes(origin, _) => assert!(!over.contains(&(origin.pid, origin.fd)), "{}", w.dump()),
            Seen::End(origin) => {
                assert!(!over.contains(&(origin.pid, origin.fd)), "{}", w.dump());
                over.push((origin.pid, origin.fd));
            }
            Seen::Event(..) => {}
        }
    }
    let spawns = w.events().iter().filter(|event| matches!(event.what, What::Spawn { .. })).count();
    assert_eq!(spawns, 5);
    w.finish();
}
