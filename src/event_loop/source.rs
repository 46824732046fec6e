//! Registered descriptors: the guard that owns one, what it waits for, and what was found.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::ops::{BitOr, Deref};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, PoisonError};

use super::Shared;
use super::id::SourceId;
use crate::{Error, ErrorKind};

/// What to wait for on a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest {
    read: bool,
    write: bool,
}

impl Interest {
    /// Nothing: the descriptor stays owned by its [`Source`], but the poller forgets it.
    ///
    /// Hang-ups and errors are not reported either. Kept in the poller, a descriptor whose peer has
    /// hung up would end every wait at once.
    pub const NONE: Self = Self::new(false, false);
    /// There is something to read, or the peer will not write any more.
    pub const READ: Self = Self::new(true, false);
    /// There is room to write, or the peer will not read any more.
    pub const WRITE: Self = Self::new(false, true);
    /// Both.
    pub const BOTH: Self = Self::new(true, true);

    /// The interest in reading, in writing, in both or in neither.
    #[must_use]
    pub const fn new(read: bool, write: bool) -> Self {
        Self { read, write }
    }

    /// Whether it waits for something to read.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.read
    }

    /// Whether it waits for room to write.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.write
    }

    /// Whether it waits for nothing.
    #[must_use]
    pub const fn is_none(self) -> bool {
        !self.read && !self.write
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self::new(self.read | other.read, self.write | other.write)
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.read, self.write) {
            (false, false) => "NONE",
            (true, false) => "READ",
            (false, true) => "WRITE",
            (true, true) => "BOTH",
        })
    }
}

/// What a descriptor is ready for.
///
/// A hang-up or an error makes it ready for reading and for writing, whatever was asked for: the read
/// or write that follows does not block and tells the reason. That call is the truth; the predicates
/// are hints, and one of them may be true of a descriptor that then answers `EWOULDBLOCK` (on Linux for
/// instance when the peer has sent urgent data, which the read takes out of the way).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) hangup: bool,
    pub(super) error: bool,
}

impl Readiness {
    pub(super) fn add(&mut self, other: Self) {
        self.readable |= other.readable;
        self.writable |= other.writable;
        self.hangup |= other.hangup;
        self.error |= other.error;
    }

    /// A read will not block.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.readable
    }

    /// A write will not block.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.writable
    }

    /// The peer has closed both directions (`EPOLLHUP`); what it sent before can still be read.
    ///
    /// Known on Linux only; kqueue systems report readable and writable.
    #[must_use]
    pub const fn is_hangup(self) -> bool {
        self.hangup
    }

    /// The descriptor has a pending error (`EPOLLERR`), such as a pipe nobody reads any more.
    ///
    /// Known on Linux only; kqueue systems report readable and writable.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.error
    }
}

/// A descriptor registered in an [`EventLoop`](super::EventLoop): the guard that owns it.
///
/// Dropping it ends the registration first and closes the descriptor then, so that neither a copy of
/// the descriptor in another process nor its re-used number can bring events for it. It may be dropped
/// at any time on any thread, needs no access to the loop, and may outlive it.
///
/// The descriptor itself is reached by `Deref` (`(&*source).read(..)` where `&F: Read`). It should be
/// non-blocking: a report is a hint, not a promise.
pub struct Source<F: AsFd> {
    /// `None` only inside `drop` and `into_inner`.
    fd: Option<F>,
    id: SourceId,
    interest: Interest,
    shared: Arc<Shared>,
}

impl<F: AsFd> Source<F> {
    pub(super) fn new(shared: Arc<Shared>, id: SourceId, fd: F, interest: Interest) -> Result<Self, RegisterError<F>> {
        // On failure this guard would end a registration that never was; it is disarmed.
        let mut source = Self { fd: Some(fd), id, interest: Interest::NONE, shared };
        match source.set_interest(interest) {
            Ok(()) => Ok(source),
            Err(error) => Err(RegisterError { fd: source.into_inner(), error }),
        }
    }

    /// The id that [`Ready::Source`](super::Ready::Source) carries.
    #[must_use]
    pub const fn id(&self) -> SourceId {
        self.id
    }

    /// What is being waited for.
    #[must_use]
    pub const fn interest(&self) -> Interest {
        self.interest
    }

