//! The configuration of a lookup server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Address;
use super::files::read;
use super::gafferd::{LogFormat, LogLevel, Ssl};
use super::ini::{Entry, Ini, Section};
use super::interpolate::Scope;
use super::job::{about, table};
use super::keys::{self as k, Fault, Given, Key, Parsed, listed, name_of, seconds, unless};
use crate::{Error, ErrorKind, Result};

/// All that gaffer_lookupd is told by its file: an ini file with the section `[lookupd]`, in whose values `%(here)s` is the folder of the file, `%(key)s`
/// another value and `${NAME}` a variable of the environment.
///
/// ```
/// use gaffer::config::LookupdConfig;
///
/// let text = "[lookupd]\nbind = 0.0.0.0:5010\ncertfile = %(here)s/l.pem\nkey_file = /etc/gaffer/lookup.key\n";
/// let config = LookupdConfig::parse(text, "/etc/gaffer/lookupd.ini", &|_| None)?;
/// assert_eq!(config.ssl.certfile.as_deref(), Some("/etc/gaffer/l.pem".as_ref()));
/// assert!(LookupdConfig::parse("[lookupd]\nbnd = x\n", "l", &|_| None).unwrap_err().to_string().contains("`bind`"));
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookupdConfig {
    /// `bind`: where it listens. Default: `127.0.0.1:5010`.
    pub bind: Vec<Address>,
    /// Connections that may wait to be accepted. Default: 128.
    pub backlog: u32,
    /// `certfile`, `keyfile` and `cacert`: TLS of all TCP addresses. Default: none.
    pub ssl: Ssl,
    /// The [file](super::load_keys) of the keys by which nodes register, and read. Default: none, nobody is asked for a key.
    pub key_file: Option<PathBuf>,
    /// The file of keys by which clients may read. Only with a `key_file`. Default: none.
    pub read_key_file: Option<PathBuf>,
    /// Whether everybody may read. Only with a `key_file`. Default: false.
    pub anonymous_read: bool,
    /// How often nodes are to give a sign of life; after three without one they are gone. Default: 15 s.
    pub ping_interval: Duration,
    /// `memory`, or the URL of an etcd cluster in which lookup servers share what they know: `etcd://HOST:PORT[,…][/PREFIX]`, or `etcds://…`. It is
    /// read at the start. Default: none, memory.
    pub registry: Option<String>,
    /// How long etcd keeps what a lookup server that died has left: 2 to 3600 whole seconds. Default: 15 s.
    pub registry_ttl: Duration,
    /// The user whom etcd knows, and the [file](super::load_password) with the password, which is read at the start, and again when etcd refuses the one it has. Only with a registry in etcd.
    /// Default: none.
    pub registry_user: Option<String>,
    /// See [`registry_user`](field@Self::registry_user).
    pub registry_password_file: Option<PathBuf>,
    /// `etcd_cert`, `etcd_key` and `etcd_cacert`: the certificate to show to etcd, and the authorities to believe. Only for `etcds://`.
    pub etcd: Ssl,
    /// Further names of this host that requests may name. Default: none.
    pub allow_hosts: Vec<String>,
    /// Origins that browsers may call from; `*` for all. Default: none.
    pub allow_origins: Vec<String>,
    /// Go to the background. Default: false.
    pub daemonize: bool,
    /// The file for the process id. Default: none.
    pub pidfile: Option<PathBuf>,
    /// The file for the log. Default: none, also `-`: standard error.
    pub error_log: Option<PathBuf>,
    /// What is worth a line in the log. Default: info.
    pub log_level: LogLevel,
    /// The form of these lines. Default: text.
    pub log_format: LogFormat,
}

impl Default for LookupdConfig {
    fn default() -> Self {
        Self {
            bind: vec![Address::Tcp { host: "127.0.0.1".to_owned(), port: 5010 }],
            backlog: 128,
            ssl: Ssl::default(),
            key_file: None,
            read_key_file: None,
            anonymous_read: false,
            ping_interval: Duration::from_secs(15),
            registry: None,
            registry_ttl: Duration::from_secs(15),
            registry_user: None,
            registry_password_file: None,
            etcd: Ssl::default(),
            allow_hosts: Vec::new(),
            allow_origins: Vec::new(),
            daemonize: false,
            pidfile: None,
            error_log: None,
            log_level: LogLevel::default(),
            log_format: LogFormat::default(),
        }
    }
}

