//! The lines of `gaffer start`: prefix, events, and what becomes of the bytes of programs.

use gaffer::process::Signal;

use crate::support::{Done, Room, Running, memory, spawned};

/// `HH:MM:SS` as seconds of the day.
#[track_caller]
fn seconds(time: &str) -> u32 {
    let parts: Vec<u32> = time.split(':').map(|part| part.parse().expect(time)).collect();
    assert!(time.len() == 8 && parts.len() == 3 && parts[0] < 24 && parts[1] < 60 && parts[2] < 61, "{time:?}");
    parts[0] * 3600 + parts[1] * 60 + parts[2]
}

#[test]
fn time_name_and_text_in_columns() {
    let room = Room::new("web: echo one; echo two\nbackground_worker: echo three >&2\n9: echo no\nx: echo 'a | b'\n");
    let done = room.run("start --no-restart web background_worker x").expect(0).quietly();
    let text = done.text();
    for line in text.lines() {
        seconds(&line[..8]);
        assert_eq!(line.find(" | "), Some(9 + "background_worker.1".len()), "{done}");
    }
    for want in ["web.1               | two", "background_worker.1 | three", "x.1                 | a | b"] {
        assert!(text.lines().any(|line| &line[9..] == want), "{want}: {done}");
    }
}

#[test]
fn the_column_is_wide_enough_from_the_start() {
    let room = Room::new("a: echo a\n");
    let done = room.run("start --no-restart --no-timestamp -c a=10").expect(0);
    assert!(done.text().lines().all(|line| line.find(" | ") == Some(4)), "{done}");
    assert_eq!(done.of("a.10").last().map(String::as_str).map(|s| &s[..4]), Some("exit"), "{done}");
}

#[test]
fn the_time_is_local() {
    let room = Room::new("a: date +%H:%M:%S\n");
    for zone in ["UTC0", "ABC-5:45", "DEF+11", "GHI-3JKL,J1,J365", ":Asia/Kathmandu", "nonsense", ""] {
        let mut command = room.gaffer("start --no-restart");
        command.env("TZ", zone);
        let done = Running::spawn(command).end().expect(0);
        let text = done.text();
        let line = text.lines().find(|line| line.matches(':').count() == 4).expect(&text);
        let (ours, theirs) = (seconds(&line[..8]), seconds(line.rsplit(' ').next().expect("a word")));
        // The clock may have ticked between the two, also to the next day.
        assert!((ours + 86_400 - theirs) % 86_400 < 30, "TZ={zone}: {done}");
    }
}

#[test]
fn without_timestamps() {
    let done = Room::new("a: echo hello\n").run("start --no-restart --no-timestamp").expect(0);
    assert!(done.text().lines().all(|line| line.starts_with("a.1 | ")), "{done}");
    assert_eq!(done.of("a.1")[1], "hello", "{done}");
}

#[test]
fn events_in_the_words_of_the_original() {
    let room = Room::new("ok: echo my pid is $$\nbad: exit 3\nkilled: kill -USR1 $$\nnone: /nonexistent/program\n");
    // The code is that of the first failure, which is the one that could not be started.
    let done = room.run("start --no-restart --no-timestamp").expect(127);
    for (name, how) in [("ok", "code 0"), ("bad", "code 3"), ("killed", "SIGUSR1")] {
        let name = format!("{name}.1");
        let pid = spawned(&done.text(), &name)[0];
        let lines = done.of(&name);
        assert_eq!(lines.first(), Some(&format!("spawn process with pid {pid}")), "{done}");
        assert_eq!(lines.last(), Some(&format!("exit process with pid {pid} ({how})")), "{done}");
    }
    assert_eq!(done.of("ok.1")[1], format!("my pid is {}", spawned(&done.text(), "ok.1")[0]), "{done}");
    let lines = done.of("none.1");
    assert_eq!(lines.len(), 1, "{done}");
    assert!(lines[0].starts_with("exit process not started: exec '/nonexistent/program': No such file"), "{done}");

    let done = room.start("start --no-timestamp -c all=0,ok=1 -v");
    done.wait_for("my pid is");
    let done = done.stop(Signal::INT).expect(0).quietly();
    for line in ["ok   | create ok", "ok   | start ok", "ok   | stop ok"] {
        assert!(done.text().lines().any(|l| l.trim_end() == line), "{line}: {done}");
    }
}

