//! `gafferctl kill`: a signal for a job or a process.

use gaffer::cli::{Code, Command, Failure};
use gaffer::client::Server;
use gaffer::process::{Pid, Signal};

use crate::NAME;
use crate::state;
use gaffer::cli::names::{Target, each, targets, unknown};
use gaffer::cli::node::{self, Node, failure};
use gaffer::cli::wait::{self, State, Wait};

/// What `kill` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Kill {
    node: Node,
    wait: Wait,
    name: Option<String>,
    signal: Option<Signal>,
}

impl AsMut<Node> for Kill {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

impl AsMut<Wait> for Kill {
    fn as_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

pub(crate) fn command() -> Command<Kill> {
    let command = Command::new("kill", "Send a signal to the processes of a job, or to one by its number.")
        .words("NAME|PID SIGNAL", "SIGNAL is a number or a name: 15, TERM, SIGTERM.", |a: &mut Kill, v| {
            match (&a.name, a.signal) {
                (None, _) => a.name = Some(v.string()?),
                // `kill web -9`, as kill(1) has it, is an option here; the number alone is not.
                (Some(_), None) => a.signal = Some(v.parse()?),
                _ => return Err(Failure::usage(format!("unexpected argument `{}`", v.string()?))),
            }
            Ok(())
        })
        .check(|a| match (&a.name, a.signal) {
            (None, _) => Err(Failure::usage("NAME or PID is missing")),
            (_, None) => Err(Failure::usage("SIGNAL is missing")),
            _ => Ok(()),
        });
    node::options(wait::option(command)).details(
        "--wait waits until the processes have ended, --wait=running also until the job\n\
         has replaced them.\n\
         JSON: {\"ok\": true, \"jobs\": [NAME...], \"pids\": [N...]}, with those that got it.",
    )
}

pub(crate) fn run(asked: &Kill) -> Result<Code, Failure> {
    let signal = asked.signal.ok_or_else(|| Failure::usage("SIGNAL is missing"))?;
    let server = asked.node.server()?;
    let targets = targets(&server, asked.name.as_slice())?;
    let deadline = wait::deadline(asked.node.timeout);
    let (done, code) = each(NAME, &targets, |target| {
        let old = tell(&server, target, signal, asked.wait)?;
        match (asked.wait.state(State::Stopped), target) {
            (Some(State::Running), Target::Job(name)) => {
                let job = server.job(name.as_str()).map_err(failure)?;
                wait::job(&server, &job, State::Running, old, deadline)?;
            }
            (Some(_), _) => wait::gone(&server, old, deadline)?,
            (None, _) => {}
        }
        Ok(target.clone())
    });
    state::report(&asked.node, &done, code)
}

/// Sends the signal. Those that get it, if somebody waits.
fn tell(server: &Server, target: &Target, signal: Signal, wait: Wait) -> Result<Vec<Pid>, Failure> {
    match target {
        Target::Job(name) => {
            let job = server.job(name.as_str()).map_err(failure)?;
            let old = if wait.is_asked() { wait::before(&job)? } else { Vec::new() };
            job.kill(signal).map_err(|e| unknown(server, name, e))?;
            Ok(old)
        }
        Target::Process(pid) => {
            server.process(*pid).kill(signal).map_err(failure)?;
            Ok(vec![*pid])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn words() {
        for (line, name, number) in [("web 9", "web", 9), ("12 term", "12", 15), ("w* SIGHUP", "w*", 1)] {
            let Ok(Asked::Run(asked)) = command().parse(line.split_whitespace().map(Into::into)) else { panic!() };
            assert_eq!(asked.name.as_deref(), Some(name));
            assert_eq!(asked.signal.map(Signal::number), Some(number));
        }
        for line in ["", "web", "web SIGNOPE", "web 9 9", "web 999"] {
            let failure = command().parse(line.split_whitespace().map(Into::into)).expect_err(line);
            assert_eq!(failure.code(), Code::Usage, "{line}");
        }
    }
}
