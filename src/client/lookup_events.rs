//! What lookup servers tell, by the event source of SockJS.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::io::{self, Read};
use std::time::Duration;

use serde_json::Value;

use super::answer::missing;
use super::http::{Http, is_timeout};
use super::lookup::LookupNode;
use crate::proto::sse::Parser;
use crate::{Error, ErrorKind, Result};

/// The server gives a sign of life every 25 s; three that are missing are too many.
const SILENCE: Duration = Duration::from_secs(75);

/// So much is read at a time.
const CHUNK: usize = 16 << 10;

/// Something that happened to a node.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LookupEvent {
    /// `add_node`, `identify`, `remove_node`, `add_job`, `remove_job`, `add_process` or `remove_process`.
    pub event: String,
    /// The node.
    pub node: LookupNode,
    /// The whole event, as it came; with `job_name` and `pid` where it is about those.
    pub fields: Value,
}

impl LookupEvent {
    fn read(fields: Value) -> Result<Self> {
        let event = fields["event"].as_str().ok_or_else(|| missing("event"))?.to_owned();
        // What happens to a node has its fields beside the event's name.
        let node = LookupNode::read(fields.get("node").unwrap_or(&fields))?;
        Ok(Self { event, node, fields })
    }

    /// `session.label`, where it is about a job or a process.
    #[must_use]
    pub fn job(&self) -> Option<&str> {
        self.fields["job_name"].as_str()
    }

    /// The node's number of a process, where it is about one.
    #[must_use]
    pub fn pid(&self) -> Option<u64> {
        self.fields["pid"].as_u64()
    }
}

/// The events of a lookup server, as they happen. It ends with an error, also where the server ends the session.
pub struct LookupEvents {
    http: Http,
    path: String,
    reader: Box<dyn Read + Send>,
    parser: Parser,
    chunk: Vec<u8>,
    rest: std::ops::Range<usize>,
    ready: VecDeque<LookupEvent>,
    done: bool,
}

impl LookupEvents {
    pub(super) fn open(http: &Http) -> Result<Self> {
        let random = RandomState::new();
        let path = format!("/lookup/000/{:016x}{:016x}/eventsource", random.hash_one(1), random.hash_one(2));
        let reader = Box::new(http.feed(&path, "", Some(SILENCE))?);
        let mut events = Self {
            http: http.clone(),
            path,
            reader,
            parser: Parser::default(),
            chunk: vec![0; CHUNK],
            rest: 0..0,
            ready: VecDeque::new(),
            done: false,
        };
        // From the opening frame on nothing is missed.
        match events.frame()? {
            Frame::Open => Ok(events),
            _ => Err(http.strange("/lookup", "session")),
        }
    }

    fn frame(&mut self) -> Result<Frame> {
        loop {
            while !self.rest.is_empty() {
                let fed = self.parser.feed(&self.chunk[self.rest.clone()]);
                self.rest.start += fed.used;
                if let Some(event) = fed.out? {
                    return self.read_frame(&event.data);
                }
            }
            match self.reader.read(&mut self.chunk) {
                // The server ends each response after a while; the session goes on in the next one.
                Ok(0) => {
                    self.reader = Box::new(self.http.feed(&self.path, "", Some(SILENCE))?);
                    self.parser = Parser::default();
                }
                Ok(read) => self.rest = 0..read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if is_timeout(&e) => {
                    let what = format!("{} is silent since {} s", self.http.address, SILENCE.as_secs());
                    return Err(Error::new(ErrorKind::TimedOut, what));
                }
                Err(e) => return Err(self.http.broken(e)),
            }
        }
    }

    /// `o`, `h`, `a["…", …]` or `c[code,"reason"]`.
    fn read_frame(&self, text: &str) -> Result<Frame> {
        let strange = || self.http.strange("/lookup", "frame");
        // The event source puts a blank before some frames.
        let text = text.trim_start();
        let value = || serde_json::from_str::<Value>(text.get(1..).unwrap_or_default()).map_err(|_| strange());
        match text.as_bytes().first() {
            Some(b'o') => Ok(Frame::Open),
            Some(b'h') => Ok(Frame::Heartbeat),
            Some(b'a') => {
                let Value::Array(messages) = value()? else { return Err(strange()) };
                let event = |message: Value| {
                    let text = message.as_str().ok_or_else(strange)?;
                    LookupEvent::read(serde_json::from_str(text).map_err(|_| strange())?)
                };
                messages.into_iter().map(event).collect::<Result<_>>().map(Frame::Messages)
            }
            Some(b'c') => {
                let what = format!("{} has ended the session: {}", self.http.address, value()?[1]);
                Err(Error::new(ErrorKind::Unreachable, what))
            }
            _ => Err(strange()),
        }
    }
}

enum Frame {
    Open,
    Heartbeat,
    Messages(Vec<LookupEvent>),
}

impl Iterator for LookupEvents {
    type Item = Result<LookupEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.done {
                return None;
            }
            match self.frame() {
                Ok(Frame::Messages(events)) => self.ready.extend(events),
                Ok(Frame::Heartbeat) => {}
                // It has forgotten us: what happened meanwhile is lost.
                Ok(Frame::Open) => {
                    self.done = true;
                    let what = format!("{} has lost the session; ask for all and listen again", self.http.address);
                    return Some(Err(Error::new(ErrorKind::Unreachable, what)));
                }
                Err(e) => {
                    self.done = true;
                    return Some(Err(e));
                }
            }
        }
    }
}

impl fmt::Debug for LookupEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookupEvents").field("path", &self.path).field("done", &self.done).finish_non_exhaustive()
    }
}
