//! Which of the nodes that a lookup server names are shown the key.
//!
//! Whoever runs a lookup server, or registers there, names addresses as he likes. A key that went to all of them could be had by asking for it. So it goes where it
//! cannot get to a stranger, or where somebody has said so.

use std::net::IpAddr;
use std::str::FromStr;

/// Nodes that are known to be one's own: `HOST` or `HOST:PORT`, perhaps with `http://` or `https://` before it. A `*` in the host stands for one or more characters of
/// one label, or of one number of an address; `*` alone is every host.
///
/// ```
/// use gaffer::cli::TrustedNodes;
///
/// let rack: TrustedNodes = "10.0.7.*".parse()?;
/// assert!(rack.has("http://10.0.7.12:5000"));
/// assert!(!rack.has("http://10.0.7.example.org:5000") && !rack.has("http://10.0.7.1.2:5000"));
/// let ours: TrustedNodes = "https://*.prod.example.org:5000".parse()?;
/// assert!(ours.has("https://a.prod.example.org:5000") && !ours.has("http://a.prod.example.org:5000"));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedNodes {
    scheme: Option<String>,
    host: String,
    port: Option<String>,
}

impl FromStr for TrustedNodes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (Some(scheme.to_owned()), rest),
            Some(_) => return Err("expected http://, https:// or neither".to_owned()),
            None => (None, text),
        };
        let (host, port) = split(rest.trim_end_matches('/'));
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "/?#@".contains(c)) {
            return Err("expected HOST or HOST:PORT, where * stands for a part of a host".to_owned());
        }
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return Err(format!("{:?} is no port", port.unwrap_or_default()));
        }
        Ok(Self { scheme, host: host.to_ascii_lowercase(), port: port.map(str::to_owned) })
    }
}

impl TrustedNodes {
    /// Whether the node at this address is one of them.
    #[must_use]
    pub fn has(&self, origin: &str) -> bool {
        let Some((scheme, host, port)) = parts(origin) else { return false };
        if self.scheme.as_ref().is_some_and(|own| own != scheme) || self.port.as_deref().is_some_and(|own| own != port)
        {
            return false;
        }
        let host = host.to_ascii_lowercase();
        // Where numbers are meant, `10.0.0.*` is not `10.0.0.com`.
        let is_number = !self.host.contains(|c: char| c.is_ascii_alphabetic());
        self.host == "*" || matches(&self.host, &host) && (!is_number || is_ip(&host))
    }
}

/// Scheme, host and port of an address; `None` for a socket and for what is no address: what stands before an `@` is no host.
fn parts(origin: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = origin.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = split(authority);
    if authority.contains(['@', '\\']) || port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return None;
    }
    Some((scheme, host, port.unwrap_or(if scheme == "https" { "443" } else { "80" })))
}

fn split(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn ip(host: &str) -> Option<IpAddr> {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    inner.parse().ok()
}

fn is_ip(host: &str) -> bool {
    ip(host).is_some()
}

/// Whether what is at this address is on this machine: a socket, or by a loopback address.
pub(super) fn is_here(origin: &str) -> bool {
    match parts(origin) {
        None => origin.starts_with("unix:"),
        Some((_, host, _)) => {
            host.eq_ignore_ascii_case("localhost") || ip(host).is_some_and(|ip| ip.to_canonical().is_loopback())
        }
    }
}

/// A `*` takes one character at least, and neither a dot nor a colon.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(before) else { return false };
    let ends = rest.char_indices().map(|(at, c)| (at + c.len_utf8(), c));
    let mut ends = ends.take_while(|(_, c)| !".:".contains(*c));
    ends.any(|(end, _)| matches(after, &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_meant() {
        for (pattern, origin, want) in [
            ("*", "http://anything:1", true),
            ("https://*", "http://anything:1", false),
            ("https://*", "https://anything:1", true),
            ("*:5000", "http://anything:5001", false),
            ("a.example.org", "http://a.example.org:5000", true),
            ("A.example.org", "http://a.Example.org", true),
            ("a.example.org", "http://b.example.org", false),
            ("*.example.org", "http://a.example.org", true),
            ("*.example.org", "http://a.b.example.org", false),
            ("*.example.org", "http://.example.org", false),
            ("*.example.org", "http://a.example.org.evil.net", false),
            ("*.example.org", "http://evil.net/a.example.org", false),
            ("node-*-*.x", "http://node-1-2.x", true),
            ("10.0.0.*", "http://10.0.0.255:1", true),
            ("10.0.0.*", "http://10.0.0.com", false),
            ("10.*", "http://10.0.0.1", false),
            ("10.*.*.*", "http://10.0.0.1", true),
            ("10.0.0.1:80", "http://10.0.0.1", true),
            ("10.0.0.1:443", "https://10.0.0.1", true),
            ("[fd00::*]", "http://[fd00::7]:5000", true),
            ("[fd00::*]", "http://[fd00::7:8]:5000", false),
            ("*", "unix:/x", false),
            ("a.example.org", "http://a.example.org:80@evil.net", false),
        ] {
            let trusted: TrustedNodes = pattern.parse().expect(pattern);
            assert_eq!(trusted.has(origin), want, "{pattern} {origin}");
        }
        for bad in ["", "http://", "ftp://x", "a b", "x@y", "http://a/b", "a:port", "a:70000"] {
            assert!(bad.parse::<TrustedNodes>().is_err(), "{bad}");
        }
        for (origin, want) in [
            ("unix:/x", true),
            ("http://127.0.0.1:5000", true),
            ("http://[::1]:5000", true),
            ("https://localhost", true),
            ("http://[::ffff:127.0.0.1]:1", true),
            ("http://127.0.0.1.evil.net:5000", false),
            ("http://localhost.evil.net", false),
            ("http://localhost:80@evil.net", false),
            ("http://127.0.0.1@evil.net", false),
            ("http://localhost\\@evil.net", false),
            ("http://evil.net?http://localhost", false),
            ("http://10.0.0.1", false),
            ("http://127.0.0.1\\evil.net", false),
        ] {
            assert_eq!(is_here(origin), want, "{origin}");
        }
    }
}
