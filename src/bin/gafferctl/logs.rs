//! `gafferctl logs`: what programs have written, and what they write.

use gaffer::cli::logs::{self, Wanted};
use gaffer::cli::node::{self, Node};
use gaffer::cli::{Code, Command, Failure};
use gaffer::process::DEFAULT_SESSION;

use crate::NAME;

/// What `logs` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Logs {
    node: Node,
    wanted: Wanted,
}

impl AsMut<Node> for Logs {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

impl AsMut<Wanted> for Logs {
    fn as_mut(&mut self) -> &mut Wanted {
        &mut self.wanted
    }
}

pub(crate) fn command() -> Command<Logs> {
    let command = Command::new("logs", "Show what programs have written.");
    node::options(logs::options(command)).details(
        "The node keeps the last 64 KiB of each stream, also of programs that have ended\n\
         (`log_history`). With --follow what comes is shown behind it, without a gap.\n\
         In NAME `*` and `?` match any text and any character.\n\
         JSON: an object for each line, as GET /logs has them, and for each event.",
    )
}

pub(crate) fn run(asked: &Logs) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    let jobs = asked.wanted.jobs.clone();
    logs::run(NAME, &asked.node, &server, &asked.wanted, jobs, DEFAULT_SESSION.to_owned())
}
