//! The names of the 0.4 generation, for those who come from it.

use std::sync::Arc;

use super::Supervisor;
use crate::Result;
use crate::process::{JobConfig, JobId, JobInfo, JobName, Scale};

/// Thin aliases: each does what its one line says. A process template of 0.4 is a job, a group is a
/// session.
impl Supervisor {
    /// 0.4 for [`load`](Self::load), started.
    ///
    /// # Errors
    ///
    /// As `load`.
    pub fn add_process(&mut self, config: JobConfig) -> Result<JobId> {
        self.load(config, true)
    }

    /// 0.4 for [`update`](Self::update), started.
    ///
    /// # Errors
    ///
    /// As `update`.
    pub fn update_process(&mut self, config: JobConfig) -> Result<()> {
        self.update(config, true)
    }

    /// 0.4 for [`unload`](Self::unload).
    ///
    /// # Errors
    ///
    /// As `unload`.
    pub fn remove_process(&mut self, name: &str) -> Result<()> {
        self.unload(name)
    }

    /// 0.4 for [`start_job`](Self::start_job).
    ///
    /// # Errors
    ///
    /// As `start_job`.
    pub fn start_process(&mut self, name: &str) -> Result<()> {
        self.start_job(name)
    }

    /// 0.4 for [`restart_job`](Self::restart_job).
    ///
    /// # Errors
    ///
    /// As `restart_job`.
    pub fn restart_process(&mut self, name: &str) -> Result<()> {
        self.restart_job(name)
    }

    /// 0.4 for [`info`](Self::info).
    ///
    /// # Errors
    ///
    /// As `info`.
    pub fn get_process(&self, name: &str) -> Result<JobInfo> {
        self.info(name)
    }

    /// 0.4 for [`scale`](Self::scale) up by `n`.
    ///
    /// # Errors
    ///
    /// As `scale`.
    pub fn ttin(&mut self, name: &str, n: u32) -> Result<u32> {
        self.scale(name, Scale::By(n.into()))
    }

    /// 0.4 for [`scale`](Self::scale) down by `n`.
    ///
    /// # Errors
    ///
    /// As `scale`.
    pub fn ttou(&mut self, name: &str, n: u32) -> Result<u32> {
        self.scale(name, Scale::By(-i64::from(n)))
    }

    /// 0.4 for [`sessions`](Self::sessions).
    #[must_use]
    pub fn get_groups(&self) -> Vec<String> {
        self.sessions()
    }

    /// 0.4 for [`jobs_of`](Self::jobs_of).
    ///
    /// # Errors
    ///
    /// As `jobs_of`.
    pub fn get_group(&self, name: &str) -> Result<Vec<Arc<JobName>>> {
        self.jobs_of(name)
    }

    /// 0.4 for [`start_session`](Self::start_session).
    ///
    /// # Errors
    ///
    /// As `start_session`.
    pub fn start_group(&mut self, name: &str) -> Result<()> {
        self.start_session(name)
    }

    /// 0.4 for [`stop_session`](Self::stop_session).
    ///
    /// # Errors
    ///
    /// As `stop_session`.
    pub fn stop_group(&mut self, name: &str) -> Result<()> {
        self.stop_session(name)
    }

    /// 0.4 for [`restart_session`](Self::restart_session).
    ///
    /// # Errors
    ///
    /// As `restart_session`.
    pub fn restart_group(&mut self, name: &str) -> Result<()> {
        self.restart_session(name)
    }

    /// 0.4 for [`remove_session`](Self::remove_session).
    ///
    /// # Errors
    ///
    /// As `remove_session`.
    pub fn remove_group(&mut self, name: &str) -> Result<()> {
        self.remove_session(name)
    }
}
