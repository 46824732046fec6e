//! The lookup servers that the configuration names, and how this node is called there.

use gaffer::config::{Address, GafferdConfig};
use gaffer::log::Log;
use gaffer::lookup::Announcer;
use gaffer::lookup::announcer::{self, Notice, Settings};
use gaffer::{Error, Result};

use crate::endpoints::Endpoints;

/// What keeps them from running.
pub(crate) fn faults(config: &GafferdConfig) -> impl Iterator<Item = Error> {
    config
        .lookupd_addresses
        .iter()
        .filter_map(|address| announcer::check_address(address).map_err(|e| e.context("lookupd_address")).err())
}

pub(crate) fn open(config: &GafferdConfig, endpoints: &Endpoints, log: &Log) -> Result<Announcer> {
    let log = log.clone();
    Announcer::new(settings(config, endpoints), move |notice| match notice {
        Notice::Registered { .. } => log.info(notice),
        _ => log.warning(notice),
    })
}

/// Who this node is, and whom it tells.
pub(crate) fn settings(config: &GafferdConfig, endpoints: &Endpoints) -> Settings {
    let origin = config.broadcast_address.clone().or_else(|| endpoints.first().map(|address| origin(&address)));
    let settings = Settings::new(origin.unwrap_or_else(|| format!("http://{}", announcer::host_name())));
    config.lookupd_addresses.iter().fold(settings, Settings::server)
}

/// An address as clients reach it: where it is that of all interfaces, the name of the host stands for it.
fn origin(address: &Address) -> String {
    match address {
        Address::Tcp { host, port } if is_any(host) => format!("http://{}:{port}", announcer::host_name()),
        Address::Tcp { .. } => format!("http://{address}"),
        Address::Unix(_) => address.to_string(),
    }
}

fn is_any(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

/// The names under which clients come that a lookup server has sent: the server must answer to them.
pub(crate) fn hosts(config: &GafferdConfig) -> Vec<String> {
    let broadcast = config.broadcast_address.as_deref().and_then(host_of).map(str::to_owned);
    let any = config.endpoints.iter().flat_map(|endpoint| &endpoint.bind).any(|address| match address {
        Address::Tcp { host, .. } => is_any(host),
        Address::Unix(_) => false,
    });
    let own = (any && !config.lookupd_addresses.is_empty()).then(announcer::host_name);
    broadcast.into_iter().chain(own).collect()
}

/// The host in a URL, without brackets.
fn host_of(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => authority.split(':').next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, want) in
            [("127.0.0.1:5000", "http://127.0.0.1:5000"), ("[::1]:1", "http://[::1]:1"), ("unix:/s", "unix:/s")]
        {
            assert_eq!(origin(&text.parse().expect(text)), want);
        }
        for any in ["0.0.0.0:5000", "[::]:5000"] {
            assert_eq!(origin(&any.parse().expect(any)), format!("http://{}:5000", announcer::host_name()));
        }
        for (url, host) in [("http://h:1", "h"), ("https://[::1]:5/x", "::1"), ("http://n/x", "n")] {
            assert_eq!(host_of(url), Some(host));
        }
        let mut config = GafferdConfig::default();
        config.broadcast_address = Some("http://public:80".to_owned());
        assert_eq!(hosts(&config), ["public"]);
        config.lookupd_addresses = vec!["https://l:1".to_owned(), "http://l:1".to_owned()];
        assert_eq!(faults(&config).count(), 1);
    }
}
