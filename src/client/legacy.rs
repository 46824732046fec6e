//! What the client of gaffer 0.4 called things: jobs are processes, sessions are groups.

use serde_json::Value;

use super::address::encode;
use super::answer::{job_name, names};
use super::http::Content;
use super::{Job, Server};
use crate::process::{Pid, Signal};
use crate::{ErrorKind, Result};

/// The names of gaffer 0.4.
impl Server {
    /// All jobs: `label`, and `session:label` outside of the default session.
    ///
    /// # Errors
    ///
    /// Those of the [module](super#errors); so for all methods.
    pub fn processes(&self) -> Result<Vec<String>> {
        names(&self.http.get("/processes")?)
    }

    /// [`job_exists`](Self::job_exists).
    pub fn is_process(&self, name: &str) -> Result<bool> {
        self.job_exists(name)
    }

    /// Loads a job, whose name must be free.
    pub fn add_process(&self, definition: &Value, start: bool) -> Result<Job> {
        self.load(definition, None, start, false)
    }

    /// [`update`](Self::update).
    pub fn update_process(&self, name: &str, definition: &Value, start: bool) -> Result<Job> {
        self.update(definition, name, start)
    }

    /// Loads a job, or replaces the one that has its name.
    pub fn save_process(&self, definition: &Value, start: bool) -> Result<Job> {
        self.load(definition, None, start, true)
    }

    /// [`unload`](Self::unload).
    pub fn remove_process(&self, name: &str) -> Result<()> {
        self.unload(name)
    }

    /// Sends a signal to a job's processes, or to the process of this number.
    pub fn send_signal(&self, name: &str, signal: Signal) -> Result<()> {
        match name.parse() {
            Ok(pid) => self.process(Pid(pid)).kill(signal),
            Err(_) => self.job(name)?.kill(signal),
        }
    }

    /// The definition of a job as 0.4 writes it.
    pub fn template(&self, name: &str) -> Result<Value> {
        self.http.get(&format!("/processes/{}", job_name(name)?))
    }

    /// The groups, which are sessions.
    pub fn groups(&self) -> Result<Vec<String>> {
        names(&self.http.get("/groups")?)
    }

    /// The jobs of a group, named as [`processes`](Self::processes) names them.
    pub fn get_group(&self, group: &str) -> Result<Vec<String>> {
        names(&self.http.get(&format!("/groups/{}", encode(group)))?)
    }

    /// Whether a group has a job.
    pub fn is_group(&self, group: &str) -> Result<bool> {
        match self.get_group(group) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Starts all jobs of a group.
    pub fn start_group(&self, group: &str) -> Result<()> {
        self.group(group, "_start")
    }

    /// Stops all jobs of a group.
    pub fn stop_group(&self, group: &str) -> Result<()> {
        self.group(group, "_stop")
    }

    /// Restarts the active jobs of a group, new processes first.
    pub fn restart_group(&self, group: &str) -> Result<()> {
        self.group(group, "_restart")
    }

    /// Stops all jobs of a group and forgets them.
    pub fn remove_group(&self, group: &str) -> Result<()> {
        self.http.delete(&format!("/groups/{}", encode(group))).map(drop)
    }

    fn group(&self, group: &str, verb: &str) -> Result<()> {
        self.http.post(&format!("/groups/{}/{verb}", encode(group)), Content::None).map(drop)
    }
}

/// The names of gaffer 0.4.
impl Job {
    /// So many processes more. The new number.
    pub fn add(&self, n: u32) -> Result<u32> {
        self.scale(&format!("+{n}"))
    }

    /// So many processes less. The new number.
    pub fn sub(&self, n: u32) -> Result<u32> {
        self.scale(&format!("-{n}"))
    }

    /// [`kill`](Self::kill).
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.kill(signal)
    }
}
