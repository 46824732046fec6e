//! From a job's definition to what the operating system is asked to run.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};

use super::inlets::STDIN;
use super::logs;
use crate::process::JobConfig;
use crate::suggest::excerpt;
use crate::sys::users;
use crate::{Error, ErrorKind, Result, substitute, words};

/// What one process runs.
pub(super) struct Launch {
    /// The program and its arguments; never empty.
    pub(super) argv: Vec<OsString>,
    pub(super) env: BTreeMap<OsString, OsString>,
}

/// Checks that a definition can run, as far as that can be known before a process is started, and
/// returns the first process's command line.
pub(super) fn check(config: &JobConfig) -> Result<Vec<OsString>> {
    let name = &config.name;
    let about = |e: Error| e.context(format_args!("job '{name}'"));
    let invalid = |what: String| about(Error::new(ErrorKind::Invalid, what));

    let texts = [("cmd", config.cmd.as_str())].into_iter();
    let texts = texts.chain(config.args.iter().map(|arg| ("args", arg.as_str())));
    let texts = texts.chain(config.env.iter().flat_map(|(k, v)| [("env", k.as_str()), ("env", v.as_str())]));
    for (field, text) in texts {
        if text.contains('\0') {
            return Err(invalid(format!("{field}: a NUL byte cannot be passed to a program")));
        }
    }
    if let Some(bad) = config.env.keys().find(|key| key.is_empty() || key.contains('=')) {
        return Err(invalid(format!("env: {bad:?} is not a variable's name")));
    }
    if let Some(flapping) = config.flapping {
        if flapping.attempts == 0 || flapping.window.is_zero() {
            return Err(invalid("flapping: attempts and window must be more than 0".to_owned()));
        }
    }
    if let Some(umask) = config.umask.filter(|umask| *umask > 0o777) {
        return Err(invalid(format!("umask: {umask:o} is more than 777")));
    }
    if config.redirect_output.len() > 2 {
        let n = config.redirect_output.len();
        return Err(invalid(format!("redirect_output: {n} labels, but only stdout and stderr can be redirected")));
    }
    if config.tty && config.redirect_output.is_empty() && config.stdout_logfile.is_none() {
        return Err(invalid("tty: redirect_output must name the stream that the terminal's output goes to".to_owned()));
    }
    config.check_logs().map_err(about)?;
    for file in config.logfiles() {
        let _ = logs::resolve(file).map_err(about)?;
    }
    let mut labels: HashSet<&str> = config.redirect_output.iter().map(String::as_str).collect();
    labels.extend(config.outlets().iter().map(|outlet| outlet.label));
    for label in &config.custom_streams {
        if label == STDIN || !labels.insert(label) {
            return Err(invalid(format!("custom_streams: the label {label:?} is taken")));
        }
    }
    if labels.iter().any(|label| label.is_empty() || label.contains(['/', '\0'])) {
        return Err(invalid("a stream's label must not be empty nor contain '/'".to_owned()));
    }
    if let Some(port) = config.port {
        port_of(port, config.numprocesses.max(1)).map_err(about)?;
    }
    users::resolve(config.uid.as_ref(), config.gid.as_ref()).map_err(about)?;
    Ok(resolve(config, 1, &BTreeMap::new()).map_err(about)?.argv)
}

/// The command line and environment of the job's process number `instance`; `extra` variables win.
pub(super) fn resolve(config: &JobConfig, instance: u32, extra: &BTreeMap<String, String>) -> Result<Launch> {
    let mut env: BTreeMap<OsString, OsString> =
        if config.os_env { std::env::vars_os().collect() } else { BTreeMap::new() };
    if let Some(base) = config.port {
        env.insert("PORT".into(), port_of(base, instance)?.to_string().into());
    }
    if config.ps {
        env.insert("PS".into(), format!("{}.{instance}", config.name.label()).into());
    }
    // A PORT or PS that the job sets itself is what it wants.
    for (name, value) in config.env.iter().chain(extra) {
        env.insert(name.into(), value.into());
    }
    Ok(Launch { argv: argv(config, &env)?, env })
}

/// The port of process number `instance`.
fn port_of(base: u16, instance: u32) -> Result<u16> {
    let port = u64::from(base) + u64::from(instance.saturating_sub(1));
    u16::try_from(port)
        .map_err(|_| Error::new(ErrorKind::Invalid, format!("PORT {port} of process {instance} is above 65535")))
}

/// Spec 3: `cmd` is split as a shell splits words, then `args` follow, then variables are replaced;
/// with `shell` the line goes to `/bin/sh -c` as it is, and `args` are its positional parameters.
fn argv(config: &JobConfig, env: &BTreeMap<OsString, OsString>) -> Result<Vec<OsString>> {
    if config.cmd.trim().is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "cmd: it is empty"));
    }
    if config.shell {
        // `sh -c line name arg…`: the word after the line is $0.
        let mut argv: Vec<OsString> = vec!["/bin/sh".into(), "-c".into(), (&config.cmd).into()];
        if !config.args.is_empty() {
            argv.push("sh".into());
            argv.extend(config.args.iter().map(OsString::from));
        }
        return Ok(argv);
    }
    let lookup = |name: &str| env.get(OsStr::new(name)).map(|value| value.to_string_lossy());
    let words = words::split(&config.cmd).map_err(|e| e.context("cmd"))?;
    let words = words.into_iter().map(|word| ("cmd", Cow::Owned(word)));
    let words = words.chain(config.args.iter().map(|arg| ("args", Cow::Borrowed(arg.as_str()))));
    let replaced = |(key, word): (&str, Cow<'_, str>)| {
        let outcome = substitute::substitute(&word, lookup).map(OsString::from);
        outcome.map_err(|e| e.context(format_args!("{key}: in {}", excerpt(&word))))
    };
    let argv: Vec<OsString> = words.map(replaced).collect::<Result<_>>()?;
    if argv[0].is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "cmd: the program's name is empty"));
    }
    Ok(argv)
}
