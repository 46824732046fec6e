//! `gafferctl add_process`: loads a job from the command line.

use gaffer::cli::names::{each, job_name};
use gaffer::cli::node::failure;
use gaffer::cli::wait::{self, State};
use gaffer::cli::{Code, Command, Failure};

use crate::NAME;
use crate::definition::{self, Named};
use crate::state;

pub(crate) fn command() -> Command<Named> {
    let words = ["NAME CMD [ARGS...]", "The job's name, and the program it runs.", "Start it as well."];
    definition::named(Command::new("add_process", "Load a job."), words, |a| {
        definition::check(a)?;
        if !a.definition.0.contains_key("cmd") {
            return Err(Failure::usage("CMD is missing"));
        }
        if a.wait.is_asked() && !a.start { Err(Failure::usage("--wait needs --start")) } else { Ok(()) }
    })
    .details(state::DETAILS)
}

pub(crate) fn run(asked: &Named) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    let name = job_name(&asked.name)?;
    let deadline = wait::deadline(asked.node.timeout);
    let (done, code) = each(NAME, &[name], |name| {
        let mut definition = asked.definition.0.clone();
        definition.insert("name".to_owned(), name.label().into());
        let session = Some(name.session());
        let job = server.load(&definition.into(), session, asked.start, false).map_err(failure)?;
        if let Some(state) = asked.wait.state(State::Running) {
            wait::job(&server, &job, state, Vec::new(), deadline)?;
        }
        Ok(state::target(&job))
    });
    state::report(&asked.node, &done, code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn words() {
        let args = ["--start", "-n", "2", "shop.web", "bin/web", "-p", "80", "--start"].map(Into::into);
        let Ok(Asked::Run(asked)) = command().parse(args) else { panic!() };
        assert!(asked.start);
        assert_eq!(asked.name, "shop.web");
        let want = serde_json::json!({"numprocesses": 2, "cmd": "bin/web", "args": ["-p", "80", "--start"]});
        assert_eq!(serde_json::Value::Object(asked.definition.0), want);
        for line in ["", "web", "--wait web sleep 1", "web --start sleep 1"] {
            assert!(command().parse(line.split_whitespace().map(Into::into)).is_err(), "{line}");
        }
    }
}
