//! A job as it stands, lent.

use std::sync::Arc;
use std::time::Instant;

use super::job::Job;
use crate::process::{Health, JobConfig, JobInfo, JobName, JobState, LastExit, Pid};

/// A loaded job, as it stands: what [`JobInfo`] keeps, lent by the table, so that a look at a job copies nothing.
#[derive(Clone, Copy, Debug)]
pub struct JobView<'t> {
    job: &'t Job,
    now: Instant,
}

impl<'t> JobView<'t> {
    pub(super) const fn new(job: &'t Job, now: Instant) -> Self {
        Self { job, now }
    }

    /// `session.label`.
    #[must_use]
    pub const fn name(self) -> &'t Arc<JobName> {
        &self.job.name
    }

    /// What the job is doing.
    #[must_use]
    pub const fn state(self) -> JobState {
        self.job.state
    }

    /// How it fares.
    #[must_use]
    pub fn health(self) -> Health {
        self.job.health(self.now)
    }

    /// How often its processes were replaced, or a try to do so has failed.
    #[must_use]
    pub fn restarts(self) -> u64 {
        self.job.record.restarts()
    }

    /// How the last of its processes ended that was not told to.
    #[must_use]
    pub fn last_exit(self) -> Option<LastExit> {
        self.job.record.last_exit(self.now)
    }

    /// How many processes are starting or running and were not told to end, committed ones included.
    #[must_use]
    pub fn running(self) -> u32 {
        count(self.job.live.len() + self.job.once.len())
    }

    /// How many of them are committed: outside the count and not replaced.
    #[must_use]
    pub fn running_out(self) -> u32 {
        count(self.job.once.len())
    }

    /// How many are wanted.
    #[must_use]
    pub const fn numprocesses(self) -> u32 {
        self.job.target
    }

    /// Those processes, kept-alive ones first, then committed ones.
    pub fn processes(self) -> impl Iterator<Item = Pid> + 't {
        self.job.live.iter().chain(&self.job.once).copied()
    }

    /// The one of them that was started last.
    #[must_use]
    pub fn newest(self) -> Option<Pid> {
        // Of each sort it is the last.
        self.job.live.last().max(self.job.once.last()).copied()
    }

    /// Those on the way out. They are neither counted nor listed above.
    pub fn ending(self) -> impl Iterator<Item = Pid> + 't {
        self.job.ending.iter().copied()
    }

    /// Its definition.
    #[must_use]
    pub const fn config(self) -> &'t Arc<JobConfig> {
        &self.job.config
    }

    /// The same, to keep. The table knows no files and no wall clock: `logs` is empty and `started` is `None`.
    #[must_use]
    pub fn to_info(self) -> JobInfo {
        JobInfo {
            name: self.name().clone(),
            state: self.state(),
            health: self.health(),
            running: self.running(),
            running_out: self.running_out(),
            numprocesses: self.numprocesses(),
            completed: self.job.completed,
            restarts: self.restarts(),
            last_exit: self.last_exit(),
            started: None,
            processes: self.processes().collect(),
            ending: self.ending().collect(),
            config: self.config().clone(),
            logs: Vec::new(),
        }
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
