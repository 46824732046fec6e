//! The channel as a socket: commands and topics by messages of text.

use std::any::Any;

use super::call::{Request, Socket};
use super::guard::Guard;
use super::socket::{Message, SocketOut};
use crate::access::Who;
use crate::controller::{Gate, Session};
use crate::manager::Cx;

/// A socket that speaks the protocol of [`Session`]: what `/channel/websocket` is.
///
/// What the client does not take waits in its connection, up to half of [`Config::unsent`](super::Config::unsent), and then in the session's
/// queue, which says what it leaves out.
#[must_use]
pub fn channel_socket() -> Box<dyn Socket> {
    Box::new(Channel { session: None, gate: None })
}

/// The same, for whoever has the rights: by the key of the request, or that of an `AUTH:` message.
#[must_use]
pub fn guarded_channel(guard: &Guard, request: &Request) -> Box<dyn Socket> {
    // A request with a key that is not known is refused before, where that can be; here it is nobody's.
    let who = guard.who(&request.head, &request.peer).unwrap_or(Who::Nobody);
    with_gate(Some(guard.gate(who, request.peer.clone())))
}

pub(super) fn with_gate(gate: Option<Box<dyn Gate>>) -> Box<dyn Socket> {
    Box::new(Channel { session: None, gate })
}

struct Channel {
    /// From its opening on.
    session: Option<Session>,
    /// Until then.
    gate: Option<Box<dyn Gate>>,
}

/// Messages wait.
struct Ready;

impl Channel {
    /// Sends what waits, as far as the client takes it.
    fn send(&mut self, cx: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        let Some(session) = &mut self.session else { return };
        while out.is_open() {
            if out.is_full() {
                return out.wait_for_room();
            }
            match session.next(cx) {
                Some(message) => {
                    out.text(&message);
                }
                None => return,
            }
        }
    }
}

impl Socket for Channel {
    fn open(&mut self, _: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        let address = out.address();
        let session = Session::new(move |cx| address.send(cx, Ready));
        self.session = Some(match self.gate.take() {
            Some(gate) => session.guarded(gate),
            None => session,
        });
    }

    fn message(&mut self, cx: &mut Cx<'_>, message: Message, out: &mut SocketOut<'_>) {
        let Some(session) = &mut self.session else { return };
        let text = match message {
            Message::Text(text) => text,
            // What is not UTF-8 is no JSON either, and is told so.
            Message::Binary(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        };
        session.message(cx, &text, &mut |answer| {
            out.text(&answer);
        });
    }

    fn mail(&mut self, cx: &mut Cx<'_>, _: Box<dyn Any + Send>, out: &mut SocketOut<'_>) {
        self.send(cx, out);
    }

    fn room(&mut self, cx: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        self.send(cx, out);
    }

    fn recheck(&mut self, cx: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        let Some(session) = &mut self.session else { return };
        let outcome = session.recheck(cx, &mut |message| {
            out.text(&message);
        });
        if let Err(e) = outcome {
            out.refuse(&e.message);
        }
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        if let Some(mut session) = self.session.take() {
            session.close(cx);
        }
    }
}
