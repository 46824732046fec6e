//! Starting a program with everything as the caller wants it, or saying which step failed.
//!
//! The plan is laid out in memory by the parent (this file), a child is made (`fork.rs`), and the child
//! carries the plan out (`child.rs`).

use std::ffi::{OsStr, OsString, c_char, c_int};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::ptr;

use super::child::{Failure, Identity, Order};
use super::fork::Launcher;
use super::{Credentials, ExitWatch};
use crate::process::OsPid;

/// Where a program is looked for if its environment has no `PATH`.
pub const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What to run, and in which surroundings.
///
/// A plain value: make it with [`new`](Self::new), then set what differs from the defaults. It borrows
/// the descriptors it hands down.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SpawnPlan<'fd> {
    /// The file to execute. Without a slash it is searched in the `PATH` of [`env`](Self::env), or in
    /// [`DEFAULT_PATH`]; a relative path is relative to [`cwd`](Self::cwd). Default: the first of
    /// [`argv`](Self::argv).
    pub program: Option<OsString>,
    /// The arguments, the program's name first.
    pub argv: Vec<OsString>,
    /// The whole environment; nothing is inherited. Default empty.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory, entered with the rights of the child's user. Default: the parent's.
    pub cwd: Option<PathBuf>,
    /// Who to run as. Default: the parent's identity.
    pub credentials: Option<Credentials>,
    /// The file mode creation mask. Default: the parent's.
    pub umask: Option<u32>,
    /// The process group. Default [`Group::Own`].
    pub group: Group,
    /// Descriptors of the child: the index is the number there. Those from 0 to 2 that are missing are
    /// [`ChildFd::Null`]; the child has no others. Default empty.
    pub fds: Vec<ChildFd<'fd>>,
    /// The soft and hard `RLIMIT_NOFILE` of the child. Default: the parent's.
    pub nofile: Option<(u64, u64)>,
    /// What to do with a terminal among the descriptors. Default [`Terminal::Leave`].
    pub terminal: Terminal,
}

/// Which process group and session the child belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Group {
    /// A new group that the child leads, in the parent's session.
    #[default]
    Own,
    /// A new session, and in it a new group, that the child leads.
    Session,
    /// The parent's group.
    Inherit,
}

/// What stands behind a descriptor of the child.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum ChildFd<'fd> {
    /// `/dev/null`, for reading and writing.
    #[default]
    Null,
    /// The parent's descriptor of the same number; `/dev/null` if that is closed.
    Inherit,
    /// This descriptor.
    Fd(BorrowedFd<'fd>),
}

/// What to do with a terminal among the child's descriptors; the numbers are the child's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Terminal {
    /// Nothing.
    #[default]
    Leave,
    /// Make the terminal on this descriptor the controlling terminal; needs [`Group::Session`].
    Control(c_int),
    /// Make the child's group the foreground group of the terminal on this descriptor, as a shell does
    /// before it waits for a job. [`set_foreground`](super::tty::set_foreground) takes it back.
    Foreground(c_int),
}

/// A started program.
#[derive(Debug)]
#[non_exhaustive]
pub struct Spawned {
    /// Its number.
    pub os_pid: OsPid,
    /// Tells when and how it ends.
    pub exit: ExitWatch,
}

impl<'fd> SpawnPlan<'fd> {
    /// Runs `argv[0]` with these arguments, an empty environment and `/dev/null` on 0 to 2.
    #[must_use]
    pub fn new<S: Into<OsString>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            program: None,
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            cwd: None,
            credentials: None,
            umask: None,
            group: Group::Own,
            fds: Vec::new(),
            nofile: None,
            terminal: Terminal::Leave,
        }
    }

    fn program(&self) -> &OsStr {
        self.program.as_deref().or(self.argv.first().map(OsString::as_os_str)).unwrap_or_default()
    }

    /// The paths that execvp(3) would try with the child's `PATH`.
    fn candidates(&self) -> Vec<Vec<u8>> {
        let program = self.program().as_bytes();
        if program.is_empty() || program.contains(&b'/') {
            return vec![program.to_vec()];
        }
        let path = self.env.iter().find(|(name, _)| name == "PATH");
        let path = path.map_or(OsStr::new(DEFAULT_PATH), |(_, value)| value);
        let join = |dir: &[u8]| if dir.is_empty() { program.to_vec() } else { [dir, b"/", program].concat() };
        path.as_bytes().split(|b| *b == b':').map(join).collect()
    }

    fn file_exists(&self) -> bool {
        let base = self.cwd.clone().unwrap_or_default();
        self.candidates().into_iter().any(|path| base.join(OsString::from_vec(path)).is_file())
    }
}

