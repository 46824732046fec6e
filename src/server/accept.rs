//! New connections.

use std::io;
use std::time::{Duration, Instant};

use super::call::{Peer, Refusal};
use super::conn::Conn;
use super::{HttpServer, listen};
use crate::event_loop::Interest;
use crate::manager::Cx;
use crate::proto::h1::Decoder;

/// Connections taken in one turn by one endpoint.
const MAX_ACCEPTS: usize = 64;

/// Connections beyond [`Config::max_connections`] that are told so.
const MAX_TURNED_AWAY: usize = 64;

/// How long no connection is taken after the system has run out of descriptors, unless one is given back before.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(500);

impl HttpServer {
    pub(super) fn accept(&mut self, cx: &mut Cx<'_>, index: usize) {
        for _ in 0..MAX_ACCEPTS {
            match self.listeners[index].get_ref().accept() {
                Ok(Some((stream, peer))) => self.admit(cx, stream, peer),
                Ok(None) => {}
                Err(e) => match e.raw_os_error() {
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => return self.pause(cx),
                    _ if e.kind() == io::ErrorKind::WouldBlock => return,
                    // accept(2): errors of the connection itself; the next may be fine.
                    _ => {}
                },
            }
        }
    }

    pub(super) fn admit(&mut self, cx: &mut Cx<'_>, stream: listen::Stream, peer: Peer) {
        self.counters.accepted += 1;
        let open = self.connections.len();
        if open >= self.config.max_connections.saturating_add(MAX_TURNED_AWAY) {
            return;
        }
        let now = Instant::now();
        #[cfg(feature = "tls")]
        let stream = match &self.config.tls {
            None => stream,
            Some(tls) => match stream.accepted(tls) {
                Ok(stream) => stream,
                // Out of memory or of randomness.
                Err(_) => return,
            },
        };
        let Ok(source) = cx.register(stream, Interest::READ) else { return };
        let mut conn = Box::new(Conn::new(source, peer, Decoder::new(self.config.limits), now));
        if open >= self.config.max_connections {
            let reason = format!("{open} connections are open, and that is all there may be");
            self.refuse_connection(cx, &mut conn, &Refusal::new(503, "full", reason).header("Retry-After", "1"));
        }
        self.finish(cx, conn);
    }

    /// Out of descriptors: a listener that is ready for ever must not keep the loop awake.
    pub(super) fn pause(&mut self, cx: &mut Cx<'_>) {
        for listener in &mut self.listeners {
            // Taken out of the poller; nothing to do should it refuse.
            let _ = listener.set_interest(Interest::NONE);
        }
        let until = Instant::now() + OUT_OF_DESCRIPTORS;
        self.paused = Some(until);
        self.wake_at(cx, until);
    }

    pub(super) fn resume(&mut self) {
        if self.paused.take().is_some() {
            for listener in &mut self.listeners {
                let _ = listener.set_interest(Interest::READ);
            }
        }
    }
}
