//! Waits until a descriptor can be written to.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Blocks until a write to `fd` would do something, an error included.
///
/// For a descriptor that somebody else made non-blocking and that must stay so.
///
/// # Errors
///
/// What poll(2) says, but not EINTR.
pub(crate) fn wait_writable(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    loop {
        // SAFETY: the pointer is to one valid pollfd, as the count says, and the descriptor is
        // borrowed for the call.
        match unsafe { libc::poll(&mut poll, 1, -1) } {
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            _ => return Ok(()),
        }
    }
}
