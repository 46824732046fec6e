//! `gaffer export`: jobs in the forms of other tools.

use std::fs;
use std::path::{Path, PathBuf};

use gaffer::cli::node::failure;
use gaffer::cli::{self, Code, Command, Failure, Opt};
use gaffer::client::Server;
use gaffer::config::export::{Exported, Format, export};
use gaffer::config::{Job, job_from_json};

use crate::NAME;
use crate::app::{self, set};
use crate::remote::{self, Remote, has_remote};

/// What `gaffer export` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Export {
    remote: Remote,
    format: Option<Format>,
    out: Option<PathBuf>,
    concurrency: Vec<String>,
}

has_remote!(Export);

const DETAILS: &str = "\
Without --app the Procfile is written, with the user and the variables that
`start` would run it with; with --app the jobs that an application has on the
node. What the target cannot do as gaffer does is said on standard error.

PATH is a file, or a folder where there are several: for systemd. There files of
the same names are replaced, and others stay.

Examples:
  gaffer export --format systemd --out /etc/systemd/system -c web=2
  gaffer export --format ini --app shop > shop.ini";

pub(crate) fn command() -> Command<Export> {
    let command = Command::new("export", "Write jobs for gafferd, systemd, supervisord, compose, or as a Procfile.")
        .option(
            Opt::value("format", "FORMAT", "ini, json, systemd, supervisord, compose or Procfile."),
            |a: &mut Export, v| set(&mut a.format, Some(v.parse()?)),
        )
        .option(Opt::value("out", "PATH", "Where to write it.").short('o').default("standard output"), |a, v| {
            set(&mut a.out, Some(v.path()))
        })
        .option(app::concurrency(), |a, v| {
            a.concurrency.push(v.string()?);
            Ok(())
        })
        .check(|a| match a.format {
            None => Err(Failure::usage("--format is missing: ini, json, systemd, supervisord, compose or Procfile")),
            Some(_) if a.remote.session.is_some() && !a.concurrency.is_empty() => {
                Err(Failure::usage("--app and --concurrency exclude each other: the node knows how many"))
            }
            Some(_) => Ok(()),
        });
    app::variables(remote::options(command)).details(DETAILS)
}

pub(crate) fn run(asked: &Export) -> Result<Code, Failure> {
    let format = asked.format.ok_or_else(|| Failure::usage("--format is missing"))?;
    let jobs = match asked.remote.session {
        Some(_) => of_node(&asked.remote.server()?, &asked.remote.session()?)?,
        None => {
            let (application, warnings) = asked.remote.app.load(false)?;
            warnings.iter().for_each(|warning| cli::complain(NAME, warning));
            app::jobs(&application, &asked.concurrency, &[])?.into_iter().map(Job::new).collect()
        }
    };
    let exported = export(&jobs, format)?;
    exported.notes.iter().for_each(|note| cli::complain(NAME, note));
    match &asked.out {
        None => cli::print(printed(&exported))?,
        Some(path) => write(&exported, path)?,
    }
    Ok(Code::Ok)
}

/// What an application has on a node.
fn of_node(server: &Server, session: &str) -> Result<Vec<Job>, Failure> {
    let mut jobs = Vec::new();
    for job in server.jobs_walk(Some(session)).map_err(|e| remote::no_app(server, session, e))? {
        let info = job.info().map_err(failure)?;
        let (config, start) = job_from_json(&info.config, Some(session))?;
        let mut job = Job::new(config);
        job.start = start;
        jobs.push(job);
    }
    Ok(jobs)
}

/// One file as it is, several behind a line with the name of each.
fn printed(exported: &Exported) -> String {
    match &exported.files[..] {
        [(_, text)] => text.clone(),
        files => files.iter().map(|(name, text)| format!("# {name}\n{text}\n")).collect(),
    }
}

fn write(exported: &Exported, path: &Path) -> Result<(), Failure> {
    let cannot = |path: &Path, e| Failure::new(Code::Failed, format!("cannot write '{}': {e}", path.display()));
    let write = |path: &Path, text: &str| fs::write(path, text).map_err(|e| cannot(path, e));
    match &exported.files[..] {
        [(_, text)] if !path.is_dir() => write(path, text),
        files => {
            fs::create_dir_all(path).map_err(|e| cannot(path, e))?;
            files.iter().try_for_each(|(name, text)| write(&path.join(name), text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    fn parse(line: &str) -> Result<Export, Failure> {
        match command().parse(line.split_whitespace().map(Into::into))? {
            Asked::Run(asked) => Ok(asked),
            Asked::Print(text) => panic!("{text}"),
        }
    }

    #[test]
    fn flags() {
        let asked = parse("--format systemd -o units -c web=2 -f P").expect("right");
        assert_eq!((asked.format, asked.out), (Some(Format::Systemd), Some("units".into())));
        assert_eq!((asked.concurrency, asked.remote.app.procfile), (vec!["web=2".to_owned()], Some("P".into())));
        assert_eq!(parse("--format procfile --app shop").expect("right").remote.session.as_deref(), Some("shop"));
        for (line, why) in [
            ("", "--format is missing"),
            ("--format upstart", "expected ini, json"),
            ("--format ini --app a -c web=2", "exclude each other"),
        ] {
            let failure = parse(line).expect_err(line);
            assert!(failure.code() == Code::Usage && failure.to_string().contains(why), "{failure}");
        }
    }
}
