//! A job as it stands, lent.

use std::sync::Arc;

use super::job::Job;
use crate::process::{JobConfig, JobInfo, JobName, JobState, Pid};

/// A loaded job, as it stands: what [`JobInfo`] keeps, lent by the table, so that a look at a job copies nothing.
#[derive(Clone, Copy, Debug)]
pub struct JobView<'t>(pub(super) &'t Job);

impl<'t> JobView<'t> {
    /// `session.label`.
    #[must_use]
    pub const fn name(self) -> &'t Arc<JobName> {
        &self.0.name
    }

    /// What the job is doing.
    #[must_use]
    pub const fn state(self) -> JobState {
        self.0.state
    }

    /// How many processes are starting or running and were not told to end, committed ones included.
    #[must_use]
    pub fn running(self) -> u32 {
        count(self.0.live.len() + self.0.once.len())
    }

    /// How many of them are committed: outside the count and not replaced.
    #[must_use]
    pub fn running_out(self) -> u32 {
        count(self.0.once.len())
    }

    /// How many are wanted.
    #[must_use]
    pub const fn numprocesses(self) -> u32 {
        self.0.target
    }

    /// Those processes, kept-alive ones first, then committed ones.
    pub fn processes(self) -> impl Iterator<Item = Pid> + 't {
        self.0.live.iter().chain(&self.0.once).copied()
    }

    /// Those on the way out. They are neither counted nor listed above.
    pub fn ending(self) -> impl Iterator<Item = Pid> + 't {
        self.0.ending.iter().copied()
    }

    /// Its definition.
    #[must_use]
    pub const fn config(self) -> &'t Arc<JobConfig> {
        &self.0.config
    }

    /// The same, to keep. The table knows no files: `logs` is empty.
    #[must_use]
    pub fn to_info(self) -> JobInfo {
        JobInfo {
            name: self.name().clone(),
            state: self.state(),
            running: self.running(),
            running_out: self.running_out(),
            numprocesses: self.numprocesses(),
            completed: self.0.completed,
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
