//! What is done when nothing happens.

use std::fmt;
use std::time::{Duration, Instant};

use super::Owner;
use crate::event_loop::EventLoop;

/// Notices that a manager has come to rest. There is a timer only between something that happens and the rest
/// after it, and a busy manager pays for it once in that time, not in each turn.
pub(super) struct Rest {
    quiet: Duration,
    then: Box<dyn FnMut() + Send>,
    waiting: bool,
    /// Something has happened since the timer was set.
    stirred: bool,
}

impl Rest {
    pub(super) fn new(quiet: Duration, then: Box<dyn FnMut() + Send>) -> Self {
        Self { quiet, then, waiting: false, stirred: false }
    }

    /// Something has happened.
    pub(super) fn stir(&mut self, io: &mut EventLoop<Owner>) {
        if self.waiting {
            self.stirred = true;
        } else {
            self.wait(io);
        }
    }

    /// The timer has expired: does what is to be done, unless something has happened meanwhile.
    pub(super) fn due(&mut self, io: &mut EventLoop<Owner>) {
        if self.stirred {
            self.wait(io);
        } else {
            self.waiting = false;
            (self.then)();
        }
    }

    fn wait(&mut self, io: &mut EventLoop<Owner>) {
        self.waiting = true;
        self.stirred = false;
        io.set_timer(Instant::now() + self.quiet, Owner::Rest);
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").field("quiet", &self.quiet).field("waiting", &self.waiting).finish_non_exhaustive()
    }
}
