//! [SockJS](https://github.com/sockjs/sockjs-protocol) 0.3.3, as machines without sockets: the [frames](frame), what each transport makes of them
//! ([`Framing`]), and a [`Session`], which outlives the requests that carry it.
//!
//! ```text
//!          attach                    the response is full, or a poll is answered
//!  (new) ─────────▶ attached ──────────────────────────────────▶ detached
//!                    │  │  ▲                                      │  │ │
//!                    │  │  └──────────────────────────────────────┘  │ │ disconnect delay
//!                    │  │                attach                      │ ▼
//!                    │  │ interrupt: 1002     close(), too much      │ (gone)
//!                    │  └──────────────────▶ Closed ◀────────────────┘  ▲
//!                    └──────────────────────▶  │ ───────────────────────┘
//!                      close(), too much       └ each attach gets the close frame
//! ```
//!
//! A whole conversation of two polls:
//!
//! ```
//! use gaffer::proto::sockjs::{Attached, Frame, Framing, Session, Settings, parse_messages};
//! use std::time::Instant;
//!
//! let now = Instant::now();
//! let mut session = Session::new(Settings::default(), now);
//! let mut body = Vec::new();
//! assert_eq!(session.attach(Framing::Xhr, now, &mut body), Attached::Done); // a poll ends with its first frame
//! assert_eq!(body, b"o\n");
//!
//! // The client sends with requests of their own.
//! assert_eq!(parse_messages(br#"["hello"]"#)?, ["hello"]);
//!
//! body.clear();
//! assert_eq!(session.attach(Framing::Xhr, now, &mut body), Attached::Held);
//! assert!(body.is_empty());
//! assert!(session.send("hello".to_owned()));
//! assert_eq!(session.pump(now, &mut body), Attached::Done);
//! assert_eq!(body, b"a[\"hello\"]\n");
//! assert_eq!(Frame::parse("a[\"hello\"]"), Some(Frame::Messages(vec!["hello".to_owned()])));
//!
//! session.close(3000, "Go away!");
//! body.clear();
//! assert_eq!(session.attach(Framing::Xhr, now, &mut body), Attached::Done);
//! assert_eq!(body, b"c[3000,\"Go away!\"]\n");
//! # Ok::<(), gaffer::proto::sockjs::ParseError>(())
//! ```

mod chunking;
pub mod frame;
mod framing;
mod json;
mod session;

#[cfg(test)]
mod tests;

pub use chunking::ChunkingTest;
pub use frame::Frame;
pub use framing::{Callback, Framing};
pub use json::{ParseError, parse_messages, parse_websocket, quote};
pub use session::{Attached, Session, Settings, Timeout};
