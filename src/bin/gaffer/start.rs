//! `gaffer start`: the command line.

use std::time::Duration;

use gaffer::cli::{ColorChoice, Command, Failure, Opt};
use gaffer::config::Address;
use gaffer::console::{Options, Verbosity};
use gaffer::process::Flapping;

use crate::app::{self, App, set};

/// What `gaffer start` is asked to do.
#[derive(Debug, PartialEq)]
pub(crate) struct Start {
    /// Which application.
    pub(crate) app: App,
    /// The values of `-c`, in order.
    pub(crate) concurrency: Vec<String>,
    /// `-t`: the time between the stop signal and SIGKILL, if it is not the default.
    pub(crate) timeout: Option<Duration>,
    /// `--color`, `--no-color`.
    pub(crate) color: ColorChoice,
    /// `--no-timestamp` makes it false.
    pub(crate) timestamp: bool,
    /// `--json`.
    pub(crate) json: bool,
    /// `-q`.
    pub(crate) quiet: bool,
    /// `-v`.
    pub(crate) verbose: bool,
    /// `--no-restart` makes it false.
    pub(crate) restart: bool,
    /// `--flapping`.
    pub(crate) flapping: Option<Flapping>,
    /// `--tty`.
    pub(crate) tty: bool,
    /// `--exit-on`.
    pub(crate) exit_on: Option<ExitOn>,
    /// `--exit-code-from`.
    pub(crate) exit_code_from: Option<String>,
    /// `--attach-api`, `--no-attach-api`.
    pub(crate) attach: Attach,
    /// Only these process types; none means all.
    pub(crate) names: Vec<String>,
}

/// Where other terminals reach `gaffer start`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Attach {
    /// At the socket of the application's folder.
    #[default]
    Folder,
    /// Here.
    At(Address),
    /// Nowhere.
    Nowhere,
}

/// What makes `gaffer start` stop everything and end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExitOn {
    /// Any process ends.
    Any,
    /// Any process ends with another code than 0, or by a signal.
    Failure,
    /// All have ended.
    All,
    /// A process of this type ends.
    Name(String),
}

impl Default for Start {
    fn default() -> Self {
        Self {
            app: App::default(),
            concurrency: Vec::new(),
            timeout: None,
            color: ColorChoice::Auto,
            timestamp: true,
            json: false,
            quiet: false,
            verbose: false,
            restart: true,
            flapping: None,
            tty: false,
            exit_on: None,
            exit_code_from: None,
            attach: Attach::Folder,
            names: Vec::new(),
        }
    }
}

impl AsMut<App> for Start {
    fn as_mut(&mut self) -> &mut App {
        &mut self.app
    }
}

impl Start {
    /// When to end: as asked; else when the process ends whose code is asked for; else, without
    /// restarts, when all have ended; else never.
    pub(crate) fn exit_on(&self) -> Option<ExitOn> {
        match (&self.exit_on, &self.exit_code_from) {
            (Some(asked), _) => Some(asked.clone()),
            (None, Some(name)) => Some(ExitOn::Name(name.clone())),
            (None, None) if !self.restart => Some(ExitOn::All),
            (None, None) => None,
        }
    }

    /// How the console looks.
    pub(crate) fn console(&self) -> Options {
        let verbosity = match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        };
        Options::default()
            .json(self.json)
            .color(!self.json && self.color.for_stdout())
            .timestamp(self.timestamp)
            .verbosity(verbosity)
    }
}

const DETAILS: &str = "\
Each process gets PORT: PORT + 100 for every type before its own, + 1 for every
process of its type before it; and PS, its name (web.1).

A program that ends is started again, with growing pauses up to 5 s where it
keeps ending. Ctrl-C stops all of them; a second one kills.

Examples:
  gaffer start                      everything in ./Procfile
  gaffer start -c web=2,worker=0    two web, no worker
  gaffer start web                  web alone
  gaffer start --exit-on failure    end as soon as anything fails";

