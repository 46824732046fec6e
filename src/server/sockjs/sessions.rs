//! The sessions that requests carry.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::access::ancestors;
use super::requests::{Carried, Held};
use crate::event_loop::SourceId;
use crate::manager::Cx;
use crate::proto::sockjs::{Attached, Framing, Session, Timeout};
use crate::proto::ws::CloseCode;
use crate::server::HttpServer;
use crate::server::call::{Refusal, Request, Socket};
use crate::server::conn::{Conn, Mode};
use crate::server::socket::{Carrier, Place, REFUSED, SocketAddress, SocketMail, SocketOut};

/// One session.
pub(in crate::server) struct Live {
    machine: Session,
    /// `None` once it was told the end.
    socket: Option<Box<dyn Socket>>,
    /// Whose response carries it.
    connection: Option<SourceId>,
    /// The handler wants to know when there is room again.
    waits: bool,
    name: (usize, String),
}

/// A letter of the server to itself: a client may have caught up.
struct Room;

impl Carrier for Session {
    fn text(&mut self, text: &str, _: &mut Vec<u8>) -> bool {
        self.send(text.to_owned())
    }

    fn binary(&mut self, bytes: &[u8], _: &mut Vec<u8>) -> bool {
        self.send(String::from_utf8_lossy(bytes).into_owned())
    }

    fn close(&mut self, code: CloseCode, reason: &str, _: &mut Vec<u8>) {
        Self::close(self, code.get(), reason);
    }

    fn is_open(&self) -> bool {
        Self::is_open(self)
    }

    fn refusal(&self) -> CloseCode {
        REFUSED
    }

    fn waiting(&self) -> usize {
        self.unsent()
    }

    fn is_text_only(&self) -> bool {
        true
    }
}

/// Tells a handler the end.
fn end(cx: &mut Cx<'_>, socket: Option<Box<dyn Socket>>) {
    if let Some(mut socket) = socket {
        // It is gone either way.
        let _ = catch_unwind(AssertUnwindSafe(|| socket.close(cx)));
    }
}

impl HttpServer {
    /// Calls the handler of a session that is open. One that panics loses it.
    fn with_session(
        &mut self,
        cx: &mut Cx<'_>,
        number: u64,
        f: impl FnOnce(&mut dyn Socket, &mut Cx<'_>, &mut SocketOut<'_>),
    ) {
        let (Some(app), Some(live)) = (cx.app_id(), self.sockjs.sessions.get_mut(&number)) else { return };
        let Some(socket) = live.socket.as_deref_mut().filter(|_| live.machine.is_open()) else { return };
        let (mut overflow, mut nothing) = (false, Vec::new());
        let address = SocketAddress { app, place: Place::Session(number) };
        let mut out = SocketOut {
            connection: &mut live.machine,
            out: &mut nothing,
            sent: 0,
            limit: self.config.unsent,
            overflow: &mut overflow,
            waits: &mut live.waits,
            address,
        };
        if catch_unwind(AssertUnwindSafe(|| f(socket, cx, &mut out))).is_err() {
            out.close(CloseCode::INTERNAL_ERROR, "the handler panicked");
        }
        if overflow {
            live.machine.overflow();
        }
        if !live.machine.is_open() {
            end(cx, live.socket.take());
        }
    }

