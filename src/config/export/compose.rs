//! A file of Docker Compose.
//!
//! Escapes, from the Compose Specification: all texts stand between double quotes, with the escapes of JSON, of which YAML 1.2
//! (7.3.1) knows each; `$` is `$$`, and a variable of the one who runs it `${NAME}`. Commands are lists, so that no shell is
//! added.

use std::fmt::Write;

use super::command::{Piece, variables, words};
use super::{Exported, Instance, common_notes, differ, environment, instances, invalid, signal};
use crate::Result;
use crate::config::Job;
use crate::process::{Restart, UserRef};

pub(super) fn write(jobs: &[Job]) -> Result<Exported> {
    let mut exported = Exported::one("compose.yaml", String::new());
    let session = jobs.first().map_or("app", |job| job.config.name.session());
    let mut text = format!("name: {}\nservices:\n", quote(&project(session)));
    let mut taken: Vec<String> = Vec::new();
    for job in jobs {
        let config = &job.config;
        let label = config.name.label().replace('+', "_");
        let label = if config.name.session() == session { label } else { format!("{}-{label}", config.name.session()) };
        if differ(config) {
            for instance in instances(config)? {
                service(
                    &mut exported,
                    &mut text,
                    &mut taken,
                    job,
                    &format!("{label}-{}", instance.n),
                    &instance,
                    None,
                )?;
            }
        } else {
            let instance = Instance { n: 1, env: environment(config, 1)? };
            let scale = Some(config.numprocesses).filter(|n| *n != 1);
            service(&mut exported, &mut text, &mut taken, job, &label, &instance, scale)?;
        }
    }
    if jobs.is_empty() {
        text = text.replace("services:\n", "services: {}\n");
    }
    exported.files[0].1 = text;
    Ok(exported)
}

/// A project's name: `[a-z0-9][a-z0-9_-]*`.
fn project(session: &str) -> String {
    let name = session.to_ascii_lowercase().replace('+', "_");
    name.trim_start_matches(['_', '-']).to_owned()
        + if name.starts_with(|c: char| c.is_ascii_alphanumeric()) { "" } else { "app" }
}

fn service(
    exported: &mut Exported,
    out: &mut String,
    taken: &mut Vec<String>,
    job: &Job,
    name: &str,
    instance: &Instance,
    scale: Option<u32>,
) -> Result<()> {
    let config = &job.config;
    if taken.iter().any(|other| other == name) {
        return Err(invalid(config, format!("compose has one service {name:?} only")));
    }
    taken.push(name.to_owned());
    // Writing into a `String` never fails.
    let _ = writeln!(out, "  {}:", quote(name));
    let mut line = |key: &str, value: String| {
        let line = format!("    {key}: {value}");
        let _ = writeln!(out, "{}", line.trim_end());
    };
    let words = words(config, &instance.env)?;
    for name in variables(&words) {
        exported.note(config, format!("${name} is that of whoever runs docker compose"));
    }
    if let Some(cwd) = &config.cwd {
        let cwd = cwd.to_string_lossy();
        line("build", text(&cwd));
        line("working_dir", text(&cwd));
        line("volumes", format!("[{}]", text(&format!("{cwd}:{cwd}"))));
        exported.note(config, format!("it is built from {cwd}/Dockerfile, and sees that folder under the same path"));
    } else {
        line("build", text("."));
        exported.note(config, "it is built from ./Dockerfile");
    }
    let list: Vec<String> = words.iter().map(|word| quote(&word.iter().map(piece).collect::<String>())).collect();
    line("command", format!("[{}]", list.join(", ")));
    if !instance.env.is_empty() {
        line("environment", "".to_owned());
        for (name, value) in &instance.env {
            line(&format!("  {}", quote(name)), text(value));
        }
    }
    if let (Some(port), true) =
        (instance.env.get("PORT").filter(|port| port.parse::<u16>().is_ok()), config.port.is_some())
    {
        line("ports", format!("[{}]", quote(&format!("127.0.0.1:{port}:{port}"))));
    }
    if let Some(scale) = scale {
        line("scale", scale.to_string());
    }
    match (&config.uid, &config.gid) {
        (None, None) => {}
        (Some(uid), None) => line("user", text(&who(uid))),
        (uid, Some(gid)) => {
            let uid = uid.as_ref().map_or_else(|| "0".to_owned(), who);
            line("user", text(&format!("{uid}:{}", who(gid))));
        }
    }
    let restart = match config.restart {
        Restart::Always => "always",
        Restart::OnFailure => "on-failure",
        Restart::OnSuccess | Restart::Never => "no",
    };
    line("restart", quote(restart));
    if config.restart == Restart::OnSuccess {
        exported.note(config, "restart = on-success is not known there: it is not restarted");
    }
    if config.flapping.is_some() {
        exported.note(config, "flapping is left out: Docker tries on and on, with growing pauses");
    }
    line("stop_signal", quote(&signal(config.stop_signal)));
    line("stop_grace_period", quote(&format!("{}ms", config.graceful_timeout.as_millis().max(1))));
    // What the program leaves behind is reaped.
    line("init", "true".to_owned());
    if config.tty {
        line("tty", "true".to_owned());
    }
    if config.redirect_input {
        line("stdin_open", "true".to_owned());
    }
    if !job.start {
        line("profiles", "[\"stopped\"]".to_owned());
        exported.note(config, "it starts with `--profile stopped` only");
    }
    if config.umask.is_some() {
        exported.note(config, "umask is left out");
    }
    if !config.logfiles().is_empty() {
        exported.note(config, "log files are left out: see `docker compose logs`");
    }
    common_notes(exported, config);
    Ok(())
}

fn who(user: &UserRef) -> String {
    match user {
        UserRef::Id(id) => id.to_string(),
        UserRef::Name(name) => name.clone(),
    }
}

fn piece(piece: &Piece) -> String {
    match piece {
        Piece::Text(text) => text.replace('$', "$$"),
        Piece::Variable(name) => format!("${{{name}}}"),
    }
}

fn text(text: &str) -> String {
    quote(&text.replace('$', "$$"))
}

/// A double-quoted scalar. What YAML 1.2 (5.1) does not print is escaped, which JSON need not do.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
