//! Daemons to test, in a folder of their own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use gaffer::process::{OsPid, Signal};
use gaffer::sys;

const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `f` has an answer.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut f: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = f() {
            return answer;
        }
        assert!(Instant::now() < end, "in vain waited for: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A folder that goes with its owner.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gaffer-lookup-{}-{n}", std::process::id()));
        fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.0.join(name), text).expect("write");
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A daemon, and what it has logged.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    pub(crate) fn lookupd(args: &[&str]) -> Self {
        let mut daemon = Self::spawn(env!("CARGO_BIN_EXE_gaffer_lookupd"), args);
        daemon.line("ready: listening on ");
        daemon
    }

    /// The same at an address that was another's before: somebody may have got that port for a moment.
    #[track_caller]
    pub(crate) fn lookupd_again(bind: &str) -> Self {
        eventually(&format!("a lookup server at {bind}"), || {
            let mut daemon = Self::spawn(env!("CARGO_BIN_EXE_gaffer_lookupd"), &["--bind", bind]);
            let is_ready = eventually("it listens, or has ended", || {
                let ended = daemon.child.try_wait().expect("it is a child").is_some();
                let ready = daemon.log().iter().any(|line| line.contains("ready: listening on "));
                (ready || ended).then_some(ready)
            });
            is_ready.then_some(daemon)
        })
    }

    pub(crate) fn gafferd(args: &[&str]) -> Self {
        let mut daemon = Self::spawn(env!("CARGO_BIN_EXE_gafferd"), args);
        daemon.line("ready: ");
        daemon
    }

    fn spawn(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).env_remove("NOTIFY_SOCKET").stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().expect(program);
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| lines.lock().unwrap().push(line)));
        Self { child, log }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The first line with this text; a daemon that has ended will write none.
    #[track_caller]
    pub(crate) fn line(&mut self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let ended = self.child.try_wait().expect("it is a child").is_some();
            if let Some(line) = self.log().into_iter().find(|line| line.contains(text)) {
                return line;
            }
            assert!(!ended && Instant::now() < end, "no line with {text:?} in {:#?}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What follows in the line that says where it listens.
    #[track_caller]
    pub(crate) fn address(&mut self) -> String {
        let line = self.line("listening on ");
        line.split("listening on ").nth(1).expect("an address").to_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        assert_eq!(sys::signal_process(OsPid(pid), signal).expect("a signal"), sys::Sent::Sent);
    }

    /// kill -9, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is a child");
    }

    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = eventually("its end", || self.child.try_wait().expect("it is a child"));
        assert_eq!(status.code(), Some(0), "{:#?}", self.log());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal(Signal::TERM);
            let end = Instant::now() + DEADLINE;
            while self.child.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < end {
                thread::sleep(Duration::from_millis(5));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Runs the tool; its code and what it said.
pub(crate) fn gaffer(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_gaffer"))
        .args(args)
        .env_remove("GAFFER_ENDPOINT")
        .env_remove("GAFFER_CONFIG")
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .expect("gaffer");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("it is not killed"), text(output.stdout), text(output.stderr))
}
