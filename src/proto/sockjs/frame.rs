//! Frames, which the server sends; the client sends bare messages.

use super::json::{Cursor, quote};

/// `o`: the session is open. The first frame of each.
pub const OPEN: &str = "o";

/// `h`: a sign of life.
pub const HEARTBEAT: &str = "h";

/// `a["…","…"]`: messages.
#[must_use]
pub fn messages<'a>(messages: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = b"a[".to_vec();
    for message in messages {
        if out.len() > 2 {
            out.push(b',');
        }
        quote(message, &mut out);
    }
    out.push(b']');
    text(out)
}

/// `c[3000,"Go away!"]`: the session is closed.
#[must_use]
pub fn close(code: u16, reason: &str) -> String {
    let mut out = format!("c[{code},").into_bytes();
    quote(reason, &mut out);
    out.push(b']');
    text(out)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("quoted text is text")
}

/// A frame as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// [`OPEN`].
    Open,
    /// [`HEARTBEAT`].
    Heartbeat,
    /// `a[…]`.
    Messages(Vec<String>),
    /// `c[…]`: the code, and words.
    Close(u16, String),
}

impl Frame {
    /// Reads one; `None` if it is none.
    #[must_use]
    pub fn parse(frame: &str) -> Option<Self> {
        let rest = frame.get(1..)?;
        match frame.as_bytes()[0] {
            b'o' if rest.is_empty() => Some(Self::Open),
            b'h' if rest.is_empty() => Some(Self::Heartbeat),
            b'a' => super::parse_messages(rest.as_bytes()).ok().map(Self::Messages),
            b'c' => {
                let mut cursor = Cursor::new(rest.as_bytes()).ok()?;
                let code = cursor.eat(b'[').then(|| cursor.number().ok())??;
                let reason = cursor.eat(b',').then(|| cursor.string().ok())??;
                (cursor.eat(b']') && cursor.end().is_ok()).then_some(Self::Close(code, reason))
            }
            _ => None,
        }
    }
}
