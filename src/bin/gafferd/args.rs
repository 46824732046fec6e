//! The command line, which wins over the file.

use std::path::PathBuf;

use gaffer::cli::{Command, Failure, Opt};
use gaffer::config::gafferd::{Console, Endpoint, Ssl};
use gaffer::config::{Address, GafferdConfig};
use gaffer::log::{LogFormat, LogLevel};
use gaffer::lookup::announcer::check_address;
use gaffer::{Error, ErrorKind, Result};

use crate::secure::protection;

/// What gafferd is asked to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Args {
    /// `-c`, or the word.
    pub(crate) config: Option<PathBuf>,
    /// `--bind`, in order.
    pub(crate) bind: Vec<Address>,
    /// `--daemon`.
    pub(crate) daemon: bool,
    /// `--pidfile`.
    pub(crate) pidfile: Option<PathBuf>,
    /// `-v`, counted.
    pub(crate) verbose: u8,
    /// `--error-log`.
    pub(crate) error_log: Option<PathBuf>,
    /// `--access-log`.
    pub(crate) access_log: Option<PathBuf>,
    /// `--log-level`.
    pub(crate) log_level: Option<LogLevel>,
    /// `--log-format`.
    pub(crate) log_format: Option<LogFormat>,
    /// `--backlog`.
    pub(crate) backlog: Option<u32>,
    /// `--certfile`, `--keyfile` and `--cacert`.
    pub(crate) ssl: Ssl,
    /// `--insecure`.
    pub(crate) insecure: bool,
    /// `--plugins-dir`.
    pub(crate) plugins_dir: Option<PathBuf>,
    /// `--lookupd-address`, in order.
    pub(crate) lookupd: Vec<String>,
    /// `--lookup-key-file`.
    pub(crate) lookup_key_file: Option<PathBuf>,
    /// `--lookup-cacert`, `--client-certfile` and `--client-keyfile`.
    pub(crate) lookup_ssl: Ssl,
    /// `--broadcast-address`.
    pub(crate) broadcast: Option<String>,
    /// `--check`.
    pub(crate) check: bool,
    /// `--require-key`.
    pub(crate) require_key: bool,
    /// `--create-admin-user`.
    pub(crate) create_admin_user: bool,
    /// `--list-admins`.
    pub(crate) list_admins: bool,
    /// `--json`.
    pub(crate) json: bool,
    /// `--username`.
    pub(crate) username: Option<String>,
    /// `--password`.
    pub(crate) password: Option<String>,
    /// `--subreaper`.
    pub(crate) subreaper: bool,
}

const DETAILS: &str = "\
Without a configuration it has no jobs and waits for them at 127.0.0.1:5000.

Signals: TERM, INT and QUIT stop all programs, the last one started first; a
second one kills them. HUP reads the configuration again and touches only the
jobs that have changed. USR1 opens the error log and the log files of jobs
again, for log rotation.

Examples:
  gafferd -v                        no jobs yet, events on the terminal
  gafferd -c /etc/gaffer --check    is it right, and what would run?
  gafferd -c /etc/gaffer --daemon --pidfile /run/gafferd.pid";

