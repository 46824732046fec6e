//! Websockets of handlers.

use std::any::Any;
use std::fmt;

use crate::event_loop::SourceId;
use crate::manager::{AppId, Cx};
use crate::proto::ws::{CloseCode, Connection, MAX_REASON, State};

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Message {
    /// What it consists of, whichever of the two it is.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
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

/// To a client of SockJS, for which 1008 is a failure of its transport: as the status 403, in the range of libraries.
pub(super) const REFUSED: CloseCode = CloseCode::new(3403).expect("in the range of libraries");

/// What carries messages to the client: a websocket, or a session of SockJS.
pub(super) trait Carrier: fmt::Debug {
    /// Appends text to what is to be sent, or keeps it; false if the way is closed.
    fn text(&mut self, text: &str, out: &mut Vec<u8>) -> bool;
    /// The same with bytes.
    fn binary(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool;
    /// Says goodbye, if that was not said.
    fn close(&mut self, code: CloseCode, reason: &str, out: &mut Vec<u8>);
    fn is_open(&self) -> bool;
    /// What tells the client that it is not allowed any more.
    fn refusal(&self) -> CloseCode {
        CloseCode::POLICY
    }
    /// Bytes that it keeps.
    fn waiting(&self) -> usize {
        0
    }
    fn is_text_only(&self) -> bool {
        false
    }
}

impl Carrier for Connection {
    fn text(&mut self, text: &str, out: &mut Vec<u8>) -> bool {
        Self::text(self, text, out).is_ok()
    }

    fn binary(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        Self::binary(self, bytes, out).is_ok()
    }

    fn close(&mut self, code: CloseCode, reason: &str, out: &mut Vec<u8>) {
        let mut end = reason.len().min(MAX_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        Self::close(self, code, &reason[..end], out).expect("the reason was cut to its bound");
    }

    fn is_open(&self) -> bool {
        self.state() == State::Open
    }
}

/// The way to the client, by a websocket or a session of [SockJS](super::sockjs).
///
/// What the client has not taken yet is bounded ([`Config::unsent`](super::Config::unsent)). Ask [`is_full`](Self::is_full) where your
/// protocol can leave something out and say so; a message beyond the bound cuts the connection, because one that was left out silently would be
/// worse. A session of SockJS, whose client may be between two requests, keeps messages up to the same bound; beyond it, it is closed with 1008
/// "Too far behind".
#[derive(Debug)]
pub struct SocketOut<'a> {
    pub(super) connection: &'a mut dyn Carrier,
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
        self.has_room(text.len()) && self.connection.text(text, self.out)
    }

    /// Sends bytes; where only text can be sent, as text, in which U+FFFD stands for what is no UTF-8. See
    /// [`is_text_only`](Self::is_text_only).
    pub fn binary(&mut self, bytes: &[u8]) -> bool {
        self.has_room(bytes.len()) && self.connection.binary(bytes, self.out)
    }

    /// Whether bytes would have to travel as text, as SockJS has it: a protocol with a form for that, Base64 say, uses it then.
    #[must_use]
    pub fn is_text_only(&self) -> bool {
        self.connection.is_text_only()
    }

    /// Says goodbye; nothing can be sent after it. A websocket cuts the reason at 123 bytes.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        self.connection.close(code, reason, self.out);
    }

    /// Says goodbye to a client that is not allowed any more: 1008, in SockJS 3403.
    pub fn refuse(&mut self, reason: &str) {
        self.close(self.connection.refusal(), reason);
    }

    /// Bytes that the client has not taken yet.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.out.len() - self.sent + self.connection.waiting()
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
        !*self.overflow && self.connection.is_open()
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
    pub(super) place: Place,
}

/// What has the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Connection(SourceId),
    /// A session of SockJS, by its number.
    Session(u64),
}

impl SocketAddress {
    /// Sends the socket a message, which arrives in its [`mail`](super::Socket::mail) within this turn; dropped if the connection
    /// (or session) is gone.
    pub fn send(&self, cx: &mut Cx<'_>, message: impl Any + Send) {
        cx.mail(self.app, SocketMail { place: self.place, message: Box::new(message) });
    }
}

pub(super) struct SocketMail {
    pub(super) place: Place,
    pub(super) message: Box<dyn Any + Send>,
}
