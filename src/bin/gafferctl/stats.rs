//! `gafferctl stats`: what processes use.

use std::time::Duration;

use gaffer::cli::{self, Code, Command, Failure, Opt};
use gaffer::client::Server;
use gaffer::process::JobName;
use serde_json::{Value, json};

use crate::NAME;
use gaffer::cli::names::{is_pattern, job_name, jobs, matches_name, unknown};
use gaffer::cli::node::{self, Node, failure};
use gaffer::cli::table::{Cell, Table};

/// What `stats` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Stats {
    node: Node,
    names: Vec<String>,
    /// `--watch`.
    watch: bool,
    /// `--interval`.
    interval: Option<Duration>,
}

impl AsMut<Node> for Stats {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

pub(crate) fn command() -> Command<Stats> {
    let words = "Jobs, all by default; `*` and `?` match any text and any character.";
    let command = Command::new("stats", "Show what processes use: processor, memory, time.")
        .option(Opt::switch("watch", "Again and again, a line a process and interval."), |a: &mut Stats, _| {
            a.watch = true;
            Ok(())
        })
        .option(Opt::value("interval", "SECONDS", "The time between two samples.").default("1"), |a, v| {
            a.interval = Some(v.duration()?);
            Ok(())
        })
        .words("[NAME...]", words, |a, v| {
            a.names.push(v.string()?);
            Ok(())
        })
        .check(|a| match a.interval {
            Some(_) if !a.watch => Err(Failure::usage("--interval goes with --watch")),
            Some(interval) if interval < Duration::from_millis(100) => {
                Err(Failure::usage("--interval: at least 0.1 s"))
            }
            _ => Ok(()),
        });
    node::options(command).details(
        "PID is the node's own number, OS-PID the system's. CPU is the percentage of\n\
         one processor since the sample before, so the first may have none.\n\
         JSON: {\"jobs\": [...]} as GET /stats has them, with --watch one process a line.",
    )
}

const HEADER: &[&str] = &["NAME", ">PID", ">OS-PID", ">CPU%", ">MEM%", ">RSS", ">TIME", "COMMAND"];

pub(crate) fn run(asked: &Stats) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    if asked.watch { watch(asked, &server) } else { once(asked, &server) }
}

fn once(asked: &Stats, server: &Server) -> Result<Code, Failure> {
    let stats = if asked.names.is_empty() {
        server.stats(None).map_err(failure)?
    } else {
        let jobs = jobs(server, &asked.names)?;
        let all = jobs.iter().map(|job| job.stats().map_err(|e| unknown(server, job.name(), e)));
        all.collect::<Result<Vec<Value>, Failure>>()?
    };
    asked.node.print(|| json!({ "jobs": stats }), || text(&stats))?;
    Ok(Code::Ok)
}

fn text(stats: &[Value]) -> String {
    let mut table = Table::new(HEADER, false);
    for job in stats {
        for process in job["stats"].as_array().into_iter().flatten() {
            table.row(cells(job["name"].as_str().unwrap_or_default(), process));
        }
    }
    table.text()
}

/// One name can be left to the node; several, or patterns, are chosen here from the samples of all.
fn watch(asked: &Stats, server: &Server) -> Result<Code, Failure> {
    let only = match &asked.names[..] {
        [name] if !is_pattern(name) => Some(job_name(name)?),
        _ => None,
    };
    let interval = asked.interval.unwrap_or(Duration::from_secs(1));
    let feed = server.stats_feed(only.as_ref().map(JobName::as_str), interval).map_err(|e| match &only {
        Some(name) => unknown(server, name, e),
        None => failure(e),
    })?;
    let wanted = |name: &str| {
        let name = name.parse();
        asked.names.is_empty() || name.is_ok_and(|name| asked.names.iter().any(|word| matches_name(word, &name)))
    };
    if !asked.node.json {
        cli::print(line(HEADER.iter().map(|name| name.trim_start_matches('>').to_owned())))?;
    }
    cli::end_with_reader();
    for sample in feed {
        let sample = sample.map_err(failure)?;
        if sample["event"] == "gap" {
            cli::complain(NAME, "samples are missing here: they came faster than they were read");
            continue;
        }
        let name = sample["name"].as_str().unwrap_or_default();
        if !wanted(name) {
            continue;
        }
        let text = if asked.node.json {
            format!("{sample}\n")
        } else {
            line(cells(name, &sample).iter().map(|cell| cell.text(false)))
        };
        cli::print(text)?;
    }
    // The job was unloaded, or the node stops; either way there is nothing more to see.
    Ok(Code::Ok)
}

fn cells(name: &str, process: &Value) -> Vec<Cell> {
    let text = |key: &str| match &process[key] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    let short = name.strip_prefix("default.").unwrap_or(name);
    let mut cells = vec![short.into()];
    cells.extend(["pid", "os_pid", "cpu", "mem", "mem_info1", "ctime"].map(|key| text(key).into()));
    // What a program calls itself must not steer the terminal.
    cells.push(text("cmdline").chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().into());
    cells
}

/// A line of a table whose widths are not known beforehand.
fn line(cells: impl Iterator<Item = String>) -> String {
    let widths: [isize; 8] = [-16, 6, 8, 6, 6, 6, 10, 0];
    let mut out = String::new();
    for (cell, width) in cells.zip(widths) {
        let wide = width.unsigned_abs();
        out.push_str(&if width < 0 { format!("{cell:<wide$}") } else { format!(" {cell:>wide$}") });
    }
    format!("{}\n", out.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn flags() {
        let args = ["--watch", "--interval", "500ms", "web", "x*"].map(Into::into);
        let Ok(Asked::Run(asked)) = command().parse(args) else { panic!() };
        assert_eq!((asked.watch, asked.interval), (true, Some(Duration::from_millis(500))));
        assert_eq!(asked.names, ["web", "x*"]);
        for line in ["--interval 1", "--watch --interval 0.01"] {
            assert!(command().parse(line.split_whitespace().map(Into::into)).is_err(), "{line}");
        }
    }

    #[test]
    fn rows() {
        let process = json!({"pid": 3, "os_pid": 77, "cpu": null, "mem": 0.5, "mem_info1": "3M", "ctime": "0:01.00",
            "cmdline": ["sleep", "1\u{1b}[2J"]});
        let text = text(&[json!({"name": "default.web", "stats": [process]}), json!({"name": "x.y", "stats": []})]);
        assert_eq!(
            text,
            "NAME  PID  OS-PID  CPU%  MEM%  RSS     TIME  COMMAND\nweb     3      77     -   0.5   3M  0:01.00  sleep 1 [2J\n"
        );
        let line = line(cells("shop.web", &process).iter().map(|cell| cell.text(false)));
        assert_eq!(line, "shop.web              3       77      -    0.5     3M    0:01.00 sleep 1 [2J\n");
    }
}
