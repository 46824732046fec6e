//! Making the child process: one surface, two ways.
//!
//! Linux: `clone` with `CLONE_VM | CLONE_VFORK`, on a stack of our own. The child borrows the parent's
//! memory, so nothing is copied however large the parent is, and a failure is simply left in memory.
//! Elsewhere: `fork`, and a pipe that exec closes tells a failure from success.
//!
//! In both every signal is blocked around it, and the child unblocks them only when no handler of the
//! parent is left: a signal sent to a child that has not exec'ed yet meets the default action.

use std::ffi::c_int;
use std::io;

use super::child::{self, Failure, Order};
use super::exit::ExitWatch;
use super::spawn::Step;
use crate::process::OsPid;

/// All signals blocked in this thread until it is dropped.
struct Blocked(Mask);

impl Blocked {
    fn all() -> Self {
        Self(set_mask(&full()))
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        set_mask(&self.0);
    }
}

/// Blocks no signal in this thread.
pub(super) fn unblock_all() {
    set_mask(&empty());
}

/// Runs `work` with every signal blocked in this thread; threads it makes start that way.
#[cfg(any(target_os = "linux", gaffer_thread_exit_watch))]
pub(super) fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
    let _blocked = Blocked::all();
    work()
}

#[cfg(target_os = "linux")]
mod mask {
    //! The kernel's signal sets: libc's calls leave out the signals libc uses itself.

    /// The size of the kernel's set: 64 signals, on mips 128.
    pub(crate) const SIGSET_BYTES: usize = if cfg!(any(target_arch = "mips", target_arch = "mips64")) { 16 } else { 8 };

    pub(super) type Mask = [u64; 2];

    pub(super) const fn full() -> Mask {
        [u64::MAX; 2]
    }

    pub(super) const fn empty() -> Mask {
        [0; 2]
    }

    pub(super) fn set_mask(new: &Mask) -> Mask {
        let mut old = empty();
        // SAFETY: both are at least SIGSET_BYTES long. The call cannot fail with these arguments.
        unsafe {
            libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, new.as_ptr(), old.as_mut_ptr(), SIGSET_BYTES);
        }
        old
    }
}

#[cfg(not(target_os = "linux"))]
mod mask {
    use std::mem;

    pub(super) type Mask = libc::sigset_t;

    pub(super) fn full() -> Mask {
        // SAFETY: all zeroes is a valid set to start from.
        unsafe {
            let mut set = mem::zeroed();
            libc::sigfillset(&mut set);
            set
        }
    }

    pub(super) fn empty() -> Mask {
        // SAFETY: all zeroes is a valid set to start from.
        unsafe {
            let mut set = mem::zeroed();
            libc::sigemptyset(&mut set);
            set
        }
    }

    pub(super) fn set_mask(new: &Mask) -> Mask {
        let mut old = empty();
        // SAFETY: both point to sets. The call cannot fail with these arguments.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, new, &mut old) };
        old
    }
}

#[cfg(target_os = "linux")]
pub(super) use mask::SIGSET_BYTES;
use mask::{Mask, empty, full, set_mask};

/// What is kept between spawns.
#[derive(Debug)]
pub(super) struct Launcher {
    #[cfg(target_os = "linux")]
    stack: Stack,
    /// Whether exits can be watched by a descriptor of the child.
    #[cfg(target_os = "linux")]
    pidfd: bool,
}

