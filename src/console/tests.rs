//! What stands on the screen.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::UNIX_EPOCH;

use super::*;
use crate::process::{Exit, What};

struct Test {
    printer: Printer,
    start: Now,
}

impl Test {
    fn new(options: Options) -> Self {
        let wall = UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_042);
        let mut test = Self { printer: Printer::new(options), start: Now { wall, instant: Instant::now() } };
        test.printer.process(Pid(1), Some(OsPid(41)), "web", 1);
        test.printer.process(Pid(2), Some(OsPid(42)), "worker", 1);
        test
    }

    fn plain() -> Self {
        Self::new(Options::default().timestamp(false))
    }

    fn colored() -> Self {
        Self::new(Options::default().timestamp(false).color(true))
    }

    fn json() -> Self {
        Self::new(Options::default().json(true))
    }

    fn now(&self, ms: u64) -> Now {
        let after = Duration::from_millis(ms);
        Now { wall: self.start.wall + after, instant: self.start.instant + after }
    }

    fn out(&mut self, pid: u64, text: &str, ms: u64) -> &mut Self {
        let now = self.now(ms);
        self.printer.output(Pid(pid), "stdout", text.as_bytes(), now);
        self
    }

    fn timeout(&mut self, ms: u64) -> &mut Self {
        let now = self.now(ms);
        self.printer.timeout(now);
        self
    }

    #[track_caller]
    fn shows(&mut self, want: &str) -> &mut Self {
        let buffer = std::mem::take(self.printer.buffer());
        assert_eq!(String::from_utf8_lossy(&buffer), want);
        self
    }

    fn event(&mut self, label: &str, what: What, instance: Option<u32>) -> &mut Self {
        let job = Arc::new(label.parse().expect("a name"));
        self.printer.event(&Event::new(self.start.wall, Some(job), what), instance);
        self
    }
}

#[test]
fn columns_and_lines() {
    Test::plain()
        .out(1, "one\ntwo\n\n", 0)
        .out(2, "three\r\n", 0)
        .shows("web.1    | one\nweb.1    | two\nweb.1    | \nworker.1 | three\n");
}

#[test]
fn the_time_stands_before_and_moves_on() {
    let mut test = Test::new(Options::default());
    test.out(1, "a\n", 0).out(1, "b\n", 999).out(1, "c\n", 1000);
    let text = String::from_utf8(std::mem::take(test.printer.buffer())).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    let (a, b, c) = (&lines[0][..8], &lines[1][..8], &lines[2][..8]);
    assert_eq!(a, b);
    assert_ne!(b, c);
    assert!(lines.iter().all(|line| line[8..].starts_with(" web.1    | ")), "{text}");
    let (h, m, s) = crate::sys::clock::local_time(test.start.wall);
    assert_eq!(a, format!("{h:02}:{m:02}:{s:02}"));
}

#[test]
fn a_longer_name_widens_the_column() {
    let mut test = Test::plain();
    test.out(1, "a\n", 0);
    test.printer.process(Pid(3), None, "a_long_name", 12);
    test.out(1, "b\n", 0).shows("web.1    | a\nweb.1          | b\n");
}

#[test]
fn every_update_of_a_progress_bar_is_a_line() {
    Test::plain().out(1, "\r10%\r20%\r100%\n", 0).shows("web.1    | 10%\nweb.1    | 20%\nweb.1    | 100%\n");
}

#[test]
fn bytes_pass_unharmed() {
    let mut test = Test::plain();
    let now = test.start;
    test.printer.output(Pid(1), "stderr", b"\xff\0\xc3(\t\n", now);
    assert_eq!(test.printer.buffer(), b"web.1    | \xff\0\xc3(\t\n");
}

#[test]
fn an_unfinished_line_is_shown_after_a_silence_and_goes_on_in_its_row() {
    let mut test = Test::plain();
    assert_eq!(test.printer.deadline(), None);
    test.out(1, "Password:", 0).shows("");
    let deadline = test.printer.deadline().expect("a deadline");
    assert_eq!(deadline, test.now(100).instant);
    test.timeout(99);
    test.shows("");
    test.timeout(100);
    test.shows("web.1    | Password:");
    assert_eq!(test.printer.deadline(), None);
    test.out(1, " ok\nnext\n", 500).shows(" ok\nweb.1    | next\n");
}

