//! Anywhere: a thread waits for the child, remembers how it ended, and writes to a pipe.
//!
//! The price is a thread and two descriptors for each child, so this serves only where there is nothing
//! better.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::thread;

use super::wait;
use crate::process::{Exit, OsPid};
use crate::sys::{fork, stdio};

/// Enough for waitid and write; the system rounds it up to its least.
const STACK: usize = 16 * 1024;

pub(super) struct Watch {
    seen: Arc<OnceLock<Exit>>,
    ready: OwnedFd,
}

impl Watch {
    pub(super) fn new(os_pid: OsPid) -> io::Result<Self> {
        let (ready, done) = stdio::pipe()?;
        let seen = Arc::new(OnceLock::new());
        let result = Arc::clone(&seen);
        let work = move || {
            // ECHILD: somebody else has reaped it, or SIGCHLD is ignored.
            let exit = wait(libc::P_PID, os_pid.0, libc::WNOWAIT).ok().flatten().unwrap_or(Exit::Lost);
            let _ = result.set(exit);
            // SAFETY: one byte. It fails only if nobody watches any more; SIGPIPE is blocked in this thread.
            unsafe { libc::write(done.as_raw_fd(), [0u8].as_ptr().cast(), 1) };
        };
        // The host's signal handlers must not run on this small stack.
        fork::with_signals_blocked(|| thread::Builder::new().name("gaffer-exit".into()).stack_size(STACK).spawn(work))?;
        Ok(Self { seen, ready })
    }

    pub(super) fn peek(&self) -> Option<Exit> {
        self.seen.get().cloned()
    }

    pub(super) fn reap(&self, os_pid: OsPid) -> Exit {
        match self.seen.get() {
            // It was reaped, so its number may be another child's by now.
            Some(Exit::Lost) => Exit::Lost,
            seen => wait(libc::P_PID, os_pid.0, 0).ok().flatten().or(seen.cloned()).unwrap_or(Exit::Lost),
        }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}
