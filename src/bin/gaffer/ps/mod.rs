//! `gaffer ps`: the jobs of an application and their processes.

mod view;
mod watch;

use std::time::{Duration, SystemTime};

use gaffer::cli::node::failure;
use gaffer::cli::{self, Code, Command, Failure, Opt};
use gaffer::client::Server;
use gaffer::{Error, ErrorKind};

use crate::NAME;
use crate::app::set;
use crate::remote::{self, Remote, has_remote};
use view::{Job, View};

/// What `gaffer ps` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Ps {
    remote: Remote,
    /// `--all`.
    all: bool,
    /// `--watch`.
    watch: bool,
    /// `--interval`.
    interval: Option<Duration>,
    /// Applications; none means that of the folder.
    apps: Vec<String>,
}

has_remote!(Ps);

const DETAILS: &str = "\
Behind the name of a job stands the number of a process, which stop, kill, send
and recv take. CPU is in percent of one processor, MEM in percent of the
machine's memory. What is not well is said behind the command: the state (see
`gafferctl status --help`), how often processes came back, and how the last one
ended by itself.

With --lookup all nodes are asked that have the application.

--watch shows it again and again: at a terminal in place, else one below the
other with blank lines between them. It ends with Ctrl-C, which is exit code
130 to a shell, or with the node, which is 69; that the application is unloaded
does not end it.

