//! `gaffer unload`: stops jobs and makes the node forget them.

use gaffer::cli::wait::{self, State};
use gaffer::cli::{Code, Command, Failure};
use gaffer::client::Job;

use crate::bulk::{self, Bulk, Verb, details};

const VERB: Verb = Verb {
    ask: "Unload",
    done: "unloaded",
    as_app: true,
    state: State::Stopped,
    act: Job::unload,
    ends: Some(wait::before),
    leaves_stopped: false,
    to_processes: false,
};

const DETAILS: &str = details!(
    "\
Without a name all jobs of the application are unloaded, after a question if the
input is a terminal. --wait waits until their processes have ended.

Examples:
  gaffer unload                     the application of the Procfile here
  gaffer unload --app shop          that of another folder
  gaffer unload web blog.worker     two jobs"
);

pub(crate) fn command() -> Command<Bulk> {
    let command = Command::new("unload", "Stop jobs, and make the node forget them.");
    bulk::from_file(bulk::options(command, "[NAME...]", bulk::NAMES))
        .check(|bulk| match bulk.wait.state(State::Stopped) {
            Some(State::Running) => Err(Failure::usage("what is unloaded will not run: --wait=stopped")),
            _ => bulk::check(bulk),
        })
        .details(DETAILS)
}

pub(crate) fn run(asked: &Bulk) -> Result<Code, Failure> {
    bulk::run(asked, &VERB)
}
