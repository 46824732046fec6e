//! What a node tells, as values.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::answer::{job_name, missing, number, pids};
use crate::Result;
use crate::process::{Exit, Health, JobName, JobState, LogStatus, OsPid, Pid, ProcessState, Signal};
use crate::sys::clock::local_time;

/// How a job stands, in few words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobStatus {
    /// Its name.
    pub name: JobName,
    /// What it is doing.
    pub state: JobState,
    /// How it is: the state, and whether its processes crash. Nodes before 0.1 tell the state alone.
    pub health: Health,
    /// How many processes were started since the job was loaded because others had ended by themselves, if the node tells.
    pub restarts: Option<u64>,
    /// How the last process ended that nobody had told to end, and when.
    pub last_exit: Option<(Exit, SystemTime)>,
    /// When the newest of its processes was started, if the node tells.
    pub started: Option<SystemTime>,
    /// How many processes it has, committed ones included; those that were told to end do not count.
    pub running: u32,
    /// How many are wanted.
    pub numprocesses: u32,
    /// Those on the way out; none where the node does not tell.
    pub ending: Vec<Pid>,
    /// Its log files that cannot be written or rotated now; none where the node does not tell.
    pub failing_logs: Vec<LogStatus>,
}

impl JobStatus {
    /// Whether it keeps its processes alive.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state == JobState::Active
    }

    /// `name` is for a node that does not repeat it.
    pub(super) fn read(value: &Value, name: Option<&JobName>) -> Result<Self> {
        let name = match (value["name"].as_str(), name) {
            (Some(name), _) => job_name(name)?,
            (None, Some(name)) => name.clone(),
            (None, None) => return Err(missing("name")),
        };
        let active = value["active"].as_bool().ok_or_else(|| missing("active"))?;
        let state = match value["state"].as_str() {
            Some("flapping") => JobState::Flapping,
            _ if active => JobState::Active,
            _ => JobState::Stopped,
        };
        let health = value["health"].as_str().and_then(Health::from_word).unwrap_or_else(|| state.into());
        // 0.4 knew it as `max_processes` only.
        let numprocesses = number(value, "numprocesses").or_else(|_| number(value, "max_processes"))?;
        let ending = if value["ending"].is_null() { Vec::new() } else { pids(&value["ending"])? };
        Ok(Self {
            name,
            state,
            health,
            restarts: value["restarts"].as_u64(),
            last_exit: last_exit(&value["last_exit"]),
            started: value["started"].as_f64().and_then(time),
            running: number(value, "running")?,
            numprocesses,
            ending,
            failing_logs: failing_logs(value),
        })
    }
}

/// The failing ones, of which `/jobs` tells among the others.
fn failing_logs(value: &Value) -> Vec<LogStatus> {
    let lists = ["failing_logs", "logs"].map(|key| value[key].as_array());
    let Some(logs) = lists.into_iter().flatten().next() else { return Vec::new() };
    let failing = logs.iter().filter_map(|log| {
        let why = log["failing"].as_str()?.to_owned();
        let figure = |key: &str| log[key].as_u64().unwrap_or(0);
        Some(LogStatus {
            bytes: figure("bytes"),
            spliced: figure("spliced"),
            dropped: figure("dropped"),
            rotations: figure("rotations"),
            failing: Some(why),
            ..LogStatus::new(log["path"].as_str()?.into())
        })
    });
    failing.collect()
}

/// A job, as it stands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct JobInfo {
    /// Name, state and numbers.
    pub status: JobStatus,
    /// How many of the running ones are committed: outside the count and not replaced.
    pub running_out: u32,
    /// Its processes, kept-alive ones first, then committed ones; those that were told to end are not among them.
    pub processes: Vec<Pid>,
    /// Its definition, with the keys in which it was loaded.
    pub config: Value,
}

impl JobInfo {
    /// Those of its [`processes`](Self::processes) that are kept alive.
    #[must_use]
    pub fn kept(&self) -> &[Pid] {
        &self.processes[..self.processes.len().saturating_sub(self.running_out as usize)]
    }

