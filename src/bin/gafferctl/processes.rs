//! `gafferctl processes`: what is loaded, or runs.

use gaffer::cli::{Code, Command, Failure, Opt};
use serde_json::json;

use gaffer::cli::node::{self, Node, failure};

/// What `processes` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Processes {
    node: Node,
    /// `--running`.
    running: bool,
}

impl AsMut<Node> for Processes {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

pub(crate) fn command() -> Command<Processes> {
    let command = Command::new("processes", "List the jobs, or with --running the numbers of all processes.")
        .aliases(&["jobs"])
        .option(Opt::switch("running", "The numbers of the processes that run."), |a: &mut Processes, _| {
            a.running = true;
            Ok(())
        });
    node::options(command).details("JSON: {\"processes\": [NAME...]}, with --running {\"pids\": [N...]}.")
}

pub(crate) fn run(asked: &Processes) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    if asked.running {
        let pids: Vec<u64> = server.pids().map_err(failure)?.into_iter().map(|pid| pid.0).collect();
        asked.node.print(|| json!({"pids": pids}), || pids.iter().map(|pid| format!("{pid}\n")).collect())?;
    } else {
        let names = server.processes().map_err(failure)?;
        asked.node.print(|| json!({"processes": names}), || names.iter().map(|name| format!("{name}\n")).collect())?;
    }
    Ok(Code::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn flags() {
        let Ok(Asked::Run(asked)) = command().parse(["--running".into(), "--json".into()]) else { panic!() };
        assert!(asked.running && asked.node.json);
        assert!(command().parse(["web".into()]).is_err());
    }
}
