//! Noticing that a child has ended, without SIGCHLD and without waiting for anybody else's children.
//!
//! | where | how |
//! |---|---|
//! | Linux 5.4 and later | a pidfd; asked for once, when the first [`Spawner`](super::Spawner) is made |
//! | macOS, BSD | a kqueue for each child, with `NOTE_EXIT` |
//! | otherwise, and with `--cfg gaffer_thread_exit_watch` | a thread for each child that waits for it |
//!
//! In all three a descriptor becomes readable when the child has ended, and waitid(2) for that child alone
//! tells how, first without reaping it (`WNOWAIT`).

#[cfg(all(not(target_os = "linux"), not(gaffer_thread_exit_watch)))]
mod kqueue;
#[cfg(target_os = "linux")]
mod pidfd;
#[cfg(any(target_os = "linux", gaffer_thread_exit_watch))]
mod thread;

use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};

use super::retry;
use crate::process::{Exit, OsPid, Signal};

#[cfg(target_os = "linux")]
pub(super) use pidfd::works as pidfd_works;

/// The end of a child: a descriptor that becomes readable then, and how it ended.
///
/// Dropping it reaps nothing: the ended child stays a zombie until this process ends. Where a thread waits,
/// it goes on waiting for the child, with nothing but a small stack, and ends with it.
pub struct ExitWatch {
    os_pid: OsPid,
    way: Way,
}

enum Way {
    #[cfg(target_os = "linux")]
    Pidfd(pidfd::Watch),
    #[cfg(any(target_os = "linux", gaffer_thread_exit_watch))]
    Thread(thread::Watch),
    #[cfg(all(not(target_os = "linux"), not(gaffer_thread_exit_watch)))]
    Kqueue(kqueue::Watch),
}

impl ExitWatch {
    #[cfg(target_os = "linux")]
    pub(super) fn from_pidfd(os_pid: OsPid, fd: std::os::fd::OwnedFd) -> Self {
        Self { os_pid, way: Way::Pidfd(pidfd::Watch(fd)) }
    }

    /// Watches a child of ours that nobody has reaped.
    pub(super) fn watch(os_pid: OsPid) -> io::Result<Self> {
        #[cfg(any(target_os = "linux", gaffer_thread_exit_watch))]
        let way = Way::Thread(thread::Watch::new(os_pid)?);
        #[cfg(all(not(target_os = "linux"), not(gaffer_thread_exit_watch)))]
        let way = Way::Kqueue(kqueue::Watch::new(os_pid)?);
        Ok(Self { os_pid, way })
    }

    /// The child's number. It is not given to another process before the child is reaped.
    #[must_use]
    pub fn os_pid(&self) -> OsPid {
        self.os_pid
    }

    /// How the child ended, if it has, leaving it unreaped: its number and its group's stay taken, so
    /// signals to the group reach nobody else.
    ///
    /// [`Exit::Lost`] if somebody else in this process reaped it, or `SIGCHLD` is ignored; Linux 6.15 and
    /// later often know the true exit even then.
    ///
    /// # Errors
    ///
    /// The operating system's, other than that there is no such child.
    pub fn peek(&self) -> io::Result<Option<Exit>> {
        match &self.way {
            #[cfg(target_os = "linux")]
            Way::Pidfd(watch) => watch.peek(),
            #[cfg(any(target_os = "linux", gaffer_thread_exit_watch))]
            Way::Thread(watch) => Ok(watch.peek()),
            #[cfg(all(not(target_os = "linux"), not(gaffer_thread_exit_watch)))]
            Way::Kqueue(watch) => watch.peek(self.os_pid),
        }
    }

    /// Reaps the child and says how it ended; from then on its number may be given to another process.
    ///
    /// Waits if the child has not ended, so [`peek`](Self::peek) first.
    #[must_use]
    pub fn reap(self) -> Exit {
        match &self.way {
            #[cfg(target_os = "linux")]
            Way::Pidfd(watch) => watch.reap(),
            #[cfg(any(target_os = "linux", gaffer_thread_exit_watch))]
            Way::Thread(watch) => watch.reap(self.os_pid),
            #[cfg(all(not(target_os = "linux"), not(gaffer_thread_exit_watch)))]
            Way::Kqueue(_) => wait(libc::P_PID, self.os_pid.0, 0).ok().flatten().unwrap_or(Exit::Lost),
        }
    }
}

impl AsFd for ExitWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.way {
            #[cfg(target_os = "linux")]
            Way::Pidfd(watch) => watch.0.as_fd(),
            #[cfg(any(target_os = "linux", gaffer_thread_exit_watch))]
            Way::Thread(watch) => watch.as_fd(),
            #[cfg(all(not(target_os = "linux"), not(gaffer_thread_exit_watch)))]
            Way::Kqueue(watch) => watch.0.as_fd(),
        }
    }
}

impl fmt::Debug for ExitWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExitWatch").field("os_pid", &self.os_pid).field("fd", &self.as_fd()).finish()
    }
}

/// Reaps a child that has failed to exec, or is about to end.
pub(super) fn discard(pid: libc::c_int) {
    // ECHILD, the only error possible, would mean that somebody else was faster.
    let _ = wait(libc::P_PID, pid, 0);
}

/// waitid(2) for the end of one child; `None` if `WNOHANG` is asked for and it runs.
///
/// `ECHILD` comes back as an error: what it means differs between the callers.
fn wait(kind: libc::idtype_t, id: libc::c_int, options: libc::c_int) -> io::Result<Option<Exit>> {
    // A child that was killed before exec is a "clone child", see `Launcher`.
    #[cfg(target_os = "linux")]
    let options = options | libc::__WALL;
    // SAFETY: all zeroes is a valid siginfo_t, and one where si_pid is 0: waitid(2) asks callers to clear it,
    // as it need not be written when no child has ended.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    // SAFETY: points to a siginfo_t.
    retry(|| unsafe { libc::waitid(kind, id as _, &mut info, libc::WEXITED | options) })?;
    // SAFETY: after waitid the fields of SIGCHLD are those that are set; before, they are zero.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    Ok(Some(match info.si_code {
        libc::CLD_EXITED => Exit::Code(status),
        code => signalled(status, code == libc::CLD_DUMPED),
    }))
}

fn signalled(number: libc::c_int, core: bool) -> Exit {
    Signal::new(number).map_or(Exit::Lost, |signal| Exit::Signal { signal, core })
}

/// Whether the descriptor is readable now.
#[cfg(any(target_os = "linux", not(gaffer_thread_exit_watch)))]
fn is_readable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    use std::os::fd::AsRawFd;
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: points to one pollfd.
    Ok(retry(|| unsafe { libc::poll(&mut poll, 1, 0) })? > 0)
}
