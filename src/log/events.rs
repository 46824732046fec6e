//! What happens to jobs and processes, as log lines.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Map, Value};

use super::{Log, LogLevel};
use crate::Result;
use crate::manager::{App, Cx};
use crate::process::{Event, Exit, JobName, JobState, OsPid, Pid, Restart, What};
use crate::sys::clock;

/// An app that writes a line for every event of jobs and processes: what, which, why, and what happens next.
///
/// What somebody should look at is a warning (a process that ends by itself and not well, a flapping job) or an
/// error (a program that cannot be started, a job that is given up); the rest is info.
#[derive(Debug)]
pub struct Logger {
    log: Log,
    processes: HashMap<Pid, Known>,
}

#[derive(Debug)]
struct Known {
    instance: u32,
    started: SystemTime,
    /// When the machine was booted, by the same clock.
    booted: SystemTime,
    /// It was told to end.
    told: bool,
}

impl Logger {
    /// Writes to `log`.
    #[must_use]
    pub fn new(log: Log) -> Self {
        Self { log, processes: HashMap::new() }
    }

    fn record(&self, event: &Event, level: LogLevel, message: &str) {
        if !self.log.is_enabled(level) {
            return;
        }
        let mut members = Map::new();
        members.insert("event".to_owned(), event.what.name().into());
        let job = event.job.as_ref().map(|job| Value::from(job.as_str()));
        let process = event.what.pid().map(|pid| Value::from(pid.0));
        let os_pid = event.what.os_pid().map(|os_pid| Value::from(os_pid.0));
        let exit = match &event.what {
            What::Exit { exit, .. } => Some(exit),
            _ => None,
        };
        let code = exit.and_then(Exit::code).map(Value::from);
        let signal = exit.and_then(Exit::signal).map(|signal| Value::from(signal.number()));
        for (name, value) in
            [("job", job), ("process", process), ("os_pid", os_pid), ("exit_code", code), ("term_signal", signal)]
        {
            members.extend(value.map(|value| (name.to_owned(), value)));
        }
        self.log.record(level, message, members);
    }

    /// `web.1 (pid 4711)`.
    fn process(&self, cx: &Cx<'_>, job: &JobName, pid: Pid, os_pid: Option<OsPid>) -> String {
        let known = self.processes.get(&pid).map(|known| known.instance);
        let instance = known.or_else(|| cx.process(pid).ok().map(|process| process.instance));
        let name = instance.map_or_else(|| job.short().to_owned(), |n| format!("{}.{n}", job.short()));
        match os_pid {
            Some(os_pid) => format!("{name} (pid {os_pid})"),
            None => name,
        }
    }

    fn exit(&mut self, cx: &Cx<'_>, event: &Event, job: &JobName) -> (LogLevel, String) {
        let What::Exit { pid, os_pid, exit, once, .. } = &event.what else { return (LogLevel::Debug, String::new()) };
        let process = self.process(cx, job, *pid, *os_pid);
        let known = self.processes.remove(pid);
        let told = known.as_ref().is_some_and(|known| known.told);
        let next = next(cx, job, exit, *once, told);
        if let Exit::Failed(reason) = exit {
            return (LogLevel::Error, format!("{process} cannot be started: {reason}; {next}"));
        }
        let started = known.map(|known| clock::as_now(known.started, known.booted, clock::booted()));
        let lived = started.and_then(|started| event.time.duration_since(started).ok());
        let after = lived.map(|lived| format!(", after {}", Time(lived))).unwrap_or_default();
        let level = if told || exit.is_success() { LogLevel::Info } else { LogLevel::Warning };
        (level, format!("{process} has ended: {exit}{after}; {next}"))
    }
}

/// What the end of a process leads to.
fn next(cx: &Cx<'_>, job: &JobName, exit: &Exit, once: bool, told: bool) -> String {
    let Some(info) = cx.info(job.as_str()).ok().filter(|_| !cx.is_stopping() && !once) else {
        return "it is not replaced".to_owned();
    };
    let done = match info.config.restart {
        Restart::Always => false,
        Restart::OnFailure => exit.is_success(),
        Restart::OnSuccess => !exit.is_success(),
        Restart::Never => true,
    };
    if info.state == JobState::Stopped {
        return "its job is stopped".to_owned();
    }
    if done && !told {
        return "it is not replaced, as its job wants".to_owned();
    }
    if told && info.running >= info.numprocesses.saturating_add(info.running_out) {
        return format!("{} of {} run", info.running - info.running_out, info.numprocesses);
    }
    let pause = cx.pause_ends(job.as_str()).ok().flatten().map(|at| at.saturating_duration_since(Instant::now()));
    let what = if info.state == JobState::Flapping { "next try" } else { "respawn" };
    match pause {
        Some(pause) => format!("{what} in {}", Time(pause)),
        None => "respawn at once".to_owned(),
    }
}