    /// Has the next request of a client carry its session, which it opens if there is none of that name.
    pub(super) fn sockjs_attach(
        &mut self,
        cx: &mut Cx<'_>,
        conn: &mut Conn,
        service: usize,
        (name, framing): (String, Framing),
        request: &Request,
    ) -> Result<(), Refusal> {
        let now = Instant::now();
        let name = (service, name);
        let number = match self.sockjs.names.get(&name) {
            Some(number) => *number,
            None => self.sockjs_open(cx, name, request, now)?,
        };
        let Some(live) = self.sockjs.sessions.get_mut(&number) else {
            return Err(Refusal::not_found("there is no such session"));
        };
        let (carried, media_type, mut body) = (live.machine.is_attached(), framing.media_type(), Vec::new());
        let page = matches!(framing, Framing::HtmlFile(_));
        let attached = live.machine.attach(framing, now, &mut body);
        // Of a second request the session knows nothing.
        if !carried {
            live.connection = (attached == Attached::Held).then(|| conn.id());
        }
        let deadline = live.machine.deadline();
        let policy = if page { ancestors(&self.access) } else { None };
        let mut fields = vec![("Content-Type", media_type)];
        fields.extend(policy.as_deref().map(|policy| ("Content-Security-Policy", policy)));
        let cookie = self.sockjs.services[service].config.cookie;
        let writer = self.sockjs_stream(cx, conn, &request.head, cookie, &fields);
        let mut held = Box::new(Held { writer: Some(writer), what: Carried::Session(number) });
        held.write(&body, &mut conn.out);
        conn.mode = Mode::Sockjs(held);
        if attached == Attached::Done {
            Self::sockjs_finish(conn);
        }
        self.wake_at(cx, deadline);
        if let Some(us) = cx.app_id() {
            // By then the connection is in its place again.
            cx.mail(us, SocketMail { place: Place::Session(number), message: Box::new(Room) });
        }
        Ok(())
    }

    fn sockjs_open(
        &mut self,
        cx: &mut Cx<'_>,
        name: (usize, String),
        request: &Request,
        now: Instant,
    ) -> Result<u64, Refusal> {
        let config = &self.sockjs.services[name.0].config;
        let (open, most) =
            (self.sockjs.sessions.values().filter(|live| live.name.0 == name.0).count(), config.max_sessions);
        if open >= most {
            let reason = format!("{open} sessions are open, and that is all there may be");
            return Err(Refusal::new(503, "full", reason).header("Retry-After", "5"));
        }
        let machine = Session::new(config.settings(self.config.unsent), now);
        let socket = Some(self.sockjs_handler(name.0, request)?);
        self.sockjs.last += 1;
        let number = self.sockjs.last;
        self.sockjs.names.insert(name.clone(), number);
        self.sockjs.sessions.insert(number, Live { machine, socket, connection: None, waits: false, name });
        self.with_session(cx, number, |socket, cx, out| socket.open(cx, out));
        Ok(number)
    }

    /// Hands messages of a client to its session; false if there is none. One that is closed takes no more: its client will read so.
    pub(super) fn sockjs_receive(
        &mut self,
        cx: &mut Cx<'_>,
        service: usize,
        name: String,
        messages: Vec<String>,
    ) -> bool {
        let Some(&number) = self.sockjs.names.get(&(service, name)) else { return false };
        for message in messages {
            self.with_session(cx, number, |socket, cx, out| socket.message(cx, message.into(), out));
        }
        self.pump_session(cx, number);
        true
    }

    pub(in crate::server) fn session_mail(&mut self, cx: &mut Cx<'_>, number: u64, message: Box<dyn Any + Send>) {
        if !message.is::<Room>() {
            self.with_session(cx, number, |socket, cx, out| socket.mail(cx, message, out));
        }
        self.pump_session(cx, number);
    }

    /// Keys or rights have changed.
    pub(in crate::server) fn recheck_sessions(&mut self, cx: &mut Cx<'_>) {
        for number in self.sockjs.sessions.keys().copied().collect::<Vec<_>>() {
            self.with_session(cx, number, |socket, cx, out| socket.recheck(cx, out));
            self.pump_session(cx, number);
        }
    }

    /// Writes what waits to the response that carries the session, and has the handler go on where it waits for that.
    fn pump_session(&mut self, cx: &mut Cx<'_>, number: u64) {
        self.write_waiting(cx, number);
        let room = self.config.unsent / 4;
        // It comes to an end because a response is bounded, and what no response takes fills the room; or there is nothing to say.
        while let Some(live) = self.sockjs.sessions.get_mut(&number) {
            let has_room = live.machine.is_open() && live.machine.unsent() <= room;
            if !has_room || !std::mem::take(&mut live.waits) {
                return;
            }
            let before = live.machine.unsent();
            self.with_session(cx, number, |socket, cx, out| socket.room(cx, out));
            if self.sockjs.sessions.get(&number).is_some_and(|live| live.machine.unsent() == before) {
                return;
            }
            self.write_waiting(cx, number);
        }
    }

