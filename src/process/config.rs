//! How a job is described.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::logs::{LOGFILE_BACKUPS, LOGFILE_MAXBYTES, LogFormat};
use super::{Flapping, JobName, Signal};
use crate::Result;

/// The template of a job's processes: what to run, how often, in which surroundings.
///
/// A plain value: set the fields you need, or chain the setters of the same names.
///
/// ```
/// use gaffer::process::JobConfig;
///
/// let job = JobConfig::new("web", "python3 -m http.server $PORT")?.port(8000).numprocesses(2);
/// assert_eq!(job.name.as_str(), "default.web");
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct JobConfig {
    /// `session.label`.
    pub name: JobName,
    /// The program and its first arguments, split as a POSIX shell splits words; with
    /// [`shell`](Self::shell) the whole goes to `/bin/sh -c`.
    pub cmd: String,
    /// Further arguments; with [`shell`](Self::shell) they are the positional parameters.
    pub args: Vec<String>,
    /// Run `cmd` by `/bin/sh -c`, unsplit and unreplaced. Default false.
    pub shell: bool,
    /// Variables of the child's environment; they win over the manager's own.
    pub env: BTreeMap<String, String>,
    /// Start from the manager's environment; if false the child gets exactly [`env`](Self::env).
    /// Default true.
    pub os_env: bool,
    /// The base port: process N of the job gets `PORT` = base + N − 1. Default none.
    pub port: Option<u16>,
    /// Give each process `PS` = `label.N`. Default false.
    pub ps: bool,
    /// The working directory. Default: the manager's.
    pub cwd: Option<PathBuf>,
    /// Run as this user. Default: the manager's.
    pub uid: Option<UserRef>,
    /// Run as this group. Default: the user's own where `uid` is set, else the manager's.
    pub gid: Option<UserRef>,
    /// The file mode creation mask. Default: the manager's.
    pub umask: Option<u32>,
    /// How many processes to keep alive. Default 1.
    pub numprocesses: u32,
    /// What to do when a process ends by itself. Default [`Restart::Always`].
    pub restart: Restart,
    /// The rule for programs that crash too often. Default none: respawns are paced by
    /// [`backoff`](Self::backoff).
    pub flapping: Option<Flapping>,
    /// The pace of respawns where there is no flapping rule.
    pub backoff: Backoff,
    /// Labels of the output streams to read: stdout, then stderr; the same label twice merges
    /// them. Default none. A stream that has a log file is read, too; see [`outlets`](Self::outlets).
    pub redirect_output: Vec<String>,
    /// Write what the processes write to their standard output to this file, which all of them share. It is made if
    /// need be, with mode 0640 less the manager's umask, by the manager's user; its folder must be there. A relative
    /// path starts at the manager's working directory. A file belongs to one job only.
    ///
    /// `-` is the manager's own standard output. That (also as `/dev/stdout` or `/dev/stderr`), fifos and whatever
    /// else is no regular file gets everything as it comes and is not rotated; where it takes no more the process
    /// waits, as with a pipe. Default none.
    pub stdout_logfile: Option<PathBuf>,
    /// Likewise for standard error. It may be the same file. `-` is the manager's own standard error. Default none.
    pub stderr_logfile: Option<PathBuf>,
    /// A log file that would grow beyond this is renamed to `NAME.1`, older ones to `NAME.2` …, at the end of a line;
    /// a file is longer only by a line that would not fit, up to 1 MiB. 0: never; else at least 1024. Default 50 MiB.
    pub logfile_maxbytes: u64,
    /// How many renamed files are kept; with 0 what was written goes. At most 1000. Default 10.
    pub logfile_backups: u32,
    /// The most bytes that all files of the job may take, at least [`logfile_maxbytes`](Self::logfile_maxbytes) for
    /// each log file: beyond it the oldest backups are deleted, soon and by another thread. At most two files of each log wait
    /// for that; then its programs wait too. Default none.
    pub logfile_total: Option<u64>,
    /// How the lines of the log files look. Default [`LogFormat::Raw`].
    pub log_format: LogFormat,
    /// Keep a pipe to the child's standard input. Default false.
    pub redirect_input: bool,
    /// Labels of further streams, read and write, on descriptors 3, 4 … of the child.
    pub custom_streams: Vec<String>,
    /// Descriptors handed down to the child, after the custom streams.
    pub custom_channels: Vec<Channel>,
    /// Give each process a terminal of its own in place of the pipes for its output (and its input,
    /// where [`redirect_input`](Self::redirect_input) is set), so that it keeps its colours and
    /// writes line by line. Standard output and error are then one stream, with the first label of
    /// [`redirect_output`](Self::redirect_output), which must have one unless there is a
    /// [`stdout_logfile`](Self::stdout_logfile). The process leads a session
    /// of its own. Default false.
    pub tty: bool,
    /// Where standard streams go that are not redirected. Default [`Stdio::Null`].
    pub stdio: Stdio,
    /// The time between the stop signal and SIGKILL. Default 30 s.
    pub graceful_timeout: Duration,
    /// The signal that asks a process to end. Default SIGTERM.
    pub stop_signal: Signal,
    /// Run in a session of its own and outlive the manager. Default false.
    pub detach: bool,
    /// How many bytes of each output stream a history of output keeps; 0 keeps none. Default: what that history keeps of all.
    pub log_history: Option<u64>,
}

