//! `gafferctl status`: how jobs stand.

use std::time::SystemTime;

use gaffer::cli::{Code, Command, Failure};
use gaffer::client::{JobStatus, Server};
use serde_json::{Value, json};

use gaffer::cli::names::{is_pattern, job_name, matches_name, unknown};
use gaffer::cli::node::{self, Node, failure};
use gaffer::cli::standing::Standing;
use gaffer::cli::table::{self, Table, state_name};

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

const DETAILS: &str = "\
One name is answered with its state alone, anything else with a table. States:

  active       it keeps its processes alive
  finished     all processes have ended for good, by the job's restart rule
  backing off  a process ended too soon: there is a pause before the next one
  crash loop   within a minute three processes ended by themselves that were
               less than a minute old
  flapping     it crashed too often for its flapping rule; the next try comes
  gave up      it crashed too often, and is stopped
  stopped      somebody has stopped it, or nobody has started it

UP is the age of the newest process, RESTARTS how many were started since the
job was loaded because others had ended by themselves, and LAST EXIT how the
last of these ended. Below the table stand the log files that cannot be
written. The exit code is 3 if a job that was asked for by name is neither
active nor finished.

JSON: {\"jobs\": [{\"name\", \"active\", \"state\", \"health\", \"running\",
\"numprocesses\", \"restarts\", \"last_exit\", \"uptime\", \"ending\",
\"failing_logs\"}]}: state is active, flapping or stopped, health one of the
above; last_exit has {\"exit_code\", \"term_signal\", \"core\", \"reason\",
\"time\"}; uptime is in seconds; ending has the processes that were told to end
and have not; failing_logs has {\"path\", \"failing\", \"dropped\"}: the file, why
it fails, and how many bytes are lost.";

pub(crate) fn command() -> Command<Status> {
    let command = Command::new("status", "Show how jobs stand: what they do, and whether they crash.").words(
        "[NAME...]",
        "Jobs, all by default; `*` and `?` match any text and any character.",
        |a: &mut Status, v| {
            a.names.push(v.string()?);
            Ok(())
        },
    );
    node::options(command).details(DETAILS)
}

pub(crate) fn run(asked: &Status) -> Result<Code, Failure> {
    let server = asked.node.server()?;
    let jobs = find(&server, &asked.names)?;
    let now = SystemTime::now();
    asked.node.print(
        || json!({"jobs": jobs.iter().map(|job| to_json(job, now)).collect::<Vec<_>>()}),
        || text(asked, &jobs, now),
    )?;
    let so = asked.names.is_empty() || jobs.iter().all(|job| job.health.is_well());
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

fn to_json(job: &JobStatus, now: SystemTime) -> Value {
    let mut members = Standing::of(job, now).members();
    let rest = json!({
        "name": job.name.as_str(),
        "active": job.is_active(),
        "state": state_name(job.state),
        "running": job.running,
        "numprocesses": job.numprocesses,
        "ending": job.ending.iter().map(|pid| pid.0).collect::<Vec<_>>(),
    });
    members.extend(rest.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    members.into()
}

fn text(asked: &Status, jobs: &[JobStatus], now: SystemTime) -> String {
    let color = asked.node.colors();
    if let ([name], [job]) = (&asked.names[..], jobs) {
        if !is_pattern(name) {
            return format!("{}\n", table::health(job.health).text(color));
        }
    }
    let mut faults = String::new();
    let mut table = Table::new(&["NAME", "STATE", ">RUNNING", ">WANTED", ">UP", ">RESTARTS", "LAST EXIT"], color);
    for job in jobs {
        let standing = Standing::of(job, now);
        let [up, restarts, last_exit] = standing.cells();
        let (running, wanted) = (job.running.into(), job.numprocesses.into());
        standing.log_faults().for_each(|fault| faults += &format!("{}: {fault}\n", job.name.short()));
        table.row([job.name.short().into(), standing.health(), running, wanted, up, restarts, last_exit]);
    }
    table.text() + &faults
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
