//! The HTTP server that the configuration describes.

use std::os::fd::OwnedFd;

use gaffer::Result;
use gaffer::config::gafferd::Endpoint;
use gaffer::config::{Address, GafferdConfig};
use gaffer::history::{History, Limits};
use gaffer::log::{Log, LogLevel, Ration};
use gaffer::plugins::InvalidLines;
use gaffer::server::console_site::{self, CONSOLE};
use gaffer::server::site::Sites;
use gaffer::server::{Answered, Peer, Tls};
use gaffer::sys::users;
use gaffer::webhooks::Hooks;
use gaffer::{Error, server};
use serde_json::{Map, Value};

use crate::lookup;
use crate::secure::protection;

/// What is not the configuration's business.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// `--insecure`.
    pub(crate) insecure: bool,
    /// Asks for keys.
    pub(crate) guard: Option<server::Guard>,
    /// Where requests are logged.
    pub(crate) access_log: Option<Log>,
    /// Of everything else.
    pub(crate) log: Log,
    pub(crate) hooks: Hooks,
    pub(crate) sites: Sites,
    pub(crate) invalid_lines: InvalidLines,
    pub(crate) history: History,
}

/// Serves the web console, or does not.
pub(crate) fn show_console(sites: &Sites, yes: bool) {
    if yes {
        sites.embed(console_site::NAME, CONSOLE);
    } else {
        sites.withdraw(console_site::NAME);
    }
}

/// A server at the addresses of an endpoint.
pub(crate) fn bind(
    config: &GafferdConfig,
    around: &Surroundings,
    endpoint: &Endpoint,
    tls: &Tls,
) -> Result<server::HttpServer> {
    let insecure = around.insecure || protection(config, endpoint).is_whole();
    let mut settings =
        tls.apply(settings(config, insecure)).backlog(i32::try_from(endpoint.backlog).unwrap_or(i32::MAX));
    for address in &endpoint.bind {
        let mut place = server::Endpoint::from(address.clone());
        if let server::Endpoint::Unix { mode, .. } = &mut place {
            *mode = endpoint.mode;
        }
        settings = settings.endpoint(place);
    }
    let server = open(settings, around)?;
    own(endpoint)?;
    Ok(server)
}

/// A server at sockets that listen already.
pub(crate) fn inherit(
    config: &GafferdConfig,
    around: &Surroundings,
    endpoint: &Endpoint,
    tls: &Tls,
    listeners: Vec<(String, OwnedFd)>,
) -> Result<server::HttpServer> {
    let insecure = around.insecure || protection(config, endpoint).is_whole();
    let places = listeners.into_iter().map(|(_, fd)| server::Endpoint::Inherited(fd));
    open(places.fold(tls.apply(settings(config, insecure)), server::Config::endpoint), around)
}

/// How much of the programs' output is kept.
pub(crate) fn kept(config: &GafferdConfig) -> Limits {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Limits::default().stream(size(config.log_history)).total(size(config.log_history_total))
}

fn open(settings: server::Config, around: &Surroundings) -> Result<server::HttpServer> {
    let mut server = server::HttpServer::bind(settings)?;
    server.provide(around.hooks.clone());
    server.provide(around.sites.clone());
    server.provide(around.invalid_lines.clone());
    server.provide(around.history.clone());
    server.routes(server::api::ROUTES)?;
    let guard = around.guard.clone();
    server.sockjs("/channel", server::sockjs::Config::default(), move |request| match &guard {
        Some(guard) => server::guarded_channel(guard, request),
        None => server::channel_socket(),
    })?;
    if let Some(guard) = around.guard.clone() {
        server.guard(guard);
    }
    if let Some(log) = around.access_log.clone() {
        server.on_answer(move |answered| log.record(LogLevel::Info, answered, members(answered)));
    }
    let (log, mut ration) = (around.log.clone(), Ration::default());
    server.on_failed_handshake(move |failed| ration.warn(&log, failed));
    Ok(server)
}

/// Of a line of JSON.
fn members(answered: &Answered<'_>) -> Map<String, Value> {
    let peer = match answered.peer {
        Peer::Tcp(address) => address.to_string().into(),
        Peer::Unix { uid: Some(uid), .. } => format!("uid {uid}").into(),
        _ => Value::Null,
    };
    let members: [(&str, Value); 6] = [
        ("event", "request".into()),
        ("status", answered.status.into()),
        ("method", answered.method.into()),
        ("target", answered.target.into()),
        ("peer", peer),
        ("seconds", answered.took.as_secs_f64().into()),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Whether what all endpoints have in common differs.
pub(crate) fn settings_changed(old: &GafferdConfig, new: &GafferdConfig) -> bool {
    let common = |config: &GafferdConfig| {
        (config.limits.clone(), config.allow_origins.clone(), config.allow_hosts.clone(), lookup::hosts(config))
    };
    common(old) != common(new)
}

fn settings(config: &GafferdConfig, insecure: bool) -> server::Config {
    let limits = &config.limits;
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let mut settings = server::Config::default()
        .insecure(insecure)
        .max_connections(size(limits.connections.into()))
        .head_timeout(limits.head_timeout)
        .idle_timeout(limits.idle_timeout)
        .unsent(size(limits.unsent));
    settings.limits = settings.limits.head(size(limits.head)).headers(size(limits.headers.into())).body(limits.body);
    settings.allow_origins.clone_from(&config.allow_origins);
    settings.allow_hosts.clone_from(&config.allow_hosts);
    settings.allow_hosts.extend(lookup::hosts(config));
    settings
}

/// Gives the unix sockets of an endpoint to their owner.
fn own(endpoint: &Endpoint) -> Result<()> {
    if endpoint.owner.is_none() && endpoint.group.is_none() {
        return Ok(());
    }
    let paths = endpoint.bind.iter().filter_map(|address| match address {
        Address::Unix(path) => Some(path),
        Address::Tcp { .. } => None,
    });
    for path in paths {
        let about = |e: Error| e.context(format_args!("the owner of '{}'", path.display()));
        let owner = users::resolve(endpoint.owner.as_ref(), endpoint.group.as_ref()).map_err(about)?;
        let uid = endpoint.owner.as_ref().and(owner.as_ref().map(|owner| owner.uid));
        let gid = endpoint.group.as_ref().and(owner.as_ref().map(|owner| owner.gid));
        std::os::unix::fs::chown(path, uid, gid)
            .map_err(|e| Error::io(format!("cannot give '{}' to its owner", path.display()), e))?;
    }
    Ok(())
}
