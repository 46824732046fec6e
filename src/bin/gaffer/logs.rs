//! `gaffer logs`: what programs have written, and what they write.

mod event;

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use gaffer::cli::names::{is_pattern, job_name, matches_name};
use gaffer::cli::node::{self, failure};
use gaffer::cli::{self, Code, Command, Failure, Opt};
use gaffer::client::{self, LogOutput, LogPiece, LogQuery, Server};
use gaffer::console::{Now, Options, Printer, Verbosity};
use gaffer::process::Pid;
use gaffer::suggest::hint;

use crate::NAME;
use crate::app::set;
use crate::remote::{self, Remote, has_remote, qualify};

/// So many lines are shown of what was before, where nobody says how many.
const LINES: u64 = 100;

/// So many pieces wait to be shown; then the node waits, and leaves some out if that takes too long.
const WAITING: usize = 1024;

/// So much is written at a time.
const BATCH: usize = 64 * 1024;

/// What `gaffer logs` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Logs {
    remote: Remote,
    follow: bool,
    lines: Option<u64>,
    since: Option<Duration>,
    jobs: Vec<String>,
    stderr: bool,
    events: bool,
}

has_remote!(Logs);

const DETAILS: &str = "\
The node keeps the last 64 KiB of each stream, also of programs that have ended
(`log_history`). With --follow what comes is shown behind it, without a gap.

With --app only the jobs of that application are shown; a NAME without one is
that of the application of this folder. In NAME `*` and `?` match any text and
any character.

JSON: an object for each line, as GET /logs has them, and for each event.";

pub(crate) fn command() -> Command<Logs> {
    let command = Command::new("logs", "Show what the programs of the node have written.")
        .words("[NAME...]", "The same as --job.", |a: &mut Logs, v| {
            a.jobs.push(v.string()?);
            Ok(())
        })
        .option(
            Opt::switch("follow", "Go on with what they write, until interrupted.").short('f').behind_command(),
            |a, _| set(&mut a.follow, true),
        )
        .option(Opt::value("lines", "N", "So many of the last lines.").short('n').default("100"), |a, v| {
            set(&mut a.lines, Some(v.parse()?))
        })
        .option(Opt::value("since", "TIME", "Only lines of that time: 30, 5m, 1h."), |a, v| {
            set(&mut a.since, Some(v.duration()?))
        })
        .option(Opt::value("job", "NAME", "Only of this job. May be repeated."), |a, v| {
            a.jobs.push(v.string()?);
            Ok(())
        })
        .option(Opt::switch("stderr", "Only standard error."), |a, _| set(&mut a.stderr, true))
        .option(
            Opt::switch("events", "What happens to jobs and processes as well, as it happens; implies -f."),
            |a, _| set(&mut a.events, true),
        )
        // Not `app::place`: there -f is the Procfile.
        .option(Opt::value("procfile", "FILE", "The Procfile.").default("Procfile").aliases(&["file"]), |a, v| {
            set(&mut a.remote.app.procfile, Some(v.path()))
        })
        .option(
            Opt::value("root", "DIR", "The folder of the application.").short('d').aliases(&["dir", "directory"]),
            |a, v| set(&mut a.remote.app.root, Some(v.path())),
        );
    node::options(remote::session(command)).details(DETAILS)
}

impl Logs {
    fn follows(&self) -> bool {
        self.follow || self.events
    }

    fn query(&self, session: &str) -> LogQuery {
        let mut query = LogQuery::default();
        query.jobs = self.jobs.iter().map(|word| qualify(session, word)).collect();
        if query.jobs.is_empty() && self.remote.session.is_some() {
            query.jobs.push(format!("{session}.*"));
        }
        query.stderr = self.stderr.then_some(true);
        query.lines = Some(self.lines.unwrap_or(LINES));
        query.since = self.since;
        query.follow = self.follows();
        query
    }
}

/// What comes from the node, in the order in which it is shown.
enum Message {
    Piece(LogPiece),
    /// With the N of `label.N`.
    Event(client::Event, Option<u32>),
    Failed(Failure),
    /// The node has no more output.
    End,
}

