//! The keys of all sections but those of jobs.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::{AccessLog, Auth, Console, Endpoint, GafferdConfig, Limits, LogFormat, LogLevel, Ssl, Webhooks};
use crate::config::job::{table, user};
use crate::config::keys::{self as k, Given, Key, Parsed, listed, name_of, seconds, unless};
use crate::config::{Address, SharedKey};
use crate::process::UserRef;

/// What `[gaffer]` says: the configuration, and what becomes part of it later.
pub(super) struct Gaffer {
    pub(super) config: GafferdConfig,
    /// Its own endpoint.
    pub(super) own: EndpointDraft,
    pub(super) http_endpoints: Vec<String>,
    pub(super) include: Vec<String>,
    pub(super) include_dir: Vec<String>,
}

impl Gaffer {
    pub(super) fn new(config: GafferdConfig) -> Self {
        let own = EndpointDraft::new("gaffer");
        Self { config, own, http_endpoints: Vec::new(), include: Vec::new(), include_dir: Vec::new() }
    }
}

/// An endpoint while it is read.
pub(super) struct EndpointDraft {
    pub(super) endpoint: Endpoint,
    pub(super) backlog: Option<u32>,
}

impl EndpointDraft {
    pub(super) fn new(name: &str) -> Self {
        Self { endpoint: Endpoint::new(name, []), backlog: None }
    }
}

pub(super) fn endpoint_json(endpoint: &Endpoint) -> Value {
    let draft = EndpointDraft { endpoint: endpoint.clone(), backlog: Some(endpoint.backlog) };
    Value::Object(k::write(ENDPOINT, &draft))
}

const LOG_LEVEL: &[(&str, LogLevel)] = &[
    ("critical", LogLevel::Critical),
    ("error", LogLevel::Error),
    ("warning", LogLevel::Warning),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
];
const LOG_FORMAT: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
const CONSOLE: &[(&str, Console)] = &[("off", Console::Off), ("events", Console::Events), ("output", Console::Output)];
/// Others cannot be loaded, and never could.
const BACKENDS: &[(&str, ())] = &[("default", ())];

/// The longest queue of connections that systems take.
const MAX_BACKLOG: u32 = 65535;

