//! `gafferctl add_process`: loads a job from the command line.

use gaffer::cli::{Code, Command, Failure, Opt};

use crate::definition::{self, Definition};
use crate::names::{each, job_name};
use crate::node::{self, Node, failure};
use crate::state;
use crate::wait::{self, State, Wait};

/// What `add_process` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct AddProcess {
    node: Node,
    wait: Wait,
    definition: Definition,
    name: Option<String>,
    start: bool,
}

impl AsMut<Node> for AddProcess {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

impl AsMut<Wait> for AddProcess {
    fn as_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

impl AsMut<Definition> for AddProcess {
    fn as_mut(&mut self) -> &mut Definition {
        &mut self.definition
    }
}

pub(crate) fn command() -> Command<AddProcess> {
    let command = Command::new("add_process", "Load a job.").option(
        Opt::switch("start", "Start it as well."),
        |a: &mut AddProcess, _| {
            a.start = true;
            Ok(())
        },
    );
    let command = node::options(wait::option(definition::options(command)))
        .rest("NAME CMD [ARGS...]", "The job's name, and the program it runs.", |a, v| {
            if a.name.is_some() {
                return a.definition.word(v.string()?);
            }
            a.name = Some(v.string()?);
            Ok(())
        })
        .check(|a| {
            check_command(&a.definition)?;
            match &a.name {
                None => Err(Failure::usage("NAME is missing")),
                Some(_) if !a.definition.0.contains_key("cmd") => Err(Failure::usage("CMD is missing")),
                Some(_) if a.wait.is_asked() && !a.start => Err(Failure::usage("--wait needs --start")),
                Some(_) => Ok(()),
            }
        });
    command.details(state::DETAILS)
}

/// Options after the name would be taken for the program.
pub(crate) fn check_command(definition: &Definition) -> Result<(), Failure> {
    match definition.0.get("cmd").and_then(|cmd| cmd.as_str()) {
        Some(cmd) if cmd.starts_with('-') => {
            Err(Failure::usage(format!("`{cmd}` is no command; options stand before NAME")))
        }
        _ => Ok(()),
    }
}

pub(crate) fn run(asked: &AddProcess) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    let name = job_name(asked.name.as_deref().unwrap_or_default())?;
    let deadline = wait::deadline(asked.node.timeout);
    let (done, code) = each(&[name], |name| {
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
        assert_eq!(asked.name.as_deref(), Some("shop.web"));
        let want = serde_json::json!({"numprocesses": 2, "cmd": "bin/web", "args": ["-p", "80", "--start"]});
        assert_eq!(serde_json::Value::Object(asked.definition.0), want);
        for line in ["", "web", "--wait web sleep 1", "web --start sleep 1"] {
            assert!(command().parse(line.split_whitespace().map(Into::into)).is_err(), "{line}");
        }
    }
}