const SECTION: &str = "lookupd";

const LEVELS: &[(&str, LogLevel)] = &[
    ("critical", LogLevel::Critical),
    ("error", LogLevel::Error),
    ("warning", LogLevel::Warning),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
];
const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

static KEYS: &[Key<LookupdConfig>] = table! {
    "bind": |c, _, v| bind(v).map(|bind| c.bind = bind), |c| listed(&c.bind);
    "backlog": |c, _, v| v.number(1, 65535).map(|n| c.backlog = n), |c| unless(&c.backlog, &128);
    "certfile": |c, _, v| path(v).map(|file| c.ssl.certfile = file), |c| path_json(c.ssl.certfile.as_ref());
    "keyfile": |c, _, v| path(v).map(|file| c.ssl.keyfile = file), |c| path_json(c.ssl.keyfile.as_ref());
    "cacert": |c, _, v| path(v).map(|file| c.ssl.cacert = file), |c| path_json(c.ssl.cacert.as_ref());
    "key_file": |c, _, v| path(v).map(|file| c.key_file = file), |c| path_json(c.key_file.as_ref());
    "read_key_file": |c, _, v| path(v).map(|file| c.read_key_file = file), |c| path_json(c.read_key_file.as_ref());
    "anonymous_read": |c, _, v| v.boolean().map(|yes| c.anonymous_read = yes), |c| unless(&c.anonymous_read, &false);
    "ping_interval": |c, _, v| v.some_seconds().map(|t| c.ping_interval = t), |c| Some(seconds(c.ping_interval));
    "registry": |c, _, v| v.optional().map(|url| c.registry = url.filter(|url| *url != "memory").map(str::to_owned)), |c| c.registry.clone().map(Into::into);
    "registry_ttl": |c, _, v| v.some_seconds().map(|t| c.registry_ttl = t), |c| Some(seconds(c.registry_ttl));
    "registry_user": |c, _, v| v.optional().map(|user| c.registry_user = user.map(str::to_owned)), |c| c.registry_user.clone().map(Into::into);
    "registry_password_file": |c, _, v| path(v).map(|file| c.registry_password_file = file),
        |c| path_json(c.registry_password_file.as_ref());
    "etcd_cacert": |c, _, v| path(v).map(|file| c.etcd.cacert = file), |c| path_json(c.etcd.cacert.as_ref());
    "etcd_cert": |c, _, v| path(v).map(|file| c.etcd.certfile = file), |c| path_json(c.etcd.certfile.as_ref());
    "etcd_key": |c, _, v| path(v).map(|file| c.etcd.keyfile = file), |c| path_json(c.etcd.keyfile.as_ref());
    "allow_hosts": |c, _, v| v.list().map(|hosts| c.allow_hosts = hosts), |c| listed(&c.allow_hosts);
    "allow_origins": |c, _, v| v.list().map(|origins| c.allow_origins = origins), |c| listed(&c.allow_origins);
    "daemonize": |c, _, v| v.boolean().map(|yes| c.daemonize = yes), |c| unless(&c.daemonize, &false);
    "pidfile": |c, _, v| path(v).map(|file| c.pidfile = file), |c| path_json(c.pidfile.as_ref());
    "error_log": |c, _, v| path(v).map(|file| c.error_log = file.filter(|file| file.as_os_str() != "-")),
        |c| path_json(c.error_log.as_ref());
    "log_level": |c, _, v| v.one_of(LEVELS).map(|level| c.log_level = level), |c| name_of(LEVELS, &c.log_level);
    "log_format": |c, _, v| v.one_of(FORMATS).map(|format| c.log_format = format), |c| name_of(FORMATS, &c.log_format);
};

fn path(given: Given<'_>) -> Parsed<Option<PathBuf>> {
    Ok(given.optional()?.map(PathBuf::from))
}

fn path_json(path: Option<&PathBuf>) -> Option<serde_json::Value> {
    path.map(|path| path.to_string_lossy().into())
}

fn bind(given: Given<'_>) -> Parsed<Vec<Address>> {
    let list = given.list()?;
    if list.is_empty() {
        return given.expected("HOST:PORT, [IPV6]:PORT or unix:PATH");
    }
    list.iter().map(|text| text.parse().map_err(|e: Error| e.to_string())).collect()
}

