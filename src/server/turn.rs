//! What is done with one connection when it is ready, or late.

use std::mem;
use std::time::Instant;

use super::call::Refusal;
use super::conn::{Clock, Conn, Mode};
use super::{HttpServer, streamed};
use crate::event_loop::SourceId;
use crate::manager::Cx;

/// Reads of one connection in one turn.
const MAX_READS: usize = 4;

/// How much is read at a time.
const CHUNK: usize = 64 * 1024;

impl HttpServer {
    /// Does something with a connection and sees to what follows from it.
    pub(super) fn with(&mut self, cx: &mut Cx<'_>, id: SourceId, f: impl FnOnce(&mut Self, &mut Cx<'_>, &mut Conn)) {
        if let Some(mut conn) = self.connections.remove(&id) {
            f(self, cx, &mut conn);
            self.finish(cx, conn);
        }
    }

    /// Sends what can be sent, takes up what waits behind it, and keeps the connection or ends it.
    pub(super) fn finish(&mut self, cx: &mut Cx<'_>, mut conn: Box<Conn>) {
        let now = cx.now();
        let mut pieces = 0;
        loop {
            conn.flush(now);
            self.after_flush(&mut conn);
            if self.tell_room(cx, &mut conn) {
                continue;
            }
            if pieces < streamed::MAX_PIECES && self.refill(&mut conn) {
                pieces += 1;
                continue;
            }
            if conn.is_dead() || conn.input.is_empty() || !conn.is_open_to(&self.config) {
                break;
            }
            self.take_up(cx, &mut conn, &[]);
        }
        conn.settle(&self.config, now);
        if conn.is_dead() {
            return self.end(cx, *conn);
        }
        if let Some(at) = conn.deadline {
            self.wake_at(cx, at);
        }
        self.connections.insert(conn.id(), conn);
        self.counters.connections = self.connections.len() as u64;
    }

    /// A connection is gone, and everything that hung on it ends.
    pub(super) fn end(&mut self, cx: &mut Cx<'_>, mut conn: Conn) {
        match mem::replace(&mut conn.mode, Mode::Linger) {
            Mode::Feed(mut feed) => self.unsubscribe(cx, conn.id(), &mut feed),
            Mode::Socket(web) => self.close_socket(cx, web),
            Mode::Sockjs(held) => self.release_session(cx, conn.id(), &held),
            Mode::Waiting(waiting) => self.give_up(cx, *waiting),
            _ => {}
        }
        if conn.unsent() == 0 {
            conn.source.get_mut().say_goodbye();
        }
        drop(conn);
        self.counters.connections = self.connections.len() as u64;
        self.resume();
    }

    pub(super) fn read(&mut self, cx: &mut Cx<'_>, conn: &mut Conn) {
        let mut buffer = mem::take(&mut self.buffer);
        buffer.resize(CHUNK, 0);
        for _ in 0..MAX_READS {
            let Some(n) = conn.read(&mut buffer, &self.config) else { break };
            self.take_up(cx, conn, &buffer[..n]);
            if n < CHUNK {
                break;
            }
        }
        self.buffer = buffer;
        if let Some(e) = conn.tls_failed.take() {
            self.tell_handshake(&conn.peer, Some(&e));
        }
        if mem::take(&mut conn.clear_text) {
            let reason = "this is HTTP, but TLS is spoken here: ask with https:// (or wss://)";
            self.refuse_connection(cx, conn, &Refusal::new(400, "tls_required", reason));
        }
    }

    /// Takes up what came, after what waits already; what cannot be taken up now, waits.
    pub(super) fn take_up(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, bytes: &[u8]) {
        if conn.input.is_empty() {
            let used = self.consume(cx, conn, bytes);
            conn.input.extend_from_slice(&bytes[used..]);
        } else {
            let mut input = mem::take(&mut conn.input);
            input.extend_from_slice(bytes);
            let used = self.consume(cx, conn, &input);
            input.drain(..used);
            conn.input = input;
        }
    }

    pub(super) fn consume(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, bytes: &[u8]) -> usize {
        let mut used = 0;
        while conn.is_open_to(&self.config) {
            let rest = &bytes[used..];
            let more = match conn.mode {
                Mode::Http => self.consume_http(cx, conn, rest, &mut used),
                Mode::Socket(_) => self.consume_frames(cx, conn, rest, &mut used),
                _ => {
                    used = bytes.len();
                    false
                }
            };
            if !more {
                break;
            }
        }
        used
    }

    /// A deadline has passed.
    pub(super) fn too_late(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, now: Instant) {
        match conn.clock {
            Clock::Head | Clock::Body => {
                self.refuse_connection(cx, conn, &crate::proto::h1::Refusal::TimedOut.into());
            }
            Clock::Heartbeat => {
                match &mut conn.mode {
                    Mode::Feed(feed) => feed.beat(&mut conn.out),
                    Mode::Sockjs(_) => Self::sockjs_next_chunk(conn),
                    _ => {}
                }
                conn.since = now;
            }
            Clock::Socket => Self::check_socket(conn, now),
            Clock::Answer => self.no_answer(cx, conn, 504, "timed_out"),
            Clock::Handshake => {
                self.tell_handshake(&conn.peer, None);
                conn.dead = true;
            }
            Clock::Idle | Clock::Stalled | Clock::Linger | Clock::Off => conn.dead = true,
        }
    }
}
