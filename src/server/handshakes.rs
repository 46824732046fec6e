//! Connections that came to nothing because of TLS.

use std::fmt;
use std::io;

use super::guard::place;
use super::{HttpServer, Peer};

/// A connection that broke by TLS.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedHandshake<'a> {
    /// From where.
    pub peer: &'a Peer,
    /// Why, as a sentence without its subject, which is the client.
    pub reason: &'a str,
}

/// `TLS with 192.0.2.7 failed: it shows no certificate`.
impl fmt::Display for FailedHandshake<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS with {} failed: {}", place(self.peer), self.reason)
    }
}

/// Who wants to know.
pub(super) type Observer = Box<dyn FnMut(&FailedHandshake<'_>) + Send>;

impl HttpServer {
    /// Calls `f` with each connection that breaks by TLS. Anybody can make it be called, so it should have a bound. It runs in the loop and must not
    /// block.
    pub fn on_failed_handshake(&mut self, f: impl FnMut(&FailedHandshake<'_>) + Send + 'static) {
        self.handshakes = Some(Box::new(f));
    }

    /// Counts and tells; without an error, it took too long.
    pub(super) fn tell_handshake(&mut self, peer: &Peer, error: Option<&io::Error>) {
        self.counters.tls_failed += 1;
        let Some(observer) = &mut self.handshakes else { return };
        let reason = match error {
            Some(e) => of_client(e),
            None => format!("it has not agreed within {} s", self.config.head_timeout.as_secs_f64()),
        };
        observer(&FailedHandshake { peer, reason: &reason });
    }
}

#[cfg(feature = "tls")]
fn of_client(error: &io::Error) -> String {
    crate::tls::explain_client(error)
}

#[cfg(not(feature = "tls"))]
fn of_client(error: &io::Error) -> String {
    error.to_string()
}
