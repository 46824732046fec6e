//! `gaffer commit`: one more process of a job, once.

use std::time::Duration;

use gaffer::cli::names::Target;
use gaffer::cli::node::failure;
use gaffer::cli::{self, Code, Command, Failure, Opt};
use serde_json::json;

use crate::app::{self, set};
use crate::remote::{self, Remote, has_remote, refused};

/// What `gaffer commit` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Commit {
    remote: Remote,
    name: Option<String>,
    /// `--var`.
    variables: Vec<(String, String)>,
    /// `--graceful-timeout`.
    graceful_timeout: Option<Duration>,
}

has_remote!(Commit);

const DETAILS: &str = "\
It runs beside the job's other processes, is not counted and not replaced. It is
`gaffer run JOB` of gaffer 0.5. Where the job belongs to the application of the
folder, or -e names files, it gets the variables of the .env files as they are
now; those of --var win.
JSON: {\"name\", \"pid\"}.";

pub(crate) fn command() -> Command<Commit> {
    let command = Command::new("commit", "Run one more process of a job on the node, once.")
        .words("NAME", "The job.", |a: &mut Commit, v| {
            if a.name.is_some() {
                return Err(Failure::usage(format!("unexpected argument `{}`", v.string()?)));
            }
            set(&mut a.name, Some(v.string()?))
        })
        .option(Opt::value("var", "NAME=VALUE", "A variable for it; may be given again.").short('p'), |a, v| {
            a.variables.push(v.read(|text| {
                let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
                pair.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or("expected NAME=VALUE")
            })?);
            Ok(())
        })
        .option(
            Opt::value("graceful-timeout", "SECONDS", "Time to end before it is killed.").default("that of the job"),
            |a, v| set(&mut a.graceful_timeout, Some(v.duration()?)),
        )
        .check(|a| if a.name.is_none() { Err(Failure::usage("NAME is missing")) } else { Ok(()) });
    app::variables(remote::options(remote::quiet(command))).details(DETAILS)
}

pub(crate) fn run(asked: &Commit) -> Result<Code, Failure> {
    let server = asked.remote.server()?;
    let session = asked.remote.session()?;
    let name = match &asked.remote.targets(&server, &session, asked.name.as_slice())?[..] {
        [Target::Job(name)] => name.clone(),
        _ => return Err(Failure::usage("one job is expected, by its name")),
    };
    let mut env = Vec::new();
    let app = &asked.remote.app;
    let (own, has_procfile) = app.session()?;
    if !app.env_files.is_empty() || (has_procfile && own == name.session()) {
        // Only the variables are wanted, so what is wrong with the Procfile is said elsewhere.
        let mut lenient = app.clone();
        lenient.lenient = true;
        let (application, _) = lenient.load(true)?;
        env.extend(application.variables().map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    env.extend(asked.variables.iter().cloned());
    let env = env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let job = server.job(name.as_str()).map_err(failure)?;
    let pid = job.commit(asked.graceful_timeout, env).map_err(|e| refused(&server, &name, e))?;
    if asked.remote.node.json {
        cli::print(format!("{}\n", json!({"name": name.as_str(), "pid": pid.0})))?;
    }
    asked.remote.say(&format!("'{name}': new process {pid} launched"))?;
    Ok(Code::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn flags() {
        let args = ["web", "-p", "A=b=c", "--var=B=", "--graceful-timeout", "2.5"].map(Into::into);
        let Ok(Asked::Run(commit)) = command().parse(args) else { panic!("a commit") };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(commit.variables, [pair("A", "b=c"), pair("B", "")]);
        assert_eq!(commit.graceful_timeout, Some(Duration::from_millis(2500)));
        for line in ["", "a b", "-p A web", "-p =x web", "--graceful-timeout soon web"] {
            assert!(command().parse(line.split_whitespace().map(Into::into)).is_err(), "{line}");
        }
    }
}
