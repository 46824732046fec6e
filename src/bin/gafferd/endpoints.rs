//! Where the HTTP API listens.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use gaffer::config::gafferd::{Endpoint, Ssl};
use gaffer::config::{Address, GafferdConfig};
use gaffer::log::Log;
use gaffer::manager::{AppId, Cx, Supervisor};
use gaffer::server::{HttpServer, LocalAddr, Tls};
use gaffer::{Error, Result};

use crate::secure::{is_but_for_ssl, is_same_place};
use crate::server::{self, Surroundings};

/// What stands behind an address where TLS is spoken.
const SECURE: &str = " (TLS)";

/// The endpoints that listen, each a server of its own, so that one can change without the others.
#[derive(Debug)]
pub(crate) struct Endpoints {
    open: Vec<Open>,
    /// Listeners that the service manager has passed, which stand for the default endpoint.
    inherited: Vec<(String, OwnedFd)>,
    around: Surroundings,
}

#[derive(Debug)]
struct Open {
    endpoint: Endpoint,
    tls: Tls,
    app: AppId,
    addresses: Vec<String>,
}

impl Endpoints {
    /// Opens all of them, or fails.
    pub(crate) fn open(
        manager: &mut Supervisor,
        config: &GafferdConfig,
        around: Surroundings,
        listeners: Vec<(String, OwnedFd)>,
    ) -> Result<Self> {
        let mut servers: Vec<(Endpoint, Tls, HttpServer)> = Vec::new();
        if !listeners.is_empty() {
            servers.push(inherit(config, &around, &listeners)?);
        }
        let inherited = listeners;
        for endpoint in wanted(config, !inherited.is_empty()) {
            let tls = Tls::load(&endpoint.ssl)?;
            let server = server::bind(config, &around, endpoint, &tls)?;
            servers.push((endpoint.clone(), tls, server));
        }
        let open = servers.into_iter().map(|(endpoint, tls, server)| add(manager, endpoint, tls, server)).collect();
        Ok(Self { open, inherited, around })
    }

    /// The first address that listens, TCP before unix, and whether TLS is spoken there.
    pub(crate) fn first(&self) -> Option<(Address, bool)> {
        let read = |text: &String| {
            let (text, secure) = text.strip_suffix(SECURE).map_or((text.as_str(), false), |text| (text, true));
            text.parse().ok().map(|address: Address| (address, secure))
        };
        let all: Vec<(Address, bool)> = self.open.iter().flat_map(|open| &open.addresses).filter_map(read).collect();
        let tcp = all.iter().find(|(address, _)| matches!(address, Address::Tcp { .. }));
        tcp.or(all.first()).cloned()
    }

    /// Logs what is wrong with the certificates.
    pub(crate) fn warn(&self, log: &Log) {
        for open in &self.open {
            for warning in open.tls.warnings() {
                log.warning(format_args!("endpoint {}: {warning}", open.endpoint.name));
            }
        }
    }

    /// Asks for keys.
    pub(crate) fn guard(&self) -> Option<&gaffer::server::Guard> {
        self.around.guard.as_ref()
    }

    /// Where requests are logged.
    pub(crate) fn access_log(&self) -> Option<&Log> {
        self.around.access_log.as_ref()
    }

    /// Somebody else asks for keys, or nobody, from the next [`follow`](Self::follow) on.
    pub(crate) fn guard_by(&mut self, guard: Option<gaffer::server::Guard>) {
        self.around.guard = guard;
    }

