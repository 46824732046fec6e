//! Where the HTTP API listens.

use std::fmt;
use std::os::fd::OwnedFd;

use gaffer::Result;
use gaffer::config::GafferdConfig;
use gaffer::config::gafferd::Endpoint;
use gaffer::log::Log;
use gaffer::manager::{AppId, Cx, Supervisor};
use gaffer::server::HttpServer;

use crate::server::{self, Surroundings};

/// The endpoints that listen, each a server of its own, so that one can change without the others.
#[derive(Debug)]
pub(crate) struct Endpoints {
    open: Vec<Open>,
    /// Whether the service manager passed listeners, which stand for the default endpoint.
    inherited: bool,
    around: Surroundings,
}

#[derive(Debug)]
struct Open {
    endpoint: Endpoint,
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
        let inherited = !listeners.is_empty();
        let mut servers: Vec<(Endpoint, HttpServer)> = Vec::new();
        if inherited {
            servers.push((Endpoint::new("inherited", []), server::inherit(config, &around, listeners)?));
        }
        for endpoint in wanted(config, inherited) {
            servers.push((endpoint.clone(), server::bind(config, &around, endpoint)?));
        }
        let open = servers.into_iter().map(|(endpoint, server)| add(manager, endpoint, server)).collect();
        Ok(Self { open, inherited, around })
    }

    /// Asks for keys.
    pub(crate) fn guard(&self) -> Option<&gaffer::server::Guard> {
        self.around.guard.as_ref()
    }

    /// Where requests are logged.
    pub(crate) fn access_log(&self) -> Option<&Log> {
        self.around.access_log.as_ref()
    }

    /// Closes and opens what has changed. What cannot be opened is logged; the others go on.
    pub(crate) fn follow(&mut self, cx: &mut Cx<'_>, old: &GafferdConfig, new: &GafferdConfig, log: &Log) {
        self.around.history.set_limits(server::kept(new));
        let settings = server::settings_changed(old, new);
        let wanted = wanted(new, self.inherited);
        // First close: an address may move from one endpoint to another.
        self.open.retain(|open| {
            let stays = open.endpoint.bind.is_empty() || !settings && wanted.contains(&&open.endpoint);
            if !stays {
                log.info(format_args!("endpoint {} closes: {}", open.endpoint.name, open.addresses.join(", ")));
                cx.remove_app(open.app);
            }
            stays
        });
        for endpoint in wanted {
            if self.open.iter().any(|open| open.endpoint == *endpoint) {
                continue;
            }
            match server::bind(new, &self.around, endpoint) {
                Ok(server) => {
                    let open = add(cx, endpoint.clone(), server);
                    log.info(format_args!("endpoint {} listens on {}", endpoint.name, open.addresses.join(", ")));
                    self.open.push(open);
                }
                Err(e) => log.error(format_args!("endpoint {}: {e}; it does not listen until a reload", endpoint.name)),
            }
        }
    }
}

fn add(manager: &mut Supervisor, endpoint: Endpoint, server: HttpServer) -> Open {
    let addresses = server.local_addrs().iter().map(ToString::to_string).collect();
    Open { endpoint, app: manager.add_app(server), addresses }
}

/// Inherited listeners stand for the default endpoint, not for others.
fn wanted(config: &GafferdConfig, inherited: bool) -> Vec<&Endpoint> {
    if inherited && config.endpoints == GafferdConfig::default().endpoints {
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
