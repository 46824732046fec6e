//! Server-sent events, as the [HTML standard] has them (9.2), without sockets: a [`Message`] is
//! written by servers, an [`Event`] is what a [`Parser`] reads.
//!
//! ```text
//!          ┌─────────┐ field: data, event, id   ┌───────────┐
//!  feed ──▶│ between │─────────────────────────▶│ in event  │──┐ field or comment
//!          │ events  │◀─────────────────────────│           │◀─┘
//!          └─────────┘ blank line: Event, if    └───────────┘
//!               │      there was data                 │
//!               └───────────▶ Error ◀─────────────────┘ a line or an event over its limit
//! ```
//!
//! A whole conversation, from the first byte to the resumption after a lost connection:
//!
//! ```
//! use gaffer::proto::sse::{self, Message, Parser};
//! use std::time::Duration;
//!
//! // The server.
//! let mut stream = Vec::new();
//! sse::write_retry(Duration::from_secs(2), &mut stream);
//! Message::new("two\nlines").id("41").event("exit").write(&mut stream)?;
//! sse::write_comment("still here", &mut stream); // a heartbeat
//! Message::new("{}").id("42").write(&mut stream)?;
//! assert_eq!(
//!     String::from_utf8(stream.clone()).unwrap(),
//!     "retry: 2000\n\nid: 41\nevent: exit\ndata: two\ndata: lines\n\n: still here\n\nid: 42\ndata: {}\n\n"
//! );
//!
//! // The client; the connection breaks in the middle of the second event.
//! let (mut parser, mut events) = (Parser::default(), Vec::new());
//! let mut rest = &stream[..stream.len() - 1];
//! while !rest.is_empty() {
//!     let fed = parser.feed(rest);
//!     rest = &rest[fed.used..];
//!     events.extend(fed.out?);
//! }
//! assert_eq!(events.len(), 1);
//! assert_eq!((&events[0].event[..], &events[0].data[..]), ("exit", "two\nlines"));
//! assert_eq!(parser.retry(), Some(Duration::from_secs(2)));
//!
//! // It connects again with this Last-Event-ID, and the server goes on after it.
//! assert_eq!(parser.last_event_id(), "41");
//! parser.reconnect();
//! assert_eq!(parser.feed(b"id: 42\ndata: {}\n\n").out?.unwrap().data, "{}");
//! # Ok::<(), gaffer::Error>(())
//! ```
//!
//! [HTML standard]: https://html.spec.whatwg.org/multipage/server-sent-events.html

mod parser;
mod writer;

#[cfg(test)]
mod tests;

pub use parser::{Event, Fed, Limits, ParseError, Parser};
pub use writer::{Message, write_comment, write_retry};

/// The media type of an event stream.
pub const MEDIA_TYPE: &str = "text/event-stream";