/// The table of gafferd.
pub(crate) fn command() -> Command<Args> {
    Command::new("gafferd", "Keeps the programs of a configuration alive, and serves the HTTP API.")
        .details(DETAILS)
        .words("[CONFIG]", "The same as --config.", |a: &mut Args, v| set_config(a, v.path()))
        .option(
            Opt::value("config", "CONFIG", "The configuration: an ini or JSON file, or a folder with gafferd.ini.")
                .short('c'),
            |a, v| set_config(a, v.path()),
        )
        .option(
            Opt::value("bind", "ADDR", "Listen here alone: HOST:PORT, [IPV6]:PORT or unix:PATH. May be repeated.")
                .default("the endpoints of the configuration, else 127.0.0.1:5000"),
            |a, v| {
                a.bind.push(v.parse()?);
                Ok(())
            },
        )
        .option(Opt::value("backlog", "N", "Connections that may wait to be accepted.").default("128"), |a, v| {
            a.backlog = Some(v.read(backlog)?);
            Ok(())
        })
        .option(
            Opt::value("plugins-dir", "DIR", "The folder of the plugins.")
                .short('p')
                .default("that of the configuration"),
            |a, v| set(&mut a.plugins_dir, Some(v.path())),
        )
        .option(
            Opt::value("lookupd-address", "URL", "Tell this gaffer_lookupd what runs here. May be repeated.")
                .default("those of the configuration"),
            |a, v| {
                a.lookupd.push(v.read(lookupd)?);
                Ok(())
            },
        )
        .option(
            Opt::value("lookup-key-file", "FILE", "Show lookup servers the first key in this file.")
                .default("that of the configuration"),
            |a, v| set(&mut a.lookup_key_file, Some(v.path())),
        )
        .option(
            Opt::value(
                "lookup-cacert",
                "FILE",
                "Believe lookup servers at https that one of these authorities has signed.",
            )
            .default("that of [lookup_ssl], else the system's"),
            |a, v| set(&mut a.lookup_ssl.cacert, Some(v.path())),
        )
        .option(
            Opt::value("client-certfile", "FILE", "The certificate to show lookup servers that ask for one.")
                .default("that of [lookup_ssl]"),
            |a, v| set(&mut a.lookup_ssl.certfile, Some(v.path())),
        )
        .option(Opt::value("client-keyfile", "FILE", "Its key.").default("in the --client-certfile"), |a, v| {
            set(&mut a.lookup_ssl.keyfile, Some(v.path()))
        })
        .option(
            Opt::value("broadcast-address", "URL", "Where clients reach this node, as gaffer_lookupd tells them.")
                .default("the first endpoint"),
            |a, v| set(&mut a.broadcast, Some(v.read(broadcast)?)),
        )
        .option(
            Opt::value("certfile", "FILE", "The certificate of all endpoints, PEM: TCP is served by TLS alone.")
                .default("that of the configuration"),
            |a, v| set(&mut a.ssl.certfile, Some(v.path())),
        )
        .option(Opt::value("keyfile", "FILE", "Its private key.").default("it is in the --certfile"), |a, v| {
            set(&mut a.ssl.keyfile, Some(v.path()))
        })
        .option(
            Opt::value("cacert", "FILE", "Let in only clients whose certificate one of these authorities has signed."),
            |a, v| set(&mut a.ssl.cacert, Some(v.path())),
        )
        .option(
            Opt::switch("insecure", "Allow addresses that others can reach without a key or without TLS."),
            |a, _| set(&mut a.insecure, true),
        )
        .option(Opt::switch("require-key", "Ask everybody for a key."), |a, _| set(&mut a.require_key, true))
        .option(Opt::switch("create-admin-user", "Make an administrator, show its key, and end."), |a, _| {
            set(&mut a.create_admin_user, true)
        })
        .option(Opt::value("username", "NAME", "The administrator's name.").default("it is asked for"), |a, v| {
            set(&mut a.username, Some(v.parse()?))
        })
        .option(
            Opt::value("password", "PASSWORD", "Its password, which others may see in ps.").default("it is asked for"),
            |a, v| set(&mut a.password, Some(v.parse()?)),
        )
        .option(Opt::switch("list-admins", "Name the administrators, and end."), |a, _| set(&mut a.list_admins, true))
        .option(Opt::switch("json", "With --list-admins: as JSON, with the ids of their keys."), |a, _| {
            set(&mut a.json, true)
        })
        .option(Opt::switch("daemon", "Go to the background once it listens."), |a, _| set(&mut a.daemon, true))
        .option(Opt::value("pidfile", "FILE", "Write the process id here, and remove it at the end."), |a, v| {
            set(&mut a.pidfile, Some(v.path()))
        })
        .option(
            Opt::switch("verbose", "Show what happens on standard output; -vv: and what the programs write.")
                .short('v'),
            |a, _| {
                a.verbose = a.verbose.saturating_add(1);
                Ok(())
            },
        )
        .option(Opt::value("error-log", "FILE", "Log to this file.").default("-: standard error"), |a, v| {
            set(&mut a.error_log, Some(v.path()))
        })
        .option(
            Opt::value("access-log", "FILE", "Log a line for each request to this file; - is the log itself.")
                .default("no such lines"),
            |a, v| set(&mut a.access_log, Some(v.path())),
        )
        .option(Opt::value("log-level", "LEVEL", "critical, error, warning, info or debug.").default("info"), |a, v| {
            set(&mut a.log_level, Some(v.parse()?))
        })
        .option(Opt::value("log-format", "FORMAT", "text or json.").default("text"), |a, v| {
            set(&mut a.log_format, Some(v.parse()?))
        })
        .option(
            Opt::switch("subreaper", "Reap the orphans among all descendants (Linux); process 1 does so anyway."),
            |a, _| set(&mut a.subreaper, true),
        )
        .option(Opt::switch("check", "Read the configuration, say what would run, and end."), |a, _| {
            set(&mut a.check, true)
        })
}

fn set<T>(field: &mut T, value: T) -> std::result::Result<(), Failure> {
    *field = value;
    Ok(())
}

fn set_config(args: &mut Args, path: PathBuf) -> std::result::Result<(), Failure> {
    match &args.config {
        Some(first) => {
            let what = format!("two configurations: `{}` and `{}`", first.display(), path.display());
            Err(Failure::usage(what))
        }
        None => set(&mut args.config, Some(path)),
    }
}

