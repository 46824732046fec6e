//! Jobs as files and the HTTP API give them.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::foreign;
use super::keys::{self, Fault, Given, Key, Parsed, seconds};
use super::shown::{Shown, choice, texts, unless};
use crate::process::{
    Backoff, DEFAULT_SESSION, Flapping, JobConfig, JobName, LOGFILE_BACKUPS, LOGFILE_MAXBYTES, LogFormat, MAX_BACKUPS,
    MIN_MAXBYTES, Restart, Signal, Stdio, UserRef,
};
use crate::suggest::hint;
use crate::table::{MAX_ATTEMPTS, MAX_PROCESSES};
use crate::{Error, ErrorKind, Result, words};

/// A job of a configuration: its definition and what to do with it when it is loaded.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Job {
    /// The definition.
    pub config: JobConfig,
    /// Start it when it is loaded. Default true.
    pub start: bool,
    /// Jobs start in ascending order of this number, those without one last; equal ones in the order of the file.
    /// Default none.
    pub priority: Option<i64>,
}

impl Job {
    /// A job to start, in no particular order.
    #[must_use]
    pub fn new(config: JobConfig) -> Self {
        Self { config, start: true, priority: None }
    }
}

/// Reads a job as the HTTP API takes it, and whether to start it.
///
/// The keys are those of an ini file (`cmd`, `args`, `numprocesses` …) and `name`, `session` (also `group`, `sessionid`)
/// and `env`, an object. The name may be `label`, `session.label`, `session/label` or `session:label`; `session`
/// is that of the address, if it has one. Numbers and booleans are JSON's; `null` is as good as nothing; `args` may be a list or a text
/// that is split like a command line, `flapping` an object or a text. Nothing is replaced in texts.
///
/// ```
/// use gaffer::config::{job_from_json, job_to_json};
///
/// let value = serde_json::json!({"name": "web", "cmd": "bin/web", "args": "-p $PORT", "start": false});
/// let (job, start) = job_from_json(&value, Some("shop"))?;
/// assert_eq!((job.name.as_str(), &job.args[..], start), ("shop.web", &["-p".to_owned(), "$PORT".to_owned()][..], false));
/// assert_eq!(job_from_json(&job_to_json(&job), None)?.0, job);
///
/// let e = job_from_json(&serde_json::json!({"name": "web", "cmd": "x", "numprocesses": "two"}), None).unwrap_err();
/// assert_eq!(e.to_string(), r#"numprocesses: expected a whole number, found "two""#);
/// # Ok::<(), gaffer::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::Invalid`] for anything but an object, a missing `name` or `cmd`, an unknown key (with the nearest one), a
/// wrong value, and two different sessions.
pub fn job_from_json(value: &Value, session: Option<&str>) -> Result<(JobConfig, bool)> {
    let invalid = |what: String| Error::new(ErrorKind::Invalid, what);
    let Value::Object(members) = value else {
        return Err(invalid(format!("a job: expected an object, found {}", Given::Json(value).found())));
    };
    let mut draft = Draft::new(session);
    for (name, value) in members {
        keys::set(KEYS, foreign::of_job, &mut draft, "a job", name, Given::Json(value)).map_err(
            |fault| match fault {
                Fault::Unknown(what) => invalid(what),
                Fault::Value(what) => invalid(about(name, &what)),
            },
        )?;
    }
    let job = draft.finish().map_err(|(key, what)| match key {
        Some(key) => invalid(about(key, &what)),
        None => invalid(format!("a job {what}")),
    })?;
    Ok((job.config, job.start))
}

/// Writes a job as [`job_from_json`] reads it: name, command, number of processes, and what is not the default.
///
/// `session` is left out where it is the default one. Custom channels are descriptors and cannot be written.
#[must_use]
pub fn job_to_json(config: &JobConfig) -> Value {
    Value::Object(definition(config))
}

/// Appends what [`job_to_json`] makes as text, in the order of the documentation and without the tree, which takes most of the
/// time.
pub(crate) fn write_job(config: &JobConfig, out: &mut Vec<u8>) {
    let start = out.len();
    each(config, &mut |_, text, value| {
        out.extend_from_slice(text.as_bytes());
        value.write(out);
    });
    // There is always a name, and its comma.
    out[start] = b'{';
    out.push(b'}');
}

fn definition(config: &JobConfig) -> Map<String, Value> {
    let mut members = Map::new();
    each(config, &mut |name, _, value| drop(members.insert(name.to_owned(), value.into())));
    members
}

