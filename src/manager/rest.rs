//! What is done when nothing happens.

use std::fmt;
use std::time::{Duration, Instant};

use super::Owner;
use crate::event_loop::{EventLoop, TimerId};

/// Notices that a manager has come to rest. There is a timer only between something that happens and the rest
/// after it, and a busy manager pays for it once in that time, not in each turn.
pub(super) struct Rest {
    quiet: Duration,
    then: Box<dyn FnMut() + Send>,
    /// Runs while something has happened and the rest after it has not come.
    timer: Option<TimerId>,
    /// Something has happened since the timer was set.
    stirred: bool,
}

impl Rest {
    pub(super) fn new(quiet: Duration, then: Box<dyn FnMut() + Send>) -> Self {
        Self { quiet, then, timer: None, stirred: false }
    }

    /// Something has happened.
    pub(super) fn stir(&mut self, io: &mut EventLoop<Owner>) {
        if self.timer.is_some() {
            self.stirred = true;
        } else {
            self.wait(io);
        }
    }

    /// A timer has expired: does what is to be done, unless something has happened meanwhile, or the timer was set by one that
    /// this has replaced.
    pub(super) fn due(&mut self, io: &mut EventLoop<Owner>, id: TimerId) {
        if self.timer != Some(id) {
            return;
        }
        self.timer = None;
        if self.stirred {
            self.wait(io);
        } else {
            (self.then)();
        }
    }

    fn wait(&mut self, io: &mut EventLoop<Owner>) {
        self.stirred = false;
        // A pause beyond what an `Instant` can hold never ends.
        self.timer = Instant::now().checked_add(self.quiet).map(|at| io.set_timer(at, Owner::Rest));
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").field("quiet", &self.quiet).field("timer", &self.timer).finish_non_exhaustive()
    }
}
