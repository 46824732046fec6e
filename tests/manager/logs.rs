//! Log files: who writes where, and how.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use gaffer::ErrorKind;
use gaffer::manager::{Flow, StreamData, StreamSelector};
use gaffer::process::{JobConfig, LogFormat, LogStatus, Pid, Restart};

use crate::watch::{Scratch, Seen, Watch, sh};

/// The only log of a job.
pub(crate) fn status(w: &Watch, job: &str) -> LogStatus {
    let mut logs = w.manager.info(job).expect("loaded").logs;
    assert_eq!(logs.len(), 1, "{logs:?}");
    logs.remove(0)
}

/// A job that repeats what it is sent, into the file `log`.
pub(crate) fn cat(scratch: &Scratch) -> JobConfig {
    JobConfig::new("cat", "cat").expect("a name").redirect_input(true).stdout_logfile(scratch.file("log"))
}

impl Watch {
    /// Has `cat` write this, and waits until the file says so.
    #[track_caller]
    pub(crate) fn write(&mut self, text: &str, file: (&Scratch, &str), want: &str) {
        self.manager.send(Pid(1), None, text.as_bytes()).expect("send");
        self.until(&format!("{want:?} in {}", file.1), |_| file.0.text(file.1) == want);
    }

    /// Runs a job to its end, and that of its output.
    #[track_caller]
    pub(crate) fn run(&mut self, config: JobConfig) {
        let before = self.exits().len();
        let n = config.numprocesses as usize;
        self.start(config.restart(Restart::Never));
        self.until("the end", |w| {
            w.exits().len() == before + n
                && !["stdout", "stderr"].iter().any(|l| (0..9).any(|p| w.manager.has_stream(Pid(p), l)))
        });
    }
}

#[test]
fn output_goes_to_files_and_has_labels() {
    let scratch = Scratch::new();
    let mut w = Watch::with_output();
    let job = sh("a", "echo one; echo two >&2").stdout_logfile(scratch.file("out")).stderr_logfile(scratch.file("err"));
    w.run(job);
    assert_eq!((scratch.text("out"), scratch.text("err")), ("one\n".to_owned(), "two\n".to_owned()));
    assert_eq!((w.text("stdout"), w.text("stderr")), ("one\n".to_owned(), "two\n".to_owned()));
    let mode = fs::metadata(scratch.file("out")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o} is more than 640");
    // Where the path leads to, links followed.
    let path = scratch.file("err").canonicalize().expect("a file");
    assert_eq!(w.manager.logfile("a", "stderr"), Some(path.as_path()));
    assert_eq!((w.manager.logfile("a", "out"), w.manager.logfile("b", "stdout")), (None, None));
    w.finish();
}

#[test]
fn a_file_for_both_keeps_the_order() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    let file = scratch.file("log");
    w.run(sh("a", "echo 1; echo 2 >&2; echo 3; printf 4 >&2").stdout_logfile(&file).stderr_logfile(&file));
    assert_eq!(scratch.text("log"), "1\n2\n3\n4");
    // With labels they are two streams.
    let job = sh("b", "echo 1; echo 2 >&2; echo 3").redirect_output(["out", "err"]);
    w.manager.unload("a").expect("unload");
    fs::remove_file(&file).expect("remove");
    w.start(job.stdout_logfile(&file).stderr_logfile(&file).restart(Restart::Never));
    w.until("all lines", |_| scratch.text("log").lines().count() == 3);
    let mut lines: Vec<String> = scratch.text("log").lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["1", "2", "3"]);
    w.finish();
}

