//! Where a lookup server is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::{Error, ErrorKind, Result};

/// The address of a lookup server: `http://HOST[:PORT][/PREFIX]`, the same with `https`, `ws` or `wss`, `HOST:PORT`, or `unix:/PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Address {
    Tcp {
        tls: bool,
        /// As the `Host` field has it.
        authority: String,
        /// Without brackets.
        host: String,
        port: u16,
        /// Before the paths of the server; no slash at its end.
        prefix: String,
    },
    Unix(PathBuf),
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| {
            let what = format!(
                "invalid lookup address {text:?}: {why}; expected http://HOST:PORT, https://HOST:PORT or unix:/PATH"
            );
            Error::new(ErrorKind::Invalid, what)
        };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(bad("the path is missing")) } else { Ok(Self::Unix(path.into())) };
        }
        let (tls, rest) = match text.split_once("://") {
            Some(("http" | "ws", rest)) => (false, rest),
            Some(("https" | "wss", rest)) => (true, rest),
            Some((scheme, _)) => return Err(bad(&format!("unknown scheme {scheme:?}"))),
            None => (false, text),
        };
        if tls && !cfg!(feature = "tls") {
            return Err(Error::new(ErrorKind::Unsupported, format!("{text}: this build has no TLS; use http or unix")));
        }
        let rest = rest.trim_end_matches('/');
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) || rest.contains(['?', '#', '@']) {
            return Err(bad("it has a character that does not belong there"));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| bad("the port is no port"))?),
            _ => (authority, if tls { 443 } else { 80 }),
        };
        let host = match host.strip_prefix('[') {
            Some(v6) => v6.strip_suffix(']').filter(|v6| v6.parse::<Ipv6Addr>().is_ok()),
            None => Some(host).filter(|host| !host.contains([':', '[', ']'])),
        };
        let host = host.filter(|host| !host.is_empty()).ok_or_else(|| bad("the host is missing or malformed"))?;
        Ok(Self::Tcp { tls, authority: authority.to_owned(), host: host.to_owned(), port, prefix: prefix.to_owned() })
    }

    /// Whether TLS is spoken.
    pub(super) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }

    /// Whether others could listen: neither TLS nor this machine alone.
    pub(super) fn is_overheard(&self) -> bool {
        let Self::Tcp { tls: false, host, .. } = self else { return false };
        match host.parse::<IpAddr>() {
            Ok(ip) => !ip.to_canonical().is_loopback(),
            Err(_) => !host.eq_ignore_ascii_case("localhost"),
        }
    }

    /// The `Host` of a request, and its target.
    pub(super) fn request(&self) -> (&str, String) {
        match self {
            Self::Tcp { authority, prefix, .. } => (authority, format!("{prefix}/ws")),
            Self::Unix(_) => ("localhost", "/ws".to_owned()),
        }
    }

    /// The addresses of the system, where that is known without asking anybody.
    pub(super) fn known(&self) -> Option<Vec<SocketAddr>> {
        let Self::Tcp { host, port, .. } = self else { return Some(Vec::new()) };
        let ips: Vec<IpAddr> = match host.parse() {
            Ok(ip) => vec![ip],
            // RFC 6761, 6.3: it is always this machine.
            Err(_) if host.eq_ignore_ascii_case("localhost") => {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            }
            Err(_) => return None,
        };
        Some(ips.into_iter().map(|ip| SocketAddr::new(ip, *port)).collect())
    }
}

/// As people read it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { tls, authority, prefix, .. } => {
                write!(f, "{}://{authority}{prefix}", if *tls { "https" } else { "http" })
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, host, port, target) in [
            ("http://127.0.0.1:5010", "127.0.0.1", 5010, "/ws"),
            ("h:1", "h", 1, "/ws"),
            ("http://[::1]:5010/", "::1", 5010, "/ws"),
            ("http://[::1]", "::1", 80, "/ws"),
            ("ws://h:2", "h", 2, "/ws"),
            ("http://proxy/gaffer", "proxy", 80, "/gaffer/ws"),
            #[cfg(feature = "tls")]
            ("https://h", "h", 443, "/ws"),
            #[cfg(feature = "tls")]
            ("wss://[::1]:5010", "::1", 5010, "/ws"),
        ] {
            let address = Address::parse(text).expect(text);
            let Address::Tcp { host: got, port: at, .. } = &address else { panic!("{text}") };
            assert_eq!((got.as_str(), *at, address.request().1.as_str()), (host, port, target), "{text}");
        }
        assert_eq!(Address::parse("unix:///run/l").expect("a path"), Address::Unix("/run/l".into()));
        for bad in ["", "http://", "http://:1", "unix:", "http://a b", "http://h:x", "http://::1:5", "h?q", "ftp://x:1"]
        {
            assert_eq!(Address::parse(bad).expect_err(bad).kind(), ErrorKind::Invalid, "{bad}");
        }
        #[cfg(not(feature = "tls"))]
        assert_eq!(Address::parse("https://h:1").expect_err("TLS").kind(), ErrorKind::Unsupported);
        #[cfg(feature = "tls")]
        assert_eq!(Address::parse("wss://h:1/").expect("TLS").to_string(), "https://h:1");
        let overheard = |text: &str| Address::parse(text).expect(text).is_overheard();
        assert!(overheard("http://10.0.0.1:1") && overheard("h:1"));
        assert!(!overheard("http://127.0.0.1:1") && !overheard("localhost") && !overheard("unix:/x"));
        let known = |text: &str| Address::parse(text).expect(text).known().map(|list| list.len());
        assert_eq!(
            (known("127.0.0.1:1"), known("localhost:1"), known("unix:/x"), known("h:1")),
            (Some(1), Some(2), Some(0), None)
        );
    }
}