pub(super) static GAFFER: &[Key<Gaffer>] = table! {
    "bind": |g, _, v| bind(v).map(|bind| g.own.endpoint.bind = bind), |_| None;
    "backlog": |g, _, v| v.number(1, MAX_BACKLOG).map(|backlog| g.own.backlog = Some(backlog)), |_| None;
    "mode": |g, _, v| v.octal(0o777).map(|mode| g.own.endpoint.mode = mode), |_| None;
    "owner": |g, _, v| owner(&mut g.own.endpoint, v), |_| None;
    "http_endpoints": |g, _, v| v.list().map(|names| g.http_endpoints = names), |_| None;
    "plugins_dir" or "plugin_dir": |g, _, v| path(v).map(|dir| g.config.plugins_dir = dir),
        |g| path_json(g.config.plugins_dir.as_ref());
    "lookupd_address": |g, _, v| lookupd(g, v), |g| listed(&g.config.lookupd_addresses);
    "lookupd_address*": |g, _, v| lookupd(g, v), |_| None;
    "lookup_key": |g, _, v| lookup_key(g, v), |g| g.config.lookup_key.as_ref().map(|key| key.as_str().into());
    "lookup_key_file": |g, _, v| path(v).map(|file| g.config.lookup_key_file = file),
        |g| path_json(g.config.lookup_key_file.as_ref());
    "lookup_ping_interval": |g, _, v| v.some_seconds().map(|t| g.config.lookup_ping_interval = t),
        |g| time(g.config.lookup_ping_interval, GafferdConfig::default().lookup_ping_interval);
    "broadcast_address": |g, _, v| {
        g.config.broadcast_address = v.optional()?.map(|text| url(text, v)).transpose()?;
        Ok(())
    }, |g| g.config.broadcast_address.clone().map(Value::from);
    "daemonize": |g, _, v| v.boolean().map(|yes| g.config.daemonize = yes), |g| unless(&g.config.daemonize, &false);
    "pidfile": |g, _, v| path(v).map(|file| g.config.pidfile = file), |g| path_json(g.config.pidfile.as_ref());
    "error_log": |g, _, v| path(v).map(|file| g.config.error_log = file.filter(|file| file.as_os_str() != "-")),
        |g| path_json(g.config.error_log.as_ref());
    "access_log": |g, _, v| path(v).map(|file| g.config.access_log = file.map_or(AccessLog::Off, AccessLog::from)),
        |g| match &g.config.access_log {
            AccessLog::Off => None,
            AccessLog::Log => Some("-".into()),
            AccessLog::File(path) => path_json(Some(path)),
        };
    "log_level": |g, _, v| v.one_of(LOG_LEVEL).map(|level| g.config.log_level = level),
        |g| name_of(LOG_LEVEL, &g.config.log_level).filter(|_| g.config.log_level != LogLevel::default());
    "log_format": |g, _, v| v.one_of(LOG_FORMAT).map(|format| g.config.log_format = format),
        |g| name_of(LOG_FORMAT, &g.config.log_format).filter(|_| g.config.log_format != LogFormat::default());
    "console": |g, _, v| console(&mut g.config, v),
        |g| name_of(CONSOLE, &g.config.console).filter(|_| g.config.console != Console::default());
    "web_console": |g, _, v| v.boolean().map(|yes| g.config.web_console = yes),
        |g| unless(&g.config.web_console, &true);
    "require_key": |g, _, v| v.boolean().map(|yes| g.config.require_key = yes),
        |g| unless(&g.config.require_key, &false);
    "allow_origins": |g, _, v| v.list().map(|origins| g.config.allow_origins = origins),
        |g| listed(&g.config.allow_origins);
    "allow_hosts": |g, _, v| v.list().map(|hosts| g.config.allow_hosts = hosts), |g| listed(&g.config.allow_hosts);
    "log_history": |g, _, v| v.bytes_or_none().map(|bytes| g.config.log_history = bytes),
        |g| unless(&g.config.log_history, &GafferdConfig::default().log_history);
    "log_history_total": |g, _, v| v.bytes().map(|bytes| g.config.log_history_total = bytes),
        |g| unless(&g.config.log_history_total, &GafferdConfig::default().log_history_total);
    "include": |g, _, v| v.list().map(|files| g.include = files), |_| None;
    "include_dir": |g, _, v| v.list().map(|folders| g.include_dir = folders), |_| None;
};

pub(super) static ENDPOINT: &[Key<EndpointDraft>] = table! {
    "bind": |e, _, v| bind(v).map(|bind| e.endpoint.bind = bind), |e| listed(&e.endpoint.bind);
    "backlog": |e, _, v| v.number(1, MAX_BACKLOG).map(|backlog| e.backlog = Some(backlog)),
        |e| e.backlog.filter(|backlog| *backlog != 128).map(Value::from);
    "mode": |e, _, v| v.octal(0o777).map(|mode| e.endpoint.mode = mode),
        |e| (e.endpoint.mode != 0o600).then(|| format!("{:04o}", e.endpoint.mode).into());
    "owner": |e, _, v| owner(&mut e.endpoint, v), |e| owner_json(&e.endpoint);
    "certfile": |e, _, v| path(v).map(|file| e.endpoint.ssl.certfile = file),
        |e| path_json(e.endpoint.ssl.certfile.as_ref());
    "keyfile": |e, _, v| path(v).map(|file| e.endpoint.ssl.keyfile = file),
        |e| path_json(e.endpoint.ssl.keyfile.as_ref());
    "cacert" or "ca_certs": |e, _, v| path(v).map(|file| e.endpoint.ssl.cacert = file),
        |e| path_json(e.endpoint.ssl.cacert.as_ref());
};

