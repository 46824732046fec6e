//! The configuration of gafferd: an ini file or its JSON twin.
//!
//! # The ini file
//!
//! [`ini`](super::ini) says what lines are. The sections are these; an unknown section or key is an error, so is a section, job
//! or key that is given twice, in one file or in two.
//!
//! | section | what it has |
//! |---|---|
//! | `[gaffer]` | the daemon: `bind` `backlog` `mode` `owner` `http_endpoints` `plugins_dir` `lookupd_address*` `lookup_key` `lookup_key_file` `lookup_ping_interval` `broadcast_address` `daemonize` `pidfile` `error_log` `access_log` `log_level` `log_format` `console` `web_console` `require_key` `allow_origins` `allow_hosts` `log_history` `log_history_total` `include` `include_dir` |
//! | `[endpoint:NAME]` | where to listen: `bind` `backlog` `mode` `owner` `certfile` `keyfile` `cacert` |
//! | `[process:NAME]` = `[job:NAME]` | a job, see below; NAME is `label`, `session.label`, `session:label` or `session/label` |
//! | `[env:NAME]` | variables of the job NAME; their names are upper-cased, as they always were |
//! | `[webhooks]` | `EVENT = URL [URL …]`, and `secret` `tries` `timeout` `pause` `max_pause` `queue` `max_hooks` `stop_timeout` |
//! | `[limits]` | of the HTTP server: `head` `headers` `body` `connections` `head_timeout` `idle_timeout` `unsent` |
//! | `[ssl]`, `[lookup_ssl]` | `certfile` `keyfile` `cacert`: of the endpoints that have none, and towards lookupd |
//! | `[auth]` | `auth_dbname` or `keys_dbname`, `trust_uid`, `auth_backend` and `keys_backend`, which can only be `default` |
//! | `[plugin:NAME]` | whatever the plugin NAME wants |
//!
//! - The case of keys does not matter, that of names, events and variables does. In a job `env.NAME = value` sets a
//!   variable and keeps the case of its name. (`env:NAME` could not: the first `:` ends a key.)
//! - `%(key)s` stands for the value of a key of the same section, `%(here)s` for the folder of the file, `%%` for `%`.
//!   `${NAME}` stands for a variable of gafferd's environment and `$${` for `${`, but not in `cmd` and `args`: those see
//!   the environment of the job's own processes, when they start.
//! - Lists have commas, blanks or lines between their items. Durations are seconds, sizes bytes or `16 KiB`, `1 MiB`.
//! - Relative paths of `include` and `include_dir` start at the file they stand in, all others where gafferd was started.
//! - `console` is what the terminal shows: `off`, `events` or `output`. `console = true` and `console = false` mean `web_console`.
//! - `include` names files to be read after this one; `include_dir` folders whose `*.ini` and `*.json` are, sorted, the files of a
//!   folder before its sub-folders, without those whose names begin with a dot and those that were read already.
//!
//! `examples/gaffer.ini` shows every key with its meaning. Those of a job, defaults first:
//!
//! | key | value |
//! |---|---|
//! | `cmd` | the command line, needed |
//! | `args` | more arguments, as text that is split likewise or, in JSON, as a list |
//! | `shell` `os_env` `ps` `detach` `redirect_input` `tty` `start` | false, true, false, false, false, false, true |
//! | `env` | in JSON an object; see `env.NAME` above |
//! | `numprocesses` `priority` `port` | 1; none, a whole number; none, 1 to 65535 |
//! | `cwd` `uid` `gid` `umask` | none; a path, names or numbers, octal digits |
//! | `redirect_output` `custom_streams` | none; up to 2 and 64 labels |
//! | `stdout_logfile` `stderr_logfile` | none; a path, `-` for gafferd's own stream |
//! | `logfile_maxbytes` `logfile_backups` `logfile_total` | `50 MiB`, 0 for no rotation; 10; none, a size |
//! | `log_format` | `raw`, `prefix`, `json` |
//! | `stdio` | `null`, `inherit` |
//! | `restart` | `always`, `on-failure`, `on-success`, `never` |
//! | `flapping` | none; `attempts, window, retry_in, max_retry` (2, 1, 7, 5), fewer take these; in JSON also an object |
//! | `backoff` | `0.1, 5`: the first and the longest pause, or the first alone, 0 for none; in JSON also an object (`first`, `max`) or number |
//! | `graceful_timeout` `stop_signal` | 30; `TERM`, names and numbers |
//! | `log_history` | as in `[gaffer]`; a size, 0 for none |
//!
//! # The JSON twin
//!
//! `{"gaffer": {…}, "endpoints": {"NAME": {…}}, "jobs": [{"name": …, "cmd": …}], "webhooks": {"EVENT": ["URL"]}, "limits":
//! {…}, "ssl": {…}, "lookup_ssl": {…}, "auth": {…}, "plugins": {"NAME": {…}}}` with the same keys and the same checks. Nothing is
//! replaced in its texts. A file whose first character is `{` is read so, whatever its name.

