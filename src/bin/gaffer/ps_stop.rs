//! `gaffer stop`: stops jobs, or processes.

use gaffer::cli::wait::{self, State};
use gaffer::cli::{Code, Command, Failure};
use gaffer::client::Job;

use crate::bulk::{self, Bulk, Verb, details};

const VERB: Verb = Verb {
    ask: "Stop",
    done: "stopped",
    as_app: false,
    state: State::Stopped,
    act: Job::stop,
    ends: Some(wait::before),
    leaves_stopped: false,
    to_processes: true,
};

const DETAILS: &str = details!(
    "\
A job that is stopped stays loaded, and keeps its number of processes for the
next start. A process that is stopped by its number is replaced by its job.
--wait waits until they have ended; otherwise they have been told when this
ends."
);

pub(crate) fn command() -> Command<Bulk> {
    let command = Command::new("stop", "Stop jobs of the node, or processes by their numbers.").aliases(&["ps:stop"]);
    bulk::options(command, "[NAME|PID...]", bulk::NAMES).details(DETAILS)
}

pub(crate) fn run(asked: &Bulk) -> Result<Code, Failure> {
    bulk::run(asked, &VERB)
}
