//! Jobs and processes as JSON, as both generations write them.
//!
//! The members of each object are always there; what is not known is `null`. An environment that is shown is that of
//! the job's definition, never the server's.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::json::{cpu, exit_json, stats_json, unix_time};
pub use super::texts::{job_text, names_text, status_text};
use crate::config::job_to_json;
use crate::manager::Sample;
use crate::process::{
    DEFAULT_SESSION, JobConfig, JobInfo, JobName, JobState, LastExit, LogStatus, Pid, ProcessInfo, ProcessState,
    UserRef,
};
use crate::words;

/// Numbers of processes.
#[must_use]
pub fn pids(pids: &[Pid]) -> Value {
    pids.iter().map(|pid| pid.0).collect()
}

/// Names as 0.5 writes them: `session.label`.
#[must_use]
pub fn names(names: &[Arc<JobName>]) -> Value {
    names.iter().map(|name| name.as_str()).collect()
}

/// Names as 0.4 writes them: `label`, and `session:label` outside of the default session.
#[must_use]
pub fn names_0_4(names: &[Arc<JobName>]) -> Value {
    names.iter().map(|name| name_0_4(name)).collect()
}

fn name_0_4(name: &JobName) -> String {
    match name.session() {
        DEFAULT_SESSION => name.label().to_owned(),
        session => format!("{session}:{}", name.label()),
    }
}

pub(super) const fn state(state: JobState) -> &'static str {
    match state {
        JobState::Active => "active",
        JobState::Flapping => "flapping",
        JobState::Stopped => "stopped",
    }
}

/// How a process ended by itself, as in the `exit` event: `exit_code term_signal core reason`, and the `time`, to a tenth of a second.
pub(super) fn last_exit(last: &LastExit) -> Value {
    let seconds = unix_time(SystemTime::now().checked_sub(last.ago).unwrap_or(SystemTime::UNIX_EPOCH));
    let mut value = exit_json(&last.exit);
    value.insert("time".to_owned(), ((seconds * 10.0).round() / 10.0).into());
    value.into()
}

/// A job: `name active state health running running_out numprocesses max_processes restarts last_exit started processes ending config logs`.
///
/// `numprocesses` and `max_processes` (as the original calls it) are the same number.
#[must_use]
pub fn job(info: &JobInfo) -> Value {
    json!({
        "name": info.name.as_str(),
        "active": info.state == JobState::Active,
        "state": state(info.state),
        "health": info.health.as_str(),
        "running": info.running,
        "running_out": info.running_out,
        "numprocesses": info.numprocesses,
        "max_processes": info.numprocesses,
        "restarts": info.restarts,
        "last_exit": info.last_exit.as_ref().map(last_exit),
        "started": info.started.map(unix_time),
        "processes": pids(&info.processes),
        "ending": pids(&info.ending),
        "config": job_to_json(&info.config),
        "logs": info.logs.iter().map(log).collect::<Vec<_>>(),
    })
}

/// A log file: the figures count since it was opened.
pub(super) fn log(log: &LogStatus) -> Value {
    json!({
        "path": log.path.to_string_lossy(),
        "bytes": log.bytes,
        "spliced": log.spliced,
        "dropped": log.dropped,
        "rotations": log.rotations,
        "failing": log.failing,
    })
}

/// A job in few words: `name active state health running numprocesses max_processes restarts last_exit started ending
/// failing_logs`.
#[must_use]
pub fn status(info: &JobInfo) -> Value {
    json!({
        "name": info.name.as_str(),
        "active": info.state == JobState::Active,
        "state": state(info.state),
        "health": info.health.as_str(),
        "running": info.running,
        "numprocesses": info.numprocesses,
        "max_processes": info.numprocesses,
        "restarts": info.restarts,
        "last_exit": info.last_exit.as_ref().map(last_exit),
        "started": info.started.map(unix_time),
        "ending": pids(&info.ending),
        "failing_logs": info.logs.iter().filter(|log| log.failing.is_some()).map(log).collect::<Vec<_>>(),
    })
}

/// A definition as 0.4 writes it: the name may be `session:label`, and the session is called `group`.
#[must_use]
pub fn template(config: &JobConfig) -> Value {
    let mut value = job_to_json(config);
    if let Value::Object(members) = &mut value {
        members.insert("name".to_owned(), name_0_4(&config.name).into());
        if let Some(session) = members.remove("session") {
            members.insert("group".to_owned(), session);
        }
    }
    value
}

