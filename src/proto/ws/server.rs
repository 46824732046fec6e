//! The server's half of the handshake, RFC 6455 section 4.2. HTTP is parsed elsewhere.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

use super::handshake::{VERSION, accept, elements, has_token, header, is_token};

/// The most subprotocols a request may offer.
const MAX_PROTOCOLS: usize = 64;

/// Some clients draw 24 random characters instead of encoding 16 bytes; it is the length that counts.
const KEY: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// A request that may become a websocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade<'a> {
    key: &'a str,
    protocols: Vec<&'a str>,
}

/// Why a request does not become a websocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The method is not GET.
    Method,
    /// It does not ask for an upgrade to websocket.
    NotUpgrade,
    /// `Sec-WebSocket-Version` is missing or not 13.
    Version,
    /// `Sec-WebSocket-Key` is missing, repeated, or not 16 bytes in Base64.
    Key,
    /// `Sec-WebSocket-Protocol` is not a list of at most 64 different tokens.
    Protocols,
}

impl Refusal {
    /// The HTTP status of the answer: 400, 405 or 426.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Method => 405,
            Self::NotUpgrade | Self::Version => 426,
            Self::Key | Self::Protocols => 400,
        }
    }

    /// The headers that must go with the status: which method, which protocol, which version would do.
    #[must_use]
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Method => &[("Allow", "GET")],
            // RFC 9110 section 15.5.22: "The server MUST send an Upgrade header field in a 426 response".
            Self::NotUpgrade => &[("Upgrade", "websocket"), ("Connection", "Upgrade")],
            Self::Version => &[("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", VERSION)],
            Self::Key | Self::Protocols => &[],
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "a websocket is opened with GET",
            Self::NotUpgrade => "this resource is a websocket: Connection: Upgrade and Upgrade: websocket are wanted",
            Self::Version => "Sec-WebSocket-Version must be 13",
            Self::Key => "Sec-WebSocket-Key must be 16 bytes in Base64",
            Self::Protocols => "Sec-WebSocket-Protocol must be a list of at most 64 different tokens",
        })
    }
}

impl std::error::Error for Refusal {}

/// Looks whether a request of HTTP/1.1 opens a websocket.
///
/// `headers` are all of its headers, values without white space around them. `Host` and `Origin`
/// are the HTTP server's business; extensions are not looked at, for none is ever taken up.
///
/// # Errors
///
/// What is wrong with it, with the status and the headers of the answer.
pub fn check<'a>(method: &str, headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Upgrade<'a>, Refusal> {
    let (mut upgrade, mut connection) = (false, false);
    let (mut key, mut version) = (Once::Never, Once::Never);
    let mut protocols = Vec::new();
    let mut good_protocols = true;
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("upgrade") {
            upgrade |= has_token(value, "websocket");
        } else if name.eq_ignore_ascii_case("connection") {
            connection |= has_token(value, "upgrade");
        } else if name.eq_ignore_ascii_case("sec-websocket-key") {
            key = key.and(value);
        } else if name.eq_ignore_ascii_case("sec-websocket-version") {
            version = version.and(value);
        } else if name.eq_ignore_ascii_case("sec-websocket-protocol") {
            // "MAY appear multiple times in an HTTP request" (section 11.3.4), "MUST all be unique
            // strings" (section 4.1).
            for protocol in elements(std::str::from_utf8(value).unwrap_or("\u{fffd}")) {
                good_protocols &= is_token(protocol) && !protocols.contains(&protocol);
                if good_protocols && protocols.len() < MAX_PROTOCOLS {
                    protocols.push(protocol);
                } else {
                    good_protocols = false;
                }
            }
        }
    }
    if method != "GET" {
        return Err(Refusal::Method);
    }
    if !(upgrade && connection) {
        return Err(Refusal::NotUpgrade);
    }
    // Before the key: another version may have other keys.
    if version != Once::Value(VERSION) {
        return Err(Refusal::Version);
    }
    match key {
        Once::Value(key) if is_key(key) && good_protocols => Ok(Upgrade { key, protocols }),
        Once::Value(key) if is_key(key) => Err(Refusal::Protocols),
        _ => Err(Refusal::Key),
    }
}

/// A header that may be there once.
#[derive(Clone, Copy, PartialEq)]
enum Once<'a> {
    Never,
    Value(&'a str),
    Bad,
}

impl<'a> Once<'a> {
    fn and(self, value: &'a [u8]) -> Self {
        match (self, std::str::from_utf8(value)) {
            (Self::Never, Ok(value)) => Self::Value(value),
            _ => Self::Bad,
        }
    }
}

fn is_key(key: &str) -> bool {
    key.len() == 24 && KEY.decode_slice(key, &mut [0; 18]).is_ok_and(|len| len == 16)
}

impl<'a> Upgrade<'a> {
    /// The subprotocols the client offers, the best first.
    #[must_use]
    pub fn protocols(&self) -> &[&'a str] {
        &self.protocols
    }

