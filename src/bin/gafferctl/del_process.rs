//! `gafferctl del_process`: stops jobs and forgets them.

use gaffer::cli::{Code, Command, Failure};

use crate::NAME;
use crate::state;
use gaffer::cli::names::{each, jobs, unknown};
use gaffer::cli::node::{self, Node};
use gaffer::cli::wait::{self, Wait};

/// What `del_process` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct DelProcess {
    node: Node,
    wait: Wait,
    names: Vec<String>,
}

impl AsMut<Node> for DelProcess {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

impl AsMut<Wait> for DelProcess {
    fn as_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

pub(crate) fn command() -> Command<DelProcess> {
    let command = Command::new("del_process", "Stop jobs and forget them.")
        .aliases(&["unload"])
        .words("NAME...", "`*` and `?` match any text and any character.", |a: &mut DelProcess, v| {
            a.names.push(v.string()?);
            Ok(())
        })
        .check(|a| match (a.names.is_empty(), a.wait.state(wait::State::Stopped)) {
            (true, _) => Err(Failure::usage("NAME is missing")),
            (_, Some(wait::State::Running)) => Err(Failure::usage("what is forgotten will not run: --wait=stopped")),
            _ => Ok(()),
        });
    node::options(wait::option(command)).details(state::DETAILS)
}

pub(crate) fn run(asked: &DelProcess) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    let jobs = jobs(&server, &asked.names)?;
    let deadline = wait::deadline(asked.node.timeout);
    let (done, code) = each(NAME, &jobs, |job| {
        let old = if asked.wait.is_asked() { wait::before(job)? } else { Vec::new() };
        job.unload().map_err(|e| unknown(&server, job.name(), e))?;
        Ok((job, old))
    });
    let (done, waited) = each(NAME, &done, |(job, old)| {
        wait::gone(&server, old.clone(), deadline)?;
        Ok(state::target(job))
    });
    state::report(&asked.node, &done, if code == Code::Ok { waited } else { code })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn words() {
        let Ok(Asked::Run(asked)) = command().parse(["--wait".into(), "a".into(), "b*".into()]) else { panic!() };
        assert!(asked.wait.is_asked() && asked.names == ["a", "b*"]);
        for line in ["", "--wait=running a"] {
            assert!(command().parse(line.split_whitespace().map(Into::into)).is_err(), "{line}");
        }
    }
}
