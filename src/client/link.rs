//! A websocket that many threads share, without a thread of its own.
//!
//! Whoever waits for something looks after the connection meanwhile: of those who wait, one polls the socket, takes what comes for
//! all, and tells them. The socket never blocks, so the lock is held for no longer than it takes to read or write what is there; polling is
//! done without it.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::http::Http;
use super::stream::{Stream, Wait};
use crate::proto::ws::{CloseCode, Connection, Event, Limits, Masks};
use crate::{Error, ErrorKind, Result};

/// So much is read at a time.
const CHUNK: usize = 64 << 10;

/// So many chunks are read before those who wait are looked after.
const CHUNKS: usize = 16;

/// While more than this waits to be sent, nothing is added.
const MAX_OUT: usize = 16 << 20;

/// The longest message: what a node takes, unless it was told otherwise. A longer one would cost the connection.
const MAX_MESSAGE: usize = 1 << 20;

/// So many heartbeats may pass without a sign of life before a node is given up.
const MISSED: u32 = 3;

/// What becomes of messages.
pub(super) trait Receive: Send {
    /// Takes a message, or a pong, up; an error ends the connection.
    fn receive(&mut self, event: Event) -> Result<()>;

    /// Whether there is room for more.
    fn has_room(&self) -> bool {
        true
    }

    /// What is said beside a ping, so that the other side hears something.
    fn sign(&self) -> Option<&'static str> {
        None
    }
}

/// A connection.
pub(super) struct Link<R: Receive> {
    stream: Stream,
    state: Mutex<State<R>>,
    changed: Condvar,
    http: Http,
}

/// What the lock holds.
pub(super) struct State<R> {
    pub(super) receiver: R,
    connection: Connection,
    chunk: Vec<u8>,
    out: Vec<u8>,
    /// Somebody polls the socket, and reads.
    polling: bool,
    heard: Instant,
    /// When the last ping went out.
    pinged: Instant,
    /// Whether nothing was heard since.
    unanswered: Option<Instant>,
    end: Option<(ErrorKind, String)>,
}

impl<R: Receive> Link<R> {
    /// Opens a websocket at this path.
    pub(super) fn open(http: &Http, path: &str, receiver: R) -> Result<Self> {
        let (stream, rest) = Stream::open(http, path)?;
        let (keyed, mut n) = (RandomState::new(), 0_u32);
        let masks = Masks::new(move || {
            n = n.wrapping_add(1);
            let [a, b, c, d, ..] = keyed.hash_one(n).to_ne_bytes();
            [a, b, c, d]
        });
        let now = Instant::now();
        let mut state = State {
            receiver,
            connection: Connection::client(Limits::default(), masks),
            chunk: vec![0; CHUNK],
            out: Vec::new(),
            polling: false,
            heard: now,
            pinged: now,
            unanswered: None,
            end: None,
        };
        state.take(&rest, http);
        Ok(Self { stream, state: Mutex::new(state), changed: Condvar::new(), http: http.clone() })
    }

    /// When an answer is late.
    pub(super) fn deadline(&self) -> Instant {
        self.http.deadline()
    }

    /// The error for an answer that did not come in time.
    pub(super) fn late(&self) -> Error {
        self.http.timed_out()
    }

