//! What outlives the requests: the messages that wait, who carries them, and the clock of both.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Framing;
use super::frame::{self, HEARTBEAT, OPEN};

/// What a queued message costs beside its bytes, so that empty ones are bounded too.
const OVERHEAD: usize = size_of::<String>();

/// The bounds of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// How long a request that carries the session is silent before it gets a sign of life. Default: 25 s.
    pub heartbeat: Duration,
    /// How long a session that no request carries is kept. Default: 5 s.
    pub disconnect_delay: Duration,
    /// Bytes of frames after which a response is ended, so that the browser can free it; the client then asks again. It is looked at after each frame,
    /// and a frame that has reached it takes no further message. Default: 128 KiB.
    pub response_limit: usize,
    /// Bytes of messages that may wait for the client. Beyond it they are dropped and the session is closed with
    /// [`Session::TOO_FAR_BEHIND`]. Default: 16 MiB.
    pub unsent: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(25),
            disconnect_delay: Duration::from_secs(5),
            response_limit: 128 << 10,
            unsent: 16 << 20,
        }
    }
}

/// What becomes of the response to a request that carries the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Attached {
    /// It stays open: more will come.
    Held,
    /// It has ended, and the session knows it no more.
    Done,
}

/// What a deadline has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Timeout {
    /// Nothing: it is not reached.
    Nothing,
    /// A sign of life was written to the response, of which this becomes.
    Heartbeat(Attached),
    /// The client did not come back: the session is over and can be forgotten.
    Gone,
}

/// One session over transports that are requests. (On a websocket, a session is its connection.)
///
/// It holds [`Settings::unsent`] bytes at most. See the [module](super) for a conversation.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    /// Whether the open frame is still to be written.
    opening: bool,
    closed: Option<(u16, String)>,
    queue: VecDeque<String>,
    queued: usize,
    carrier: Option<Carrier>,
    deadline: Instant,
    /// Until when a close frame that was written is repeated.
    expires: Option<Instant>,
}

/// The response that is open.
#[derive(Debug)]
struct Carrier {
    framing: Framing,
    written: usize,
}

