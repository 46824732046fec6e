//! The configuration of supervisord.
//!
//! Escapes, from supervisord's documentation and its `options.py`: all values are Python format strings, so `%` is `%%`. Its
//! ini reader ends a value at a `;` or `#` after a blank, quoted or not. In a command, which is split as a shell splits,
//! a backslash stands between them. `environment` is read by Python's `shlex` without its escapes, and quotes at the ends of a
//! value are lost, so a value with more than ordinary characters goes by `/usr/bin/env` in the command instead.

use std::fmt::Write;

use super::command::{Piece, words};
use super::{Exported, common_notes, differ, environment, instances, invalid};
use crate::Result;
use crate::config::Job;
use crate::process::{JobConfig, LogFormat, Restart, Signal, Stdio, UserRef};

/// What `stopsignal` may be.
const SIGNALS: [Signal; 7] =
    [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT, Signal::KILL, Signal::USR1, Signal::USR2];

/// So many retries as good as never end.
const RETRIES: u32 = 1_000_000_000;

pub(super) fn write(jobs: &[Job]) -> Result<Exported> {
    let mut exported = Exported::one("supervisord.conf", String::new());
    let mut text = String::from("[supervisord]\n");
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for (nth, job) in jobs.iter().enumerate() {
        let config = &job.config;
        let name = format!("{}-{}", config.name.session(), config.name.label());
        let mut programs = Vec::new();
        if differ(config) {
            for instance in instances(config)? {
                let name = format!("{name}-{}", instance.n);
                program(&mut exported, &mut text, job, &name, instance.n, 1, nth)?;
                programs.push(name);
            }
        } else if config.numprocesses > 0 {
            program(&mut exported, &mut text, job, &name, 1, config.numprocesses, nth)?;
            programs.push(name);
        } else {
            exported.note(config, "it has no process, so it is left out");
        }
        match groups.iter_mut().find(|(session, _)| *session == config.name.session()) {
            Some((_, all)) => all.append(&mut programs),
            None => groups.push((config.name.session(), programs)),
        }
    }
    for (session, programs) in groups.iter().filter(|(_, programs)| !programs.is_empty()) {
        // Writing into a `String` never fails.
        let _ = write!(text, "\n[group:{session}]\nprograms = {}\n", programs.join(","));
    }
    exported.files[0].1 = text;
    Ok(exported)
}

