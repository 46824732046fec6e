//! macOS and BSD: a kqueue for each child, itself a descriptor that becomes readable.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use super::{is_readable, wait};
use crate::process::{Exit, OsPid};
use crate::sys::cvt;

pub(super) struct Watch(pub(super) OwnedFd);

impl Watch {
    pub(super) fn new(os_pid: OsPid) -> io::Result<Self> {
        // SAFETY: makes a descriptor, which is ours.
        let queue = unsafe { OwnedFd::from_raw_fd(cvt(libc::kqueue())?) };
        // SAFETY: a plain flag.
        cvt(unsafe { libc::fcntl(queue.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
        let watch = Self(queue);
        match watch.add(os_pid.0 as usize, libc::EVFILT_PROC as _, libc::NOTE_EXIT as _, 0) {
            // It has ended already, which macOS and NetBSD will not report: a timer makes us readable at once.
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => watch.add(0, libc::EVFILT_TIMER as _, 0, 1)?,
            other => other?,
        }
        Ok(watch)
    }

    fn add(&self, ident: usize, filter: i32, fflags: u32, data: isize) -> io::Result<()> {
        // SAFETY: all zeroes is a valid kevent.
        let mut event: libc::kevent = unsafe { mem::zeroed() };
        event.ident = ident as _;
        event.filter = filter as _;
        event.flags = (libc::EV_ADD | libc::EV_ONESHOT) as _;
        event.fflags = fflags as _;
        event.data = data as _;
        // SAFETY: one change, no room for events.
        cvt(unsafe { libc::kevent(self.0.as_raw_fd(), &event, 1, ptr::null_mut(), 0, ptr::null()) })?;
        Ok(())
    }

    pub(super) fn peek(&self, os_pid: OsPid) -> io::Result<Option<Exit>> {
        match wait(libc::P_PID, os_pid.0, libc::WNOHANG | libc::WNOWAIT) {
            // Not waitable: somebody else has reaped it, or will once it ends.
            Err(e) if e.raw_os_error() == Some(libc::ECHILD) => Ok(is_readable(self.0.as_fd())?.then_some(Exit::Lost)),
            other => other,
        }
    }
}
