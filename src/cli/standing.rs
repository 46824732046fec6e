//! How a job stands, for people: what it does, how often its processes came back, and how the last one ended.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use super::table::{self, Cell};
use crate::client::JobStatus;
use crate::process::json::{exit_json, unix_time};
use crate::process::{Exit, Health, LogStatus};
use crate::words;

/// What a job's status tells, seen from now.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// How it is.
    pub health: Health,
    /// How many of its processes came back since it was loaded; nodes before 0.1 do not tell.
    pub restarts: Option<u64>,
    /// How the last process ended that nobody had told to end, and when.
    pub last_exit: Option<(Exit, SystemTime)>,
    /// Since when the newest process runs.
    pub started: Option<SystemTime>,
    /// Its log files that cannot be written or rotated.
    pub failing_logs: Vec<LogStatus>,
    /// Now.
    pub now: SystemTime,
}

impl Standing {
    /// That of a job.
    #[must_use]
    pub fn of(status: &JobStatus, now: SystemTime) -> Self {
        let JobStatus { health, restarts, last_exit, started, failing_logs, .. } = status.clone();
        Self { health, restarts, last_exit, started, failing_logs, now }
    }

    /// How long the newest process runs. The clock of another machine may be ahead.
    #[must_use]
    pub fn up(&self) -> Option<Duration> {
        self.started.map(|started| self.now.duration_since(started).unwrap_or_default())
    }

    /// Its health in the colour of a traffic light.
    #[must_use]
    pub fn health(&self) -> Cell {
        table::health(self.health)
    }

    /// The columns `UP`, `RESTARTS` and `LAST EXIT`.
    #[must_use]
    pub fn cells(&self) -> [Cell; 3] {
        let known = |text: Option<String>| Cell::from(text.unwrap_or_else(|| "-".to_owned()));
        [known(self.up().map(age)), known(self.restarts.map(|n| n.to_string())), known(self.last_exit())]
    }

    /// `code 1, 12s ago`.
    #[must_use]
    pub fn last_exit(&self) -> Option<String> {
        let (exit, time) = self.last_exit.as_ref()?;
        let how = match exit {
            Exit::Failed(_) => "not started".to_owned(),
            Exit::Signal { signal, .. } => signal.to_string(),
            other => other.to_string(),
        };
        Some(format!("{how}, {} ago", age(self.now.duration_since(*time).unwrap_or_default())))
    }

    /// What is behind the name of a job, in parentheses, unless there is nothing to say.
    #[must_use]
    pub fn remark(&self, color: bool) -> String {
        let mut parts = Vec::new();
        if self.health != Health::Active {
            parts.push(self.health().text(color));
        }
        if let Some(restarts) = self.restarts.filter(|n| *n > 0) {
            parts.push(format!("restarts: {restarts}"));
        }
        if let Some(last) = self.last_exit() {
            parts.push(format!("last exit: {last}"));
        }
        parts.extend(self.log_faults());
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
    }

    /// A sentence for each log that fails.
    pub fn log_faults(&self) -> impl Iterator<Item = String> + '_ {
        self.failing_logs.iter().filter_map(|log| {
            let why = log.failing.as_ref()?;
            let lost = match log.dropped {
                0 => String::new(),
                1 => "; 1 byte of output is lost".to_owned(),
                n => format!("; {n} bytes of output are lost"),
            };
            let path = log.path.to_string_lossy();
            // The node may be anybody's; a terminal is to obey nothing of it.
            let why = why.replace(char::is_control, " ");
            Some(format!("log {} fails: {why}{lost}", words::show(&path)))
        })
    }

    /// `health restarts last_exit uptime failing_logs`: null is what is not known, or has not happened; the age is in seconds.
    #[must_use]
    pub fn members(&self) -> Map<String, Value> {
        let last = self.last_exit.as_ref().map(|(exit, time)| {
            let mut value = exit_json(exit);
            value.insert("time".to_owned(), unix_time(*time).into());
            Value::from(value)
        });
        let uptime = self.up().map(|up| up.as_millis() as f64 / 1000.0);
        let failing_logs = self
            .failing_logs
            .iter()
            .map(|log| json!({"path": log.path.to_string_lossy(), "failing": log.failing, "dropped": log.dropped}));
        let members: [(&str, Value); 5] = [
            ("health", self.health.as_str().into()),
            ("restarts", self.restarts.into()),
            ("last_exit", last.into()),
            ("uptime", uptime.into()),
            ("failing_logs", failing_logs.collect()),
        ];
        members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// `12s`, `3m`, `5h`, and from two days on `2d`.
#[must_use]
pub fn age(age: Duration) -> String {
    match age.as_secs() {
        s @ 0..60 => format!("{s}s"),
        s @ 60..3600 => format!("{}m", s / 60),
        s @ 3600..172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Signal;

    #[test]
    fn ages() {
        let ages = [0, 59, 60, 3599, 3600, 172_799, 172_800].map(|s| age(Duration::from_secs(s)));
        assert_eq!(ages, ["0s", "59s", "1m", "59m", "1h", "47h", "2d"]);
    }

    #[test]
    fn remarks() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let before = |s| now.checked_sub(Duration::from_secs(s)).expect("after 1970");
        let well = Standing {
            health: Health::Active,
            restarts: Some(0),
            last_exit: None,
            started: Some(now),
            failing_logs: Vec::new(),
            now,
        };
        assert_eq!(well.remark(false), "");
        let killed = Exit::Signal { signal: Signal::KILL, core: true };
        for (exit, health, want) in [
            (Exit::Code(3), Health::CrashLoop, " (crash loop, restarts: 7, last exit: code 3, 90s ago)"),
            (killed.clone(), Health::Active, " (restarts: 7, last exit: SIGKILL, 90s ago)"),
            (Exit::Failed("no".into()), Health::GaveUp, " (gave up, restarts: 7, last exit: not started, 90s ago)"),
            (Exit::Lost, Health::Stopped, " (stopped, restarts: 7, last exit: status lost, 90s ago)"),
        ] {
            let last_exit = Some((exit, before(90)));
            let bad = Standing { health, restarts: Some(7), last_exit, ..well.clone() };
            assert_eq!(bad.remark(false), want.replace("90s", "1m"));
        }
        let mut full = LogStatus::new("/l/web".into());
        (full.failing, full.dropped) = (Some("no space".to_owned()), 12);
        let one = Standing { failing_logs: vec![full], ..well.clone() };
        assert_eq!(one.remark(false), " (log /l/web fails: no space; 12 bytes of output are lost)");
        let listed = &one.members()["failing_logs"];
        assert_eq!(*listed, json!([{"path": "/l/web", "failing": "no space", "dropped": 12}]));
        let last_exit = Some((killed, before(90)));
        let ahead = now.checked_add(Duration::from_secs(5));
        let one = Standing { last_exit, started: ahead, restarts: None, ..well };
        let want = json!({"health": "active", "restarts": null, "uptime": 0.0, "failing_logs": [], "last_exit":
            {"exit_code": null, "term_signal": 9, "core": true, "reason": null, "time": 910.0}});
        assert_eq!(Value::from(one.members()), want);
    }
}
