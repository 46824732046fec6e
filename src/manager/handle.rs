//! The manager from other threads.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use super::{Cx, Output, OutputLimit, StreamSelector, panic_message};
use crate::event_loop::Waker;
use crate::events;
use crate::process::Event;
use crate::{Error, ErrorKind, Result};

/// How many calls wait for the loop at most; a thread that comes later waits for its turn.
const MAX_CALLS: usize = 1024;

type Call = Box<dyn FnOnce(&mut Cx<'_>) + Send>;

/// A manager's handle for other threads: cheap to clone, `Send` and `Sync`.
///
/// It ships a closure to the loop's thread and waits for its answer, so every operation of
/// [`Supervisor`](super::Supervisor) and [`Cx`] is thread-safe without being written twice:
///
/// ```
/// use gaffer::process::{JobConfig, Scale};
/// use gaffer::Manager;
///
/// let mut manager = Manager::new()?;
/// let handle = manager.handle();
/// let other = std::thread::spawn(move || {
///     handle.call(|m| m.load(JobConfig::new("idle", "sleep 1000")?, true))??;
///     let n = handle.call(|m| m.scale("idle", Scale::By(1)))??;
///     handle.stop()?;
///     Ok::<_, gaffer::Error>(n)
/// });
/// manager.run()?;
/// assert_eq!(other.join().expect("the thread ends")?, 2);
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Clone)]
pub struct Handle {
    calls: SyncSender<Call>,
    waker: Waker,
    /// The loop's own thread would wait for itself.
    home: Arc<Mutex<Option<ThreadId>>>,
}

impl Handle {
    /// Runs `f` on the loop's thread and returns its answer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Stopping`] if the manager has stopped or is gone, or stops before `f` has run;
    /// [`ErrorKind::Invalid`] if called from the loop's own thread, which has a [`Cx`], or if `f` panics.
    pub fn call<R: Send + 'static>(&self, f: impl FnOnce(&mut Cx<'_>) -> R + Send + 'static) -> Result<R> {
        if self.is_home() {
            return Err(Error::new(ErrorKind::Invalid, "a handle waits for its own thread; use the Cx instead"));
        }
        let (answer, receiver) = sync_channel(1);
        self.post(move |cx| {
            let outcome = catch_unwind(AssertUnwindSafe(|| f(cx)));
            // The caller waits for the answer; if it does not any more, nobody needs it.
            match outcome {
                Ok(value) => drop(answer.send(Ok(value))),
                Err(panic) => {
                    drop(answer.send(Err(panic_message(&*panic))));
                    resume_unwind(panic)
                }
            }
        })?;
        let outcome = receiver.recv().map_err(|_| stopped())?;
        outcome.map_err(|message| Error::new(ErrorKind::Invalid, format!("the call panicked: {message}")))
    }

    /// Runs `f` on the loop's thread some time later, without waiting.
    ///
    /// Where 1024 calls wait already it waits for room.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Stopping`] if the manager has stopped or is gone; [`ErrorKind::Full`] if there is no room and
    /// the caller is the loop's own thread, which cannot wait for itself.
    pub fn post(&self, f: impl FnOnce(&mut Cx<'_>) + Send + 'static) -> Result<()> {
        match self.calls.try_send(Box::new(f)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) if self.is_home() => {
                return Err(Error::new(ErrorKind::Full, format!("{MAX_CALLS} calls wait for the manager already")));
            }
            Err(TrySendError::Full(call)) => {
                self.waker.wake();
                self.calls.send(call).map_err(|_| stopped())?;
            }
            Err(TrySendError::Disconnected(_)) => return Err(stopped()),
        }
        self.waker.wake();
        Ok(())
    }

    fn is_home(&self) -> bool {
        *self.home.lock().unwrap_or_else(|e| e.into_inner()) == Some(thread::current().id())
    }

    /// Stops the manager gracefully; returns at once.
    ///
    /// # Errors
    ///
    /// The manager has stopped already.
    pub fn stop(&self) -> Result<()> {
        self.post(|cx| cx.stop())
    }

    /// Events that match `pattern`, for this thread. At most `capacity` wait, then the oldest are
    /// dropped and counted.
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call).
    pub fn subscribe(&self, pattern: &str, capacity: usize) -> Result<events::Receiver<Arc<Event>>> {
        let pattern = pattern.to_owned();
        self.call(move |cx| cx.subscribe(&pattern, capacity))
    }

    /// The output of the streams that `which` selects, for this thread.
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call).
    pub fn output(&self, which: StreamSelector, limit: OutputLimit) -> Result<Output> {
        let handle = self.clone();
        self.call(move |cx| Output::open(cx, which, limit, handle))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::Stopping, "the manager has stopped")
}

/// The loop's end of the handles.
pub(super) struct Calls {
    /// `None` once the manager has stopped.
    receiver: Option<Receiver<Call>>,
    handle: Handle,
}

impl Calls {
    pub(super) fn new(waker: Waker) -> Self {
        let (calls, receiver) = sync_channel(MAX_CALLS);
        Self { receiver: Some(receiver), handle: Handle { calls, waker, home: Arc::default() } }
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub(super) fn next(&self) -> Option<Call> {
        self.receiver.as_ref()?.try_recv().ok()
    }

    /// Answers those who wait, and those who come later: the manager has stopped.
    pub(super) fn close(&mut self) {
        self.receiver = None;
    }

    /// Remembers which thread turns the loop, `None` while none does.
    pub(super) fn set_home(&self, home: Option<ThreadId>) {
        *self.handle.home.lock().unwrap_or_else(|e| e.into_inner()) = home;
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}

const fn assert_send_sync<T: Send + Sync>() {}
const _: () = assert_send_sync::<Handle>();
