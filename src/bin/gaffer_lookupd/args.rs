//! The command line, which wins over the file.

use std::path::PathBuf;
use std::time::Duration;

use gaffer::cli::daemon::Protection;
use gaffer::cli::{Code, Command, Failure, Opt};
use gaffer::config::gafferd::Ssl;
use gaffer::config::{Address, LookupdConfig};
use gaffer::log::{LogFormat, LogLevel};
use gaffer::{Error, ErrorKind, Result};

use crate::registry;

/// What it is asked to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Args {
    pub(crate) config: Option<PathBuf>,
    pub(crate) check: bool,
    pub(crate) bind: Vec<Address>,
    pub(crate) backlog: Option<u16>,
    pub(crate) ssl: Ssl,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) read_key_file: Option<PathBuf>,
    pub(crate) anonymous_read: bool,
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) registry: Option<String>,
    pub(crate) registry_ttl: Option<Duration>,
    pub(crate) registry_user: Option<String>,
    pub(crate) registry_password_file: Option<PathBuf>,
    pub(crate) etcd: Ssl,
    pub(crate) insecure: bool,
    pub(crate) allow_hosts: Vec<String>,
    pub(crate) allow_origins: Vec<String>,
    pub(crate) daemon: bool,
    pub(crate) pidfile: Option<PathBuf>,
    pub(crate) verbose: bool,
    pub(crate) error_log: Option<PathBuf>,
    pub(crate) log_level: Option<LogLevel>,
    pub(crate) log_format: Option<LogFormat>,
}

const DETAILS: &str = "\
It keeps nothing on disk: nodes register again after each start. Start two, and
name both to each gafferd (--lookupd-address); clients ask all they know of.
With --registry etcd://… it shares what it knows with all others that do so:
any of them answers for all, whichever a node is connected to.

With --key-file, nodes must show a key to register (`lookup_key_file` of
gafferd) and clients to read (--lookup-key, GAFFER_LOOKUP_KEY); addresses that
others can reach need that and a certificate.

Signals: TERM, INT and QUIT stop it, USR1 opens the error log again, HUP reads
certificates, keys and the configuration again; connections go on.

Examples:
  gaffer_lookupd                          at 127.0.0.1:5010
  gaffer_lookupd --registry etcd://10.0.0.1,10.0.0.2,10.0.0.3
  gaffer_lookupd --bind unix:/run/lookupd.sock --daemon --pidfile /run/l.pid
  gaffer_lookupd --bind 0.0.0.0:5010 --certfile l.pem --key-file lookup.keys";