pub(super) static SSL: &[Key<Ssl>] = table! {
    "certfile": |s, _, v| path(v).map(|file| s.certfile = file), |s| path_json(s.certfile.as_ref());
    "keyfile": |s, _, v| path(v).map(|file| s.keyfile = file), |s| path_json(s.keyfile.as_ref());
    "cacert" or "ca_certs": |s, _, v| path(v).map(|file| s.cacert = file), |s| path_json(s.cacert.as_ref());
};

pub(super) static AUTH: &[Key<Auth>] = table! {
    "auth_dbname": |a, _, v| path(v).map(|file| a.auth_dbname = file), |a| path_json(a.auth_dbname.as_ref());
    "keys_dbname": |a, _, v| path(v).map(|file| a.keys_dbname = file), |a| path_json(a.keys_dbname.as_ref());
    "trust_uid": |a, _, v| uids(v).map(|uids| a.trust_uid = uids), |a| listed(&a.trust_uid);
    "auth_backend": |_, _, v| v.one_of(BACKENDS), |_| None;
    "keys_backend": |_, _, v| v.one_of(BACKENDS), |_| None;
};

pub(super) static LIMITS: &[Key<Limits>] = table! {
    "head": |l, _, v| v.bytes().map(|n| l.head = n), |l| unless(&l.head, &Limits::default().head);
    "headers": |l, _, v| v.number(1, 10_000).map(|n| l.headers = n), |l| unless(&l.headers, &Limits::default().headers);
    "body": |l, _, v| v.bytes().map(|n| l.body = n), |l| unless(&l.body, &Limits::default().body);
    "connections": |l, _, v| v.number(1, 1_000_000).map(|n| l.connections = n),
        |l| unless(&l.connections, &Limits::default().connections);
    "head_timeout": |l, _, v| v.some_seconds().map(|t| l.head_timeout = t),
        |l| time(l.head_timeout, Limits::default().head_timeout);
    "idle_timeout": |l, _, v| v.some_seconds().map(|t| l.idle_timeout = t),
        |l| time(l.idle_timeout, Limits::default().idle_timeout);
    "unsent": |l, _, v| v.bytes().map(|n| l.unsent = n), |l| unless(&l.unsent, &Limits::default().unsent);
};

/// All other keys of the section are events.
pub(super) static WEBHOOKS: &[Key<Webhooks>] = table! {
    "secret": |w, _, v| v.optional().map(|secret| w.secret = secret.map(str::to_owned)),
        |w| w.secret.clone().map(Value::from);
    "tries": |w, _, v| v.number(1, 100).map(|n| w.tries = n), |w| unless(&w.tries, &Webhooks::default().tries);
    "timeout": |w, _, v| v.some_seconds().map(|t| w.timeout = t), |w| time(w.timeout, Webhooks::default().timeout);
    "pause": |w, _, v| v.some_seconds().map(|t| w.pause = t), |w| time(w.pause, Webhooks::default().pause);
    "max_pause": |w, _, v| v.some_seconds().map(|t| w.max_pause = t),
        |w| time(w.max_pause, Webhooks::default().max_pause);
    "queue": |w, _, v| v.number(1, 1_000_000).map(|n| w.queue = n), |w| unless(&w.queue, &Webhooks::default().queue);
    "max_hooks": |w, _, v| v.number(0, 1_000_000).map(|n| w.max_hooks = n),
        |w| unless(&w.max_hooks, &Webhooks::default().max_hooks);
    "stop_timeout": |w, _, v| v.seconds().map(|t| w.stop_timeout = t),
        |w| time(w.stop_timeout, Webhooks::default().stop_timeout);
};

/// What the terminal shows. `true` and `false` are of the web console, which has a key of its own.
fn console(config: &mut GafferdConfig, given: Given<'_>) -> Parsed<()> {
    match given {
        Given::Text("true") | Given::Json(Value::Bool(true)) => config.web_console = true,
        Given::Text("false") | Given::Json(Value::Bool(false)) => config.web_console = false,
        _ => config.console = given.one_of(CONSOLE)?,
    }
    Ok(())
}

