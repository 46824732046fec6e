//! `gafferctl load_process`: loads jobs from a file.

use std::ffi::OsString;

use gaffer::cli::{Code, Command, Failure, Opt, definitions};

use crate::NAME;
use crate::state;
use gaffer::cli::names::each;
use gaffer::cli::node::{self, Node, failure};
use gaffer::cli::wait::{self, State, Wait};

/// What `load_process` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct LoadProcess {
    node: Node,
    wait: Wait,
    file: Option<OsString>,
    start: bool,
    replace: bool,
}

impl AsMut<Node> for LoadProcess {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

impl AsMut<Wait> for LoadProcess {
    fn as_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

pub(crate) fn command() -> Command<LoadProcess> {
    let command = Command::new("load_process", "Load a job, or a list of jobs, from a JSON file.")
        .aliases(&["load"])
        .option(Opt::switch("start", "Start them, whatever the file says."), |a: &mut LoadProcess, _| {
            a.start = true;
            Ok(())
        })
        .option(Opt::switch("replace", "Replace jobs that are loaded already."), |a, _| {
            a.replace = true;
            Ok(())
        })
        .words("FILE", "The file; `-` is standard input.", |a, v| {
            let word = v.os();
            if a.file.is_some() {
                return Err(Failure::usage(format!("unexpected argument `{}`", word.to_string_lossy())));
            }
            a.file = Some(word);
            Ok(())
        })
        .check(|a| if a.file.is_none() { Err(Failure::usage("FILE is missing")) } else { Ok(()) });
    node::options(wait::option(command)).details(
        "The file has an object with `name`, `cmd` and any other settings, or a list of\n\
         such objects, or {\"jobs\": [...]}. A job is started if it says \"start\": true.\n\
         JSON: {\"ok\": true, \"jobs\": [NAME...], \"pids\": []}, with those that were loaded.",
    )
}

pub(crate) fn run(asked: &LoadProcess) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    let file = asked.file.as_deref().unwrap_or_default();
    let definitions = definitions::read(file)?;
    let deadline = wait::deadline(asked.node.timeout);
    let (done, code) = each(NAME, &definitions, |definition| {
        let start = asked.start || definition["start"].as_bool() == Some(true);
        let job = server.load(definition, None, start, asked.replace).map_err(failure)?;
        if let Some(state) = asked.wait.state(State::Running).filter(|_| start) {
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
    fn flags() {
        let args = ["--start", "--replace", "-"].map(Into::into);
        let Ok(Asked::Run(asked)) = command().parse(args) else { panic!() };
        assert_eq!((asked.start, asked.replace, asked.file), (true, true, Some("-".into())));
        for line in ["", "a b"] {
            assert!(command().parse(line.split_whitespace().map(Into::into)).is_err(), "{line}");
        }
    }
}