/// The table of gaffer_lookupd.
pub(crate) fn command() -> Command<Args> {
    Command::new("gaffer_lookupd", "Knows which gafferd nodes there are, and which of them has which job.")
        .details(DETAILS)
        .option(Opt::value("config", "FILE", "An ini file with a section [lookupd].").short('c'), |a: &mut Args, v| {
            set(&mut a.config, Some(v.path()))
        })
        .option(
            Opt::switch("check", "Read configuration, certificates and keys, say what is wrong, and end."),
            |a, _| set(&mut a.check, true),
        )
        .option(
            Opt::value("bind", "ADDR", "Listen here: HOST:PORT, [IPV6]:PORT or unix:PATH. May be repeated.")
                .default("127.0.0.1:5010"),
            |a, v| {
                a.bind.push(v.parse()?);
                Ok(())
            },
        )
        .option(Opt::value("backlog", "N", "Connections that may wait to be accepted.").default("128"), |a, v| {
            set(&mut a.backlog, Some(v.read(backlog)?))
        })
        .option(Opt::value("certfile", "FILE", "The certificate, PEM: TCP is served by TLS alone."), |a, v| {
            set(&mut a.ssl.certfile, Some(v.path()))
        })
        .option(Opt::value("keyfile", "FILE", "Its private key.").default("it is in the --certfile"), |a, v| {
            set(&mut a.ssl.keyfile, Some(v.path()))
        })
        .option(
            Opt::value("cacert", "FILE", "Let in only those whose certificate one of these authorities has signed."),
            |a, v| set(&mut a.ssl.cacert, Some(v.path())),
        )
        .option(
            Opt::value("key-file", "FILE", "Let nodes register, and read, by the keys in this file alone, one a line."),
            |a, v| set(&mut a.key_file, Some(v.path())),
        )
        .option(Opt::value("read-key-file", "FILE", "Let others read by the keys in this file."), |a, v| {
            set(&mut a.read_key_file, Some(v.path()))
        })
        .option(Opt::switch("anonymous-read", "Let everybody read, without a key."), |a, _| {
            set(&mut a.anonymous_read, true)
        })
        .option(
            Opt::value(
                "ping-interval",
                "SECONDS",
                "Nodes give a sign of life so often; after three without, one is gone.",
            )
            .default("15"),
            |a, v| set(&mut a.ping_interval, Some(v.duration()?)),
        )
        .option(
            Opt::switch("insecure", "Allow addresses that others can reach without a key or without TLS."),
            |a, _| set(&mut a.insecure, true),
        )
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
            |a, v| {
                let text = v.string()?;
                registry::read(&text).map_err(|e| Failure::new(Code::Usage, format!("--registry: {e}")))?;
                set(&mut a.registry, Some(text))
            },
        )
        .option(
            Opt::value("registry-ttl", "SECONDS", "How long etcd keeps what a lookupd that died has left.")
                .default("15"),
            |a, v| set(&mut a.registry_ttl, Some(v.duration()?)),
        )
        .option(Opt::value("registry-user", "NAME", "The user as whom etcd knows it."), |a, v| {
            set(&mut a.registry_user, Some(v.string()?))
        })
        .option(Opt::value("registry-password-file", "FILE", "The password of that user, in a line."), |a, v| {
            set(&mut a.registry_password_file, Some(v.path()))
        })
        .option(Opt::value("etcd-cacert", "FILE", "Believe the authorities in it alone (etcds://)."), |a, v| {
            set(&mut a.etcd.cacert, Some(v.path()))
        })
        .option(Opt::value("etcd-cert", "FILE", "The certificate to show to etcd."), |a, v| {
            set(&mut a.etcd.certfile, Some(v.path()))
        })
        .option(Opt::value("etcd-key", "FILE", "Its private key, unless it is in the same file."), |a, v| {
            set(&mut a.etcd.keyfile, Some(v.path()))
        })
}

fn set<T>(field: &mut T, value: T) -> std::result::Result<(), Failure> {
    *field = value;
    Ok(())
}

impl Args {
    /// The configuration, as the file has it and the command line changes it.
    pub(crate) fn load(&self) -> Result<LookupdConfig> {
        let mut config = match &self.config {
            Some(path) => LookupdConfig::load(path)?,
            None => LookupdConfig::default(),
        };
        if !self.bind.is_empty() {
            config.bind.clone_from(&self.bind);
        }
        if self.ssl != Ssl::default() {
            config.ssl.clone_from(&self.ssl);
        }
        if self.etcd != Ssl::default() {
            config.etcd.clone_from(&self.etcd);
        }
        if let Some(text) = &self.registry {
            config.registry = Some(text.clone()).filter(|text| text != "memory");
        }
        if self.registry_user.is_some() {
            config.registry_user.clone_from(&self.registry_user);
        }
        config.registry_ttl = self.registry_ttl.unwrap_or(config.registry_ttl);
        config.backlog = self.backlog.map_or(config.backlog, u32::from);
        config.anonymous_read |= self.anonymous_read;
        config.ping_interval = self.ping_interval.unwrap_or(config.ping_interval);
        config.allow_hosts.extend(self.allow_hosts.iter().cloned());
        config.allow_origins.extend(self.allow_origins.iter().cloned());
        config.daemonize |= self.daemon;
        for (given, value) in [
            (&self.key_file, &mut config.key_file),
            (&self.read_key_file, &mut config.read_key_file),
            (&self.registry_password_file, &mut config.registry_password_file),
            (&self.pidfile, &mut config.pidfile),
        ] {
            if given.is_some() {
                value.clone_from(given);
            }
        }
        if let Some(path) = &self.error_log {
            config.error_log = Some(path.clone()).filter(|path| path.as_os_str() != "-");
        }
        config.log_level = self.log_level.unwrap_or(config.log_level);
        if self.verbose {
            config.log_level = LogLevel::Debug;
        }
        config.log_format = self.log_format.unwrap_or(config.log_format);
        config.check()?;
        registry::read(config.registry.as_deref().unwrap_or("memory"))?;
        if config.ping_interval < Duration::from_millis(100) {
            return Err(Error::new(ErrorKind::Invalid, "ping_interval: expected at least 0.1 seconds"));
        }
        if !self.insecure {
            protection(&config).check(&config.bind)?;
        }
        Ok(config)
    }
}