/// Starts programs, and keeps between spawns what can be kept: a stack for the child, `/dev/null`, and
/// what is known about the kernel.
#[derive(Debug)]
pub struct Spawner {
    launcher: Launcher,
    null: OwnedFd,
}

impl Spawner {
    /// Opens `/dev/null` and asks the kernel what it can do.
    ///
    /// # Errors
    ///
    /// The operating system's, if there are no descriptors or no memory left, or there is no `/dev/null`.
    pub fn new() -> io::Result<Self> {
        Ok(Self { launcher: Launcher::new()?, null: super::stdio::open_null()? })
    }

    /// Starts a program; when this returns it has been executed.
    ///
    /// The child has default signal dispositions, an empty signal mask and exactly the descriptors of the
    /// plan, and no signal sent to it can run a handler of this process. The calling thread stands still
    /// until exec; on Linux the memory of this process is lent, not copied.
    ///
    /// # Errors
    ///
    /// Which step failed, and why; then there is no process, and nothing to wait for.
    pub fn spawn(&mut self, plan: &SpawnPlan<'_>) -> Result<Spawned, SpawnError> {
        let candidates = plan.candidates();
        let mut strings = Strings::default();
        for arg in &plan.argv {
            strings.push(&[arg.as_bytes()]);
        }
        for (name, value) in &plan.env {
            strings.push(&[name.as_bytes(), b"=", value.as_bytes()]);
        }
        for path in &candidates {
            strings.push(&[path]);
        }
        strings.push(&[plan.cwd.as_ref().map_or(&[], |cwd| cwd.as_os_str().as_bytes())]);
        if strings.nul {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "NUL byte in an argument, variable or path");
            return Err(SpawnError {
                step: Step::Prepare,
                about: quoted(plan.program()),
                error,
                no_interpreter: false,
            });
        }

        // All strings lie in one piece of memory, which does not move from here on.
        let mut pointers = strings.pointers();
        let mut array = |n: usize| pointers.by_ref().take(n).chain([ptr::null()]).collect::<Vec<*const c_char>>();
        let argv = array(plan.argv.len());
        let envp = array(plan.env.len());
        let candidates = array(candidates.len());
        let cwd = array(1);
        let mut script_argv = vec![c"/bin/sh".as_ptr(), ptr::null()];
        script_argv.extend(if argv.len() > 1 { &argv[1..] } else { &argv[..] });
        let mut sources = self.sources(&plan.fds);

        let order = Order {
            group: plan.group,
            terminal: plan.terminal,
            umask: plan.umask.map(|mask| mask as libc::mode_t),
            sources: sources.as_mut_ptr(),
            fds: sources.len() as c_int,
            nofile: plan.nofile.map(|(soft, hard)| libc::rlimit { rlim_cur: soft as _, rlim_max: hard as _ }),
            credentials: plan.credentials.as_ref().and_then(identity),
            cwd: if plan.cwd.is_some() { cwd[0] } else { ptr::null() },
            candidates: candidates.as_ptr(),
            argv: argv.as_ptr(),
            script_argv: script_argv.as_mut_ptr(),
            envp: envp.as_ptr(),
            #[cfg(not(target_os = "linux"))]
            report: -1,
        };
        match self.launcher.launch(order) {
            Ok((os_pid, exit)) => Ok(Spawned { os_pid, exit }),
            Err(failure) => Err(SpawnError::new(plan, failure)),
        }
    }

    fn sources(&self, fds: &[ChildFd<'_>]) -> Vec<RawFd> {
        let null = self.null.as_raw_fd();
        let source = |n: usize| match fds.get(n) {
            None | Some(ChildFd::Null) => null,
            // SAFETY: only asks whether the descriptor is open.
            Some(ChildFd::Inherit) if unsafe { libc::fcntl(n as RawFd, libc::F_GETFD) } == -1 => null,
            Some(ChildFd::Inherit) => n as RawFd,
            Some(ChildFd::Fd(fd)) => fd.as_raw_fd(),
        };
        (0..fds.len().max(3)).map(source).collect()
    }
}

/// Strings ended by NUL, one after the other.
#[derive(Default)]
struct Strings {
    bytes: Vec<u8>,
    starts: Vec<usize>,
    /// Whether one had a NUL of its own.
    nul: bool,
}

impl Strings {
    fn push(&mut self, parts: &[&[u8]]) {
        self.starts.push(self.bytes.len());
        for part in parts {
            self.nul |= part.contains(&0);
            self.bytes.extend_from_slice(part);
        }
        self.bytes.push(0);
    }

