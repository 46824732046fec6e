//! `gaffer logs`: what programs have written, and what they write.

mod everywhere;

use gaffer::cli::logs::{self, Screen, Wanted};
use gaffer::cli::node;
use gaffer::cli::{Code, Command, Failure, Opt};

use crate::NAME;
use crate::app::set;
use crate::remote::{self, Remote, has_remote, qualify};

/// What `gaffer logs` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Logs {
    remote: Remote,
    wanted: Wanted,
}

has_remote!(Logs);

impl AsMut<Wanted> for Logs {
    fn as_mut(&mut self) -> &mut Wanted {
        &mut self.wanted
    }
}

const DETAILS: &str = "\
The node keeps the last 64 KiB of each stream, also of programs that have ended
(`log_history`). With --follow what comes is shown behind it, without a gap.

With --lookup a NAME without a dot is an application, and what all nodes that
have it wrote is shown as one, each line with its node.

With --app only the jobs of that application are shown; a NAME without one is
that of the application of this folder. In NAME `*` and `?` match any text and
any character.

JSON: an object for each line, as GET /logs has them, and for each event.";

pub(crate) fn command() -> Command<Logs> {
    let command: Command<Logs> = Command::new("logs", "Show what the programs of the node have written.");
    let command = logs::options(command)
        // Not `app::place`: there -f is the Procfile.
        .option(Opt::value("procfile", "FILE", "The Procfile.").default("Procfile").aliases(&["file"]), |a, v| {
            set(&mut a.remote.app.procfile, Some(v.path()))
        })
        .option(
            Opt::value("root", "DIR", "The folder of the application.").short('d').aliases(&["dir", "directory"]),
            |a, v| set(&mut a.remote.app.root, Some(v.path())),
        );
    remote::many(node::options(remote::session(command))).details(DETAILS)
}

impl Logs {
    /// The jobs that are meant, all where there is none.
    fn jobs(&self, session: &str) -> Vec<String> {
        let mut jobs: Vec<String> = self.wanted.jobs.iter().map(|word| qualify(session, word)).collect();
        if jobs.is_empty() && self.remote.session.is_some() {
            jobs.push(format!("{session}.*"));
        }
        jobs
    }
}

pub(crate) fn run(asked: &Logs) -> Result<Code, Failure> {
    let node = &asked.remote.node;
    if asked.remote.lookup.any() {
        return everywhere::run(asked, Screen::new(NAME, node, String::new()));
    }
    let server = asked.remote.server()?;
    let session = asked.remote.session()?;
    logs::run(NAME, node, &server, &asked.wanted, asked.jobs(&session), session)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gaffer::cli::Asked;

    use super::*;

    fn parse(line: &str) -> Logs {
        match command().parse(line.split_whitespace().map(Into::into)) {
            Ok(Asked::Run(asked)) => asked,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn flags() {
        assert_eq!(parse(""), Logs::default());
        let asked = parse("-f -n 5 --job web --stderr blog.* --since 5m").wanted;
        assert_eq!((asked.follow, asked.lines, asked.stderr, asked.events), (true, Some(5), true, false));
        assert_eq!(
            (asked.jobs, asked.since),
            (vec!["web".to_owned(), "blog.*".to_owned()], Some(Duration::from_secs(300)))
        );
        assert!(parse("--events").wanted.follows());
        assert_eq!(parse("--procfile x -d y").remote.app.root, Some("y".into()));
        assert!(command().parse(["-n".into(), "many".into()]).is_err());
    }

    #[test]
    fn questions() {
        let jobs = |line| parse(line).jobs("shop");
        assert_eq!(jobs(""), [""; 0]);
        assert_eq!(jobs("web blog.web w*"), ["shop.web", "blog.web", "shop.w*"]);
        assert_eq!(jobs("--app shop"), ["shop.*"]);
        assert_eq!(jobs("-f"), [""; 0]);
        let query = |line| parse(line).wanted.query(Vec::new());
        assert_eq!((query("").lines, query("-n 0").lines), (Some(100), Some(0)));
        assert_eq!((query("").follow, query("--events").follow), (false, true));
    }
}
