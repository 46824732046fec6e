//! Whether a descriptor can be written to or read, and waiting for it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Blocks until a write to `fd` would do something, an error included.
///
/// For a descriptor that somebody else made non-blocking and that must stay so.
///
/// # Errors
///
/// What poll(2) says, but not EINTR.
#[cfg(feature = "console")]
pub(crate) fn wait_writable(fd: BorrowedFd<'_>) -> io::Result<()> {
    poll(fd, libc::POLLOUT, -1).map(drop)
}

/// Blocks until nobody can read any more what is written to `fd`: the other end of a pipe is closed, a terminal is gone. With a file
/// that is never.
///
/// # Errors
///
/// What poll(2) says, but not EINTR.
#[cfg(feature = "cli")]
pub(crate) fn wait_unread(fd: BorrowedFd<'_>) -> io::Result<()> {
    // POLLERR and POLLHUP are told without being asked for.
    poll(fd, 0, -1).map(drop)
}

/// Whether a write to `fd` would do something at once, an error included; a pipe then takes 4096 bytes.
///
/// # Errors
///
/// What poll(2) says, but not EINTR.
pub(crate) fn is_writable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    poll(fd, libc::POLLOUT, 0)
}

/// Blocks until a read or a write, as asked, would do something, an error included, or `timeout` has passed. It returns early
/// where a signal handler interrupts.
///
/// # Errors
///
/// What poll(2) says, but not EINTR.
#[cfg(feature = "client")]
pub(crate) fn wait(fd: BorrowedFd<'_>, read: bool, write: bool, timeout: std::time::Duration) -> io::Result<()> {
    let events = if read { libc::POLLIN } else { 0 } | if write { libc::POLLOUT } else { 0 };
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    // Milliseconds, rounded up, so that nobody comes back just before the time; a day is enough at a time.
    let timeout = timeout.as_nanos().div_ceil(1_000_000).min(86_400_000) as libc::c_int;
    // SAFETY: the pointer is to one valid pollfd, as the count says, and the descriptor is borrowed for the call.
    match unsafe { libc::poll(&mut poll, 1, timeout) } {
        -1 => match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            e => Err(e),
        },
        _ => Ok(()),
    }
}

fn poll(fd: BorrowedFd<'_>, events: libc::c_short, timeout: libc::c_int) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    loop {
        // SAFETY: the pointer is to one valid pollfd, as the count says, and the descriptor is
        // borrowed for the call.
        match unsafe { libc::poll(&mut poll, 1, timeout) } {
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            ready => return Ok(ready > 0),
        }
    }
}
