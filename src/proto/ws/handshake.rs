//! What both sides of the handshake share, RFC 6455 section 4.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The only version there is.
pub(super) const VERSION: &str = "13";

/// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (section 4.2.2, step 5.4).
pub(super) fn accept(key: &str) -> String {
    let mut sha1 = sha1_smol::Sha1::new();
    sha1.update(key.as_bytes());
    sha1.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(sha1.digest().bytes())
}

/// The elements of a comma-separated header (RFC 9110 section 5.6.1; empty ones do not count).
pub(super) fn elements(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(|element| element.trim_matches([' ', '\t'])).filter(|element| !element.is_empty())
}

/// Whether a header has `token` among its elements, in any case.
pub(super) fn has_token(value: &[u8], token: &str) -> bool {
    std::str::from_utf8(value).is_ok_and(|value| elements(value).any(|element| element.eq_ignore_ascii_case(token)))
}

/// Whether this is a token of HTTP (RFC 9110 section 5.6.2), as names of subprotocols are.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Appends `name: value` and the end of the line.
pub(super) fn header(name: &str, value: &str, out: &mut Vec<u8>) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}
