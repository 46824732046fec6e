//! How jobs stand, and how that is shown.

use std::time::{Duration, SystemTime};

use gaffer::cli::standing::Standing;
use gaffer::cli::table::state_name;
use gaffer::client::JobInfo;
use gaffer::process::{JobState, Pid};
use gaffer::words;
use serde_json::{Value, json};

/// What is shown.
#[derive(Debug)]
pub(super) struct View {
    pub(super) jobs: Vec<Job>,
}

/// A job.
#[derive(Debug)]
pub(super) struct Job {
    /// As people type it.
    name: String,
    full_name: String,
    /// Where it is, if that is not clear.
    pub(super) node: Option<String>,
    state: JobState,
    standing: Standing,
    running: u32,
    numprocesses: u32,
    cmd: String,
    cpu: Option<f64>,
    mem: Option<f64>,
    processes: Vec<Process>,
}

/// A process.
#[derive(Debug)]
struct Process {
    pid: u64,
    kind: Kind,
    /// The node knows what it uses once it is started.
    started: Option<Started>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// It is kept alive.
    Kept,
    /// It was committed.
    Once,
    /// It was told to end, and has not.
    Ending,
}

#[derive(Debug)]
struct Started {
    up: Duration,
    figures: Value,
}

impl Job {
    pub(super) fn read(name: &str, info: &JobInfo, stats: &Value, now: SystemTime) -> Self {
        let standing = Standing::of(&info.status, now);
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let process = |kind: Kind, Pid(pid): &Pid| {
            let of_it = stats["stats"].as_array().into_iter().flatten().find(|f| f["pid"] == *pid);
            let started = of_it.and_then(|figures| {
                // The clock of another machine may be ahead.
                let up = Duration::try_from_secs_f64(now - figures["create_time"].as_f64()?).unwrap_or_default();
                Some(Started { up, figures: figures.clone() })
            });
            Process { pid: *pid, kind, started }
        };
        let kept = info.kept().iter().map(|pid| process(Kind::Kept, pid));
        let committed = info.committed().iter().map(|pid| process(Kind::Once, pid));
        let ending = info.status.ending.iter().map(|pid| process(Kind::Ending, pid));
        Self {
            name: name.to_owned(),
            full_name: info.status.name.as_str().to_owned(),
            node: None,
            state: info.status.state,
            standing,
            running: info.status.running,
            numprocesses: info.status.numprocesses,
            cmd: command(&info.config),
            cpu: stats["cpu"].as_f64(),
            mem: stats["mem"].as_f64(),
            processes: kept.chain(committed).chain(ending).collect(),
        }
    }

    fn text(&self, color: bool) -> String {
        let Self { name, cmd, .. } = self;
        let place = self.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
        let heading = format!("=== {name}{place}: `{cmd}`");
        let mut out = if color { format!("\x1b[36m{heading}\x1b[0m") } else { heading };
        out.push_str(&self.standing.remark(color));
        let (cpu, mem) = (self.cpu.unwrap_or_default(), self.mem.unwrap_or_default());
        out.push_str(&format!("\nTotal CPU: {cpu:.2} Total MEM: {mem:.2}\n\n"));
        for process in &self.processes {
            let what = match (&process.started, process.kind) {
                (_, Kind::Ending) => "ending".to_owned(),
                (Some(started), _) => format!("up for {}", clock(started.up)),
                (None, _) => "starting".to_owned(),
            };
            let once = if process.kind == Kind::Once { " (once)" } else { "" };
            out.push_str(&format!("{name}.{}: {what}{once}\n", process.pid));
        }
        out
    }

    fn json(&self) -> Value {
        let process = |process: &Process| {
            let figure = |key: &str| process.started.as_ref().map_or(Value::Null, |s| s.figures[key].clone());
            json!({
                "pid": process.pid,
                "os_pid": figure("os_pid"),
                "uptime": process.started.as_ref().map(|started| started.up.as_millis() as f64 / 1000.0),
                "once": process.kind == Kind::Once,
                "ending": process.kind == Kind::Ending,
                "cpu": figure("cpu"),
                "mem": figure("mem"),
                "rss": figure("rss"),
            })
        };
        let mut json = json!({
            "name": self.full_name,
            "state": state_name(self.state),
            "running": self.running,
            "numprocesses": self.numprocesses,
            "cmd": self.cmd,
            "cpu": self.cpu,
            "mem": self.mem,
            "processes": self.processes.iter().map(process).collect::<Vec<_>>(),
        });
        json.as_object_mut().expect("it is an object").extend(self.standing.members());
        if let Some(node) = &self.node {
            json["node"] = node.as_str().into();
        }
        json
    }
}

