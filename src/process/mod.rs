//! The vocabulary of supervision: what a job is, what a process is, and what can be said of them.
//!
//! Nothing here does anything; the table decides, and the
//! manager acts.

mod config;
mod event;
mod exit;
mod flapping;
mod id;
mod info;
#[cfg(any(feature = "config", feature = "webhooks"))]
pub mod json;
mod logs;
mod signal;
pub(crate) mod stats;
#[cfg(any(feature = "server", feature = "webhooks"))]
pub(crate) mod topics;

pub use config::{Backoff, Channel, JobConfig, Restart, Stdio, UserRef};
#[cfg(any(feature = "config", feature = "webhooks"))]
pub(crate) use event::FIRST_WORDS;
pub use event::{Event, What};
pub use exit::Exit;
pub use flapping::Flapping;
pub use id::{DEFAULT_SESSION, JobId, JobName, OsPid, Pid};
pub use info::{Health, JobInfo, JobState, LastExit, ProcessInfo, ProcessState, Scale};
pub use logs::{LOGFILE_BACKUPS, LOGFILE_MAXBYTES, LogFormat, LogStatus, MAX_BACKUPS, MIN_MAXBYTES, Outlet};
pub use signal::Signal;
pub use stats::ProcessStats;
