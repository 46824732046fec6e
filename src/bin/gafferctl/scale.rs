//! `gafferctl add` and `sub`: more or fewer processes.

use gaffer::cli::{Code, Command, Failure};
use gaffer::process::JobName;
use serde_json::json;

use gaffer::cli::names::{each, jobs, unknown};
use gaffer::cli::node::{self, Node};
use gaffer::cli::wait::{self, State, Wait};

use crate::NAME;

/// What one of them is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Change {
    node: Node,
    wait: Wait,
    name: Option<String>,
    by: Option<u32>,
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

pub(crate) fn add() -> Command<Change> {
    options(Command::new("add", "Add processes to a job, one by default."))
}

pub(crate) fn sub() -> Command<Change> {
    options(Command::new("sub", "Take processes from a job, one by default; oldest first."))
}

fn options(command: Command<Change>) -> Command<Change> {
    let command = command
        .words("NAME [N]", "The job, in which `*` and `?` match any text and any character.", |a: &mut Change, v| {
            match (&a.name, a.by) {
                (None, _) => a.name = Some(v.string()?),
                (Some(_), None) => a.by = Some(v.parse()?),
                _ => return Err(Failure::usage(format!("unexpected argument `{}`", v.string()?))),
            }
            Ok(())
        })
        .check(|a| if a.name.is_none() { Err(Failure::usage("NAME is missing")) } else { Ok(()) });
    node::options(wait::option(command)).details(
        "Prints how many processes are wanted now.\n\
         JSON: {\"jobs\": [{\"name\", \"numprocesses\"}]}.",
    )
}

pub(crate) fn run(asked: &Change, sign: char) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    let jobs = jobs(&server, asked.name.as_slice())?;
    let scale = format!("{sign}{}", asked.by.unwrap_or(1));
    let deadline = wait::deadline(asked.node.timeout);
    let (done, code) = each(NAME, &jobs, |job| {
        let wanted = job.scale(&scale).map_err(|e| unknown(&server, job.name(), e))?;
        if let Some(state) = asked.wait.state(State::Running) {
            wait::job(&server, job, state, Vec::new(), deadline)?;
        }
        Ok((job.name().clone(), wanted))
    });
    print(&asked.node, &done, "numprocesses")?;
    Ok(code)
}

/// The number of one job, or a line for each.
pub(crate) fn print(node: &Node, figures: &[(JobName, u32)], key: &str) -> Result<(), Failure> {
    let json = || {
        let jobs: Vec<_> = figures.iter().map(|(name, n)| json!({"name": name.as_str(), key: n})).collect();
        json!({ "jobs": jobs })
    };
    node.print(json, || match figures {
        [(_, n)] => format!("{n}\n"),
        _ => figures.iter().map(|(name, n)| format!("{} {n}\n", name.short())).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn words() {
        for (line, by) in [("web", None), ("web 3", Some(3)), ("--wait web 3", Some(3))] {
            for command in [add(), sub()] {
                let Ok(Asked::Run(asked)) = command.parse(line.split_whitespace().map(Into::into)) else { panic!() };
                assert_eq!((asked.name.as_deref(), asked.by), (Some("web"), by), "{line}");
            }
        }
        for line in ["", "web x", "web 1 2", "web 1.5"] {
            let failure = add().parse(line.split_whitespace().map(Into::into)).expect_err(line);
            assert_eq!(failure.code(), Code::Usage);
        }
    }
}
