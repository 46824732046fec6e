//! Linux: the exit watch is a pidfd, made by clone together with the child.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use super::{is_readable, signalled, wait};
use crate::process::Exit;

/// Whether this kernel waits by pidfd (Linux 5.4) and polls one (5.3).
pub(crate) fn works() -> bool {
    if cfg!(gaffer_thread_exit_watch) {
        return false;
    }
    // A number that is no descriptor: EBADF if P_PIDFD is known, EINVAL if it is not, and EPERM or ENOSYS in
    // a sandbox that allows neither.
    match wait(libc::P_PIDFD, libc::c_int::MAX, libc::WNOHANG) {
        Err(e) => e.raw_os_error() == Some(libc::EBADF),
        Ok(_) => false,
    }
}

pub(super) struct Watch(pub(super) OwnedFd);

impl Watch {
    pub(super) fn peek(&self) -> io::Result<Option<Exit>> {
        match wait(libc::P_PIDFD, self.0.as_raw_fd(), libc::WNOHANG | libc::WNOWAIT) {
            // Not waitable: somebody else has reaped it, or will once it ends (this process has forked).
            Err(e) if e.raw_os_error() == Some(libc::ECHILD) => {
                Ok(if is_readable(self.0.as_fd())? { Some(self.remembered()) } else { None })
            }
            other => other,
        }
    }

    pub(super) fn reap(&self) -> Exit {
        match wait(libc::P_PIDFD, self.0.as_raw_fd(), 0) {
            Ok(Some(exit)) => exit,
            Ok(None) | Err(_) => self.remembered(),
        }
    }

    /// The exit of a process that somebody else has reaped, as far as the kernel remembers it.
    fn remembered(&self) -> Exit {
        // The pidfd becomes readable a moment before the kernel has put down the status, so ask again;
        // at most 2 ms in all.
        for _ in 0..20 {
            match info(&self.0) {
                Some(Some(status)) => return from_status(status),
                Some(None) => thread::sleep(Duration::from_micros(100)),
                None => break,
            }
        }
        Exit::Lost
    }
}

/// The wait status that the kernel keeps with a pidfd (Linux 6.15): `None` if it keeps none, `Some(None)` if
/// it does not know it yet.
fn info(fd: &OwnedFd) -> Option<Option<libc::c_int>> {
    /// `struct pidfd_info` of `linux/pidfd.h` as first published (PIDFD_INFO_SIZE_VER0).
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        mask: u64,
        cgroup: u64,
        pid: u32,
        tgid: u32,
        ppid: u32,
        ids: [u32; 8],
        exit_code: i32,
    }
    /// `PIDFD_GET_INFO`: `_IOWR(0xFF, 11, struct pidfd_info)` with the size of the version above.
    const GET_INFO: u32 = libc::_IOWR::<Info>(0xff, 11) as u32;
    const INFO_EXIT: u64 = 1 << 3;

    let mut info = Info { mask: INFO_EXIT, ..Info::default() };
    // SAFETY: the kernel writes as many bytes as the request's number says, the size of `Info`.
    if unsafe { libc::ioctl(fd.as_raw_fd(), GET_INFO as _, &mut info) } == -1 {
        return None;
    }
    Some((info.mask & INFO_EXIT != 0).then_some(info.exit_code))
}

fn from_status(status: libc::c_int) -> Exit {
    if libc::WIFEXITED(status) {
        Exit::Code(libc::WEXITSTATUS(status))
    } else {
        signalled(libc::WTERMSIG(status), libc::WCOREDUMP(status))
    }
}
