//! Locks on files that other processes respect.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Waits until no other process has this file locked (flock(2)); the lock ends with the file.
pub(crate) fn exclusive(file: &File) -> io::Result<()> {
    // SAFETY: a plain call on a descriptor that is open.
    super::retry(|| unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) }).map(drop)
}
