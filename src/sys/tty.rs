//! Pseudo-terminals, the modes of a terminal, and who is in its foreground.

use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use super::cvt;
use crate::process::OsPid;

/// A new pseudo-terminal.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pty {
    /// Our side; blocks until [`set_nonblocking`](super::stdio::set_nonblocking).
    pub master: OwnedFd,
    /// The child's terminal.
    pub slave: OwnedFd,
}

/// Opens a pseudo-terminal; both sides are closed by exec, and it is nobody's controlling terminal yet.
///
/// # Errors
///
/// The operating system's, if there are no descriptors or no terminals left.
#[cfg(target_os = "linux")]
pub fn open_pty() -> io::Result<Pty> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: makes a descriptor, which is ours.
    let master = unsafe { OwnedFd::from_raw_fd(super::retry(|| libc::posix_openpt(flags))?) };
    let fd = master.as_raw_fd();
    // SAFETY: `fd` is the master of a terminal. TIOCGPTPEER (Linux 4.13) opens its slave without a path, so it
    // works in any mount namespace.
    unsafe {
        cvt(libc::grantpt(fd))?;
        cvt(libc::unlockpt(fd))?;
        let slave = cvt(libc::ioctl(fd, libc::TIOCGPTPEER as _, flags))?;
        Ok(Pty { master, slave: OwnedFd::from_raw_fd(slave) })
    }
}

/// Opens a pseudo-terminal; both sides are closed by exec, and it is nobody's controlling terminal yet.
///
/// # Errors
///
/// The operating system's, if there are no descriptors or no terminals left.
#[cfg(not(target_os = "linux"))]
pub fn open_pty() -> io::Result<Pty> {
    let (mut master, mut slave) = (-1, -1);
    // SAFETY: places for two descriptors; name, modes and size are left to the system.
    cvt(unsafe { libc::openpty(&mut master, &mut slave, ptr::null_mut(), ptr::null_mut(), ptr::null_mut()) })?;
    // SAFETY: both were made just now, for us.
    let pty = unsafe { Pty { master: OwnedFd::from_raw_fd(master), slave: OwnedFd::from_raw_fd(slave) } };
    super::stdio::set_cloexec(&pty.master)?;
    super::stdio::set_cloexec(&pty.slave)?;
    Ok(pty)
}

/// The rows and columns that a terminal shows, if it is one and knows.
#[must_use]
pub fn window_size(terminal: BorrowedFd<'_>) -> Option<(u16, u16)> {
    // SAFETY: four numbers, for which all zeroes is a valid value.
    let mut size: libc::winsize = unsafe { mem::zeroed() };
    // SAFETY: the pointer is to a winsize, which the call fills in.
    cvt(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ as _, &mut size) }).ok()?;
    Some((size.ws_row, size.ws_col)).filter(|(rows, columns)| *rows > 0 && *columns > 0)
}

/// Gives one terminal the window size of another.
///
/// # Errors
///
/// The operating system's: `ENOTTY` if one of them is no terminal.
pub fn copy_window_size(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: numbers only; all zeroes is valid.
    let mut size: libc::winsize = unsafe { mem::zeroed() };
    // SAFETY: points to a window size.
    cvt(unsafe { libc::ioctl(from.as_raw_fd(), libc::TIOCGWINSZ as _, &raw mut size) })?;
    // SAFETY: points to a window size.
    cvt(unsafe { libc::ioctl(to.as_raw_fd(), libc::TIOCSWINSZ as _, &raw const size) })?;
    Ok(())
}

/// The process group in the foreground of our controlling terminal.
///
/// # Errors
///
/// `ENOTTY` if the descriptor is not our controlling terminal.
pub fn foreground(terminal: BorrowedFd<'_>) -> io::Result<OsPid> {
    // SAFETY: a plain number.
    cvt(unsafe { libc::tcgetpgrp(terminal.as_raw_fd()) }).map(OsPid)
}

/// Puts a process group into the foreground of our controlling terminal, also if we are in the background.
///
/// # Errors
///
/// `ENOTTY` if the descriptor is not our controlling terminal, `EPERM` or `ESRCH` if there is no such group in
/// our session.
pub fn set_foreground(terminal: BorrowedFd<'_>, group: OsPid) -> io::Result<()> {
    // SAFETY: plain numbers.
    without_sigttou(|| cvt(unsafe { libc::tcsetpgrp(terminal.as_raw_fd(), group.0) }).map(drop))
}

/// Runs a call on the terminal that SIGTTOU would stop in the background; it does not while it is blocked
/// (tcsetpgrp(3), tcsetattr(3)).
fn without_sigttou<R>(call: impl FnOnce() -> R) -> R {
    // SAFETY: the set is made empty before use, and the old mask is restored.
    unsafe {
        let (mut set, mut old): (libc::sigset_t, libc::sigset_t) = mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGTTOU);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, &mut old);
        let result = call();
        libc::pthread_sigmask(libc::SIG_SETMASK, &old, ptr::null_mut());
        result
    }
}

/// The modes of a terminal (echo, line editing, signals of keys), to be put back in the end.
pub struct Modes {
    terminal: OwnedFd,
    modes: libc::termios,
}

impl Modes {
    /// Remembers the modes of standard input's terminal; `None` if it is not one.
    #[must_use]
    pub fn of_stdin() -> Option<Self> {
        // SAFETY: all zeroes is a valid value, overwritten by the call.
        let mut modes: libc::termios = unsafe { mem::zeroed() };
        // SAFETY: points to modes.
        cvt(unsafe { libc::tcgetattr(libc::STDIN_FILENO, &mut modes) }).ok()?;
        // A duplicate, so that it stays the same terminal whatever becomes of descriptor 0.
        let terminal = io::stdin().as_fd().try_clone_to_owned().ok()?;
        Some(Self { terminal, modes })
    }

    /// Whether our process group is in the foreground of the terminal. From the background its modes
    /// are somebody else's business: the shell's, or those of the editor that it runs now.
    #[must_use]
    pub fn in_foreground(&self) -> bool {
        // SAFETY: no arguments.
        let ours = unsafe { libc::getpgrp() };
        foreground(self.terminal.as_fd()).is_ok_and(|group| group.0 == ours)
    }

    /// What is typed is not shown until they are put back.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn without_echo(&self) -> io::Result<()> {
        let mut modes = self.modes;
        modes.c_lflag &= !libc::ECHO;
        // SAFETY: points to modes that tcgetattr has given, but for a flag.
        cvt(unsafe { libc::tcsetattr(self.terminal.as_raw_fd(), libc::TCSAFLUSH, &modes) }).map(drop)
    }

    /// Puts the modes back, also from the background.
    ///
    /// # Errors
    ///
    /// The operating system's: the terminal has gone.
    pub fn restore(&self) -> io::Result<()> {
        without_sigttou(|| {
            // SAFETY: points to modes that tcgetattr has given.
            cvt(unsafe { libc::tcsetattr(self.terminal.as_raw_fd(), libc::TCSANOW, &self.modes) }).map(drop)
        })
    }
}

impl fmt::Debug for Modes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Modes").field("terminal", &self.terminal).finish_non_exhaustive()
    }
}
