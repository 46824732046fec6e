//! The client's half of the handshake, RFC 6455 section 4.1. HTTP is parsed elsewhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::handshake::{VERSION, accept, has_token, header, is_token};
use crate::{Error, ErrorKind, Result};

/// The longest head of an answer that is read.
const MAX_HEAD: usize = 16 << 10;

/// A request to open a websocket, and the check of its answer.
#[derive(Clone, Debug)]
pub struct Handshake {
    host: String,
    target: String,
    key: String,
    protocols: Vec<String>,
    headers: Vec<(String, String)>,
}

impl Handshake {
    /// Asks `host` (with the port, where it is not the default one) for `target` (path and query).
    ///
    /// The key must be drawn at random for each connection: it shows that the answer is to this request.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when the host is empty, the target does not begin with `/`, or one has
    /// something but visible ASCII in it.
    pub fn new(host: impl Into<String>, target: impl Into<String>, key: [u8; 16]) -> Result<Self> {
        let (host, target) = (host.into(), target.into());
        if host.is_empty() || !is_visible(&host) {
            return Err(invalid(format!("websocket host {host:?}")));
        }
        if !target.starts_with('/') || !is_visible(&target) {
            return Err(invalid(format!("websocket target {target:?}")));
        }
        Ok(Self { host, target, key: STANDARD.encode(key), protocols: Vec::new(), headers: Vec::new() })
    }

    /// Offers a subprotocol; the best comes first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when it is not a token, or offered already.
    pub fn protocol(mut self, name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        if !is_token(&name) || self.protocols.contains(&name) {
            return Err(invalid(format!("websocket subprotocol {name:?}")));
        }
        self.protocols.push(name);
        Ok(self)
    }

