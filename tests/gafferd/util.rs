//! A gafferd to test, in a folder of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use gaffer::process::{OsPid, Signal};
use gaffer::sys;

const DEADLINE: Duration = Duration::from_secs(20);

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
        let path = std::env::temp_dir().join(format!("gafferd-test-{}-{n}", std::process::id()));
        fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("write");
        path
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

/// A configuration that listens somewhere, with these jobs.
pub(crate) fn ini(jobs: &str) -> String {
    format!("[gaffer]\nbind = 127.0.0.1:0\n{jobs}")
}

/// A gafferd that has nothing of the service manager of the test itself.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gafferd"));
    command.args(args).stdin(Stdio::null()).env_remove("NOTIFY_SOCKET");
    command
}

/// Runs one that is to end by itself.
pub(crate) fn run(args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command(args).output().expect("gafferd");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("it is not killed"), text(stdout), text(stderr))
}

pub(crate) fn alive(pid: i32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

pub(crate) fn signal(pid: i32, signal: Signal) {
    assert_eq!(sys::signal_process(OsPid(pid), signal).expect("a signal"), sys::Sent::Sent);
}

/// One that runs, and what it has logged.
pub(crate) struct Gafferd {
    pub(crate) child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Gafferd {
    pub(crate) fn start(config: &Path, args: &[&str]) -> Self {
        let mut command = command(args);
        command.arg("-c").arg(config);
        let mut gafferd = Self::spawn(command);
        gafferd.line("ready: ");
        gafferd
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("gafferd");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| lines.lock().unwrap().push(line)));
        Self { child, log }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The first line with this text.
    #[track_caller]
    pub(crate) fn line(&mut self, text: &str) -> String {
        self.nth_line(text, 0)
    }

    #[track_caller]
    pub(crate) fn nth_line(&mut self, text: &str, n: usize) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(line) = self.log().into_iter().filter(|line| line.contains(text)).nth(n) {
                return line;
            }
            assert!(Instant::now() < end, "no line {n} with {text:?} in {:#?}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The system's number of the nth process that was started under this name.
    #[track_caller]
    pub(crate) fn os_pid(&mut self, name: &str, n: usize) -> i32 {
        let start = format!(" {name} (pid ");
        let end = Instant::now() + DEADLINE;
        loop {
            let log = self.log();
            let mut started = log.iter().filter(|line| line.contains(&start) && line.ends_with(") has started"));
            if let Some(line) = started.nth(n) {
                let rest = line.split(&start).nth(1).expect("a number");
                return rest.split(')').next().and_then(|n| n.parse().ok()).expect("a number");
            }
            assert!(Instant::now() < end, "{name} was not started {n} times: {log:#?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn signal(&self, name: Signal) {
        signal(i32::try_from(self.child.id()).expect("a pid"), name);
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(&mut self) -> i32 {
        let status = eventually("its end", || self.child.try_wait().expect("it is a child"));
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
    }

    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.end(), 0, "{:#?}", self.log());
    }
}

impl Drop for Gafferd {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            // The second one kills what is left.
            for _ in 0..2 {
                self.signal(Signal::TERM);
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
