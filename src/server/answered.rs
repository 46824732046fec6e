//! What was asked and answered, for a log of it.

use std::fmt;
use std::time::{Duration, Instant};

use super::conn::Conn;
use super::redact::redact;
use super::{HttpServer, Peer};
use crate::proto::h1::RequestHead;

/// One answer, when its head is on its way: of a feed and of a websocket there is more to come then.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answered<'a> {
    /// The status; 101 for a websocket.
    pub status: u16,
    /// The method; `-` if there was none to be read.
    pub method: &'a str,
    /// Path and query as they were asked for, but for what looks like a key; `-` if there were none to be read.
    pub target: &'a str,
    /// Who asked.
    pub peer: &'a Peer,
    /// From the end of the request's head to this answer; zero if there was no head.
    pub took: Duration,
}

/// As the original wrote it: `200 GET /ping (127.0.0.1) 0.30ms`. Of a unix socket the user's number stands in the brackets.
impl fmt::Display for Answered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} (", self.status, self.method, self.target)?;
        match self.peer {
            Peer::Tcp(address) => write!(f, "{}", address.ip())?,
            Peer::Unix { uid: Some(uid), .. } => write!(f, "uid {uid}")?,
            Peer::Unix { .. } => f.write_str("unix")?,
        }
        write!(f, ") {:.2}ms", self.took.as_secs_f64() * 1e3)
    }
}

/// Who wants to know.
pub(super) type Observer = Box<dyn FnMut(&Answered<'_>) + Send>;

impl HttpServer {
    /// Calls `f` with every answer. It runs in the loop and must not block.
    pub fn on_answer(&mut self, f: impl FnMut(&Answered<'_>) + Send + 'static) {
        self.observer = Some(Box::new(f));
    }

    /// The time to count from begins.
    pub(super) fn clock_in(&self, conn: &mut Conn) {
        if self.observer.is_some() {
            conn.asked = Some(Instant::now());
        }
    }

    pub(super) fn tell_answer(&mut self, conn: &mut Conn, head: Option<&RequestHead>, status: u16) {
        let Some(observer) = &mut self.observer else { return };
        let took = conn.asked.take().map_or(Duration::ZERO, |asked| asked.elapsed());
        let (method, target) = head.map_or(("-", "-"), |head| (head.method().as_str(), head.target()));
        let target = redact(target);
        observer(&Answered { status, method, target: &target, peer: &conn.peer, took });
    }
}