    fn write_waiting(&mut self, cx: &mut Cx<'_>, number: u64) {
        let Some(live) = self.sockjs.sessions.get_mut(&number).filter(|live| live.connection.is_some()) else { return };
        let mut body = Vec::new();
        let attached = live.machine.pump(Instant::now(), &mut body);
        self.write_session(cx, number, &body, attached);
    }

    fn write_session(&mut self, cx: &mut Cx<'_>, number: u64, body: &[u8], attached: Attached) {
        let Some(live) = self.sockjs.sessions.get_mut(&number) else { return };
        let deadline = live.machine.deadline();
        let id = if attached == Attached::Done { live.connection.take() } else { live.connection };
        let Some(conn) = id.and_then(|id| self.connections.get_mut(&id)) else { return };
        if let Mode::Sockjs(held) = &mut conn.mode {
            held.write(body, &mut conn.out);
        }
        if attached == Attached::Done {
            Self::sockjs_finish(conn);
        }
        // It is sent at the end of this round, outside of whatever called us.
        if !std::mem::replace(&mut conn.dirty, true) {
            let id = conn.id();
            self.mark_dirty(cx, id);
        }
        self.wake_at(cx, deadline);
    }

    /// A connection that carried a session is gone.
    pub(in crate::server) fn release_session(&mut self, cx: &mut Cx<'_>, id: SourceId, held: &Held) {
        let Carried::Session(number) = held.what else { return };
        let Some(live) = self.sockjs.sessions.get_mut(&number).filter(|live| live.connection == Some(id)) else {
            return;
        };
        live.connection = None;
        live.machine.interrupt(Instant::now());
        let (deadline, socket) = (live.machine.deadline(), live.socket.take());
        end(cx, socket);
        self.wake_at(cx, deadline);
    }

    /// Signs of life, and the end of what nobody came back for.
    pub(in crate::server) fn session_timeouts(&mut self, cx: &mut Cx<'_>, now: Instant) {
        let due = self.sockjs.sessions.iter().filter(|(_, live)| live.machine.deadline() <= now);
        for number in due.map(|(number, _)| *number).collect::<Vec<_>>() {
            let Some(live) = self.sockjs.sessions.get_mut(&number) else { continue };
            let mut body = Vec::new();
            match live.machine.timeout(now, &mut body) {
                Timeout::Nothing => {}
                Timeout::Heartbeat(attached) => self.write_session(cx, number, &body, attached),
                Timeout::Gone => {
                    if let Some(live) = self.sockjs.sessions.remove(&number) {
                        self.sockjs.names.remove(&live.name);
                        end(cx, live.socket);
                    }
                }
            }
        }
        if let Some(next) = self.sockjs.sessions.values().map(|live| live.machine.deadline()).min() {
            self.wake_at(cx, next);
        }
    }

    /// The server ends: whoever is there is told.
    pub(in crate::server) fn end_session_of(&mut self, conn: &mut Conn) {
        let Mode::Sockjs(held) = &mut conn.mode else { return };
        if let Carried::Session(number) = held.what {
            let Some(live) = self.sockjs.sessions.get_mut(&number) else { return };
            let (code, reason) = Session::GO_AWAY;
            live.machine.close(code, reason);
            let mut body = Vec::new();
            // All there is to come is the end.
            let _ = live.machine.pump(Instant::now(), &mut body);
            live.connection = None;
            held.write(&body, &mut conn.out);
        }
        Self::sockjs_finish(conn);
    }

    /// The server has ended.
    pub(in crate::server) fn end_sessions(&mut self, cx: &mut Cx<'_>) {
        self.sockjs.names.clear();
        for (_, live) in self.sockjs.sessions.drain() {
            end(cx, live.socket);
        }
    }
}
