//! Receiving on other threads.

use std::fmt;
use std::mem;
use std::sync::mpsc::{RecvError, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::SubscriptionId;
use super::publisher::Inbox;
use super::queue::Queue;

/// The events of one subscription, for another thread; made by [`EventEmitter::channel`](super::EventEmitter::channel).
///
/// It holds at most `capacity` events. When it is full the oldest is dropped: the emitter never
/// waits, and the next event [tells](Received::missed) how many are missing. Dropping the receiver
/// ends the subscription. When the subscription ends from the other side, what was received before
/// can still be taken; then every call returns a disconnection.
pub struct Receiver<P> {
    shared: Arc<Shared<P>>,
    inbox: Arc<Inbox<P>>,
    id: SubscriptionId,
}

/// An event taken from a [`Receiver`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received<P> {
    /// How many events were dropped, for want of room, between the one before and this one.
    pub missed: u64,
    /// The topic it was published to, without a trailing dot.
    pub topic: String,
    /// What was published.
    pub payload: P,
}

pub(super) struct Shared<P> {
    state: Mutex<State<P>>,
    changed: Condvar,
}

struct State<P> {
    queue: Queue<P>,
    missed: u64,
    /// The subscription has ended.
    closed: bool,
    /// The receiver was dropped.
    gone: bool,
}

/// The emitter's end.
pub(super) struct Sender<P>(pub(super) Arc<Shared<P>>);

impl<P> Shared<P> {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        let state = State { queue: Queue::new(capacity.max(1)), missed: 0, closed: false, gone: false };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State<P>> {
        // No foreign code runs under the lock, so a poisoned state is a sound one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P> State<P> {
    fn take(&mut self) -> Result<Received<P>, TryRecvError> {
        let mut topic = String::new();
        match self.queue.pop(&mut topic) {
            Some(event) => Ok(Received { missed: mem::take(&mut self.missed), topic, payload: event.payload }),
            None if self.closed => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }
}

impl<P: Clone> Sender<P> {
    pub(super) fn send(&self, topic: &str, payload: &P) {
        if self.0.lock().gone {
            return;
        }
        // Cloning is foreign code: it runs without the lock.
        let payload = payload.clone();
        let mut state = self.0.lock();
        let oldest = state.queue.push_text(topic, 0, payload);
        state.missed += u64::from(oldest.is_some());
        drop(state);
        self.0.changed.notify_one();
    }
}

impl<P> Drop for Sender<P> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl<P> Receiver<P> {
    pub(super) fn new(shared: Arc<Shared<P>>, inbox: Arc<Inbox<P>>, id: SubscriptionId) -> Self {
        Self { shared, inbox, id }
    }

    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// The subscription has ended and everything received before was taken.
    pub fn recv(&self) -> Result<Received<P>, RecvError> {
        self.wait(None).map_err(|_| RecvError)
    }

    /// Waits for the next event, at most this long.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), or the time has passed.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Received<P>, RecvTimeoutError> {
        // A time beyond what the clock can tell is no limit.
        self.wait(Instant::now().checked_add(timeout))
    }

    fn wait(&self, deadline: Option<Instant>) -> Result<Received<P>, RecvTimeoutError> {
        let mut state = self.shared.lock();
        loop {
            match state.take() {
                Ok(event) => return Ok(event),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) => {}
            }
            let changed = &self.shared.changed;
            state = match deadline {
                None => changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(RecvTimeoutError::Timeout);
                    }
                    changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Takes the next event if there is one.
    ///
    /// # Errors
    ///
    /// There is none now, or as [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<Received<P>, TryRecvError> {
        self.shared.lock().take()
    }

    /// The events to come, waiting for each, until the subscription ends.
    pub fn iter(&self) -> Iter<'_, P> {
        Iter(self)
    }

    /// The subscription that feeds this receiver.
    #[must_use]
    pub fn subscription(&self) -> SubscriptionId {
        self.id
    }
}

impl<P> Drop for Receiver<P> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.gone = true;
        let left = mem::replace(&mut state.queue, Queue::new(1));
        let closed = state.closed;
        drop(state);
        drop(left);
        if !closed {
            self.inbox.end(self.id);
        }
    }
}

/// The events of a [`Receiver`], made by [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, P>(&'a Receiver<P>);

impl<P> Iterator for Iter<'_, P> {
    type Item = Received<P>;

    fn next(&mut self) -> Option<Received<P>> {
        self.0.recv().ok()
    }
}

impl<'a, P> IntoIterator for &'a Receiver<P> {
    type Item = Received<P>;
    type IntoIter = Iter<'a, P>;

    fn into_iter(self) -> Iter<'a, P> {
        self.iter()
    }
}

impl<P> fmt::Debug for Receiver<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Receiver")
            .field("subscription", &self.id)
            .field("waiting", &state.queue.len())
            .field("closed", &state.closed)
            .finish()
    }
}

const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<Receiver<std::cell::Cell<u8>>>();
};
