//! Sending signals to processes and process groups.

use std::collections::HashMap;
use std::io;

use super::{cvt, stats};
use crate::process::{OsPid, Signal};

/// Whether a signal found anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Sent {
    /// It was sent (to a zombie too: one that has ended and is not reaped).
    Sent,
    /// There is no such process or group (any more).
    Gone,
}

/// Sends a signal to one process.
///
/// # Errors
///
/// `EPERM` if this process may not; [`io::ErrorKind::InvalidInput`] for a number below 1, which kill(2)
/// would take for a whole group or for everybody.
pub fn signal_process(os_pid: OsPid, signal: Signal) -> io::Result<Sent> {
    if os_pid.0 < 1 {
        return Err(invalid("process", os_pid));
    }
    kill(os_pid.0, signal)
}

/// Sends a signal to every member of the process group that `os_pid` leads or led.
///
/// # Errors
///
/// `EPERM` if this process may signal none of them; [`io::ErrorKind::InvalidInput`] for a number below 2,
/// which kill(2) would take for our own group or for everybody.
pub fn signal_group(os_pid: OsPid, signal: Signal) -> io::Result<Sent> {
    if os_pid.0 < 2 {
        return Err(invalid("process group", os_pid));
    }
    kill(-os_pid.0, signal)
}

/// Whether a member of this process group still runs.
///
/// False is cheap. Zombies do not count: on Linux a positive answer of kill(2) is confirmed by a look
/// through `/proc`, because in a container whose first process does not reap, orphans stay zombies for
/// ever. So ask after the leader has been reaped: its own zombie would make the cheap answer impossible.
#[must_use]
pub fn group_alive(os_pid: OsPid) -> bool {
    Groups::default().alive(os_pid, &mut None)
}

/// Process groups and who runs in them: one look through `/proc` that answers for many.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// What the look has found, and in it what it could not find out.
    found: Option<Option<HashMap<OsPid, Option<OsPid>>>>,
}

impl Groups {
    /// The next question looks again. A group that was empty stays so; one that was not may be by now.
    pub(crate) fn forget(&mut self) {
        self.found = None;
    }

    /// As [`group_alive`]. `seen` keeps the member that was found, who is asked first the next time: as long
    /// as it runs nobody else is looked at.
    pub(crate) fn alive(&mut self, group: OsPid, seen: &mut Option<OsPid>) -> bool {
        if group.0 < 2 {
            return false;
        }
        // SAFETY: signal 0 only asks.
        match cvt(unsafe { libc::kill(-group.0, 0) }) {
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => false,
            // Members that are not ours may be hidden from us in /proc (hidepid of proc(5)).
            Err(_) => true,
            Ok(_) if seen.is_some_and(|member| stats::is_member(member, group)) => true,
            Ok(_) => match self.found.get_or_insert_with(stats::groups).as_ref().map(|groups| groups.get(&group)) {
                Some(Some(member)) => {
                    *seen = *member;
                    seen.is_some()
                }
                // Nobody of it is to be seen. Either the last has gone by now, or whoever is there is hidden, as even our
                // own are that may not be traced (PR_SET_DUMPABLE of prctl(2)); zombies of ours never are.
                Some(None) => {
                    *seen = None;
                    group_exists(group)
                }
                None => true,
            },
        }
    }
}

/// Whether anything of this process group is there, zombies included: one system call.
pub(crate) fn group_exists(os_pid: OsPid) -> bool {
    // SAFETY: signal 0 only asks.
    let asked = || cvt(unsafe { libc::kill(-os_pid.0, 0) });
    os_pid.0 > 1 && !asked().is_err_and(|e| e.raw_os_error() == Some(libc::ESRCH))
}

fn kill(target: i32, signal: Signal) -> io::Result<Sent> {
    // SAFETY: plain numbers; the callers have excluded the special ones.
    match cvt(unsafe { libc::kill(target, signal.number()) }) {
        Ok(_) => Ok(Sent::Sent),
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(Sent::Gone),
        Err(e) => Err(e),
    }
}

fn invalid(what: &str, os_pid: OsPid) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{os_pid} is no {what}"))
}

