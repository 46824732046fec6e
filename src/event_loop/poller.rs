//! The system's poller: `polling` keeps the registrations everywhere, and waits where it does so well.
//!
//! On Linux a wait of `polling` is five system calls: it arms a timerfd, waits, reads an eventfd, and
//! re-arms both, because it serves any number of threads. Here one thread waits, so one call does:
//! `epoll_pwait2`, whose time-out is in nanoseconds, or `epoll_wait` where there is no time-out, or no
//! such call (Linux before 5.11, a sandbox that does not know it; found out once).
//!
//! A wake is one write to an eventfd that is registered edge-triggered: each write is an edge of its
//! own, so nobody needs to read it. Its counter would take five hundred years of a wake each nanosecond.
//!
//! The one file of the event loop with `unsafe` in it. `--cfg gaffer_portable_wait` forces what other
//! systems get, so that CI runs it.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use polling::{Event, PollMode};

use super::source::{Interest, Readiness};

pub(super) use self::system::Events;

/// The greatest key of a source; the two above it are the poller's own.
pub(super) const MAX_KEY: usize = usize::MAX - 2;

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Not at all.
    Now,
    At(Instant),
    Never,
}

/// Registrations, and the wake.
pub(super) struct Poller {
    // Closed first, which ends the registration of what follows.
    registry: polling::Poller,
    wake: system::Wake,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        let registry = polling::Poller::new()?;
        let wake = system::Wake::new(&registry)?;
        Ok(Self { registry, wake })
    }

    /// Registers a descriptor, level-triggered. The caller deletes it before it is closed.
    pub(super) fn add(&self, fd: BorrowedFd<'_>, key: usize, interest: Interest) -> io::Result<()> {
        // SAFETY: `polling` asks that a source be deleted before it is dropped, so that it never
        // uses a descriptor that is closed or means another file. `Source`, the only caller, owns the
        // descriptor and deletes it in `Drop`, `into_inner` and on `Interest::NONE`. Should safe code
        // close it inside its owner (through `get_mut`, or an `AsFd` that changes its mind), the kernel
        // removes the registration itself (epoll(7), question 6; kqueue(2)), and these two backends keep
        // no descriptor they would use: they make system calls only with descriptors they are lent.
        // (The poll(2) backend does keep them; there a `Poller` has no `AsFd` and this module does
        // not compile.)
        unsafe { self.registry.add_with_mode(&fd, event(key, interest), PollMode::Level) }.inspect_err(|error| {
            // The kqueue backend notes the number before it tries; nothing to undo elsewhere.
            if error.kind() != io::ErrorKind::AlreadyExists {
                let _ = self.registry.delete(fd);
            }
        })
    }

    pub(super) fn modify(&self, fd: BorrowedFd<'_>, key: usize, interest: Interest) -> io::Result<()> {
        self.registry.modify_with_mode(fd, event(key, interest), PollMode::Level)
    }

    pub(super) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.registry.delete(fd)
    }

    /// Ends the current or the next wait.
    pub(super) fn wake(&self) -> io::Result<()> {
        self.wake.wake(&self.registry)
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registry.as_fd()
    }
}

fn event(key: usize, interest: Interest) -> Event {
    Event::new(key, interest.is_readable(), interest.is_writable())
}

#[cfg(all(any(target_os = "linux", target_os = "android"), not(gaffer_portable_wait)))]
mod system {
    use std::fs::File;
    use std::io::{self, Write};
    use std::num::NonZeroUsize;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
    use std::time::{Duration, Instant};
    use std::{mem, ptr};

    use libc::{c_int, epoll_event};
    use polling::{Event, PollMode};

    use super::{MAX_KEY, Poller, Readiness, Until};

    pub(crate) struct Wake(File);

    impl Wake {
        pub(super) fn new(registry: &polling::Poller) -> io::Result<Self> {
            // SAFETY: no memory is involved.
            let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: the descriptor was just made and belongs to nobody else.
            let wake = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
            // SAFETY: it is closed after the registry, which keeps nothing of it.
            unsafe { registry.add_with_mode(&wake, Event::readable(MAX_KEY + 1), PollMode::Edge)? };
            Ok(Self(wake))
        }

        pub(super) fn wake(&self, _: &polling::Poller) -> io::Result<()> {
            (&self.0).write(&1_u64.to_ne_bytes()).map(drop)
        }
    }

    /// What a wait has found, in memory that is used again.
    pub(crate) struct Events {
        list: Vec<epoll_event>,
        /// Whether `epoll_pwait2` is to be had, as far as is known.
        pub(super) precise: bool,
    }

    impl Events {
        pub(crate) fn with_capacity(capacity: NonZeroUsize) -> Self {
            Self { list: Vec::with_capacity(capacity.get()), precise: true }
        }

        /// Waits, in place of what was found before.
        pub(crate) fn wait(&mut self, poller: &Poller, until: Until) -> io::Result<()> {
            let epoll = poller.registry.as_raw_fd();
            loop {
                self.list.clear();
                match self.wait_once(epoll, until) {
                    // A signal was handled: what is left of the time is looked up anew.
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    done => return done,
                }
            }
        }