mod build;
mod faults;
mod load;
mod tables;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};

use super::job::to_map;
use super::{Address, Job, SharedKey, files, keys};
use crate::process::{JobName, UserRef};
use crate::{Error, ErrorKind, Result};

/// So many files may belong to one configuration.
pub const MAX_FILES: usize = 1000;

/// So many bytes may all files of a configuration have together.
pub const MAX_TOTAL: usize = 16 * 1024 * 1024;

/// So deep may files include files, and folders stand in folders.
pub const MAX_DEPTH: usize = 16;

/// All that gafferd is told by its files.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GafferdConfig {
    /// Where the HTTP server listens. Default: one endpoint, at `127.0.0.1:5000`.
    ///
    /// They are the one of `[gaffer]`, if it has a `bind`, called `gaffer`, and all `[endpoint:NAME]`, or those that
    /// `http_endpoints` names.
    pub endpoints: Vec<Endpoint>,
    /// The folder of the plugins. Default none.
    pub plugins_dir: Option<PathBuf>,
    /// The URLs of the lookup servers, each once. Default none.
    pub lookupd_addresses: Vec<String>,
    /// The key to show the lookup servers. Default none.
    pub lookup_key: Option<SharedKey>,
    /// The file whose first key is shown to them. Not with a `lookup_key`. Default none.
    pub lookup_key_file: Option<PathBuf>,
    /// How often the lookup servers are asked for a sign of life; after three without one they are lost. Default 15 s.
    pub lookup_ping_interval: Duration,
    /// The URL that lookup servers hand out for this node. Default none.
    pub broadcast_address: Option<String>,
    /// Go to the background. Default false.
    pub daemonize: bool,
    /// The file for the process id. Default none.
    pub pidfile: Option<PathBuf>,
    /// The file for the log. Default none, also `-`: standard error.
    pub error_log: Option<PathBuf>,
    /// Where requests are logged. Default nowhere.
    pub access_log: AccessLog,
    /// What is worth a line in the log. Default info.
    pub log_level: LogLevel,
    /// The form of these lines. Default text.
    pub log_format: LogFormat,
    /// What is shown on the console. Default nothing.
    pub console: Console,
    /// Whether the web console is served at `/_plugin/console/`. Default true. `console = false` says no as well.
    pub web_console: bool,
    /// Whether requests need a key. Default false.
    pub require_key: bool,
    /// Origins that browsers may call from; `*` for all. Default none.
    pub allow_origins: Vec<String>,
    /// Further names of this host that requests may name. Default none.
    pub allow_hosts: Vec<String>,
    /// How many bytes of each output stream are kept for `GET /logs`; 0 for none. Jobs may say otherwise. Default 64 KiB.
    pub log_history: u64,
    /// How many bytes of all output streams are kept. Default 16 MiB.
    pub log_history_total: u64,
    /// The limits of the HTTP server.
    pub limits: Limits,
    /// Where events are posted to.
    pub webhooks: Webhooks,
    /// Users and keys.
    pub auth: Auth,
    /// TLS for endpoints that are made later; those in [`endpoints`](Self::endpoints) have it already.
    pub ssl: Ssl,
    /// TLS towards the lookup servers.
    pub lookup_ssl: Ssl,
    /// The jobs, in the order they are to start.
    pub jobs: Vec<Job>,
    /// Where each of them stands, as `file:line:column`, for messages.
    pub places: BTreeMap<JobName, String>,
    /// What stands in the sections of plugins.
    pub plugins: Vec<PluginSettings>,
    /// The files all this was read from.
    pub files: Vec<PathBuf>,
}

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

/// Where a configuration comes from. The reader touches nothing but this.
pub struct Sources<'a> {
    /// Gives the text of a file.
    pub read: &'a dyn Fn(&Path) -> Result<String>,
    /// Gives the names in a folder, in any order, and whether each is a folder.
    pub list_dir: &'a dyn Fn(&Path) -> Result<Vec<(String, bool)>>,
    /// Looks a variable of the environment up.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// The folder that relative paths start at, for `%(here)s`.
    pub current_dir: &'a Path,
}

impl fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("current_dir", &self.current_dir).finish_non_exhaustive()
    }
}

