//! A process of a node.

use serde_json::{Value, json};

use super::address::encode;
use super::feed::Output;
use super::http::{Content, Http};
use super::io_channel::{IoChannel, Mode};
use super::values::ProcessInfo;
use crate::process::{Pid, ProcessState, Signal};
use crate::{ErrorKind, Result};

/// A process of a node, by its number.
///
/// ```
/// # #[cfg(feature = "server")] include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/client/example.rs"));
/// # #[cfg(feature = "server")] fn main() -> Result<(), Box<dyn std::error::Error>> { let node = Node::start()?; let address = node.address();
/// use gaffer::client::Server;
/// use gaffer::process::{ProcessState, Signal};
/// use serde_json::json;
///
/// let server = Server::new(address)?;
/// let started = server.watch("spawn")?;
/// let ended = server.watch("exit")?;
/// let cat = json!({"name": "cat", "cmd": "cat", "redirect_input": true, "redirect_output": ["out"], "restart": "never"});
/// server.load(&cat, None, true, false)?;
/// let pid = started.take(1).next().expect("it goes on")?.pid.expect("a process");
///
/// let process = server.get_process(pid)?;
/// assert_eq!(process.info()?.state, ProcessState::Running);
/// assert!(process.stats()?["rss"].is_u64());
/// let mut output = process.stream("out")?;
/// process.send(b"hello")?;
/// assert_eq!(output.next().expect("it goes on")?, b"hello");
/// process.kill(Signal::KILL)?;
/// assert_eq!(ended.take(1).next().expect("it goes on")?.fields["term_signal"], 9);
/// assert!(output.next().is_none() && !process.active()?);
/// # Ok(()) }
/// # #[cfg(not(feature = "server"))] fn main() {}
/// ```
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

    /// Its input and output over one connection: its first output stream and standard input; with the label of an output stream, that
    /// one and standard input; with the label of a custom stream, that one both ways.
    ///
    /// # Errors
    ///
    /// Those of the [module](super#errors): `NotFound` if there is no such process or stream, `Forbidden` if what `mode` needs is not
    /// redirected.
    pub fn socket(&self, mode: Mode, stream: Option<&str>) -> Result<IoChannel> {
        IoChannel::open(&self.http, self.pid, mode, stream)
    }
}
