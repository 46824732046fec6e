//! `gafferctl start`, `stop` and `restart`.

use gaffer::cli::{Code, Command, Failure};
use gaffer::client::{Job, Server};
use serde_json::{Value, json};

use gaffer::cli::names::{Target, each, targets, unknown};
use gaffer::cli::node::{self, Node, failure};
use gaffer::cli::wait::{self, Wait};

use crate::NAME;

/// What one of them is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Change {
    node: Node,
    wait: Wait,
    names: Vec<String>,
}

impl AsMut<Node> for Change {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

impl AsMut<Wait> for Change {
    fn as_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

/// Which.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum State {
    Start,
    Stop,
    Restart,
}

pub(crate) fn start() -> Command<Change> {
    options(Command::new("start", "Start jobs, each with its configured number of processes."), "NAME...")
}

pub(crate) fn stop() -> Command<Change> {
    options(Command::new("stop", "Stop jobs, or a process by its number; a job replaces that."), "NAME|PID...")
}

pub(crate) fn restart() -> Command<Change> {
    options(Command::new("restart", "Replace the processes of active jobs, new ones first."), "NAME...")
}

fn options(command: Command<Change>, words: &'static str) -> Command<Change> {
    let command = command
        .words(words, "`*` and `?` match any text and any character.", |a: &mut Change, v| {
            a.names.push(v.string()?);
            Ok(())
        })
        .check(|a| if a.names.is_empty() { Err(Failure::usage("NAME is missing")) } else { Ok(()) });
    node::options(wait::option(command)).details(DETAILS)
}

/// Of all commands that change jobs.
pub(crate) const DETAILS: &str = "JSON: {\"ok\": true, \"jobs\": [NAME...], \"pids\": [N...]}, with those that were\n\
     changed.";

pub(crate) fn run(asked: &Change, state: State) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    let targets = targets(&server, &asked.names)?;
    let deadline = wait::deadline(asked.node.timeout);
    // All of them are told before any is waited for.
    let (done, code) = each(NAME, &targets, |target| {
        let old = tell(&server, target, state, asked.wait)?;
        Ok((target.clone(), old))
    });
    let (done, waited) = each(NAME, &done, |(target, old)| {
        match target {
            Target::Job(name) => {
                let natural = if state == State::Stop { wait::State::Stopped } else { wait::State::Running };
                if let Some(state) = asked.wait.state(natural) {
                    let job = server.job(name.as_str()).map_err(failure)?;
                    wait::job(&server, &job, state, old.clone(), deadline)?;
                }
            }
            Target::Process(_) => wait::gone(&server, old.clone(), deadline)?,
        }
        Ok(target.clone())
    });
    report(&asked.node, &done, if code == Code::Ok { waited } else { code })
}

/// Tells a job or a process what to do. The processes that will be gone, if somebody waits.
fn tell(server: &Server, target: &Target, state: State, wait: Wait) -> Result<Vec<gaffer::process::Pid>, Failure> {
    match target {
        Target::Job(name) => {
            let job = server.job(name.as_str()).map_err(failure)?;
            let old = match state {
                State::Stop if wait.is_asked() => wait::before(&job)?,
                State::Restart if wait.is_asked() => wait::before_restart(&job)?,
                _ => Vec::new(),
            };
            let told = match state {
                State::Start => job.start(),
                State::Stop => job.stop(),
                State::Restart => job.restart(),
            };
            told.map_err(|e| unknown(server, name, e))?;
            Ok(old)
        }
        Target::Process(pid) if state == State::Stop => {
            server.process(*pid).stop().map_err(failure)?;
            Ok(if wait.is_asked() { vec![*pid] } else { Vec::new() })
        }
        Target::Process(pid) => Err(Failure::usage(format!("{pid} is a process: only jobs can be started"))),
    }
}

/// Says `ok`, unless somebody has failed.
pub(crate) fn report(node: &Node, done: &[Target], code: Code) -> Result<Code, Failure> {
    let (mut jobs, mut pids) = (Vec::new(), Vec::new());
    for target in done {
        match target {
            Target::Job(name) => jobs.push(name.as_str()),
            Target::Process(pid) => pids.push(pid.0),
        }
    }
    let ok = code == Code::Ok;
    let json = || -> Value { json!({"ok": ok, "jobs": jobs, "pids": pids}) };
    node.print(json, || if ok { "ok\n".to_owned() } else { String::new() })?;
    Ok(code)
}

/// The job as a target.
pub(crate) fn target(job: &Job) -> Target {
    Target::Job(job.name().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn flags_and_words() {
        for command in [start(), stop(), restart()] {
            let args = ["web", "--wait=stopped", "x*", "--timeout", "3"].map(Into::into);
            let Ok(Asked::Run(asked)) = command.parse(args) else { panic!() };
            assert_eq!(asked.names, ["web", "x*"]);
            assert_eq!(asked.wait.state(wait::State::Running), Some(wait::State::Stopped));
            assert!(command.parse([]).is_err());
        }
    }

    #[test]
    fn a_process_cannot_be_started() {
        let server = Server::new("unix:/nonexistent").expect("an address");
        let pid = Target::Process(gaffer::process::Pid(1));
        for state in [State::Start, State::Restart] {
            assert_eq!(tell(&server, &pid, state, Wait::default()).expect_err("a process").code(), Code::Usage);
        }
    }
}
