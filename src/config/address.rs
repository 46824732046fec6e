//! Where a server listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::{Error, ErrorKind, Result};

/// A TCP address or the path of a unix socket: `127.0.0.1:5000`, `[::1]:5000`, `localhost:5000`, `unix:/run/gafferd.sock`.
///
/// ```
/// use gaffer::config::Address;
///
/// let address: Address = "[::1]:5000".parse()?;
/// assert_eq!(address, Address::Tcp { host: "::1".to_owned(), port: 5000 });
/// assert_eq!(address.to_string(), "[::1]:5000");
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host by name or by number, and a port; 0 lets the system choose one.
    Tcp {
        /// Without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A socket in the file system.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| {
            let what = format!("invalid address {text:?}: expected HOST:PORT, [IPV6]:PORT or unix:PATH");
            Error::new(ErrorKind::Invalid, what)
        })
    }
}

impl Address {
    /// Whether others than this machine may reach it. A name that is not `localhost` may mean anything tomorrow.
    #[must_use]
    pub fn is_public(&self) -> bool {
        match self {
            Self::Unix(_) => false,
            Self::Tcp { host, .. } => match host.parse::<std::net::IpAddr>() {
                Ok(ip) => !ip.to_canonical().is_loopback(),
                Err(_) => host != "localhost",
            },
        }
    }

    /// Whether it is that of all interfaces, by which no client reaches anybody.
    #[must_use]
    pub fn is_any(&self) -> bool {
        matches!(self, Self::Tcp { host, .. } if host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_unspecified()))
    }
}

fn parse(text: &str) -> Option<Address> {
    if text.contains(|c: char| c.is_control()) {
        return None;
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return (!path.is_empty()).then(|| Address::Unix(path.into()));
    }
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(host) => host.strip_suffix(']').filter(|host| host.parse::<std::net::Ipv6Addr>().is_ok())?,
        None => host,
    };
    let named = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let bare = text.starts_with('[') || host.chars().all(named);
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse().ok()?;
    (bare && digits && !host.is_empty()).then(|| Address::Tcp { host: host.to_owned(), port })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reaches_it() {
        let address = |text: &str| text.parse::<Address>().expect(text);
        for public in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.org:1", "[::ffff:10.0.0.1]:1"] {
            assert!(address(public).is_public(), "{public}");
        }
        for private in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "unix:x", "[::ffff:127.0.0.1]:1"] {
            assert!(!address(private).is_public(), "{private}");
        }
        assert!(address("0.0.0.0:1").is_any() && address("[::]:1").is_any() && !address("10.0.0.1:1").is_any());
    }

    #[test]
    fn reads_and_writes() {
        for text in ["127.0.0.1:5000", "[::]:0", "localhost:65535", "my-host.example_x:80", "unix:/run/x y", "unix:rel"]
        {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
        for text in [
            "",
            "5000",
            ":5000",
            "*:5000",
            "host",
            "host:",
            "host:65536",
            "host:+1",
            "::1:5000",
            "[::1]",
            "[::1",
            "[x]:1",
            "unix:",
            "http://h:1",
            "h h:1",
            "unix:/a\n",
        ] {
            let e = text.parse::<Address>().expect_err(text).to_string();
            assert_eq!(e, format!("invalid address {text:?}: expected HOST:PORT, [IPV6]:PORT or unix:PATH"));
        }
    }
}