/// A job with what belongs to the list of jobs, not to the definition.
pub(super) fn to_map(job: &Job) -> Map<String, Value> {
    let mut members = definition(&job.config);
    if !job.start {
        members.insert("start".to_owned(), false.into());
    }
    if let Some(priority) = job.priority {
        members.insert("priority".to_owned(), priority.into());
    }
    members
}

/// `key: what`, or `key[0]: what` where the message begins with the way to what it is about.
pub(super) fn about(key: &str, what: &str) -> String {
    let colon = if what.starts_with(['[', '.']) { "" } else { ": " };
    format!("{key}{colon}{what}")
}

/// `label`, `session.label`, `session/label` or `session:label`.
pub(crate) fn parse_name(name: &str, session: Option<&str>) -> Result<JobName> {
    let own = name.split_once([':', '.', '/']);
    match (own, session) {
        (None, session) => JobName::new(session.unwrap_or(DEFAULT_SESSION), name),
        (Some((own, _)), Some(session)) if own != session => {
            Err(Error::new(ErrorKind::Invalid, format!("the session is {session:?} here, but {own:?} in {name:?}")))
        }
        (Some((own, label)), _) => JobName::new(own, label),
    }
}

/// A job while it is read.
pub(super) struct Draft {
    pub(super) name: Option<String>,
    session: Option<String>,
    /// The session that stands elsewhere.
    given_session: Option<String>,
    has_cmd: bool,
    pub(super) job: Job,
}

impl Draft {
    pub(super) fn new(session: Option<&str>) -> Self {
        let unnamed = JobName::new(DEFAULT_SESSION, "unnamed").expect("a job's name");
        Self {
            name: None,
            session: None,
            given_session: session.map(str::to_owned),
            has_cmd: false,
            job: Job::new(JobConfig::named(unnamed, "")),
        }
    }

    /// The job, or the key that is at fault and what is wrong with it.
    pub(super) fn finish(mut self) -> Result<Job, (Option<&'static str>, String)> {
        let Some(name) = &self.name else { return Err((None, "has no `name`".to_owned())) };
        let fault = |e: Error| (Some("name"), e.to_string());
        let mut session = self.given_session.as_deref();
        if let Some(own) = self.session.as_deref() {
            if let Some(given) = session.filter(|given| *given != own) {
                return Err((Some("session"), format!("the session is {given:?} here, found {own:?}")));
            }
            session = Some(own);
        }
        self.job.config.name = parse_name(name, session).map_err(fault)?;
        if !self.has_cmd {
            return Err((None, "has no `cmd`".to_owned()));
        }
        if !self.job.config.shell {
            if let Err((column, what)) = words::split_or_fault(&self.job.config.cmd) {
                return Err((Some("cmd"), format!("character {column}: {what}")));
            }
        }
        Ok(self.job)
    }
}

const RESTART: &[(&str, Restart)] = &[
    ("always", Restart::Always),
    ("on-failure", Restart::OnFailure),
    ("on-success", Restart::OnSuccess),
    ("never", Restart::Never),
];
const LOG_FORMAT: &[(&str, LogFormat)] =
    &[("raw", LogFormat::Raw), ("prefix", LogFormat::Prefix), ("json", LogFormat::Json)];
const STDIO: &[(&str, Stdio)] = &[("null", Stdio::Null), ("inherit", Stdio::Inherit)];

macro_rules! table {
    ($($name:literal $(or $alias:literal)*: $set:expr, $get:expr;)*) => {
        &[$(Key { name: $name, aliases: &[$($alias),*], set: $set, get: $get }),*]
    };
}
pub(super) use table;