pub(crate) fn run(asked: &Logs) -> Result<Code, Failure> {
    let server = asked.remote.server()?;
    let session = asked.remote.session()?;
    let query = asked.query(&session);
    let loaded = known(asked, &server, &query)?;
    let (sender, receiver) = sync_channel(WAITING);
    let pieces = server.logs(&query).map_err(failure)?;
    if asked.events {
        watch(&server, query.jobs.clone(), sender.clone())?;
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
    let options = Options::default().color(asked.remote.node.colors()).verbosity(Verbosity::Verbose);
    let mut screen =
        Screen { printer: Printer::new(options), session, json: asked.remote.node.json, names: HashMap::new() };
    for name in loaded {
        screen.printer.reserve(&name);
    }
    screen.show(&receiver)?;
    if asked.follows() {
        return Err(Failure::new(
            Code::Unreachable,
            format!("{} has ended the feed: the node stops", server.address()),
        ));
    }
    Ok(Code::Ok)
}

/// The names of the processes that may be shown. A job that is not there may have been, so that is no error.
fn known(asked: &Logs, server: &Server, query: &LogQuery) -> Result<Vec<String>, Failure> {
    let statuses = server.statuses().map_err(failure)?;
    let session = asked.remote.session()?;
    let wanted = |name| query.jobs.is_empty() || query.jobs.iter().any(|job| matches_name(job, name));
    for job in query.jobs.iter().filter(|job| !is_pattern(job)) {
        let name = job_name(job)?;
        if !statuses.iter().any(|status| status.name == name) {
            let hint = hint(name.short(), statuses.iter().map(|status| status.name.short()));
            cli::complain(NAME, format!("no job '{}' is loaded{hint}", name.short()));
        }
    }
    let shown = statuses.iter().filter(|status| wanted(&status.name)).flat_map(|status| {
        let name = remote::shown(&status.name, &session).to_owned();
        (1..=status.numprocesses).map(move |n| format!("{name}.{n}"))
    });
    Ok(shown.collect())
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

struct Screen {
    printer: Printer,
    /// Jobs of this session are shown without it.
    session: String,
    json: bool,
    /// The N of processes that are known.
    names: HashMap<Pid, u32>,
}

impl Screen {
    fn show(&mut self, receiver: &Receiver<Message>) -> Result<(), Failure> {
        loop {
            let message = match receiver.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    self.write()?;
                    match self.wait(receiver) {
                        Ok(message) => message,
                        Err(RecvTimeoutError::Timeout) => {
                            self.printer.timeout(Now::read());
                            continue;
                        }
                        Err(RecvTimeoutError::Disconnected) => break,
                    }
                }
            };
            match message {
                Message::Piece(LogPiece::Output(output)) => self.output(&output),
                Message::Piece(LogPiece::Gap(dropped)) => self.gap(dropped),
                Message::Piece(_) => {}
                Message::Event(event, instance) => self.event(&event, instance),
                Message::Failed(failure) => {
                    self.end()?;
                    return Err(failure);
                }
                Message::End => break,
            }
            if self.printer.buffer().len() >= BATCH {
                self.write()?;
            }
        }
        self.end()
    }

    fn wait(&self, receiver: &Receiver<Message>) -> Result<Message, RecvTimeoutError> {
        match self.printer.deadline() {
            Some(at) => receiver.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.printer.finish(Now::read());
        self.write()
    }

    fn write(&mut self) -> Result<(), Failure> {
        let buffer = self.printer.buffer();
        if !buffer.is_empty() {
            cli::print(&*buffer)?;
            buffer.clear();
        }
        Ok(())
    }

    fn line(&mut self, json: &serde_json::Value) {
        self.printer.buffer().extend_from_slice(format!("{json}\n").as_bytes());
    }

    fn output(&mut self, output: &LogOutput) {
        if self.json {
            return self.line(&output.fields);
        }
        if self.names.insert(output.pid, output.instance).is_none() {
            let name = remote::shown(&output.name, &self.session);
            self.printer.process(output.pid, Some(output.os_pid), name, output.instance);
        }
        let stream = match output.fd {
            1 => "stdout",
            2 => "stderr",
            _ => &output.label,
        };
        self.printer.output(output.pid, stream, &output.data, at(output.time));
    }

    fn gap(&mut self, dropped: Option<u64>) {
        if self.json {
            return self.line(&serde_json::json!({"event": "gap", "dropped": dropped}));
        }
        let what = match dropped {
            Some(n) => format!("{n} lines are missing here: they came faster than they were read"),
            None => "older lines are left out".to_owned(),
        };
        cli::complain(NAME, what);
    }

    fn event(&mut self, event: &client::Event, instance: Option<u32>) {
        if self.json {
            return self.line(&event.fields);
        }
        let known = event.pid.and_then(|pid| self.names.get(&pid).copied());
        let instance = instance.or(known);
        if let (Some(pid), Some(instance)) = (event.pid, instance) {
            self.names.insert(pid, instance);
        }
        match event::read(event) {
            Some(event) => self.printer.event(&event, instance),
            None if event.event == "gap" => cli::complain(NAME, "events are missing here"),
            None => {}
        }
    }
}

fn at(wall: SystemTime) -> Now {
    Now { wall, instant: Instant::now() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    fn parse(line: &str) -> Logs {
        match command().parse(line.split_whitespace().map(Into::into)) {
            Ok(Asked::Run(asked)) => asked,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn flags() {
        assert_eq!(parse(""), Logs::default());
        let asked = parse("-f -n 5 --job web --stderr blog.* --since 5m");
        assert_eq!((asked.follow, asked.lines, asked.stderr, asked.events), (true, Some(5), true, false));
        assert_eq!(
            (asked.jobs, asked.since),
            (vec!["web".to_owned(), "blog.*".to_owned()], Some(Duration::from_secs(300)))
        );
        assert!(parse("--events").follows());
        assert_eq!(parse("--procfile x -d y").remote.app.root, Some("y".into()));
        assert!(command().parse(["-n".into(), "many".into()]).is_err());
    }

    #[test]
    fn questions() {
        let jobs = |line| parse(line).query("shop").jobs;
        assert_eq!(jobs(""), [""; 0]);
        assert_eq!(jobs("web blog.web w*"), ["shop.web", "blog.web", "shop.w*"]);
        assert_eq!(jobs("--app shop"), ["shop.*"]);
        assert_eq!(jobs("-f"), [""; 0]);
        assert_eq!(parse("").query("shop").lines, Some(100));
        assert_eq!((parse("").query("shop").follow, parse("--events").query("shop").follow), (false, true));
    }
}
