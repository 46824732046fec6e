//! A process of a node.

use serde_json::{Value, json};

use super::address::encode;
use super::feed::Output;
use super::http::{Content, Http};
use super::values::ProcessInfo;
use crate::process::{Pid, ProcessState, Signal};
use crate::{ErrorKind, Result};

/// A process of a node, by its number.
#[derive(Clone, Debug)]
pub struct Process {
    http: Http,
    pid: Pid,
}

impl Process {
    pub(super) fn new(http: Http, pid: Pid) -> Self {
        Self { http, pid }
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Everything about it.
    ///
    /// # Errors
    ///
    /// Those of the [module](super#errors); so for all methods.
    pub fn info(&self) -> Result<ProcessInfo> {
        ProcessInfo::read(self.http.get(&format!("/{}", self.pid))?)
    }

    /// Whether it runs, be it told to end; `false` too when it has gone.
    pub fn active(&self) -> Result<bool> {
        match self.info() {
            Ok(info) => Ok(matches!(info.state, ProcessState::Running | ProcessState::Stopping)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// What it uses.
    pub fn stats(&self) -> Result<Value> {
        let mut answer = self.http.get(&format!("/{}/stats", self.pid))?;
        Ok(answer["stats"].take())
    }

    /// Tells it to end. One that is kept alive is replaced.
    pub fn stop(&self) -> Result<()> {
        self.http.delete(&format!("/{}", self.pid)).map(drop)
    }

    /// Sends it a signal.
    pub fn kill(&self, signal: Signal) -> Result<()> {
        let body = json!({"signal": signal.number()});
        self.http.post(&format!("/{}/signal", self.pid), Content::Json(&body)).map(drop)
    }

    /// Writes to its input, all or nothing; that must be redirected (`redirect_input`). At most 16 MiB.
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        self.write("stdin", bytes)
    }

    /// Writes to a stream of its `custom_streams`, all or nothing. At most 16 MiB.
    pub fn write(&self, label: &str, bytes: &[u8]) -> Result<()> {
        self.http.post(&format!("/streams/{}/{}", self.pid, encode(label)), Content::Bytes(bytes)).map(drop)
    }

    /// What it writes under one of the labels of its `redirect_output` or `custom_streams`, from now on.
    pub fn stream(&self, label: &str) -> Result<Output> {
        Output::open(&self.http, &format!("/streams/{}/{}", self.pid, encode(label)))
    }
}