/// How whoever comes is met.
pub(crate) fn protection(config: &LookupdConfig) -> Protection<'static> {
    Protection {
        keys: config.key_file.is_some(),
        tls: config.ssl.is_secure(),
        danger: "learn where everything runs, and lead clients to nodes of his own",
        key_setting: "key_file",
    }
}

fn backlog(text: &str) -> std::result::Result<u16, &'static str> {
    text.parse().ok().filter(|n| *n > 0).ok_or("expected 1 to 65535")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaffer::cli::Asked;

    fn parse(line: &str) -> std::result::Result<Asked<Args>, Failure> {
        command().parse(line.split_whitespace().map(Into::into))
    }

    fn parsed_ssl() -> Ssl {
        let mut ssl = Ssl::default();
        (ssl.certfile, ssl.keyfile, ssl.cacert) = (Some("c".into()), Some("k".into()), Some("a".into()));
        ssl
    }

    fn load(line: &str) -> Result<LookupdConfig> {
        let Ok(Asked::Run(args)) = parse(line) else { panic!("{line}") };
        args.load()
    }

    #[test]
    fn others_are_served_by_keys_and_tls_alone() {
        let e = |line: &str| load(line).expect_err(line).to_string();
        let open = e("--bind 0.0.0.0:1");
        assert!(open.starts_with("refusing to listen on 0.0.0.0:1: whoever reaches it could learn where"), "{open}");
        assert!(open.contains("Ask for keys (key_file) and by TLS (certfile), bind"), "{open}");
        assert!(e("--bind 10.0.0.1:1 --certfile c").contains("Ask for keys (key_file), bind"));
        assert!(e("--bind [::]:1 --key-file k").contains("could read the keys. Give it a certificate (certfile)"));
        for line in ["", "--bind 127.0.0.1:1", "--bind unix:x", "--bind 0.0.0.0:1 --insecure"] {
            load(line).expect(line);
        }
        load("--bind 0.0.0.0:1 --certfile c --key-file k --anonymous-read").expect("both");
        assert!(e("--keyfile k").contains("for a certfile"));
        assert!(e("--anonymous-read").contains("for a key_file"));
        assert!(e("--ping-interval 0.01").contains("at least 0.1"));
        let config = load("-v --error-log - --backlog 7").expect("good");
        assert_eq!((config.log_level, config.error_log, config.backlog), (LogLevel::Debug, None, 7));
    }

    #[test]
    fn flags() {
        let line = "-v --daemon --pidfile p --backlog 5 --bind 127.0.0.1:1 --bind unix:/x --log-level error \
                    --log-format json --error-log e --insecure --allow-host h --allow-origin * -c l.ini --check \
                    --certfile c --keyfile k --cacert a --key-file n --read-key-file r --anonymous-read --ping-interval 2 \
                    --registry etcds://a,b:1/p --registry-ttl 5 --registry-user u --registry-password-file pw --etcd-cacert ea --etcd-cert ec --etcd-key ek";
        let Ok(Asked::Run(args)) = parse(line) else { panic!("all of them") };
        let ssl = parsed_ssl();
        let mut etcd = Ssl::default();
        (etcd.certfile, etcd.keyfile, etcd.cacert) = (Some("ec".into()), Some("ek".into()), Some("ea".into()));
        let want = Args {
            config: Some("l.ini".into()),
            check: true,
            ssl,
            key_file: Some("n".into()),
            read_key_file: Some("r".into()),
            anonymous_read: true,
            ping_interval: Some(Duration::from_secs(2)),
            registry: Some("etcds://a,b:1/p".to_owned()),
            registry_ttl: Some(Duration::from_secs(5)),
            registry_user: Some("u".to_owned()),
            registry_password_file: Some("pw".into()),
            etcd,
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
        };
        assert_eq!(args, want);
        for line in ["x", "--bind 5010", "--backlog 0", "--log-level loud", "--log-format xml", "--ping-interval soon"]
            .into_iter()
            .chain(["--registry etc://a", "--registry etcd://", "--registry etcd://u:p@a", "--registry-ttl soon"])
        {
            assert_eq!(parse(line).expect_err(line).code(), Code::Usage, "{line}");
        }
        let Ok(Asked::Print(help)) = parse("--help") else { panic!("help") };
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}
