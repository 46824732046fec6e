//! A session on a websocket, whose life is that of the connection.

use crate::manager::Cx;
use crate::proto::h1::RequestHead;
use crate::proto::sockjs::{frame, parse_websocket};
use crate::proto::ws::{CloseCode, Connection, State};
use crate::server::HttpServer;
use crate::server::conn::{Conn, Mode};
use crate::server::socket::{Carrier, Message, REFUSED};

/// The connection, with the frames of SockJS in its messages.
#[derive(Debug)]
pub(in crate::server) struct Framed<'a>(pub(in crate::server) &'a mut Connection);

impl Carrier for Framed<'_> {
    fn text(&mut self, text: &str, out: &mut Vec<u8>) -> bool {
        self.0.text(&frame::messages([text]), out).is_ok()
    }

    fn binary(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        self.text(&String::from_utf8_lossy(bytes), out)
    }

    fn close(&mut self, code: CloseCode, reason: &str, out: &mut Vec<u8>) {
        // A frame for the client library, and goodbye for its websocket. Beyond an earlier goodbye there is nobody to tell.
        let _ = self.0.text(&frame::close(code.get(), reason), out);
        Carrier::close(self.0, code, reason, out);
    }

    fn is_open(&self) -> bool {
        self.0.state() == State::Open
    }

    fn refusal(&self) -> CloseCode {
        REFUSED
    }

    fn is_text_only(&self) -> bool {
        true
    }
}

/// What the protocol answers to what is no upgrade, before the handshake is looked at.
pub(super) fn check(head: &RequestHead) -> Result<(), &'static str> {
    let fields = head.headers();
    if !fields.has_token("upgrade", "websocket") {
        return Err("Can \"Upgrade\" only to \"WebSocket\".");
    }
    if !fields.has_token("connection", "upgrade") {
        return Err("\"Connection\" must be \"Upgrade\".");
    }
    Ok(())
}

impl HttpServer {
    /// Hands on what a websocket message brings. Broken ones end the connection, as the protocol wants it.
    pub(in crate::server) fn sockjs_unframe(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, message: Message) {
        let messages = match message {
            Message::Text(text) => parse_websocket(&text).map_err(|e| (CloseCode::INVALID_PAYLOAD, e.to_string())),
            Message::Binary(_) => Err((CloseCode::UNSUPPORTED, "SockJS is text".to_owned())),
        };
        match messages {
            Ok(messages) => {
                for message in messages {
                    self.with_socket(cx, conn, |socket, cx, out| {
                        if out.is_open() {
                            socket.message(cx, message.into(), out);
                        }
                    });
                }
            }
            Err((code, words)) => {
                // No frame of SockJS goes before it.
                if let Mode::Socket(web) = &mut conn.mode {
                    Carrier::close(&mut web.connection, code, &words, &mut conn.out);
                }
            }
        }
    }
}