#[test]
fn a_late_newline_ends_the_row_and_makes_no_other() {
    let mut test = Test::plain();
    test.out(1, "tea?", 0).timeout(100);
    test.out(1, "\n", 200).shows("web.1    | tea?\n");
    test.out(1, "10%\r", 200).timeout(300);
    test.out(1, "20%\r", 400).timeout(500);
    test.out(1, "\n", 600).shows("web.1    | 10%\nweb.1    | 20%\n");
}

#[test]
fn somebody_else_ends_the_row_of_an_unfinished_line() {
    let mut test = Test::plain();
    test.out(1, "dot.", 0).timeout(100);
    test.out(2, "other\n", 150).out(1, "dot.\n", 200);
    test.shows("web.1    | dot.\nworker.1 | other\nweb.1    | dot.\n");
    test.out(1, "dot.", 300).timeout(400);
    test.out(2, "other\n", 450).out(1, "\n", 500).shows("web.1    | dot.\nworker.1 | other\n");
    // stderr is another stream than stdout.
    test.out(1, "out", 600).timeout(700);
    let now = test.now(750);
    test.printer.output(Pid(1), "stderr", b"err\n", now);
    test.shows("web.1    | out\nweb.1    | err\n");
}

#[test]
fn one_that_keeps_talking_is_shown_too() {
    let mut test = Test::plain();
    let mut ms = 0;
    while test.printer.buffer().is_empty() {
        assert!(ms <= 1000, "shown within a second");
        test.out(1, ".", ms).timeout(ms);
        ms += 50;
    }
    assert_eq!(ms, 1050);
    assert!(test.printer.buffer().starts_with(b"web.1    | ........"));
}

#[test]
fn deadlines_are_of_the_first_to_come() {
    let mut test = Test::plain();
    test.out(1, "a", 0).out(2, "b", 50).timeout(100);
    test.shows("web.1    | a");
    assert_eq!(test.printer.deadline(), Some(test.now(150).instant));
    test.out(2, "\n", 120).timeout(150);
    assert_eq!(test.printer.deadline(), None, "an early call finds nothing to do");
    test.shows("\nworker.1 | b\n");
}

#[test]
fn a_very_long_line_is_one_row_while_nobody_interrupts() {
    let mut test = Test::plain();
    let chunk = "x".repeat(50_000);
    let mut length = 0;
    for ms in 0..210 {
        length += test.out(1, &chunk, ms).printer.buffer().len();
        test.printer.buffer().clear();
    }
    length += test.out(1, "\n", 210).printer.buffer().len();
    assert_eq!(length, "web.1    | ".len() + 210 * chunk.len() + 1);
}

#[test]
fn the_end_of_a_stream_shows_what_is_left() {
    let mut test = Test::plain();
    test.out(1, "last words", 0);
    let now = test.now(10);
    test.printer.closed(Pid(1), "stdout", now);
    test.shows("web.1    | last words\n");
    test.printer.closed(Pid(1), "stdout", now);
    test.printer.closed(Pid(9), "stdout", now);
    test.shows("");
    test.out(1, "more", 20).printer.forget(Pid(1), now);
    test.shows("web.1    | more\n");
    test.out(1, "a ghost\n", 30).shows("pid.1    | a ghost\n");
}

#[test]
fn colors_are_those_of_the_type_and_end() {
    let mut test = Test::colored();
    test.printer.process(Pid(3), None, "web", 2);
    test.out(1, "a\n", 0)
        .out(2, "b\n", 0)
        .out(3, "c\n", 0)
        .shows("\x1b[36mweb.1    |\x1b[0m a\n\x1b[33mworker.1 |\x1b[0m b\n\x1b[36mweb.2    |\x1b[0m c\n");
    test.event("web", What::Reap { pid: Pid(1), os_pid: Some(OsPid(41)) }, None);
    test.shows("\x1b[36mweb.1    | reap process with pid 41\x1b[0m\n");
}

#[test]
fn a_programs_colors_do_not_bleed() {
    let p = "\x1b[36mweb.1    |\x1b[0m ";
    let red = "\x1b[31m";
    let mut test = Test::colored();
    test.out(1, "\x1b[31mred\x1b[0m plain\n", 0).shows(&format!("{p}\x1b[31mred\x1b[0m plain\n"));
    test.out(1, "\x1b[31mred\nstill\n\x1b[0mplain\nplain\n", 0);
    test.shows(&format!("{p}{red}red\x1b[0m\n{p}{red}still\x1b[0m\n{p}{red}\x1b[0mplain\n{p}plain\n"));
    // In a row that another ends.
    test.out(1, "\x1b[31mred", 0).timeout(100);
    test.out(2, "x\n", 200).shows(&format!("{p}{red}red\x1b[0m\n\x1b[33mworker.1 |\x1b[0m x\n"));
    test.out(1, "still\x1b[m\n", 300).shows(&format!("{p}{red}still\x1b[m\n"));
    // Without colours nothing is added.
    Test::plain().out(1, "\x1b[31mred\n", 0).shows("web.1    | \x1b[31mred\n");
}

