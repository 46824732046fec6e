//! What the standard library does not tell of sockets, or does not let us set.

#[cfg(feature = "server")]
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

#[cfg(feature = "server")]
use super::cvt;

/// The user and the process at the other end of a unix socket, as they were when it connected; `None` where the system
/// does not tell.
#[must_use]
pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> (Option<u32>, Option<i32>) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: the descriptor is open, and the kernel writes at most `length` bytes into `credentials`, which is that long.
        let done = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut credentials).cast(),
                &raw mut length,
            )
        };
        // unix(7): a process in another pid namespace is 0.
        if done == 0 { (Some(credentials.uid), Some(credentials.pid).filter(|&pid| pid > 0)) } else { (None, None) }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let (mut uid, mut gid) = (0, 0);
        // SAFETY: the descriptor is open, and both places are valid for the call.
        let done = unsafe { libc::getpeereid(socket.as_raw_fd(), &raw mut uid, &raw mut gid) };
        (if done == 0 { Some(uid) } else { None }, None)
    }
}

#[cfg(feature = "server")]
/// Sets how many connections may wait to be accepted. The system has a bound of its own (`net.core.somaxconn`).
#[cfg(feature = "server")]
pub(crate) fn set_backlog(listener: BorrowedFd<'_>, backlog: i32) -> io::Result<()> {
    // SAFETY: a plain system call on an open descriptor; listen(2) may be called again.
    cvt(unsafe { libc::listen(listener.as_raw_fd(), backlog) }).map(drop)
}

/// The user this process acts as.
#[must_use]
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: it takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}
