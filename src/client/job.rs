//! A job of a node.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::answer::{missing, number, pids};
use super::http::{Content, Http};
use super::values::{JobInfo, JobStatus};
use crate::Result;
use crate::process::{JobName, Pid, Signal};

/// A job of a node, by its name.
///
/// ```
/// # #[cfg(feature = "server")] include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/client/example.rs"));
/// # #[cfg(feature = "server")] fn main() -> Result<(), Box<dyn std::error::Error>> { let node = Node::start()?; let address = node.address();
/// use gaffer::client::Server;
/// use gaffer::process::Signal;
/// use serde_json::json;
///
/// let server = Server::new(address)?;
/// let job = server.load(&json!({"name": "web", "cmd": "sleep 100"}), None, true, false)?;
/// assert!(job.active()?);
/// assert_eq!((job.scale("+2")?, job.numprocesses()?, job.pids()?.len()), (3, 3, 3));
/// let once = job.commit(None, [("ONCE", "yes")])?; // outside of the count
/// let info = job.info()?;
/// assert_eq!((info.committed(), info.running_out, info.kept().len()), (&[once][..], 1, 3));
/// assert_eq!(job.config()?["cmd"], "sleep 100");
/// job.kill(Signal::CONT)?;
/// job.restart()?;
/// job.stop()?;
/// assert!(!job.active()?);
/// # Ok(()) }
/// # #[cfg(not(feature = "server"))] fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct Job {
    http: Http,
    name: JobName,
}

impl Job {
    pub(super) fn new(http: Http, name: JobName) -> Self {
        Self { http, name }
    }

    pub(super) fn path(&self, rest: &str) -> String {
        format!("/jobs/{}/{}{rest}", self.name.session(), self.name.label())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &JobName {
        &self.name
    }

    /// Everything about it.
    ///
    /// # Errors
    ///
    /// Those of the [module](super#errors); so for all methods.
    pub fn info(&self) -> Result<JobInfo> {
        JobInfo::read(&self.http.get(&self.path(""))?)
    }

    /// How it stands.
    pub fn status(&self) -> Result<JobStatus> {
        JobStatus::read(&self.http.get(&format!("/status/{}", self.name))?, Some(&self.name))
    }

    /// Its definition, with the keys in which it was loaded.
    pub fn config(&self) -> Result<Value> {
        Ok(self.info()?.config)
    }

    /// Whether it keeps its processes alive.
    pub fn active(&self) -> Result<bool> {
        Ok(self.status()?.is_active())
    }

    /// How many processes it has, committed ones included.
    pub fn running(&self) -> Result<u32> {
        Ok(self.status()?.running)
    }

    /// How many of them are committed.
    pub fn running_out(&self) -> Result<u32> {
        Ok(self.info()?.running_out)
    }

    /// How many processes are wanted.
    pub fn numprocesses(&self) -> Result<u32> {
        number(&self.http.get(&self.path("/numprocesses"))?, "numprocesses")
    }

    /// Its processes that are kept alive.
    pub fn pids(&self) -> Result<Vec<Pid>> {
        pids(&self.http.get(&self.path("/pids"))?["pids"])
    }

    /// What its processes use: `stats` of each, and sum, least and greatest.
    pub fn stats(&self) -> Result<Value> {
        self.http.get(&self.path("/stats"))
    }

    /// Starts it, with its configured number of processes.
    pub fn start(&self) -> Result<()> {
        self.state("1")
    }

    /// Stops it; its processes are told to end.
    pub fn stop(&self) -> Result<()> {
        self.state("0")
    }

    /// Starts it again: its configured number of processes, all of them new.
    pub fn reload(&self) -> Result<()> {
        self.state("2")
    }

    /// Replaces its processes, new ones first. A stopped job stays stopped.
    ///
    /// The original's client reloads here, which also resets the number of processes; [`reload`](Self::reload) does that.
    pub fn restart(&self) -> Result<()> {
        self.http.post(&format!("/processes/{}/_restart", self.name), Content::None).map(drop)
    }

    fn state(&self, state: &str) -> Result<()> {
        self.http.post(&self.path("/state"), Content::Text(state)).map(drop)
    }

    /// Changes how many processes are wanted: `+1`, `-1`, `=3` or `3`. The new number.
    pub fn scale(&self, scale: &str) -> Result<u32> {
        let answer = self.http.post(&self.path("/numprocesses"), Content::Json(&json!({"scale": scale})))?;
        number(&answer, "numprocesses")
    }

    /// Runs one more process, once, with these variables more. It has `graceful_timeout` to end when it is stopped, if that is given.
    pub fn commit<'a>(
        &self,
        graceful_timeout: Option<Duration>,
        env: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Pid> {
        let mut body = Map::new();
        if let Some(timeout) = graceful_timeout {
            body.insert("graceful_timeout".to_owned(), timeout.as_secs_f64().into());
        }
        let env: Map<String, Value> = env.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        if !env.is_empty() {
            body.insert("env".to_owned(), env.into());
        }
        let answer = self.http.post(&self.path("/commit"), Content::Json(&body.into()))?;
        answer["pid"].as_u64().map(Pid).ok_or_else(|| missing("pid"))
    }

    /// Sends a signal to all its processes.
    pub fn kill(&self, signal: Signal) -> Result<()> {
        let body = json!({"signal": signal.number()});
        self.http.post(&self.path("/signal"), Content::Json(&body)).map(drop)
    }

    /// Stops it and forgets it.
    pub fn unload(&self) -> Result<()> {
        self.http.delete(&self.path("")).map(drop)
    }
}
