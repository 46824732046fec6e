//! `gaffer ps:start`: starts jobs of the node.

use gaffer::cli::wait::State;
use gaffer::cli::{Code, Command, Failure};
use gaffer::client::Job;

use crate::bulk::{self, Bulk, Verb, details};

const VERB: Verb = Verb {
    ask: "Start",
    done: "started",
    as_app: false,
    state: State::Running,
    act: Job::start,
    ends: None,
    leaves_stopped: false,
    to_processes: false,
};

const DETAILS: &str = details!(
    "\
Each gets the number of processes with which it was loaded; crashes of before
are forgotten. `gaffer start` is another command: it runs the Procfile here,
without a node."
);

pub(crate) fn command() -> Command<Bulk> {
    bulk::options(Command::new("ps:start", "Start jobs of the node."), "[NAME...]", bulk::NAMES).details(DETAILS)
}

pub(crate) fn run(asked: &Bulk) -> Result<Code, Failure> {
    bulk::run(asked, &VERB)
}