/// The same for a definition, which is written so often that the values are lent.
macro_rules! definition {
    ($($name:literal $(or $alias:literal)*: $set:expr, $get:expr;)*) => {
        /// All keys of a job, in the order of the documentation; [`each`] writes them.
        pub(super) static KEYS: &[Key<Draft>] =
            &[$(Key { name: $name, aliases: &[$($alias),*], set: $set, get: |_| None }),*];

        /// Calls `put` with what is not the default: the key, the start of the member in JSON, with a comma before it, and the
        /// value. The names have nothing to escape.
        fn each<'c>(config: &'c JobConfig, put: &mut dyn FnMut(&'static str, &'static str, Shown<'c>)) {
            $(
                let get: fn(&'c JobConfig) -> Option<Shown<'c>> = $get;
                if let Some(value) = get(config) {
                    put($name, concat!(",\"", $name, "\":"), value);
                }
            )*
        }
    };
}

definition! {
    "name": |d, _, v| match d.name {
        None => v.text().map(|name| d.name = Some(name.to_owned())),
        Some(_) => Err("the section has the name already".to_owned()),
    }, |c| Some(c.name.label().into());
    "session" or "group" or "sessionid": |d, _, v| set_session(d, v),
        |c| Some(c.name.session()).filter(|session| *session != DEFAULT_SESSION).map(Shown::from);
    "cmd": |d, _, v| {
        v.text()?.clone_into(&mut d.job.config.cmd);
        d.has_cmd = true;
        Ok(())
    }, |c| Some(c.cmd.as_str().into());
    "args": |d, _, v| v.words().map(|args| d.job.config.args = args), |c| texts(&c.args);
    "shell": |d, _, v| v.boolean().map(|shell| d.job.config.shell = shell), |c| unless(c.shell, false);
    "env": |d, _, v| set_env(d, v), |c| (!c.env.is_empty()).then_some(Shown::Variables(&c.env));
    "env.*": |d, name, v| add_env(d, name.strip_prefix("env.").unwrap_or(name), v), |_| None;
    "os_env": |d, _, v| v.boolean().map(|os_env| d.job.config.os_env = os_env),
        |c| unless(c.os_env, true);
    "port": |d, _, v| v.number(1, 65535).map(|port| d.job.config.port = u16::try_from(port).ok()),
        |c| c.port.map(|port| Shown::Value(port.into()));
    "ps": |d, _, v| v.boolean().map(|ps| d.job.config.ps = ps), |c| unless(c.ps, false);
    "cwd": |d, _, v| v.optional().map(|cwd| d.job.config.cwd = cwd.map(Into::into)),
        |c| c.cwd.as_ref().map(|cwd| cwd.to_string_lossy().into());
    "uid": |d, _, v| user(v).map(|uid| d.job.config.uid = uid), |c| c.uid.as_ref().map(user_shown);
    "gid": |d, _, v| user(v).map(|gid| d.job.config.gid = gid), |c| c.gid.as_ref().map(user_shown);
    "umask": |d, _, v| v.octal(0o777).map(|umask| d.job.config.umask = Some(umask)),
        |c| c.umask.map(|umask| Shown::Value(format!("{umask:03o}").into()));
    "tty": |d, _, v| v.boolean().map(|tty| d.job.config.tty = tty),
        |c| unless(c.tty, false);
    "detach": |d, _, v| v.boolean().map(|detach| d.job.config.detach = detach),
        |c| unless(c.detach, false);
    "numprocesses": |d, _, v| v.number(0, MAX_PROCESSES).map(|n| d.job.config.numprocesses = n),
        |c| Some(Shown::Number(c.numprocesses.into()));
    "start": |d, _, v| v.boolean().map(|start| d.job.start = start), |_| None;
    "priority": |d, _, v| v.whole(i64::MIN, i64::MAX).map(|priority| d.job.priority = Some(priority)),
        |_| None;
    "restart": |d, _, v| v.one_of(RESTART).map(|restart| d.job.config.restart = restart),
        |c| choice(RESTART, c.restart, Restart::Always);
    "flapping": |d, _, v| flapping(v).map(|rule| d.job.config.flapping = rule),
        |c| c.flapping.map(|rule| flapping_json(rule).into());
    "backoff": |d, _, v| backoff(v).map(|pace| d.job.config.backoff = pace),
        |c| backoff_json(c.backoff).map(Shown::from);
    "redirect_output": |d, _, v| labels(v, 2).map(|labels| d.job.config.redirect_output = labels),
        |c| texts(&c.redirect_output);
    "stdout_logfile": |d, _, v| v.optional().map(|path| d.job.config.stdout_logfile = path.map(Into::into)),
        |c| c.stdout_logfile.as_ref().map(|path| path.to_string_lossy().into());
    "stderr_logfile": |d, _, v| v.optional().map(|path| d.job.config.stderr_logfile = path.map(Into::into)),
        |c| c.stderr_logfile.as_ref().map(|path| path.to_string_lossy().into());
    "logfile_maxbytes": |d, _, v| v.bytes_or_zero(MIN_MAXBYTES).map(|n| d.job.config.logfile_maxbytes = n),
        |c| unless(c.logfile_maxbytes, LOGFILE_MAXBYTES);
    "logfile_backups": |d, _, v| v.number(0, MAX_BACKUPS).map(|n| d.job.config.logfile_backups = n),
        |c| unless(c.logfile_backups, LOGFILE_BACKUPS);
    "logfile_total": |d, _, v| v.bytes().map(|n| d.job.config.logfile_total = Some(n)),
        |c| c.logfile_total.map(|n| Shown::Value(n.into()));
    "log_format": |d, _, v| v.one_of(LOG_FORMAT).map(|format| d.job.config.log_format = format),
        |c| choice(LOG_FORMAT, c.log_format, LogFormat::Raw);
    "redirect_input": |d, _, v| v.boolean().map(|input| d.job.config.redirect_input = input),
        |c| unless(c.redirect_input, false);
    "custom_streams": |d, _, v| labels(v, MAX_STREAMS).map(|labels| d.job.config.custom_streams = labels),
        |c| texts(&c.custom_streams);
    "stdio": |d, _, v| v.one_of(STDIO).map(|stdio| d.job.config.stdio = stdio),
        |c| choice(STDIO, c.stdio, Stdio::Null);
    "graceful_timeout": |d, _, v| v.seconds().map(|timeout| d.job.config.graceful_timeout = timeout), |c| {
        let timeout = c.graceful_timeout;
        (timeout != Duration::from_secs(30)).then(|| seconds(timeout).into())
    };
    "stop_signal": |d, _, v| signal(v).map(|signal| d.job.config.stop_signal = signal), |c| {
        let signal = c.stop_signal;
        let named = || signal.name().map_or_else(|| signal.number().into(), Value::from);
        (signal != Signal::TERM).then(named).map(Shown::from)
    };
    "log_history": |d, _, v| v.bytes_or_none().map(|bytes| d.job.config.log_history = Some(bytes)),
        |c| c.log_history.map(|n| Shown::Value(n.into()));
}

/// More descriptors than this a program does not know what to do with.
const MAX_STREAMS: usize = 64;

fn set_session(draft: &mut Draft, given: Given<'_>) -> Parsed<()> {
    let session = given.optional()?;
    if let Some(session) = session {
        JobName::new(session, "any").map_err(|e| e.to_string())?;
    }
    draft.session = session.map(str::to_owned);
    Ok(())
}

fn set_env(draft: &mut Draft, given: Given<'_>) -> Parsed<()> {
    match given {
        Given::Json(Value::Object(members)) => members.iter().try_for_each(|(name, value)| {
            add_env(draft, name, Given::Json(value)).map_err(|what| format!(".{name}: {what}"))
        }),
        Given::Json(_) => given.expected("an object"),
        // As in `env:NAME = value`, where the first `:` ends the key.
        Given::Text(_) => Err("write `env.NAME = value` here, or a section [env:JOB]".to_owned()),
    }
}

pub(super) fn add_env(draft: &mut Draft, name: &str, given: Given<'_>) -> Parsed<()> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(format!("{name:?} is not a variable's name"));
    }
    let value = match given {
        Given::Json(Value::Number(number)) => number.to_string(),
        given => given.optional()?.unwrap_or_default().to_owned(),
    };
    if draft.job.config.env.insert(name.to_owned(), value).is_some() {
        return Err(format!("the variable {name} is given twice"));
    }
    Ok(())
}

