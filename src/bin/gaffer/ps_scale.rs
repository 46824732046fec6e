//! `gaffer scale`: more or fewer processes.

use gaffer::cli::names::each;
use gaffer::cli::node::failure;
use gaffer::cli::wait::{self, State, Wait};
use gaffer::cli::{self, Code, Command, Failure};
use gaffer::client::Server;
use gaffer::process::JobName;
use serde_json::{Value, json};

use crate::NAME;
use crate::ports::{PER_TYPE, Ports};
use crate::remote::{self, Remote, has_remote, qualify, refused, shown};

/// What `gaffer scale` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Scale {
    remote: Remote,
    wait: Wait,
    changes: Vec<Change>,
}

/// `name=3`, `name+1`, `name-1`.
#[derive(Clone, Debug, PartialEq)]
struct Change {
    name: String,
    /// `=3`, `+1`, `-1`.
    by: String,
}

has_remote!(Scale);

impl AsMut<Wait> for Scale {
    fn as_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

const DETAILS: &str = "\
With --lookup each node that has the job gets that number.

The number that is printed is how many processes are wanted now; --wait waits
until they run. Surplus processes end oldest first. A process type has a hundred
ports: if more processes than that get ports of other jobs, that is said.

Example:
  $ gaffer scale dummy=3 dummy1+2
  Scaling dummy processes... done, now running 3
  Scaling dummy1 processes... done, now running 3

JSON: {\"jobs\": [{\"name\", \"numprocesses\"}]}.";

pub(crate) fn command() -> Command<Scale> {
    let help = "How many processes: a number, so many more, or so many less.";
    let command = Command::new("scale", "Change how many processes jobs have.")
        .aliases(&["ps:scale"])
        .words("NAME=N|NAME+N|NAME-N...", help, |a: &mut Scale, v| {
            // As gaffer 0.4 had it: the application first.
            let word = v.string()?;
            if a.changes.is_empty() && a.remote.session.is_none() && !word.contains(['=', '+', '-']) {
                a.remote.session = Some(word);
                return Ok(());
            }
            a.changes.push(change(&word).ok_or_else(|| {
                let what = "expected NAME=N, NAME+N or NAME-N, such as web=3 or web+1";
                Failure::usage(format!("invalid value `{word}`: {what}"))
            })?);
            Ok(())
        })
        .check(|a| match (&a.changes[..], &a.remote.session) {
            ([], Some(word)) => Err(Failure::usage(format!("how many of `{word}`? Expected NAME=N, NAME+N or NAME-N"))),
            ([], None) => Err(Failure::usage("NAME=N is missing")),
            _ => Ok(()),
        });
    wait::option(remote::many(remote::options(remote::quiet(command)))).details(DETAILS)
}

/// Names have `+` and `-` in them, too, so the last sign counts.
fn change(word: &str) -> Option<Change> {
    let (name, by) = word.split_at(word.rfind(['=', '+', '-'])?);
    let number = &by[1..];
    let good = !name.is_empty() && number.parse::<u32>().is_ok() && number.bytes().all(|b| b.is_ascii_digit());
    good.then(|| Change { name: name.to_owned(), by: by.to_owned() })
}

pub(crate) fn run(asked: &Scale) -> Result<Code, Failure> {
    let session = asked.remote.session()?;
    let mut changes: Vec<(JobName, &str)> = Vec::new();
    // All names are names before anything is changed.
    for change in &asked.changes {
        let name: JobName = qualify(&session, &change.name)
            .replacen(':', ".", 1)
            .parse()
            .map_err(|e: gaffer::Error| Failure::usage(e.to_string()))?;
        changes.push((name, &change.by));
    }
    let deadline = wait::deadline(asked.remote.node.timeout);
    // With --lookup each change is one for every node that has the job.
    let mut targets: Vec<Target<'_>> = Vec::new();
    if asked.remote.lookup.any() {
        let names: Vec<&JobName> = changes.iter().map(|(name, _)| name).collect();
        let nodes = asked.remote.lookup.nodes_with(&asked.remote.node, &names)?;
        for ((name, by), nodes) in changes.iter().zip(nodes) {
            for (origin, server) in nodes {
                targets.push(Target { name, by, server, origin: Some(origin) });
            }
        }
    } else {
        let server = asked.remote.server()?;
        let one = changes.iter().map(|(name, by)| Target { name, by, server: server.clone(), origin: None });
        targets.extend(one);
    }
    let (done, code) = each(NAME, &targets, |Target { name, by, server, origin }| {
        let job = server.job(name.as_str()).map_err(failure)?;
        let wanted = job.scale(by).map_err(|e| refused(server, name, e))?;
        if wanted > PER_TYPE {
            if let Some(warning) = Ports::of(server).clashes_of(name, wanted) {
                cli::complain(NAME, warning);
            }
        }
        if let Some(state) = asked.wait.state(State::Running) {
            wait::job(server, &job, state, Vec::new(), deadline)?;
        }
        let place = origin.as_ref().map(|origin| format!(" on {origin}")).unwrap_or_default();
        let name_here = shown(name, &session);
        asked.remote.say(&format!("Scaling {name_here} processes{place}... done, now running {wanted}"))?;
        let mut done = json!({"name": name.as_str(), "numprocesses": wanted});
        if let Some(origin) = origin {
            done["node"] = origin.as_str().into();
        }
        Ok(done)
    });
    if asked.remote.node.json {
        cli::print(format!("{}\n", json!({"jobs": Value::Array(done)})))?;
    }
    Ok(code)
}

/// One change of a job on one node.
struct Target<'a> {
    name: &'a JobName,
    by: &'a str,
    server: Server,
    /// Where, if several are meant.
    origin: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn words() {
        for (word, name, by) in [
            ("web=3", "web", "=3"),
            ("web+1", "web", "+1"),
            ("web-1", "web", "-1"),
            ("my-web-2", "my-web", "-2"),
            ("a+b=0", "a+b", "=0"),
            ("shop.web+10", "shop.web", "+10"),
        ] {
            assert_eq!(change(word), Some(Change { name: name.to_owned(), by: by.to_owned() }), "{word}");
        }
        for bad in ["web", "=3", "web=", "web=x", "web=1.5", "web=+1x", "web=99999999999", "web+ 1"] {
            assert_eq!(change(bad), None, "{bad}");
        }
        let Ok(Asked::Run(scale)) = command().parse(["shop".into(), "web=2".into()]) else { panic!("a scale") };
        assert_eq!((scale.remote.session.as_deref(), scale.changes.len()), (Some("shop"), 1));
        for line in ["", "web", "shop web", "web=1 worker"] {
            let failure = command().parse(line.split_whitespace().map(Into::into)).expect_err(line);
            assert_eq!(failure.code(), Code::Usage, "{line}");
        }
    }
}
