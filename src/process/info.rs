//! What can be asked of jobs and processes.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Exit, JobConfig, JobName, LogStatus, OsPid, Pid};
use crate::{Error, ErrorKind, Result};

/// A job, as it stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JobInfo {
    /// `session.label`.
    pub name: Arc<JobName>,
    /// What the job is doing.
    pub state: JobState,
    /// The same as whoever is called at night wants to know it.
    pub health: Health,
    /// How many processes are starting or running and were not told to end, committed ones
    /// included.
    pub running: u32,
    /// How many of them are committed: outside the count and not replaced.
    pub running_out: u32,
    /// How many are wanted.
    pub numprocesses: u32,
    /// How many of these have ended for good, as the job's restart rule says.
    pub completed: u32,
    /// How many processes were started since the job was loaded because others had ended by themselves; tries that
    /// failed count.
    pub restarts: u64,
    /// How the last kept-alive process ended that nobody had told to end.
    pub last_exit: Option<LastExit>,
    /// When the newest of its processes was started, by the clock as it is now.
    pub started: Option<SystemTime>,
    /// Those processes, kept-alive ones first, then committed ones.
    pub processes: Vec<Pid>,
    /// Those on the way out: told to end, or ended while others of their process group have not. They are
    /// neither counted nor listed above.
    pub ending: Vec<Pid>,
    /// Its definition.
    pub config: Arc<JobConfig>,
    /// Its log files. Those that are no regular file may be other jobs', too.
    pub logs: Vec<LogStatus>,
}

/// What a job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobState {
    /// It keeps its processes alive.
    Active,
    /// It crashed too often and waits for its next try.
    Flapping,
    /// It is stopped, and stays so.
    Stopped,
}

/// How a job is: its [`JobState`], and whether that is all there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It keeps its processes alive.
    Active,
    /// It is active, and all of its processes have ended for good, as its restart rule says.
    Finished,
    /// It is active, and waits before it replaces a process that ended too soon.
    BackingOff,
    /// It is active, and within the last minute three processes ended by themselves that lived less than a minute.
    CrashLoop,
    /// It crashed too often and waits for its next try.
    Flapping,
    /// It is stopped, because it crashed too often for its flapping rule.
    GaveUp,
    /// Somebody has stopped it, or nobody has started it.
    Stopped,
}

impl Health {
    const ALL: [Self; 7] =
        [Self::Active, Self::Finished, Self::BackingOff, Self::CrashLoop, Self::Flapping, Self::GaveUp, Self::Stopped];

    /// `active`, `finished`, `backing off`, `crash loop`, `flapping`, `gave up` or `stopped`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Finished => "finished",
            Self::BackingOff => "backing off",
            Self::CrashLoop => "crash loop",
            Self::Flapping => "flapping",
            Self::GaveUp => "gave up",
            Self::Stopped => "stopped",
        }
    }

    /// The one that [is written](Self::as_str) so.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|health| health.as_str() == word)
    }

    /// Whether the job does what it is there for: neither stopped, nor crashing.
    #[must_use]
    pub const fn is_well(self) -> bool {
        matches!(self, Self::Active | Self::Finished)
    }
}

impl From<JobState> for Health {
    /// All that the state alone tells.
    fn from(state: JobState) -> Self {
        match state {
            JobState::Active => Self::Active,
            JobState::Flapping => Self::Flapping,
            JobState::Stopped => Self::Stopped,
        }
    }
}

/// How a process ended by itself, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastExit {
    /// How it ended.
    pub exit: Exit,
    /// How long ago that is.
    pub ago: Duration,
}

/// A process, as it stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// Its number.
    pub pid: Pid,
    /// The system's number, once it is started.
    pub os_pid: Option<OsPid>,
    /// The job it belongs to.
    pub name: Arc<JobName>,
    /// The N of `label.N`: the lowest number that was free among the job's processes.
    pub instance: u32,
    /// What it is doing.
    pub state: ProcessState,
    /// Whether it was committed: outside the count, not replaced.
    pub once: bool,
    /// When it was started, by the clock as it is now.
    pub started: Option<SystemTime>,
    /// The definition it was started with.
    pub config: Arc<JobConfig>,
}

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessState {
    /// It is to be started.
    Starting,
    /// It runs.
    Running,
    /// It was told to end.
    Stopping,
    /// It has ended; others of its process group have not.
    Exited,
}

/// How to change a job's number of processes.
///
/// Reads `+n`, `-n`, `=n` and `n`, which sets as `=n` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// So many more, or fewer where negative; never below 0.
    By(i64),
    /// Exactly so many.
    To(u32),
}

impl Scale {
    /// The new target where `current` are wanted now.
    #[must_use]
    pub fn apply(self, current: u32) -> u32 {
        match self {
            Self::To(n) => n,
            Self::By(n) => (i64::from(current).saturating_add(n)).clamp(0, i64::from(u32::MAX)) as u32,
        }
    }
}

impl FromStr for Scale {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = text.trim_start_matches(['+', '-', '=']);
        let number: Option<u32> = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
        match (&text[..text.len() - digits.len()], number) {
            ("" | "=", Some(n)) => Ok(Self::To(n)),
            ("+", Some(n)) => Ok(Self::By(n.into())),
            ("-", Some(n)) => Ok(Self::By(-i64::from(n))),
            _ => Err(Error::new(ErrorKind::Invalid, format!("invalid scale {text:?}: expected n, =n, +n or -n"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn healths() {
        for health in Health::ALL {
            assert_eq!(Health::from_word(health.as_str()), Some(health));
        }
        assert_eq!(Health::from_word("well"), None);
    }

    #[test]
    fn scale() {
        for (text, from, to) in [("3", 1, 3), ("=3", 5, 3), ("+2", 1, 3), ("-2", 5, 3), ("-9", 3, 0), ("=0", 3, 0)] {
            assert_eq!(text.parse::<Scale>().expect(text).apply(from), to, "{text}");
        }
        for bad in ["", "+", "x", "1.5", "+-1", "--1", "99999999999"] {
            assert!(bad.parse::<Scale>().is_err(), "{bad}");
        }
    }
}