/// A process. `cmd` and `args` are the split command before variables are replaced; `commited` is the original's spelling.
#[must_use]
pub fn process(info: &ProcessInfo) -> Value {
    let config = &info.config;
    let (program, args) = command(config);
    let state = match info.state {
        ProcessState::Starting => "starting",
        ProcessState::Running => "running",
        ProcessState::Stopping => "stopping",
        ProcessState::Exited => "exited",
    };
    // As the definition gives them.
    let outlets = config.outlets();
    let logfile = |fd: i32| {
        let outlet = outlets.iter().find(|outlet| outlet.fds.contains(&fd))?;
        outlet.logfile.map(std::path::Path::to_string_lossy)
    };
    json!({
        "pid": info.pid.0,
        "os_pid": info.os_pid.map(|pid| pid.0),
        "name": info.name.as_str(),
        "instance": info.instance,
        "state": state,
        "active": matches!(info.state, ProcessState::Running | ProcessState::Stopping),
        "cmd": program,
        "args": args,
        "env": config.env,
        "uid": user(config.uid.as_ref()),
        "gid": user(config.gid.as_ref()),
        "create_time": info.started.map(unix_time),
        "commited": info.once,
        "redirect_output": config.redirect_output,
        "redirect_input": config.redirect_input,
        "custom_streams": config.custom_streams,
        "stdout_logfile": logfile(1),
        "stderr_logfile": logfile(2),
    })
}

fn command(config: &JobConfig) -> (String, Vec<String>) {
    let whole = (config.cmd.clone(), config.args.clone());
    if config.shell {
        return whole;
    }
    match words::split(&config.cmd) {
        Ok(words) if !words.is_empty() => {
            let mut words = words.into_iter();
            let program = words.next().unwrap_or_default();
            (program, words.chain(config.args.iter().cloned()).collect())
        }
        _ => whole,
    }
}

fn user(user: Option<&UserRef>) -> Value {
    match user {
        None => Value::Null,
        Some(UserRef::Id(id)) => (*id).into(),
        Some(UserRef::Name(name)) => name.as_str().into(),
    }
}

fn tenths(percent: f64) -> f64 {
    (percent * 10.0).round() / 10.0
}

/// What one process uses.
#[derive(Debug)]
pub struct Figures {
    /// Its job.
    pub name: Arc<JobName>,
    mem: f64,
    cpu: f64,
    json: Value,
}

impl Figures {
    /// Those of a sample.
    #[must_use]
    pub fn new(sample: &Sample) -> Self {
        let (mem, cpu) = (sample.stats.mem, cpu(&sample.stats));
        Self { name: Arc::clone(&sample.name), mem, cpu, json: stats_json(sample) }
    }

    /// As they are sent.
    #[must_use]
    pub fn into_json(self) -> Value {
        self.json
    }
}

/// What a job's processes use: `name`, `stats` of each, and sum, greatest and least of `mem` and `cpu`, null without processes.
#[must_use]
pub fn job_stats(name: &JobName, processes: Vec<Figures>) -> Value {
    let [mem, max_mem, min_mem] = sums(processes.iter().map(|process| process.mem));
    let [cpu, max_cpu, min_cpu] = sums(processes.iter().map(|process| process.cpu));
    json!({
        "name": name.as_str(),
        "stats": Value::Array(processes.into_iter().map(|process| process.json).collect()),
        "mem": mem, "max_mem": max_mem, "min_mem": min_mem,
        "cpu": cpu, "max_cpu": max_cpu, "min_cpu": min_cpu,
    })
}

/// Sum, greatest and least.
fn sums(values: impl Iterator<Item = f64>) -> [Option<f64>; 3] {
    let join = |so_far: Option<[f64; 3]>, value: f64| match so_far {
        None => Some([value; 3]),
        Some([sum, max, min]) => Some([sum + value, max.max(value), min.min(value)]),
    };
    values.fold(None, join).map_or([None; 3], |all| all.map(|value| Some(tenths(value))))
}

/// Takes the environments out of any of these shapes: they are `null` then.
pub(crate) fn hide_env(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name == "env" { *member = Value::Null } else { hide_env(member) }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(hide_env),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_jobs() {
        assert_eq!(sums([].into_iter()), [None; 3]);
        assert_eq!(sums([1.0, 0.5, 2.0].into_iter()), [Some(3.5), Some(2.0), Some(0.5)]);
    }

    #[test]
    fn commands_are_shown_as_they_are_defined() {
        let config = JobConfig::new("a", "bin/web -p '$PORT x'").expect("a name").arg("end");
        assert_eq!(command(&config), ("bin/web".to_owned(), vec!["-p".into(), "$PORT x".into(), "end".into()]));
        assert_eq!(command(&config.shell(true)).0, "bin/web -p '$PORT x'");
    }
}
