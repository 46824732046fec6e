//! `gafferctl get_process`: a job's definition, or a process.

use gaffer::cli::{Code, Command, Failure};
use serde_json::Value;

use gaffer::cli::names::{Target, targets, unknown};
use gaffer::cli::node::{self, Node, failure};

/// What `get_process` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct GetProcess {
    node: Node,
    name: Option<String>,
}

impl AsMut<Node> for GetProcess {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

pub(crate) fn command() -> Command<GetProcess> {
    let command = Command::new("get_process", "Print a job's definition, or all about a process.")
        .aliases(&["get"])
        .words("NAME|PID", "A job, or a process by its number.", |a: &mut GetProcess, v| {
            if a.name.is_some() {
                return Err(Failure::usage(format!("unexpected argument `{}`", v.string()?)));
            }
            a.name = Some(v.string()?);
            Ok(())
        })
        .check(|a| if a.name.is_none() { Err(Failure::usage("NAME or PID is missing")) } else { Ok(()) });
    node::options(command).details(
        "The answer is JSON either way, with --json on one line. load_process reads a\n\
         definition back.",
    )
}

pub(crate) fn run(asked: &GetProcess) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    for target in targets(&server, asked.name.as_slice())? {
        let value = match target {
            Target::Job(name) => server.template(name.as_str()).map_err(|e| unknown(&server, &name, e))?,
            Target::Process(pid) => server.process(pid).info().map_err(failure)?.fields,
        };
        asked.node.print(|| value.clone(), || pretty(&value))?;
    }
    Ok(Code::Ok)
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn words() {
        let Ok(Asked::Run(asked)) = command().parse(["12".into()]) else { panic!() };
        assert_eq!(asked.name.as_deref(), Some("12"));
        for line in ["", "a b"] {
            assert!(command().parse(line.split_whitespace().map(Into::into)).is_err(), "{line}");
        }
        assert_eq!(pretty(&serde_json::json!({"cmd": "x"})), "{\n  \"cmd\": \"x\"\n}\n");
    }
}
