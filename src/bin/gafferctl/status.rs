//! `gafferctl status`: how jobs stand.

use gaffer::cli::{Code, Command, Failure};
use gaffer::client::{JobStatus, Server};
use serde_json::{Value, json};

use gaffer::cli::names::{is_pattern, job_name, matches_name, unknown};
use gaffer::cli::node::{self, Node, failure};
use gaffer::cli::table::{Table, state, state_name};

/// What `status` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Status {
    node: Node,
    names: Vec<String>,
}

impl AsMut<Node> for Status {
    fn as_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

pub(crate) fn command() -> Command<Status> {
    let command = Command::new("status", "Show how jobs stand: active, flapping or stopped.").words(
        "[NAME...]",
        "Jobs, all by default; `*` and `?` match any text and any character.",
        |a: &mut Status, v| {
            a.names.push(v.string()?);
            Ok(())
        },
    );
    node::options(command).details(
        "One name is answered with one word, anything else with a table. The exit code\n\
         is 3 if a job that was asked for by name is not active.\n\
         JSON: {\"jobs\": [{\"name\", \"active\", \"state\", \"running\", \"numprocesses\",\n\
         \"ending\"}]}; ending has the processes that were told to end and have not.",
    )
}

pub(crate) fn run(asked: &Status) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    let jobs = find(&server, &asked.names)?;
    asked.node.print(|| json!({"jobs": jobs.iter().map(to_json).collect::<Vec<_>>()}), || text(asked, &jobs))?;
    let so = asked.names.is_empty() || jobs.iter().all(JobStatus::is_active);
    Ok(if so { Code::Ok } else { Code::NotSo })
}

/// One request, whatever is asked for.
fn find(server: &Server, names: &[String]) -> Result<Vec<JobStatus>, Failure> {
    if let [name] = names {
        if !is_pattern(name) {
            let name = job_name(name)?;
            let status = server.status(name.as_str()).map_err(|e| unknown(server, &name, e))?;
            return Ok(vec![status]);
        }
    }
    // Before the node is asked.
    for name in names.iter().filter(|name| !is_pattern(name)) {
        job_name(name)?;
    }
    let all = server.statuses().map_err(failure)?;
    for name in names {
        if !all.iter().any(|job| matches_name(name, &job.name)) {
            let what = if is_pattern(name) { "no job matches" } else { "no such job" };
            return Err(Failure::new(Code::NoSuch, format!("{what} `{name}`")));
        }
    }
    let wanted = |job: &JobStatus| names.is_empty() || names.iter().any(|name| matches_name(name, &job.name));
    Ok(all.into_iter().filter(wanted).collect())
}

fn to_json(job: &JobStatus) -> Value {
    json!({
        "name": job.name.as_str(),
        "active": job.is_active(),
        "state": state_name(job.state),
        "running": job.running,
        "numprocesses": job.numprocesses,
        "ending": job.ending.iter().map(|pid| pid.0).collect::<Vec<_>>(),
    })
}

fn text(asked: &Status, jobs: &[JobStatus]) -> String {
    let color = asked.node.colors();
    if let ([name], [job]) = (&asked.names[..], jobs) {
        if !is_pattern(name) {
            return format!("{}\n", state(job.state).text(color));
        }
    }
    let mut table = Table::new(&["NAME", "STATE", ">RUNNING", ">WANTED"], color);
    for job in jobs {
        table.row([job.name.short().into(), state(job.state), job.running.into(), job.numprocesses.into()]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn words() {
        let Ok(Asked::Run(asked)) = command().parse(["web".into(), "w*".into()]) else { panic!() };
        assert_eq!(asked.names, ["web", "w*"]);
        assert_eq!(find(&Server::new("h").expect("h"), &["a.b.c".to_owned()]).expect_err("a name").code(), Code::Usage);
    }
}
