//! Events in words.

use std::fmt::{self, Display};

use crate::process::{Event, Exit, OsPid, What};

/// Which events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// Only what somebody must look at: a program that cannot be started, a job given up, a fault,
    /// events lost.
    Quiet,
    /// What happens to processes: spawn, reap, exit, stop_pid, flap, kill.
    #[default]
    Normal,
    /// All of them.
    Verbose,
}

impl Verbosity {
    /// Whether `what` is shown.
    #[must_use]
    pub fn shows(self, what: &What) -> bool {
        let least = match what {
            What::Exit { exit: Exit::Failed(_), .. }
            | What::Flap { next: None, .. }
            | What::Fault { .. }
            | What::Overflow { .. } => Self::Quiet,
            What::Create | What::Start | What::Stop | What::Restart | What::Update { .. } | What::Delete => {
                Self::Verbose
            }
            _ => Self::Normal,
        };
        self >= least
    }
}

/// The words of gaffer 0.4 and 0.5 for `event`, with the system's pid, and how it ended.
pub(super) struct Words<'a>(pub(super) &'a Event);

impl Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, label) = (self.0.what.name(), self.0.job.as_deref().map_or("", |job| job.label()));
        match &self.0.what {
            What::Exit { exit: Exit::Failed(reason), .. } => write!(f, "{name} process not started: {reason}"),
            What::Exit { os_pid, exit, .. } => write!(f, "{name} {} ({exit})", Process(*os_pid)),
            What::Spawn { os_pid, .. } => write!(f, "{name} {}", Process(Some(*os_pid))),
            What::Reap { os_pid, .. } | What::StopPid { os_pid, .. } => write!(f, "{name} {}", Process(*os_pid)),
            What::Kill { pid: Some(_), os_pid, signal } => write!(f, "{name} {} ({signal})", Process(*os_pid)),
            What::Kill { pid: None, signal, .. } => write!(f, "{name} all processes ({signal})"),
            What::Flap { retry, next: Some(pause) } => {
                write!(f, "{name} {label}: crashes too often, try {retry} in {}", Seconds(pause.as_secs_f64()))
            }
            What::Flap { next: None, .. } => write!(f, "{name} {label}: crashes too often, given up"),
            What::Update { numprocesses: 1 } => write!(f, "{name} {label} (1 process)"),
            What::Update { numprocesses } => write!(f, "{name} {label} ({numprocesses} processes)"),
            What::Fault { source, reason } => write!(f, "{name} of {source}: {reason}"),
            What::Overflow { dropped } => write!(f, "{name}: {dropped} events were not shown"),
            _ => write!(f, "{name} {label}"),
        }
    }
}

/// `process with pid N`.
struct Process(Option<OsPid>);

impl Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(os_pid) => write!(f, "process with pid {os_pid}"),
            None => f.write_str("process that was not started"),
        }
    }
}

/// `7 s`, `0.25 s`.
struct Seconds(f64);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", (self.0 * 1000.0).round() / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{JobName, Pid, Signal};
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    #[test]
    fn words() {
        let (pid, os_pid) = (Pid(1), Some(OsPid(42)));
        let exit = |exit, os_pid| What::Exit { pid, os_pid, instance: 1, exit, once: false };
        let killed = |core| Exit::Signal { signal: Signal::KILL, core };
        for (what, least, want) in [
            (What::Create, Verbosity::Verbose, "create web"),
            (What::Start, Verbosity::Verbose, "start web"),
            (What::Update { numprocesses: 2 }, Verbosity::Verbose, "update web (2 processes)"),
            (What::Update { numprocesses: 1 }, Verbosity::Verbose, "update web (1 process)"),
            (What::Spawn { pid, os_pid: OsPid(42), detach: false }, Verbosity::Normal, "spawn process with pid 42"),
            (What::Reap { pid, os_pid }, Verbosity::Normal, "reap process with pid 42"),
            (What::StopPid { pid, os_pid }, Verbosity::Normal, "stop_pid process with pid 42"),
            (What::StopPid { pid, os_pid: None }, Verbosity::Normal, "stop_pid process that was not started"),
            (exit(Exit::Code(1), os_pid), Verbosity::Normal, "exit process with pid 42 (code 1)"),
            (exit(killed(false), os_pid), Verbosity::Normal, "exit process with pid 42 (SIGKILL)"),
            (exit(killed(true), os_pid), Verbosity::Normal, "exit process with pid 42 (SIGKILL, core dumped)"),
            (exit(Exit::Lost, os_pid), Verbosity::Normal, "exit process with pid 42 (status lost)"),
            (
                exit(Exit::Failed("cannot execute 'nope': No such file".into()), None),
                Verbosity::Quiet,
                "exit process not started: cannot execute 'nope': No such file",
            ),
            (
                What::Flap { retry: 2, next: Some(Duration::from_millis(7500)) },
                Verbosity::Normal,
                "flap web: crashes too often, try 2 in 7.5 s",
            ),
            (What::Flap { retry: 0, next: None }, Verbosity::Quiet, "flap web: crashes too often, given up"),
            (
                What::Kill { pid: Some(pid), os_pid, signal: Signal::HUP },
                Verbosity::Normal,
                "kill process with pid 42 (SIGHUP)",
            ),
            (
                What::Kill { pid: None, os_pid: None, signal: Signal::USR1 },
                Verbosity::Normal,
                "kill all processes (SIGUSR1)",
            ),
            (
                What::Fault { source: "stream 'out'".into(), reason: "no".into() },
                Verbosity::Quiet,
                "fault of stream 'out': no",
            ),
            (What::Overflow { dropped: 3 }, Verbosity::Quiet, "overflow: 3 events were not shown"),
        ] {
            let shown = [Verbosity::Quiet, Verbosity::Normal, Verbosity::Verbose].map(|v| v.shows(&what));
            let name: JobName = "shop.web".parse().expect("a name");
            let event = Event::new(SystemTime::UNIX_EPOCH, Some(Arc::new(name)), what);
            assert_eq!(Words(&event).to_string(), want);
            assert_eq!(shown, [least <= Verbosity::Quiet, least <= Verbosity::Normal, true], "{want}");
        }
    }
}
