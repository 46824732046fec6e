//! Feeds: answers that do not end.

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use serde_json::Value;

use super::answer::{self, ended};
use super::http::{Http, is_timeout};
use super::values::Event;
use crate::proto::sse::{self, Parser};
use crate::{Error, ErrorKind, Result};

/// So much is read at a time.
const CHUNK: usize = 16 << 10;

/// So many heartbeats may be missed before a node is given up.
const MISSED: u32 = 3;

/// The events of a node, as they happen.
///
/// A node that is silent for three [heartbeats](super::Server::heartbeat) is given up: the iterator yields
/// [`ErrorKind::TimedOut`] and ends. It ends without an error where the node ends the feed.
#[derive(Debug)]
pub struct Events(Records);

/// What processes use, one object a process and interval, as `GET /stats` has it.
///
/// It ends when the process has ended, or the job is unloaded. Silence is an error as it is for [`Events`].
#[derive(Debug)]
pub struct Samples(Records);

/// The output of a process, byte for byte, in pieces as they come; ends when the process and the stream have ended.
///
/// Raw output has no place for signs of life, so silence is not an error. It is also an [`io::Read`].
pub struct Output {
    reader: Box<dyn Read + Send>,
    http: Http,
    done: bool,
}

impl Events {
    pub(super) fn open(http: &Http, path: &str, last_id: &str) -> Result<Self> {
        Records::open(http, path, last_id).map(Self)
    }

    /// The id of the last event, for [`Server::watch_after`](super::Server::watch_after); empty before the first.
    #[must_use]
    pub fn last_id(&self) -> &str {
        self.0.parser.last_event_id()
    }
}

impl Iterator for Events {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|record| record.and_then(|(kind, value)| Event::read(&kind, value)))
    }
}

impl Samples {
    pub(super) fn open(http: &Http, path: &str) -> Result<Self> {
        Records::open(http, path, "").map(Self)
    }
}

impl Iterator for Samples {
    type Item = Result<Value>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|record| record.map(|(_, value)| value))
    }
}

impl Output {
    pub(super) fn open(http: &Http, path: &str) -> Result<Self> {
        let reader = http.feed(&format!("{path}?feed=continuous&heartbeat=false"), "", None)?;
        Ok(Self { reader: Box::new(reader), http: http.clone(), done: false })
    }
}

impl Read for Output {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf)
    }
}

impl Iterator for Output {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut piece = vec![0; CHUNK];
        while !self.done {
            match self.reader.read(&mut piece) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.done = true;
                    return Some(Err(self.http.broken(e)));
                }
                Ok(0) => self.done = true,
                Ok(read) => {
                    piece.truncate(read);
                    return Some(Ok(piece));
                }
            }
        }
        None
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("done", &self.done).finish_non_exhaustive()
    }
}

/// Server-sent events whose data are JSON.
struct Records {
    reader: Box<dyn Read + Send>,
    http: Http,
    parser: Parser,
    chunk: Vec<u8>,
    /// What of `chunk` the parser has not taken yet.
    rest: std::ops::Range<usize>,
    silence: Duration,
    done: bool,
}

impl Records {
    fn open(http: &Http, path: &str, last_id: &str) -> Result<Self> {
        let silence = http.heartbeat.saturating_mul(MISSED);
        let sign = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{sign}feed=eventsource&heartbeat={}", http.heartbeat.as_secs_f64());
        let reader = Box::new(http.feed(&path, last_id, Some(silence))?);
        let (parser, chunk) = (Parser::default(), vec![0; CHUNK]);
        Ok(Self { reader, http: http.clone(), parser, chunk, rest: 0..0, silence, done: false })
    }

    /// The next record's type and value.
    fn record(&mut self) -> Result<Option<(String, Value)>> {
        loop {
            while !self.rest.is_empty() {
                let fed = self.parser.feed(&self.chunk[self.rest.clone()]);
                self.rest.start += fed.used;
                if let Some(sse::Event { event, data, .. }) = fed.out? {
                    let value: Value = serde_json::from_str(&data).map_err(|_| self.http.strange("", "event feed"))?;
                    if let Some(status) = ended(&value).filter(|_| event == "error") {
                        return Err(answer::refusal(status, "", data.as_bytes()));
                    }
                    return Ok(Some((event, value)));
                }
            }
            match self.reader.read(&mut self.chunk) {
                Ok(0) => return Ok(None),
                Ok(read) => self.rest = 0..read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if is_timeout(&e) => {
                    let what = format!("{} is silent since {} s", self.http.address, self.silence.as_secs_f64());
                    return Err(Error::new(ErrorKind::TimedOut, what));
                }
                Err(e) => return Err(self.http.broken(e)),
            }
        }
    }
}

impl Iterator for Records {
    type Item = Result<(String, Value)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let record = self.record().transpose();
        self.done = !matches!(record, Some(Ok(_)));
        record
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("parser", &self.parser).field("done", &self.done).finish_non_exhaustive()
    }
}
