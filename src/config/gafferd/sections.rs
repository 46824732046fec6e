//! What the sections of a configuration have, as values.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::config::Address;
use crate::process::UserRef;

/// Addresses with settings in common.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Endpoint {
    /// Its name; `[A-Za-z0-9_+.-]+`.
    pub name: String,
    /// Where it listens.
    pub bind: Vec<Address>,
    /// How many connections may wait to be accepted. Default 128.
    pub backlog: u32,
    /// The mode of its unix sockets. Default 0600.
    pub mode: u32,
    /// The owner of its unix sockets. Default: who runs gafferd.
    pub owner: Option<UserRef>,
    /// The group of its unix sockets. Default: that of gafferd.
    pub group: Option<UserRef>,
    /// TLS of its TCP addresses.
    pub ssl: Ssl,
}

impl Endpoint {
    /// An endpoint with the default settings.
    #[must_use]
    pub fn new(name: impl Into<String>, bind: impl IntoIterator<Item = Address>) -> Self {
        Self {
            name: name.into(),
            bind: bind.into_iter().collect(),
            backlog: 128,
            mode: 0o600,
            owner: None,
            group: None,
            ssl: Ssl::default(),
        }
    }
}

/// The files for TLS; PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ssl {
    /// The certificate and its chain. Without it there is no TLS.
    pub certfile: Option<PathBuf>,
    /// The private key. Default: it is in the `certfile`.
    pub keyfile: Option<PathBuf>,
    /// The authorities that certificates of the other side must come from.
    pub cacert: Option<PathBuf>,
}

impl Ssl {
    /// Whether a server has TLS by it.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.certfile.is_some()
    }
}

#[cfg(feature = "tls")]
impl From<&Ssl> for crate::tls::Files {
    fn from(ssl: &Ssl) -> Self {
        let mut files = Self::default();
        files.certfile.clone_from(&ssl.certfile);
        files.keyfile.clone_from(&ssl.keyfile);
        files.cacert.clone_from(&ssl.cacert);
        files
    }
}

/// The limits of the HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The bytes of a request's head. Default 16 KiB.
    pub head: u64,
    /// The headers of a request. Default 100.
    pub headers: u32,
    /// The bytes of a request's body. Default 1 MiB.
    pub body: u64,
    /// Connections at a time. Default 1024.
    pub connections: u32,
    /// The time for a head to arrive. Default 10 s.
    pub head_timeout: Duration,
    /// The time a connection may be idle. Default 60 s.
    pub idle_timeout: Duration,
    /// The unsent bytes of a client, in all its feeds. Default 16 MiB.
    pub unsent: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 16 * 1024,
            headers: 100,
            body: 1024 * 1024,
            connections: 1024,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            unsent: 16 * 1024 * 1024,
        }
    }
}

/// Events that are posted to URLs.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Webhooks {
    /// Patterns of events and where they go, in the order of the file.
    pub hooks: Vec<Webhook>,
    /// What the posts are signed with. Default none.
    pub secret: Option<String>,
    /// So often a post is tried. Default 3.
    pub tries: u32,
    /// The time for each try. Default 10 s.
    pub timeout: Duration,
    /// The pause of a URL after a try that has failed; it doubles with each further one. Default 1 s.
    pub pause: Duration,
    /// The longest pause of a URL. Default 60 s.
    pub max_pause: Duration,
    /// So many events wait for a URL. Default 1000.
    pub queue: u32,
    /// So many hooks can be added at run time. Default 1000.
    pub max_hooks: u32,
    /// How long the end waits for what was not posted yet; 0 for not at all. Default 5 s.
    pub stop_timeout: Duration,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            hooks: Vec::new(),
            secret: None,
            tries: 3,
            timeout: Duration::from_secs(10),
            pause: Duration::from_secs(1),
            max_pause: Duration::from_secs(60),
            queue: 1000,
            max_hooks: 1000,
            stop_timeout: Duration::from_secs(5),
        }
    }
}

/// Without the secret.
impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = self.secret.as_ref().map(|_| "…");
        let mut f = f.debug_struct("Webhooks");
        f.field("hooks", &self.hooks).field("secret", &secret).field("tries", &self.tries);
        f.field("timeout", &self.timeout).field("pause", &self.pause).field("max_pause", &self.max_pause);
        f.field("queue", &self.queue).field("max_hooks", &self.max_hooks);
        f.field("stop_timeout", &self.stop_timeout).finish()
    }
}

/// A pattern of events and the URLs they are posted to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Webhook {
    /// The topic, such as `.`, `exit`, `proc.web`.
    pub event: String,
    /// `http://` or `https://`, each once.
    pub urls: Vec<String>,
}

/// Users and keys. They are in one file: both names mean that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Auth {
    /// The file. Default: `access.json` beside the configuration, or in `~/.gaffer` if there is none.
    pub auth_dbname: Option<PathBuf>,
    /// The same, by another name.
    pub keys_dbname: Option<PathBuf>,
    /// Users of this machine who need no key on a unix socket. Default: none.
    pub trust_uid: Vec<u32>,
}

/// The section of a plugin, as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginSettings {
    /// The plugin's name.
    pub name: String,
    /// Keys and values; what is no text in a JSON file is here as JSON.
    pub settings: Vec<(String, String)>,
}

/// What is worth a line in the log; each level includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// The end is near.
    Critical,
    /// Something failed.
    Error,
    /// Something should be looked at.
    Warning,
    /// What happens.
    #[default]
    Info,
    /// Everything.
    Debug,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

impl FromStr for LogLevel {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        Ok(match text {
            "critical" => Self::Critical,
            "error" => Self::Error,
            "warning" => Self::Warning,
            "info" => Self::Info,
            "debug" => Self::Debug,
            _ => return Err("expected critical, error, warning, info or debug"),
        })
    }
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected text or json"),
        }
    }
}

/// Where a line for each request goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    #[default]
    Off,
    /// Into the log, as info.
    Log,
    /// Into this file.
    File(PathBuf),
}

impl From<PathBuf> for AccessLog {
    /// `-` is the log.
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "-" { Self::Log } else { Self::File(path) }
    }
}

/// What is shown on the console, as `-v` and `-vv` ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Console {
    /// Nothing.
    #[default]
    Off,
    /// What happens to jobs and processes: `-v`.
    Events,
    /// That and the output of the programs: `-vv`.
    Output,
}
