//! One connection: its buffers, what it is doing, and until when.

use std::io;
use std::time::{Duration, Instant};

use super::Config;
use super::call::{Peer, Socket};
use super::feeds::Feed;
use super::later::Waiting;
use super::listen::Stream;
use super::revoked::Permit;
use super::sockjs::Held;
use super::streamed::Outgoing;
use crate::event_loop::{Interest, Source, SourceId};
use crate::proto::h1::{Decoder, Phase, RequestHead};
use crate::proto::ws;

/// While more than this is unsent, no further request of the connection is taken up.
pub(super) const HIGH_WATER: usize = 64 * 1024;

/// Bytes that may wait for their turn behind a feed.
const MAX_INPUT: usize = 64 * 1024;

/// Buffers that have grown larger are given back when they are empty.
const KEEP: usize = 4 * 1024;

/// What a connection is doing.
pub(super) enum Mode {
    /// Requests and answers.
    Http,
    /// A request whose answer is to come.
    Waiting(Box<Waiting>),
    Feed(Box<Feed>),
    Socket(Box<Web>),
    /// Its response carries a session of SockJS.
    Sockjs(Box<Held>),
    /// A content that is read as the client takes it.
    Outgoing(Box<Outgoing>),
    /// What is unsent goes out, nothing more is taken.
    Closing,
    /// Our side is closed; what still comes is thrown away, so that the answer is not lost to a reset (RFC 9112 section 9.6).
    Linger,
}

/// A websocket.
pub(super) struct Web {
    pub(super) connection: ws::Connection,
    pub(super) socket: Box<dyn Socket>,
    /// It speaks SockJS, with a sign of life after so long a silence.
    pub(super) heartbeat: Option<Duration>,
    /// It was sent more than may wait.
    pub(super) overflow: bool,
    /// It wants to know when the client has caught up.
    pub(super) waits: bool,
    /// It was asked for a sign of life.
    pub(super) pinged: bool,
}

/// Which deadline runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    Idle,
    /// Until it is agreed how to talk (TLS).
    Handshake,
    Head,
    Body,
    /// An answer is to come.
    Answer,
    /// Something is unsent, and the client takes nothing.
    Stalled,
    /// Until the next sign of life of a feed, or piece of a chunking test.
    Heartbeat,
    /// Until a websocket is asked for a sign of life, or its answer to that or to our goodbye is due.
    Socket,
    Linger,
    /// None.
    Off,
}

pub(super) struct Conn {
    pub(super) source: Source<Stream>,
    pub(super) peer: Peer,
    pub(super) decoder: Decoder,
    /// The request that is coming in, if it is to be answered.
    pub(super) head: Option<Box<RequestHead>>,
    pub(super) body: Vec<u8>,
    /// When that was asked, if somebody wants to know.
    pub(super) asked: Option<Instant>,
    /// What came and was not looked at yet.
    pub(super) input: Vec<u8>,
    pub(super) out: Vec<u8>,
    /// How much of `out` was sent.
    pub(super) sent: usize,
    pub(super) mode: Mode,
    /// Under what its mode goes on, where keys are asked for.
    pub(super) permit: Option<Box<Permit>>,
    /// The client speaks HTTP where TLS is spoken, and is to be told so.
    pub(super) clear_text: bool,
    /// Why TLS has failed, which is to be counted and told.
    pub(super) tls_failed: Option<Box<io::Error>>,
    /// The client will send nothing more.
    pub(super) eof: bool,
    /// It is to be ended; what hangs on its mode is still there.
    pub(super) dead: bool,
    /// It waits in the list of those to be flushed.
    pub(super) dirty: bool,
    /// The system takes nothing more for the client until it says so: another try before would be in vain.
    pub(super) blocked: bool,
    pub(super) clock: Clock,
    /// Since when.
    pub(super) since: Instant,
    pub(super) deadline: Option<Instant>,
}

impl Conn {
    pub(super) fn new(source: Source<Stream>, peer: Peer, decoder: Decoder, now: Instant) -> Self {
        Self {
            source,
            peer,
            decoder,
            head: None,
            body: Vec::new(),
            asked: None,
            input: Vec::new(),
            out: Vec::new(),
            sent: 0,
            mode: Mode::Http,
            permit: None,
            clear_text: false,
            tls_failed: None,
            eof: false,
            dead: false,
            dirty: false,
            blocked: false,
            clock: Clock::Off,
            since: now,
            deadline: None,
        }
    }

    pub(super) const fn id(&self) -> SourceId {
        self.source.id()
    }

    pub(super) fn unsent(&self) -> usize {
        self.out.len() - self.sent
    }

    pub(super) const fn is_dead(&self) -> bool {
        self.dead
    }

    /// Whether what comes can be taken up now.
    pub(super) fn is_open_to(&self, config: &Config) -> bool {
        match self.mode {
            Mode::Http => self.unsent() <= HIGH_WATER,
            // A client that does not read is not read either; its goodbye can wait.
            Mode::Socket(_) => self.unsent() <= config.unsent / 2,
            Mode::Waiting(_) | Mode::Feed(_) | Mode::Sockjs(_) | Mode::Outgoing(_) => false,
            Mode::Closing | Mode::Linger => true,
        }
    }

