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
mod sections;
mod tables;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

pub use sections::{
    AccessLog, Auth, Console, Endpoint, Limits, LogFormat, LogLevel, PluginSettings, Ssl, Webhook, Webhooks,
};

use super::job::to_map;
use super::{Address, Job, SharedKey, files, keys};
use crate::process::JobName;
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
