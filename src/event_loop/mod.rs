//! One thread waits here for descriptors, timers and other threads.
//!
//! An [`EventLoop`] tells *what is ready* and calls nobody: each [`turn`](EventLoop::turn) waits once
//! and fills a list of [`Ready`], each with the token its owner gave. Who routes them and what they
//! then do is the caller's affair, so nothing here is shared, locked or re-entered on their behalf.
//!
//! ```
//! use std::io::Write;
//! use std::os::unix::net::UnixStream;
//! use std::time::{Duration, Instant};
//!
//! use gaffer::event_loop::{EventLoop, Interest, Ready};
//!
//! #[derive(Clone, Copy, Debug, PartialEq)]
//! enum Owner { Peer, Deadline }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut io = EventLoop::new()?;
//! let (ours, mut theirs) = UnixStream::pair()?;
//! let source = io.register(ours, Interest::READ, Owner::Peer)?;
//! io.set_timer(Instant::now() + Duration::from_millis(5), Owner::Deadline);
//!
//! theirs.write_all(b"x")?;
//! let mut ready = Vec::new();
//! io.turn(None, &mut ready)?;
//! assert!(matches!(ready[0], Ready::Source { id, owner: Owner::Peer, readiness }
//!     if id == source.id() && readiness.is_readable()));
//!
//! drop(source); // ends the registration
//! io.turn(None, &mut ready)?;
//! assert!(matches!(ready[..], [Ready::Timer { owner: Owner::Deadline, .. }]));
//! # Ok(())
//! # }
//! ```
//!
//! # What a turn costs
//!
//! Sources are level-triggered: what is not read now is reported again. There is no periodic tick: a
//! turn is one system call, `epoll_pwait2` or `epoll_wait` on Linux and `kevent` on kqueue systems, and
//! sits in it until something happens. In steady state a turn allocates nothing. A wake is one more
//! call, on the side of the waker.
#![deny(unsafe_code)]

mod id;
mod poller;
mod source;
#[cfg(test)]
mod tests;
mod timers;
mod waker;

use std::fmt;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[cfg(feature = "server")]
pub(crate) use self::id::SourceMap;
pub use self::id::{SourceId, TimerId};
pub use self::source::{Interest, Readiness, RegisterError, Source};
pub use self::waker::Waker;

use self::id::IdMap;
use self::poller::{Events, Poller, Until};
use self::timers::Timers;
use self::waker::Woken;
use crate::{Error, Result};

/// Waits for descriptors, timers and wakes; see the [module](self).
///
/// `T` is the token that comes back with each readiness and says whose it is.
pub struct EventLoop<T> {
    shared: Arc<Shared>,
    /// Re-used for every wait; its capacity is the bound on sources per turn.
    events: Events,
    sources: IdMap<Registered<T>>,
    timers: Timers<T>,
    last_id: u64,
    /// When the last wait ended.
    now: Instant,
}

/// What the loop shares with its guards and wakers, which may be on other threads and outlive it.
struct Shared {
    poller: Poller,
    /// Ids whose guards are gone. The loop empties it when it registers and when it turns, so it holds
    /// no more than there were sources.
    ended: Mutex<Vec<u64>>,
    woken: Woken,
}

struct Registered<T> {
    id: SourceId,
    owner: T,
    /// Its last place in a turn's list.
    reported: u32,
}

/// Something that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready<T> {
    /// A descriptor is ready; each is reported at most once per turn.
    Source {
        /// The id of the [`Source`].
        id: SourceId,
        /// The token it was registered with.
        owner: T,
        /// What it is ready for.
        readiness: Readiness,
    },
    /// A timer has expired, and is gone.
    Timer {
        /// The id [`EventLoop::set_timer`] gave.
        id: TimerId,
        /// The token it was set with.
        owner: T,
    },
    /// A [`Waker`] was used since the last turn.
    Woken,
}

impl<T: Copy> EventLoop<T> {
    /// The bound on sources reported per turn unless it is chosen: 1024.
    pub const MAX_EVENTS: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

    /// A loop with nothing registered.
    ///
    /// # Errors
    ///
    /// The process or the system is out of descriptors (it takes four on Linux) or memory.
    pub fn new() -> Result<Self> {
        Self::with_max_events(Self::MAX_EVENTS)
    }