/// Runs `write` so that a closed pipe gives `EPIPE` and no signal, also where the host has not ignored
/// `SIGPIPE`: it is blocked meanwhile, and taken back if it came.
pub(super) fn without_sigpipe(
    write: impl FnOnce() -> io::Result<super::stdio::Moved>,
) -> io::Result<super::stdio::Moved> {
    use std::{mem, ptr};
    // SAFETY: sets are made empty before use, the calls write to sets of ours, and the old mask is restored.
    unsafe {
        let (mut pipe, mut old, mut pending): (libc::sigset_t, libc::sigset_t, libc::sigset_t) = mem::zeroed();
        libc::sigemptyset(&mut pipe);
        libc::sigaddset(&mut pipe, libc::SIGPIPE);
        libc::pthread_sigmask(libc::SIG_BLOCK, &pipe, &mut old);
        let result = write();
        if matches!(result, Ok(super::stdio::Moved::Closed)) && libc::sigismember(&old, libc::SIGPIPE) == 0 {
            // The signal of write(2) is the thread's own and waits now, unless it is ignored.
            libc::sigpending(&mut pending);
            if libc::sigismember(&pending, libc::SIGPIPE) == 1 {
                let mut number = 0;
                libc::sigwait(&pipe, &mut number);
            }
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &old, ptr::null_mut());
        result
    }
}

/// Whether this process ignores `signal`, as nohup(1) makes a program ignore SIGHUP.
#[must_use]
pub fn is_ignored(signal: Signal) -> bool {
    // SAFETY: all zeroes is a valid value, overwritten by the call.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks only, and points to an action.
    let asked = unsafe { libc::sigaction(signal.number(), std::ptr::null(), &mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Stops this process as Ctrl-Z does, until somebody sends SIGCONT. SIGSTOP is used because a handler of
/// SIGTSTP is what calls this.
pub fn suspend_self() {
    // SAFETY: signals ourselves.
    unsafe { libc::raise(libc::SIGSTOP) };
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::process::Exit;
    use crate::sys::spawn::{ChildFd, DEFAULT_PATH, SpawnPlan, Spawner};
    use crate::sys::stdio;
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn refuses_numbers_that_mean_everybody() {
        for number in [0, -1, i32::MIN] {
            let error = signal_process(OsPid(number), Signal::TERM).expect_err("refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
        for number in [1, 0, -1, i32::MIN] {
            let error = signal_group(OsPid(number), Signal::TERM).expect_err("refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(!group_alive(OsPid(number)));
        }
    }

    #[test]
    fn a_group_lives_as_long_as_a_member_runs() {
        // The leader ends at once and leaves a child behind, which ends with our end of the pipe.
        let (read, write) = stdio::pipe().expect("pipe");
        let (heard, said) = stdio::pipe().expect("pipe");
        let mut plan = SpawnPlan::new(["/bin/sh", "-c", "exec 3>&-; (read line <&4; exit 0) & exec 1>&-; exit 5"]);
        plan.env = vec![("PATH".into(), DEFAULT_PATH.into())];
        plan.fds =
            vec![ChildFd::Null, ChildFd::Fd(said.as_fd()), ChildFd::Null, ChildFd::Null, ChildFd::Fd(read.as_fd())];
        let spawned = Spawner::new().expect("spawner").spawn(&plan).expect("spawn");
        let leader = spawned.os_pid;
        drop((read, said));
        assert_eq!(spawned.exit.reap(), Exit::Code(5));
        assert!(group_alive(leader), "its child runs");
        assert_eq!(signal_process(leader, Signal::TERM).expect("kill"), Sent::Gone, "it was reaped");
        assert_eq!(signal_group(leader, Signal::CONT).expect("kill"), Sent::Sent);
        File::from(write).write_all(b"\n").expect("write");
        // The child holds `said`, so this returns when it has ended.
        File::from(heard).read_to_end(&mut Vec::new()).expect("read");
        // It is a zombie until whoever adopts orphans here reaps it, if ever.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while group_alive(leader) {
            assert!(std::time::Instant::now() < deadline, "a zombie counts");
            std::thread::yield_now();
        }
    }

    #[test]
    fn zombies_do_not_count() {
        let plan = SpawnPlan::new(["/bin/sh", "-c", "exit 0"]);
        let spawned = Spawner::new().expect("spawner").spawn(&plan).expect("spawn");
        while spawned.exit.peek().expect("peek").is_none() {
            std::thread::yield_now();
        }
        assert_eq!(signal_group(spawned.os_pid, Signal::CONT).expect("kill"), Sent::Sent, "a zombie takes signals");
        if cfg!(target_os = "linux") {
            assert!(!group_alive(spawned.os_pid));
        }
        let leader = spawned.os_pid;
        assert_eq!(spawned.exit.reap(), Exit::Code(0));
        assert!(!group_alive(leader));
        assert_eq!(signal_group(leader, Signal::TERM).expect("kill"), Sent::Gone);
    }
}