fn backlog(text: &str) -> std::result::Result<u32, &'static str> {
    text.parse().ok().filter(|n| (1..=65535).contains(n)).ok_or("expected 1 to 65535")
}

fn lookupd(text: &str) -> Result<String> {
    check_address(text).map(|()| text.to_owned())
}

fn broadcast(text: &str) -> std::result::Result<String, &'static str> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let good = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with([':', '/']));
    if good && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("expected http://HOST:PORT")
    }
}

impl Args {
    /// The configuration, as the file has it and the command line changes it.
    pub(crate) fn load(&self) -> Result<GafferdConfig> {
        let mut config = match &self.config {
            Some(path) => GafferdConfig::load(path)?,
            None => GafferdConfig::default(),
        };
        if !self.bind.is_empty() {
            let mut endpoint = Endpoint::new("bind", self.bind.iter().cloned());
            endpoint.ssl.clone_from(&config.ssl);
            config.endpoints = vec![endpoint];
        }
        if self.ssl != Ssl::default() {
            if !self.ssl.is_secure() {
                return invalid("--keyfile and --cacert are for a --certfile".to_owned());
            }
            config.ssl.clone_from(&self.ssl);
            config.endpoints.iter_mut().for_each(|endpoint| endpoint.ssl.clone_from(&self.ssl));
        }
        if let Some(backlog) = self.backlog {
            config.endpoints.iter_mut().for_each(|endpoint| endpoint.backlog = backlog);
        }
        config.daemonize |= self.daemon;
        config.require_key |= self.require_key;
        if self.pidfile.is_some() {
            config.pidfile.clone_from(&self.pidfile);
        }
        if self.plugins_dir.is_some() {
            config.plugins_dir.clone_from(&self.plugins_dir);
        }
        if !self.lookupd.is_empty() {
            config.lookupd_addresses.clone_from(&self.lookupd);
        }
        if self.lookup_key_file.is_some() {
            (config.lookup_key, config.lookup_key_file) = (None, self.lookup_key_file.clone());
        }
        if self.lookup_ssl.keyfile.is_some() && self.lookup_ssl.certfile.is_none() {
            return invalid("--client-keyfile is for a --client-certfile".to_owned());
        }
        if self.lookup_ssl.certfile.is_some() {
            config.lookup_ssl.certfile.clone_from(&self.lookup_ssl.certfile);
            config.lookup_ssl.keyfile.clone_from(&self.lookup_ssl.keyfile);
        }
        if self.lookup_ssl.cacert.is_some() {
            config.lookup_ssl.cacert.clone_from(&self.lookup_ssl.cacert);
        }
        if self.broadcast.is_some() {
            config.broadcast_address.clone_from(&self.broadcast);
        }
        if let Some(path) = &self.error_log {
            config.error_log = Some(path.clone()).filter(|path| path.as_os_str() != "-");
        }
        if let Some(path) = &self.access_log {
            config.access_log = path.clone().into();
        }
        config.log_level = self.log_level.unwrap_or(config.log_level);
        config.log_format = self.log_format.unwrap_or(config.log_format);
        match self.verbose {
            0 => {}
            1 => config.console = Console::Events,
            _ => config.console = Console::Output,
        }
        if config.daemonize && config.console != Console::Off {
            return invalid("a daemon has no console: leave -v (`console`) or --daemon (`daemonize`) out".to_owned());
        }
        if !self.insecure {
            refuse_public(&config)?;
        }
        Ok(config)
    }
}

fn invalid<T>(what: String) -> Result<T> {
    Err(Error::new(ErrorKind::Invalid, what))
}

