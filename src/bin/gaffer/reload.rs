//! `gaffer reload`: starts jobs again as they were loaded.

use gaffer::cli::wait::{self, State};
use gaffer::cli::{Code, Command, Failure};
use gaffer::client::Job;

use crate::bulk::{self, Bulk, Verb, details};

const VERB: Verb = Verb {
    ask: "Reload",
    done: "reloaded",
    as_app: true,
    state: State::Running,
    act: Job::reload,
    ends: Some(wait::before_restart),
    leaves_stopped: true,
    to_processes: false,
};

const DETAILS: &str = details!(
    "\
A job gets the number of processes back with which it was loaded, all of them
new. One that is stopped stays so: with a name that is exit code 3, of a whole
application it is left out. Each process has ended before its successor starts;
`gaffer restart` starts the new ones first and keeps the number of processes.
`gaffer load --replace` is for a Procfile that has changed."
);

pub(crate) fn command() -> Command<Bulk> {
    let command = Command::new("reload", "Start jobs again, as they were loaded.");
    bulk::from_file(bulk::options(command, "[NAME...]", bulk::NAMES)).check(bulk::check).details(DETAILS)
}

pub(crate) fn run(asked: &Bulk) -> Result<Code, Failure> {
    bulk::run(asked, &VERB)
}