impl JobConfig {
    /// A job named `name` (`label` or `session.label`) that runs `cmd`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the name is not a job's name. The
    /// command is checked when the job is loaded.
    pub fn new(name: &str, cmd: impl Into<String>) -> Result<Self> {
        Ok(Self::named(name.parse()?, cmd))
    }

    /// A job named `name` that runs `cmd`.
    #[must_use]
    pub fn named(name: JobName, cmd: impl Into<String>) -> Self {
        Self {
            name,
            cmd: cmd.into(),
            args: Vec::new(),
            shell: false,
            env: BTreeMap::new(),
            os_env: true,
            port: None,
            ps: false,
            cwd: None,
            uid: None,
            gid: None,
            umask: None,
            numprocesses: 1,
            restart: Restart::Always,
            flapping: None,
            backoff: Backoff::default(),
            redirect_output: Vec::new(),
            stdout_logfile: None,
            stderr_logfile: None,
            logfile_maxbytes: LOGFILE_MAXBYTES,
            logfile_backups: LOGFILE_BACKUPS,
            logfile_total: None,
            log_format: LogFormat::Raw,
            redirect_input: false,
            custom_streams: Vec::new(),
            custom_channels: Vec::new(),
            tty: false,
            stdio: Stdio::Null,
            graceful_timeout: Duration::from_secs(30),
            stop_signal: Signal::TERM,
            detach: false,
            log_history: None,
        }
    }

    /// Adds a variable to [`env`](Self::env).
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets [`redirect_output`](Self::redirect_output).
    #[must_use]
    pub fn redirect_output<S: Into<String>>(mut self, labels: impl IntoIterator<Item = S>) -> Self {
        self.redirect_output = labels.into_iter().map(Into::into).collect();
        self
    }

    /// Adds one argument to [`args`](Self::args).
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds a label to [`custom_streams`](Self::custom_streams).
    #[must_use]
    pub fn custom_stream(mut self, label: impl Into<String>) -> Self {
        self.custom_streams.push(label.into());
        self
    }
}

setters! {
    JobConfig {
        shell: bool,
        os_env: bool,
        port: u16 => Some(port),
        ps: bool,
        cwd: impl Into<PathBuf> => Some(cwd.into()),
        uid: UserRef => Some(uid),
        gid: UserRef => Some(gid),
        umask: u32 => Some(umask),
        numprocesses: u32,
        restart: Restart,
        flapping: Flapping => Some(flapping),
        backoff: Backoff,
        stdout_logfile: impl Into<PathBuf> => Some(stdout_logfile.into()),
        stderr_logfile: impl Into<PathBuf> => Some(stderr_logfile.into()),
        logfile_maxbytes: u64,
        logfile_backups: u32,
        logfile_total: u64 => Some(logfile_total),
        log_format: LogFormat,
        redirect_input: bool,
        tty: bool,
        stdio: Stdio,
        graceful_timeout: Duration,
        stop_signal: Signal,
        detach: bool,
        log_history: u64 => Some(log_history),
    }
}

/// A user or group, by number or by name. A name of digits alone is a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UserRef {
    /// By number.
    Id(u32),
    /// By name; looked up when the job is loaded.
    Name(String),
}

impl From<&str> for UserRef {
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Id)
    }
}

impl fmt::Display for UserRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => write!(f, "{name:?}"),
        }
    }
}

/// What to do when a process ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Restart {
    /// Replace it, however it ended.
    #[default]
    Always,
    /// Replace it unless it ended with code 0.
    OnFailure,
    /// Replace it only if it ended with code 0.
    OnSuccess,
    /// Leave it ended.
    Never,
}

/// The pace of respawns: the first is at once, then the pause doubles from `first` up to `max`.
///
/// A process that has lived longer than the pause before it resets the pace. A `first` of zero
/// switches the pacing off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The first pause that is not zero. Default 0.1 s.
    pub first: Duration,
    /// The longest pause. Default 5 s.
    pub max: Duration,
}

impl Backoff {
    /// No pause at all.
    pub const OFF: Self = Self::new(Duration::ZERO, Duration::ZERO);

    /// A pace from `first` to `max`.
    #[must_use]
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }
}

/// Where a child's standard streams go that are not redirected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Stdio {
    /// `/dev/null`.
    #[default]
    Null,
    /// The manager's own.
    Inherit,
}

/// A descriptor of the embedder's that every process of the job gets.
#[derive(Clone, Debug)]
pub struct Channel(pub Arc<OwnedFd>);

impl PartialEq for Channel {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
