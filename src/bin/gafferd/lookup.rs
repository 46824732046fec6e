//! The lookup servers that the configuration names, and how this node is called there.

use gaffer::config::gafferd::Ssl;
use gaffer::config::{Address, GafferdConfig, SharedKey, load_keys};
use gaffer::log::Log;
use gaffer::lookup::Announcer;
use gaffer::lookup::announcer::{self, Notice, Settings};
use gaffer::{Error, ErrorKind, Result};

use crate::endpoints::Endpoints;

/// What keeps them from running.
pub(crate) fn faults(config: &GafferdConfig) -> Vec<Error> {
    let invalid = |what: &str| Error::new(ErrorKind::Invalid, what.to_owned());
    let malformed =
        |address: &String| announcer::check_address(address).map_err(|e| e.context("lookupd_address")).err();
    let mut faults: Vec<Error> = config.lookupd_addresses.iter().filter_map(malformed).collect();
    let addresses_are_good = faults.is_empty();
    let is_tls = |address: &String| address.starts_with("https://") || address.starts_with("wss://");
    let servers = &config.lookupd_addresses;
    if config.lookup_ssl != Ssl::default() && !servers.is_empty() && !servers.iter().any(is_tls) {
        faults.push(invalid("[lookup_ssl] is for lookup servers at https, and none of `lookupd_address` is"));
    }
    if config.lookup_key.is_some() && config.lookup_key_file.is_some() {
        faults.push(invalid("lookup_key and lookup_key_file exclude each other: which key?"));
    } else if let Err(e) = key(config) {
        faults.push(e.context("lookup_key_file"));
    }
    if addresses_are_good {
        faults.extend(secured(config).map_err(|e| e.context("[lookup_ssl]")).err());
    }
    faults
}

/// What is better known before it happens.
pub(crate) fn warnings(config: &GafferdConfig) -> impl Iterator<Item = String> {
    let has_key = config.lookup_key.is_some() || config.lookup_key_file.is_some();
    let heard = config.lookupd_addresses.iter().filter(move |address| has_key && announcer::overheard(address));
    heard.map(|address| format!("lookup {address}: whoever is on the way to it can read the key; use https"))
}

/// Whether TLS is possible as it is set up.
#[cfg(feature = "tls")]
fn secured(config: &GafferdConfig) -> Result<()> {
    with_servers(config, Settings::new("http://localhost")).check()
}

#[cfg(not(feature = "tls"))]
fn secured(config: &GafferdConfig) -> Result<()> {
    if config.lookup_ssl != Ssl::default() {
        return Err(Error::new(ErrorKind::Unsupported, "it is set, but this build has no TLS"));
    }
    Ok(())
}

/// The key to show them.
fn key(config: &GafferdConfig) -> Result<Option<SharedKey>> {
    match &config.lookup_key_file {
        Some(path) => Ok(load_keys(path)?.into_iter().next()),
        None => Ok(config.lookup_key.clone()),
    }
}

pub(crate) fn open(config: &GafferdConfig, endpoints: &Endpoints, log: &Log) -> Result<Announcer> {
    warnings(config).for_each(|warning| log.warning(warning));
    let log = log.clone();
    Announcer::new(settings(config, endpoints)?, move |notice| match notice {
        Notice::Registered { .. } => log.info(notice),
        _ => log.warning(notice),
    })
}

/// Who this node is, and whom it tells.
pub(crate) fn settings(config: &GafferdConfig, endpoints: &Endpoints) -> Result<Settings> {
    let first = || endpoints.first().map(|(address, secure)| origin(&address, secure));
    let origin = config.broadcast_address.clone().or_else(first);
    let settings = Settings::new(origin.unwrap_or_else(|| format!("http://{}", announcer::host_name())));
    let settings = with_servers(config, settings).ping_interval(config.lookup_ping_interval);
    Ok(match key(config)? {
        Some(key) => settings.key(key.as_str()),
        None => settings,
    })
}

fn with_servers(config: &GafferdConfig, settings: Settings) -> Settings {
    let settings = config.lookupd_addresses.iter().fold(settings, Settings::server);
    #[cfg(feature = "tls")]
    let settings = settings.tls((&config.lookup_ssl).into());
    settings
}

/// An address as clients reach it: where it is that of all interfaces, the name of the host stands for it.
fn origin(address: &Address, secure: bool) -> String {
    let scheme = if secure { "https" } else { "http" };
    match address {
        Address::Tcp { port, .. } if address.is_any() => format!("{scheme}://{}:{port}", announcer::host_name()),
        Address::Tcp { .. } => format!("{scheme}://{address}"),
        Address::Unix(_) => address.to_string(),
    }
}

/// The names under which clients come that a lookup server has sent: the server must answer to them.
pub(crate) fn hosts(config: &GafferdConfig) -> Vec<String> {
    let broadcast = config.broadcast_address.as_deref().and_then(host_of).map(str::to_owned);
    let any = config.endpoints.iter().flat_map(|endpoint| &endpoint.bind).any(Address::is_any);
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
            assert_eq!(origin(&text.parse().expect(text), false), want);
        }
        for any in ["0.0.0.0:5000", "[::]:5000"] {
            let name = announcer::host_name();
            assert_eq!(origin(&any.parse().expect(any), true), format!("https://{name}:5000"));
        }
        for (url, host) in [("http://h:1", "h"), ("https://[::1]:5/x", "::1"), ("http://n/x", "n")] {
            assert_eq!(host_of(url), Some(host));
        }
        let mut config = GafferdConfig::default();
        config.broadcast_address = Some("http://public:80".to_owned());
        assert_eq!(hosts(&config), ["public"]);
        config.lookupd_addresses = vec!["ftp://l:1".to_owned(), "http://l:1".to_owned()];
        assert_eq!(faults(&config).len(), 1);
    }

    #[test]
    fn what_keeps_it_from_running() {
        let mut config = GafferdConfig::default();
        let texts = |config: &GafferdConfig| faults(config).iter().map(Error::to_string).collect::<Vec<_>>();
        config.lookupd_addresses = vec!["http://10.0.0.1:1".to_owned(), "http://127.0.0.1:1".to_owned()];
        config.lookup_key = Some(SharedKey::new("sixteen-character").expect("a key"));
        assert_eq!(texts(&config), [""; 0]);
        let warned: Vec<String> = warnings(&config).collect();
        assert!(warned.len() == 1 && warned[0].starts_with("lookup http://10.0.0.1:1: whoever"), "{warned:?}");
        config.lookup_key_file = Some("/nonexistent/k".into());
        assert_eq!(texts(&config), ["lookup_key and lookup_key_file exclude each other: which key?"]);
        config.lookup_key = None;
        assert!(texts(&config)[0].starts_with("lookup_key_file: cannot read the keys in '/nonexistent/k'"));
        config.lookup_key_file = None;
        config.lookup_ssl.cacert = Some("/nonexistent/ca".into());
        let found = texts(&config);
        assert!(
            found[0].contains("none of `lookupd_address` is") && found[1].starts_with("[lookup_ssl]: "),
            "{found:?}"
        );
    }
}
