//! `gafferctl numprocesses` and `running`: one number of a job.

use gaffer::cli::{Code, Command, Failure};

use crate::NAME;
use crate::scale;
use gaffer::cli::names::{each, jobs, unknown};
use gaffer::cli::node::{self, Node};

/// What one of them is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Figures {
    node: Node,
    names: Vec<String>,
}

impl AsMut<Node> for Figures {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

pub(crate) fn numprocesses() -> Command<Figures> {
    options(Command::new("numprocesses", "Print how many processes of a job are wanted."))
        .details("JSON: {\"jobs\": [{\"name\", \"numprocesses\"}]}.")
}

pub(crate) fn running() -> Command<Figures> {
    options(Command::new("running", "Print how many processes of a job run."))
        .details("JSON: {\"jobs\": [{\"name\", \"running\"}]}.")
}

fn options(command: Command<Figures>) -> Command<Figures> {
    let command = command
        .words("NAME...", "`*` and `?` match any text and any character.", |a: &mut Figures, v| {
            a.names.push(v.string()?);
            Ok(())
        })
        .check(|a| if a.names.is_empty() { Err(Failure::usage("NAME is missing")) } else { Ok(()) });
    node::options(command)
}

pub(crate) fn run(asked: &Figures, key: &str) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    let jobs = jobs(&server, &asked.names)?;
    let (figures, code) = each(NAME, &jobs, |job| {
        let status = job.status().map_err(|e| unknown(&server, job.name(), e))?;
        Ok((job.name().clone(), if key == "running" { status.running } else { status.numprocesses }))
    });
    if code == Code::Ok || !figures.is_empty() {
        scale::print(&asked.node, &figures, key)?;
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn words() {
        for command in [numprocesses(), running()] {
            let Ok(Asked::Run(asked)) = command.parse(["web".into(), "--json".into()]) else { panic!() };
            assert_eq!((asked.names, asked.node.json), (vec!["web".to_owned()], true));
            assert!(command.parse([]).is_err());
        }
    }
}
