//! `gafferd.ini`.
//!
//! Escapes, as [`interpolate`](super::super::interpolate) undoes them: `%` is `%%`, and outside of `cmd` and `args` `${` is
//! `$${`. An ini file keeps neither blanks at the ends of a value or line nor lines that begin with `#` or `;`, so what was
//! written is read back and compared: a job that an ini file cannot hold is refused.

use std::path::Path;

use serde_json::Value;

use super::super::gafferd::{GafferdConfig, Sources};
use super::super::ini::{Entry, Ini, Section};
use super::super::job::to_map;
use super::{Exported, invalid};
use crate::config::Job;
use crate::process::DEFAULT_SESSION;
use crate::{Result, words};

pub(super) fn write(jobs: &[Job]) -> Result<Exported> {
    for job in jobs {
        let text = Ini { sections: vec![section(job)] }.to_string();
        let back =
            read(&text).map_err(|e| invalid(&job.config, format!("an ini file cannot hold it ({e}); use json")))?;
        if let Some(key) = difference(job, &back) {
            return Err(invalid(&job.config, format!("an ini file cannot hold its `{key}`; use json")));
        }
    }
    Ok(Exported::one("gafferd.ini", Ini { sections: jobs.iter().map(section).collect() }.to_string()))
}

fn read(text: &str) -> Result<Vec<Job>> {
    let sources = Sources {
        read: &|_| Ok(text.to_owned()),
        list_dir: &|_| Ok(Vec::new()),
        environment: &|_| None,
        current_dir: Path::new("/"),
    };
    GafferdConfig::read(Path::new("gafferd.ini"), &sources).map(|config| config.jobs)
}

/// The first key that was not read as it was written. Custom channels cannot be written at all.
fn difference(job: &Job, back: &[Job]) -> Option<String> {
    let [back] = back else { return Some("cmd".to_owned()) };
    let (ours, theirs) = (to_map(job), to_map(back));
    let keys = ours.keys().chain(theirs.keys());
    keys.into_iter().find(|key| ours.get(*key) != theirs.get(*key)).cloned()
}

fn section(job: &Job) -> Section {
    let name = &job.config.name;
    let name = match name.session() {
        DEFAULT_SESSION => name.label().to_owned(),
        session => format!("{session}:{}", name.label()),
    };
    let mut entries = Vec::new();
    let mut put = |key: String, value: String| {
        entries.push(Entry { key, value, line: 0, column: 0, value_column: 0 });
    };
    for (key, value) in to_map(job) {
        match (key.as_str(), &value) {
            ("name" | "session", _) => {}
            ("env", Value::Object(variables)) => {
                for (name, value) in variables {
                    put(format!("env.{name}"), escape(&text(value)));
                }
            }
            ("cmd", value) => put(key, text(value).replace('%', "%%")),
            ("args", Value::Array(args)) => {
                put(key, words::join(args.iter().map(text)).replace('%', "%%"));
            }
            ("flapping" | "backoff", Value::Object(members)) => {
                // In the order in which the text has them.
                let order = ["attempts", "window", "retry_in", "max_retry", "first", "max"];
                let values = order.iter().filter_map(|name| members.get(*name)).map(text);
                put(key, values.collect::<Vec<_>>().join(", "));
            }
            (_, Value::Array(items)) => put(key, escape(&items.iter().map(text).collect::<Vec<_>>().join(", "))),
            _ => put(key, escape(&text(&value))),
        }
    }
    Section { name: format!("job:{name}"), line: 0, column: 0, entries }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn escape(value: &str) -> String {
    value.replace('%', "%%").replace("${", "$${")
}