fn time(value: Duration, default: Duration) -> Option<Value> {
    (value != default).then(|| seconds(value))
}

fn path(given: Given<'_>) -> Parsed<Option<PathBuf>> {
    Ok(given.optional()?.map(PathBuf::from))
}

fn uids(given: Given<'_>) -> Parsed<Vec<u32>> {
    let uid = |text: String| text.parse().map_err(|_| format!("expected numbers of users, found {text:?}"));
    given.list()?.into_iter().map(uid).collect()
}

fn path_json(path: Option<&PathBuf>) -> Option<Value> {
    path.map(|path| path.to_string_lossy().into())
}

fn bind(given: Given<'_>) -> Parsed<Vec<Address>> {
    let list = given.list()?;
    if list.is_empty() {
        return given.expected("HOST:PORT, [IPV6]:PORT or unix:PATH");
    }
    list.iter().map(|text| text.parse().map_err(|e: crate::Error| e.to_string())).collect()
}

/// `user`, `user:group` or `:group`.
fn owner(endpoint: &mut Endpoint, given: Given<'_>) -> Parsed<()> {
    if let Given::Json(Value::Number(_)) = given {
        endpoint.owner = user(given)?;
        return Ok(());
    }
    let text = given.optional()?.unwrap_or_default();
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let reference = |name: &str| (!name.is_empty()).then(|| UserRef::from(name));
    (endpoint.owner, endpoint.group) = (reference(user.trim()), reference(group.trim()));
    Ok(())
}

fn owner_json(endpoint: &Endpoint) -> Option<Value> {
    let name = |user: &Option<UserRef>| match user {
        Some(UserRef::Id(id)) => id.to_string(),
        Some(UserRef::Name(name)) => name.clone(),
        None => String::new(),
    };
    match (&endpoint.owner, &endpoint.group) {
        (None, None) => None,
        (owner, None) => Some(name(owner).into()),
        (owner, group) => Some(format!("{}:{}", name(owner), name(group)).into()),
    }
}

fn lookup_key(gaffer: &mut Gaffer, given: Given<'_>) -> Parsed<()> {
    // The value is never shown, whatever is wrong with it.
    gaffer.config.lookup_key = given.optional()?.map(SharedKey::new).transpose()?;
    Ok(())
}

fn lookupd(gaffer: &mut Gaffer, given: Given<'_>) -> Parsed<()> {
    for text in given.list()? {
        // A lookup server on this machine may be at a socket.
        let is_path = text.strip_prefix("unix:").is_some_and(|path| !path.is_empty());
        // It is a websocket that is opened there, and some write so.
        let secure = text.strip_prefix("wss://").map(|rest| format!("https://{rest}"));
        let http = secure.or_else(|| text.strip_prefix("ws://").map(|rest| format!("http://{rest}")));
        let url = if is_path { text } else { url(&http.unwrap_or(text), given)? };
        if !gaffer.config.lookupd_addresses.contains(&url) {
            gaffer.config.lookupd_addresses.push(url);
        }
    }
    Ok(())
}

/// A URL with a host; blanks and control characters have no place in it.
pub(super) fn url(text: &str, given: Given<'_>) -> Parsed<String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let clean = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    match host.filter(|host| clean && !host.is_empty() && !host.starts_with(':')) {
        Some(_) => Ok(text.to_owned()),
        None => given.expected("http://HOST… or https://HOST…"),
    }
}

/// The URLs of an event, with blanks between them; each once.
pub(super) fn urls(given: Given<'_>) -> Parsed<Vec<String>> {
    let list: Vec<String> = match given {
        Given::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
        Given::Json(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Given::Json(Value::Array(_)) => given.list()?,
        Given::Json(_) => return given.expected("a list of URLs"),
    };
    let mut urls = Vec::new();
    for text in &list {
        let url = url(text, Given::Text(text))?;
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    if urls.is_empty() { given.expected("a URL") } else { Ok(urls) }
}
