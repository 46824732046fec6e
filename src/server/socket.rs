//! Websockets of handlers.

use std::any::Any;

use crate::event_loop::SourceId;
use crate::manager::{AppId, Cx};
use crate::proto::ws::{CloseCode, Connection, State};

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

/// The way to the client.
///
/// What the client has not taken yet is bounded ([`Config::unsent`](super::Config::unsent)). Ask [`is_full`](Self::is_full) where your
/// protocol can leave something out and say so; a message beyond the bound cuts the connection, because one that was left out silently would be
/// worse.
#[derive(Debug)]
pub struct SocketOut<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) out: &'a mut Vec<u8>,
    /// Bytes at the start of `out` that were sent.
    pub(super) sent: usize,
    pub(super) limit: usize,
    pub(super) overflow: &'a mut bool,
    pub(super) waits: &'a mut bool,
    pub(super) address: SocketAddress,
}

impl SocketOut<'_> {
    /// Sends a message; false once the connection is closing or was cut.
    pub fn send(&mut self, message: impl Into<Message>) -> bool {
        match message.into() {
            Message::Text(text) => self.text(&text),
            Message::Binary(bytes) => self.binary(&bytes),
        }
    }

    /// Sends text.
    pub fn text(&mut self, text: &str) -> bool {
        self.has_room(text.len()) && self.connection.text(text, self.out).is_ok()
    }

    /// Sends bytes.
    pub fn binary(&mut self, bytes: &[u8]) -> bool {
        self.has_room(bytes.len()) && self.connection.binary(bytes, self.out).is_ok()
    }

    /// Says goodbye; nothing can be sent after it. The reason is cut at 123 bytes.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        let mut end = reason.len().min(crate::proto::ws::MAX_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        self.connection.close(code, &reason[..end], self.out).expect("the reason was cut to its bound");
    }

    /// Bytes that the client has not taken yet.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Whether the client is half of the bound behind: send only what cannot be left out.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.unsent() >= self.limit / 2
    }

    /// Has [`Socket::room`](super::Socket::room) called when the client has caught up; soon, if it is not behind.
    pub fn wait_for_room(&mut self) {
        *self.waits = true;
    }

    /// Whether messages can still be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !*self.overflow && self.connection.state() == State::Open
    }

    /// Where closures reach this socket.
    #[must_use]
    pub const fn address(&self) -> SocketAddress {
        self.address
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        if self.unsent().saturating_add(bytes) > self.limit {
            *self.overflow = true;
        }
        !*self.overflow
    }
}

/// Where closures that a [`Socket`](super::Socket) has set up reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketAddress {
    pub(super) app: AppId,
    pub(super) connection: SourceId,
}

impl SocketAddress {
    /// Sends the socket a message, which arrives in its [`mail`](super::Socket::mail) within this turn; dropped if the connection is gone.
    pub fn send(&self, cx: &mut Cx<'_>, message: impl Any + Send) {
        cx.mail(self.app, SocketMail { connection: self.connection, message: Box::new(message) });
    }
}

pub(super) struct SocketMail {
    pub(super) connection: SourceId,
    pub(super) message: Box<dyn Any + Send>,
}
