//! A Procfile.
//!
//! A line is for a shell, as foreman and honcho run it; what gaffer would run without one is quoted for it (POSIX.1, XCU 2.2). The
//! variables of a job go with its command, since a Procfile has no other place for them.

use super::command::{Piece, words};
use super::{Exported, common_notes, invalid};
use crate::config::{Job, Procfile};
use crate::process::{JobConfig, Restart};
use crate::{Result, words as shell};

pub(super) fn write(jobs: &[Job]) -> Result<Exported> {
    let mut exported = Exported::one("Procfile", String::new());
    let mut text = String::new();
    let mut names: Vec<&str> = Vec::new();
    let roots: Vec<_> = jobs.iter().map(|job| job.config.cwd.as_deref()).collect();
    let root = roots.first().copied().flatten().filter(|root| roots.iter().all(|other| *other == Some(*root)));
    if let Some(root) = root {
        let note = format!("the Procfile belongs into {}", root.display());
        exported.notes.push(note);
    }
    for (nth, job) in jobs.iter().enumerate() {
        let config = &job.config;
        let label = config.name.label();
        if names.contains(&label) {
            return Err(invalid(config, "a Procfile has one process type of that name only"));
        }
        names.push(label);
        let mut command = command(config)?;
        if let (Some(cwd), None) = (&config.cwd, root) {
            command = format!("cd {} && {command}", shell::join([cwd.to_string_lossy()]));
        }
        let line = format!("{label}: {command}");
        let back = Procfile::parse(&line, "Procfile").map(|procfile| procfile.entries);
        if !back.is_ok_and(|entries| entries.len() == 1 && entries[0].command == command) {
            return Err(invalid(config, "its command is no line of a Procfile"));
        }
        text.push_str(&line);
        text.push('\n');
        notes(&mut exported, job, nth);
    }
    exported.files[0].1 = text;
    Ok(exported)
}

fn command(job: &JobConfig) -> Result<String> {
    let assignments = shell::join(job.env.iter().map(|(name, value)| format!("{name}={value}")));
    if job.shell && job.args.is_empty() {
        let script = job.cmd.trim();
        return Ok(if job.env.is_empty() { script.to_owned() } else { format!("export {assignments}; {script}") });
    }
    // Variables of the job would be replaced before `env` sets them, so they are put in.
    let words = words(job, &job.env)?;
    let words: Vec<String> = words.iter().map(|word| word.iter().map(piece).collect()).collect();
    let line = words.join(" ");
    Ok(if job.env.is_empty() { line } else { format!("env {assignments} {line}") })
}

fn piece(piece: &Piece) -> String {
    match piece {
        Piece::Text(text) => shell::join([text]),
        Piece::Variable(name) => format!("\"${{{name}}}\""),
    }
}

fn notes(exported: &mut Exported, job: &Job, nth: usize) {
    let config = &job.config;
    if config.numprocesses != 1 {
        exported.note(config, format!("start it by -c {}={}", config.name.label(), config.numprocesses));
    }
    let by_place = 5000 + 100 * nth;
    match config.port {
        Some(port) if usize::from(port) != by_place => {
            exported.note(config, format!("its PORT was {port}, and by its place in the file is {by_place}"));
        }
        _ => {}
    }
    let left_out = [
        ("uid", config.uid.is_some()),
        ("gid", config.gid.is_some()),
        ("umask", config.umask.is_some()),
        ("restart", config.restart != Restart::Always),
        ("flapping", config.flapping.is_some()),
        ("os_env", !config.os_env),
        ("stop_signal", config.stop_signal != crate::process::Signal::TERM),
        ("graceful_timeout", config.graceful_timeout.as_secs() != 30),
        ("redirect_input", config.redirect_input),
        ("tty", config.tty),
        ("start", !job.start),
        ("stdout_logfile, stderr_logfile", !config.logfiles().is_empty()),
    ];
    for (key, _) in left_out.iter().filter(|(_, given)| *given) {
        exported.note(config, format!("{key} has no place in a Procfile"));
    }
    common_notes(exported, config);
}