pub(super) fn user(given: Given<'_>) -> Parsed<Option<UserRef>> {
    match given {
        Given::Json(Value::Number(number)) => match number.as_u64().and_then(|id| u32::try_from(id).ok()) {
            Some(id) => Ok(Some(UserRef::Id(id))),
            None => given.expected("a name or number"),
        },
        Given::Json(Value::String(_)) | Given::Text(_) => Ok(given.optional()?.map(UserRef::from)),
        Given::Json(_) => given.expected("a name or number"),
    }
}

fn user_shown(user: &UserRef) -> Shown<'_> {
    match user {
        UserRef::Id(id) => Shown::Value((*id).into()),
        UserRef::Name(name) => name.as_str().into(),
    }
}

fn labels(given: Given<'_>, max: usize) -> Parsed<Vec<String>> {
    let labels = given.list()?;
    if labels.len() > max {
        return Err(format!("expected at most {max} labels, found {}", labels.len()));
    }
    match labels.iter().find(|label| label.is_empty() || label.contains('/')) {
        Some(bad) => Err(format!("{bad:?} is no label: it must not be empty nor contain '/'")),
        None => Ok(labels),
    }
}

fn signal(given: Given<'_>) -> Parsed<Signal> {
    let signal = match given {
        Given::Json(Value::Number(number)) => number.as_i64().and_then(|n| Signal::new(i32::try_from(n).ok()?).ok()),
        Given::Text(text) => text.parse().ok(),
        Given::Json(value) => value.as_str().and_then(|text| text.parse().ok()),
    };
    // Signal 0 ends nothing.
    signal
        .filter(|signal| signal.number() > 0)
        .map_or_else(|| given.expected("a signal's name such as TERM, or its number"), Ok)
}