#[cfg(target_os = "linux")]
impl Launcher {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { stack: Stack::new()?, pidfd: super::exit::pidfd_works() })
    }

    /// Starts a child that carries out `order`; returns when it has exec'ed, failed or been killed.
    pub(super) fn launch(&mut self, order: Order) -> Result<(OsPid, ExitWatch), Failure> {
        use std::os::fd::{FromRawFd, OwnedFd};

        struct Shared {
            order: Order,
            failure: Option<Failure>,
        }

        extern "C" fn main(shared: *mut libc::c_void) -> c_int {
            // SAFETY: the parent's `shared` below; the parent's thread stands still until we exec or end.
            // We have a descriptor table, directory, umask and handlers of our own (no CLONE_FILES,
            // CLONE_FS, CLONE_SIGHAND), and every signal is blocked.
            unsafe {
                let shared = &mut *shared.cast::<Shared>();
                shared.failure = Some(child::run(&mut shared.order));
                libc::_exit(127)
            }
        }

        let _identity = order.credentials.is_some().then(KeepDumpable::new);
        let mut shared = Shared { order, failure: None };
        let mut pidfd: c_int = -1;
        // No exit signal: until exec, which sets it to SIGCHLD, our child is none of the host's business.
        // A host that handles SIGCHLD or waits for any child never sees those that fail to start.
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | if self.pidfd { libc::CLONE_PIDFD } else { 0 };
        let blocked = Blocked::all();
        // SAFETY: `main` gets the only pointer to `shared` while this thread is suspended (CLONE_VFORK), on a
        // stack that `&mut self` keeps to ourselves. CLONE_PIDFD stores a descriptor in `pidfd`.
        let pid = unsafe { libc::clone(main, self.stack.top(), flags, (&raw mut shared).cast(), &raw mut pidfd) };
        let error = io::Error::last_os_error();
        drop(blocked);
        if pid == -1 {
            return Err(Failure { step: Step::Fork, fd: -1, errno: error.raw_os_error().unwrap_or(libc::EAGAIN) });
        }
        // SAFETY: clone made this descriptor (CLOEXEC) for us.
        let pidfd = (pidfd != -1).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
        if let Some(failure) = shared.failure {
            super::exit::discard(pid);
            return Err(failure);
        }
        match pidfd {
            Some(fd) => Ok((OsPid(pid), ExitWatch::from_pidfd(OsPid(pid), fd))),
            None => watch(pid),
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Launcher {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Starts a child that carries out `order`; returns when it has exec'ed, failed or been killed.
    pub(super) fn launch(&mut self, mut order: Order) -> Result<(OsPid, ExitWatch), Failure> {
        use std::fs::File;
        use std::io::Read;
        use std::mem;
        use std::os::fd::AsRawFd;

        let failed =
            |e: io::Error| Failure { step: Step::Fork, fd: -1, errno: e.raw_os_error().unwrap_or(libc::EAGAIN) };
        let (ours, report) = super::stdio::pipe().map_err(failed)?;
        order.report = report.as_raw_fd();
        let blocked = Blocked::all();
        // SAFETY: the child calls async-signal-safe functions only.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: a forked child has everything of its own, and every signal is blocked. A Failure is
            // plain numbers, less than PIPE_BUF, so it is written whole.
            unsafe {
                let failure = child::run(&mut order);
                libc::write(order.report, (&raw const failure).cast(), mem::size_of::<Failure>());
                libc::_exit(127)
            }
        }
        let error = io::Error::last_os_error();
        drop(blocked);
        drop(report);
        if pid == -1 {
            return Err(failed(error));
        }
        let mut bytes = [0; mem::size_of::<Failure>()];
        if File::from(ours).read_exact(&mut bytes).is_ok() {
            super::exit::discard(pid);
            // SAFETY: the child wrote a valid Failure, and all of it.
            return Err(unsafe { mem::transmute::<[u8; mem::size_of::<Failure>()], Failure>(bytes) });
        }
        watch(pid)
    }
}

/// Watches a child by other means than the pidfd; a child that cannot be watched is ended.
fn watch(pid: c_int) -> Result<(OsPid, ExitWatch), Failure> {
    match ExitWatch::watch(OsPid(pid)) {
        Ok(watch) => Ok((OsPid(pid), watch)),
        Err(e) => {
            // SAFETY: our own child, not reaped yet.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            super::exit::discard(pid);
            Err(Failure { step: Step::Watch, fd: -1, errno: e.raw_os_error().unwrap_or(libc::EAGAIN) })
        }
    }
}

/// Puts back whether this process may dump core and be traced, which a child that changes its user takes away.
///
/// The kernel clears the flag with such a change, so that the new user cannot look into the memory of the old
/// one. It belongs to the memory, which is ours too until exec. Only one child at a time, lest the flag be put
/// back while another child still needs it cleared.
#[cfg(target_os = "linux")]
struct KeepDumpable {
    was: c_int,
    _one: std::sync::MutexGuard<'static, ()>,
}

#[cfg(target_os = "linux")]
impl KeepDumpable {
    fn new() -> Self {
        // Of the process, as the flag is.
        static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // SAFETY: asks for a number.
        Self { was: unsafe { libc::prctl(libc::PR_GET_DUMPABLE) }, _one: one }
    }
}

#[cfg(target_os = "linux")]
impl Drop for KeepDumpable {
    fn drop(&mut self) {
        // 1 is the only value there is to put back: 0 is what it became, and 2 cannot be set (prctl(2)).
        if self.was == 1 {
            // SAFETY: plain numbers.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) };
        }
    }
}

/// A stack for the child, with a page below it that nobody may touch.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Stack {
    base: *mut libc::c_void,
    len: usize,
}

// SAFETY: plain memory that belongs to the value.
#[cfg(target_os = "linux")]
unsafe impl Send for Stack {}
// SAFETY: nothing reads or writes it through a shared reference.
#[cfg(target_os = "linux")]
unsafe impl Sync for Stack {}

#[cfg(target_os = "linux")]
impl Stack {
    /// The child needs a few hundred bytes and a directory buffer; a debug build several times that.
    const BYTES: usize = 64 * 1024;

    fn new() -> io::Result<Self> {
        // SAFETY: asks for a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.max(4096) as usize;
        let len = Self::BYTES + page;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: a new mapping that nobody else knows.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Self { base, len };
        // SAFETY: all but the lowest page of our own mapping; stacks grow down.
        super::cvt(unsafe { libc::mprotect(base.byte_add(page), Self::BYTES, libc::PROT_READ | libc::PROT_WRITE) })?;
        Ok(stack)
    }

    fn top(&mut self) -> *mut libc::c_void {
        // SAFETY: one past the mapping, whose ends are aligned to pages.
        unsafe { self.base.byte_add(self.len) }
    }
}

#[cfg(target_os = "linux")]
impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: our own mapping; the child that ran on it has exec'ed or ended.
        unsafe { libc::munmap(self.base, self.len) };
    }
}
