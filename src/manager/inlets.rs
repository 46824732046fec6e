//! What is written to children: standard input and custom streams.

use std::collections::VecDeque;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::supervisor::no_process;
use super::{AppId, Cx, Supervisor};
use crate::event_loop::{Interest, Source};
use crate::process::Pid;
use crate::sys::stdio::{self, Moved};
use crate::{Error, ErrorKind, Result};

/// How many bytes may wait for a child that does not read.
const MAX_WAITING: usize = 1024 * 1024;

/// How much goes into a stream in one turn before the others have theirs.
const BUDGET: usize = 256 * 1024;

/// The label of standard input.
pub(super) const STDIN: &str = "stdin";

/// One stream into a child. Whole writes go in the order in which they came.
#[derive(Debug)]
pub(super) struct Inlet {
    pub(super) label: Arc<str>,
    source: Option<Source<OwnedFd>>,
    /// What the child has not taken yet, one write after the other.
    waiting: VecDeque<u8>,
    closing: bool,
    /// Apps that want to know when nothing waits any more.
    asked: Vec<AppId>,
}

/// The [mail](super::App::mail) to an app that has asked by [`Cx::notify_taken`]: the process has read all that was sent, or has
/// closed its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Taken {
    /// The process.
    pub pid: Pid,
    /// The label of the stream, `stdin` for standard input.
    pub stream: Arc<str>,
}

impl Inlet {
    pub(super) fn new(label: Arc<str>, source: Source<OwnedFd>) -> Self {
        Self { label, source: Some(source), waiting: VecDeque::new(), closing: false, asked: Vec::new() }
    }

    fn push(&mut self, data: &[u8]) -> Result<()> {
        let is_first = self.waiting.is_empty();
        if self.source.is_some() && !self.closing {
            // One write is taken whole however long it is, so that none can be refused for ever.
            if !is_first && self.waiting.len() + data.len() > MAX_WAITING {
                let n = self.waiting.len();
                let reason = format!("{n} bytes wait already for the process to read '{}'", self.label);
                return Err(Error::new(ErrorKind::Full, reason));
            }
            self.waiting.extend(data);
            // Behind others it waits until the poller says that there is room.
            if is_first {
                self.flush();
            }
            if self.source.is_some() {
                return Ok(());
            }
        }
        Err(Error::new(ErrorKind::Closed, format!("'{}' is closed", self.label)))
    }

    /// Closes after what waits has gone.
    fn close(&mut self) {
        self.closing = true;
        if self.waiting.is_empty() {
            self.hang_up();
        }
    }

    /// Writes what the child takes now, up to a turn's share; registers for more only while something waits.
    pub(super) fn flush(&mut self) {
        let Some(source) = &mut self.source else { return };
        let mut budget = BUDGET;
        while budget > 0 && !self.waiting.is_empty() {
            let (front, _) = self.waiting.as_slices();
            let front = &front[..front.len().min(budget)];
            match stdio::write(source.get_ref().as_fd(), front) {
                Ok(Moved::Bytes(n)) => {
                    // The pipe is full after a short write.
                    budget = if n < front.len() { 0 } else { budget - n };
                    self.waiting.drain(..n);
                }
                Ok(Moved::Blocked) => break,
                // The child has closed its end: nothing can arrive any more.
                Ok(Moved::Closed) | Err(_) => return self.hang_up(),
            }
        }
        let interest = if self.waiting.is_empty() { Interest::NONE } else { Interest::WRITE };
        if source.set_interest(interest).is_err() || (self.closing && self.waiting.is_empty()) {
            self.hang_up();
        } else if self.waiting.is_empty() {
            // A child that has caught up costs nothing.
            self.waiting = VecDeque::new();
        }
    }

    /// Those who are to be told, once nothing waits.
    pub(super) fn asked(&mut self) -> Vec<AppId> {
        if self.waiting.is_empty() { std::mem::take(&mut self.asked) } else { Vec::new() }
    }

    /// The end of file for the child; what waits is lost.
    pub(super) fn hang_up(&mut self) {
        self.waiting = VecDeque::new();
        if let Some(source) = self.source.take() {
            // A custom stream is a socket that is read through a copy of this descriptor: to close this one
            // alone would tell the child nothing. A pipe is no socket, and is simply closed.
            let _ = UnixStream::from(source.into_inner()).shutdown(Shutdown::Write);
        }
    }
}

impl Cx<'_> {
    /// Whether a process has taken all that was sent to its standard input, or to the custom stream `stream`. If not, the app
    /// that asks gets [`Taken`] by mail once it has; from elsewhere than an app it only tells.
    ///
    /// Who sends only after `true` has at most one message waiting, and can keep, drop or merge the others as it likes. A process that
    /// ends without having read is not told of: its `exit` is.
    ///
    /// # Errors
    ///
    /// As for [`send`](Supervisor::send); an input that is closed is no error, nothing waits there.
    pub fn notify_taken(&mut self, pid: Pid, stream: Option<&str>) -> Result<bool> {
        let app = self.app_id();
        let inlet = self.inlet(pid, stream)?;
        if inlet.waiting.is_empty() {
            return Ok(true);
        }
        if let Some(app) = app.filter(|app| !inlet.asked.contains(app)) {
            inlet.asked.push(app);
        }
        Ok(false)
    }
}

impl Supervisor {
    /// An input stream has room again.
    pub(super) fn flush_inlet(&mut self, pid: Pid, index: usize) {
        let Some(inlet) = self.children.inlet_at(pid, index) else { return };
        inlet.flush();
        let (asked, label) = (inlet.asked(), Arc::clone(&inlet.label));
        for app in asked {
            self.mail.push_back((app, Box::new(Taken { pid, stream: Arc::clone(&label) })));
        }
    }

    /// Writes to a process: to its standard input, or to the custom stream `stream`.
    ///
    /// The whole of `data` goes before what is sent later, whoever sends it. What the process does
    /// not take at once waits, up to 1 MiB.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if there is no such process or stream, or it is not started yet (its `spawn`
    /// event was not published); [`ErrorKind::Forbidden`] if its
    /// standard input is not redirected; [`ErrorKind::Closed`] if it was closed at either end;
    /// [`ErrorKind::Full`] if too much waits, and nothing of `data` is taken.
    pub fn send(&mut self, pid: Pid, stream: Option<&str>, data: &[u8]) -> Result<()> {
        self.inlet(pid, stream)?.push(data).map_err(|e| e.context(format_args!("process {pid}")))
    }

    /// Closes a process's standard input (or a custom stream) after what was sent has gone: the end
    /// of file for the process.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn close_input(&mut self, pid: Pid, stream: Option<&str>) -> Result<()> {
        self.inlet(pid, stream)?.close();
        Ok(())
    }

    fn inlet(&mut self, pid: Pid, stream: Option<&str>) -> Result<&mut Inlet> {
        let label = stream.unwrap_or(STDIN);
        let process = self.table.process(pid).ok_or_else(|| no_process(pid))?;
        if process.os_pid.is_none() {
            return Err(Error::new(ErrorKind::NotFound, format!("process {pid} is not started yet")));
        }
        self.children.inlet_mut(pid, label).ok_or_else(|| match label {
            STDIN => Error::new(ErrorKind::Forbidden, format!("process {pid}: its standard input is not redirected")),
            _ => Error::new(ErrorKind::NotFound, format!("process {pid}: no such stream '{label}'")),
        })
    }
}
