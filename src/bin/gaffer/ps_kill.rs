//! `gaffer kill`: a signal for a job or a process.

use gaffer::cli::names::{Target, each};
use gaffer::cli::node::failure;
use gaffer::cli::{self, Code, Command, Failure};
use gaffer::process::Signal;
use serde_json::json;

use crate::NAME;
use crate::app::set;
use crate::remote::{self, Remote, has_remote, no_process, refused, shown};

/// What `gaffer kill` is asked to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Kill {
    remote: Remote,
    name: Option<String>,
    signal: Option<(String, Signal)>,
    /// `--no-input` of gaffer 0.5. It asks nothing anyway.
    no_input: bool,
}

has_remote!(Kill);

pub(crate) fn command() -> Command<Kill> {
    let command = Command::new("kill", "Send a signal to the processes of a job, or to one by its number.")
        .aliases(&["ps:kill"])
        .words("NAME|PID SIGNAL", "SIGNAL is a number or a name: 15, TERM, SIGTERM.", |a: &mut Kill, v| {
            match (&a.name, &a.signal) {
                (None, _) => a.name = Some(v.string()?),
                (Some(_), None) => {
                    a.signal = Some(v.read(|text| text.parse().map(|signal| (text.to_owned(), signal)))?)
                }
                _ => return Err(Failure::usage(format!("unexpected argument `{}`", v.string()?))),
            }
            Ok(())
        })
        .option(remote::no_input(), |a, _| set(&mut a.no_input, true))
        .check(|a| match (&a.name, &a.signal) {
            (None, _) => Err(Failure::usage("NAME or PID is missing")),
            (_, None) => Err(Failure::usage("SIGNAL is missing")),
            _ => Ok(()),
        });
    remote::options(remote::quiet(command)).details(
        "It asks nothing, with or without --no-input. In NAME `*` and `?` match any text\n\
         and any character.\n\
         JSON: {\"ok\", \"jobs\": [NAME...], \"pids\": [N...]}, with those that got it.",
    )
}

pub(crate) fn run(asked: &Kill) -> Result<Code, Failure> {
    let (word, signal) = asked.signal.as_ref().ok_or_else(|| Failure::usage("SIGNAL is missing"))?;
    let server = asked.remote.server()?;
    let session = asked.remote.session()?;
    let targets = asked.remote.targets(&server, &session, asked.name.as_slice())?;
    let (mut jobs, mut pids) = (Vec::new(), Vec::new());
    let (_, code) = each(NAME, &targets, |target| {
        let shown = match target {
            Target::Job(name) => {
                let job = server.job(name.as_str()).map_err(failure)?;
                job.kill(*signal).map_err(|e| refused(&server, name, e))?;
                jobs.push(name.as_str());
                shown(name, &session).to_owned()
            }
            Target::Process(pid) => {
                server.process(*pid).kill(*signal).map_err(|e| no_process(*pid, e))?;
                pids.push(pid.0);
                pid.to_string()
            }
        };
        asked.remote.say(&format!("'{word}' sent to '{shown}'"))
    });
    if asked.remote.node.json {
        cli::print(format!("{}\n", json!({"ok": code == Code::Ok, "jobs": jobs, "pids": pids})))?;
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[test]
    fn words() {
        for (line, number) in [("web 9", 9), ("12 term --no-input", 15), ("w* SIGHUP", 1)] {
            let Ok(Asked::Run(kill)) = command().parse(line.split_whitespace().map(Into::into)) else {
                panic!("{line}")
            };
            assert_eq!(kill.signal.map(|(_, signal)| signal.number()), Some(number));
        }
        for line in ["", "web", "web SIGNOPE", "web 9 9", "web 999"] {
            let failure = command().parse(line.split_whitespace().map(Into::into)).expect_err(line);
            assert_eq!(failure.code(), Code::Usage, "{line}");
        }
    }
}
