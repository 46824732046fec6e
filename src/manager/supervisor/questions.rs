//! What can be asked of sessions, jobs and processes.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::{Supervisor, gone, no_process};
use crate::process::{JobInfo, JobName, LogStatus, Pid, ProcessInfo};
use crate::table::JobView;
use crate::{Error, ErrorKind, Result};

impl Supervisor {
    /// The sessions, in the order in which they came.
    #[must_use]
    pub fn sessions(&self) -> Vec<String> {
        self.table.sessions().into_iter().map(str::to_owned).collect()
    }

    /// The jobs of all sessions, in the order in which they were loaded.
    #[must_use]
    pub fn jobs(&self) -> Vec<Arc<JobName>> {
        self.table.names().cloned().collect()
    }

    /// The same, lent.
    #[cfg(feature = "server")]
    pub(crate) fn job_names(&self) -> impl Iterator<Item = &JobName> {
        self.table.names().map(|name| &**name)
    }

    /// The jobs of one session, in the order in which they were loaded.
    ///
    /// # Errors
    ///
    /// No such session.
    pub fn jobs_of(&self, session: &str) -> Result<Vec<Arc<JobName>>> {
        let jobs: Vec<_> = self.jobs().into_iter().filter(|name| name.session() == session).collect();
        if jobs.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, format!("no such session `{session}`")));
        }
        Ok(jobs)
    }

    /// Calls `f` with every job, in the order in which they were loaded.
    pub fn walk(&self, mut f: impl FnMut(JobInfo)) {
        self.views().map(|job| self.complete(job)).for_each(&mut f);
    }

    /// A job as it stands.
    ///
    /// # Errors
    ///
    /// The job is not loaded.
    pub fn info(&self, job: &str) -> Result<JobInfo> {
        self.table.view(self.job_id(job)?, self.now()).map(|view| self.complete(view)).ok_or_else(|| gone(job))
    }

    /// The same by the two parts of its name, lent: without its log files, and without the time of its start, for which
    /// there is [`started_of`](Self::started_of).
    ///
    /// # Errors
    ///
    /// The job is not loaded, or could not be of this name.
    pub fn view(&self, session: &str, label: &str) -> Result<JobView<'_>> {
        let found = |id| self.table.view(id, self.now());
        if let Some(view) = self.table.find_parts(session, label).and_then(found) {
            return Ok(view);
        }
        let name = JobName::new(session, label)?;
        found(self.job_id(name.as_str())?).ok_or_else(|| gone(name.as_str()))
    }

    /// All of them likewise, in the order in which they were loaded.
    pub fn views(&self) -> impl Iterator<Item = JobView<'_>> {
        self.table.views(self.now())
    }

    /// The log files that cannot be written or rotated now, each with every job whose output it has: usually none.
    #[must_use]
    pub fn failing_logs(&self) -> Vec<(JobName, LogStatus)> {
        self.logs.failing()
    }

    /// The log files of a job.
    #[must_use]
    pub fn logs_of(&self, job: &JobName) -> Vec<LogStatus> {
        self.logs.status(job)
    }

    /// When the newest process of a job was started.
    #[must_use]
    pub fn started_of(&self, job: JobView<'_>) -> Option<SystemTime> {
        job.newest().and_then(|pid| self.children.started(pid))
    }

    /// The same, with what the table does not know.
    fn complete(&self, job: JobView<'_>) -> JobInfo {
        JobInfo { logs: self.logs.status(job.name()), started: self.started_of(job), ..job.to_info() }
    }

    /// When the pause of a job that waits ends: before it replaces processes that ended too soon, or before
    /// the next try of one that is flapping. `None` if it does not wait.
    ///
    /// # Errors
    ///
    /// The job is not loaded.
    pub fn pause_ends(&self, job: &str) -> Result<Option<Instant>> {
        Ok(self.table.pause_ends(self.job_id(job)?))
    }

    /// A process as it stands.
    ///
    /// # Errors
    ///
    /// No such process.
    pub fn process(&self, pid: Pid) -> Result<ProcessInfo> {
        let mut info = self.table.process(pid).ok_or_else(|| no_process(pid))?;
        info.started = self.children.started(pid);
        Ok(info)
    }

    /// The numbers of all processes that were not told to end, committed ones included, in order.
    #[must_use]
    pub fn list(&self) -> Vec<Pid> {
        self.table.all_pids().collect()
    }

    /// The processes that were told to end, or have ended and left others in their group: those a
    /// [`stop`](Self::stop) waits for.
    #[must_use]
    pub fn ending(&self) -> Vec<Pid> {
        self.table.ending().collect()
    }

    /// The numbers of a job's processes that are kept alive.
    ///
    /// # Errors
    ///
    /// The job is not loaded.
    pub fn pids(&self, job: &str) -> Result<Vec<Pid>> {
        self.table.pids(self.job_id(job)?).ok_or_else(|| gone(job))
    }

    /// Whether a job of this name is loaded.
    #[must_use]
    pub fn is_loaded(&self, job: &str) -> bool {
        self.job_id(job).is_ok()
    }
}
