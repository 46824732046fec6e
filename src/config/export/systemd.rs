//! Units of systemd: one for each process, and a target that wants them all.
//!
//! Escapes, from systemd.service(5) "Command lines", systemd.syntax(7) "Quoting" and systemd.unit(5) "Specifiers":
//! `%` is `%%` everywhere; in `ExecStart=` `$` is `$$`, and a variable is `${NAME}`, which stays within its word. Words stand between
//! double quotes, where `\` begins an escape as in C. Between quotes a `;` does not end a command.

use std::fmt::Write;

use super::command::{Piece, variables, words};
use super::{Exported, Instance, common_notes, instances, invalid, signal};
use crate::Result;
use crate::config::Job;
use crate::process::{JobConfig, LogFormat, Restart, Stdio, UserRef};

pub(super) fn write(jobs: &[Job]) -> Result<Exported> {
    let mut exported = Exported::default();
    let mut sessions: Vec<(&str, Vec<String>)> = Vec::new();
    for job in jobs {
        let session = job.config.name.session();
        if !sessions.iter().any(|(name, _)| *name == session) {
            sessions.push((session, Vec::new()));
        }
        for instance in instances(&job.config)? {
            let name = unit_name(&format!("{session}-{}.{}", job.config.name.label(), instance.n)) + ".service";
            let text = unit(&mut exported, &job.config, &instance)?;
            exported.files.push((name.clone(), text));
            if let Some((_, units)) = sessions.iter_mut().find(|(name, _)| *name == session && job.start) {
                units.push(name);
            }
        }
        if !job.start {
            exported.note(&job.config, "its units are not started with the target");
        }
    }
    for (session, units) in sessions.into_iter().rev() {
        let mut text = format!("[Unit]\nDescription={session}\n");
        for unit in units {
            line(&mut text, "Wants", &unit);
        }
        text.push_str("\n[Install]\nWantedBy=multi-user.target\n");
        exported.files.insert(0, (target(session), text));
    }
    Ok(exported)
}

fn target(session: &str) -> String {
    unit_name(session) + ".target"
}

/// systemd.unit(5): of the characters of our names `+` is none of a unit's; systemd-escape(1) writes it so.
fn unit_name(name: &str) -> String {
    name.replace('+', "\\x2b")
}

fn line(out: &mut String, key: &str, value: &str) {
    // Writing into a `String` never fails.
    let _ = writeln!(out, "{key}={value}");
}

fn unit(exported: &mut Exported, job: &JobConfig, instance: &Instance) -> Result<String> {
    let mut out = String::from("[Unit]\n");
    line(&mut out, "Description", &format!("{}.{} of {}", job.name.label(), instance.n, job.name.session()));
    line(&mut out, "PartOf", &target(job.name.session()));
    line(&mut out, "After", "network.target");
    if let Some(rule) = job.flapping {
        line(&mut out, "StartLimitIntervalSec", &seconds(rule.window.as_secs_f64()));
        line(&mut out, "StartLimitBurst", &rule.attempts.to_string());
        exported.note(job, "flapping: systemd gives a unit up at its start limit, without trying again later");
    } else {
        line(&mut out, "StartLimitIntervalSec", "0");
    }
    out.push_str("\n[Service]\n");
    line(&mut out, "Type", "exec");
    if let Some(cwd) = &job.cwd {
        line(&mut out, "WorkingDirectory", &whole_line(job, "cwd", &cwd.to_string_lossy())?);
    }
    for (name, value) in &instance.env {
        if is_variable(name) {
            line(&mut out, "Environment", &quote(&format!("{name}={value}")).replace('%', "%%"));
        } else {
            exported.note(job, format!("the variable {name:?} is left out: systemd knows no such names"));
        }
    }
    let words = words(job, &instance.env)?;
    for name in variables(&words) {
        exported.note(job, format!("${name} is empty unless systemd has such a variable (systemctl set-environment)"));
    }
    line(&mut out, "ExecStart", &command(job, &words)?);
    for (key, who) in [("User", &job.uid), ("Group", &job.gid)] {
        match who {
            Some(UserRef::Id(id)) => line(&mut out, key, &id.to_string()),
            Some(UserRef::Name(name)) => line(&mut out, key, &whole_line(job, "uid, gid", name)?),
            None => {}
        }
    }
    if let Some(umask) = job.umask {
        line(&mut out, "UMask", &format!("{umask:04o}"));
    }
    let restart = match job.restart {
        Restart::Always => "always",
        Restart::OnFailure => "on-failure",
        Restart::OnSuccess => "on-success",
        Restart::Never => "no",
    };
    line(&mut out, "Restart", restart);
    if job.restart != Restart::Never {
        // A fixed pause has to do for all: not so short that a program which cannot start takes the machine.
        let pause = job.backoff.max.min(std::time::Duration::from_secs(1)).max(job.backoff.first);
        line(&mut out, "RestartSec", &seconds(pause.as_secs_f64()));
        if pause != job.backoff.first || pause != job.backoff.max {
            exported.note(job, "backoff: the pause between restarts is always the same");
        }
    }
    line(&mut out, "KillSignal", &signal(job.stop_signal));
    // 0 would be for ever.
    line(&mut out, "TimeoutStopSec", &seconds(job.graceful_timeout.as_secs_f64().max(0.001)));
    output(exported, &mut out, job)?;
    common_notes(exported, job);
    Ok(out)
}