#[test]
fn events() {
    let mut test = Test::plain();
    test.event("shop.web", What::Spawn { pid: Pid(7), os_pid: OsPid(77), detach: false }, Some(2));
    test.out(7, "hello\nlast words", 0);
    let exit = |pid, os_pid, exit| What::Exit { pid: Pid(pid), os_pid, instance: 1, exit, once: false };
    test.event("shop.web", exit(7, Some(OsPid(77)), Exit::Code(1)), None);
    test.event("shop.web", exit(8, None, Exit::Failed("no such file".to_owned())), Some(3));
    test.event("shop.web", What::Start, None);
    let now = test.start;
    test.printer.notice("waiting for web.1", now);
    test.shows(
        "web.2    | spawn process with pid 77\nweb.2    | hello\nweb.2    | last words\n\
         web.2    | exit process with pid 77 (code 1)\nweb.3    | exit process not started: no such file\n\
         gaffer   | waiting for web.1\n",
    );
    let mut test = Test::new(Options::default().timestamp(false).verbosity(Verbosity::Verbose));
    test.event("shop.web", What::Start, None).shows("web      | start web\n");
    let mut test = Test::new(Options::default().timestamp(false).verbosity(Verbosity::Quiet));
    test.event("web", What::Spawn { pid: Pid(7), os_pid: OsPid(77), detach: false }, Some(2)).shows("");
    test.out(7, "known all the same\n", 0).shows("web.2    | known all the same\n");
}

#[test]
fn json_lines() {
    let mut test = Test::json();
    let now = test.start;
    test.printer.output(Pid(1), "stderr", b"a \"b\"\r\n\xff\n10%\r20%\ncut off", now);
    test.timeout(100);
    test.printer.output(Pid(1), "stderr", b"\n", now);
    test.event("web", What::Reap { pid: Pid(1), os_pid: Some(OsPid(41)) }, None);
    test.printer.notice("bye", now);
    let head = r#"{"time":1700000000.000042,"name":"web.1","pid":1,"os_pid":41,"stream":"stderr""#;
    test.shows(&format!(
        r#"{head},"text":"a \"b\"","end":"crlf"}}
{head},"base64":"/w=="}}
{head},"text":"10%","end":"cr"}}
{head},"text":"20%"}}
{later},"text":"cut off","end":"partial"}}
{head},"text":"","continues":true}}
{{"time":1700000000.000042,"event":"reap","name":"web.1","pid":1,"os_pid":41}}
{{"time":1700000000.000042,"event":"notice","text":"bye"}}
"#,
        later = head.replace(".000042", ".100042"),
    ));
}

#[test]
fn json_put_together_is_what_was_written() {
    let mut test = Test::json();
    let mut written = Vec::new();
    for n in 0..2000_u32 {
        let piece: &[u8] =
            [&b"abc"[..], b"\n", b"x\r\ny", "\u{20ac}".as_bytes(), b"\xff\n", b"1\r2"][(n * 7 % 6) as usize];
        written.extend_from_slice(piece);
        let now = test.now(u64::from(n) * 60);
        test.printer.timeout(now);
        test.printer.output(Pid(1), "stdout", piece, now);
    }
    let now = test.now(1_000_000);
    test.printer.finish(now);
    let mut read = Vec::new();
    for line in std::mem::take(test.printer.buffer()).split_inclusive(|b| *b == b'\n') {
        let object: serde_json::Value = serde_json::from_slice(line).expect("JSON");
        match (object["text"].as_str(), object["base64"].as_str()) {
            (Some(text), None) => read.extend_from_slice(text.as_bytes()),
            (None, Some(code)) => {
                use base64::Engine;
                read.extend(base64::engine::general_purpose::STANDARD.decode(code).expect("base64"));
            }
            both => panic!("{both:?}"),
        }
        read.extend_from_slice(match object["end"].as_str() {
            None => b"\n",
            Some("crlf") => b"\r\n",
            Some("cr") => b"\r",
            Some(_) => b"",
        });
    }
    assert_eq!(read, written);
}