/// The table of `gaffer start`.
pub(crate) fn command() -> Command<Start> {
    app::options(Command::new("start", "Run the programs of a Procfile and keep them alive."))
        .aliases(&["dev:start"])
        .details(DETAILS)
        .words("[NAME...]", "Only these process types.", |a: &mut Start, v| {
            a.names.push(v.string()?);
            Ok(())
        })
        .option(app::concurrency(), |a, v| {
            a.concurrency.push(v.string()?);
            Ok(())
        })
        .option(
            Opt::value("timeout", "SECONDS", "From the signal that asks a program to end to the one that makes it.")
                .short('t')
                .default("30")
                .aliases(&["graceful-timeout"]),
            |a, v| set(&mut a.timeout, Some(v.duration()?)),
        )
        .option(Opt::switch("no-restart", "Leave a program ended that ends; end when all have."), |a, _| {
            set(&mut a.restart, false)
        })
        .option(
            Opt::value("flapping", "A,W,R,M", "A exits within W seconds pause a type for R seconds, M times at most."),
            |a, v| set(&mut a.flapping, Some(v.read(app::flapping)?)),
        )
        .option(
            Opt::switch("tty", "Give each program a terminal of its own: it keeps its colours and writes line by line."),
            |a, _| set(&mut a.tty, true),
        )
        .option(
            Opt::value("exit-on", "WHAT", "Stop everything when: any process ends, one ends in failure, all have ended, or one of the type NAME ends.")
                .default("all with --no-restart, else never"),
            |a, v| {
                a.exit_on = Some(match v.string()?.as_str() {
                    "any" => ExitOn::Any,
                    "failure" => ExitOn::Failure,
                    "all" => ExitOn::All,
                    name => ExitOn::Name(name.to_owned()),
                });
                Ok(())
            },
        )
        .option(
            Opt::value("exit-code-from", "NAME", "Exit with the code of this process type; without --exit-on, when it ends."),
            |a, v| set(&mut a.exit_code_from, Some(v.string()?)),
        )
        .option(
            Opt::value("attach-api", "ADDR", "Where other terminals reach it (gaffer ps, stop, logs): unix:PATH, HOST:PORT of this machine, or none.")
                .default("a socket that they find in the same folder"),
            |a, v| set(&mut a.attach, v.read(|text| match text {
                "none" => Ok(Attach::Nowhere),
                text => text.parse().map(Attach::At),
            })?),
        )
        .option(Opt::switch("no-attach-api", "The same as --attach-api none."), |a, _| set(&mut a.attach, Attach::Nowhere))
        .option(app::color(), |a, v| app::set_color(&mut a.color, v))
        .option(Opt::switch("no-color", "The same as --color never."), |a, _| set(&mut a.color, ColorChoice::Never))
        .option(Opt::switch("no-timestamp", "No time at the start of each line."), |a, _| {
            set(&mut a.timestamp, false)
        })
        .option(Opt::switch("json", "One JSON object a line instead of text; it has no colours."), |a, _| set(&mut a.json, true))
        .option(Opt::switch("quiet", "Only the programs' output and what needs attention.").short('q'), |a, _| {
            set(&mut a.quiet, true)
        })
        .option(Opt::switch("verbose", "All events of jobs, too.").short('v'), |a, _| set(&mut a.verbose, true))
        .check(check)
}

