//! What a client receives: sections 9.2.5 and 9.2.6 of the standard.

use std::fmt;
use std::time::Duration;

use crate::ErrorKind;

/// A buffer that needed more than this gives its memory back.
const KEEP: usize = 8 * 1024;

/// Bounds of a stream, in bytes. What is over one ends the stream with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest line, without its end; 1 MiB by default.
    pub max_line: usize,
    /// The most data of one event, all its lines together; 4 MiB by default.
    pub max_event: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_line: 1 << 20, max_event: 4 << 20 }
    }
}

impl Limits {
    /// Sets [`max_line`](Self::max_line).
    #[must_use]
    pub const fn max_line(mut self, bytes: usize) -> Self {
        self.max_line = bytes;
        self
    }

    /// Sets [`max_event`](Self::max_event).
    #[must_use]
    pub const fn max_event(mut self, bytes: usize) -> Self {
        self.max_event = bytes;
        self
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Its type; `message` where the stream gives none.
    pub event: String,
    /// Its data, lines joined by LF.
    pub data: String,
    /// The id in force: its own, or the last one before it.
    pub last_event_id: String,
}

/// Why a stream is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParseError {
    /// A line over [`Limits::max_line`].
    LineTooLong,
    /// An event over [`Limits::max_event`].
    EventTooBig,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LineTooLong => "line over the limit",
            Self::EventTooBig => "event over the limit",
        })
    }
}

impl std::error::Error for ParseError {}

impl From<ParseError> for crate::Error {
    fn from(error: ParseError) -> Self {
        Self::new(ErrorKind::Invalid, format!("event stream: {error}"))
    }
}

/// What one call of [`Parser::feed`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Fed {
    /// How many bytes were taken; right on success, when more is needed, and on error.
    pub used: usize,
    /// The event they completed; `None` when all were taken and more are needed.
    pub out: Result<Option<Event>, ParseError>,
}

/// The parser of one stream, which outlives its connections.
///
/// It holds a line, the data, the type and the id of an event, each within its limit.
#[derive(Debug, Default)]
pub struct Parser {
    limits: Limits,
    /// The unfinished line.
    line: Vec<u8>,
    /// The last byte was a CR: a LF now belongs to it.
    after_cr: bool,
    /// The first line is over, and with it the place of a byte order mark.
    begun: bool,
    data: String,
    /// There was a `data` field, be it empty.
    has_data: bool,
    event: String,
    /// The id that the next event will have.
    id: String,
    last_event_id: String,
    retry: Option<Duration>,
    failed: Option<ParseError>,
}

impl Parser {
    /// A parser with other limits than the default ones.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// What a client that connects again sends as `Last-Event-ID`, unless it is empty: the id in
    /// force when the last event ended.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// How long to wait before connecting again, where the stream has said so.
    #[must_use]
    pub const fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Begins a new connection: what was unfinished is dropped, as the standard says of the end of
    /// a stream; the last id and the retry time stay. An error is forgotten.
    pub fn reconnect(&mut self) {
        let (id, retry) = (std::mem::take(&mut self.last_event_id), self.retry);
        *self = Self { id: id.clone(), last_event_id: id, retry, ..Self::new(self.limits) };
    }