#[test]
fn lines_with_time_process_and_stream() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    let file = scratch.file("log");
    fs::write(&file, "torn").expect("write");
    let job = sh("a", "printf 'one\\r\\ntw'; echo err >&2; printf 'o\\n\\377\\nrest'");
    let job = job.stdout_logfile(&file).stderr_logfile(&file);
    w.run(job.clone().log_format(LogFormat::Prefix));
    let text = String::from_utf8_lossy(&fs::read(&file).expect("the file")).into_owned();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("torn"), "what was there ends with a line");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    for line in lines {
        let (head, text) = line.split_once(" | ").expect(line);
        let (time, rest) = head.split_once(' ').expect(line);
        assert!(time.len() == 24 && time.starts_with("20") && &time[10..11] == "T" && time.ends_with('Z'), "{line}");
        let (process, stream) = rest.split_once(' ').expect(line);
        assert!(process.starts_with("a.1[") && process.ends_with(']'), "{line}");
        if stream == "out" { out.push(text) } else { err.push(text) }
    }
    assert_eq!((out, err), (vec!["one", "two", "\u{fffd}", "rest"], vec!["err"]));

    w.manager.unload("a").expect("unload");
    fs::remove_file(&file).expect("remove");
    w.run(job.log_format(LogFormat::Json));
    let text = scratch.text("log");
    let ends = [
        r#""name":"a.1","pid":2,"os_pid":N,"stream":"stdout","text":"one","end":"crlf"}"#,
        r#""name":"a.1","pid":2,"os_pid":N,"stream":"stdout","text":"two"}"#,
        r#""name":"a.1","pid":2,"os_pid":N,"stream":"stdout","base64":"/w=="}"#,
        r#""name":"a.1","pid":2,"os_pid":N,"stream":"stdout","text":"rest","end":"partial"}"#,
        r#""name":"a.1","pid":2,"os_pid":N,"stream":"stderr","text":"err"}"#,
    ];
    let plain: Vec<String> = text.lines().map(|line| line.replace(|c: char| c.is_ascii_digit(), "N")).collect();
    assert_eq!(plain.len(), ends.len(), "{text}");
    for end in ends {
        let end = end.replace("a.1", "a.N").replace(":2,", ":N,").replace("64", "NN");
        let fits = |line: &String| {
            line.split_once(',')
                .is_some_and(|(time, rest)| time.starts_with("{\"time\":N") && squeeze(rest) == squeeze(&end))
        };
        assert!(plain.iter().any(fits), "{end} is not in\n{text}");
    }
    w.finish();
}

/// Numbers have any number of digits.
fn squeeze(text: &str) -> String {
    let mut text = text.to_owned();
    while text.contains("NN") {
        text = text.replace("NN", "N");
    }
    text
}

#[test]
fn processes_share_a_file_line_by_line() {
    const LINES: usize = 20_000;
    for format in [LogFormat::Raw, LogFormat::Prefix] {
        let scratch = Scratch::new();
        let mut w = Watch::new();
        // seq writes blocks, which end within a line.
        let job = sh("a", &format!("exec seq -f \"$PS %.0f is a line\" 1 {LINES}")).ps(true).numprocesses(3);
        w.run(job.stdout_logfile(scratch.file("log")).log_format(format));
        let text = scratch.text("log");
        let mut next = [1_usize; 3];
        for line in text.lines() {
            let line = line.split_once(" | ").map_or(line, |(_, line)| line);
            let words: Vec<&str> = line.split(' ').collect();
            let ["a.1" | "a.2" | "a.3", number, "is", "a", "line"] = words[..] else { panic!("torn: {line:?}") };
            let n = usize::from(words[0].as_bytes()[2] - b'1');
            assert_eq!(number.parse(), Ok(next[n]), "{line}");
            next[n] += 1;
        }
        assert_eq!(next, [LINES + 1; 3]);
        w.finish();
    }
}

#[test]
fn what_nobody_else_wants_does_not_pass_through_us() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    w.start(cat(&scratch));
    w.running("cat", 1);
    w.write("early\n", (&scratch, "log"), "early\n");
    let late: Arc<Mutex<Vec<u8>>> = Arc::default();
    let notes = Arc::clone(&late);
    let tap = w.manager.cx().tap(StreamSelector::all(), move |_, chunk| {
        if let StreamData::Bytes(bytes) = chunk.data {
            notes.lock().expect("notes").extend(bytes);
        }
        Flow::Continue
    });
    w.write("middle\n", (&scratch, "log"), "early\nmiddle\n");
    assert_eq!(*late.lock().expect("notes"), b"middle\n");
    let read = status(&w, "cat");
    assert!(w.manager.untap(tap));
    w.write("late\n", (&scratch, "log"), "early\nmiddle\nlate\n");
    assert_eq!(*late.lock().expect("notes"), b"middle\n", "the subscription has ended");
    let all = status(&w, "cat");
    assert_eq!((read.bytes, all.bytes, all.dropped), (13, 18, 0));
    if cfg!(target_os = "linux") {
        assert_eq!((read.spliced, all.spliced), (6, 11));
    }
    w.finish();
}

