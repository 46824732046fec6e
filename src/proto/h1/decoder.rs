//! The requests of one connection.

use super::block::{Block, Bounds};
use super::{Chunked, Framing, Headers, Limits, Refusal, RequestHead, parse};

/// What [`Decoder::feed`] made of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Fed<'a> {
    /// How many bytes were taken, whatever the event; the others must be fed again.
    pub used: usize,
    /// What came of them.
    pub event: Event<'a>,
}

/// What came of the bytes.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Nothing more comes of them: all were taken, and others are needed.
    More,
    /// A request begins.
    Head(RequestHead),
    /// A piece of its content, never empty.
    Body(&'a [u8]),
    /// The request is complete; these are its trailers, nearly always none.
    End(Headers),
    /// The request cannot be taken: answer with [`Refusal::status`] and close. It stays so.
    Refused(Refusal),
}

/// What a connection is doing; each has a time-out of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Between requests: no byte of the next one has come.
    Idle,
    /// In a head.
    Head,
    /// After a head, before the end of the request.
    Body,
    /// No further request is read: the last one asked to close, or was refused.
    Closed,
}

/// The requests of one connection, one after the other: bytes in, [`Event`]s out.
///
/// It holds an unfinished head and nothing else, so that an idle connection costs no memory beyond its size.
/// See the [module](super) for a conversation.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// [`Limits::body`], or what the route of this request allows.
    body_limit: u64,
    /// Whether the client waits for a 100.
    expects: bool,
    keep_alive: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Head(Block),
    /// The head was handed on; whether its content is allowed is checked when the caller comes back.
    Announced(Framing),
    Length {
        left: u64,
        started: bool,
    },
    // Boxed, so that connections without chunks stay small.
    Chunked(Box<Chunked>),
    End,
    Closed,
    Refused(Refusal),
}

impl Decoder {
    /// A decoder for a new connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let state = State::Head(Block::default());
        Self { limits, body_limit: limits.body, expects: false, keep_alive: true, state }
    }

    /// Takes bytes up to the next event.
    ///
    /// Call it until it says [`Event::More`], each time with the bytes that were not taken (with none,
    /// if all were: an end may still be due), then again when more have arrived. What stays after an [`Event::End`] belongs
    /// to the next request: keep it until this one is answered. After the last request of a connection
    /// all further bytes are taken and dropped (RFC 9112 section 9.6).
    pub fn feed<'a>(&mut self, bytes: &'a [u8]) -> Fed<'a> {
        match &mut self.state {
            State::Head(block) => {
                let bounds = Bounds {
                    // The places of fields are kept in 32 bits.
                    bytes: self.limits.head.min(u32::MAX as usize),
                    lines: self.limits.headers.saturating_add(1),
                    target: Some(self.limits.target),
                };
                let (used, found) = block.feed(bytes, bounds);
                let whole = match found {
                    Ok(Some(whole)) => whole,
                    Ok(None) => return Fed { used, event: Event::More },
                    Err(refusal) => return Fed { used, event: self.refuse(refusal) },
                };
                match parse::head(whole, &self.limits) {
                    Ok(head) => {
                        self.state = State::Announced(head.framing());
                        self.expects = head.expects_continue();
                        self.keep_alive = head.keep_alive();
                        Fed { used, event: Event::Head(head) }
                    }
                    Err(refusal) => Fed { used, event: self.refuse(refusal) },
                }
            }
            State::Announced(framing) => {
                self.state = match *framing {
                    Framing::Empty | Framing::Length(0) => State::End,
                    Framing::Length(n) if n > self.body_limit => {
                        return Fed { used: 0, event: self.refuse(Refusal::BodyTooLarge) };
                    }
                    Framing::Length(left) => State::Length { left, started: false },
                    Framing::Chunked => State::Chunked(Box::new(Chunked::new(&self.limits.body(self.body_limit)))),
                };
                self.feed(bytes)
            }
            State::Length { .. } if bytes.is_empty() => Fed { used: 0, event: Event::More },
            State::Length { left, started } => {
                let piece = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                (*left, *started) = (*left - piece as u64, true);
                if *left == 0 {
                    self.state = State::End;
                }
                Fed { used: piece, event: Event::Body(&bytes[..piece]) }
            }
            State::Chunked(chunked) => {
                let fed = chunked.feed(bytes);
                match fed.event {
                    Event::End(_) => self.next(),
                    Event::Refused(refusal) => self.state = State::Refused(refusal),
                    _ => {}
                }
                fed
            }
            State::End => {
                self.next();
                Fed { used: 0, event: Event::End(Headers::default()) }
            }
            State::Closed => Fed { used: bytes.len(), event: Event::More },
            State::Refused(refusal) => Fed { used: 0, event: Event::Refused(*refusal) },
        }
    }

    /// What the connection is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Head(block) if block.is_empty() => Phase::Idle,
            State::Head(_) => Phase::Head,
            State::Announced(_) | State::Length { .. } | State::Chunked(_) | State::End => Phase::Body,
            State::Closed | State::Refused(_) => Phase::Closed,
        }
    }

    /// Whether a `100 Continue` should be sent now; it says so once.
    ///
    /// Ask after [`Event::More`], unless the request was answered already: the client waits, its content
    /// is not too large, and none of it has come (RFC 9110 section 10.1.1).
    pub fn take_continue(&mut self) -> bool {
        let waits = match &self.state {
            State::Length { started, .. } => !started,
            State::Chunked(chunked) => !chunked.started(),
            _ => false,
        };
        waits && std::mem::take(&mut self.expects)
    }

    /// Bounds the content of this request by another number of bytes than [`Limits::body`]. Call it right after
    /// [`Event::Head`]: a length beyond the bound is refused at the next call.
    pub fn set_body_limit(&mut self, bytes: u64) {
        self.body_limit = bytes;
        if let State::Chunked(chunked) = &mut self.state {
            chunked.set_body_limit(bytes);
        }
    }

    /// Reads no further request: what follows this one is dropped. For an answer that closes.
    pub fn close(&mut self) {
        self.keep_alive = false;
        if let State::Head(_) = self.state {
            self.state = State::Closed;
        }
    }

    fn next(&mut self) {
        self.body_limit = self.limits.body;
        self.expects = false;
        self.state = if self.keep_alive { State::Head(Block::default()) } else { State::Closed };
    }

    fn refuse<'a>(&mut self, refusal: Refusal) -> Event<'a> {
        self.state = State::Refused(refusal);
        Event::Refused(refusal)
    }
}
