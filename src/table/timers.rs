//! The deadlines of the table: at most one for each process and each job.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::process::{JobId, Pid};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The process's group gets SIGKILL.
    Process(Pid),
    /// The job's pause ends.
    Job(JobId),
}

#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, Timer)>);

impl Timers {
    /// Moves a timer; `slot` is its owner's copy of the deadline. `None` stops it, which is also
    /// what a deadline beyond the end of time comes to.
    pub(super) fn set(&mut self, slot: &mut Option<Instant>, timer: Timer, at: Option<Instant>) {
        if let Some(old) = std::mem::replace(slot, at) {
            self.0.remove(&(old, timer));
        }
        if let Some(at) = at {
            self.0.insert((at, timer));
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes the earliest timer that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Timer> {
        match self.0.first() {
            Some((at, _)) if *at <= now => self.0.pop_first().map(|(_, timer)| timer),
            _ => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