impl Default for GafferdConfig {
    fn default() -> Self {
        let address = Address::Tcp { host: "127.0.0.1".to_owned(), port: 5000 };
        Self {
            endpoints: vec![Endpoint::new("default", [address])],
            plugins_dir: None,
            lookupd_addresses: Vec::new(),
            lookup_key: None,
            lookup_key_file: None,
            lookup_ping_interval: Duration::from_secs(15),
            broadcast_address: None,
            daemonize: false,
            pidfile: None,
            error_log: None,
            access_log: AccessLog::default(),
            log_level: LogLevel::default(),
            log_format: LogFormat::default(),
            console: Console::default(),
            web_console: true,
            require_key: false,
            allow_origins: Vec::new(),
            allow_hosts: Vec::new(),
            log_history: 64 << 10,
            log_history_total: 16 << 20,
            limits: Limits::default(),
            webhooks: Webhooks::default(),
            auth: Auth::default(),
            ssl: Ssl::default(),
            lookup_ssl: Ssl::default(),
            jobs: Vec::new(),
            places: BTreeMap::new(),
            plugins: Vec::new(),
            files: Vec::new(),
        }
    }
}

impl GafferdConfig {
    /// Reads the file at `path`, or `gafferd.ini` in the folder at `path`, and all it includes.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        fn load(path: &Path) -> Result<GafferdConfig> {
            let path = if path.is_dir() { path.join("gafferd.ini") } else { path.to_owned() };
            let current_dir = std::env::current_dir().map_err(|e| Error::io("the current folder", e))?;
            let sources = Sources {
                read: &files::read,
                list_dir: &list_dir,
                environment: &|name| std::env::var(name).ok(),
                current_dir: &current_dir,
            };
            GafferdConfig::read(&path, &sources)
        }
        load(path.as_ref())
    }

    /// Reads the file at `path` and all it includes from `sources`.
    ///
    /// ```
    /// use std::path::Path;
    /// use gaffer::config::GafferdConfig;
    /// use gaffer::config::gafferd::Sources;
    ///
    /// let sources = Sources {
    ///     read: &|_| Ok("[process:shop:web]\ncmd = bin/web -p $PORT\nnumproceses = 2\n".to_owned()),
    ///     list_dir: &|_| Ok(vec![]),
    ///     environment: &|_| None,
    ///     current_dir: Path::new("/"),
    /// };
    /// let e = GafferdConfig::read(Path::new("gafferd.ini"), &sources).unwrap_err().to_string();
    /// assert_eq!(e, "gafferd.ini:3:1: [process:shop:web] has no key `numproceses`; did you mean `numprocesses`?");
    /// ```
    ///
    /// # Errors
    ///
    /// What the closures return, and [`ErrorKind::Invalid`] with file, line and column for
    /// everything that is not as [described](self), and where [`MAX_FILES`], [`MAX_TOTAL`] or [`MAX_DEPTH`] is exceeded.
    pub fn read(path: &Path, sources: &Sources<'_>) -> Result<Self> {
        load::read(path, sources)
    }

    /// The whole as the JSON twin: what is not the default, with the secret of the webhooks and the key for lookup servers.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut all = Map::new();
        let mut put = |name: &str, section: Map<String, Value>| {
            if !section.is_empty() {
                all.insert(name.to_owned(), Value::Object(section));
            }
        };
        let mut gaffer = keys::write(tables::GAFFER, &tables::Gaffer::new(self.clone()));
        if self.endpoints != Self::default().endpoints {
            let names = self.endpoints.iter().map(|endpoint| endpoint.name.as_str());
            gaffer.insert("http_endpoints".to_owned(), names.collect());
            let endpoints = self.endpoints.iter();
            put("endpoints", endpoints.map(|e| (e.name.clone(), tables::endpoint_json(e))).collect());
        }
        put("gaffer", gaffer);
        let mut webhooks = keys::write(tables::WEBHOOKS, &self.webhooks);
        webhooks.extend(self.webhooks.hooks.iter().map(|hook| (hook.event.clone(), hook.urls.clone().into())));
        put("webhooks", webhooks);
        put("limits", keys::write(tables::LIMITS, &self.limits));
        put("auth", keys::write(tables::AUTH, &self.auth));
        put("ssl", keys::write(tables::SSL, &self.ssl));
        put("lookup_ssl", keys::write(tables::SSL, &self.lookup_ssl));
        let settings = |plugin: &PluginSettings| {
            let settings: BTreeMap<_, _> = plugin.settings.iter().cloned().collect();
            settings.into_iter().map(|(key, value)| (key, Value::from(value))).collect()
        };
        put("plugins", self.plugins.iter().map(|p| (p.name.clone(), Value::Object(settings(p)))).collect());
        if !self.jobs.is_empty() {
            all.insert("jobs".to_owned(), self.jobs.iter().map(|job| Value::Object(to_map(job))).collect());
        }
        Value::Object(all)
    }
}

fn list_dir(path: &Path) -> Result<Vec<(String, bool)>> {
    let fail = |e| Error::io(format!("cannot read {}", path.display()), e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let is_dir = entry.path().is_dir();
        let name = entry.file_name().into_string().map_err(|name| {
            let what = format!("the name of {} is not UTF-8", path.join(name).display());
            Error::new(ErrorKind::Invalid, what)
        })?;
        names.push((name, is_dir));
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
