//! Answers whose content is read as the client takes it: files, and whatever else is too large to be held.

use std::fmt;
use std::io::{ErrorKind, Read};

use super::HttpServer;
use super::conn::{Conn, Mode};
use crate::manager::Cx;
use crate::proto::h1::{Body, BodyWriter, RequestHead};

/// How much is read at a time.
const PIECE: usize = 64 * 1024;

/// Pieces that one client gets in one turn, before the others have theirs.
pub(super) const MAX_PIECES: usize = 8;

/// An answer of known length, read piece by piece as the client takes it: at most 64 KiB of it are in memory.
///
/// The source is read in the loop, so it must not block: a file on a local disk will do, a pipe will not. If it ends early or
/// fails, the connection is closed, so that the client sees that something is missing. It is dropped when all is read or the
/// client has gone.
pub struct Streamed {
    /// The status. With 204 and 304, and to a `HEAD`, nothing is read.
    pub status: u16,
    /// Further fields.
    pub headers: Vec<(&'static str, String)>,
    /// The bytes of the content.
    pub length: u64,
    /// Where they come from; what comes beyond `length` is not read.
    pub source: Box<dyn Read + Send>,
}

impl Streamed {
    /// An answer without fields.
    pub fn new(status: u16, length: u64, source: impl Read + Send + 'static) -> Self {
        Self { status, headers: Vec::new(), length, source: Box::new(source) }
    }

    /// An answer without content.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self::new(status, 0, std::io::empty())
    }

    /// The same with one field more.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streamed({}, {} bytes)", self.status, self.length)
    }
}

/// A content that is on its way.
pub(super) struct Outgoing {
    writer: BodyWriter,
    source: Box<dyn Read + Send>,
    left: u64,
}

impl HttpServer {
    pub(super) fn start_streamed(&mut self, cx: &Cx<'_>, conn: &mut Conn, head: &RequestHead, streamed: Streamed) {
        let mut response = self.response(streamed.status, Some(head));
        for (name, value) in &streamed.headers {
            // A handler's value with a control character in it is left out, not sent.
            let _ = response.field(name, value);
        }
        let date = self.date(cx);
        let writer = response.encode(head.exchange(), Body::Length(streamed.length), &date, &mut conn.out);
        let bodiless = head.method() == crate::proto::h1::Method::Head || matches!(streamed.status, 204 | 304);
        let left = if bodiless { 0 } else { streamed.length };
        conn.mode = Mode::Outgoing(Box::new(Outgoing { writer, source: streamed.source, left }));
        if left == 0 {
            end(conn);
        }
    }

    /// Reads the next piece once the client has taken the one before; whether there is more to send now.
    pub(super) fn refill(&mut self, conn: &mut Conn) -> bool {
        if conn.unsent() > 0 || conn.is_dead() {
            return false;
        }
        let Mode::Outgoing(outgoing) = &mut conn.mode else { return false };
        let want = usize::try_from(outgoing.left).map_or(PIECE, |left| left.min(PIECE));
        self.buffer.resize(want, 0);
        let n = loop {
            match outgoing.source.read(&mut self.buffer) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Ok(n) if n > 0 => break n,
                // Shorter than it was said to be: the client is to see that.
                Ok(_) | Err(_) => {
                    conn.dead = true;
                    return false;
                }
            }
        };
        outgoing.left -= n as u64;
        outgoing.writer.write(&self.buffer[..n], &mut conn.out).expect("no more than its length is read");
        if outgoing.left == 0 {
            end(conn);
        }
        true
    }
}

/// All is written; the connection takes up its next request.
fn end(conn: &mut Conn) {
    if let Mode::Outgoing(outgoing) = std::mem::replace(&mut conn.mode, Mode::Http) {
        let Outgoing { writer, source, .. } = *outgoing;
        drop(source);
        // Without a content none is missing.
        if !writer.finish(&mut conn.out).unwrap_or(false) {
            conn.mode = Mode::Closing;
        }
    }
}
