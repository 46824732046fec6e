//! Into the background, with an answer for whoever waits in the foreground.
//!
//! ```no_run
//! use gaffer::sys::daemon::{self, Side};
//!
//! match daemon::daemonize()? {
//!     Side::Caller(waiting) => match waiting.outcome() {
//!         Ok(()) => println!("it runs"),
//!         Err(why) => eprintln!("{why}"),
//!     },
//!     Side::Daemon(report) => {
//!         // Open what can fail, then:
//!         report.ready();
//!         // and work.
//!     }
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::{cvt, null, retry, stdio};

/// So much of the daemon's reason is passed on.
const MAX_REASON: u64 = 16 * 1024;

/// Which of the two a process is after [`daemonize`].
#[derive(Debug)]
#[must_use]
pub enum Side {
    /// The process that was called: it waits, and ends.
    Caller(Waiting),
    /// The daemon.
    Daemon(Report),
}

/// The daemon's outcome, for its caller.
#[derive(Debug)]
pub struct Waiting {
    pipe: File,
}

/// The way in which the daemon tells its caller how its start went. Dropping it says that it failed without
/// a word; a daemon that crashes does the same.
#[derive(Debug)]
pub struct Report {
    pipe: File,
}

/// Forks twice and leaves session and terminal (setsid), with umask 027 and `/dev/null` as standard input, output
/// and error. The working folder and all other descriptors stay.
///
/// To be called while the program has one thread: others would not exist in the daemon, but their locks would.
///
/// # Errors
///
/// There are other threads (as far as the system tells), or the operating system's. All before the first fork.
pub fn daemonize() -> io::Result<Side> {
    check_alone()?;
    let null = null::open()?;
    let (read, write) = stdio::pipe()?;
    // SAFETY: there is one thread, so the child may do all that the parent may.
    let child = cvt(unsafe { libc::fork() })?;
    if child != 0 {
        drop(write);
        let mut status = 0;
        // The one in the middle ends at once. SAFETY: points to an int.
        let _ = retry(|| unsafe { libc::waitpid(child, &mut status, 0) });
        return Ok(Side::Caller(Waiting { pipe: read.into() }));
    }
    drop(read);
    let mut report = Report { pipe: write.into() };
    // Cannot fail: a forked child leads no group (setsid(2)). SAFETY: no arguments.
    let _ = unsafe { libc::setsid() };
    // A process that leads no session cannot get a terminal by opening one (setsid(2), daemon(7)).
    // SAFETY: as above.
    match cvt(unsafe { libc::fork() }) {
        Ok(0) => {}
        outcome => {
            if let Err(e) = outcome {
                report.tell(&format!("cannot fork: {e}"));
            }
            // Nothing of the program is to run here, its destructors included. SAFETY: it does not return.
            unsafe { libc::_exit(0) }
        }
    }
    // SAFETY: a plain number; it cannot fail.
    unsafe { libc::umask(0o027) };
    for fd in 0..3 {
        if let Err(e) = replace(fd, null.as_fd()) {
            report.tell(&format!("cannot open /dev/null as descriptor {fd}: {e}"));
            // SAFETY: it does not return.
            unsafe { libc::_exit(1) }
        }
    }
    Ok(Side::Daemon(report))
}

impl Waiting {
    /// Waits until the daemon is ready.
    ///
    /// # Errors
    ///
    /// Why it is not, in its own words.
    pub fn outcome(self) -> Result<(), String> {
        let mut text = Vec::new();
        let read = self.pipe.take(MAX_REASON).read_to_end(&mut text);
        match text.split_first() {
            Some((b'+', _)) => Ok(()),
            Some((_, reason)) => Err(String::from_utf8_lossy(reason).into_owned()),
            None => Err(match read {
                Ok(_) => "the daemon ended before it was ready, without a word".to_owned(),
                Err(e) => format!("cannot hear from the daemon: {e}"),
            }),
        }
    }
}

impl Report {
    /// The daemon works: its caller may end.
    pub fn ready(mut self) {
        // A caller that did not wait does not mind.
        let _ = self.pipe.write_all(b"+");
    }

    /// The daemon does not work, and will end: its caller says why.
    pub fn failed(mut self, reason: &str) {
        self.tell(reason);
    }

    fn tell(&mut self, reason: &str) {
        // As above.
        let _ = self.pipe.write_all(format!("-{reason}").as_bytes());
    }
}

/// Makes `file` this program's standard error, where panics and the C library complain.
///
/// # Errors
///
/// The operating system's.
pub fn set_stderr(file: BorrowedFd<'_>) -> io::Result<()> {
    replace(2, file)
}

fn replace(fd: i32, with: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: 0, 1 and 2 belong to nobody in particular: std uses them by number whatever they are.
    retry(|| unsafe { libc::dup2(with.as_raw_fd(), fd) }).map(drop)
}

/// Fails if the system tells of more than one thread. Where it does not tell, the caller is believed.
pub(super) fn check_alone() -> io::Result<()> {
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    match threads {
        0 | 1 => Ok(()),
        n => Err(io::Error::other(format!("this must be done while there is one thread, but there are {n}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn refuses_where_there_are_threads() {
        // The test harness has at least its own.
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv().is_err());
        let e = daemonize().expect_err("there are threads");
        assert!(e.to_string().contains("while there is one thread"), "{e}");
        drop(stop);
        assert!(thread.join().expect("it ends"));
    }

    #[test]
    fn the_outcome_is_passed_on() {
        let outcome = |tell: fn(Report)| {
            let (read, write) = stdio::pipe().expect("a pipe");
            tell(Report { pipe: write.into() });
            Waiting { pipe: read.into() }.outcome()
        };
        assert_eq!(outcome(Report::ready), Ok(()));
        assert_eq!(outcome(|report| report.failed("no luck")), Err("no luck".to_owned()));
        assert!(outcome(drop).expect_err("no word").contains("before it was ready"));
    }
}