JSON: {\"jobs\": [{\"name\", \"state\", \"health\", \"running\", \"numprocesses\", \"cmd\",
\"cpu\", \"mem\", \"restarts\", \"last_exit\", \"uptime\", \"processes\": [{\"pid\",
\"os_pid\", \"uptime\", \"once\", \"ending\", \"cpu\", \"mem\", \"rss\"}]}]}; uptime in
seconds, rss in bytes, null for what is not known.";

pub(crate) fn command() -> Command<Ps> {
    let command = Command::new("ps", "Show the jobs of an application and their processes.")
        .words("[APP...]", "Applications; `.` is that of the folder.", |a: &mut Ps, v| {
            a.apps.push(v.string()?);
            Ok(())
        })
        .option(Opt::switch("all", "All applications of the node.").short('a'), |a, _| set(&mut a.all, true))
        .option(Opt::switch("watch", "Again and again.").short('w'), |a, _| set(&mut a.watch, true))
        .option(Opt::value("interval", "SECONDS", "The time between two looks of --watch.").default("1"), |a, v| {
            set(&mut a.interval, Some(v.duration()?))
        })
        .check(|a| match a.interval {
            Some(_) if !a.watch => Err(Failure::usage("--interval goes with --watch")),
            Some(interval) if interval < Duration::from_millis(100) => {
                Err(Failure::usage("--interval: at least 0.1 s"))
            }
            _ if a.all && (!a.apps.is_empty() || a.remote.session.is_some()) => {
                Err(Failure::usage("--all and the name of an application exclude each other"))
            }
            _ if !a.apps.is_empty() && a.remote.session.is_some() => {
                Err(Failure::usage("APP and --app exclude each other"))
            }
            _ => Ok(()),
        });
    remote::many(remote::options(command)).details(DETAILS)
}

pub(crate) fn run(asked: &Ps) -> Result<Code, Failure> {
    if asked.remote.lookup.any() {
        return run_everywhere(asked);
    }
    let server = asked.remote.server()?;
    if asked.watch {
        let interval = asked.interval.unwrap_or(Duration::from_secs(1));
        return watch::watch(asked, interval, || look(asked, &server, false));
    }
    let view = look(asked, &server, true)?;
    asked.remote.node.print(|| view.json(), || view.text(asked.remote.node.colors()))?;
    Ok(Code::Ok)
}

/// The same on all nodes that have the applications.
fn run_everywhere(asked: &Ps) -> Result<Code, Failure> {
    if asked.all {
        return Err(Failure::usage("--all means one node; with --lookup, name the applications"));
    }
    if asked.watch {
        let interval = asked.interval.unwrap_or(Duration::from_secs(1));
        return watch::watch(asked, interval, || look_everywhere(asked).map(|(view, _)| view));
    }
    let (view, code) = look_everywhere(asked)?;
    asked.remote.node.print(|| view.json(), || view.text(asked.remote.node.colors()))?;
    Ok(code)
}

/// What all nodes say that answer; the code is that of the last that does not.
fn look_everywhere(asked: &Ps) -> Result<(View, Code), Failure> {
    let (mut jobs, mut code) = (Vec::new(), Code::Ok);
    let sessions = sessions(asked)?;
    for session in &sessions {
        for (origin, server) in asked.remote.lookup.nodes_of(&asked.remote.node, session)? {
            match look_at(&server, std::slice::from_ref(session), sessions.len() > 1, |_, e| Err(failure(e))) {
                Ok(view) => jobs.extend(view.jobs.into_iter().map(|mut job| {
                    job.node = Some(origin.clone());
                    job
                })),
                Err(f) => {
                    code = f.code();
                    cli::complain(NAME, format!("{origin}: {f}"));
                }
            }
        }
    }
    Ok((View { jobs }, code))
}

/// How it stands now. An application that is not there has no jobs, or is a failure if it `must` be.
fn look(asked: &Ps, server: &Server, must: bool) -> Result<View, Failure> {
    let sessions = if asked.all { server.sessions().map_err(failure)? } else { sessions(asked)? };
    let lost = |session: &str, e: Error| match e.kind() {
        ErrorKind::NotFound if !must || asked.all => Ok(()),
        _ => Err(not_loaded(server, session, e)),
    };
    look_at(server, &sessions, sessions.len() > 1, lost)
}

/// The jobs of these applications on a node. Whether it is a failure that one is not there, `lost` says.
fn look_at(
    server: &Server,
    sessions: &[String],
    full_names: bool,
    lost: impl Fn(&str, Error) -> Result<(), Failure>,
) -> Result<View, Failure> {
    let mut jobs = Vec::new();
    for session in sessions {
        let walk = match server.jobs_walk(Some(session)) {
            Ok(walk) => walk,
            Err(e) => {
                lost(session, e)?;
                continue;
            }
        };
        for job in walk {
            match job.info().and_then(|info| Ok((info, job.stats()?))) {
                // With several applications, whose it is must be said.
                Ok((info, stats)) => {
                    let name = if full_names { job.name().as_str() } else { job.name().label() };
                    jobs.push(Job::read(name, &info, &stats, SystemTime::now()));
                }
                // It was unloaded meanwhile.
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(failure(e)),
            }
        }
    }
    Ok(View { jobs })
}

fn sessions(asked: &Ps) -> Result<Vec<String>, Failure> {
    let mut sessions = Vec::new();
    if asked.apps.is_empty() {
        sessions.push(asked.remote.session()?);
    }
    for app in &asked.apps {
        let remote = Remote { app: asked.remote.app.clone(), session: Some(app.clone()), ..Remote::default() };
        sessions.push(remote.session()?);
    }
    Ok(sessions)
}

fn not_loaded(server: &Server, session: &str, error: Error) -> Failure {
    if error.kind() != ErrorKind::NotFound {
        return failure(error);
    }
    let known = server.sessions().unwrap_or_default();
    let there = match &known[..] {
        [] => "; the node has no jobs".to_owned(),
        _ => format!("; there is {} (--app or --all)", known.join(", ")),
    };
    Failure::new(Code::NoSuch, format!("'{session}' not loaded{there}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn flags() {
        let args = ["--watch", "--interval", "500ms", "shop", "."].map(Into::into);
        let Ok(Asked::Run(ps)) = command().parse(args) else { panic!("a look") };
        assert_eq!((ps.watch, ps.interval, ps.apps.len()), (true, Some(Duration::from_millis(500)), 2));
        for line in ["--interval 1", "--watch --interval 0.01", "--all shop", "--all --app shop", "--app shop blog"] {
            assert!(command().parse(line.split_whitespace().map(Into::into)).is_err(), "{line}");
        }
    }
}
