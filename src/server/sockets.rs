//! Websockets in the table of connections.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::HttpServer;
use super::call::{Refusal, Socket};
use super::conn::{Conn, Mode, Web};
use super::socket::{Carrier, Message, Place, SocketAddress, SocketOut};
use super::sockjs::Framed;
use crate::manager::Cx;
use crate::proto::h1::RequestHead;
use crate::proto::sockjs::{Session, frame};
use crate::proto::ws::{CloseCode, Connection, Event, State, server};

impl HttpServer {
    /// Turns a connection into a websocket; with a heartbeat it is one of SockJS.
    pub(super) fn upgrade(
        &mut self,
        cx: &mut Cx<'_>,
        conn: &mut Conn,
        head: &RequestHead,
        socket: Box<dyn Socket>,
        heartbeat: Option<Duration>,
    ) -> Result<(), Refusal> {
        let upgrade = server::check(head.method().as_str(), head.headers().iter()).map_err(|refusal| {
            let word = if refusal.status() == 426 { "upgrade_required" } else { "bad_request" };
            let answer = Refusal::new(refusal.status(), word, refusal.to_string());
            // `Connection` is written by the encoder.
            let fields = refusal.headers().iter().filter(|(name, _)| *name != "Connection");
            fields.fold(answer, |answer, &(name, value)| answer.header(name, value))
        })?;
        self.tell_answer(conn, Some(head), 101);
        upgrade.write(upgrade.choose(socket.protocols()), &mut conn.out);
        let connection = Connection::server(self.config.websocket);
        conn.mode =
            Mode::Socket(Box::new(Web { connection, socket, heartbeat, overflow: false, waits: false, pinged: false }));
        if let (Mode::Socket(web), Some(_)) = (&mut conn.mode, heartbeat) {
            // It was opened just now.
            let _ = web.connection.text(frame::OPEN, &mut conn.out);
        }
        self.with_socket(cx, conn, |socket, cx, out| socket.open(cx, out));
        Ok(())
    }

    /// Calls the socket of a connection. One that panics loses it.
    pub(super) fn with_socket(
        &mut self,
        cx: &mut Cx<'_>,
        conn: &mut Conn,
        f: impl FnOnce(&mut dyn Socket, &mut Cx<'_>, &mut SocketOut<'_>),
    ) {
        let (Some(app), connection, sent, limit) = (cx.app_id(), conn.id(), conn.sent, self.config.unsent) else {
            return;
        };
        let Mode::Socket(web) = &mut conn.mode else { return };
        let Web { connection: machine, socket, heartbeat, overflow, waits, .. } = &mut **web;
        let address = SocketAddress { app, place: Place::Connection(connection) };
        let mut framed;
        let connection: &mut dyn Carrier = if heartbeat.is_some() {
            framed = Framed(machine);
            &mut framed
        } else {
            machine
        };
        let mut out = SocketOut { connection, out: &mut conn.out, sent, limit, overflow, waits, address };
        if catch_unwind(AssertUnwindSafe(|| f(&mut **socket, cx, &mut out))).is_err() {
            out.close(CloseCode::INTERNAL_ERROR, "the handler panicked");
        }
        if web.overflow {
            // It is too far behind for a goodbye.
            conn.dead = true;
        } else if web.connection.state() == State::Closed {
            self.closed(cx, conn);
        }
    }

    /// Both sides have said goodbye.
    fn closed(&mut self, cx: &mut Cx<'_>, conn: &mut Conn) {
        if let Mode::Socket(web) = mem::replace(&mut conn.mode, Mode::Closing) {
            self.close_socket(cx, web);
        }
    }

    pub(super) fn close_socket(&mut self, cx: &mut Cx<'_>, mut web: Box<Web>) {
        // It is gone either way.
        let _ = catch_unwind(AssertUnwindSafe(|| web.socket.close(cx)));
    }

    /// Takes up the next frame; whether to go on.
    pub(super) fn consume_frames(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, bytes: &[u8], used: &mut usize) -> bool {
        let Mode::Socket(web) = &mut conn.mode else { return false };
        let fed = web.connection.feed(bytes);
        *used += fed.used;
        web.pinged = false;
        conn.since = Instant::now();
        let message = match fed.out {
            Ok(None) => return false,
            Ok(Some(Event::Text(text))) => Some(Message::Text(text)),
            Ok(Some(Event::Binary(bytes))) => Some(Message::Binary(bytes)),
            Ok(Some(_)) | Err(_) => None,
        };
        // The pong, or the goodbye.
        web.connection.flush(&mut conn.out);
        match message {
            Some(message) if web.heartbeat.is_some() => self.sockjs_unframe(cx, conn, message),
            Some(message) => self.with_socket(cx, conn, |socket, cx, out| socket.message(cx, message, out)),
            None if web.connection.state() == State::Closed => self.closed(cx, conn),
            None => {}
        }
        true
    }

    pub(super) fn socket_mail(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, message: Box<dyn Any + Send>) {
        self.with_socket(cx, conn, |socket, cx, out| socket.mail(cx, message, out));
    }

    /// Tells a socket that waits for it that its client has caught up; whether there may be more to send now.
    pub(super) fn tell_room(&mut self, cx: &mut Cx<'_>, conn: &mut Conn) -> bool {
        let has_room = conn.unsent() <= self.config.unsent / 4;
        match &mut conn.mode {
            Mode::Socket(web) if web.waits && has_room => web.waits = false,
            _ => return false,
        }
        self.with_socket(cx, conn, |socket, cx, out| socket.room(cx, out));
        conn.unsent() > 0
    }

    /// It was silent for long, or does not answer our goodbye.
    pub(super) fn check_socket(conn: &mut Conn, now: Instant) {
        let Mode::Socket(web) = &mut conn.mode else { return };
        if web.pinged || web.connection.ping(b"", &mut conn.out).is_err() {
            conn.dead = true;
            return;
        }
        if web.heartbeat.is_some() {
            // A page does not see pings. It is open, or the ping would not have gone.
            let _ = web.connection.text(frame::HEARTBEAT, &mut conn.out);
        }
        web.pinged = true;
        conn.since = now;
    }

    /// The server ends.
    pub(super) fn say_goodbye(&mut self, cx: &mut Cx<'_>, conn: &mut Conn) {
        match &mut conn.mode {
            Mode::Socket(web) => {
                let sockjs = web.heartbeat.and(CloseCode::new(Session::GO_AWAY.0));
                let (code, reason) = match sockjs {
                    Some(code) => (code, Session::GO_AWAY.1),
                    None => (CloseCode::GOING_AWAY, "the server stops"),
                };
                self.with_socket(cx, conn, |_, _, out| out.close(code, reason));
            }
            Mode::Sockjs(_) => self.end_session_of(conn),
            Mode::Feed(feed) => {
                feed.end(&mut conn.out);
            }
            Mode::Waiting(_) => self.no_answer(cx, conn, 503, "stopping"),
            _ => {}
        }
    }
}