    /// How the node is called.
    pub(super) fn address(&self) -> String {
        self.http.address.to_string()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<R>> {
        // No state is left half done where something panics: nothing of the embedder's runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether messages can still be sent, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        self.lock().end.is_none()
    }

    /// Looks after the connection until `look` finds something; `None` if the deadline passes before.
    ///
    /// # Errors
    ///
    /// The connection has ended, and there is nothing to find.
    pub(super) fn wait<T>(
        &self,
        deadline: Option<Instant>,
        mut look: impl FnMut(&mut State<R>) -> Option<T>,
    ) -> Result<Option<T>> {
        let mut state = self.lock();
        loop {
            let reads = !state.polling;
            if state.pump(&self.stream, &self.http, reads) {
                self.changed.notify_all();
            }
            if let Some(found) = look(&mut state) {
                // There may be room now.
                self.changed.notify_all();
                return Ok(Some(found));
            }
            if let Some((kind, message)) = &state.end {
                return Err(Error::new(*kind, message.clone()));
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(None);
            }
            let until = deadline.map_or(state.next_beat(&self.http), |at| at.min(state.next_beat(&self.http)));
            let timeout = until.saturating_duration_since(now);
            let wait = Wait { read: !state.polling && state.receiver.has_room(), write: !state.out.is_empty() };
            if !wait.read && !wait.write {
                state = self.changed.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            state.polling |= wait.read;
            drop(state);
            let polled = self.stream.wait(wait, timeout);
            state = self.lock();
            if wait.read {
                state.polling = false;
                // Somebody else is to poll if we have what we want.
                self.changed.notify_all();
            }
            if let Err(e) = polled {
                state.fail(self.http.broken(e));
            }
        }
    }

    /// Sends what `write` makes, as soon as there is room.
    ///
    /// # Errors
    ///
    /// The connection has ended, the node has taken nothing until the deadline, or `write` has failed.
    pub(super) fn send<T>(&self, deadline: Instant, mut write: impl FnMut(&mut State<R>) -> Result<T>) -> Result<T> {
        let sent = self
            .wait(Some(deadline), |state| (state.end.is_none() && state.out.len() < MAX_OUT).then(|| write(state)))?;
        let sent = sent.ok_or_else(|| self.late())??;
        self.lock().write(&self.stream, &self.http);
        Ok(sent)
    }

    /// The same as far as it goes without waiting, for those who cannot say that it failed.
    pub(super) fn post(&self, write: impl FnOnce(&mut State<R>) -> Result<()>) {
        let mut state = self.lock();
        if state.end.is_none() && write(&mut state).is_ok() {
            state.write(&self.stream, &self.http);
        }
    }
}

impl<R: Receive> State<R> {
    pub(super) fn text(&mut self, text: &str) -> Result<()> {
        bounded(text.len())?;
        self.connection.text(text, &mut self.out)
    }

    pub(super) fn binary(&mut self, bytes: &[u8]) -> Result<()> {
        bounded(bytes.len())?;
        self.connection.binary(bytes, &mut self.out)
    }

    pub(super) fn ping(&mut self) -> Result<()> {
        self.connection.ping(b"gaffer", &mut self.out)
    }

    fn fail(&mut self, error: Error) {
        self.end.get_or_insert_with(|| (error.kind(), error.to_string()));
    }

    /// Sends, reads if that is ours to do, and keeps the connection alive; whether something was taken up or it has ended.
    fn pump(&mut self, stream: &Stream, http: &Http, reads: bool) -> bool {
        if self.end.is_some() {
            return false;
        }
        let reads = reads && self.receiver.has_room();
        let news = reads && self.read(stream, http);
        if self.end.is_none() {
            self.beat(http, reads);
            self.write(stream, http);
        }
        news || self.end.is_some()
    }

    fn read(&mut self, mut stream: &Stream, http: &Http) -> bool {
        let mut chunk = std::mem::take(&mut self.chunk);
        let mut news = false;
        for _ in 0..CHUNKS {
            if self.end.is_some() || !self.receiver.has_room() {
                break;
            }
            match stream.read(&mut chunk) {
                Ok(0) => self.fail(http.broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => {
                    news = true;
                    self.heard = Instant::now();
                    self.unanswered = None;
                    self.take(&chunk[..n], http);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => self.fail(http.broken(e)),
            }
        }
        self.chunk = chunk;
        news
    }

    fn take(&mut self, bytes: &[u8], http: &Http) {
        let mut at = 0;
        while at < bytes.len() && self.end.is_none() {
            let fed = self.connection.feed(&bytes[at..]);
            at += fed.used;
            match fed.out {
                Ok(None) => {}
                Ok(Some(Event::Close(close))) => {
                    let kind = match close.code {
                        Some(CloseCode::NORMAL) => ErrorKind::Closed,
                        Some(CloseCode::GOING_AWAY) => ErrorKind::Stopping,
                        Some(CloseCode::POLICY) => ErrorKind::Forbidden,
                        _ => ErrorKind::Io,
                    };
                    let code = close.code.map_or(String::new(), |code| format!(" ({code})"));
                    let why = if close.reason.is_empty() { "it has closed the channel" } else { &close.reason };
                    self.fail(Error::new(kind, format!("{}: {why}{code}", http.address)));
                }
                Ok(Some(event)) => {
                    if let Err(e) = self.receiver.receive(event) {
                        self.fail(e.context(&http.address));
                    }
                }
                Err(e) => {
                    self.fail(Error::new(ErrorKind::Invalid, format!("{}: no websocket of a node: {e}", http.address)));
                }
            }
        }
        // The pong, or the goodbye.
        self.connection.flush(&mut self.out);
    }

    /// Sends what the socket takes.
    fn write(&mut self, mut stream: &Stream, http: &Http) {
        let mut sent = 0;
        while sent < self.out.len() {
            match stream.write(&self.out[sent..]) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => {
                    self.fail(http.broken(e));
                    break;
                }
            }
        }
        self.out.drain(..sent);
    }

    /// Asks for a sign of life where nothing was heard for a heartbeat, and gives up where none has come for long.
    fn beat(&mut self, http: &Http, reads: bool) {
        let now = Instant::now();
        if now < self.next_beat(http) {
            return;
        }
        if let Some(since) = self.unanswered.filter(|since| reads && now >= *since + http.heartbeat * (MISSED - 1)) {
            let seconds = (now - since + http.heartbeat).as_secs_f64();
            let what = format!("{} is silent since {seconds:.1} s", http.address);
            return self.fail(Error::new(ErrorKind::TimedOut, what));
        }
        self.pinged = now;
        self.unanswered.get_or_insert(now);
        // An answer to a ping is the protocol's; a node of 0.5 looks for messages of ours.
        let sign = self.receiver.sign();
        let sent = sign.map_or(Ok(()), |text| self.text(text)).and_then(|()| self.ping());
        if let Err(e) = sent {
            self.fail(e);
        }
    }

    fn next_beat(&self, http: &Http) -> Instant {
        self.heard.max(self.pinged) + http.heartbeat
    }
}

impl<R: Receive> Drop for Link<R> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        // As far as it goes: the end of the connection says the same.
        if state.end.is_none() && state.connection.close(CloseCode::NORMAL, "", &mut state.out).is_ok() {
            state.write(&self.stream, &self.http);
        }
    }
}

impl<R: Receive> fmt::Debug for Link<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("address", &self.http.address).finish_non_exhaustive()
    }
}

fn bounded(length: usize) -> Result<()> {
    if length > MAX_MESSAGE {
        let what = format!("a message of {length} bytes; a node takes {MAX_MESSAGE}");
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    Ok(())
}

/// The time `after` from now on, if that is a time.
pub(super) fn from_now(after: Duration) -> Option<Instant> {
    Instant::now().checked_add(after)
}
