//! What runs in the child between fork and exec.
//!
//! On Linux the child runs on the parent's memory (`CLONE_VM`), elsewhere on a copy in which only one
//! thread exists. In both only async-signal-safe calls are allowed: nothing here allocates, locks or
//! panics, and everything it needs was laid out in an [`Order`] beforehand. Identity is changed by raw
//! system calls on Linux, because the `setuid` family of glibc and musl carries the change to every
//! thread of the process, which here would be the parent's (nptl(7), "C library/kernel differences").

use std::ffi::{c_char, c_int};
use std::os::fd::RawFd;

use super::spawn::{Group, Step, Terminal};

/// Everything the child does, as numbers and pointers that stay valid until it has exec'ed or ended.
pub(super) struct Order {
    pub(super) group: Group,
    pub(super) terminal: Terminal,
    pub(super) umask: Option<libc::mode_t>,
    /// The source of descriptor 0, 1, 2 …; `fds` of them. The child writes to it.
    pub(super) sources: *mut RawFd,
    pub(super) fds: c_int,
    pub(super) nofile: Option<libc::rlimit>,
    pub(super) credentials: Option<Identity>,
    /// Null for none.
    pub(super) cwd: *const c_char,
    /// The paths to try, ended by null.
    pub(super) candidates: *const *const c_char,
    pub(super) argv: *const *const c_char,
    /// `/bin/sh`, a slot for the script, the arguments after the first, null.
    pub(super) script_argv: *mut *const c_char,
    pub(super) envp: *const *const c_char,
    /// The pipe to report on; only where memory is not shared.
    #[cfg(not(target_os = "linux"))]
    pub(super) report: RawFd,
}

/// Who the child becomes.
#[derive(Clone, Copy)]
pub(super) struct Identity {
    pub(super) uid: libc::uid_t,
    pub(super) gid: libc::gid_t,
    /// Null if the supplementary groups are right already.
    pub(super) groups: *const libc::gid_t,
    pub(super) ngroups: usize,
}

/// The step that failed, which descriptor it concerned, and why.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Failure {
    pub(super) step: Step,
    pub(super) fd: c_int,
    pub(super) errno: c_int,
}

/// Carries out the order; returns only if a step fails.
///
/// # Safety
///
/// Must run in a child that shares no descriptor table, working directory, umask or signal handlers
/// with its parent, with every signal blocked. The pointers of `order` must be valid, and nobody else
/// may use them meanwhile.
pub(super) unsafe fn run(order: &mut Order) -> Failure {
    // SAFETY: the caller's promises are those of each step.
    unsafe {
        default_signals();
        let done = lead(order.group)
            .and_then(|()| wire(order))
            .and_then(|()| surroundings(order))
            .and_then(|()| match &order.credentials {
                Some(identity) => become_user(identity),
                None => Ok(()),
            })
            .and_then(|()| check(Step::Chdir, if order.cwd.is_null() { 0 } else { libc::chdir(order.cwd) }));
        if let Err(failure) = done {
            return failure;
        }
        // Last, because whatever signal waits now may end the process: with the default action, as it must.
        super::fork::unblock_all();
        execute(order)
    }
}

fn errno() -> c_int {
    // Reads a thread-local; does not allocate.
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn check(step: Step, result: c_int) -> Result<(), Failure> {
    check_fd(step, -1, result)
}

fn check_fd(step: Step, fd: c_int, result: c_int) -> Result<(), Failure> {
    if result == -1 { Err(Failure { step, fd, errno: errno() }) } else { Ok(()) }
}

unsafe fn lead(group: Group) -> Result<(), Failure> {
    // SAFETY: these change nothing but the calling process.
    unsafe {
        match group {
            Group::Own => check(Step::Group, libc::setpgid(0, 0)),
            Group::Session => check(Step::Session, libc::setsid()),
            Group::Inherit => Ok(()),
        }
    }
}

/// Gives the child exactly descriptors `0..fds`, each from its source.
unsafe fn wire(order: &mut Order) -> Result<(), Failure> {
    let n = order.fds;
    // SAFETY: `sources` has `fds` elements, and nobody else looks at them.
    let sources = unsafe { std::slice::from_raw_parts_mut(order.sources, n as usize) };
    // SAFETY: these change the descriptor table of this process alone.
    unsafe {
        // A source that stands where another target goes would be overwritten before it is used.
        for (target, source) in sources.iter_mut().enumerate() {
            if *source < n && *source != target as c_int {
                let moved = libc::fcntl(*source, libc::F_DUPFD_CLOEXEC, n);
                check_fd(Step::Descriptors, target as c_int, moved)?;
                *source = moved;
            }
        }
        #[cfg(not(target_os = "linux"))]
        if order.report < n {
            let moved = libc::fcntl(order.report, libc::F_DUPFD_CLOEXEC, n);
            check_fd(Step::Descriptors, order.report, moved)?;
            order.report = moved;
        }
        for (target, source) in sources.iter().enumerate() {
            let target = target as c_int;
            // dup2(2): with equal numbers it does nothing, so FD_CLOEXEC would stay.
            let result =
                if *source == target { libc::fcntl(target, libc::F_SETFD, 0) } else { libc::dup2(*source, target) };
            check_fd(Step::Descriptors, target, result)?;
        }
        close_on_exec_from(n);
    }
    Ok(())
}

/// Marks every descriptor from `first` up to be closed by exec.
///
/// Marking, not closing: where the failure is reported through a pipe, the pipe must live until exec.
#[cfg(target_os = "linux")]
unsafe fn close_on_exec_from(first: c_int) {
    // SAFETY: plain numbers; the table is this process's own.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) == 0 {
            return;
        }
        // Before Linux 5.11: ask /proc which there are, without readdir(3), which allocates.
        let dir = libc::open(c"/proc/self/fd".as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC);
        if dir == -1 || !mark_listed(dir, first) {
            mark_all(first);
        }
        // `dir` itself is closed by exec.
    }
}

