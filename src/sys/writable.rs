//! Whether a descriptor can be written to, and waiting for it.

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
    poll(fd, -1).map(drop)
}

/// Whether a write to `fd` would do something at once, an error included; a pipe then takes 4096 bytes.
///
/// # Errors
///
/// What poll(2) says, but not EINTR.
pub(crate) fn is_writable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    poll(fd, 0)
}

fn poll(fd: BorrowedFd<'_>, timeout: libc::c_int) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
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
