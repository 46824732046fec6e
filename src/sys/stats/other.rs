//! Systems without a Linux `/proc`: no stats, said cleanly.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use crate::process::{OsPid, ProcessStats};

/// A look through the processes of the system; not to be had here.
#[derive(Debug)]
pub struct Snapshot(());

impl Snapshot {
    /// Looks through all processes.
    ///
    /// # Errors
    ///
    /// Always [`io::ErrorKind::Unsupported`] on this system.
    pub fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Looks at one process only.
    ///
    /// # Errors
    ///
    /// Always [`io::ErrorKind::Unsupported`] on this system.
    pub fn only(_os_pid: OsPid) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Starts a look through all processes.
    ///
    /// # Errors
    ///
    /// Always [`io::ErrorKind::Unsupported`] on this system.
    pub fn begin() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Forgets what was seen and starts again.
    ///
    /// # Errors
    ///
    /// Always [`io::ErrorKind::Unsupported`] on this system.
    pub fn restart(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Goes on looking until the deadline; whether all have been seen.
    ///
    /// # Errors
    ///
    /// Always [`io::ErrorKind::Unsupported`] on this system.
    pub fn advance(&mut self, _deadline: Instant) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Reads ahead what a sample tells.
    pub fn prepare(&mut self, _os_pid: OsPid, _deadline: Instant) -> bool {
        true
    }

    /// What a process uses, and its children.
    pub fn sample(&mut self, _os_pid: OsPid) -> Option<ProcessStats> {
        None
    }
}

/// The process groups in which somebody runs; unknown here.
pub(crate) fn groups() -> Option<HashMap<OsPid, Option<OsPid>>> {
    None
}

/// Whether this process runs and is a member of the group; unknown here.
pub(crate) fn is_member(_os_pid: OsPid, _group: OsPid) -> bool {
    false
}

/// Whether this process has ended, and its parent has not noticed yet; unknown here.
pub(crate) fn is_zombie(_os_pid: OsPid) -> bool {
    false
}

/// When a process that runs began, in ticks of the kernel's clock; unknown here.
#[must_use]
pub fn began(_os_pid: OsPid) -> Option<u64> {
    None
}