    /// Adds a header, such as `Origin` or `Authorization`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when the name is not a token or one of the handshake's own, or the value has
    /// control characters.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Result<Self> {
        let (name, value) = (name.into(), value.into());
        let lower = name.to_ascii_lowercase();
        let own = matches!(&lower[..], "host" | "upgrade" | "connection") || lower.starts_with("sec-websocket-");
        if own || !is_token(&name) || value.chars().any(|c| c.is_control() && c != '\t') {
            // The value may be a secret.
            return Err(invalid(format!("websocket header {name:?}")));
        }
        self.headers.push((name, value));
        Ok(self)
    }

    /// Appends the whole request.
    pub fn write(&self, out: &mut Vec<u8>) {
        for part in ["GET ", &self.target, " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        header("Host", &self.host, out);
        header("Upgrade", "websocket", out);
        header("Connection", "Upgrade", out);
        header("Sec-WebSocket-Key", &self.key, out);
        header("Sec-WebSocket-Version", VERSION, out);
        if !self.protocols.is_empty() {
            header("Sec-WebSocket-Protocol", &self.protocols.join(", "), out);
        }
        for (name, value) in &self.headers {
            header(name, value, out);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Looks for the head of the answer at the start of `input`, and checks it: how long it is, what follows are frames. `None` if more is
    /// needed. A head has at most 16 KiB and 64 fields.
    ///
    /// # Errors
    ///
    /// As for [`check`](Self::check), and [`ErrorKind::Invalid`] for what is no answer of an HTTP server.
    pub fn read_answer(&self, input: &[u8]) -> Result<Option<usize>> {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut answer = httparse::Response::new(&mut fields);
        match answer.parse(&input[..input.len().min(MAX_HEAD)]) {
            Ok(httparse::Status::Complete(length)) => {
                let headers = answer.headers.iter().map(|field| (field.name, field.value));
                self.check(answer.code.unwrap_or_default(), headers)?;
                Ok(Some(length))
            }
            Ok(httparse::Status::Partial) if input.len() < MAX_HEAD => Ok(None),
            Ok(httparse::Status::Partial) => Err(invalid(format!(
                "{}{}: an answer with a head of more than {MAX_HEAD} bytes",
                self.host, self.target
            ))),
            Err(e) => Err(invalid(format!("{}{}: not an HTTP server? {e}", self.host, self.target))),
        }
    }

    /// Looks whether the answer opens the websocket, and gives the subprotocol the server chose.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] for a status of 401 or 403, [`ErrorKind::NotFound`] for 404, and
    /// [`ErrorKind::Invalid`] for any other but 101, an answer that is not to this request, an
    /// extension, or a subprotocol that was not offered.
    pub fn check<'a>(
        &self,
        status: u16,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Option<&str>> {
        if status != 101 {
            let kind = match status {
                401 | 403 => ErrorKind::Forbidden,
                404 => ErrorKind::NotFound,
                _ => ErrorKind::Invalid,
            };
            return Err(Error::new(kind, format!("{}{}: no websocket, status {status}", self.host, self.target)));
        }
        let wrong = |what: &str| invalid(format!("{}{}: {what}", self.host, self.target));
        let (mut upgrade, mut connection, mut accepted) = (false, false, false);
        let mut protocol = None;
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("upgrade") {
                upgrade |= value.eq_ignore_ascii_case(b"websocket");
            } else if name.eq_ignore_ascii_case("connection") {
                connection |= has_token(value, "upgrade");
            } else if name.eq_ignore_ascii_case("sec-websocket-accept") {
                accepted = value == accept(&self.key).as_bytes();
                if !accepted {
                    return Err(wrong("the answer is to another request"));
                }
            } else if name.eq_ignore_ascii_case("sec-websocket-extensions") && !value.is_empty() {
                return Err(wrong("the server takes up an extension that was not offered"));
            } else if name.eq_ignore_ascii_case("sec-websocket-protocol") {
                let chosen = self.protocols.iter().find(|offered| offered.as_bytes() == value);
                if chosen.is_none() || protocol.is_some() {
                    return Err(wrong("the server chose a subprotocol that was not offered"));
                }
                protocol = chosen.map(String::as_str);
            }
        }
        if upgrade && connection && accepted { Ok(protocol) } else { Err(wrong("not the answer of a websocket")) }
    }
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPT: (&str, &[u8]) = ("sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    const UPGRADE: (&str, &[u8]) = ("Upgrade", b"WebSocket");
    const CONNECTION: (&str, &[u8]) = ("Connection", b"Upgrade");

    fn sample() -> Handshake {
        Handshake::new("server.example.com", "/chat", *b"the sample nonce").expect("a good request")
    }

    #[test]
    fn the_request_is_that_of_the_rfc() {
        let handshake = sample().protocol("chat").and_then(|h| h.protocol("superchat")).expect("good protocols");
        let mut out = Vec::new();
        handshake.header("Origin", "http://example.com").expect("a good header").write(&mut out);
        assert_eq!(
            String::from_utf8(out).expect("ASCII"),
            "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: chat, superchat\r\nOrigin: http://example.com\r\n\r\n"
        );
    }

    #[test]
    fn answers_are_checked() {
        let handshake = sample().protocol("chat").expect("a token");
        assert_eq!(handshake.check(101, [UPGRADE, CONNECTION, ACCEPT]).expect("good"), None);
        let chat: (&str, &[u8]) = ("Sec-WebSocket-Protocol", b"chat");
        assert_eq!(handshake.check(101, [UPGRADE, CONNECTION, ACCEPT, chat]).expect("good"), Some("chat"));

        let refused = |status, headers: &[(&'static str, &'static [u8])]| {
            handshake.check(status, headers.iter().copied()).expect_err("refused").kind()
        };
        assert_eq!(refused(101, &[UPGRADE, CONNECTION]), ErrorKind::Invalid);
        assert_eq!(refused(101, &[UPGRADE, ACCEPT]), ErrorKind::Invalid);
        assert_eq!(refused(101, &[CONNECTION, ACCEPT]), ErrorKind::Invalid);
        assert_eq!(refused(101, &[UPGRADE, CONNECTION, ACCEPT, chat, chat]), ErrorKind::Invalid);
        for (name, value) in [
            ("Sec-WebSocket-Accept", &b"s3pPLMBiTxaQ9kYGzzhZRbK+xOp="[..]),
            ("Sec-WebSocket-Protocol", b"Chat"),
            ("Sec-WebSocket-Extensions", b"permessage-deflate"),
        ] {
            assert_eq!(refused(101, &[UPGRADE, CONNECTION, ACCEPT, (name, value)]), ErrorKind::Invalid, "{name}");
        }
        assert_eq!(refused(200, &[UPGRADE, CONNECTION, ACCEPT]), ErrorKind::Invalid);
        assert_eq!(refused(401, &[]), ErrorKind::Forbidden);
        assert_eq!(refused(404, &[]), ErrorKind::NotFound);
    }

    #[test]
    fn answers_come_in_pieces() {
        let handshake = sample();
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        for length in 0..answer.len() {
            assert_eq!(handshake.read_answer(&answer[..length]).expect("so far"), None, "{length}");
        }
        let more = [&answer[..], b"\x81\x01x"].concat();
        assert_eq!(handshake.read_answer(&more).expect("good"), Some(answer.len()));
        let refused = |input: &[u8]| handshake.read_answer(input).expect_err("refused").kind();
        assert_eq!(refused(b"HTTP/1.1 404 Not Found\r\n\r\n"), ErrorKind::NotFound);
        assert_eq!(refused(b"SSH-2.0-x\r\n"), ErrorKind::Invalid);
        let endless = [&b"HTTP/1.1 101 x\r\nA: "[..], &vec![b'a'; MAX_HEAD]].concat();
        assert_eq!(refused(&endless), ErrorKind::Invalid);
    }

    #[test]
    fn nothing_can_be_slipped_into_the_head() {
        for (host, target) in [("", "/"), ("a\r\nX: y", "/"), ("a", "chat"), ("a", "/ HTTP/1.0\r\n"), ("a", "/é")] {
            assert!(Handshake::new(host, target, [0; 16]).is_err(), "{host:?} {target:?}");
        }
        for name in ["", "a b", "a,b", "a\n"] {
            assert!(sample().protocol(name).is_err(), "{name:?}");
        }
        for (name, value) in [("A\n", "b"), ("A", "b\r\nC: d"), ("hOST", "b"), ("Sec-WebSocket-Key", "k")] {
            assert!(sample().header(name, value).is_err(), "{name:?} {value:?}");
        }
    }
}