#[test]
fn a_flood_is_moved_by_the_kernel() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    w.run(sh("a", "exec seq 1 300000").stdout_logfile(scratch.file("log")));
    let text: String = (1..=300_000).map(|n| format!("{n}\n")).collect();
    assert!(scratch.text("log") == text, "it is not what seq wrote");
    let status = status(&w, "a");
    assert_eq!((status.bytes, status.dropped, status.rotations), (text.len() as u64, 0, 0));
    if cfg!(target_os = "linux") {
        assert_eq!(status.spliced, status.bytes);
    }
    w.finish();
}

#[test]
fn all_or_nothing() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    let fails = |w: &mut Watch, job: JobConfig, kind: ErrorKind, want: &str| {
        let e = w.manager.load(job, true).expect_err(want);
        assert!(e.kind() == kind && e.to_string().contains(want), "{e}");
    };
    let out = scratch.file("out");
    let job = sh("a", "echo hello; exec sleep 1000").stdout_logfile(&out);
    let bad = job.clone().stderr_logfile(scratch.file("none/err"));
    fails(&mut w, bad, ErrorKind::NotFound, "job 'default.a': log '");
    assert!(!out.exists() && !w.manager.is_loaded("a"));
    fails(&mut w, job.clone().stdout_logfile(&scratch.0), ErrorKind::Invalid, "it is a folder");
    let e = gaffer::manager::Supervisor::resolve(&job.clone().logfile_maxbytes(5)).expect_err("too small");
    assert_eq!(e.to_string(), "job 'default.a': logfile_maxbytes: expected 0 or at least 1024, found 5");

    w.start(job.clone());
    w.until("output", |_| scratch.text("out") == "hello\n");
    let b = |path: &str| sh("b", "exec sleep 1000").stdout_logfile(scratch.file(path));
    fails(&mut w, b("./out"), ErrorKind::Conflict, "is that of job 'default.a' already");
    fails(&mut w, b("out.1"), ErrorKind::Conflict, "is that of job 'default.a' already");
    let configs = [job.clone(), b("out.10")];
    let e = gaffer::manager::Supervisor::check_logs(&configs).expect_err("a backup");
    assert!(e.kind() == ErrorKind::Conflict, "{e}");
    w.start(b("out.11"));
    fails(&mut w, job.clone(), ErrorKind::Conflict, "is loaded already");

    // Another file for the next process; the one before is free again.
    w.manager.update(job.stdout_logfile(scratch.file("new")), true).expect("update");
    w.until("the next process", |_| scratch.text("new") == "hello\n");
    w.manager.update(b("out"), true).expect("update");
    let path = scratch.file("out").canonicalize().expect("a file");
    assert_eq!(w.manager.logfile("b", "stdout"), Some(path.as_path()));
    // A job that is gone leaves its file to others, even while its last process ends.
    w.manager.unload("b").expect("unload");
    w.start(sh("c", "echo c; exec sleep 1000").stdout_logfile(&out));
    w.until("another job's", |_| scratch.text("out") == "hello\nc\n");
    w.finish();
}

#[test]
fn a_terminal_has_a_log_too() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    w.run(sh("a", "[ -t 1 ] && [ -t 2 ] && echo yes").tty(true).stdout_logfile(scratch.file("log")));
    assert_eq!(scratch.text("log"), "yes\r\n");
    w.finish();
}

#[test]
fn what_is_left_is_written_when_the_manager_ends() {
    let scratch = Scratch::new();
    let mut w = Watch::with_output();
    let job = sh("a", "trap '' TERM; printf begun; exec sleep 1000").stdout_logfile(scratch.file("log"));
    w.start(job.log_format(LogFormat::Prefix).detach(true));
    w.until("the word", |w| w.text("stdout") == "begun");
    let os_pid = w.os_pids("a")[0];
    assert_eq!(scratch.text("log"), "");
    w.finish();
    assert!(scratch.text("log").ends_with(" out | begun\n"));
    assert!(w.seen().iter().any(|seen| matches!(seen, Seen::End(_))));
    crate::watch::signal(os_pid, gaffer::process::Signal::KILL);
}

#[test]
fn a_definition_that_changes_before_the_start() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    let job = |file: &str| sh("a", "echo hello").stdout_logfile(scratch.file(file)).restart(Restart::Never);
    w.manager.load(job("one"), false).expect("load");
    let pid = w.manager.commit("a", gaffer::manager::Commit::default()).expect("commit");
    w.manager.update(job("two"), false).expect("update");
    w.until("the end", |w| w.exits().iter().any(|(ended, _)| *ended == pid));
    assert_eq!((scratch.text("one").as_str(), scratch.text("two").as_str()), ("hello\n", ""));
    w.finish();
}
