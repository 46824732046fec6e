//! Messages and the two halves of goodbye, RFC 6455 sections 5.4-7.

use super::frame::{self, Header, HeaderDecoder, MAX_CONTROL, Opcode};
use super::utf8::Utf8;
use super::{Close, CloseCode, Fed, Limits, Masks, ProtocolError, Role, close, mask};
use crate::{Error, ErrorKind, Result};

/// Payloads are unmasked and checked in pieces of this size: small enough to stay in the cache.
const PIECE: usize = 4096;

/// Most messages are no longer than this.
const SHORT: usize = 256;

/// What came from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A whole text message.
    Text(String),
    /// A whole binary message.
    Binary(Vec<u8>),
    /// A ping; the pong is made by [`Connection::flush`], nothing is left to do.
    Ping(Vec<u8>),
    /// A pong, asked for or not.
    Pong(Vec<u8>),
    /// The peer closes; the answer is made by [`Connection::flush`].
    Close(Close),
}

/// How far the goodbye is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Messages may be sent and received.
    Open,
    /// We said goodbye and nothing more: what the peer sends until its own goodbye is received.
    CloseSent,
    /// The peer said goodbye, or broke the protocol; [`Connection::flush`] tells it ours.
    ClosePending,
    /// Both have said goodbye, or one will not hear it: the transport is to be closed once what was
    /// written is sent. A client waits a moment for the server to do so first (section 7.1.1).
    Closed,
}

/// One connection after its handshake, as either role.
///
/// See the [module](super) for a whole conversation. What it holds is bounded: the message being
/// received ([`Limits::max_message`], allocated as it arrives, at most doubled by growth), one
/// control frame, one pong and one close frame that wait for [`flush`](Self::flush).
#[derive(Debug)]
pub struct Connection {
    limits: Limits,
    /// Clients mask what they send.
    masks: Option<Masks>,
    state: State,
    failed: Option<ProtocolError>,
    headers: HeaderDecoder,
    frame: Option<Frame>,
    message: Option<Message>,
    control: Vec<u8>,
    /// The payload of the last ping, if it was not answered yet.
    pong: Option<Vec<u8>>,
    /// The payload of our close frame; meaningful in `ClosePending`.
    goodbye: Vec<u8>,
}

/// The frame whose payload is coming in.
#[derive(Debug)]
struct Frame {
    header: Header,
    done: u64,
}

/// The message whose frames are coming in.
#[derive(Debug)]
enum Message {
    Text(String, Utf8),
    Binary(Vec<u8>),
}

impl Message {
    fn len(&self) -> usize {
        match self {
            Self::Text(text, _) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

impl Connection {
    /// The server's side.
    #[must_use]
    pub const fn server(limits: Limits) -> Self {
        Self::new(Role::Server, limits, None)
    }

    /// The client's side, which masks what it sends.
    #[must_use]
    pub const fn client(limits: Limits, masks: Masks) -> Self {
        Self::new(Role::Client, limits, Some(masks))
    }

    const fn new(role: Role, limits: Limits, masks: Option<Masks>) -> Self {
        Self {
            limits,
            masks,
            state: State::Open,
            failed: None,
            headers: HeaderDecoder::new(role, limits.max_frame),
            frame: None,
            message: None,
            control: Vec::new(),
            pong: None,
            goodbye: Vec::new(),
        }
    }

    /// How far the goodbye is.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether [`flush`](Self::flush) would write something.
    #[must_use]
    pub const fn has_output(&self) -> bool {
        (self.pong.is_some() && matches!(self.state, State::Open)) || matches!(self.state, State::ClosePending)
    }

    /// Takes bytes up to the end of the next message or control frame.
    ///
    /// Call it until everything is used. What comes after the peer's close frame is thrown away, as
    /// section 1.4 says; so is what comes after an error.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol or a limit. `used` counts the byte at fault, the close frame is
    /// ready to be [flushed](Self::flush), and all later calls give the same error.
    pub fn feed(&mut self, bytes: &[u8]) -> Fed<Event> {
        if let Some(error) = self.failed {
            return Fed { used: bytes.len(), out: Err(error) };
        }
        if matches!(self.state, State::ClosePending | State::Closed) {
            return Fed { used: bytes.len(), out: Ok(None) };
        }
        let mut used = 0;
        let out = self.receive(bytes, &mut used);
        if let Err(error) = out {
            self.fail(error);
        }
        Fed { used, out }
    }

    fn receive(&mut self, bytes: &[u8], used: &mut usize) -> Result<Option<Event>, ProtocolError> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => {
                    let fed = self.headers.feed(&bytes[*used..]);
                    *used += fed.used;
                    let Some(header) = fed.out? else { return Ok(None) };
                    self.begin(&header)?;
                    Frame { header, done: 0 }
                }
            };
            let rest = &bytes[*used..];
            let left = frame.header.len - frame.done;
            let piece = usize::try_from(left).map_or(rest, |left| &rest[..left.min(rest.len())]);
            if let Err((at, error)) = self.payload(&frame, piece) {
                *used += at + 1;
                return Err(error);
            }
            *used += piece.len();
            frame.done += piece.len() as u64;
            if frame.done < frame.header.len {
                self.frame = Some(frame);
                return Ok(None);
            }
            if let Some(event) = self.end(&frame.header)? {
                return Ok(Some(event));
            }
        }
    }