    /// Closes and opens what has changed, or everything. What cannot be opened is logged; the others go on.
    pub(crate) fn follow(&mut self, cx: &mut Cx<'_>, old: &GafferdConfig, new: &GafferdConfig, all: bool, log: &Log) {
        self.around.history.set_limits(server::kept(new));
        let all = all || server::settings_changed(old, new);
        let inherited = !self.inherited.is_empty();
        let wanted = wanted(new, inherited);
        // First close: an address may move from one endpoint to another.
        self.open.retain(|open| {
            let same = match open.is_inherited() {
                true => open.endpoint.ssl.is_secure() == new.ssl.is_secure(),
                false => wanted.iter().any(|new| is_same_place(&open.endpoint, new)),
            };
            let stays = same && !all;
            if !stays {
                log.info(format_args!("endpoint {} closes: {}", open.endpoint.name, open.addresses.join(", ")));
                cx.remove_app(open.app);
            }
            stays
        });
        for endpoint in wanted {
            if let Some(open) = self.open.iter_mut().find(|open| is_same_place(&open.endpoint, endpoint)) {
                open.reload(&endpoint.ssl, log);
                continue;
            }
            let bound = Tls::load(&endpoint.ssl)
                .and_then(|tls| server::bind(new, &self.around, endpoint, &tls).map(|server| (tls, server)));
            match bound {
                Ok((tls, server)) => {
                    let open = add(cx, endpoint.clone(), tls, server);
                    log.info(format_args!("endpoint {} listens on {}", endpoint.name, open.addresses.join(", ")));
                    self.open.push(open);
                }
                Err(e) => log.error(format_args!("endpoint {}: {e}; it does not listen until a reload", endpoint.name)),
            }
        }
        match self.open.iter_mut().find(|open| open.is_inherited()) {
            Some(open) => open.reload(&new.ssl, log),
            None if inherited => match inherit(new, &self.around, &self.inherited) {
                Ok((endpoint, tls, server)) => {
                    let open = add(cx, endpoint, tls, server);
                    log.info(format_args!("endpoint inherited listens on {}", open.addresses.join(", ")));
                    self.open.push(open);
                }
                Err(e) => log.error(format_args!("endpoint inherited: {e}; it does not listen until a reload")),
            },
            None => {}
        }
        self.warn(log);
    }
}

impl Open {
    fn is_inherited(&self) -> bool {
        self.endpoint.bind.is_empty()
    }

    /// Reads the certificate again; what cannot be read leaves the one that is there. Open connections go on.
    fn reload(&mut self, ssl: &Ssl, log: &Log) {
        match self.tls.reload(ssl) {
            Ok(()) => self.endpoint.ssl.clone_from(ssl),
            Err(e) => log.error(format_args!("endpoint {}: {e}; its certificate stays as it was", self.endpoint.name)),
        }
    }
}

/// A server at what the service manager has passed, which stays open for the next one.
fn inherit(
    config: &GafferdConfig,
    around: &Surroundings,
    listeners: &[(String, OwnedFd)],
) -> Result<(Endpoint, Tls, HttpServer)> {
    let mut endpoint = Endpoint::new("inherited", []);
    endpoint.ssl.clone_from(&config.ssl);
    let tls = Tls::load(&endpoint.ssl)?;
    let clones = listeners.iter().map(|(name, fd)| Ok((name.clone(), fd.try_clone()?))).collect::<io::Result<_>>();
    let clones = clones.map_err(|e| Error::io("an inherited listener", e))?;
    let server = server::inherit(config, around, &endpoint, &tls, clones)?;
    Ok((endpoint, tls, server))
}

fn add(manager: &mut Supervisor, endpoint: Endpoint, tls: Tls, server: HttpServer) -> Open {
    let secure = |address: &LocalAddr| endpoint.ssl.is_secure() && matches!(address, LocalAddr::Tcp(_));
    let addresses = server.local_addrs().iter();
    let addresses = addresses.map(|a| if secure(a) { format!("{a}{SECURE}") } else { a.to_string() }).collect();
    Open { endpoint, tls, app: manager.add_app(server), addresses }
}

/// Inherited listeners stand for the default endpoint, not for others.
fn wanted(config: &GafferdConfig, inherited: bool) -> Vec<&Endpoint> {
    let default = GafferdConfig::default().endpoints;
    // [ssl] is that of all endpoints, also of those that were passed.
    let is_default = |(one, other): (&Endpoint, &Endpoint)| is_but_for_ssl(one, other);
    if inherited && config.endpoints.len() == default.len() && config.endpoints.iter().zip(&default).all(is_default) {
        return Vec::new();
    }
    config.endpoints.iter().collect()
}

impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<&str> = self.open.iter().flat_map(|open| &open.addresses).map(String::as_str).collect();
        f.write_str(if all.is_empty() { "nothing" } else { "" })?;
        f.write_str(&all.join(", "))
    }
}