/// Marks the descriptors that the folder lists; false if it cannot be read.
#[cfg(target_os = "linux")]
pub(super) unsafe fn mark_listed(dir: c_int, first: c_int) -> bool {
    #[repr(align(8))]
    struct Buffer([u8; 1024]);
    let mut buffer = Buffer([0; 1024]);
    loop {
        // SAFETY: the kernel writes at most the given length.
        let n = unsafe { libc::syscall(libc::SYS_getdents64, dir, buffer.0.as_mut_ptr(), buffer.0.len()) };
        if n <= 0 {
            return n == 0;
        }
        // struct linux_dirent64 of getdents(2): ino 8, off 8, reclen 2, type 1, name.
        let mut rest = buffer.0.get(..n as usize).unwrap_or(&[]);
        while let [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, low, high, _, name @ ..] = rest {
            let mut fd: c_int = 0;
            for digit in name.iter().take_while(|b| b.is_ascii_digit()) {
                fd = fd.wrapping_mul(10).wrapping_add(c_int::from(digit - b'0'));
            }
            if fd >= first {
                // SAFETY: fails harmlessly if there is no such descriptor.
                unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
            }
            rest = rest.get(usize::from(u16::from_ne_bytes([*low, *high])).max(19)..).unwrap_or(&[]);
        }
    }
}

#[cfg(not(target_os = "linux"))]
unsafe fn close_on_exec_from(first: c_int) {
    // SAFETY: see `mark_all`.
    unsafe { mark_all(first) }
}

