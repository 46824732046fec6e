//! `gaffer restart`: replaces the processes of jobs, new ones first.

use gaffer::cli::wait::{self, State};
use gaffer::cli::{Code, Command, Failure};
use gaffer::client::Job;

use crate::bulk::{self, Bulk, Verb, details};

const VERB: Verb = Verb {
    ask: "Restart",
    done: "restarted",
    as_app: false,
    state: State::Running,
    act: Job::restart,
    ends: Some(wait::before_restart),
    leaves_stopped: true,
    to_processes: false,
};

const DETAILS: &str = details!(
    "\
The new processes start before the old ones are told to end; each has a PORT of
its own (`gaffer reload` ends the old ones first, and the PORT stays). Jobs that
are stopped stay so: with a name that is exit code 3, of a whole application
they are left out."
);

pub(crate) fn command() -> Command<Bulk> {
    let command = Command::new("restart", "Replace the processes of jobs, new ones first.").aliases(&["ps:restart"]);
    bulk::options(command, "[NAME...]", bulk::NAMES).details(DETAILS)
}

pub(crate) fn run(asked: &Bulk) -> Result<Code, Failure> {
    bulk::run(asked, &VERB)
}
