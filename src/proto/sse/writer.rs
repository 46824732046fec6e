//! What a server sends.

use std::time::Duration;

use crate::{Error, ErrorKind, Result};

/// One event to send.
///
/// ```
/// let mut out = Vec::new();
/// gaffer::proto::sse::Message::new("{\"pid\": 1}").id("7").event("exit").write(&mut out)?;
/// assert_eq!(out, b"id: 7\nevent: exit\ndata: {\"pid\": 1}\n\n");
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Message<'a> {
    data: &'a str,
    id: Option<&'a str>,
    event: Option<&'a str>,
    retry: Option<Duration>,
}

impl<'a> Message<'a> {
    /// An event with that data, which may be empty and may have several lines. Line ends (CR, LF or
    /// CRLF) are all LF to who receives it.
    pub const fn new(data: &'a str) -> Self {
        Self { data, id: None, event: None, retry: None }
    }

    /// The id to come back with in `Last-Event-ID`. An empty one makes the client forget the last.
    pub const fn id(mut self, id: &'a str) -> Self {
        self.id = Some(id);
        self
    }

    /// The type of the event; without one, or with an empty one, it is `message`.
    pub const fn event(mut self, event: &'a str) -> Self {
        self.event = Some(event);
        self
    }

    /// How long the client waits before it connects again, in whole milliseconds.
    pub const fn retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Appends the event.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when the id has a line end or a NUL (clients ignore such an id), or the
    /// event's type has a line end; then nothing is appended.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        if let Some(id) = self.id.filter(|id| id.contains(['\r', '\n', '\0'])) {
            return Err(Error::new(ErrorKind::Invalid, format!("id {id:?} of a server-sent event: a line end or NUL")));
        }
        if let Some(event) = self.event.filter(|event| event.contains(['\r', '\n'])) {
            return Err(Error::new(ErrorKind::Invalid, format!("type {event:?} of a server-sent event: a line end")));
        }
        out.reserve(self.data.len() + 64);
        if let Some(id) = self.id {
            field("id", id, out);
        }
        if let Some(event) = self.event {
            field("event", event, out);
        }
        if let Some(retry) = self.retry {
            field("retry", &retry.as_millis().to_string(), out);
        }
        lines("data", self.data, out);
        out.push(b'\n');
        Ok(())
    }
}

/// Appends a comment, which clients ignore: a heartbeat that keeps proxies from cutting a quiet
/// stream. It may have several lines, and ends with a blank one.
pub fn write_comment(text: &str, out: &mut Vec<u8>) {
    lines("", text, out);
    out.push(b'\n');
}

/// Appends the time, in whole milliseconds, that the client waits before it connects again.
pub fn write_retry(retry: Duration, out: &mut Vec<u8>) {
    field("retry", &retry.as_millis().to_string(), out);
    out.push(b'\n');
}

/// One field for each line of `text`, however the lines end.
///
/// A search for one character is a `memchr`, for one of two it is not: output passes here once for each client.
fn lines(name: &str, text: &str, out: &mut Vec<u8>) {
    let mut rest = text.split('\n').peekable();
    while let Some(line) = rest.next() {
        let line = if rest.peek().is_some() { line.strip_suffix('\r').unwrap_or(line) } else { line };
        line.split('\r').for_each(|line| field(name, line, out));
    }
}

/// The blank after the colon is dropped by the parser, so that a value may begin with one.
fn field(name: &str, value: &str, out: &mut Vec<u8>) {
    for part in [name, ": ", value, "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}
