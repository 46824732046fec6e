//! One sink: where lines go, what was lost, and when it is tried again.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Instant;

use super::SinkId;
use super::file::{Failed, LogFile, RETRY, Rule};
use super::pass::Pass;
use crate::event_loop::EventLoop;
use crate::manager::Owner;
use crate::process::{JobName, LogStatus};
use crate::sys::stdio::Moved;

#[derive(Debug)]
pub(super) enum Out {
    File(LogFile),
    Pass(Pass),
}

#[derive(Debug)]
pub(super) struct Sink {
    pub(super) id: SinkId,
    /// Who writes to it, and by which path. Only what is no regular file has several.
    pub(super) jobs: Vec<(JobName, PathBuf)>,
    pub(super) rule: Rule,
    /// How many open streams lead here.
    pub(super) streams: usize,
    pub(super) out: Out,
    pub(super) status: LogStatus,
    /// It cannot be written; when that is tried again.
    retry: Option<Instant>,
    /// A fault that nobody was told of.
    report: Option<String>,
}

impl Sink {
    pub(super) fn new(id: SinkId, path: PathBuf, rule: Rule, out: Out) -> Self {
        let (jobs, status) = (Vec::new(), LogStatus::new(path));
        Self { id, jobs, rule, streams: 0, out, status, retry: None, report: None }
    }

    /// Whether anybody has to do with it.
    pub(super) fn is_used(&self) -> bool {
        !self.jobs.is_empty() || self.streams > 0 || self.is_behind()
    }

    /// Whether it has to take what waits before it gets more.
    pub(super) fn is_behind(&self) -> bool {
        matches!(&self.out, Out::Pass(pass) if pass.is_behind())
    }

    /// Writes it, or drops and counts it; false if it was dropped. With `whole` these are lines that begin at the start of one.
    pub(super) fn write(&mut self, bytes: &[u8], whole: bool, io: &mut EventLoop<Owner>) -> bool {
        if bytes.is_empty() {
            return true;
        }
        if self.retry.is_some_and(|at| Instant::now() < at) {
            self.status.dropped += bytes.len() as u64;
            return false;
        }
        let outcome = match &mut self.out {
            Out::File(file) => file.write(bytes, whole, &self.rule),
            Out::Pass(pass) => pass.write(bytes, io, self.id),
        };
        match outcome {
            Ok(()) => {
                self.status.bytes += bytes.len() as u64;
                self.works();
                true
            }
            Err(Failed { written, error }) => {
                self.status.bytes += written as u64;
                self.status.dropped += (bytes.len() - written) as u64;
                self.fails(&error);
                false
            }
        }
    }

    /// Moves bytes from a pipe within the kernel; none if they must be read and written.
    pub(super) fn splice(&mut self, from: BorrowedFd<'_>, max: usize) -> Option<Moved> {
        // A sink that fails gets nothing: what comes is read and dropped, so that the child goes on.
        if self.retry.is_some_and(|at| Instant::now() < at) {
            return None;
        }
        let Out::File(file) = &mut self.out else { return None };
        match file.splice(from, max, &self.rule)? {
            Ok(moved) => {
                if let Moved::Bytes(n) = moved {
                    self.status.bytes += n as u64;
                    self.status.spliced += n as u64;
                    self.works();
                }
                Some(moved)
            }
            Err(e) => {
                self.fails(&e);
                None
            }
        }
    }

    fn works(&mut self) {
        self.retry = None;
        let Out::File(file) = &self.out else {
            self.status.failing = None;
            return;
        };
        self.status.rotations = file.rotations();
        if self.status.failing.as_deref() != file.stuck() {
            self.status.failing = file.stuck().map(str::to_owned);
            self.report.clone_from(&self.status.failing);
        }
    }

    fn fails(&mut self, error: &io::Error) {
        self.retry = Some(Instant::now() + RETRY);
        let why = error.to_string();
        if self.status.failing.as_ref() != Some(&why) {
            self.report = Some(format!("{why}; what is written to it is dropped until it can be written again"));
            self.status.failing = Some(why);
        }
    }

    /// A fault that was not told yet.
    pub(super) fn take_report(&mut self) -> Option<(String, String)> {
        let reason = self.report.take()?;
        let jobs: Vec<&str> = self.jobs.iter().map(|(name, _)| name.short()).collect();
        let of = if jobs.is_empty() { String::new() } else { format!(" of {}", jobs.join(", ")) };
        Some((format!("log '{}'{of}", self.status.path.display()), reason))
    }

    /// Writes what waits, as far as it is taken.
    pub(super) fn flush(&mut self) {
        if let Out::Pass(pass) = &mut self.out {
            if let Err((lost, error)) = pass.flush() {
                self.lose(lost);
                self.fails(&error);
            }
        }
    }

    /// What waits is lost.
    pub(super) fn give_up(&mut self) {
        if let Out::Pass(pass) = &mut self.out {
            let lost = pass.give_up();
            self.lose(lost);
        }
    }

    /// What was taken did not arrive.
    fn lose(&mut self, bytes: usize) {
        self.status.bytes -= bytes as u64;
        self.status.dropped += bytes as u64;
    }

    /// Opens it anew, by its path.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.retry = None;
        match &mut self.out {
            Out::File(file) => file.reopen(),
            Out::Pass(_) => Ok(()),
        }
    }
}
