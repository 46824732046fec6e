//! WebSocket, [RFC 6455](https://www.rfc-editor.org/rfc/rfc6455), as machines without sockets:
//! the [handshake](server), the [frames](frame), and a [`Connection`] of messages for both roles.
//!
//! No extension is ever negotiated, so reserved bits are an error.
//!
//! ```text
//!            close()                          peer's close frame
//!  Open ─────────────────▶ CloseSent ──────────────────────────────▶ Closed
//!    │                         │ ProtocolError: no second close frame   ▲ ▲
//!    │                         └────────────────────────────────────────┘ │
//!    │ peer's close frame: its code is the answer           flush()       │
//!    ├────────────────────────────────────────▶ ClosePending ─────────────┘
//!    │ ProtocolError: its close code                 ▲
//!    └───────────────────────────────────────────────┘
//! ```
//!
//! A whole conversation, a client on the left and a server on the right:
//!
//! ```
//! use gaffer::proto::ws::{CloseCode, Connection, Event, Limits, Masks, State, client, server};
//!
//! // The handshake: a request, whose headers the server's HTTP parser hands over, and the answer.
//! let handshake = client::Handshake::new("localhost:5000", "/wstreams/1", [7; 16])?.protocol("chat")?;
//! let mut request = Vec::new();
//! handshake.write(&mut request);
//! assert!(request.starts_with(b"GET /wstreams/1 HTTP/1.1\r\nHost: localhost:5000\r\n"));
//! let head = String::from_utf8(request).expect("a head is ASCII");
//! let headers = head.lines().filter_map(|line| line.split_once(": ")).map(|(name, value)| (name, value.as_bytes()));
//! let upgrade = server::check("GET", headers).expect("the request is right");
//! let protocol = upgrade.choose(&["superchat", "chat"]);
//! let mut response = Vec::new();
//! upgrade.write(protocol, &mut response);
//! let head = String::from_utf8(response).expect("a head is ASCII");
//! assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
//! let headers = head.lines().filter_map(|line| line.split_once(": ")).map(|(name, value)| (name, value.as_bytes()));
//! assert_eq!(handshake.check(101, headers)?, Some("chat"));
//!
//! // Messages.
//! let mut left = Connection::client(Limits::default(), Masks::seeded(1));
//! let mut right = Connection::server(Limits::default());
//! let (mut to_right, mut to_left) = (Vec::new(), Vec::new());
//! left.text("hello", &mut to_right)?;
//! left.ping(b"there?", &mut to_right)?;
//!
//! let fed = right.feed(&to_right);
//! assert_eq!(fed.out, Ok(Some(Event::Text("hello".to_owned()))));
//! let rest = right.feed(&to_right[fed.used..]);
//! assert_eq!(rest.out, Ok(Some(Event::Ping(b"there?".to_vec()))));
//! assert_eq!(fed.used + rest.used, to_right.len());
//! right.binary(b"\0\xff", &mut to_left)?; // the pong goes first
//! assert_eq!(to_left, b"\x8a\x06there?\x82\x02\0\xff");
//!
//! // Goodbye.
//! to_right.clear();
//! left.close(CloseCode::GOING_AWAY, "lunch", &mut to_right)?;
//! assert_eq!(left.state(), State::CloseSent);
//! let Ok(Some(Event::Close(close))) = right.feed(&to_right).out else { panic!("not a close frame") };
//! assert_eq!((close.code, &close.reason[..]), (Some(CloseCode::GOING_AWAY), "lunch"));
//! right.flush(&mut to_left);
//! assert_eq!(right.state(), State::Closed);
//!
//! let mut at = 0;
//! while at < to_left.len() {
//!     at += left.feed(&to_left[at..]).used;
//! }
//! assert_eq!(left.state(), State::Closed);
//! # Ok::<(), gaffer::Error>(())
//! ```

pub mod client;
mod close;
mod connection;
mod error;
pub mod frame;
mod handshake;
pub mod mask;
pub mod server;
mod utf8;

#[cfg(test)]
mod tests;

pub use close::{Close, CloseCode, MAX_REASON};
pub use connection::{Connection, Event, State};
pub use error::ProtocolError;
pub use mask::Masks;

/// Which side of a connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Receives masked frames and sends clear ones.
    Server,
    /// Receives clear frames and sends masked ones.
    Client,
}

/// What one call of `feed` did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Fed<T> {
    /// How many bytes were taken; right on success, when more is needed, and on error.
    pub used: usize,
    /// What they completed; `None` when all were taken and more are needed.
    pub out: Result<Option<T>, ProtocolError>,
}

/// Bounds of what a peer may send, in bytes. Each is checked when a frame's header is read, before
/// anything is reserved for its payload; what is over it closes the connection with 1009.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest payload of one data frame; 16 MiB by default. Control frames have 125 at most.
    pub max_frame: usize,
    /// The longest message, all its fragments together; 16 MiB by default.
    pub max_message: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_frame: 16 << 20, max_message: 16 << 20 }
    }
}

impl Limits {
    /// Sets [`max_frame`](Self::max_frame).
    #[must_use]
    pub const fn max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = bytes;
        self
    }

    /// Sets [`max_message`](Self::max_message).
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }
}

#[cfg(test)]
const _: () = {
    const fn assert_send<T: Send>() {}
    assert_send::<Connection>();
};