    fn wants_read(&self, config: &Config) -> bool {
        !self.eof
            && match self.mode {
                _ if self.source.get_ref().is_handshaking() => true,
                // Nothing is due from it, but its end is to be seen.
                Mode::Waiting(_) | Mode::Feed(_) | Mode::Sockjs(_) | Mode::Outgoing(_) => self.input.len() < MAX_INPUT,
                Mode::Closing => false,
                _ => self.is_open_to(config),
            }
    }

    /// Reads once into `buffer`; `None` if there is nothing to be done with.
    pub(super) fn read(&mut self, buffer: &mut [u8], config: &Config) -> Option<usize> {
        while self.wants_read(config) {
            match self.source.get_mut().read(buffer) {
                Ok(0) => self.eof = true,
                Ok(n) => return Some(n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return None,
                Err(e) if e.kind() == io::ErrorKind::Unsupported => {
                    self.clear_text = true;
                    return None;
                }
                // It was told; the rest of what it sends is taken, so that the alert is not lost to a reset.
                Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                    self.tls_failed = Some(Box::new(e));
                    if !matches!(self.mode, Mode::Http) {
                        self.dead = true;
                        return None;
                    }
                    (self.mode, self.sent) = (Mode::Linger, 0);
                    self.out.clear();
                }
                Err(_) => {
                    self.dead = true;
                    return None;
                }
            }
        }
        None
    }

    /// Sends as much as the client takes, and goes on with goodbye.
    pub(super) fn flush(&mut self, now: Instant) {
        while (self.sent < self.out.len() || self.source.get_ref().is_pending()) && !self.blocked && !self.is_dead() {
            match self.source.get_mut().write(&self.out[self.sent..]) {
                Ok(n) => {
                    self.sent += n;
                    self.blocked = self.sent < self.out.len();
                    if self.clock == Clock::Stalled {
                        self.since = now;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.blocked = true,
                Err(_) => self.dead = true,
            }
        }
        if self.sent == self.out.len() {
            self.sent = 0;
            self.out.clear();
            if self.out.capacity() > KEEP {
                self.out = Vec::new();
            }
            if self.input.is_empty() && self.input.capacity() > KEEP {
                self.input = Vec::new();
            }
        } else if self.sent > HIGH_WATER && self.sent >= self.out.len() / 2 {
            // What was sent is moved over at most once.
            self.out.drain(..self.sent);
            self.sent = 0;
        }
        let sent = self.out.is_empty() && !self.source.get_ref().is_pending();
        match self.mode {
            Mode::Closing if sent => {
                let ended = !self.eof && self.source.get_mut().end().is_ok();
                self.mode = Mode::Linger;
                self.dead = !ended;
            }
            Mode::Http if sent && self.eof && self.input.is_empty() => self.dead = true,
            Mode::Feed(_) | Mode::Socket(_) | Mode::Sockjs(_) | Mode::Linger if self.eof => self.dead = true,
            _ => {}
        }
    }

    /// Asks the poller for what is of use, and sets the deadline.
    pub(super) fn settle(&mut self, config: &Config, now: Instant) {
        let (handshaking, pending) = (self.source.get_ref().is_handshaking(), self.source.get_ref().is_pending());
        // In a handshake nothing of ours can be sent, so that asking whether it can would never end.
        let sends = pending || !handshaking && (self.unsent() > 0 || matches!(self.mode, Mode::Outgoing(_)));
        let interest = Interest::new(self.wants_read(config), sends);
        if self.source.set_interest(interest).is_err() {
            self.dead = true;
        }
        let clock = match &self.mode {
            Mode::Linger => Clock::Linger,
            _ if handshaking => Clock::Handshake,
            _ if sends => Clock::Stalled,
            Mode::Http => match self.decoder.phase() {
                Phase::Idle => Clock::Idle,
                Phase::Head => Clock::Head,
                Phase::Body => Clock::Body,
                Phase::Closed => Clock::Linger,
            },
            Mode::Waiting(_) if self.eof => Clock::Linger,
            Mode::Waiting(_) => Clock::Answer,
            Mode::Feed(feed) if feed.heartbeat().is_some() => Clock::Heartbeat,
            Mode::Sockjs(held) if held.pause().is_some() => Clock::Heartbeat,
            Mode::Feed(_) | Mode::Sockjs(_) | Mode::Closing | Mode::Outgoing(_) => Clock::Off,
            Mode::Socket(_) => Clock::Socket,
        };
        if clock != self.clock {
            (self.clock, self.since) = (clock, now);
        }
        let after = match (clock, &self.mode) {
            (Clock::Idle, _) => Some(config.idle_timeout),
            (Clock::Handshake | Clock::Head, _) => Some(config.head_timeout),
            (Clock::Body, _) => Some(config.body_timeout),
            (Clock::Stalled, _) => Some(config.stall_timeout),
            (Clock::Answer, _) => Some(config.answer_timeout),
            (Clock::Linger, _) => Some(LINGER),
            (Clock::Heartbeat, Mode::Feed(feed)) => feed.heartbeat(),
            (Clock::Heartbeat, Mode::Sockjs(held)) => held.pause(),
            (Clock::Socket, Mode::Socket(web)) if web.connection.state() == ws::State::CloseSent => Some(LINGER),
            (Clock::Socket, Mode::Socket(web)) => {
                Some(web.heartbeat.unwrap_or(Duration::MAX).min(config.ping_interval))
            }
            _ => None,
        };
        self.deadline = after.and_then(|after| self.since.checked_add(after));
    }
}

/// How long a client has to close after we did.
const LINGER: Duration = Duration::from_secs(2);