/// `attempts, window, retry_in, max_retry`; what is left out at the end has its default.
fn flapping(given: Given<'_>) -> Parsed<Option<Flapping>> {
    const FORM: &str = "`attempts, window, retry_in, max_retry` such as 2, 1., 7., 5";
    let text = match given {
        Given::Text(text) => text,
        Given::Json(Value::String(text)) => text,
        Given::Json(Value::Bool(false)) => return Ok(None),
        Given::Json(Value::Object(members)) => return flapping_from_json(members).map(Some),
        Given::Json(_) => return given.expected("an object, or text"),
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    let parts: Vec<&str> =
        if text.contains(',') { text.split(',').map(str::trim).collect() } else { text.split_whitespace().collect() };
    let numbers: Vec<f64> = parts.iter().filter_map(|part| keys::decimal(part)).collect();
    if numbers.len() < parts.len() || parts.len() > 4 {
        return given.expected(FORM);
    }
    let members = ["attempts", "window", "retry_in", "max_retry"].iter().zip(numbers);
    flapping_from_json(&members.map(|(name, value)| ((*name).to_owned(), keys::number(value))).collect()).map(Some)
}

static FLAPPING: &[Key<Flapping>] = table! {
    "attempts": |f, _, v| v.number(1, MAX_ATTEMPTS).map(|n| f.attempts = n), |f| Some(f.attempts.into());
    "window": |f, _, v| v.some_seconds().map(|window| f.window = window), |f| Some(seconds(f.window));
    "retry_in": |f, _, v| v.seconds().map(|retry_in| f.retry_in = retry_in), |f| Some(seconds(f.retry_in));
    "max_retry": |f, _, v| v.number(0, u32::MAX).map(|n| f.max_retry = n), |f| Some(f.max_retry.into());
};

static BACKOFF: &[Key<Backoff>] = table! {
    "first": |b, _, v| v.seconds().map(|first| b.first = first), |b| Some(seconds(b.first));
    "max": |b, _, v| v.seconds().map(|max| b.max = max), |b| Some(seconds(b.max));
};

/// The members of an object that is a value.
fn from_members<T>(table: &[Key<T>], mut target: T, members: &Map<String, Value>) -> Parsed<T> {
    for (name, value) in members {
        keys::set(table, |_| None, &mut target, "it", name, Given::Json(value)).map_err(|fault| match fault {
            Fault::Unknown(_) => format!("there is no `{name}`{}", hint(name, table.iter().map(|key| key.name))),
            Fault::Value(what) => format!(".{name}: {what}"),
        })?;
    }
    Ok(target)
}

fn flapping_from_json(given: &Map<String, Value>) -> Parsed<Flapping> {
    from_members(FLAPPING, Flapping::default(), given)
}

fn flapping_json(rule: Flapping) -> Value {
    Value::Object(keys::write(FLAPPING, &rule))
}

/// The first pause and the longest, or the first alone; 0 switches it off.
fn backoff(given: Given<'_>) -> Parsed<Backoff> {
    const FORM: &str = "the first and the longest pause in seconds, such as 0.1, 5";
    let pace = match given {
        Given::Json(Value::Object(given)) => from_members(BACKOFF, Backoff::default(), given)?,
        Given::Json(Value::Number(_)) => one_pause(given.seconds()?),
        Given::Json(Value::String(text)) => backoff_from_text(text).map_or_else(|| given.expected(FORM), Ok)?,
        Given::Text(text) => backoff_from_text(text).map_or_else(|| given.expected(FORM), Ok)?,
        Given::Json(_) => return given.expected(FORM),
    };
    if pace.first > pace.max {
        return Err("the first pause is longer than the longest".to_owned());
    }
    Ok(pace)
}

fn backoff_from_text(text: &str) -> Option<Backoff> {
    let parts = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty());
    let pauses: Vec<Duration> = parts.map(|part| Given::Text(part).seconds().ok()).collect::<Option<_>>()?;
    match pauses[..] {
        [first] => Some(one_pause(first)),
        [first, max] => Some(Backoff::new(first, max)),
        _ => None,
    }
}

fn one_pause(first: Duration) -> Backoff {
    if first.is_zero() { Backoff::OFF } else { Backoff::new(first, first.max(Backoff::default().max)) }
}

fn backoff_json(pace: Backoff) -> Option<Value> {
    (pace != Backoff::default()).then(|| json!({"first": seconds(pace.first), "max": seconds(pace.max)}))
}

#[cfg(test)]
mod tests;