    fn pointers(&self) -> impl Iterator<Item = *const c_char> {
        self.starts.iter().map(|&start| self.bytes[start..].as_ptr().cast())
    }
}

/// What has to be changed to get these credentials; `None` if this process has them.
fn identity(to: &Credentials) -> Option<Identity> {
    let now = Credentials::current();
    // SAFETY: these read numbers.
    let real = unsafe { (libc::getuid(), libc::getgid()) };
    let same = (to.uid, to.gid) == (now.uid, now.gid) && (to.uid, to.gid) == real;
    if same && (now.uid != 0 || to.same_groups(&now)) {
        // Without privileges the groups cannot be changed, and need not be: it is the same user.
        return None;
    }
    let groups = if to.same_groups(&now) { ptr::null() } else { to.groups.as_ptr() };
    Some(Identity { uid: to.uid, gid: to.gid, groups, ngroups: to.groups.len() })
}

/// A step on the way to a running program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
#[non_exhaustive]
pub enum Step {
    /// Laying out the arguments.
    Prepare,
    /// Making a process.
    Fork,
    /// `setpgid`.
    Group,
    /// `setsid`.
    Session,
    /// Putting the descriptors in place.
    Descriptors,
    /// `setrlimit`.
    Limits,
    /// Taking the terminal.
    Terminal,
    /// `setgroups`.
    Groups,
    /// `setgid`.
    Gid,
    /// `setuid`.
    Uid,
    /// Making sure that the old identity cannot come back.
    Verify,
    /// Entering the working directory.
    Chdir,
    /// Executing the program.
    Exec,
    /// Watching the new process.
    Watch,
}

/// A program could not be started: which step failed, about what, and why.
#[derive(Debug)]
pub struct SpawnError {
    step: Step,
    about: String,
    error: io::Error,
    /// The file is there, but what its first line names is not.
    no_interpreter: bool,
}

impl SpawnError {
    fn new(plan: &SpawnPlan<'_>, failure: Failure) -> Self {
        let who = |pick: fn(&Credentials) -> u32| plan.credentials.as_ref().map(|c| pick(c).to_string());
        let about = match failure.step {
            Step::Gid => who(|c| c.gid).unwrap_or_default(),
            Step::Uid | Step::Verify => who(|c| c.uid).unwrap_or_default(),
            Step::Descriptors | Step::Terminal => failure.fd.to_string(),
            Step::Limits => plan.nofile.map(|(soft, hard)| format!("{soft} {hard}")).unwrap_or_default(),
            Step::Chdir => plan.cwd.as_ref().map(|cwd| quoted(cwd.as_os_str())).unwrap_or_default(),
            Step::Prepare | Step::Exec => quoted(plan.program()),
            Step::Fork | Step::Group | Step::Session | Step::Groups | Step::Watch => String::new(),
        };
        let no_interpreter = failure.step == Step::Exec && failure.errno == libc::ENOENT && plan.file_exists();
        Self { step: failure.step, about, error: io::Error::from_raw_os_error(failure.errno), no_interpreter }
    }

    /// The step that failed.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// Why, in the operating system's words.
    #[must_use]
    pub fn io_error(&self) -> &io::Error {
        &self.error
    }

    /// The operating system's error number.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.error.raw_os_error()
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = &self.about;
        match self.step {
            Step::Prepare => write!(f, "prepare {about}"),
            Step::Fork => f.write_str("fork"),
            Step::Group => f.write_str("setpgid"),
            Step::Session => f.write_str("setsid"),
            Step::Descriptors => write!(f, "set up descriptor {about}"),
            Step::Limits => write!(f, "setrlimit RLIMIT_NOFILE {about}"),
            Step::Terminal => write!(f, "take the terminal on descriptor {about}"),
            Step::Groups => f.write_str("setgroups"),
            Step::Gid => write!(f, "setgid {about}"),
            Step::Uid => write!(f, "setuid {about}"),
            Step::Verify => write!(f, "verify that uid {about} is final"),
            Step::Chdir => write!(f, "chdir to {about}"),
            Step::Exec => write!(f, "exec {about}"),
            Step::Watch => f.write_str("watch the new process"),
        }?;
        write!(f, ": {}", self.error)?;
        // execve(2), ENOENT: "The file pathname or a script or ELF interpreter does not exist."
        f.write_str(if self.no_interpreter { "; the file exists, its interpreter does not" } else { "" })
    }
}

impl std::error::Error for SpawnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// A path as people read it: in single quotes, unreadable bytes escaped.
fn quoted(text: &OsStr) -> String {
    format!("'{}'", OsString::from_vec(text.as_bytes().to_vec()).to_string_lossy().escape_debug())
}

#[cfg(test)]
mod tests;
