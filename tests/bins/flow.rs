//! A standard output that is slow, full, closed, or a file.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use gaffer::process::Signal;

use crate::support::{Room, Running, SOON, Said, busy, memory, spawned, state, until};

/// 200 000 lines of 100 digits and a newline: 20 MB.
const NUMBERS: &str = "seq -f %0100g 200000";

#[test]
fn a_slow_reader_makes_the_program_wait_and_loses_nothing() {
    let room = Room::new(&format!("a: {NUMBERS}; touch done; sleep 1000\n"));
    let (mut running, out) = Running::unread(&mut room.gaffer("start --no-timestamp -q"), Stdio::piped());
    let mut out = out.expect("piped");
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    while text.len() < 2 << 20 {
        let n = out.read(&mut buffer).expect("a pipe");
        assert!(n > 0, "it goes on");
        text.extend_from_slice(&buffer[..n]);
    }
    // What is between the program and us is bounded, so it waits.
    let seq = room.living().into_iter().find(|(_, line)| line.starts_with("seq")).expect("it runs").0;
    until(|| state(seq) == 'S', || format!("{:?}", room.living()));
    assert!(!room.path("done").exists(), "18 MB more are nowhere");

    let want = "a.1 | ".len() + 101;
    while text.len() < 200_000 * want {
        let n = out.read(&mut buffer).expect("a pipe");
        assert!(n > 0, "only {} bytes came", text.len());
        text.extend_from_slice(&buffer[..n]);
    }
    for (line, n) in text.chunks(want).zip(1..) {
        assert_eq!(String::from_utf8_lossy(line), format!("a.1 | {n:0100}\n"));
    }
    let peak = memory(running.pid(), "VmHWM");
    assert!(peak < 24 * 1024, "{peak} KiB");
    running.signal(Signal::INT);
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("a pipe");
    assert!(rest.starts_with("gaffer | stopping, waiting for a.1"), "{rest}");
    running.end().expect(0).quietly();
}

#[test]
fn a_file_gets_everything() {
    let room = Room::new(&format!("a: {NUMBERS}\n"));
    let file = File::create(room.path("log")).expect("a file");
    let (running, _) = Running::unread(&mut room.gaffer("start --no-timestamp -q --no-restart"), file.into());
    running.end().expect(0).quietly();
    let text = std::fs::read_to_string(room.path("log")).expect("a file");
    assert_eq!(text.len(), 200_000 * 107);
    assert!(text.lines().zip(1..).all(|(line, n)| line == format!("a.1 | {n:0100}")));
}

#[test]
fn a_pipe_that_does_not_block() {
    // Whoever shares it with us has made it so, and it stays so.
    let room = Room::new(&format!("a: {NUMBERS}\n"));
    let (ours, theirs) = gaffer::sys::stdio::pipe().expect("a pipe");
    gaffer::sys::stdio::set_nonblocking(&theirs).expect("flags");
    let (running, _) = Running::unread(&mut room.gaffer("start --no-timestamp -q --no-restart"), theirs.into());
    let said = Said::by(File::from(ours));
    running.end().expect(0).quietly();
    assert!(said.wait_for_end());
    assert_eq!(said.bytes().len(), 200_000 * 107);
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let room = Room::new("a: yes hello\nb: exec sleep 1000\n");
    let (running, out) = Running::unread(&mut room.gaffer("start --no-timestamp"), Stdio::piped());
    let mut out = out.expect("piped");
    let mut first = [0; 20];
    out.read_exact(&mut first).expect("a line");
    drop(out);
    let done = running.end().expect(0).quietly();
    assert!(done.took < Duration::from_secs(10), "{done}");
    room.assert_empty();
}

#[test]
fn a_pipeline_ends_as_pipelines_do() {
    let room = Room::new("a: yes hello\n");
    let mut command = room.command("/bin/sh");
    command.arg("-c").arg(format!("{} start --no-timestamp -q | head -n 2", env!("CARGO_BIN_EXE_gaffer")));
    let done = Running::spawn(command).end().expect(0).quietly();
    assert_eq!(done.text(), "a.1 | hello\na.1 | hello\n");
    room.assert_empty();
}

#[test]
fn a_full_disk_is_one_clear_error() {
    let room = Room::new("a: yes hello\nb: trap '' TERM; sleep 1000\n");
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let (running, _) = Running::unread(&mut room.gaffer("start -t 0.2"), full.into());
    let done = running.end().expect(1);
    assert_eq!(done.err, "gaffer: cannot write the output: No space left on device (os error 28)\n");
    room.assert_empty();
}

#[test]
fn nobody_reads_and_it_is_told_to_end() {
    let room = Room::new("a: yes hello\n");
    let (mut running, out) = Running::unread(&mut room.gaffer("start"), Stdio::piped());
    let yes = || room.living().into_iter().find(|(_, line)| line == "yes hello");
    until(|| yes().is_some_and(|(pid, _)| state(pid) == 'S'), || format!("{:?}", room.living()));
    // It does not spin meanwhile, but comes to rest.
    let mut used = Vec::new();
    until(
        || {
            let before = busy(running.pid());
            std::thread::sleep(Duration::from_millis(300));
            used.push(busy(running.pid()) - before);
            used.last() <= Some(&5)
        },
        || running.dump(),
    );
    running.signal(Signal::INT);
    until(|| yes().is_none(), || format!("{:?}", room.living()));
    // It waits for its reader, who may come; whoever presses Ctrl-C again and again does not want to.
    let end = Instant::now() + SOON;
    while !running.has_ended() && Instant::now() < end {
        running.signal(Signal::INT);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(running.has_ended(), "{}", running.dump());
    assert_eq!(running.end().quietly().code, 130);
    drop(out);
}

#[test]
fn the_last_lines_wait_for_a_reader_who_comes_late() {
    let room = Room::new(&format!("a: echo up; {NUMBERS}; echo last\n"));
    let (running, out) = Running::unread(&mut room.gaffer("start --no-timestamp -q --no-restart"), Stdio::piped());
    let seq = || room.living().into_iter().find(|(_, line)| line.starts_with("seq"));
    until(|| seq().is_some_and(|(pid, _)| state(pid) == 'S'), || format!("{:?}", room.living()));
    let mut text = String::new();
    out.expect("piped").read_to_string(&mut text).expect("a pipe");
    assert_eq!(text.lines().count(), 200_002);
    assert!(text.ends_with("a.1 | last\n"));
    assert_eq!(spawned(&text, "a.1"), [0; 0], "it is quiet");
    running.end().expect(0).quietly();
}
