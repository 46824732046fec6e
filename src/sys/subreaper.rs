//! Orphans: processes that become our children because their parent has ended.
//!
//! That happens to process 1, and on Linux to a process that asks for it. Nobody but their new parent can
//! reap them, so it must; but not those that somebody else in this program waits for. So look with [`peek`], and
//! [`reap`] what is a stranger.

use std::io;
use std::mem;

#[cfg(target_os = "linux")]
use super::cvt;
use super::retry;
use crate::process::OsPid;

/// Asks the system to make us the parent of all orphans among our descendants.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] elsewhere than on Linux (prctl(2), `PR_SET_CHILD_SUBREAPER`, Linux 3.4).
pub fn adopt_orphans() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: plain numbers.
        cvt(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
    }
    #[cfg(not(target_os = "linux"))]
    {
        Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has subreapers"))
    }
}

/// Some child that has ended and is not reaped, which this leaves it.
///
/// As long as it is not reaped it may be the answer again and again, before all others.
///
/// # Errors
///
/// The operating system's; that there are no children is none.
pub fn peek() -> io::Result<Option<OsPid>> {
    wait(libc::P_ALL, 0, libc::WNOWAIT)
}

/// Reaps the child `os_pid`, if it has ended; false if it has not, or is no child of ours.
///
/// # Errors
///
/// The operating system's.
pub fn reap(os_pid: OsPid) -> io::Result<bool> {
    wait(libc::P_PID, os_pid.0, 0).map(|reaped| reaped.is_some())
}

fn wait(kind: libc::idtype_t, id: libc::c_int, options: libc::c_int) -> io::Result<Option<OsPid>> {
    // Orphans may be "clone children", which waitid(2) passes over unless it is told not to.
    #[cfg(target_os = "linux")]
    let options = options | libc::__WALL;
    let options = options | libc::WEXITED | libc::WNOHANG;
    // SAFETY: all zeroes is a valid siginfo_t, and one where si_pid is 0: waitid(2) asks callers to clear it.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    // SAFETY: points to a siginfo_t.
    match retry(|| unsafe { libc::waitid(kind, id as _, &mut info, options) }) {
        Ok(_) => {}
        Err(e) if e.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
        Err(e) => return Err(e),
    }
    // SAFETY: after waitid the fields of SIGCHLD are those that are set; before, they are zero.
    let pid = unsafe { info.si_pid() };
    Ok((pid != 0).then_some(OsPid(pid)))
}