    /// Those of its [`processes`](Self::processes) that were committed.
    #[must_use]
    pub fn committed(&self) -> &[Pid] {
        &self.processes[self.kept().len()..]
    }

    pub(super) fn read(value: &Value) -> Result<Self> {
        Ok(Self {
            status: JobStatus::read(value, None)?,
            running_out: number(value, "running_out")?,
            processes: pids(&value["processes"])?,
            config: value["config"].clone(),
        })
    }
}

/// A process, as it stands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// The node's number of it.
    pub pid: Pid,
    /// The system's number, once it is started.
    pub os_pid: Option<OsPid>,
    /// The job it belongs to.
    pub name: JobName,
    /// What it is doing.
    pub state: ProcessState,
    /// Whether it was committed: outside the count, not replaced.
    pub once: bool,
    /// When it was started.
    pub started: Option<SystemTime>,
    /// All that the node tells: `cmd`, `args`, `env` and more.
    pub fields: Value,
}

impl ProcessInfo {
    pub(super) fn read(value: Value) -> Result<Self> {
        let state = match value["state"].as_str() {
            Some("starting") => ProcessState::Starting,
            Some("stopping") => ProcessState::Stopping,
            Some("exited") => ProcessState::Exited,
            Some("running") => ProcessState::Running,
            // 0.5 told no more than this.
            _ if value["active"].as_bool() == Some(true) => ProcessState::Running,
            _ => ProcessState::Exited,
        };
        Ok(Self {
            pid: Pid(value["pid"].as_u64().ok_or_else(|| missing("pid"))?),
            os_pid: os_pid(&value),
            name: job_name(value["name"].as_str().ok_or_else(|| missing("name"))?)?,
            state,
            once: value["commited"].as_bool().unwrap_or_default(),
            started: value["create_time"].as_f64().and_then(time),
            fields: value,
        })
    }
}

/// Something that has happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// What: `spawn`, `exit` …, or `gap` where events were left out because we were too slow (`dropped` says how many).
    pub event: String,
    /// The topic under which it came: `exit`, `proc.web.exit`.
    pub topic: String,
    /// The job, if it is about one.
    pub name: Option<JobName>,
    /// The process, if it is about one.
    pub pid: Option<Pid>,
    /// When.
    pub time: SystemTime,
    /// All that the node tells.
    pub fields: Value,
}

impl Event {
    /// When, as `HH:MM:SS` in the local time zone.
    #[must_use]
    pub fn time_of_day(&self) -> String {
        let (hour, minute, second) = local_time(self.time);
        format!("{hour:02}:{minute:02}:{second:02}")
    }

    /// `kind` is the name the feed gives it: its topic.
    pub(super) fn read(kind: &str, fields: Value) -> Result<Self> {
        let event = fields["event"].as_str().ok_or_else(|| missing("event"))?.to_owned();
        Ok(Self {
            topic: fields["topic"].as_str().unwrap_or(kind).to_owned(),
            name: fields["name"].as_str().map(job_name).transpose()?,
            pid: fields["pid"].as_u64().map(Pid),
            // What has no time happens now.
            time: fields["time"].as_f64().and_then(time).unwrap_or_else(SystemTime::now),
            event,
            fields,
        })
    }
}