fn output(exported: &mut Exported, out: &mut String, job: &JobConfig) -> Result<()> {
    let outlets = job.outlets();
    for (key, fd) in [("StandardOutput", 1), ("StandardError", 2)] {
        let outlet = outlets.iter().find(|outlet| outlet.fds.contains(&fd));
        match outlet.and_then(|outlet| outlet.logfile) {
            Some(path) if !path.starts_with("/dev") => {
                let path = whole_line(job, "log file", &path.to_string_lossy())?;
                line(out, key, &format!("append:{path}"));
                exported.note(job, "log files grow for ever here: rotate them by logrotate");
            }
            _ if outlet.is_none() && job.stdio == Stdio::Null => line(out, key, "null"),
            _ => line(out, key, "journal"),
        }
    }
    if job.log_format != LogFormat::Raw {
        exported.note(job, "log_format is left out");
    }
    if job.redirect_input {
        exported.note(job, "redirect_input: the input is /dev/null");
    }
    if job.tty {
        exported.note(job, "tty is left out");
    }
    Ok(())
}

/// The program and its arguments.
fn command(job: &JobConfig, words: &[Vec<Piece>]) -> Result<String> {
    let mut line = String::new();
    for (nth, word) in words.iter().enumerate() {
        let mut text = String::new();
        for piece in word {
            match piece {
                Piece::Text(piece) => text.push_str(&piece.replace('$', "$$")),
                Piece::Variable(name) if nth > 0 => {
                    let _ = write!(text, "${{{name}}}");
                }
                Piece::Variable(name) => {
                    return Err(invalid(job, format!("cmd: systemd replaces no ${name} in the name of a program")));
                }
            }
        }
        if nth == 0 {
            text = program(job, text)?;
        } else {
            line.push(' ');
        }
        line.push_str(&quote(&text));
    }
    Ok(line.replace('%', "%%"))
}

/// systemd.service(5): an absolute path, or a name that it looks for in folders of its own.
fn program(job: &JobConfig, name: String) -> Result<String> {
    if name.is_empty() {
        return Err(invalid(job, "cmd: the program's name is empty"));
    }
    if name.starts_with('/') || !name.contains('/') {
        return Ok(name);
    }
    match &job.cwd {
        Some(cwd) => Ok(cwd.join(name.trim_start_matches("./")).to_string_lossy().replace('$', "$$")),
        None => Err(invalid(job, format!("cmd: {name:?} starts at no folder that is known: give the job a `cwd`"))),
    }
}

/// A value that is not split: it needs no quotes, and has no place for a line end.
fn whole_line(job: &JobConfig, what: &str, value: &str) -> Result<String> {
    if value.contains(['\n', '\r']) || value.trim() != value || value.ends_with('\\') {
        return Err(invalid(job, format!("{what}: a unit has no place for {value:?}")));
    }
    Ok(value.replace('%', "%%"))
}

/// systemd.exec(5), `Environment=`.
fn is_variable(name: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !name.is_empty() && name.bytes().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@,+$%{}".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// systemd.time(7).
fn seconds(seconds: f64) -> String {
    if seconds.fract() == 0.0 { format!("{seconds}") } else { format!("{}ms", (seconds * 1000.0).ceil()) }
}