/// Whoever reaches the API runs programs as us, and whoever hears a key may use it.
fn refuse_public(config: &GafferdConfig) -> Result<()> {
    config.endpoints.iter().try_for_each(|endpoint| protection(config, endpoint).check(&endpoint.bind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;
    use gaffer::config::gafferd::AccessLog;

    #[track_caller]
    fn read(line: &str) -> Args {
        match command().parse(line.split_whitespace().map(Into::into)) {
            Ok(Asked::Run(args)) => args,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[track_caller]
    fn check(line: &str, change: impl FnOnce(&mut Args)) {
        let mut want = Args::default();
        change(&mut want);
        assert_eq!(read(line), want, "{line}");
    }

    #[track_caller]
    fn refused(line: &str, want: &str) {
        let failure = command().parse(line.split_whitespace().map(Into::into)).expect_err(line);
        assert!(failure.to_string().contains(want), "{failure}");
    }

    #[test]
    fn options() {
        check("", |_| {});
        for line in ["x.ini", "-c x.ini", "--config=x.ini"] {
            check(line, |a| a.config = Some("x.ini".into()));
        }
        refused("-c x y", "two configurations: `x` and `y`");
        check("--bind [::1]:1 --bind unix:/s", |a| {
            a.bind = vec!["[::1]:1".parse().expect("an address"), "unix:/s".parse().expect("an address")];
        });
        refused("--bind 5000", "expected HOST:PORT");
        check("--lookup-key-file k --lookup-cacert a --client-certfile c --client-keyfile p", |a| {
            a.lookup_key_file = Some("k".into());
            let ssl = &mut a.lookup_ssl;
            (ssl.cacert, ssl.certfile, ssl.keyfile) = (Some("a".into()), Some("c".into()), Some("p".into()));
        });
        check("--backlog 7 --insecure --daemon --pidfile p", |a| {
            (a.backlog, a.insecure, a.daemon, a.pidfile) = (Some(7), true, true, Some("p".into()));
        });
        refused("--backlog 0", "expected 1 to 65535");
        check("--certfile c --keyfile k --cacert a", |a| {
            a.ssl.certfile = Some("c".into());
            a.ssl.keyfile = Some("k".into());
            a.ssl.cacert = Some("a".into());
        });
        check("-v", |a| a.verbose = 1);
        check("-vv", |a| a.verbose = 2);
        check("--error-log e --log-level debug --log-format json", |a| {
            (a.error_log, a.log_level) = (Some("e".into()), Some(LogLevel::Debug));
            a.log_format = Some(LogFormat::Json);
        });
        check("--access-log -", |a| a.access_log = Some("-".into()));
        refused("--log-level loud", "expected critical, error, warning, info or debug");
        refused("--log-format xml", "expected text or json");
        for line in ["-p x", "--plugins-dir x"] {
            check(line, |a| a.plugins_dir = Some("x".into()));
        }
        check("--create-admin-user --username al --password x:y", |a| {
            (a.create_admin_user, a.username, a.password) = (true, Some("al".into()), Some("x:y".into()));
        });
        check("--list-admins --require-key", |a| (a.list_admins, a.require_key) = (true, true));
        check("--list-admins --json", |a| (a.list_admins, a.json) = (true, true));
        check("--check --subreaper", |a| (a.check, a.subreaper) = (true, true));
    }

    #[test]
    fn help_fits_a_terminal() {
        let Ok(Asked::Print(text)) = command().parse(["--help".into()]) else { panic!("help") };
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn the_command_line_wins() {
        let config = read("--bind unix:/s --backlog 5 -vv --error-log -").load().expect("a configuration");
        let mut endpoint = Endpoint::new("bind", ["unix:/s".parse().expect("an address")]);
        endpoint.backlog = 5;
        assert_eq!(config.endpoints, [endpoint]);
        assert_eq!((config.console, config.error_log), (Console::Output, None));
        let access_log = |line: &str| read(line).load().expect("a configuration").access_log;
        assert_eq!(access_log("--access-log -"), AccessLog::Log);
        assert_eq!(access_log("--access-log x"), AccessLog::File("x".into()));
        assert_eq!(read("").load().expect("a configuration"), GafferdConfig::default());
        let e = read("--keyfile k").load().expect_err("no certificate").to_string();
        assert!(e.contains("are for a --certfile"), "{e}");
        let config = read("--bind unix:/s --certfile c").load().expect("a configuration");
        assert_eq!(config.endpoints[0].ssl.certfile.as_deref(), Some(std::path::Path::new("c")));
        let e = read("-v --daemon").load().expect_err("no console").to_string();
        assert!(e.starts_with("a daemon has no console"), "{e}");
    }

    #[test]
    fn only_this_machine_is_served_without_a_guard() {
        for public in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.org:1", "[::ffff:10.0.0.1]:1"] {
            let e = read(&format!("--bind {public}")).load().expect_err(public).to_string();
            assert!(e.starts_with(&format!("refusing to listen on {public}")), "{e}");
            read(&format!("--insecure --bind {public}")).load().expect(public);
        }
        let mut config = read("--insecure --bind 0.0.0.0:1 --certfile c").load().expect("insecure");
        let e = refuse_public(&config).expect_err("no keys").to_string();
        assert!(e.contains("run any program here. Ask for keys (require_key), bind"), "{e}");
        config.require_key = true;
        refuse_public(&config).expect("keys and TLS");
        config.endpoints[0].ssl = Ssl::default();
        let e = refuse_public(&config).expect_err("no TLS").to_string();
        assert!(e.contains("read the keys. Give it a certificate (certfile), bind"), "{e}");
        for private in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "unix:x", "[::ffff:127.0.0.1]:1"] {
            read(&format!("--bind {private}")).load().expect(private);
        }
    }
}
