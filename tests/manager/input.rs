//! What is written to children.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use gaffer::ErrorKind;
use gaffer::manager::{OutputLimit, Piece, StreamSelector};
use gaffer::process::{Exit, JobConfig, Pid, Restart};

use crate::watch::{DEADLINE, Running, Scratch, Watch, sh, sleeper};

fn cat() -> JobConfig {
    JobConfig::new("cat", "cat").expect("job").redirect_input(true).redirect_output(["out"]).restart(Restart::Never)
}

/// Each write is longer than PIPE_BUF and than a pipe, and yet none is torn apart.
#[test]
fn several_writers() {
    const WRITERS: usize = 4;
    const WRITES: usize = 20;
    let running = Running::new();
    let output = running.handle.output(StreamSelector::all(), OutputLimit::Wait(1 << 20)).expect("output");
    running.start(cat());
    running.until("it runs", |m| m.process(Pid(1)).is_ok_and(|process| process.os_pid.is_some()));
    let mut bytes = Vec::new();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let handle = running.handle.clone();
            scope.spawn(move || {
                for n in 0..WRITES {
                    let letter = char::from(b'a' + writer as u8).to_string();
                    let line = format!("{writer} {n} {}\n", letter.repeat(100_000 + n));
                    loop {
                        let line = line.clone();
                        match handle.call(move |m| m.send(Pid(1), None, line.as_bytes())).expect("call") {
                            Ok(()) => break,
                            Err(e) if e.kind() == ErrorKind::Full => thread::sleep(Duration::from_millis(1)),
                            Err(e) => panic!("{e}"),
                        }
                    }
                }
            });
        }
        let mut lines = 0;
        while lines < WRITERS * WRITES {
            match output.recv_timeout(DEADLINE) {
                Some(Piece::Bytes(_, piece)) => {
                    lines += piece.split(|byte| *byte == b'\n').count() - 1;
                    bytes.extend(piece);
                }
                other => panic!("{other:?} after {} bytes", bytes.len()),
            }
        }
    });
    let mut next = HashMap::new();
    for line in String::from_utf8(bytes).expect("text").lines() {
        let [writer, n, letters] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line:.60}") };
        let (writer, n): (usize, usize) = (writer.parse().expect("writer"), n.parse().expect("n"));
        assert_eq!(n, std::mem::replace(next.entry(writer).or_default(), n + 1), "out of order");
        let expected = char::from(b'a' + writer as u8).to_string().repeat(100_000 + n);
        assert!(letters == expected, "{line:.60}");
    }
    assert_eq!(next, (0..WRITERS).map(|writer| (writer, WRITES)).collect());
}

#[test]
fn what_waits_is_bounded_and_comes_whole() {
    let scratch = Scratch::new();
    let mut w = Watch::with_output();
    let script = "until [ -e $F ]; do sleep 0.01; done; exec wc -c";
    let job = sh("a", script).env("F", scratch.file("go").display().to_string());
    w.start(job.redirect_input(true).redirect_output(["out"]).restart(Restart::Never));
    w.running("a", 1);
    let mut taken = 0;
    let error = loop {
        match w.manager.send(Pid(1), None, &[b'x'; 10_000]) {
            Ok(()) => taken += 10_000,
            Err(e) => break e,
        }
        assert!(taken < 10_000_000, "no bound");
    };
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(error.to_string().contains("process 1") && error.to_string().contains("stdin"), "{error}");
    assert!(taken > 1_000_000 && taken <= 1_048_576 + 65_536, "{taken}");
    // Empty writes and what follows a refused one cost nothing.
    for _ in 0..10 {
        w.manager.send(Pid(1), None, b"").expect("nothing");
    }
    std::fs::write(scratch.file("go"), "").expect("write");
    w.manager.close_input(Pid(1), None).expect("close");
    assert_eq!(w.manager.send(Pid(1), None, b"x").expect_err("closed").kind(), ErrorKind::Closed);
    w.until("its count", |w| w.text("out").trim() == taken.to_string());
    w.finish();
}

