//! Publishing from other threads.

use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::SubscriptionId;
use super::queue::{Name, Queue};
use super::topic::trimmed;

type Waker = Arc<dyn Fn() + Send + Sync>;

/// Publishes to an emitter from any thread; made by [`EventEmitter::publisher`](super::EventEmitter::publisher).
///
/// Events wait in a queue of their own, bounded by the emitter's `max_size`, until the emitter
/// dispatches. When it is full the oldest is dropped and counted in the emitter's
/// [`dropped`](super::EventEmitter::dropped).
pub struct Publisher<P>(pub(super) Arc<Inbox<P>>);

/// A payload that could not be published because the emitter is closed or gone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Closed<P>(pub P);

/// What other threads leave for the emitter.
pub(super) struct Inbox<P> {
    state: Mutex<State<P>>,
    /// Whether `state` holds anything, readable without the lock.
    pending: AtomicBool,
    dropped: AtomicU64,
}

struct State<P> {
    queue: Queue<P>,
    /// Subscriptions whose receivers were dropped; at most one entry per subscription.
    ended: Vec<SubscriptionId>,
    closed: bool,
    waker: Option<Waker>,
}

impl<P> Publisher<P> {
    /// Queues an event, as [`EventEmitter::publish`](super::EventEmitter::publish) does.
    ///
    /// # Errors
    ///
    /// [`Closed`], with the payload, if the emitter is closed or was dropped.
    pub fn publish(&self, topic: &str, payload: P) -> Result<(), Closed<P>> {
        self.publish_under(0, topic, payload)
    }

    /// Queues an alias, as [`EventEmitter::publish_under`](super::EventEmitter::publish_under) does.
    ///
    /// # Errors
    ///
    /// [`Closed`], with the payload, if the emitter is closed or was dropped.
    pub fn publish_under(&self, literal: usize, topic: &str, payload: P) -> Result<(), Closed<P>> {
        let mut state = self.0.lock();
        if state.closed {
            return Err(Closed(payload));
        }
        let waker = if state.queue.is_empty() { state.waker.clone() } else { None };
        let oldest = state.queue.push_text(trimmed(topic), literal, payload);
        self.0.pending.store(true, Ordering::Release);
        drop(state);
        // The payload's drop and the waker are foreign code: they run without the lock.
        if oldest.is_some() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
        drop(oldest);
        if let Some(waker) = waker {
            waker();
        }
        Ok(())
    }

    /// Whether the emitter is closed or gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.lock().closed
    }
}

impl<P> Inbox<P> {
    pub(super) fn new(max: usize) -> Self {
        let state = State { queue: Queue::new(max), ended: Vec::new(), closed: false, waker: None };
        Self { state: Mutex::new(state), pending: AtomicBool::new(false), dropped: AtomicU64::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, State<P>> {
        // No foreign code runs under the lock, so a poisoned state is a sound one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    pub(super) fn len(&self) -> usize {
        if self.is_pending() { self.lock().queue.len() } else { 0 }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Moves up to `most` events over, with the lock held once.
    pub(super) fn collect(&self, most: usize, scratch: &mut String, mut into: impl FnMut(&str, usize, P)) {
        let mut state = self.lock();
        for _ in 0..most {
            let Some(event) = state.queue.pop(scratch) else { break };
            if let Name::Text { literal, .. } = event.name {
                into(scratch, literal, event.payload);
            }
        }
        self.note(&state);
    }

    /// Takes the subscriptions whose receivers are gone.
    pub(super) fn ended(&self) -> Vec<SubscriptionId> {
        let mut state = self.lock();
        let ended = mem::take(&mut state.ended);
        self.note(&state);
        ended
    }

    /// Ends the subscription of a receiver that was dropped.
    pub(super) fn end(&self, id: SubscriptionId) {
        let mut state = self.lock();
        if !state.closed {
            state.ended.push(id);
            self.note(&state);
        }
    }

    fn note(&self, state: &State<P>) {
        self.pending.store(!state.queue.is_empty() || !state.ended.is_empty(), Ordering::Release);
    }

    pub(super) fn set_waker(&self, waker: Waker) {
        let mut state = self.lock();
        let late = !state.queue.is_empty();
        let old = state.waker.replace(Arc::clone(&waker));
        drop(state);
        drop(old);
        if late {
            waker();
        }
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let max = state.queue.max();
        let left = (mem::replace(&mut state.queue, Queue::new(max)), state.waker.take());
        state.ended = Vec::new();
        self.note(&state);
        drop(state);
        drop(left);
    }
}

impl<P> Clone for Publisher<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P> fmt::Debug for Publisher<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("queued", &self.0.len()).field("closed", &self.is_closed()).finish()
    }
}

impl<P> fmt::Debug for Closed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed(..)")
    }
}

impl<P> fmt::Display for Closed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the event emitter is closed")
    }
}

impl<P> std::error::Error for Closed<P> {}

const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<Publisher<std::cell::Cell<u8>>>();
};
