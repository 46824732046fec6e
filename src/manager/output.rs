//! The output of children for other threads.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::{Cx, Flow, Handle, StreamData, StreamOrigin, StreamSelector, TapId};

/// How much output may wait for its reader, and what happens when that much waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputLimit {
    /// At most about so many bytes wait; then the streams are not read any more and the children
    /// wait. Nothing is lost: what the pipes hold when the manager ends is added.
    Wait(usize),
    /// The newest so many bytes are kept; the oldest are dropped and counted in a
    /// [`Piece::Gap`]. No child waits. An end that nobody has taken counts as 64 bytes, and may be dropped too.
    Newest(usize),
}

/// What [`Output`] yields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Piece {
    /// Output of a stream.
    Bytes(StreamOrigin, Vec<u8>),
    /// A stream has ended.
    End(StreamOrigin),
    /// So many bytes were dropped here.
    Gap(u64),
}

/// A subscription to output, for another thread. Dropping it ends the subscription.
pub struct Output {
    shared: Arc<Shared>,
    handle: Handle,
    tap: TapId,
    limit: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Piece>,
    bytes: usize,
    gap: u64,
    paused: bool,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Marks the queue as closed when the manager drops the tap, so that a waiting reader wakes.
struct Feeder(Arc<Shared>);

impl Drop for Feeder {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.arrived.notify_all();
    }
}

/// What an ended stream costs in the queue: it has no bytes, and yet must be bounded.
const END_COST: usize = 64;

fn cost(piece: &Piece) -> usize {
    match piece {
        Piece::Bytes(_, bytes) => bytes.len(),
        Piece::End(_) => END_COST,
        Piece::Gap(_) => 0,
    }
}

impl Output {
    pub(super) fn open(cx: &mut Cx<'_>, which: StreamSelector, limit: OutputLimit, handle: Handle) -> Self {
        let shared = Arc::new(Shared::default());
        let feeder = Feeder(Arc::clone(&shared));
        let tap = cx.tap(which, move |_, chunk| {
            let piece = match chunk.data {
                StreamData::Bytes(bytes) => Piece::Bytes(chunk.origin.clone(), bytes.to_vec()),
                StreamData::End => Piece::End(chunk.origin.clone()),
            };
            feeder.0.push(piece, limit)
        });
        let (OutputLimit::Wait(limit) | OutputLimit::Newest(limit)) = limit;
        Self { shared, handle, tap, limit }
    }

    /// The next piece; waits for it. `None` once the manager has stopped and everything was taken.
    #[must_use]
    pub fn recv(&self) -> Option<Piece> {
        self.take(None)
    }

    /// The next piece, if one comes within `timeout`.
    #[must_use]
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Piece> {
        // A time beyond the clock's end is no limit.
        self.take(Instant::now().checked_add(timeout))
    }

    fn take(&self, until: Option<Instant>) -> Option<Piece> {
        let mut state = self.shared.lock();
        loop {
            if state.gap > 0 {
                return Some(Piece::Gap(std::mem::take(&mut state.gap)));
            }
            if let Some(piece) = state.queue.pop_front() {
                state.bytes -= cost(&piece);
                let resume = state.paused && state.bytes <= self.limit / 2;
                if resume {
                    state.paused = false;
                }
                drop(state);
                if resume {
                    let tap = self.tap;
                    // A manager that has gone reads nothing any more, and its feeder closes the queue.
                    let _ = self.handle.post(move |cx| cx.resume(tap));
                }
                return Some(piece);
            }
            if state.closed {
                return None;
            }
            state = match until {
                None => self.shared.arrived.wait(state).unwrap_or_else(|e| e.into_inner()),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.shared.arrived.wait_timeout(state, left).unwrap_or_else(|e| e.into_inner()).0
                }
            };
        }
    }
}

impl State {
    /// Drops the oldest bytes beyond the limit.
    fn trim(&mut self, limit: usize) {
        while self.bytes > limit {
            let excess = self.bytes - limit;
            match self.queue.front_mut() {
                Some(Piece::Bytes(_, bytes)) if bytes.len() > excess => {
                    bytes.drain(..excess);
                    self.bytes -= excess;
                    self.gap += excess as u64;
                }
                Some(oldest) => {
                    self.bytes -= cost(oldest);
                    if let Piece::Bytes(_, bytes) = oldest {
                        self.gap += bytes.len() as u64;
                    }
                    self.queue.pop_front();
                }
                None => return,
            }
        }
    }
}

impl Shared {
    fn push(&self, piece: Piece, limit: OutputLimit) -> Flow {
        let mut state = self.lock();
        state.bytes += cost(&piece);
        state.queue.push_back(piece);
        let flow = match limit {
            OutputLimit::Wait(limit) if state.bytes >= limit => {
                state.paused = true;
                Flow::Pause
            }
            OutputLimit::Wait(_) => Flow::Continue,
            OutputLimit::Newest(limit) => {
                state.trim(limit);
                Flow::Continue
            }
        };
        drop(state);
        self.arrived.notify_one();
        flow
    }
}

impl Iterator for Output {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        self.recv()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let tap = self.tap;
        // A manager that has gone has no tap any more.
        let _ = self.handle.post(move |cx| {
            cx.untap(tap);
        });
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Output")
            .field("waiting", &state.queue.len())
            .field("bytes", &state.bytes)
            .finish_non_exhaustive()
    }
}
