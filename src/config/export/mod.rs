//! Jobs in the forms of other tools, and in our own.
//!
//! [`export`] is pure: jobs in, texts out. What a target cannot say is in [`Exported::notes`]; what would be wrong there,
//! rather than left out, is an error.
//!
//! | format | files | what becomes of an instance |
//! |---|---|---|
//! | `ini`, `json` | one, which gafferd loads into the same jobs | `numprocesses` |
//! | `systemd` | a unit for each process, and a target for each application | a unit, with its own `PORT` and `PS` |
//! | `supervisord` | one | a program where it has a `PORT` or `PS` of its own, else `numprocs` |
//! | `compose` | one | a service where it has a `PORT` or `PS` of its own, else `scale` |
//! | `Procfile` | one | is for `-c` to say |

mod command;
mod compose;
mod ini;
mod procfile;
mod supervisord;
mod systemd;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::json;

use super::Job;
use super::job::to_map;
use crate::process::{JobConfig, Signal};
use crate::suggest::hint;
use crate::{Error, ErrorKind, Result};

/// What jobs are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `gafferd.ini`.
    Ini,
    /// Its JSON twin.
    Json,
    /// Units of systemd.
    Systemd,
    /// The configuration of supervisord.
    Supervisord,
    /// A file of Docker Compose.
    Compose,
    /// A Procfile.
    Procfile,
}

const NAMES: [(&str, Format); 6] = [
    ("ini", Format::Ini),
    ("json", Format::Json),
    ("systemd", Format::Systemd),
    ("supervisord", Format::Supervisord),
    ("compose", Format::Compose),
    ("Procfile", Format::Procfile),
];

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, format)| *format).ok_or_else(|| {
            let names = NAMES.map(|(name, _)| name);
            let what = format!("expected {}{}", names.join(", "), hint(text, names));
            Error::new(ErrorKind::Invalid, what)
        })
    }
}

/// Files for a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Their names and texts. Only systemd has several.
    pub files: Vec<(String, String)>,
    /// What the target does not do as gaffer does, each with the job it is about.
    pub notes: Vec<String>,
}

impl Exported {
    fn one(name: &str, text: String) -> Self {
        Self { files: vec![(name.to_owned(), text)], notes: Vec::new() }
    }

    fn note(&mut self, job: &JobConfig, what: impl fmt::Display) {
        let note = format!("{}: {what}", job.name.short());
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// Writes jobs for a target.
///
/// Environment variables that a command refers to are put in where the job's definition has them; others stay references as far as
/// the target knows such.
///
/// ```
/// use gaffer::config::export::{Format, export};
/// use gaffer::config::{Job, Procfile};
/// use gaffer::process::JobConfig;
///
/// let job = Job::new(JobConfig::new("web", "bin/web -p $PORT")?.port(5000));
/// let procfile = &export(&[job], Format::Procfile)?.files[0].1;
/// assert_eq!(Procfile::parse(procfile, "Procfile")?.entries[0].command, "bin/web -p \"${PORT}\"");
/// # Ok::<(), gaffer::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::Invalid`] with the job, for a command that is none, and for a value that cannot be written there.
pub fn export(jobs: &[Job], format: Format) -> Result<Exported> {
    let mut exported = match format {
        Format::Ini => ini::write(jobs)?,
        Format::Json => {
            let jobs: Vec<_> = jobs.iter().map(to_map).collect();
            Exported::one("gafferd.json", format!("{:#}\n", json!({ "jobs": jobs })))
        }
        Format::Systemd => systemd::write(jobs)?,
        Format::Supervisord => supervisord::write(jobs)?,
        Format::Compose => compose::write(jobs)?,
        Format::Procfile => procfile::write(jobs)?,
    };
    for job in jobs.iter().filter(|job| !job.config.custom_channels.is_empty()) {
        exported.note(&job.config, "custom channels are descriptors of a program and are left out");
    }
    Ok(exported)
}

/// One process of a job, for targets that know of no instances.
struct Instance {
    /// From 1.
    n: u32,
    /// The job's variables with the `PORT` and the `PS` of this process.
    env: BTreeMap<String, String>,
}

/// Whether its processes have environments of their own.
fn differ(job: &JobConfig) -> bool {
    job.numprocesses > 1
        && (job.port.is_some() && !job.env.contains_key("PORT") || job.ps && !job.env.contains_key("PS"))
}

fn instances(job: &JobConfig) -> Result<Vec<Instance>> {
    (1..=job.numprocesses).map(|n| Ok(Instance { n, env: environment(job, n)? })).collect()
}

fn environment(job: &JobConfig, n: u32) -> Result<BTreeMap<String, String>> {
    let mut env = job.env.clone();
    if let Some(base) = job.port {
        let port = u64::from(base) + u64::from(n) - 1;
        if port > 65535 {
            return Err(invalid(job, format!("PORT {port} of process {n} is above 65535")));
        }
        env.entry("PORT".to_owned()).or_insert_with(|| port.to_string());
    }
    if job.ps {
        env.entry("PS".to_owned()).or_insert_with(|| format!("{}.{n}", job.name.label()));
    }
    Ok(env)
}

fn invalid(job: &JobConfig, what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Invalid, format!("job {}: {what}", job.name.short()))
}

/// `SIGTERM`, or the number of one without a name.
fn signal(signal: Signal) -> String {
    signal.name().map_or_else(|| signal.number().to_string(), str::to_owned)
}

/// What no other tool has.
fn common_notes(exported: &mut Exported, job: &JobConfig) {
    if !job.custom_streams.is_empty() {
        exported.note(job, "custom_streams are left out: nobody would read descriptors 3 and up");
    }
    if job.detach {
        exported.note(job, "detach is left out");
    }
    if job.log_history.is_some() {
        exported.note(job, "log_history is left out");
    }
}

#[cfg(test)]
mod tests;
