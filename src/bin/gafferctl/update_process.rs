//! `gafferctl update_process`: changes a job's definition.

use gaffer::cli::{Code, Command, Failure, Opt};
use serde_json::Value;

use crate::add_process::check_command;
use crate::definition::{self, Definition};
use crate::names::{each, job_name, unknown};
use crate::node::{self, Node, failure};
use crate::state;
use crate::wait::{self, State, Wait};

/// What `update_process` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct UpdateProcess {
    node: Node,
    wait: Wait,
    definition: Definition,
    name: Option<String>,
    start: bool,
}

impl AsMut<Node> for UpdateProcess {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

impl AsMut<Wait> for UpdateProcess {
    fn as_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

impl AsMut<Definition> for UpdateProcess {
    fn as_mut(&mut self) -> &mut Definition {
        &mut self.definition
    }
}

pub(crate) fn command() -> Command<UpdateProcess> {
    let command = Command::new("update_process", "Change a job's definition, and replace its processes.")
        .aliases(&["update"])
        .option(Opt::switch("start", "Start it if it is stopped."), |a: &mut UpdateProcess, _| {
            a.start = true;
            Ok(())
        });
    node::options(wait::option(definition::options(command)))
        .rest("NAME [CMD [ARGS...]]", "The job's name, and the program it runs from now on.", |a, v| {
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
                Some(_) if a.definition.0.is_empty() => {
                    Err(Failure::usage("nothing to change: an option or CMD is missing"))
                }
                Some(_) => Ok(()),
            }
        })
        .details(
            "What is not given stays as it is; a new CMD takes its arguments from here.\n\
             JSON: {\"ok\": true, \"jobs\": [NAME], \"pids\": []}.",
        )
}

pub(crate) fn run(asked: &UpdateProcess) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    let name = job_name(asked.name.as_deref().unwrap_or_default())?;
    let deadline = wait::deadline(asked.node.timeout);
    let (done, code) = each(&[name], |name| {
        let job = server.job(name.as_str()).map_err(failure)?;
        let info = job.info().map_err(|e| unknown(&server, name, e))?;
        let definition = merge(info.config, &asked.definition);
        server.update(&definition, name.as_str(), asked.start).map_err(failure)?;
        if let Some(state) = asked.wait.state(State::Running) {
            wait::job(&server, &job, state, info.processes, deadline)?;
        }
        Ok(state::target(&job))
    });
    state::report(&asked.node, &done, code)
}

fn merge(mut old: Value, new: &Definition) -> Value {
    if let Value::Object(members) = &mut old {
        if new.0.contains_key("cmd") {
            members.remove("args");
        }
        for (key, value) in &new.0 {
            match (members.get_mut(key), value) {
                // Variables are added to those that are there.
                (Some(Value::Object(old)), Value::Object(more)) => old.extend(more.clone()),
                _ => drop(members.insert(key.clone(), value.clone())),
            }
        }
    }
    old
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;
    use serde_json::json;

    #[test]
    fn words() {
        let args = ["--start", "--env", "A=1", "web"].map(Into::into);
        let Ok(Asked::Run(asked)) = command().parse(args) else { panic!() };
        assert!(asked.start && asked.name.as_deref() == Some("web"));
        for line in ["", "web", "--start web"] {
            assert!(command().parse(line.split_whitespace().map(Into::into)).is_err(), "{line}");
        }
    }

    #[test]
    fn what_is_not_given_stays() {
        let old = json!({"name": "a", "cmd": "x", "args": ["1"], "env": {"A": "1", "B": "2"}, "numprocesses": 2});
        let new = |value: Value| match value {
            Value::Object(map) => Definition(map),
            _ => Definition::default(),
        };
        let merged = merge(old.clone(), &new(json!({"env": {"B": "3"}, "numprocesses": 4})));
        assert_eq!(
            merged,
            json!({"name": "a", "cmd": "x", "args": ["1"], "env": {"A": "1", "B": "3"}, "numprocesses": 4})
        );
        let merged = merge(old, &new(json!({"cmd": "y"})));
        assert_eq!(merged["args"], Value::Null, "a new command has its own arguments");
    }
}