    /// A loop that reports at most so many sources per turn; the others come in the next turns, taking
    /// their turns fairly. Fewer lets timers and wakes through sooner under load; each costs 12 to 32 bytes.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub fn with_max_events(max_events: NonZeroUsize) -> Result<Self> {
        let poller = Poller::new().map_err(|error| Error::io("cannot create an event loop", error))?;
        Ok(Self {
            shared: Arc::new(Shared { poller, ended: Mutex::default(), woken: Woken::default() }),
            events: Events::with_capacity(max_events),
            sources: IdMap::default(),
            timers: Timers::new(),
            last_id: 0,
            now: Instant::now(),
        })
    }

    /// Registers a descriptor; the guard returned owns it and ends the registration when dropped.
    ///
    /// With [`Interest::NONE`] it is only given an id, and [`Source::set_interest`] may fail instead.
    ///
    /// # Errors
    ///
    /// The error gives the descriptor back. Its kind is [`Conflict`](crate::ErrorKind::Conflict) if
    /// this loop has the descriptor already, [`Unsupported`](crate::ErrorKind::Unsupported) if it
    /// cannot be waited for (on Linux: regular files and folders),
    /// [`Full`](crate::ErrorKind::Full) if the user's limit on registrations is reached.
    pub fn register<F: AsFd>(&mut self, fd: F, interest: Interest, owner: T) -> Result<Source<F>, RegisterError<F>> {
        self.forget_ended();
        let id = self.next_id();
        let source = Source::new(Arc::clone(&self.shared), id, fd, interest)?;
        self.sources.insert(source::key(id) as u64, Registered { id, owner, reported: 0 });
        Ok(source)
    }

    /// Sets a timer; one whose time has passed expires in the next turn, which then does not wait.
    ///
    /// Timers never expire early; lateness is that of the system (some 50 µs on an idle Linux).
    pub fn set_timer(&mut self, at: Instant, owner: T) -> TimerId {
        self.timers.set(at, owner)
    }

    /// Takes a timer back; false if it has expired or was cancelled before.
    pub fn cancel_timer(&mut self, id: TimerId) -> bool {
        self.timers.cancel(id)
    }

    /// When the next timer expires: how long a host that waits elsewhere may wait.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    /// When the wait of the last turn ended: what whoever works in a turn may take for now, without a look at the clock.
    /// Before the first turn, when the loop was made.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// A handle by which other threads end the wait.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.shared))
    }

    /// Waits until something is ready, a timer expires or `timeout` has passed, and lists what is ready
    /// in place of what `ready` held.
    ///
    /// `None` waits as long as it takes, a timeout of zero not at all. First come the sources, in the
    /// order of the system, then the timers expired by now, in order of their deadlines and of setting,
    /// then [`Ready::Woken`]. The list may be empty, also before the timeout: callers go on turning.
    ///
    /// A signal handled meanwhile neither ends the wait nor is it an error: a handler that must be
    /// noticed writes to a registered pipe.
    ///
    /// A source that ends, or whose interest changes, while its owner goes through the list may still
    /// follow in it as it was found; the id of one that ended is one that no new registration gets.
    ///
    /// # Errors
    ///
    /// None is expected: the system refuses to wait only if the loop's own descriptors were closed by
    /// somebody else.
    pub fn turn(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready<T>>) -> Result<()> {
        ready.clear();
        let until = self.until(timeout);
        let waited = self.events.wait(&self.shared.poller, until);
        waited.map_err(|error| Error::io("the event loop cannot wait", error))?;
        self.now = Instant::now();
        // After the wait, so that what other threads dropped meanwhile is not reported.
        self.forget_ended();
        for (key, readiness) in self.events.iter() {
            if let Some(source) = self.sources.get_mut(&key) {
                source.report(readiness, ready);
            }
        }
        while let Some((id, owner)) = self.timers.pop_expired(self.now) {
            ready.push(Ready::Timer { id, owner });
        }
        if self.shared.woken.take() {
            ready.push(Ready::Woken);
        }
        Ok(())
    }

    /// The earlier of the timeout and the next timer.
    fn until(&self, timeout: Option<Duration>) -> Until {
        let limit = match timeout {
            Some(Duration::ZERO) => return Until::Now,
            // A timeout beyond what an `Instant` can hold is never.
            Some(timeout) => Instant::now().checked_add(timeout),
            None => None,
        };
        let deadline = match (limit, self.timers.next_deadline()) {
            (Some(limit), Some(timer)) => Some(limit.min(timer)),
            (limit, timer) => limit.or(timer),
        };
        deadline.map_or(Until::Never, Until::At)
    }

    /// Forgets the owners of sources whose guards are gone.
    fn forget_ended(&mut self) {
        let mut ended = self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ended.drain(..) {
            self.sources.remove(&(source::key(SourceId(id)) as u64));
        }
    }

    fn next_id(&mut self) -> SourceId {
        loop {
            self.last_id += 1;
            let key = source::key(SourceId(self.last_id));
            // It matters where a `usize` has 32 bits.
            if key <= poller::MAX_KEY && !self.sources.contains_key(&(key as u64)) {
                return SourceId(self.last_id);
            }
        }
    }
}

impl<T: Copy> Registered<T> {
    /// Lists the source, or adds to what is listed: kqueue reports reading and writing apart.
    fn report(&mut self, readiness: Readiness, ready: &mut Vec<Ready<T>>) {
        match ready.get_mut(self.reported as usize) {
            Some(Ready::Source { id, readiness: listed, .. }) if *id == self.id => return listed.add(readiness),
            _ => {}
        }
        // A list is as long as the list of one wait. The place of another turn may be another source's.
        self.reported = ready.len() as u32;
        ready.push(Ready::Source { id: self.id, owner: self.owner, readiness });
    }
}

/// The poller's own descriptor, for waiting in somebody else's loop: it is readable when a source is
/// ready or a [`Waker`] was used. Then, and at [`EventLoop::next_deadline`], call
/// [`turn`](EventLoop::turn) with a timeout of zero.
impl<T> AsFd for EventLoop<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.poller.as_fd()
    }
}

impl<T: Copy> fmt::Debug for EventLoop<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("sources", &self.sources.len())
            .field("timers", &self.timers.len())
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn assert_send<T: Send>() {}
    assert_send::<EventLoop<u64>>();
    assert_send::<Source<std::os::unix::net::UnixStream>>();
};
