//! Where a lookup server is, and the way there.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::sys::socket;
use crate::{Error, ErrorKind, Result};

/// The address of a lookup server: `http://HOST[:PORT][/PREFIX]`, `HOST:PORT`, or `unix:/PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Address {
    Tcp {
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
            let what = format!("invalid lookup address {text:?}: {why}; expected http://HOST:PORT or unix:/PATH");
            Error::new(ErrorKind::Invalid, what)
        };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(bad("the path is missing")) } else { Ok(Self::Unix(path.into())) };
        }
        if text.starts_with("https://") {
            let what = format!("{text}: this version has no TLS towards lookup servers; use http or unix");
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        let rest = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) || rest.contains(['?', '#', '@']) {
            return Err(bad("it has a character that does not belong there"));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| bad("the port is no port"))?),
            _ => (authority, 80),
        };
        let host = match host.strip_prefix('[') {
            Some(v6) => v6.strip_suffix(']').filter(|v6| v6.parse::<Ipv6Addr>().is_ok()),
            None => Some(host).filter(|host| !host.contains([':', '[', ']'])),
        };
        let host = host.filter(|host| !host.is_empty()).ok_or_else(|| bad("the host is missing or malformed"))?;
        Ok(Self::Tcp { authority: authority.to_owned(), host: host.to_owned(), port, prefix: prefix.to_owned() })
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

/// A connection that does not block.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub(super) fn connect_tcp(address: SocketAddr) -> io::Result<Self> {
        let stream = socket::connect_tcp(address)?;
        // Small messages must not wait for each other. If it cannot be set they do, and that is all.
        let _ = stream.set_nodelay(true);
        Ok(Self::Tcp(stream))
    }

    pub(super) fn connect_unix(path: &std::path::Path) -> io::Result<Self> {
        socket::connect_unix(path).map(Self::Unix)
    }

    /// Whether the connection stands; an error if it has failed.
    pub(super) fn is_connected(&self) -> io::Result<bool> {
        let Self::Tcp(stream) = self else { return Ok(true) };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(e) => Err(e),
        }
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).read(buffer),
            Self::Unix(stream) => (&*stream).read(buffer),
        }
    }

    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).write(bytes),
            Self::Unix(stream) => (&*stream).write(bytes),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// As people read it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { authority, prefix, .. } => write!(f, "http://{authority}{prefix}"),
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
            ("http://proxy/gaffer", "proxy", 80, "/gaffer/ws"),
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
        assert_eq!(Address::parse("https://h:1").expect_err("TLS").kind(), ErrorKind::Unsupported);
        let known = |text: &str| Address::parse(text).expect(text).known().map(|list| list.len());
        assert_eq!(
            (known("127.0.0.1:1"), known("localhost:1"), known("unix:/x"), known("h:1")),
            (Some(1), Some(2), Some(0), None)
        );
    }
}
