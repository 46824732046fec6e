//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use gaffer::cli::{Code, Command, Failure, Opt};
use gaffer::config::Address;
use gaffer::log::{LogFormat, LogLevel};
use gaffer::lookup::etcd;

/// What it is asked to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Args {
    pub(crate) bind: Vec<Address>,
    pub(crate) backlog: Option<u16>,
    pub(crate) insecure: bool,
    pub(crate) allow_hosts: Vec<String>,
    pub(crate) allow_origins: Vec<String>,
    pub(crate) daemon: bool,
    pub(crate) pidfile: Option<PathBuf>,
    pub(crate) verbose: bool,
    pub(crate) error_log: Option<PathBuf>,
    pub(crate) log_level: Option<LogLevel>,
    pub(crate) log_format: Option<LogFormat>,
    pub(crate) registry: Registry,
}

/// Where it keeps what nodes tell it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Registry {
    /// `None` is its memory.
    pub(crate) etcd: Option<etcd::Settings>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) cacert: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

const DETAILS: &str = "\
It keeps nothing on disk: nodes register again after each start. Start two, and
name both to each gafferd (--lookupd-address); clients ask all they know of.
With --registry etcd://… it shares what it knows with all others that do so:
any of them answers for all, whichever a node is connected to.

Signals: TERM, INT and QUIT stop it, USR1 opens the error log again, HUP does
nothing.

Examples:
  gaffer_lookupd                          at 127.0.0.1:5010
  gaffer_lookupd --registry etcd://10.0.0.1,10.0.0.2,10.0.0.3
  gaffer_lookupd --bind unix:/run/lookupd.sock --daemon --pidfile /run/l.pid";

/// The table of gaffer_lookupd.
pub(crate) fn command() -> Command<Args> {
    Command::new("gaffer_lookupd", "Knows which gafferd nodes there are, and which of them has which job.")
        .details(DETAILS)
        .option(
            Opt::value("bind", "ADDR", "Listen here: HOST:PORT, [IPV6]:PORT or unix:PATH. May be repeated.")
                .default("127.0.0.1:5010"),
            |a: &mut Args, v| {
                a.bind.push(v.parse()?);
                Ok(())
            },
        )
        .option(Opt::value("backlog", "N", "Connections that may wait to be accepted.").default("128"), |a, v| {
            set(&mut a.backlog, Some(v.read(backlog)?))
        })
        .option(Opt::switch("insecure", "Allow addresses that others can reach though no key is asked for."), |a, _| {
            set(&mut a.insecure, true)
        })
        .option(Opt::value("allow-host", "NAME", "Answer to this name of the host, too. May be repeated."), |a, v| {
            a.allow_hosts.push(v.string()?);
            Ok(())
        })
        .option(
            Opt::value("allow-origin", "ORIGIN", "Pages of this origin may ask, or of any: *. May be repeated."),
            |a, v| {
                a.allow_origins.push(v.string()?);
                Ok(())
            },
        )
        .option(Opt::switch("daemon", "Go to the background once it listens."), |a, _| set(&mut a.daemon, true))
        .option(Opt::value("pidfile", "FILE", "Write the process id here, and remove it at the end."), |a, v| {
            set(&mut a.pidfile, Some(v.path()))
        })
        .option(Opt::switch("verbose", "Log each request; the same as --log-level debug.").short('v'), |a, _| {
            set(&mut a.verbose, true)
        })
        .option(Opt::value("error-log", "FILE", "Log to this file.").default("-: standard error"), |a, v| {
            set(&mut a.error_log, Some(v.path()))
        })
        .option(Opt::value("log-level", "LEVEL", "critical, error, warning, info or debug.").default("info"), |a, v| {
            set(&mut a.log_level, Some(v.parse()?))
        })
        .option(Opt::value("log-format", "FORMAT", "text or json.").default("text"), |a, v| {
            set(&mut a.log_format, Some(v.parse()?))
        })
        .option(
            Opt::value("registry", "WHERE", "memory, or etcd://HOST:PORT[,HOST:PORT…][/PREFIX]; etcds:// for TLS.")
                .default("memory"),
            |a, v| set(&mut a.registry.etcd, registry(&v.string()?)?),
        )
        .option(
            Opt::value("registry-ttl", "SECONDS", "How long etcd keeps what a lookupd that died has left.")
                .default("15"),
            |a, v| set(&mut a.registry.ttl, Some(v.read(ttl)?)),
        )
        .option(Opt::value("etcd-cacert", "FILE", "Believe the authorities in it alone (etcds://)."), |a, v| {
            set(&mut a.registry.cacert, Some(v.path()))
        })
        .option(Opt::value("etcd-cert", "FILE", "The certificate to show to etcd."), |a, v| {
            set(&mut a.registry.cert, Some(v.path()))
        })
        .option(Opt::value("etcd-key", "FILE", "Its private key, unless it is in the same file."), |a, v| {
            set(&mut a.registry.key, Some(v.path()))
        })
}

/// `None` is its memory. The text is not repeated where it may have a password in it.
fn registry(text: &str) -> Result<Option<etcd::Settings>, Failure> {
    if text == "memory" {
        return Ok(None);
    }
    let refused = |e: gaffer::Error| Failure::new(Code::Usage, format!("--registry: {e}, or memory"));
    text.parse().map(Some).map_err(refused)
}

fn ttl(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().filter(|seconds| (2..=3600).contains(seconds));
    seconds.map(Duration::from_secs).ok_or("expected 2 to 3600 seconds")
}

fn set<T>(field: &mut T, value: T) -> Result<(), Failure> {
    *field = value;
    Ok(())
}

fn backlog(text: &str) -> Result<u16, &'static str> {
    text.parse().ok().filter(|n| *n > 0).ok_or("expected 1 to 65535")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    fn parse(line: &str) -> Result<Asked<Args>, Failure> {
        command().parse(line.split_whitespace().map(Into::into))
    }

    #[test]
    fn flags() {
        let line = "-v --daemon --pidfile p --backlog 5 --bind 127.0.0.1:1 --bind unix:/x --log-level error \
                    --log-format json --error-log e --insecure --allow-host h --allow-origin * \
                    --registry etcd://a,b:1/p --registry-ttl 5 --etcd-cacert ca --etcd-cert c --etcd-key k";
        let Ok(Asked::Run(args)) = parse(line) else { panic!("all of them") };
        let want = Args {
            bind: vec!["127.0.0.1:1".parse().expect("TCP"), "unix:/x".parse().expect("unix")],
            backlog: Some(5),
            insecure: true,
            allow_hosts: vec!["h".to_owned()],
            allow_origins: vec!["*".to_owned()],
            daemon: true,
            pidfile: Some("p".into()),
            verbose: true,
            error_log: Some("e".into()),
            log_level: Some(LogLevel::Error),
            log_format: Some(LogFormat::Json),
            registry: Registry {
                etcd: Some("etcd://a:2379,b:1/p".parse().expect("a URL")),
                ttl: Some(Duration::from_secs(5)),
                cacert: Some("ca".into()),
                cert: Some("c".into()),
                key: Some("k".into()),
            },
        };
        assert_eq!(args, want);
        for line in ["x", "--bind 5010", "--backlog 0", "--log-level loud", "--log-format xml", "--certfile c"]
            .into_iter()
            .chain(["--registry etc://a", "--registry etcd://", "--registry etcd://u:p@a", "--registry-ttl 1"])
        {
            assert_eq!(parse(line).expect_err(line).code(), Code::Usage, "{line}");
        }
        let Ok(Asked::Print(help)) = parse("--help") else { panic!("help") };
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}
