//! `gaffer ps:info`: all about a job or a process.

use std::time::SystemTime;

use gaffer::cli::names::{Target, each};
use gaffer::cli::node::failure;
use gaffer::cli::standing::Standing;
use gaffer::cli::table::state_name;
use gaffer::cli::{self, Code, Command, Failure};
use gaffer::client::{JobInfo, Server};
use gaffer::process::Pid;
use gaffer::words;
use gaffer::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::NAME;
use crate::remote::{self, Remote, has_remote, no_process, shown};

/// What `gaffer ps:info` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Info {
    remote: Remote,
    names: Vec<String>,
}

has_remote!(Info);

pub(crate) fn command() -> Command<Info> {
    let help = "Jobs, or processes by their numbers; `*` and `?` match any text and any character.";
    let command = Command::new("ps:info", "Show all about jobs and processes.")
        .words("NAME|PID...", help, |a: &mut Info, v| {
            a.names.push(v.string()?);
            Ok(())
        })
        .check(|a| if a.names.is_empty() { Err(Failure::usage("NAME or PID is missing")) } else { Ok(()) });
    remote::options(command).details(
        "A line has `key: value`. Of several, blank lines are between them.\n\
         JSON: an object for each, one a line, as the API has them.",
    )
}

pub(crate) fn run(asked: &Info) -> Result<Code, Failure> {
    let server = asked.remote.server()?;
    let session = asked.remote.session()?;
    let targets = asked.remote.targets(&server, &session, &asked.names)?;
    let mut first = true;
    let (_, code) = each(NAME, &targets, |target| {
        let lines = lines(&server, &session, target)?;
        if asked.remote.node.json {
            let object: serde_json::Map<String, Value> = lines.into_iter().collect();
            return cli::print(format!("{}\n", Value::Object(object)));
        }
        let gap = if std::mem::take(&mut first) { "" } else { "\n" };
        let text: String = lines.iter().map(|(key, value)| format!("{key}: {}\n", plain(value))).collect();
        cli::print(format!("{gap}{text}"))
    });
    Ok(code)
}

/// What is told, in order.
fn lines(server: &Server, session: &str, target: &Target) -> Result<Vec<(String, Value)>, Failure> {
    match target {
        Target::Process(pid) => {
            let info = server.process(*pid).info().map_err(|e| no_process(*pid, e))?;
            Ok(info.fields.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect())
        }
        Target::Job(name) => {
            let job = server.job(name.as_str()).map_err(failure)?;
            let info = job.info().map_err(|e: Error| match e.kind() {
                ErrorKind::NotFound => Failure::new(Code::NoSuch, format!("job '{}' not found", shown(name, session))),
                _ => failure(e),
            })?;
            Ok(of_job(&info))
        }
    }
}

fn of_job(info: &JobInfo) -> Vec<(String, Value)> {
    let numbers = |pids: &[Pid]| pids.iter().map(|Pid(pid)| *pid).collect::<Vec<u64>>();
    let status = &info.status;
    let mut standing = Standing::of(status, SystemTime::now()).members();
    [
        ("name", json!(status.name.as_str())),
        ("active", json!(status.is_active())),
        ("state", json!(state_name(status.state))),
        ("health", json!(status.health.as_str())),
        ("running", json!(status.running)),
        ("running_out", json!(info.running_out)),
        ("num_processes", json!(status.numprocesses)),
        ("pids", json!(numbers(&info.processes))),
        ("ending", json!(numbers(&status.ending))),
        ("restarts", json!(status.restarts)),
        ("last_exit", standing.remove("last_exit").unwrap_or_default()),
        ("uptime", standing.remove("uptime").unwrap_or_default()),
        ("failing_logs", standing.remove("failing_logs").unwrap_or_default()),
        ("config", info.config.clone()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// A value on one line, without anything that a terminal might obey.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains(char::is_control) => words::show(text).into_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_number) => {
            items.iter().map(Value::to_string).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn names() {
        let Ok(Asked::Run(info)) = command().parse(["web".into(), "12".into()]) else { panic!("names") };
        assert_eq!(info.names, ["web", "12"]);
        assert!(command().parse([]).is_err());
    }

    #[test]
    fn values_are_on_one_line() {
        for (value, want) in [
            (json!("sleep 1"), "sleep 1"),
            (json!("a\n\u{1b}[2J"), r"$'a\n\033[2J'"),
            (json!([26, 27]), "26,27"),
            (json!(["a"]), r#"["a"]"#),
            (json!({"A": "\n"}), r#"{"A":"\n"}"#),
            (json!(true), "true"),
            (json!(null), "null"),
        ] {
            assert_eq!(plain(&value), want);
        }
    }
}