fn program(
    exported: &mut Exported,
    out: &mut String,
    job: &Job,
    name: &str,
    first: u32,
    count: u32,
    nth: usize,
) -> Result<()> {
    let config = &job.config;
    let _ = writeln!(out, "\n[program:{name}]");
    let mut line = |key: &str, value: String| -> Result<()> {
        if value.contains(['\n', '\r']) {
            return Err(invalid(config, format!("{key}: supervisord has no place for line ends")));
        }
        if [" ;", " #", "\t;", "\t#"].iter().any(|comment| value.contains(comment)) {
            return Err(invalid(config, format!("{key}: supervisord takes `;` and `#` after a blank for comments")));
        }
        let _ = writeln!(out, "{key} = {value}");
        Ok(())
    };
    let env = environment(config, first)?;
    let (ordinary, others): (Vec<_>, Vec<_>) = env.iter().partition(|(name, value)| is_ordinary(name, value));
    let mut command: Vec<String> = Vec::new();
    if !others.is_empty() || !config.os_env {
        command.push("/usr/bin/env".to_owned());
        if !config.os_env {
            command.push("-i".to_owned());
            command.extend(ordinary.iter().map(|(name, value)| word(&format!("{name}={value}"))));
        }
        command.extend(others.iter().map(|(name, value)| word(&format!("{name}={value}"))));
    }
    for pieces in words(config, &env)? {
        let part = |piece: &Piece| match piece {
            Piece::Text(text) => word(text),
            Piece::Variable(name) => format!("%(ENV_{name})s"),
        };
        command.push(pieces.iter().map(part).collect());
    }
    line("command", command.join(" "))?;
    if count > 1 {
        line("process_name", "%(program_name)s_%(process_num)d".to_owned())?;
        line("numprocs", count.to_string())?;
        line("numprocs_start", "1".to_owned())?;
    }
    if let Some(cwd) = &config.cwd {
        line("directory", percent(&cwd.to_string_lossy()))?;
    }
    if !ordinary.is_empty() && config.os_env {
        let pairs = ordinary.iter().map(|(name, value)| format!("{name}=\"{}\"", percent(value)));
        line("environment", pairs.collect::<Vec<_>>().join(","))?;
    }
    if let Some(user) = &config.uid {
        line(
            "user",
            match user {
                UserRef::Id(id) => id.to_string(),
                UserRef::Name(name) => percent(name),
            },
        )?;
    }
    if config.gid.is_some() {
        exported.note(config, "gid is left out: supervisord takes the groups of the user");
    }
    if let Some(umask) = config.umask {
        line("umask", format!("{umask:03o}"))?;
    }
    line("priority", (nth + 1).to_string())?;
    line("autostart", job.start.to_string())?;
    line(
        "autorestart",
        match config.restart {
            Restart::Always => "true",
            Restart::OnFailure => "unexpected",
            Restart::OnSuccess | Restart::Never => "false",
        }
        .to_owned(),
    )?;
    if config.restart == Restart::OnFailure {
        line("exitcodes", "0".to_owned())?;
    }
    if config.restart == Restart::OnSuccess {
        exported.note(config, "restart = on-success is not known there: it is not restarted");
    }
    // A program may end at once: that is no failure to start.
    line("startsecs", "0".to_owned())?;
    line("startretries", RETRIES.to_string())?;
    if config.flapping.is_some() {
        exported.note(config, "flapping is left out: supervisord tries on and on");
    }
    exported.note(config, "backoff is left out: a program that ends is restarted at once");
    if SIGNALS.contains(&config.stop_signal) {
        let signal = super::signal(config.stop_signal);
        line("stopsignal", signal.trim_start_matches("SIG").to_owned())?;
    } else {
        exported.note(config, format!("stop_signal {} is not known there: it is TERM", config.stop_signal));
    }
    line("stopwaitsecs", format!("{}", config.graceful_timeout.as_secs_f64().ceil().max(1.0)))?;
    line("stopasgroup", "true".to_owned())?;
    line("killasgroup", "true".to_owned())?;
    for (key, value) in output(exported, config) {
        line(&key, value)?;
    }
    if config.redirect_input {
        exported.note(config, "redirect_input: write by `supervisorctl fg`");
    }
    if config.tty {
        exported.note(config, "tty is left out");
    }
    common_notes(exported, config);
    Ok(())
}

fn output(exported: &mut Exported, job: &JobConfig) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let outlets = job.outlets();
    let merged = outlets.iter().any(|outlet| outlet.fds.len() == 2);
    if merged {
        lines.push(("redirect_stderr".to_owned(), "true".to_owned()));
    }
    for (stream, fd) in [("stdout", 1), ("stderr", 2)] {
        if merged && fd == 2 {
            continue;
        }
        let outlet = outlets.iter().find(|outlet| outlet.fds.contains(&fd));
        let file = outlet.and_then(|outlet| outlet.logfile);
        let place = match file {
            Some(path) => percent(&path.to_string_lossy()),
            None if outlet.is_none() && job.stdio == Stdio::Null => "NONE".to_owned(),
            None => "AUTO".to_owned(),
        };
        lines.push((format!("{stream}_logfile"), place));
        match file {
            // Not a file that could be rotated.
            Some(path) if path.starts_with("/dev") => {
                lines.push((format!("{stream}_logfile_maxbytes"), "0".to_owned()))
            }
            Some(_) => {
                lines.push((format!("{stream}_logfile_maxbytes"), job.logfile_maxbytes.to_string()));
                lines.push((format!("{stream}_logfile_backups"), job.logfile_backups.to_string()));
            }
            None => {}
        }
    }
    if job.log_format != LogFormat::Raw || job.logfile_total.is_some() {
        exported.note(job, "log_format and logfile_total are left out");
    }
    lines
}

fn percent(text: &str) -> String {
    text.replace('%', "%%")
}

/// Whether `environment` takes it as it is, between double quotes.
fn is_ordinary(name: &str, value: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let fine = |c: char| c.is_ascii_alphanumeric() || "_-./:@,+= ~^*?!&|<>()[]{}%".contains(c);
    name.bytes().all(word) && value.chars().all(fine) && value.trim() == value
}

/// A word as Python's `shlex.split` reads it, without a `;` or `#` behind a blank.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@,+=%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return percent(text);
    }
    let quoted = format!("'{}'", text.replace('\'', r"'\''"));
    percent(&quoted).replace(" ;", r" '\;'").replace(" #", r" '\#'").replace("\t;", "\t'\\;'").replace("\t#", "\t'\\#'")
}
