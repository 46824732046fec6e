//! A gafferd to test.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::DEADLINE;

pub(crate) use crate::daemon::{Daemon as Gafferd, Folder, eventually, signal};

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

impl Gafferd {
    pub(crate) fn start(config: &Path, args: &[&str]) -> Self {
        let mut command = command(args);
        command.arg("-c").arg(config);
        let mut gafferd = Self::spawn(command);
        gafferd.line("ready: ");
        gafferd
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
}