/// Marks every descriptor that there can be.
unsafe fn mark_all(first: c_int) {
    // SAFETY: fcntl fails harmlessly on a number that is no descriptor.
    unsafe {
        for fd in first..libc::getdtablesize() {
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
}

/// What has to be done before the rights to do it are given up.
unsafe fn surroundings(order: &Order) -> Result<(), Failure> {
    // SAFETY: these change this process alone. A background group may set the foreground group while
    // SIGTTOU is blocked, as all signals are (tcsetpgrp(3)).
    unsafe {
        match order.terminal {
            Terminal::Leave => {}
            Terminal::Control(fd) => check_fd(Step::Terminal, fd, libc::ioctl(fd, libc::TIOCSCTTY as _, 0))?,
            Terminal::Foreground(fd) => check_fd(Step::Terminal, fd, libc::tcsetpgrp(fd, libc::getpgrp()))?,
        }
        if let Some(limit) = &order.nofile {
            check(Step::Limits, libc::setrlimit(libc::RLIMIT_NOFILE, limit))?;
        }
        if let Some(mask) = order.umask {
            libc::umask(mask);
        }
    }
    Ok(())
}

/// The numbers of the calls that take 32-bit ids; old 32-bit architectures have 16-bit ones beside them.
#[cfg(target_os = "linux")]
mod nr {
    #[cfg(not(any(target_arch = "x86", target_arch = "arm", target_arch = "m68k", target_arch = "sparc")))]
    pub(super) use libc::{SYS_setgroups as SETGROUPS, SYS_setresgid as SETRESGID, SYS_setresuid as SETRESUID};
    #[cfg(any(target_arch = "x86", target_arch = "arm", target_arch = "m68k", target_arch = "sparc"))]
    pub(super) use libc::{SYS_setgroups32 as SETGROUPS, SYS_setresgid32 as SETRESGID, SYS_setresuid32 as SETRESUID};
}

/// Groups first, then the group, then the user: each needs the rights that the next gives up.
#[cfg(target_os = "linux")]
unsafe fn become_user(to: &Identity) -> Result<(), Failure> {
    const KEEP: libc::uid_t = libc::uid_t::MAX;
    let (mut uids, mut gids) = ([KEEP; 3], [KEEP; 3]);
    // SAFETY: raw calls change this task only; the pointers are to `ngroups` ids and to local arrays.
    unsafe {
        if !to.groups.is_null() {
            check(Step::Groups, libc::syscall(nr::SETGROUPS, to.ngroups, to.groups) as c_int)?;
        }
        check(Step::Gid, libc::syscall(nr::SETRESGID, to.gid, to.gid, to.gid) as c_int)?;
        check(Step::Uid, libc::syscall(nr::SETRESUID, to.uid, to.uid, to.uid) as c_int)?;
        let [r, e, s] = &mut uids;
        check(Step::Verify, libc::getresuid(r, e, s))?;
        let [r, e, s] = &mut gids;
        check(Step::Verify, libc::getresgid(r, e, s))?;
        let back = to.uid != 0 && libc::syscall(nr::SETRESUID, KEEP, 0, KEEP) == 0;
        if uids != [to.uid; 3] || gids != [to.gid; 3] || back {
            return Err(Failure { step: Step::Verify, fd: -1, errno: libc::EPERM });
        }
    }
    Ok(())
}

/// Groups first, then the group, then the user: each needs the rights that the next gives up.
#[cfg(not(target_os = "linux"))]
unsafe fn become_user(to: &Identity) -> Result<(), Failure> {
    // SAFETY: a forked child has one thread; the pointer is to `ngroups` ids.
    unsafe {
        if !to.groups.is_null() {
            check(Step::Groups, libc::setgroups(to.ngroups as _, to.groups))?;
        }
        // Of a privileged process these set the real, the effective and the saved id.
        check(Step::Gid, libc::setgid(to.gid))?;
        check(Step::Uid, libc::setuid(to.uid))?;
        let is = libc::getuid() == to.uid
            && libc::geteuid() == to.uid
            && libc::getgid() == to.gid
            && libc::getegid() == to.gid;
        if !is || (to.uid != 0 && libc::setuid(0) == 0) {
            return Err(Failure { step: Step::Verify, fd: -1, errno: libc::EPERM });
        }
    }
    Ok(())
}

/// Sets every signal to its default action, so that no handler of the parent can ever run here and
/// nothing the parent ignores stays ignored after exec.
#[cfg(target_os = "linux")]
unsafe fn default_signals() {
    // The kernel's struct sigaction differs between architectures; all zeroes is SIG_DFL in each. Raw,
    // because glibc's sigaction refuses the two signals it keeps for itself.
    let zeroes = [0u64; 16];
    for signal in 1..=8 * super::fork::SIGSET_BYTES as c_int {
        // SAFETY: the buffer is longer than any struct sigaction; handlers are not shared with the parent.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                zeroes.as_ptr(),
                std::ptr::null_mut::<u64>(),
                super::fork::SIGSET_BYTES,
            );
        }
    }
}

#[cfg(not(target_os = "linux"))]
unsafe fn default_signals() {
    for signal in 1..=64 {
        // SAFETY: setting a default action; numbers that are no signal are refused.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// The rules of execvp(3) over the candidates.
unsafe fn execute(order: &Order) -> Failure {
    let (mut denied, mut last) = (false, libc::ENOENT);
    // SAFETY: `candidates`, `argv`, `script_argv` and `envp` are arrays ended by null.
    unsafe {
        let mut candidate = order.candidates;
        while !(*candidate).is_null() {
            libc::execve(*candidate, order.argv, order.envp);
            last = errno();
            if last == libc::ENOEXEC {
                // "If the header of a file isn't recognized, these functions will execute the shell
                // with the path of the file as its first argument."
                *order.script_argv.add(1) = *candidate;
                libc::execve(*order.script_argv, order.script_argv as *const _, order.envp);
                last = errno();
            }
            match last {
                libc::EACCES => denied = true,
                libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
                _ => return Failure { step: Step::Exec, fd: -1, errno: last },
            }
            candidate = candidate.add(1);
        }
    }
    Failure { step: Step::Exec, fd: -1, errno: if denied { libc::EACCES } else { last } }
}