pub(super) fn os_pid(value: &Value) -> Option<OsPid> {
    value["os_pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).map(OsPid)
}

/// How a process ended, and when.
fn last_exit(value: &Value) -> Option<(Exit, SystemTime)> {
    let number = |key: &str| value[key].as_i64().and_then(|n| i32::try_from(n).ok());
    let core = value["core"].as_bool().unwrap_or_default();
    let exit = match (number("exit_code"), number("term_signal").map(Signal::new), value["reason"].as_str()) {
        (Some(code), ..) => Exit::Code(code),
        (_, Some(Ok(signal)), _) => Exit::Signal { signal, core },
        (.., Some(reason)) if reason != Exit::Lost.to_string() => Exit::Failed(reason.to_owned()),
        _ => Exit::Lost,
    };
    Some((exit, value["time"].as_f64().and_then(time)?))
}

/// Seconds since 1970.
fn time(seconds: f64) -> Option<SystemTime> {
    Duration::try_from_secs_f64(seconds).ok().and_then(|since| UNIX_EPOCH.checked_add(since))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use serde_json::json;

    #[test]
    fn states() {
        let read = |value: Value| JobStatus::read(&value, None);
        for (active, state, want) in [
            (true, json!("active"), JobState::Active),
            (false, json!("flapping"), JobState::Flapping),
            (false, json!("stopped"), JobState::Stopped),
            (true, json!(null), JobState::Active),
            (false, json!(null), JobState::Stopped),
        ] {
            let value = json!({"name": "shop.a", "active": active, "state": state, "running": 1, "max_processes": 2});
            let status = read(value).expect("a status");
            assert_eq!((status.state, status.numprocesses, status.name.as_str()), (want, 2, "shop.a"));
        }
        assert_eq!(read(json!({"name": "a"})).expect_err("no state").kind(), ErrorKind::Invalid);
        assert_eq!(read(json!([1])).expect_err("a list").kind(), ErrorKind::Invalid);
    }

    #[test]
    fn healths_and_exits() {
        let read = |more: Value| {
            let mut value = json!({"name": "a", "active": true, "state": "active", "running": 1, "numprocesses": 1});
            value.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            JobStatus::read(&value, None).expect("a status")
        };
        let old = read(json!({}));
        assert_eq!((old.health, old.restarts, old.last_exit, old.started), (Health::Active, None, None, None));
        assert_eq!(read(json!({"health": "not known yet"})).health, Health::Active);
        let new = read(json!({"health": "crash loop", "restarts": 3, "started": 2.5, "last_exit": null}));
        assert_eq!((new.health, new.restarts, new.last_exit), (Health::CrashLoop, Some(3), None));
        assert_eq!(new.started, Some(UNIX_EPOCH + Duration::from_millis(2500)));
        assert_eq!((old.failing_logs, new.failing_logs), (vec![], vec![]));
        let logs = json!([{"path": "/l", "dropped": 7, "failing": "it is full"}, {"path": "/m", "failing": null}]);
        for key in ["logs", "failing_logs"] {
            let read = read(json!({key: logs})).failing_logs;
            let [log] = &read[..] else { panic!("{read:?}") };
            assert_eq!((log.path.to_str(), log.dropped, log.failing.as_deref()), (Some("/l"), 7, Some("it is full")));
        }
        let killed = Exit::Signal { signal: Signal::KILL, core: true };
        for exit in [Exit::Code(0), killed, Exit::Failed("exec: no".to_owned()), Exit::Lost] {
            let mut value = crate::process::json::exit_json(&exit);
            value.insert("time".to_owned(), 1.5.into());
            let want = (exit, UNIX_EPOCH + Duration::from_millis(1500));
            assert_eq!(read(json!({"last_exit": value})).last_exit, Some(want));
        }
    }

    #[test]
    fn kept_and_committed() {
        let value = json!({"name": "a", "active": true, "running": 3, "running_out": 1, "numprocesses": 2, "processes": [1, 2, 9]});
        let mut info = JobInfo::read(&value).expect("a job");
        assert_eq!((info.kept(), info.committed()), (&[Pid(1), Pid(2)][..], &[Pid(9)][..]));
        info.running_out = 7;
        assert_eq!((info.kept().len(), info.committed().len()), (0, 3));
    }

    #[test]
    fn events() {
        let fields = json!({"event": "exit", "name": "default.web", "time": 1.5, "pid": 3, "exit_code": 1});
        let event = Event::read("proc.web.exit", fields).expect("an event");
        assert_eq!((event.topic.as_str(), event.pid), ("proc.web.exit", Some(Pid(3))));
        assert_eq!(event.time, UNIX_EPOCH + Duration::from_millis(1500));
        // Zones are whole minutes away from each other nowadays.
        assert!(event.time_of_day().ends_with(":01"), "{}", event.time_of_day());
        assert!(Event::read("x", json!({"event": "gap", "dropped": null})).is_ok());
        assert!(Event::read("x", json!({})).is_err());
    }
}
