//! `gafferctl update_process`: changes a job.

use gaffer::cli::names::{each, job_name, unknown};
use gaffer::cli::node::failure;
use gaffer::cli::wait::{self, State};
use gaffer::cli::{Code, Command, Failure};
use serde_json::Value;

use crate::NAME;
use crate::definition::{self, Definition, Named};
use crate::state;

pub(crate) fn command() -> Command<Named> {
    let words =
        ["NAME [CMD [ARGS...]]", "The job's name, and the program it runs from now on.", "Start it if it is stopped."];
    let command = Command::new("update_process", "Change a job's definition, and replace its processes.");
    definition::named(command.aliases(&["update"]), words, |a| {
        definition::check(a)?;
        if a.definition.0.is_empty() {
            return Err(Failure::usage("nothing to change: an option or CMD is missing"));
        }
        Ok(())
    })
    .details(
        "What is not given stays as it is; a new CMD takes its arguments from here.\n\
         JSON: {\"ok\": true, \"jobs\": [NAME], \"pids\": []}.",
    )
}

pub(crate) fn run(asked: &Named) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    let name = job_name(&asked.name)?;
    let deadline = wait::deadline(asked.node.timeout);
    let (done, code) = each(NAME, &[name], |name| {
        let job = server.job(name.as_str()).map_err(failure)?;
        let info = job.info().map_err(|e| unknown(&server, name, e))?;
        let definition = merge(info.config.clone(), &asked.definition);
        server.update(&definition, name.as_str(), asked.start).map_err(failure)?;
        if let Some(state) = asked.wait.state(State::Running) {
            wait::job(&server, &job, state, wait::replaced(info), deadline)?;
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
        assert!(asked.start && asked.name == "web");
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
