//! What can be asked of the table.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::{JobView, ProcessTable};
use crate::process::{JobId, JobInfo, JobName, Pid, ProcessInfo};

impl ProcessTable {
    /// The loaded job of this name.
    #[must_use]
    pub fn find(&self, name: &JobName) -> Option<JobId> {
        self.names.get(name.session(), name.label())
    }

    /// The same by the two parts of a name, which may be any texts.
    #[must_use]
    pub fn find_parts(&self, session: &str, label: &str) -> Option<JobId> {
        self.names.get(session, label)
    }

    /// A job's name; also that of an unloaded one, until its last process is gone.
    #[must_use]
    pub fn name(&self, job: JobId) -> Option<&Arc<JobName>> {
        self.jobs.get(&job).map(|job| &job.name)
    }

    /// A loaded job, as it stands. Processes that were told to end are not counted, and listed apart. The table knows
    /// no files and no wall clock: `logs` is empty and `started` is `None`.
    #[must_use]
    pub fn job(&self, job: JobId, now: Instant) -> Option<JobInfo> {
        self.view(job, now).map(JobView::to_info)
    }

    /// The same, lent.
    #[must_use]
    pub fn view(&self, job: JobId, now: Instant) -> Option<JobView<'_>> {
        self.jobs.get(&job).filter(|job| !job.unloaded).map(|job| JobView::new(job, now))
    }

    /// All loaded jobs, lent, in load order.
    pub fn views(&self, now: Instant) -> impl Iterator<Item = JobView<'_>> {
        self.jobs.values().filter(|job| !job.unloaded).map(move |job| JobView::new(job, now))
    }

    /// A process, as it stands, from its announcement until it is gone. The table knows no wall
    /// clock: `started` is `None`.
    #[must_use]
    pub fn process(&self, pid: Pid) -> Option<ProcessInfo> {
        let process = self.processes.get(&pid)?;
        let mut config = process.config.clone();
        if !process.env.is_empty() {
            // What a commit adds is this process's alone: it gets a definition of its own to show.
            Arc::make_mut(&mut config).env.extend(process.env.clone());
        }
        Some(ProcessInfo {
            pid,
            os_pid: process.os_pid,
            name: self.jobs.get(&process.job)?.name.clone(),
            instance: process.instance,
            state: process.state(),
            once: process.once,
            started: None,
            config,
        })
    }

    /// When the pause of a job that waits ends: before it replaces processes that ended too soon, or before
    /// the next try of one that is flapping.
    #[must_use]
    pub fn pause_ends(&self, job: JobId) -> Option<Instant> {
        self.jobs.get(&job)?.timer
    }

    /// The job of a process.
    #[must_use]
    pub fn job_of(&self, pid: Pid) -> Option<JobId> {
        self.processes.get(&pid).map(|process| process.job)
    }

    /// The loaded jobs, in load order.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> + '_ {
        self.jobs.iter().filter(|(_, job)| !job.unloaded).map(|(id, _)| *id)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &Arc<JobName>> {
        self.jobs.values().filter(|job| !job.unloaded).map(|job| &job.name)
    }

    /// The sessions that have a loaded job, in the order of the first such job.
    #[must_use]
    pub fn sessions(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        let names = self.jobs.values().filter(|job| !job.unloaded).map(|job| job.name.session());
        names.filter(|session| seen.insert(*session)).collect()
    }

    /// The kept-alive processes of a loaded job that were not told to end, oldest first.
    #[must_use]
    pub fn pids(&self, job: JobId) -> Option<Vec<Pid>> {
        self.jobs.get(&job).filter(|job| !job.unloaded).map(|job| job.live.iter().copied().collect())
    }

    /// All processes that are starting or running and were not told to end, oldest first.
    pub fn all_pids(&self) -> impl Iterator<Item = Pid> + '_ {
        self.processes.iter().filter(|(_, process)| !process.is_ending()).map(|(pid, _)| *pid)
    }

    /// All processes that were told to end or have ended, and are not gone: those a stop waits
    /// for. Oldest first.
    pub fn ending(&self) -> impl Iterator<Item = Pid> + '_ {
        self.processes.iter().filter(|(_, process)| process.is_ending()).map(|(pid, _)| *pid)
    }

    /// Whether the shutdown has begun.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether the shutdown is done: nothing is left but detached processes.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.stopping && self.processes.len() == self.released
    }

    /// Whether nothing will happen without another command: no process is left, and none waits
    /// for its time. So it is when all have ended for good.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.processes.is_empty() && self.timers.is_empty()
    }
}