impl LookupdConfig {
    /// Reads the text of the file `origin`, with which messages begin. `var` looks a variable of the environment up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for what is no ini file, an unknown section or key (with the nearest one), a key that is given twice, and a bad
    /// value; each with its place. That keys fit each other says [`check`](Self::check).
    pub fn parse(text: &str, origin: &str, var: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut config = Self::default();
        let here = Path::new(origin).parent().filter(|folder| !folder.as_os_str().is_empty());
        let here = here.unwrap_or(Path::new(".")).display().to_string();
        let mut seen: Vec<&str> = Vec::new();
        let sections = Ini::parse(text, origin)?.sections;
        for section in &sections {
            if section.name != SECTION {
                let what = format!("unknown section [{}]: expected [{SECTION}]", section.name);
                return Err(fault(origin, section.line, section.column, what));
            }
            for entry in &section.entries {
                let name = entry.key.as_str();
                if seen.contains(&name) {
                    let what = format!("the key `{name}` is given twice");
                    return Err(fault(origin, entry.line, entry.column, what));
                }
                seen.push(name);
                config.one(section, entry, (origin, &here), var)?;
            }
        }
        Ok(config)
    }

    fn one(
        &mut self,
        section: &Section,
        entry: &Entry,
        (origin, here): (&str, &str),
        var: &dyn Fn(&str) -> Option<String>,
    ) -> Result<()> {
        let wrong = |what: &str| fault(origin, entry.line, entry.value_column, about(&entry.key, what));
        let scope = Scope { section, here, environment: Some(var) };
        let value = scope.expand(&entry.value).map_err(|what| wrong(&what))?;
        let owner = format!("[{SECTION}]");
        k::set(KEYS, |_| None, self, &owner, &entry.key, Given::Text(value.trim())).map_err(|why| match why {
            Fault::Unknown(what) => fault(origin, entry.line, entry.column, what),
            Fault::Value(what) => wrong(&what),
        })
    }

    /// Reads the file, of at most [`MAX_FILE`](super::MAX_FILE) bytes.
    ///
    /// # Errors
    ///
    /// It cannot be read, or as for [`parse`](Self::parse).
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(&read(path)?, &path.display().to_string(), &|name| std::env::var(name).ok())
    }

    /// Whether its settings fit each other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: a key or authorities of TLS without a certificate, something about readers where nobody is asked for a key, or
    /// two answers to the question who may read; something about etcd where the registry is not there.
    pub fn check(&self) -> Result<()> {
        let invalid = |what: &'static str| Err(Error::new(ErrorKind::Invalid, what));
        if self.ssl != Ssl::default() && !self.ssl.is_secure() {
            return invalid("keyfile and cacert are for a certfile, which is not set");
        }
        let reading = self.read_key_file.is_some() || self.anonymous_read;
        if self.key_file.is_none() && reading {
            return invalid(
                "read_key_file and anonymous_read are for a key_file, which is not set: everybody may do everything",
            );
        }
        if self.read_key_file.is_some() && self.anonymous_read {
            return invalid("read_key_file and anonymous_read exclude each other: who may read?");
        }
        if self.etcd != Ssl::default() && !self.registry.as_ref().is_some_and(|url| url.starts_with("etcds://")) {
            return invalid("etcd_cacert, etcd_cert and etcd_key are for a registry at etcds://…");
        }
        if self.registry.is_none() && self.registry_ttl != Self::default().registry_ttl {
            return invalid("registry_ttl is for a registry at etcd://…");
        }
        match (&self.registry, &self.registry_user, &self.registry_password_file) {
            (_, None, None) | (Some(_), Some(_), Some(_)) => {}
            (None, ..) => return invalid("registry_user and registry_password_file are for a registry at etcd://…"),
            (Some(_), ..) => return invalid("registry_user and registry_password_file need each other"),
        }
        if !(2..=3600).contains(&self.registry_ttl.as_secs()) || self.registry_ttl.subsec_nanos() > 0 {
            return invalid("registry_ttl: expected 2 to 3600 whole seconds");
        }
        Ok(())
    }

    /// All of it as JSON, for those who want to see it.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::Value::Object(k::write(KEYS, self))
    }
}

