//! `gafferctl pids`: the processes of jobs.

use gaffer::cli::{Code, Command, Failure};
use gaffer::process::Pid;
use serde_json::json;

use gaffer::cli::names::{each, jobs, unknown};
use gaffer::cli::node::{self, Node, failure};

use crate::NAME;

/// What `pids` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Pids {
    node: Node,
    names: Vec<String>,
}

impl AsMut<Node> for Pids {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

pub(crate) fn command() -> Command<Pids> {
    let words = "Jobs, all by default; `*` and `?` match any text and any character.";
    let command = Command::new("pids", "Print the numbers of the processes of jobs.").words(
        "[NAME...]",
        words,
        |a: &mut Pids, v| {
            a.names.push(v.string()?);
            Ok(())
        },
    );
    node::options(command).details(
        "They are the node's own numbers, which stop, kill and get_process take; the\n\
         system's are in `get_process PID`.\n\
         JSON: {\"pids\": [N...]}.",
    )
}

pub(crate) fn run(asked: &Pids) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    let (pids, code) = if asked.names.is_empty() {
        (server.pids().map_err(failure)?, Code::Ok)
    } else {
        let jobs = jobs(&server, &asked.names)?;
        let (pids, code) = each(NAME, &jobs, |job| job.pids().map_err(|e| unknown(&server, job.name(), e)));
        (pids.concat(), code)
    };
    let pids: Vec<u64> = pids.into_iter().map(|Pid(pid)| pid).collect();
    asked.node.print(|| json!({"pids": pids}), || pids.iter().map(|pid| format!("{pid}\n")).collect())?;
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn words() {
        for (line, want) in [("", 0), ("web x*", 2)] {
            let Ok(Asked::Run(asked)) = command().parse(line.split_whitespace().map(Into::into)) else { panic!() };
            assert_eq!(asked.names.len(), want);
        }
    }
}
