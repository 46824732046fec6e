//! The shapes that are asked for most, as text without the tree, which takes most of the time.

use std::time::{SystemTime, UNIX_EPOCH};

use super::shapes::{last_exit, log, state};
use crate::config::write_job;
use crate::process::{JobName, JobState, LogStatus, Pid};
use crate::table::JobView;

/// Appends members to an object: each begins with a comma, of which the first becomes the brace.
macro_rules! members {
    ($out:expr, $($name:literal: $value:expr,)*) => {
        $(
            $out.extend_from_slice(concat!(",\"", $name, "\":").as_bytes());
            serde_json::to_writer(&mut *$out, $value).expect("memory takes everything");
        )*
    };
}

/// The text of [`job`](super::shapes::job), with the start of its newest process and its log files.
#[must_use]
pub fn job_text(job: JobView<'_>, started: Option<SystemTime>, logs: &[LogStatus]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    name(job.name(), &mut out);
    members! { &mut out,
        "active": &(job.state() == JobState::Active),
        "state": state(job.state()),
        "running": &job.running(),
        "running_out": &job.running_out(),
        "numprocesses": &job.numprocesses(),
        "max_processes": &job.numprocesses(),
        "restarts": &job.restarts(),
    }
    past(job, started, &mut out);
    out.extend_from_slice(b",\"processes\":");
    pids(job.processes(), &mut out);
    out.extend_from_slice(b",\"ending\":");
    pids(job.ending(), &mut out);
    members! { &mut out, "logs": &logs.iter().map(log).collect::<Vec<_>>(), }
    out.extend_from_slice(b",\"config\":");
    write_job(job.config(), &mut out);
    out.push(b'}');
    out
}

/// Appends the text of [`status`](super::shapes::status); `failing` are the log files that fail, whose ever they are.
pub fn status_text(job: JobView<'_>, started: Option<SystemTime>, failing: &[(JobName, LogStatus)], out: &mut Vec<u8>) {
    name(job.name(), out);
    members! { out,
        "active": &(job.state() == JobState::Active),
        "state": state(job.state()),
        "running": &job.running(),
        "numprocesses": &job.numprocesses(),
        "max_processes": &job.numprocesses(),
        "restarts": &job.restarts(),
    }
    past(job, started, out);
    out.extend_from_slice(b",\"ending\":");
    pids(job.ending(), out);
    out.extend_from_slice(b",\"failing_logs\":");
    let failing = failing.iter().filter(|(name, _)| *name == **job.name());
    list(failing, out, |(_, status), out| serde_json::to_writer(out, &log(status)).expect("memory takes everything"));
    out.push(b'}');
}

/// Appends the text of a list of names as 0.5 writes them: `session.label`.
pub fn names_text<'a>(names: impl IntoIterator<Item = &'a JobName>, out: &mut Vec<u8>) {
    list(names, out, |name, out| {
        // They have nothing to escape.
        out.push(b'"');
        out.extend_from_slice(name.as_str().as_bytes());
        out.push(b'"');
    });
}

/// The brace and the first member.
fn name(name: &JobName, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"name\":\"");
    out.extend_from_slice(name.as_str().as_bytes());
    out.push(b'"');
}

/// `health last_exit started`, which most jobs have nothing in.
fn past(job: JobView<'_>, started: Option<SystemTime>, out: &mut Vec<u8>) {
    // The words have nothing to escape.
    out.extend_from_slice(b",\"health\":\"");
    out.extend_from_slice(job.health().as_str().as_bytes());
    out.extend_from_slice(b"\",\"last_exit\":");
    match job.last_exit() {
        None => out.extend_from_slice(b"null"),
        Some(last) => serde_json::to_writer(&mut *out, &last_exit(&last)).expect("memory takes everything"),
    }
    out.extend_from_slice(b",\"started\":");
    match started.and_then(|started| started.duration_since(UNIX_EPOCH).ok()) {
        None => out.extend_from_slice(b"null"),
        // As it is, without a search for the shortest number that reads as the same.
        Some(since) => {
            serde_json::to_writer(&mut *out, &since.as_secs()).expect("memory takes everything");
            let mut micros = since.subsec_micros();
            let mut digits = *b".000000";
            for digit in digits[1..].iter_mut().rev() {
                *digit += (micros % 10) as u8;
                micros /= 10;
            }
            out.extend_from_slice(&digits);
        }
    }
}

fn pids(pids: impl Iterator<Item = Pid>, out: &mut Vec<u8>) {
    list(pids, out, |pid, out| serde_json::to_writer(out, &pid.0).expect("memory takes everything"));
}

/// Appends a list.
fn list<T>(items: impl IntoIterator<Item = T>, out: &mut Vec<u8>, mut write: impl FnMut(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (n, item) in items.into_iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::Value;

    use super::*;
    use crate::Manager;
    use crate::controller::shapes::{job, names, status};
    use crate::process::{JobConfig, Restart};

    fn read(text: &[u8]) -> Value {
        serde_json::from_slice(text).expect("JSON")
    }

    #[test]
    fn texts_are_those_of_the_trees() {
        let mut manager = Manager::new().expect("a manager");
        for config in [
            JobConfig::new("shop.web", "bin/web \"é\" '\n'").expect("valid").arg("\u{1}").env("A", "\\").cwd("/"),
            JobConfig::new("x", "y").expect("valid").redirect_output(["out", "err"]).numprocesses(0),
        ] {
            let name = config.name.clone();
            manager.load(config, name.session() == "shop").expect("loaded");
            let info = manager.info(name.as_str()).expect("it is loaded");
            let view = manager.view(name.session(), name.label()).expect("it is loaded");
            assert_eq!(read(&job_text(view, info.started, &info.logs)), job(&info));
            let mut text = Vec::new();
            status_text(view, info.started, &manager.failing_logs(), &mut text);
            assert_eq!(read(&text), status(&info));
        }
        // One that runs, and one that has ended.
        let name =
            |label: &str| JobConfig::new(label, if label == "runs" { "sleep 100" } else { "false" }).expect("valid");
        manager.load(name("runs"), true).expect("loaded");
        manager.load(name("ends").restart(Restart::Never), true).expect("loaded");
        let end = Instant::now() + Duration::from_secs(30);
        let both = |manager: &Manager| ["runs", "ends"].map(|job| manager.info(job).expect("it is loaded"));
        while !matches!(both(&manager), [runs, ends] if runs.started.is_some() && ends.last_exit.is_some()) {
            assert!(Instant::now() < end, "{:?}", both(&manager));
            let _ = manager.turn(Some(Duration::from_millis(100))).expect("a turn");
        }
        for info in both(&manager) {
            let mut text = Vec::new();
            let view = manager.view(info.name.session(), info.name.label()).expect("it is loaded");
            status_text(view, info.started, &manager.failing_logs(), &mut text);
            let [mut text, mut tree] = [read(&text), status(&info)];
            let times = [&mut text, &mut tree].map(|value| {
                value["last_exit"].as_object_mut().and_then(|last| last.remove("time")).map(|time| time.as_f64())
            });
            assert_eq!((&text, times.map(|time| time.is_some())), (&tree, [info.last_exit.is_some(); 2]));
        }
        manager.stop_now();
        manager.run().expect("an end");
        let jobs = manager.jobs();
        let mut text = Vec::new();
        names_text(jobs.iter().map(|name| &**name), &mut text);
        assert_eq!(read(&text), names(&jobs));
    }
}