        fn wait_once(&mut self, epoll: RawFd, until: Until) -> io::Result<()> {
            let milliseconds = match until {
                Until::Now => 0,
                Until::Never => -1,
                Until::At(at) => {
                    let left = at.saturating_duration_since(Instant::now());
                    if self.precise {
                        match self.pwait2(epoll, left) {
                            // EPERM is what sandboxes say to calls they do not know.
                            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                                self.precise = false;
                            }
                            done => return done,
                        }
                    }
                    milliseconds(left)
                }
            };
            let room = self.room();
            // SAFETY: the list has memory for that many events, and lives through the call.
            let found = unsafe { libc::epoll_wait(epoll, self.list.as_mut_ptr(), room, milliseconds) };
            self.found(found)
        }

        fn pwait2(&mut self, epoll: RawFd, timeout: Duration) -> io::Result<()> {
            /// `struct __kernel_timespec`: of 64 bits each, whatever the C library's is.
            #[repr(C)]
            struct Timespec {
                seconds: i64,
                nanoseconds: i64,
            }
            let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
            let timeout = Timespec { seconds, nanoseconds: timeout.subsec_nanos().into() };
            let (room, no_mask) = (self.room(), ptr::null::<libc::sigset_t>());
            // SAFETY: epoll_pwait2(2): the list as above, a valid time, and no mask, whose size then means nothing.
            let found = unsafe {
                libc::syscall(
                    libc::SYS_epoll_pwait2,
                    epoll,
                    self.list.as_mut_ptr(),
                    room,
                    ptr::from_ref(&timeout),
                    no_mask,
                    mem::size_of::<u64>(),
                )
            };
            self.found(found as c_int)
        }

        fn room(&self) -> c_int {
            c_int::try_from(self.list.capacity()).unwrap_or(c_int::MAX)
        }

        fn found(&mut self, found: c_int) -> io::Result<()> {
            let found = usize::try_from(found).map_err(|_| io::Error::last_os_error())?;
            // SAFETY: the system has written so many events, at most as many as there is room for.
            unsafe { self.list.set_len(found) };
            Ok(())
        }

        /// The keys of what is ready; a wake has one that is no source's.
        pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Readiness)> {
            const HANGUP: u32 = libc::EPOLLHUP as u32;
            const ERROR: u32 = libc::EPOLLERR as u32;
            const READABLE: u32 = (libc::EPOLLIN | libc::EPOLLPRI) as u32 | HANGUP | ERROR;
            const WRITABLE: u32 = libc::EPOLLOUT as u32 | HANGUP | ERROR;
            self.list.iter().map(|&epoll_event { events, u64: key }| {
                let readiness = Readiness {
                    readable: events & READABLE != 0,
                    writable: events & WRITABLE != 0,
                    hangup: events & HANGUP != 0,
                    error: events & ERROR != 0,
                };
                (key, readiness)
            })
        }
    }

    /// Rounded up, so that no timer expires early; what is too long for the call is asked for again.
    fn milliseconds(time: Duration) -> c_int {
        c_int::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn milliseconds_are_rounded_up() {
            for (time, want) in [
                (Duration::ZERO, 0),
                (Duration::from_nanos(1), 1),
                (Duration::from_millis(2), 2),
                (Duration::from_nanos(2_000_001), 3),
                (Duration::MAX, c_int::MAX),
            ] {
                assert_eq!(milliseconds(time), want, "{time:?}");
            }
        }

        /// Both ways to wait, and the change from one to the other.
        #[test]
        fn a_wait_takes_as_long_as_it_should() {
            let poller = Poller::new().expect("a poller");
            let mut events = Events::with_capacity(NonZeroUsize::MIN);
            for precise in [true, false] {
                events.precise = precise;
                for micros in [0, 1, 300, 3_000] {
                    let at = Instant::now() + Duration::from_micros(micros);
                    events.wait(&poller, Until::At(at)).expect("a wait");
                    assert!(Instant::now() >= at, "{micros} µs, precise: {precise}");
                    assert_eq!(events.iter().count(), 0);
                }
                poller.wake().expect("a wake");
                events.wait(&poller, Until::Never).expect("a wait");
                assert_eq!(events.iter().map(|(key, _)| key).collect::<Vec<_>>(), [MAX_KEY as u64 + 1]);
                events.wait(&poller, Until::Now).expect("a wait");
                assert_eq!(events.iter().count(), 0, "a wake is reported once");
            }
        }
    }
}

#[cfg(any(not(any(target_os = "linux", target_os = "android")), gaffer_portable_wait))]
mod system {
    use std::io;
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use super::{Poller, Readiness, Until};

    /// The notification of `polling` itself.
    pub(crate) struct Wake;

    impl Wake {
        pub(super) fn new(_: &polling::Poller) -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) fn wake(&self, registry: &polling::Poller) -> io::Result<()> {
            registry.notify()
        }
    }

    pub(crate) struct Events(polling::Events);

    impl Events {
        pub(crate) fn with_capacity(capacity: NonZeroUsize) -> Self {
            Self(polling::Events::with_capacity(capacity))
        }

        pub(crate) fn wait(&mut self, poller: &Poller, until: Until) -> io::Result<()> {
            // The poller appends; with no room left the system would answer EINVAL.
            self.0.clear();
            let waited = match until {
                Until::Now => poller.registry.wait(&mut self.0, Some(Duration::ZERO)),
                Until::At(at) => poller.registry.wait_deadline(&mut self.0, at),
                Until::Never => poller.registry.wait(&mut self.0, None),
            };
            waited.map(drop)
        }

        pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Readiness)> {
            self.0.iter().map(|event| {
                let readiness = Readiness {
                    readable: event.readable,
                    writable: event.writable,
                    hangup: event.is_interrupt(),
                    error: event.is_err().unwrap_or(false),
                };
                (event.key as u64, readiness)
            })
        }
    }
}
