//! `logs` of the tools: what programs have written, and what they write.

mod event;
mod screen;

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::names::{is_pattern, job_name, matches_name};
use super::node::{Node, failure};
use super::{Code, Command, Failure, Opt, complain, end_with_reader};
use crate::client::{LogQuery, Server};
use crate::suggest::hint;

pub use screen::{Message, Screen, short};

/// So many lines are shown of what was before, where nobody says how many.
pub const LINES: u64 = 100;

/// So many pieces wait to be shown; then the node waits, and leaves some out if that takes too long.
pub const WAITING: usize = 1024;

/// What to show.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Wanted {
    /// `--follow`: go on with what comes.
    pub follow: bool,
    /// `--lines`, [`LINES`] by default.
    pub lines: Option<u64>,
    /// `--since`.
    pub since: Option<Duration>,
    /// The words, and `--job`.
    pub jobs: Vec<String>,
    /// `--stderr`.
    pub stderr: bool,
    /// `--events`.
    pub events: bool,
}

/// Gives a command the options of [`Wanted`].
#[must_use]
pub fn options<T: AsMut<Wanted>>(command: Command<T>) -> Command<T> {
    command
        .words("[NAME...]", "The same as --job.", |a: &mut T, v| {
            a.as_mut().jobs.push(v.string()?);
            Ok(())
        })
        .option(
            Opt::switch("follow", "Go on with what they write, until interrupted.").short('f').behind_command(),
            |a, _| {
                a.as_mut().follow = true;
                Ok(())
            },
        )
        .option(Opt::value("lines", "N", "So many of the last lines.").short('n').default("100"), |a, v| {
            a.as_mut().lines = Some(v.parse()?);
            Ok(())
        })
        .option(Opt::value("since", "TIME", "Only lines of that time: 30, 5m, 1h."), |a, v| {
            a.as_mut().since = Some(v.duration()?);
            Ok(())
        })
        .option(Opt::value("job", "NAME", "Only of this job. May be repeated."), |a, v| {
            a.as_mut().jobs.push(v.string()?);
            Ok(())
        })
        .option(Opt::switch("stderr", "Only standard error."), |a, _| {
            a.as_mut().stderr = true;
            Ok(())
        })
        .option(
            Opt::switch("events", "What happens to jobs and processes as well, as it happens; implies -f."),
            |a, _| {
                a.as_mut().events = true;
                Ok(())
            },
        )
}

impl Wanted {
    /// Whether to go on with what comes.
    #[must_use]
    pub const fn follows(&self) -> bool {
        self.follow || self.events
    }

    /// The question to a node, for these jobs; for all if there is none.
    #[must_use]
    pub fn query(&self, jobs: Vec<String>) -> LogQuery {
        LogQuery {
            jobs,
            stderr: self.stderr.then_some(true),
            lines: Some(self.lines.unwrap_or(LINES)),
            since: self.since,
            follow: self.follows(),
            ..LogQuery::default()
        }
    }
}

/// Shows what one node has of these jobs, without the session where it is this one.
///
/// # Errors
///
/// The node does not answer, or has ended the feed; standard output is closed.
pub fn run(
    tool: &'static str,
    node: &Node,
    server: &Server,
    wanted: &Wanted,
    jobs: Vec<String>,
    session: String,
) -> Result<Code, Failure> {
    let query = wanted.query(jobs);
    let mut screen = Screen::new(tool, node, session);
    reserve(tool, server, &query, &mut screen)?;
    let (sender, receiver) = sync_channel(WAITING);
    let pieces = server.logs(&query).map_err(failure)?;
    if wanted.events {
        watch(server, query.jobs.clone(), sender.clone())?;
    }
    thread::spawn(move || {
        for piece in pieces {
            let message = piece.map_or_else(|e| Message::Failed(failure(e)), Message::Piece);
            if sender.send(message).is_err() {
                return;
            }
        }
        // Whoever shows it may have gone.
        let _ = sender.send(Message::End);
    });
    if wanted.follows() {
        end_with_reader();
    }
    screen.show(&receiver)?;
    if wanted.follows() {
        let what = format!("{} has ended the feed: the node stops", server.address());
        return Err(Failure::new(Code::Unreachable, what));
    }
    Ok(Code::Ok)
}

/// Makes room for the names that may be shown. A job that is not there may have been, so that is no error.
fn reserve(tool: &str, server: &Server, query: &LogQuery, screen: &mut Screen) -> Result<(), Failure> {
    let statuses = server.statuses().map_err(failure)?;
    for job in query.jobs.iter().filter(|job| !is_pattern(job)) {
        let name = job_name(job)?;
        if !statuses.iter().any(|status| status.name == name) {
            let hint = hint(name.short(), statuses.iter().map(|status| status.name.short()));
            complain(tool, format!("no job '{}' is loaded{hint}", name.short()));
        } else if let Some(silent) = nothing_is_kept(server, name.as_str()) {
            complain(tool, format!("'{}' {silent}", name.short()));
        }
    }
    for status in &statuses {
        if query.jobs.is_empty() || query.jobs.iter().any(|job| matches_name(job, &status.name)) {
            screen.reserve(&status.name, status.numprocesses);
        }
    }
    Ok(())
}

/// Why there will never be a line of this job. Who may not see its definition is not told.
fn nothing_is_kept(server: &Server, job: &str) -> Option<&'static str> {
    let config = server.job(job).ok()?.info().ok()?.config;
    let has = |key: &str| !matches!(&config[key], Value::Null | Value::Bool(false));
    let heard = ["redirect_output", "stdout_logfile", "stderr_logfile", "tty", "custom_streams"].into_iter().any(has);
    (!heard).then_some("has neither redirect_output nor stdout_logfile: what it writes is not kept")
}

/// Sends what happens to these jobs, or to all.
fn watch(server: &Server, jobs: Vec<String>, sender: SyncSender<Message>) -> Result<(), Failure> {
    let events = server.watch(".").map_err(failure)?;
    let server = server.clone();
    thread::spawn(move || {
        for event in events {
            let message = match event {
                Err(e) => Message::Failed(failure(e)),
                // Each comes under two topics.
                Ok(event) if event.topic != event.event => continue,
                Ok(event) => {
                    let ours = |name| jobs.is_empty() || jobs.iter().any(|job| matches_name(job, name));
                    if !event.name.as_ref().is_none_or(ours) {
                        continue;
                    }
                    let info =
                        event.pid.filter(|_| event.event == "spawn").and_then(|pid| server.process(pid).info().ok());
                    let instance = info.and_then(|info| info.fields["instance"].as_u64());
                    Message::Event(event, instance.and_then(|n| u32::try_from(n).ok()))
                }
            };
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    Ok(())
}