#[test]
fn a_slow_reader_makes_the_programs_wait_and_loses_nothing() {
    let (input, mut output) = UnixStream::pair().expect("a socket pair");
    let (wake, woken) = mpsc::channel();
    let mut console =
        Console::new(Options::default().timestamp(false), input.into(), move || wake.send(()).unwrap_or(()))
            .expect("a thread");
    console.process(Pid(1), Some(OsPid(41)), "web", 1);
    let soon = Duration::from_secs(20);
    let (mut written, mut paused, mut reader) = (0, 0, None);
    while written < 100_000 {
        let mut bytes = Vec::new();
        for n in written..written + 500 {
            bytes.extend_from_slice(format!("{n}\n").as_bytes());
        }
        written += 500;
        let mut flow = console.output(Pid(1), "stdout", &bytes, Now::read());
        while flow == Flow::Pause {
            paused += 1;
            assert!(console.printer.buffer().len() < LIMIT + 32 * 1024);
            // Nobody reads until the console has said that it is full.
            reader.get_or_insert_with(|| {
                let mut output = output.try_clone().expect("a second handle");
                std::thread::spawn(move || {
                    let mut text = String::new();
                    output.read_to_string(&mut text).expect("read");
                    text
                })
            });
            woken.recv_timeout(soon).expect("woken");
            flow = console.writer_ready();
        }
    }
    assert!(paused > 0, "a reader that does not read must be felt");
    assert!(console.failed().is_none());
    console.finish(Now::read(), soon).expect("finished");
    let text = match reader {
        Some(reader) => reader.join().expect("read"),
        None => {
            let mut text = String::new();
            output.read_to_string(&mut text).expect("read");
            text
        }
    };
    let mut lines = text.lines();
    for n in 0..100_000 {
        assert_eq!(lines.next(), Some(format!("web.1 | {n}").as_str()));
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn a_small_line_is_written_at_once() {
    let (input, mut output) = UnixStream::pair().expect("a socket pair");
    output.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let mut console = Console::new(Options::default().timestamp(false), input.into(), || {}).expect("a thread");
    assert_eq!(console.output(Pid(1), "stdout", b"hi\n", Now::read()), Flow::Continue);
    let mut text = [0; 11];
    output.read_exact(&mut text).expect("read");
    assert_eq!(&text, b"pid.1 | hi\n");
}

/// What it has not read yet belongs to the lines that are not finished: neither a silence nor the exit cuts them.
#[test]
fn a_slow_reader_cuts_no_line() {
    for json in [false, true] {
        let (theirs, mut reader) = UnixStream::pair().expect("a socket pair");
        let (wake, woken) = mpsc::channel();
        let options = Options::default().json(json).timestamp(false);
        let mut console = Console::new(options, theirs.into(), move || wake.send(()).unwrap_or(())).expect("a thread");
        let now = Now::read();
        for (pid, label) in [(1, "web"), (2, "worker")] {
            console.process(Pid(pid), Some(OsPid(40)), label, 1);
        }
        let _ = console.output(Pid(2), "stdout", b"waiting for ", now);
        let lines = "x".repeat(1023) + "\n";
        let mut n = 0;
        while console.output(Pid(1), "stdout", lines.as_bytes(), now) == Flow::Continue {
            n += 1;
            assert!(n < 100_000, "nobody reads");
        }
        // The last chunk before the pause ends somewhere.
        let _ = console.output(Pid(1), "stdout", b"half a ", now);
        let exit = What::Exit { pid: Pid(1), os_pid: None, instance: 1, exit: Exit::Code(0), once: false };
        let job = Arc::new("web".parse().expect("a name"));
        let _ = console.event(&Event::new(now.wall, Some(job), exit), Some(1));
        let later = Now { instant: now.instant + STILL_TALKING * 2, ..now };
        let _ = console.timeout(later);

        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).expect("text");
            text
        });
        while console.writer_ready() == Flow::Pause {
            woken.recv_timeout(Duration::from_secs(30)).expect("there is room");
        }
        let _ = console.output(Pid(1), "stdout", b"line\n", later);
        let _ = console.output(Pid(2), "stdout", b"the rest\n", later);
        console.finish(later, Duration::from_secs(30)).expect("it is read");
        let text = reading.join().expect("a reader");
        let rows: Vec<&str> = text.lines().rev().take(3).collect();
        assert!(rows[1].contains("half a line") && rows[0].contains("waiting for the rest"), "{rows:?}");
        assert!(rows[2].contains(if json { "\"exit_code\":0" } else { "(code 0)" }), "{rows:?}");
    }
}