impl View {
    pub(super) fn text(&self, color: bool) -> String {
        self.jobs.iter().map(|job| job.text(color)).collect()
    }

    pub(super) fn json(&self) -> Value {
        json!({"jobs": self.jobs.iter().map(Job::json).collect::<Vec<_>>()})
    }
}

/// The command line as it was written, on one line and without anything that a terminal might obey.
fn command(config: &Value) -> String {
    let mut line = config["cmd"].as_str().unwrap_or_default().to_owned();
    let args: Vec<&str> = config["args"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !args.is_empty() {
        line.push(' ');
        line.push_str(&words::join(args));
    }
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `M:SS.ff` below an hour, then `H:MM:SS`, and days before it.
fn clock(up: Duration) -> String {
    let seconds = up.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{:02}.{:02}", seconds % 60, up.subsec_millis() / 10),
        (0, _) => format!("{hours}:{minutes:02}:{:02}", seconds % 60),
        _ => format!("{days}d {hours}:{minutes:02}:{:02}", seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::process::{Exit, Health};

    #[test]
    fn times() {
        for (ms, want) in [
            (0, "0:00.00"),
            (440, "0:00.44"),
            (61_070, "1:01.07"),
            (3_599_999, "59:59.99"),
            (3_600_000, "1:00:00"),
            (90_061_000, "1d 1:01:01"),
        ] {
            assert_eq!(clock(Duration::from_millis(ms)), want);
        }
    }

    #[test]
    fn commands() {
        for (config, want) in [
            (json!({"cmd": "python -u dummy_basic.py"}), "python -u dummy_basic.py"),
            (json!({"cmd": "sleep", "args": ["10 00"]}), "sleep '10 00'"),
            (json!({"cmd": "a\n\u{1b}[2Jb"}), "a  [2Jb"),
        ] {
            assert_eq!(command(&config), want);
        }
    }

    /// The picture in the documentation.
    #[test]
    fn as_documented() {
        let now = SystemTime::UNIX_EPOCH;
        let standing = |health| Standing {
            health,
            restarts: Some(0),
            last_exit: None,
            started: Some(now),
            failing_logs: Vec::new(),
            now,
        };
        let process = |pid, up| Process {
            pid,
            kind: Kind::Kept,
            started: Some(Started { up: Duration::from_millis(up), figures: json!({"os_pid": 7, "rss": 1024}) }),
        };
        let job = Job {
            name: "dummy".to_owned(),
            full_name: "examples.dummy".to_owned(),
            node: None,
            state: JobState::Active,
            standing: standing(Health::Active),
            running: 2,
            numprocesses: 2,
            cmd: "python -u dummy_basic.py".to_owned(),
            cpu: Some(1.8),
            mem: Some(0.3),
            processes: vec![process(1, 440), process(3, 400)],
        };
        let stopped = Job {
            state: JobState::Stopped,
            standing: Standing { restarts: Some(3), last_exit: Some((Exit::Code(1), now)), ..standing(Health::GaveUp) },
            processes: [(9, Kind::Once), (8, Kind::Ending)]
                .map(|(pid, kind)| Process { pid, kind, started: None })
                .into(),
            cpu: None,
            mem: None,
            name: "b".to_owned(),
            ..Job { cmd: "x".to_owned(), full_name: "examples.b".to_owned(), processes: vec![], ..job_like(&job) }
        };
        let view = View { jobs: vec![job, stopped] };
        let want = "\
=== dummy: `python -u dummy_basic.py`
Total CPU: 1.80 Total MEM: 0.30

dummy.1: up for 0:00.44
dummy.3: up for 0:00.40
=== b: `x` (gave up, restarts: 3, last exit: code 1, 0s ago)
Total CPU: 0.00 Total MEM: 0.00

b.9: starting (once)
b.8: ending
";
        assert_eq!(view.text(false), want);
        assert!(view.text(true).starts_with("\x1b[36m=== dummy: `python -u dummy_basic.py`\x1b[0m\n"));
        let json = view.json();
        assert_eq!(json["jobs"][0]["processes"][0]["uptime"], 0.44);
        assert_eq!((&json["jobs"][1]["health"], &json["jobs"][1]["restarts"]), (&"gave up".into(), &3.into()));
        assert_eq!(json["jobs"][1]["processes"][0]["os_pid"], Value::Null);
    }

    fn job_like(job: &Job) -> Job {
        Job {
            name: job.name.clone(),
            full_name: job.full_name.clone(),
            node: None,
            state: job.state,
            standing: job.standing.clone(),
            running: job.running,
            numprocesses: job.numprocesses,
            cmd: job.cmd.clone(),
            cpu: job.cpu,
            mem: job.mem,
            processes: Vec::new(),
        }
    }
}