impl App for Logger {
    fn name(&self) -> &str {
        "log"
    }

    fn start(&mut self, _: &mut Cx<'_>) -> Result<()> {
        Ok(())
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Arc<Event>) {
        let Some(job) = event.job.clone() else {
            match &event.what {
                What::Fault { source, reason } => {
                    self.record(event, LogLevel::Error, &format!("{source} failed: {reason}; supervision goes on"));
                }
                What::Overflow { dropped } => {
                    let what = format!("{dropped} events were dropped: a subscriber is too slow");
                    self.record(event, LogLevel::Warning, &what);
                }
                other => self.record(event, LogLevel::Info, other.name()),
            }
            return;
        };
        let name = job.short();
        let (level, message) = match &event.what {
            What::Create => (LogLevel::Info, format!("job {name} is loaded")),
            What::Start => (LogLevel::Info, format!("job {name} starts")),
            What::Stop => (LogLevel::Info, format!("job {name} stops")),
            What::Restart => (LogLevel::Info, format!("job {name} restarts: new processes first")),
            What::Update { numprocesses } => {
                let s = if *numprocesses == 1 { "" } else { "es" };
                (LogLevel::Info, format!("job {name} wants {numprocesses} process{s} now"))
            }
            What::Delete => (LogLevel::Info, format!("job {name} is unloaded")),
            What::Spawn { pid, os_pid, .. } => {
                let instance = cx.process(*pid).map_or(0, |process| process.instance);
                self.processes
                    .insert(*pid, Known { instance, started: event.time, booted: clock::booted(), told: false });
                (LogLevel::Info, format!("{} has started", self.process(cx, &job, *pid, Some(*os_pid))))
            }
            What::Reap { pid, os_pid } | What::StopPid { pid, os_pid } => {
                if let Some(known) = self.processes.get_mut(pid) {
                    known.told = true;
                }
                let why = if matches!(event.what, What::Reap { .. }) { "is surplus and" } else { "is" };
                let process = self.process(cx, &job, *pid, *os_pid);
                let how = cx.process(*pid).map(|process| {
                    let config = &process.config;
                    format!(" by {}; SIGKILL follows in {}", config.stop_signal, Time(config.graceful_timeout))
                });
                (LogLevel::Info, format!("{process} {why} asked to end{}", how.unwrap_or_default()))
            }
            What::Exit { .. } => self.exit(cx, event, &job),
            What::Flap { retry, next: Some(pause) } => {
                (LogLevel::Warning, format!("job {name} crashes too often: try {retry} in {}", Time(*pause)))
            }
            What::Flap { next: None, .. } => {
                let what =
                    format!("job {name} crashes too often and is given up: it stays stopped until it is started");
                (LogLevel::Error, what)
            }
            What::Kill { pid: Some(pid), os_pid, signal } => {
                (LogLevel::Info, format!("{} gets {signal} on request", self.process(cx, &job, *pid, *os_pid)))
            }
            What::Kill { pid: None, signal, .. } => {
                (LogLevel::Info, format!("all processes of job {name} get {signal} on request"))
            }
            What::Fault { source, reason } => (LogLevel::Error, format!("job {name}: {source} failed: {reason}")),
            What::Overflow { dropped } => (LogLevel::Warning, format!("job {name}: {dropped} events were dropped")),
        };
        self.record(event, level, &message);
    }
}

/// `0.4 s`, `7 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..60 => write!(f, "{} s", (self.0.as_secs_f64() * 10.0).round() / 10.0),
            60..3600 => write!(f, "{} min {} s", seconds / 60, seconds % 60),
            3600..86400 => write!(f, "{} h {} min", seconds / 3600, seconds / 60 % 60),
            _ => write!(f, "{} d {} h", seconds / 86400, seconds / 3600 % 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (seconds, want) in [
            (0.0, "0 s"),
            (0.38, "0.4 s"),
            (7.0, "7 s"),
            (59.9, "59.9 s"),
            (200.0, "3 min 20 s"),
            (7500.0, "2 h 5 min"),
            (273_600.0, "3 d 4 h"),
        ] {
            assert_eq!(Time(Duration::from_secs_f64(seconds)).to_string(), want);
        }
    }
}
