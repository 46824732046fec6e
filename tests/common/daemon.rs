//! Daemons to test, and folders for what they leave: shared by the test binaries that run them.
// Each binary needs its part of it.
#![allow(dead_code)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use gaffer::process::{OsPid, Signal};
use gaffer::sys;

pub(crate) const DEADLINE: Duration = Duration::from_secs(90);

/// Waits until `f` has an answer.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut f: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = f() {
            return answer;
        }
        assert!(Instant::now() < end, "in vain waited for: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A folder that goes with its owner.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = crate::place::place().join(format!("gaffer-test-{}-{n}", std::process::id()));
        fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The same as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("write");
        path
    }

    /// The same; its path as text.
    pub(crate) fn write_text(&self, name: &str, text: &str) -> String {
        self.write(name, text).display().to_string()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn signal(pid: i32, signal: Signal) {
    assert_eq!(sys::signal_process(OsPid(pid), signal).expect("a signal"), sys::Sent::Sent);
}

/// One that runs, and what it has logged on standard error.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// Nothing follows.
    silent: Arc<AtomicBool>,
}

impl Daemon {
    pub(crate) fn spawn(command: Command) -> Self {
        Self::spawn_onto(command, Stdio::null())
    }

    /// One with this standard output.
    pub(crate) fn spawn_onto(mut command: Command, stdout: Stdio) -> Self {
        let mut child = command.stdout(stdout).stderr(Stdio::piped()).spawn().expect("a daemon");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let (log, silent) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (lines, end) = (Arc::clone(&log), Arc::clone(&silent));
        thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| lines.lock().unwrap().push(line));
            end.store(true, Ordering::Release);
        });
        Self { child, log, silent }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The first line with this text.
    #[track_caller]
    pub(crate) fn line(&mut self, text: &str) -> String {
        self.nth_line(text, 0)
    }

    /// The nth line with this text; one that has ended will write none.
    #[track_caller]
    pub(crate) fn nth_line(&mut self, text: &str, n: usize) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let silent = self.silent.load(Ordering::Acquire);
            if let Some(line) = self.log().into_iter().filter(|line| line.contains(text)).nth(n) {
                return line;
            }
            assert!(!silent && Instant::now() < end, "no line {n} with {text:?} in {:#?}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What follows in the line that says where it listens.
    #[track_caller]
    pub(crate) fn address(&mut self) -> String {
        let line = self.line("listening on ");
        line.split("listening on ").nth(1).expect("an address").trim_end_matches(" (TLS)").to_owned()
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    pub(crate) fn signal(&self, name: Signal) {
        signal(self.pid(), name);
    }

    /// Waits for its end, and for the last line of its log.
    #[track_caller]
    pub(crate) fn end(&mut self) -> i32 {
        let status = eventually("its end", || self.child.try_wait().expect("it is a child"));
        eventually("the end of its log", || self.silent.load(Ordering::Acquire).then_some(()));
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
    }

    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.end(), 0, "{:#?}", self.log());
    }

    /// kill -9, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is a child");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            // The second one kills what is left; one that was stopped goes on to hear it.
            for name in [Signal::TERM, Signal::TERM, Signal::CONT] {
                let _ = sys::signal_process(OsPid(self.pid()), name);
            }
            let end = Instant::now() + DEADLINE;
            while self.child.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < end {
                thread::sleep(Duration::from_millis(5));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