    /// The rules of fragmentation (section 5.4) and the limit of messages, before a byte of payload.
    fn begin(&mut self, header: &Header) -> Result<(), ProtocolError> {
        match (header.opcode, &self.message) {
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(ProtocolError::UnfinishedMessage),
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Text, None) => self.message = Some(Message::Text(String::new(), Utf8::default())),
            (Opcode::Binary, None) => self.message = Some(Message::Binary(Vec::new())),
            (Opcode::Continuation, Some(_)) => {}
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => return Ok(()),
        }
        let before = self.message.as_ref().map_or(0, Message::len) as u64;
        // A length has 63 bits at most and what is held fits into memory: this does not overflow.
        if before + header.len > self.limits.max_message as u64 {
            return Err(ProtocolError::MessageTooBig);
        }
        Ok(())
    }

    /// Takes a piece of payload; an error comes with the place of the byte at fault.
    fn payload(&mut self, frame: &Frame, bytes: &[u8]) -> Result<(), (usize, ProtocolError)> {
        let offset = (frame.done % 4) as usize;
        let unmask = |at: usize, bytes: &mut [u8]| {
            if let Some(key) = frame.header.mask {
                mask::apply(key, offset + at, bytes);
            }
        };
        let append = |to: &mut Vec<u8>| {
            to.reserve(bytes.len());
            for (n, piece) in bytes.chunks(PIECE).enumerate() {
                let begin = to.len();
                to.extend_from_slice(piece);
                unmask(n * PIECE, &mut to[begin..]);
            }
        };
        match &mut self.message {
            _ if frame.header.opcode.is_control() => append(&mut self.control),
            Some(Message::Binary(data)) => append(data),
            Some(Message::Text(text, utf8)) => {
                text.reserve(bytes.len());
                // A `String` cannot be unmasked in place: that is done on the way to it, through an
                // array whose initialisation should not cost more than a short message.
                let mut push = |scratch: &mut [u8]| {
                    let mut at = 0;
                    for piece in bytes.chunks(scratch.len()) {
                        let clear = &mut scratch[..piece.len()];
                        clear.copy_from_slice(piece);
                        unmask(at, clear);
                        utf8.push(clear, text).map_err(|bad| (at + bad, ProtocolError::InvalidUtf8))?;
                        at += piece.len();
                    }
                    Ok(())
                };
                return if bytes.len() <= SHORT { push(&mut [0; SHORT]) } else { push(&mut [0; PIECE]) };
            }
            None => unreachable!("`begin` opens a message for every data frame"),
        }
        Ok(())
    }

    /// The end of a frame, and perhaps of a message.
    fn end(&mut self, header: &Header) -> Result<Option<Event>, ProtocolError> {
        if header.opcode.is_control() {
            let payload = std::mem::take(&mut self.control);
            return Ok(Some(match header.opcode {
                Opcode::Ping => {
                    // "MAY elect to send a Pong frame for only the most recently processed Ping frame"
                    // (section 5.5.3): this is the bound of what a flood of pings costs.
                    self.pong = (self.state == State::Open).then(|| payload.clone());
                    Event::Ping(payload)
                }
                Opcode::Pong => Event::Pong(payload),
                _ => Event::Close(self.peer_closes(&payload)?),
            }));
        }
        if !header.fin {
            return Ok(None);
        }
        match self.message.take() {
            Some(Message::Text(text, utf8)) if utf8.is_complete() => Ok(Some(Event::Text(text))),
            Some(Message::Text(..)) => Err(ProtocolError::InvalidUtf8),
            Some(Message::Binary(bytes)) => Ok(Some(Event::Binary(bytes))),
            None => unreachable!("`begin` opens a message for every data frame"),
        }
    }

    fn peer_closes(&mut self, payload: &[u8]) -> Result<Close, ProtocolError> {
        let close = Close::parse(payload)?;
        self.message = None;
        self.pong = None;
        if self.state == State::CloseSent {
            self.state = State::Closed;
        } else {
            // "When sending a Close frame in response, the endpoint typically echos the status code
            // it received" (section 5.5.1).
            self.goodbye = close.code.map_or(Vec::new(), |code| code.get().to_be_bytes().to_vec());
            self.state = State::ClosePending;
        }
        Ok(close)
    }

    fn fail(&mut self, error: ProtocolError) {
        self.failed = Some(error);
        self.message = None;
        self.pong = None;
        self.control = Vec::new();
        if self.state == State::CloseSent {
            // No second close frame: section 5.5.1 allows nothing after the first.
            self.state = State::Closed;
        } else {
            self.goodbye = close::payload(error.close_code(), error.reason()).expect("our reasons are short");
            self.state = State::ClosePending;
        }
    }

    /// Appends what is due: the pong to the last ping, the close frame.
    ///
    /// Called after each [`feed`](Self::feed), every ping has its pong; called only when `out` has
    /// room, a peer that sends pings and does not read gets one for the last of them.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        match self.state {
            State::Open => {
                if let Some(payload) = self.pong.take() {
                    self.write(Opcode::Pong, &payload, out);
                }
            }
            State::ClosePending => {
                let payload = std::mem::take(&mut self.goodbye);
                self.write(Opcode::Close, &payload, out);
                self.state = State::Closed;
            }
            State::CloseSent | State::Closed => {}
        }
    }

    /// Appends a text message, after a pong that is due.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] once either side has said goodbye.
    pub fn text(&mut self, text: &str, out: &mut Vec<u8>) -> Result<()> {
        self.send(Opcode::Text, text.as_bytes(), out)
    }

    /// Appends a binary message, after a pong that is due.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] once either side has said goodbye.
    pub fn binary(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.send(Opcode::Binary, bytes, out)
    }

    /// Appends a ping: the peer answers with a pong of the same payload, which is an [`Event::Pong`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] once either side has said goodbye; [`ErrorKind::Invalid`] for more than
    /// 125 bytes.
    pub fn ping(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if payload.len() > MAX_CONTROL {
            let message = format!("websocket ping of {} bytes, the most is {MAX_CONTROL}", payload.len());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.send(Opcode::Ping, payload, out)
    }

    /// Says goodbye; after that, nothing can be sent, and the peer's goodbye is to come.
    ///
    /// When goodbye was said before it does nothing, and when the peer's was received or is the
    /// answer to an error it is the same as [`flush`](Self::flush). The wait for the peer's needs a
    /// limit, which is the owner's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a reason of more than [`MAX_REASON`](super::MAX_REASON) bytes.
    pub fn close(&mut self, code: CloseCode, reason: &str, out: &mut Vec<u8>) -> Result<()> {
        let payload = close::payload(code, reason)?;
        self.flush(out);
        if self.state == State::Open {
            self.write(Opcode::Close, &payload, out);
            self.state = State::CloseSent;
        }
        Ok(())
    }

    fn send(&mut self, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if self.state != State::Open {
            return Err(Error::new(ErrorKind::Closed, "websocket: the connection is closing"));
        }
        self.flush(out);
        self.write(opcode, payload, out);
        Ok(())
    }

    fn write(&mut self, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
        let mask = self.masks.as_mut().map(Masks::draw);
        frame::write(true, opcode, mask, payload, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(connection: &Connection) -> usize {
        let message = match &connection.message {
            Some(Message::Text(text, _)) => text.capacity(),
            Some(Message::Binary(bytes)) => bytes.capacity(),
            None => 0,
        };
        let pong = connection.pong.as_ref().map_or(0, Vec::capacity);
        message + pong + connection.control.capacity() + connection.goodbye.capacity()
    }

    #[test]
    fn memory_follows_what_has_arrived() {
        assert!(size_of::<Connection>() <= 320, "{} bytes an idle connection", size_of::<Connection>());
        for opcode in [Opcode::Text, Opcode::Binary] {
            let mut connection = Connection::client(Limits::default(), Masks::seeded(1));
            let mut head = Vec::new();
            Header { fin: false, opcode, mask: None, len: 16 << 20 }.write(&mut head);
            assert_eq!(connection.feed(&head).out, Ok(None));
            assert_eq!(held(&connection), 0, "nothing is reserved for what is announced");
            let (mut arrived, chunk) = (0, vec![b'x'; 100_000]);
            while arrived + chunk.len() <= 16 << 20 {
                assert_eq!(connection.feed(&chunk).out, Ok(None));
                arrived += chunk.len();
                assert!(held(&connection) <= 2 * arrived, "{} for {arrived}", held(&connection));
            }
            let before = held(&connection);
            for _ in 0..1000 {
                assert_eq!(connection.feed(b""), Fed { used: 0, out: Ok(None) });
            }
            assert_eq!(held(&connection), before);
            // A frame of a server must not be masked: that ends it, and the message is let go.
            let rest = vec![b'x'; (16 << 20) - arrived];
            assert_eq!(connection.feed(&rest).out, Ok(None));
            assert_eq!(connection.feed(b"\x80\x80").out, Err(ProtocolError::Masked));
            assert!(held(&connection) < 125, "{}", held(&connection));
        }
    }

    #[test]
    fn empty_fragments_and_control_frames_add_nothing() {
        let mut connection = Connection::client(Limits::default(), Masks::seeded(1));
        assert_eq!(connection.feed(b"\x01\0").out, Ok(None));
        let mut bytes = Vec::new();
        for _ in 0..10_000 {
            bytes.extend_from_slice(b"\0\0\x89\x04ping\x8a\x04pong");
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let fed = connection.feed(rest);
            assert!(fed.out.is_ok());
            rest = &rest[fed.used..];
            assert!(held(&connection) <= 16, "{}", held(&connection));
        }
    }
}
