//! Log files that cannot be written: the child goes on, what is lost is counted, and it is tried again.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use gaffer::process::{LogFormat, Pid};

use crate::logs::{cat, status};
use crate::watch::{Scratch, Watch, sh};

#[test]
fn a_sink_that_is_always_full() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    let job = sh("a", "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i; done; echo done >&2; exec sleep 1000");
    w.start(job.stdout_logfile("/dev/full").stderr_logfile(scratch.file("err")));
    w.until("the child goes on", |_| scratch.text("err") == "done\n");
    let full =
        |w: &Watch| w.manager.info("a").expect("loaded").logs.into_iter().find(|l| l.path == Path::new("/dev/full"));
    w.until("all is dropped", |w| full(w).expect("a log").dropped == 1092);
    let status = full(&w).expect("a log");
    assert_eq!((status.bytes, status.spliced), (0, 0));
    assert!(status.failing.as_deref().is_some_and(|why| why.contains("No space left")), "{status:?}");
    assert_eq!(w.manager.logfile("a", "stdout"), None, "it is no file");
    w.until("the fault is told", |w| !w.faults().is_empty());
    let faults = w.faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("log '/dev/full' of a: No space left on device"), "{faults:?}");
    w.finish();
}

/// A small file system of its own; none without the rights to have one.
struct Disk(PathBuf);

impl Disk {
    fn new(scratch: &Scratch) -> Option<Self> {
        let folder = scratch.file("disk");
        fs::create_dir(&folder).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "none"]).arg(&folder).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("NOT TESTED: a full disk, as a tmpfs cannot be mounted here");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk() {
    for format in [LogFormat::Raw, LogFormat::Prefix] {
        let scratch = Scratch::new();
        let Some(disk) = Disk::new(&scratch) else { return };
        fs::write(disk.0.join("filler"), vec![0; 150_000]).expect("write");
        let mut w = Watch::new();
        let log = disk.0.join("log");
        w.start(cat(&scratch).stdout_logfile(&log).log_format(format));
        w.running("cat", 1);
        let (mut sent, mut lines) = (0_u64, 0_u64);
        // More and more, until it is full.
        w.until("the disk is full", |w| {
            let text: String = (0..100).map(|n| format!("{} is a line\n", lines + n)).collect();
            if w.manager.send(Pid(1), None, text.as_bytes()).is_ok() {
                lines += 100;
                sent += text.len() as u64;
            }
            status(w, "cat").dropped > 50_000
        });
        if format == LogFormat::Raw {
            w.until("all has passed", |w| {
                let status = status(w, "cat");
                status.bytes + status.dropped == sent
            });
        }
        assert!(status(&w, "cat").failing.is_some());
        fs::remove_file(disk.0.join("filler")).expect("remove");
        w.until("it is written again", |w| {
            // An operator would wait for a second, or send SIGUSR1.
            w.manager.send(Pid(1), None, b"again is a line\n").is_ok() && status(w, "cat").failing.is_none()
        });
        w.until("the end", |_| fs::read_to_string(&log).expect("a file").contains("again is a line\n"));
        let text = fs::read_to_string(&log).expect("a file");
        let mut last = None;
        let mut torn = 0;
        for line in text.lines() {
            let line = line.split_once(" | ").map_or(line, |(_, line)| line);
            match line.strip_suffix(" is a line") {
                Some("again") => {}
                Some(number) if last < number.parse::<u64>().ok() => last = number.parse().ok(),
                _ => torn += 1,
            }
        }
        assert!(torn <= 1, "only the line at which it was full may be torn: {torn}");
        assert_eq!(w.faults().len(), 1, "{:?}", w.faults());
        w.finish();
        drop(disk);
    }
}

fn fifo(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: the path is a string that lives through the call.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0, "{}", io::Error::last_os_error());
}

fn reader(path: &Path) -> File {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).expect("a fifo")
}

/// What is there.
fn take(from: &mut File, text: &mut Vec<u8>) {
    match from.read_to_end(text) {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
        other => drop(other.expect("read")),
    }
}

#[test]
fn a_fifo_gets_everything_at_its_pace() {
    let scratch = Scratch::new();
    let path = scratch.file("fifo");
    fifo(&path);
    let mut reader = reader(&path);
    let mut w = Watch::new();
    w.start(
        sh("a", "seq 1 100000; echo end >&2; exec sleep 1000")
            .stdout_logfile(&path)
            .stderr_logfile(scratch.file("err")),
    );
    let logs = |w: &Watch| w.manager.info("a").expect("loaded").logs;
    let is_fifo = |path: &Path| path.ends_with("fifo");
    w.until("the fifo is full", |w| logs(w).iter().any(|log| is_fifo(&log.path) && log.bytes > 65_536));
    assert_eq!(scratch.text("err"), "", "the child waits");
    let mut text = Vec::new();
    w.until("the end", |_| {
        take(&mut reader, &mut text);
        scratch.text("err") == "end\n" && text.ends_with(b"\n100000\n")
    });
    let want: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    assert!(text == want.as_bytes(), "{} bytes", text.len());
    assert!(logs(&w).iter().all(|log| log.dropped == 0 && log.rotations == 0 && log.failing.is_none()));
    assert_eq!(w.manager.logfile("a", "stdout"), None);
    w.finish();
}

#[test]
fn a_fifo_whose_reader_goes_and_comes() {
    let scratch = Scratch::new();
    let path = scratch.file("log");
    fifo(&path);
    let mut w = Watch::new();
    // Nobody reads yet, which is no reason not to start.
    w.start(cat(&scratch));
    w.running("cat", 1);
    w.manager.send(Pid(1), None, b"lost\n").expect("send");
    w.until("it is dropped", |w| status(w, "cat").dropped == 5);
    let mut first = reader(&path);
    let mut text = Vec::new();
    w.until("it is tried again", |w| {
        w.manager.send(Pid(1), None, b"1\n").expect("send");
        take(&mut first, &mut text);
        text.ends_with(b"1\n")
    });
    drop(first);
    w.until("the reader is missed", |w| {
        w.manager.send(Pid(1), None, b"2\n").expect("send");
        status(w, "cat").failing.is_some()
    });
    let mut second = reader(&path);
    // At once, as SIGUSR1 does.
    w.manager.reopen_logs().expect("reopened");
    let mut text = Vec::new();
    w.until("the next", |w| {
        w.manager.send(Pid(1), None, b"3\n").expect("send");
        take(&mut second, &mut text);
        text.ends_with(b"3\n")
    });
    assert_eq!(w.faults().len(), 2, "{:?}", w.faults());
    w.finish();
}

#[test]
fn a_folder_that_goes() {
    let scratch = Scratch::new();
    let folder = scratch.file("logs");
    fs::create_dir(&folder).expect("a folder");
    let mut w = Watch::new();
    w.start(cat(&scratch).stdout_logfile(folder.join("log")));
    w.running("cat", 1);
    w.write("1\n", (&scratch, "logs/log"), "1\n");
    fs::remove_dir_all(&folder).expect("remove");
    w.manager.send(Pid(1), None, b"2\n").expect("send");
    w.until("it is noticed", |w| status(w, "cat").dropped == 2);
    let e = w.manager.reopen_logs().expect_err("there is no folder");
    assert!(e.to_string().contains("cannot open the log"), "{e}");
    fs::create_dir(&folder).expect("a folder");
    w.manager.reopen_logs().expect("opened");
    w.write("3\n", (&scratch, "logs/log"), "3\n");
    w.finish();
}