    /// Takes bytes up to the end of the next event.
    ///
    /// An event is complete with the first byte of the line end after it. Bytes that are not UTF-8
    /// become U+FFFD, as the standard wants.
    ///
    /// # Errors
    ///
    /// A line or an event over its limit; the same for all later calls, until
    /// [`reconnect`](Self::reconnect).
    pub fn feed(&mut self, bytes: &[u8]) -> Fed {
        if let Some(error) = self.failed {
            return Fed { used: bytes.len(), out: Err(error) };
        }
        let mut used = 0;
        while used < bytes.len() {
            if std::mem::take(&mut self.after_cr) && bytes[used] == b'\n' {
                used += 1;
                continue;
            }
            let rest = &bytes[used..];
            // One byte beyond the limit may be the end of the line.
            let most = self.limits.max_line - self.line.len();
            let seen = &rest[..rest.len().min(most.saturating_add(1))];
            let Some(end) = seen.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
                if seen.len() > most {
                    return self.fail(used + seen.len(), ParseError::LineTooLong);
                }
                self.line.extend_from_slice(seen);
                return Fed { used: bytes.len(), out: Ok(None) };
            };
            self.after_cr = rest[end] == b'\r';
            used += end + 1;
            let out = if self.line.is_empty() {
                self.line(&rest[..end])
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&rest[..end]);
                let out = self.line(&line);
                if line.capacity() <= KEEP {
                    line.clear();
                    self.line = line;
                }
                out
            };
            match out {
                Ok(None) => {}
                Ok(event) => return Fed { used, out: Ok(event) },
                Err(error) => return self.fail(used, error),
            }
        }
        Fed { used, out: Ok(None) }
    }

    fn fail(&mut self, used: usize, error: ParseError) -> Fed {
        self.reconnect();
        self.failed = Some(error);
        Fed { used, out: Err(error) }
    }

    /// A whole line, without its end.
    fn line(&mut self, mut line: &[u8]) -> Result<Option<Event>, ParseError> {
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                let value = String::from_utf8_lossy(value);
                if self.data.len() + usize::from(self.has_data) + value.len() > self.limits.max_event {
                    return Err(ParseError::EventTooBig);
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(&value);
            }
            b"event" => self.event = String::from_utf8_lossy(value).into_owned(),
            b"id" if !value.contains(&0) => self.id = String::from_utf8_lossy(value).into_owned(),
            b"retry" => self.retry = milliseconds(value).or(self.retry),
            // A comment has no name; other fields "are ignored".
            _ => {}
        }
        Ok(None)
    }

    fn dispatch(&mut self) -> Option<Event> {
        if self.last_event_id != self.id {
            self.last_event_id.clone_from(&self.id);
        }
        let event = std::mem::take(&mut self.event);
        if !std::mem::take(&mut self.has_data) {
            return None;
        }
        Some(Event {
            event: if event.is_empty() { "message".to_owned() } else { event },
            data: std::mem::take(&mut self.data),
            last_event_id: self.id.clone(),
        })
    }
}

/// "If the field value consists of only ASCII digits"; a number over 64 bits is ignored.
fn milliseconds(value: &[u8]) -> Option<Duration> {
    let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(parser: &Parser) -> usize {
        let Parser { line, data, event, id, last_event_id, .. } = parser;
        line.capacity() + [data, event, id, last_event_id].map(String::capacity).iter().sum::<usize>()
    }

    fn feed_all(parser: &mut Parser, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[parser.feed(bytes).used..];
        }
    }

    #[test]
    fn memory_is_bounded() {
        let limits = Limits::default().max_line(100_000).max_event(200_000);
        let mut parser = Parser::new(limits);
        let (mut seed, mut failures) = (1u64, 0);
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let chunks = [&b"data: "[..], b"event: ", b"id: ", b"\n", b"\n\n", &[b'x'; 4000], &[b'x'; 30_000]];
            feed_all(&mut parser, chunks[(seed >> 33) as usize % chunks.len()]);
            if parser.failed.is_some() {
                failures += 1;
                assert_eq!(parser.line.capacity() + parser.data.capacity(), 0, "nothing is kept after an error");
                parser.reconnect();
            }
            // A line, a type, two ids and the data; a vector may have twice what it needs.
            assert!(held(&parser) <= 2 * (4 * 100_000 + 200_000), "{}", held(&parser));
        }
        assert!(failures > 10, "{failures} errors");
    }

    #[test]
    fn a_long_line_gives_its_memory_back() {
        let mut parser = Parser::default();
        let long = [b'x'; 90_000];
        for part in [&b"data: "[..], &long, b"\n\n", b":", &long, b"\n"] {
            feed_all(&mut parser, part);
        }
        let before = held(&parser);
        assert!(before <= KEEP, "{before}");
        for _ in 0..1000 {
            assert_eq!(parser.feed(b""), Fed { used: 0, out: Ok(None) });
        }
        assert_eq!(held(&parser), before);
    }
}