#[test]
fn quiet_shows_what_needs_attention() {
    let room = Room::new("a: echo hello; exit 1\nb: nonexistent-program\n");
    let done = room.run("start --no-restart --no-timestamp -q").quietly();
    assert_eq!(done.of("a.1"), ["hello"], "{done}");
    assert!(done.of("b.1")[0].contains("not started"), "{done}");
    assert_eq!(done.text().lines().count(), 2, "{done}");
}

#[test]
fn a_prompt_is_shown_while_it_waits() {
    let room = Room::new("a: printf 'name? '; sleep 1000\nb: sleep 1000\n");
    let running = room.start("start --no-timestamp");
    running.wait_for("a.1 | name? ");
    // Nobody writes into the row of the prompt.
    let done = running.stop(Signal::INT).expect(0).quietly();
    assert!(done.text().contains("a.1 | name? \n"), "{done}");
}

#[test]
fn an_unfinished_line_goes_on_in_its_row() {
    let room = Room::new("a: printf one; sleep 0.3; printf two; sleep 0.3; echo three; printf four\n");
    let done = room.run("start --no-timestamp --no-restart").expect(0);
    assert_eq!(done.of("a.1")[1..3], ["onetwothree", "four"], "{done}");
}

/// Runs a program that prints the bytes and ends.
fn print(bytes: &[u8]) -> (Done, Vec<u8>) {
    let room = Room::new("a: cat bytes\n").file("bytes", bytes);
    let done = room.run("start --no-timestamp --no-restart -q").expect(0).quietly();
    let out = done.out.clone();
    (done, out)
}

#[test]
fn bytes_pass_unharmed() {
    let mut bytes: Vec<u8> = (0..=255).filter(|b| !b"\n\r".contains(b)).collect();
    bytes.extend_from_slice(b"\xff\xc3\x28\xe2\x82 \xf0\x9f\x98\x80 \xed\xa0\x80");
    let (done, out) = print(&bytes);
    assert_eq!(out, [b"a.1 | ", &bytes[..], b"\n"].concat(), "{done}");
}

#[test]
fn other_ends_of_lines() {
    for (bytes, want) in [
        ("one\r\ntwo\r\n", "a.1 | one\na.1 | two\n"),
        ("10%\r20%\r30%\n", "a.1 | 10%\na.1 | 20%\na.1 | 30%\n"),
        ("10%\r20%\r", "a.1 | 10%\na.1 | 20%\n"),
        ("\n\nx\n", "a.1 | \na.1 | \na.1 | x\n"),
        ("no end", "a.1 | no end\n"),
    ] {
        let (done, out) = print(bytes.as_bytes());
        assert_eq!(String::from_utf8_lossy(&out), want, "{bytes:?}: {done}");
    }
}

#[test]
fn a_progress_bar_is_seen_while_it_moves() {
    let room = Room::new("a: for n in 1 2 3; do printf \"$n%%\\r\"; sleep 0.2; done; sleep 1000\n");
    let running = room.start("start --no-timestamp");
    running.wait_for("a.1 | 1%\na.1 | 2%\na.1 | 3%");
    running.stop(Signal::INT).expect(0);
}

#[test]
fn ten_mebibytes_without_a_newline_take_little_memory() {
    let room = Room::new("a: head -c 10485760 /dev/zero | tr '\\0' x; sleep 1000\n");
    let running = room.start("start --no-timestamp");
    let all = |text: &str| text.bytes().filter(|b| *b == b'x').count() == 10 << 20;
    running.wait_until("10 MiB arrive", |text| text.len() > 10 << 20 && all(text));
    let peak = memory(running.pid(), "VmHWM");
    assert!(peak < 24 * 1024, "{peak} KiB");
    let done = running.stop(Signal::INT).expect(0).quietly();
    let text = done.text();
    let longest = text.lines().map(str::len).max();
    assert_eq!(longest, Some("a.1 | ".len() + (10 << 20)), "it is one row");
}