fn fault(origin: &str, line: usize, column: usize, what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Invalid, format!("{origin}:{line}:{column}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<LookupdConfig> {
        LookupdConfig::parse(text, "/f/l.ini", &|name| (name == "PORT").then(|| "7".to_owned()))
    }

    #[test]
    fn every_key() {
        assert_eq!(read("").expect("nothing"), LookupdConfig::default());
        let text = "[lookupd]\nbind = 127.0.0.1:${PORT} unix:%(here)s/l.sock\nbacklog = 5\ncertfile = c\nkeyfile = k\n\
                    cacert = a\nkey_file = n\nread_key_file = r\nping_interval = 2.5\nallow_hosts = h\n\
                    allow_origins = *\ndaemonize = yes\npidfile = p\nerror_log = e\nlog_level = error\n\
                    log_format = json\nanonymous_read = no\nregistry = etcds://e\nregistry_ttl = 20\nregistry_user = u\n\
                    registry_password_file = pw\netcd_cacert = ea\n\
                    etcd_cert = ec\netcd_key = ek\n";
        let config = read(text).expect("all of them");
        config.check().expect("they fit");
        let want = json!({
            "bind": ["127.0.0.1:7", "unix:/f/l.sock"], "backlog": 5, "certfile": "c", "keyfile": "k", "cacert": "a",
            "key_file": "n", "read_key_file": "r", "ping_interval": 2.5, "allow_hosts": ["h"], "allow_origins": ["*"],
            "daemonize": true, "pidfile": "p", "error_log": "e", "log_level": "error", "log_format": "json",
            "registry": "etcds://e", "registry_ttl": 20, "registry_user": "u", "registry_password_file": "pw",
            "etcd_cacert": "ea", "etcd_cert": "ec", "etcd_key": "ek",
        });
        assert_eq!(config.to_json(), want);
        for key in KEYS {
            assert!(text.contains(&format!("\n{} =", key.name)), "{}", key.name);
            assert!(include_str!("../../examples/lookupd.ini").contains(&format!("{} =", key.name)), "{}", key.name);
        }
    }

    #[test]
    fn the_example_is_right() {
        let text = include_str!("../../examples/lookupd.ini");
        assert_eq!(read(text).expect("as it is").check().map_err(|e| e.to_string()), Ok(()));
        let all: String = text.lines().map(|line| format!("{}\n", line.strip_prefix(';').unwrap_or(line))).collect();
        read(&all).expect("with everything uncommented");
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        for (text, want) in [
            ("[lookup]\n", "/f/l.ini:1:2: unknown section [lookup]: expected [lookupd]"),
            ("[lookupd]\nbnd = x\n", "/f/l.ini:2:1: [lookupd] has no key `bnd`; did you mean `bind`?"),
            ("[lookupd]\nbind = 5010\n", "/f/l.ini:2:8: bind: invalid address \"5010\""),
            ("[lookupd]\nbacklog = 0\n", "/f/l.ini:2:11: backlog: expected a number from 1 to 65535, found 0"),
            ("[lookupd]\nping_interval = 0\n", "expected a number of seconds, more than 0"),
            ("[lookupd]\nkey_file = %(x)s\n", "/f/l.ini:2:12: key_file: "),
        ] {
            let e = read(text).expect_err(text).to_string();
            assert!(e.contains(want), "{e}");
        }
        for (text, want) in [
            ("cacert = a\n", "keyfile and cacert are for a certfile"),
            ("anonymous_read = yes\n", "are for a key_file, which is not set"),
            ("registry = memory\netcd_cert = c\n", "are for a registry at etcds://"),
            ("registry = etcd://a\netcd_cacert = c\n", "are for a registry at etcds://"),
            ("registry_ttl = 20\n", "is for a registry at etcd://"),
            ("registry_user = u\nregistry_password_file = f\n", "are for a registry at etcd://"),
            ("registry = etcd://a\nregistry_user = u\n", "need each other"),
            ("registry = etcd://a\nregistry_password_file = f\n", "need each other"),
            ("registry = etcd://a\nregistry_ttl = 2.5\n", "expected 2 to 3600 whole seconds"),
            ("registry = etcd://a\nregistry_ttl = 1\n", "expected 2 to 3600 whole seconds"),
            ("key_file = n\nread_key_file = r\nanonymous_read = yes\n", "exclude each other"),
        ] {
            let e = read(&format!("[lookupd]\n{text}")).expect("well-formed").check().expect_err(text).to_string();
            assert!(e.contains(want), "{e}");
        }
        assert!(read("[lookupd]\nbacklog = 1\nbacklog = 2\n").is_err());
    }
}
