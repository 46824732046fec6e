//! Waking the loop from another thread.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Shared;

/// Ends the current or the next wait of an [`EventLoop`](super::EventLoop), from any thread.
///
/// Any number of wakes before the loop looks make one [`Ready::Woken`](super::Ready::Woken). Whatever
/// was written before [`wake`](Waker::wake) is seen by whoever acts on that `Woken`. A wake is never
/// lost: one that comes while nobody waits ends the next wait at once. Waking a loop that has been
/// dropped does nothing.
///
/// It may not be used in a signal handler; write to a pipe there and register its other end.
#[derive(Clone)]
pub struct Waker(pub(super) Arc<Shared>);

impl Waker {
    /// Wakes the loop: one system call, or none if a wake is already under way.
    pub fn wake(&self) {
        self.0.woken.raise(|| self.0.poller.wake().is_ok());
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}

/// Whether a wake is under way: raised by the wakers, taken down by the loop after its wait.
///
/// A waker that finds it up sends nothing. The one that raised it may not have sent yet when the loop
/// takes it down; the wait it then ends has nothing to report, which the loop's callers are told of.
/// With `polling`'s own notification there is a second such flag, lowered before `wait` returns; a
/// waker that raises ours and finds that one still up sends nothing either, and that is right only
/// because the loop looks at ours later, and all of it is in one total order (`SeqCst`).
#[derive(Debug, Default)]
pub(super) struct Woken(AtomicBool);

impl Woken {
    fn raise(&self, notify: impl FnOnce() -> bool) {
        if !self.0.swap(true, Ordering::SeqCst) && !notify() {
            // Not delivered: let the next wake try again rather than believe this one is under way.
            self.0.store(false, Ordering::SeqCst);
        }
    }

    /// Says whether it was raised, and lowers it.
    pub(super) fn take(&self) -> bool {
        // The load spares an idle turn the locked instruction.
        self.0.load(Ordering::SeqCst) && self.0.swap(false, Ordering::SeqCst)
    }
}

const _: () = {
    const fn assert_send_and_sync<T: Send + Sync + Clone>() {}
    assert_send_and_sync::<Waker>();
};
