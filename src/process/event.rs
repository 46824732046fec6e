//! What happens to jobs and processes, as others are told it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Exit, JobName, OsPid, Pid, Signal};

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// When the manager saw it.
    pub time: SystemTime,
    /// The job it happened to; `None` for what concerns the manager itself.
    pub job: Option<Arc<JobName>>,
    /// What it was.
    pub what: What,
}

impl Event {
    /// An event of a job, or of the manager itself.
    #[must_use]
    pub const fn new(time: SystemTime, job: Option<Arc<JobName>>, what: What) -> Self {
        Self { time, job, what }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum What {
    /// The job was loaded (0.5: `load`).
    Create,
    /// The job starts its processes.
    Start,
    /// The job stops its processes, or was given up.
    Stop,
    /// The job's processes are being replaced, new ones first.
    Restart,
    /// The number of processes or the definition has changed.
    Update {
        /// How many processes are wanted now.
        numprocesses: u32,
    },
    /// The job was unloaded (0.5: `unload`).
    Delete,
    /// A process was started.
    Spawn {
        /// Its number.
        pid: Pid,
        /// The system's number.
        os_pid: OsPid,
        /// Whether it lives in a session of its own and outlives the manager.
        detach: bool,
    },
    /// A process is surplus and told to end.
    Reap {
        /// Its number.
        pid: Pid,
        /// The system's number, unless it ended before it was known.
        os_pid: Option<OsPid>,
    },
    /// A process has ended, or could not be started.
    Exit {
        /// Its number.
        pid: Pid,
        /// The system's number; `None` if it could not be started.
        os_pid: Option<OsPid>,
        /// The N of `label.N`; it may be another's by now.
        instance: u32,
        /// How it ended.
        exit: Exit,
        /// Whether it was committed: one run outside the count, not replaced.
        once: bool,
    },
    /// A process is told to end (0.5: `stop_process`).
    StopPid {
        /// Its number.
        pid: Pid,
        /// The system's number, unless it is not started yet.
        os_pid: Option<OsPid>,
    },
    /// The job crashes too often and is paused.
    Flap {
        /// The number of this retry, from 1; 0 if there will be none.
        retry: u32,
        /// The time until the next try; `None` if the job is given up.
        next: Option<Duration>,
    },
    /// A signal was sent on request.
    Kill {
        /// The process it went to; `None` where all of the job were meant.
        pid: Option<Pid>,
        /// The system's number of that process.
        os_pid: Option<OsPid>,
        /// The signal.
        signal: Signal,
    },
    /// An app, a listener or another guest of the manager failed; supervision goes on.
    Fault {
        /// Who failed.
        source: String,
        /// What it said.
        reason: String,
    },
    /// Events were dropped because nobody took them in time.
    Overflow {
        /// How many since the last such event.
        dropped: u64,
    },
}

impl What {
    /// The event's name, as topics and consoles spell it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Update { .. } => "update",
            Self::Delete => "delete",
            Self::Spawn { .. } => "spawn",
            Self::Reap { .. } => "reap",
            Self::Exit { .. } => "exit",
            Self::StopPid { .. } => "stop_pid",
            Self::Flap { .. } => "flap",
            Self::Kill { .. } => "kill",
            Self::Fault { .. } => "fault",
            Self::Overflow { .. } => "overflow",
        }
    }

    /// The name the 0.5 generation used.
    #[must_use]
    pub const fn name_0_5(&self) -> &'static str {
        match self {
            Self::Create => "load",
            Self::Delete => "unload",
            Self::StopPid { .. } => "stop_process",
            _ => self.name(),
        }
    }

    /// The process it happened to, if it was one.
    #[must_use]
    pub const fn pid(&self) -> Option<Pid> {
        match self {
            Self::Spawn { pid, .. } | Self::Reap { pid, .. } | Self::Exit { pid, .. } | Self::StopPid { pid, .. } => {
                Some(*pid)
            }
            Self::Kill { pid, .. } => *pid,
            _ => None,
        }
    }

    /// The system's number of that process, if it is known.
    #[must_use]
    pub const fn os_pid(&self) -> Option<OsPid> {
        match self {
            Self::Spawn { os_pid, .. } => Some(*os_pid),
            Self::Reap { os_pid, .. }
            | Self::Exit { os_pid, .. }
            | Self::StopPid { os_pid, .. }
            | Self::Kill { os_pid, .. } => *os_pid,
            _ => None,
        }
    }
}

#[cfg(any(feature = "config", feature = "webhooks"))]
/// What the first segment of a name can be: the manager's events, those of both generations, and prefixes.
pub(crate) const FIRST_WORDS: &[&str] = &[
    "create",
    "start",
    "stop",
    "restart",
    "update",
    "delete",
    "spawn",
    "reap",
    "exit",
    "stop_pid",
    "flap",
    "kill",
    "load",
    "unload",
    "stop_process",
    "fault",
    "overflow",
    "proc",
    "job",
    "*",
];