#[test]
fn a_write_of_any_size_is_taken_when_nothing_waits() {
    let mut w = Watch::with_output();
    w.start(sh("a", "exec wc -c").redirect_input(true).redirect_output(["out"]).restart(Restart::Never));
    w.running("a", 1);
    w.manager.send(Pid(1), None, &vec![b'x'; 5_000_000]).expect("taken whole");
    w.manager.close_input(Pid(1), None).expect("close");
    w.until("its count", |w| w.text("out").trim() == "5000000");
    w.finish();
}

#[test]
fn the_end_of_file() {
    let mut w = Watch::with_output();
    w.start(cat());
    w.running("cat", 1);
    w.manager.send(Pid(1), None, b"words").expect("send");
    w.manager.close_input(Pid(1), None).expect("close");
    w.manager.close_input(Pid(1), None).expect("close again");
    w.until("its exit", |w| w.exits() == [(Pid(1), Exit::Code(0))]);
    assert_eq!(w.text("out"), "words");
    w.finish();
}

#[test]
fn a_child_that_does_not_read_any_more() {
    let mut w = Watch::with_output();
    w.start(sh("a", "exec 0<&-; echo ready; exec sleep 1000").redirect_input(true).redirect_output(["out"]));
    w.until("it is ready", |w| w.text("out") == "ready\n");
    // A child of another test has a copy of this pipe, too, from its fork to its exec.
    let mut error = None;
    w.until("nobody reads", |w| {
        error = w.manager.send(Pid(1), None, b"x").err();
        error.is_some()
    });
    for error in [error, w.manager.send(Pid(1), None, b"x").err()] {
        assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::Closed));
    }
    w.finish();
}

#[test]
fn what_cannot_be_written_to() {
    let mut w = Watch::new();
    w.start(sleeper("a").redirect_output(["out"]));
    w.start(cat());
    let error = w.manager.send(Pid(2), None, b"x").expect_err("not started");
    assert!(error.to_string().contains("not started"), "{error}");
    w.running("cat", 1);
    for (pid, stream, kind) in [
        (1, None, ErrorKind::Forbidden),
        (1, Some("stdin"), ErrorKind::Forbidden),
        (1, Some("out"), ErrorKind::NotFound),
        (2, Some("x"), ErrorKind::NotFound),
        (9, None, ErrorKind::NotFound),
    ] {
        let error = w.manager.send(Pid(pid), stream, b"x").expect_err("refused");
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(w.manager.close_input(Pid(pid), stream).expect_err("refused").kind(), kind);
    }
    w.finish();
}

#[test]
fn custom_streams_both_ways() {
    let mut w = Watch::with_output();
    let script = "cat <&3 >&3 3>&- & exec cat <&4 >&4";
    w.start(sh("a", script).custom_stream("one").custom_stream("two"));
    w.running("a", 1);
    for (stream, text) in [("one", "1"), ("two", "2"), ("one", "3")] {
        w.manager.send(Pid(1), Some(stream), text.as_bytes()).expect("send");
    }
    w.until("the echoes", |w| w.text("one") == "13" && w.text("two") == "2");
    w.finish();
}

/// We can still hear what the child says after its end of file.
#[test]
fn the_end_of_file_of_a_custom_stream() {
    let mut w = Watch::with_output();
    w.start(sh("a", "exec wc -c <&3 >&3").custom_stream("ctrl").restart(Restart::Never));
    w.running("a", 1);
    w.manager.send(Pid(1), Some("ctrl"), b"12345").expect("send");
    w.manager.close_input(Pid(1), Some("ctrl")).expect("close");
    w.until("its exit", |w| w.exits() == [(Pid(1), Exit::Code(0))]);
    assert_eq!(w.text("ctrl").trim(), "5");
    w.finish();
}