    /// The first subprotocol of the client that is among `supported`. Names are case-sensitive.
    #[must_use]
    pub fn choose(&self, supported: &[&str]) -> Option<&'a str> {
        self.protocols.iter().find(|protocol| supported.contains(protocol)).copied()
    }

    /// The value of `Sec-WebSocket-Accept`.
    #[must_use]
    pub fn accept(&self) -> String {
        accept(self.key)
    }

    /// Appends the whole response: status 101, its headers, the blank line. Frames follow.
    ///
    /// `protocol` is the chosen one; one the client did not offer is left out, as it would end
    /// the connection (section 4.1).
    pub fn write(&self, protocol: Option<&str>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        header("Upgrade", "websocket", out);
        header("Connection", "Upgrade", out);
        header("Sec-WebSocket-Accept", &self.accept(), out);
        if let Some(protocol) = protocol.filter(|protocol| self.protocols.contains(protocol)) {
            header("Sec-WebSocket-Protocol", protocol, out);
        }
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request of section 1.3, with lines taken away and added.
    fn request(without: &str, more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static [u8])> {
        let all = [
            ("Host", "server.example.com"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Origin", "http://example.com"),
            ("Sec-WebSocket-Protocol", "chat, superchat"),
            ("Sec-WebSocket-Version", "13"),
        ];
        let kept = all.into_iter().filter(|(name, _)| *name != without);
        kept.chain(more.iter().copied()).map(|(name, value)| (name, value.as_bytes())).collect()
    }

    #[test]
    fn the_sample_of_the_rfc_is_accepted() {
        let upgrade = check("GET", request("", &[])).expect("accepted");
        assert_eq!(upgrade.protocols(), ["chat", "superchat"]);
        let mut out = Vec::new();
        upgrade.write(upgrade.choose(&["superchat", "chat"]), &mut out);
        assert_eq!(
            String::from_utf8(out).expect("ASCII"),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
        );
        for protocol in [None, Some("other"), Some("chat\r\nX: y")] {
            let mut out = Vec::new();
            upgrade.write(protocol, &mut out);
            assert!(out.ends_with(b"xOo=\r\n\r\n"));
        }
    }

    #[test]
    fn subprotocols_are_the_clients_choice_among_ours() {
        let upgrade = check("GET", request("", &[("sec-websocket-protocol", ",v2 ,\tv1,")])).expect("accepted");
        assert_eq!(upgrade.protocols(), ["chat", "superchat", "v2", "v1"]);
        assert_eq!(upgrade.choose(&["v1", "v2"]), Some("v2"));
        assert_eq!(upgrade.choose(&["V1"]), None);
    }

    #[test]
    fn refusals_have_their_status_and_headers() {
        #[track_caller]
        fn refused(without: &str, more: &[(&'static str, &'static str)], want: Refusal, status: u16) {
            assert_eq!(check("GET", request(without, more)), Err(want));
            assert_eq!(want.status(), status);
        }
        assert_eq!(check("POST", request("", &[])), Err(Refusal::Method));
        refused("Upgrade", &[], Refusal::NotUpgrade, 426);
        refused("Upgrade", &[("Upgrade", "h2c")], Refusal::NotUpgrade, 426);
        refused("Connection", &[("Connection", "close")], Refusal::NotUpgrade, 426);
        refused("Sec-WebSocket-Version", &[], Refusal::Version, 426);
        refused("Sec-WebSocket-Version", &[("Sec-WebSocket-Version", "8")], Refusal::Version, 426);
        refused("", &[("Sec-WebSocket-Version", "13")], Refusal::Version, 426);
        assert!(Refusal::Version.headers().contains(&("Sec-WebSocket-Version", "13")));
        let key = "Sec-WebSocket-Key";
        refused(key, &[], Refusal::Key, 400);
        refused("", &[(key, "dGhlIHNhbXBsZSBub25jZQ==")], Refusal::Key, 400);
        // 15 bytes, 17 bytes, 18 bytes, no padding, not Base64, nothing, not even ASCII.
        for wrong in [
            "AAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAA",
            "dGhlIHNhbXBsZSBub25jZ!==",
            "",
            "é",
        ] {
            refused(key, &[(key, wrong)], Refusal::Key, 400);
        }
        refused("", &[("Sec-WebSocket-Protocol", "chat")], Refusal::Protocols, 400);
        refused("", &[("Sec-WebSocket-Protocol", "a b")], Refusal::Protocols, 400);
    }

    #[test]
    fn forms_that_are_right_are_taken() {
        for (without, name, value) in [
            ("Upgrade", "UPGRADE", "h2c, WebSocket"),
            ("Connection", "connection", "keep-alive, upgrade"),
            ("Sec-WebSocket-Key", "sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAB=="), // bits past the 16th byte
            ("Sec-WebSocket-Protocol", "X-Other", "1"),
        ] {
            check("GET", request(without, &[(name, value)])).expect(name);
        }
    }

    #[test]
    fn protocols_are_bounded() {
        let all: Vec<String> = (0..=MAX_PROTOCOLS).map(|n| format!("p{n}")).collect();
        let value = all.join(",");
        let mut headers = request("Sec-WebSocket-Protocol", &[]);
        headers.push(("Sec-WebSocket-Protocol", value.as_bytes()));
        assert_eq!(check("GET", headers.clone()), Err(Refusal::Protocols));
        let value = all[1..].join(",");
        headers.pop();
        headers.push(("Sec-WebSocket-Protocol", value.as_bytes()));
        assert_eq!(check("GET", headers).expect("as many as may be").protocols().len(), MAX_PROTOCOLS);
    }
}
