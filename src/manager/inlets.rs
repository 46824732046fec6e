//! What is written to children: standard input and custom streams.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::Supervisor;
use super::supervisor::no_process;
use crate::event_loop::{Interest, Source};
use crate::process::Pid;
use crate::sys::stdio::{self, Moved};
use crate::{Error, ErrorKind, Result};

/// How many bytes may wait for a child that does not read.
const MAX_WAITING: usize = 1024 * 1024;

/// The label of standard input.
pub(super) const STDIN: &str = "stdin";

/// One stream into a child. Whole writes go in the order in which they came.
#[derive(Debug)]
pub(super) struct Inlet {
    pub(super) label: Arc<str>,
    source: Option<Source<OwnedFd>>,
    waiting: VecDeque<Vec<u8>>,
    /// How much of the first waiting write has gone.
    sent: usize,
    bytes: usize,
    closing: bool,
}

impl Inlet {
    pub(super) fn new(label: Arc<str>, source: Source<OwnedFd>) -> Self {
        Self { label, source: Some(source), waiting: VecDeque::new(), sent: 0, bytes: 0, closing: false }
    }

    fn push(&mut self, data: &[u8]) -> Result<()> {
        if self.closing || self.source.is_none() {
            return Err(Error::new(ErrorKind::Closed, format!("'{}' is closed", self.label)));
        }
        // One write is taken whole however long it is, so that none can be refused for ever.
        if self.bytes > 0 && self.bytes + data.len() > MAX_WAITING {
            return Err(Error::new(
                ErrorKind::Full,
                format!("{} bytes wait already for the process to read '{}'", self.bytes, self.label),
            ));
        }
        self.bytes += data.len();
        self.waiting.push_back(data.to_vec());
        self.flush();
        Ok(())
    }

    /// Closes after what waits has gone.
    fn close(&mut self) {
        self.closing = true;
        self.flush();
    }

    /// Writes what the child takes now; registers for more only while something waits.
    pub(super) fn flush(&mut self) {
        let Some(source) = &mut self.source else { return };
        while let Some(front) = self.waiting.front() {
            match stdio::write(source.get_ref().as_fd(), &front[self.sent..]) {
                Ok(Moved::Bytes(n)) => {
                    self.sent += n;
                    self.bytes -= n;
                    if self.sent == front.len() {
                        self.waiting.pop_front();
                        self.sent = 0;
                    }
                }
                Ok(Moved::Blocked) => {
                    if source.set_interest(Interest::WRITE).is_err() {
                        self.hang_up();
                    }
                    return;
                }
                // The child has closed its end: nothing can arrive any more.
                Ok(Moved::Closed) | Err(_) => return self.hang_up(),
            }
        }
        if self.closing || source.set_interest(Interest::NONE).is_err() {
            self.hang_up();
        }
    }

    pub(super) fn hang_up(&mut self) {
        self.source = None;
        self.waiting = VecDeque::new();
        self.bytes = 0;
    }
}

impl Supervisor {
    /// Writes to a process: to its standard input, or to the custom stream `stream`.
    ///
    /// The whole of `data` goes before what is sent later, whoever sends it. What the process does
    /// not take at once waits, up to 1 MiB.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if there is no such process or stream; [`ErrorKind::Forbidden`] if its
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
        if self.table.process(pid).is_none() {
            return Err(no_process(pid));
        }
        self.children.inlet_mut(pid, label).ok_or_else(|| match label {
            STDIN => Error::new(ErrorKind::Forbidden, format!("process {pid}: its standard input is not redirected")),
            _ => Error::new(ErrorKind::NotFound, format!("process {pid}: no such stream '{label}'")),
        })
    }
}
