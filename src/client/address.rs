//! Where a node is.

use std::fmt;
use std::path::PathBuf;

use crate::{Error, ErrorKind, Result};

/// The address of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// `http://host:port`, perhaps with a path before all others; no slash at its end.
    Http(String),
    /// The path of a socket.
    Unix(PathBuf),
}

impl Address {
    /// Reads `http://HOST[:PORT][/PREFIX]`, `HOST:PORT` and `unix:PATH` (also `unix:///PATH`).
    pub(super) fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| {
            let what = format!("invalid address {text:?}: {why}; expected http://HOST:PORT or unix:/PATH");
            Error::new(ErrorKind::Invalid, what)
        };
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(bad("the path is missing")) } else { Ok(Self::Unix(path.into())) };
        }
        if text.starts_with("https://") {
            return Err(Error::new(ErrorKind::Unsupported, format!("{text}: this build has no TLS; use http or unix")));
        }
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some((scheme, _)) => return Err(bad(&format!("unknown scheme {scheme:?}"))),
            None => text,
        };
        let rest = rest.trim_end_matches('/');
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.is_empty() || authority.starts_with(':') {
            return Err(bad("the host is missing"));
        }
        if rest.contains(|c: char| c.is_whitespace() || c.is_control() || "?#@".contains(c)) {
            return Err(bad("it has a character that does not belong there"));
        }
        Ok(Self::Http(format!("http://{rest}")))
    }

    /// What stands before the paths of requests. A socket has no host; the node knows the name `localhost`.
    pub(super) fn base(&self) -> &str {
        match self {
            Self::Http(base) => base,
            Self::Unix(_) => "http://localhost",
        }
    }

    /// The host, with its port if it has one, and what stands before all paths.
    pub(super) fn authority(&self) -> (&str, &str) {
        let rest = self.base().trim_start_matches("http://");
        rest.split_at(rest.find('/').unwrap_or(rest.len()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(base) => f.write_str(base),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One segment of a path or one value of a query: all but the unreserved characters of RFC 3986 (2.3) are escaped.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, want) in [
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("http://[::1]:5000/", "http://[::1]:5000"),
            ("node:5000", "http://node:5000"),
            ("localhost", "http://localhost"),
            ("http://proxy/gaffer/", "http://proxy/gaffer"),
            ("unix:/run/g.sock", "unix:/run/g.sock"),
            ("unix:///run/g.sock", "unix:/run/g.sock"),
            ("unix:g.sock", "unix:g.sock"),
        ] {
            assert_eq!(Address::parse(text).expect(text).to_string(), want);
        }
        for bad in ["", "unix:", "http://", "ftp://x", "http://:5000", "http://a b", "http://u@h", "h?x", "http://h#x"]
        {
            assert_eq!(Address::parse(bad).expect_err(bad).kind(), ErrorKind::Invalid, "{bad}");
        }
        assert_eq!(Address::parse("https://x").expect_err("TLS").kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn hosts_and_prefixes() {
        let authority = |text| {
            let address = Address::parse(text).expect("right");
            let (host, prefix) = address.authority();
            (host.to_owned(), prefix.to_owned())
        };
        assert_eq!(authority("http://[::1]:5000/"), ("[::1]:5000".to_owned(), String::new()));
        assert_eq!(authority("proxy/a/b"), ("proxy".to_owned(), "/a/b".to_owned()));
        assert_eq!(authority("unix:/run/g"), ("localhost".to_owned(), String::new()));
    }

    #[test]
    fn segments() {
        assert_eq!(encode("a-b_c.d~9"), "a-b_c.d~9");
        assert_eq!(encode("a/b c?ä+*"), "a%2Fb%20c%3F%C3%A4%2B%2A");
    }
}