    /// Changes what to wait for, effective from the next turn; asking for what is set already is free.
    ///
    /// # Errors
    ///
    /// Those of [`register`](super::EventLoop::register) when the interest was [`Interest::NONE`];
    /// otherwise only if the system is out of memory. The interest is then what it was.
    pub fn set_interest(&mut self, interest: Interest) -> crate::Result<()> {
        if interest == self.interest {
            return Ok(());
        }
        let poller = &self.shared.poller;
        let fd = self.get_ref().as_fd();
        let key = key(self.id);
        let changed = if interest.is_none() {
            poller.delete(fd)
        } else if self.interest.is_none() {
            poller.add(fd, key, interest)
        } else {
            poller.modify(fd, key, interest)
        };
        changed.map_err(|error| refused(fd, error))?;
        self.interest = interest;
        Ok(())
    }

    /// The descriptor's owner.
    #[must_use]
    pub fn get_ref(&self) -> &F {
        self.fd.as_ref().expect("a source owns its descriptor until it is dropped")
    }

    /// The descriptor's owner, mutably: for types that read and write by `&mut`.
    ///
    /// Do not put another descriptor in its place: it would not be registered, and if a copy of the
    /// old one is open elsewhere its registration stays.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut F {
        self.fd.as_mut().expect("a source owns its descriptor until it is dropped")
    }

    /// Ends the registration and gives the descriptor back, open.
    #[must_use]
    pub fn into_inner(mut self) -> F {
        self.end().expect("a source owns its descriptor until it is dropped")
    }

    /// Ends the registration, once.
    fn end(&mut self) -> Option<F> {
        let fd = self.fd.take()?;
        if !self.interest.is_none() {
            // It can only fail with ENOENT: the descriptor was closed inside `F`, and is out already.
            let _ = self.shared.poller.delete(fd.as_fd());
        }
        self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner).push(self.id.0);
        Some(fd)
    }
}

impl<F: AsFd> Drop for Source<F> {
    fn drop(&mut self) {
        // The descriptor is closed here, after its registration has ended.
        drop(self.end());
    }
}

impl<F: AsFd> Deref for Source<F> {
    type Target = F;

    fn deref(&self) -> &F {
        self.get_ref()
    }
}

impl<F: AsFd> AsFd for Source<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<F: AsFd> fmt::Debug for Source<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("id", &self.id.0)
            .field("fd", &self.as_fd().as_raw_fd())
            .field("interest", &self.interest)
            .finish()
    }
}

/// A descriptor that could not be registered, with the reason.
///
/// It turns into an [`Error`] by `?` where the descriptor is not wanted back; it is closed then.
pub struct RegisterError<F> {
    /// The descriptor, as it was given.
    pub fd: F,
    /// The reason.
    pub error: Error,
}

impl<F> From<RegisterError<F>> for Error {
    fn from(rejected: RegisterError<F>) -> Self {
        rejected.error
    }
}

impl<F> fmt::Display for RegisterError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<F> fmt::Debug for RegisterError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<F> std::error::Error for RegisterError<F> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// The poller's key of a source. Where a `usize` is narrower than an id, `register` skips the ids whose
/// key is in use.
pub(super) const fn key(id: SourceId) -> usize {
    id.0 as usize
}

/// Names the descriptor and, where the system's word for it is misleading, the reason (epoll_ctl(2)).
fn refused(fd: BorrowedFd<'_>, error: io::Error) -> Error {
    let fd = fd.as_raw_fd();
    match error.raw_os_error() {
        _ if error.kind() == io::ErrorKind::AlreadyExists => {
            Error::new(ErrorKind::Conflict, format!("descriptor {fd} is already registered in this event loop"))
        }
        Some(libc::EPERM) => Error::new(
            ErrorKind::Unsupported,
            format!("descriptor {fd} cannot be waited for: a regular file or folder is always ready"),
        ),
        Some(libc::ENOSPC) => Error::new(
            ErrorKind::Full,
            format!("cannot register descriptor {fd}: the user's limit (fs.epoll.max_user_watches) is reached"),
        ),
        _ => Error::io(format!("cannot register descriptor {fd}"), error),
    }
}