impl Session {
    /// The close frame for a second request that would carry the same session.
    pub const STILL_OPEN: (u16, &'static str) = (2010, "Another connection still open");
    /// The close frame after a request that carried the session was cut.
    pub const INTERRUPTED: (u16, &'static str) = (1002, "Connection interrupted");
    /// The close frame of a server that ends.
    pub const GO_AWAY: (u16, &'static str) = (3000, "Go away!");
    /// The close frame after more was sent than may wait.
    pub const TOO_FAR_BEHIND: (u16, &'static str) = (1008, "Too far behind");

    /// A session that the first request is about to carry.
    #[must_use]
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self {
            settings,
            opening: true,
            closed: None,
            queue: VecDeque::new(),
            queued: 0,
            carrier: None,
            deadline: now + settings.disconnect_delay,
            expires: None,
        }
    }

    /// Whether messages go either way.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Whether a request carries it.
    #[must_use]
    pub const fn is_attached(&self) -> bool {
        self.carrier.is_some()
    }

    /// What waits for the client, in bytes with what it costs to keep them.
    #[must_use]
    pub const fn unsent(&self) -> usize {
        self.queued
    }

    /// When [`timeout`](Self::timeout) is due.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A request would carry it; the content of its response is appended to `out`.
    ///
    /// While another one does, this one gets [`STILL_OPEN`](Self::STILL_OPEN), and nothing changes.
    pub fn attach(&mut self, framing: Framing, now: Instant, out: &mut Vec<u8>) -> Attached {
        framing.prelude(out);
        if self.carrier.is_some() {
            let (code, reason) = Self::STILL_OPEN;
            framing.frame(&frame::close(code, reason), out);
            return Attached::Done;
        }
        self.carrier = Some(Carrier { framing, written: 0 });
        self.deadline = now + self.settings.heartbeat;
        self.pump(now, out)
    }

    /// Queues a message; false if the session is closed, also by this one being too much.
    pub fn send(&mut self, message: String) -> bool {
        let cost = message.len().saturating_add(OVERHEAD);
        if !self.is_open() {
            return false;
        }
        if self.queued.saturating_add(cost) > self.settings.unsent {
            self.overflow();
            return false;
        }
        self.queued += cost;
        self.queue.push_back(message);
        true
    }

    /// Closes it: what waits is still delivered, and then the close frame.
    pub fn close(&mut self, code: u16, reason: &str) {
        if self.is_open() {
            self.closed = Some((code, reason.to_owned()));
        }
    }

    /// Closes it because the client is too far behind; what waits is dropped.
    pub fn overflow(&mut self) {
        let (code, reason) = Self::TOO_FAR_BEHIND;
        self.close(code, reason);
        self.forget();
    }

    /// The request that carried it was cut: what was written may be lost, so the session is closed.
    pub fn interrupt(&mut self, now: Instant) {
        let (code, reason) = Self::INTERRUPTED;
        self.close(code, reason);
        self.forget();
        self.detach(now);
    }

    fn forget(&mut self) {
        self.queue = VecDeque::new();
        self.queued = 0;
    }

    fn detach(&mut self, now: Instant) {
        self.carrier = None;
        self.deadline = self.expires.unwrap_or(now + self.settings.disconnect_delay);
    }

    /// Appends what waits to the response that is open, as far as it takes it.
    pub fn pump(&mut self, now: Instant, out: &mut Vec<u8>) -> Attached {
        while self.carrier.is_some() {
            let Some(frame) = self.next_frame(now) else { return Attached::Held };
            let last = self.closed.is_some() && self.expires.is_some();
            if self.write(&frame, now, out) == Attached::Done || last {
                self.detach(now);
            }
        }
        Attached::Done
    }

    fn next_frame(&mut self, now: Instant) -> Option<String> {
        if self.opening {
            self.opening = false;
            return Some(OPEN.to_owned());
        }
        if self.queue.is_empty() {
            let (code, reason) = self.closed.as_ref()?;
            // A client that asks again and again does not keep it for ever.
            self.expires.get_or_insert(now + self.settings.disconnect_delay);
            return Some(frame::close(*code, reason));
        }
        let (mut bytes, mut count) = (0, 0);
        for message in &self.queue {
            bytes += message.len() + 3;
            count += 1;
            if bytes >= self.settings.response_limit {
                break;
            }
        }
        let messages: Vec<String> = self.queue.drain(..count).collect();
        self.queued -= messages.iter().map(|message| message.len() + OVERHEAD).sum::<usize>();
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Some(frame::messages(messages.iter().map(String::as_str)))
    }

    /// Appends a frame; whether the response takes another one.
    fn write(&mut self, frame: &str, now: Instant, out: &mut Vec<u8>) -> Attached {
        let Some(carrier) = &mut self.carrier else { return Attached::Done };
        let start = out.len();
        carrier.framing.frame(frame, out);
        carrier.written += out.len() - start;
        self.deadline = now + self.settings.heartbeat;
        let full = carrier.written >= self.settings.response_limit;
        if carrier.framing.is_streaming() && !full { Attached::Held } else { Attached::Done }
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Instant, out: &mut Vec<u8>) -> Timeout {
        if now < self.deadline {
            return Timeout::Nothing;
        }
        if self.carrier.is_none() {
            let (code, reason) = Self::INTERRUPTED;
            self.close(code, reason);
            self.forget();
            return Timeout::Gone;
        }
        let attached = self.write(HEARTBEAT, now, out);
        if attached == Attached::Done {
            self.detach(now);
        }
        Timeout::Heartbeat(attached)
    }
}

#[cfg(test)]
const _: () = {
    const fn assert_send<T: Send>() {}
    assert_send::<Session>();
};