/// Options that would do nothing are mistakes.
fn check(start: &Start) -> Result<(), Failure> {
    let exclude = |a, b| Err(Failure::usage(format!("{a} and {b} exclude each other")));
    if start.quiet && start.verbose {
        exclude("--quiet", "--verbose")
    } else if start.json && !start.timestamp {
        exclude("--json", "--no-timestamp")
    } else if !start.restart && start.flapping.is_some() {
        exclude("--no-restart", "--flapping")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    #[track_caller]
    fn read(line: &str) -> Start {
        match command().parse(line.split_whitespace().map(Into::into)) {
            Ok(Asked::Run(start)) => start,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[track_caller]
    fn check(line: &str, change: impl FnOnce(&mut Start)) {
        let mut want = Start::default();
        change(&mut want);
        assert_eq!(read(line), want, "{line}");
    }

    #[track_caller]
    fn refused(line: &str, want: &str) {
        let failure = command().parse(line.split_whitespace().map(Into::into)).expect_err(line);
        assert!(failure.to_string().contains(want), "{failure}");
    }

    #[test]
    fn nothing_asked() {
        check("", |_| {});
        assert_eq!(read("").exit_on(), None);
    }

    #[test]
    fn procfile() {
        for line in ["-f x/Procfile", "--procfile x/Procfile", "--file=x/Procfile"] {
            check(line, |a| a.app.procfile = Some("x/Procfile".into()));
        }
    }

    #[test]
    fn root() {
        for line in ["-d x", "--root x", "--dir x"] {
            check(line, |a| a.app.root = Some("x".into()));
        }
    }

    #[test]
    fn env() {
        check("-e a --env b", |a| a.app.env_files = vec!["a".into(), "b".into()]);
    }

    #[test]
    fn env_override() {
        check("--env-override=false", |a| a.app.env_override = false);
        check("--env-override=false --env-override", |_| {});
        refused("--env-override=x", "expected true or false");
    }

    #[test]
    fn port() {
        check("-p 8000", |a| a.app.port = Some(8000));
        refused("--port 0", "invalid value `0` for --port: expected 1 to 65535");
        refused("--port 65536", "expected 1 to 65535");
    }

    #[test]
    fn lenient() {
        check("--lenient", |a| a.app.lenient = true);
    }

    #[test]
    fn concurrency() {
        check("-c web=2,all=0 --concurrency=worker=3", |a| {
            a.concurrency = vec!["web=2,all=0".to_owned(), "worker=3".to_owned()];
        });
    }

    #[test]
    fn timeout() {
        for line in ["-t 2.5", "--timeout 2500ms", "--graceful-timeout=2.5s"] {
            check(line, |a| a.timeout = Some(Duration::from_millis(2500)));
        }
        refused("-t soon", "invalid value `soon` for -t: expected seconds");
    }

    #[test]
    fn no_restart() {
        check("--no-restart", |a| a.restart = false);
        assert_eq!(read("--no-restart").exit_on(), Some(ExitOn::All));
    }

    #[test]
    fn flapping() {
        let seconds = Duration::from_secs;
        check("--flapping 2,1,7,5", |a| a.flapping = Some(Flapping::new(2, seconds(1), seconds(7), 5)));
        refused("--flapping 2,1", "expected four values");
        refused("--flapping 2,1,7,5 --no-restart", "exclude each other");
    }

    #[test]
    fn tty() {
        check("--tty", |a| a.tty = true);
    }

    #[test]
    fn exit_on() {
        for (what, want) in [
            ("any", ExitOn::Any),
            ("failure", ExitOn::Failure),
            ("all", ExitOn::All),
            ("web", ExitOn::Name("web".to_owned())),
        ] {
            check(&format!("--exit-on {what}"), |a| a.exit_on = Some(want.clone()));
            assert_eq!(read(&format!("--exit-on {what} --no-restart")).exit_on(), Some(want));
        }
    }

    #[test]
    fn exit_code_from() {
        check("--exit-code-from web", |a| a.exit_code_from = Some("web".to_owned()));
        assert_eq!(read("--exit-code-from web").exit_on(), Some(ExitOn::Name("web".to_owned())));
        assert_eq!(read("--exit-code-from web --exit-on any").exit_on(), Some(ExitOn::Any));
    }

    #[test]
    fn attach_api() {
        check("--attach-api unix:/s", |a| a.attach = Attach::At(Address::Unix("/s".into())));
        check("--attach-api 127.0.0.1:0", |a| a.attach = Attach::At("127.0.0.1:0".parse().expect("an address")));
        check("--attach-api=none", |a| a.attach = Attach::Nowhere);
        check("--no-attach-api", |a| a.attach = Attach::Nowhere);
        refused("--attach-api nowhere", "expected HOST:PORT, [IPV6]:PORT or unix:PATH");
    }

    #[test]
    fn color() {
        check("--color always", |a| a.color = ColorChoice::Always);
        check("--no-color", |a| a.color = ColorChoice::Never);
        check("--no-color --color auto", |_| {});
        refused("--color red", "invalid value `red` for --color: expected auto, always or never");
        assert!(read("--color always").console().color);
        assert!(!read("--no-color").console().color);
        assert!(!read("--color always --json").console().color);
    }

    #[test]
    fn no_timestamp() {
        check("--no-timestamp", |a| a.timestamp = false);
        assert!(!read("--no-timestamp").console().timestamp);
    }

    #[test]
    fn json() {
        check("--json", |a| a.json = true);
        refused("--json --no-timestamp", "exclude each other");
        assert!(read("--json").console().json);
    }

    #[test]
    fn quiet_and_verbose() {
        check("-q", |a| a.quiet = true);
        check("--verbose", |a| a.verbose = true);
        refused("-qv", "exclude each other");
        let verbosity = |line| read(line).console().verbosity;
        assert_eq!(
            [verbosity("-q"), verbosity(""), verbosity("-v")],
            [Verbosity::Quiet, Verbosity::Normal, Verbosity::Verbose]
        );
    }

    #[test]
    fn names() {
        check("web -q worker", |a| {
            a.names = vec!["web".to_owned(), "worker".to_owned()];
            a.quiet = true;
        });
    }
}
