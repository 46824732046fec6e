//! A small process while nothing happens.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Result;
use crate::event_loop::TimerId;
use crate::manager::{App, Cx};
use crate::process::Event;
use crate::sys;

/// How long nothing has happened when a process is at rest.
const QUIET: Duration = Duration::from_millis(500);

/// An application that [gives memory back](sys::give_back) when all jobs have come to rest.
///
/// It does so half a second after the start, and half a second after the last event of each burst; in between it
/// sets no timer and wakes nobody. For programs whose purpose is to supervise and whose start is most of their code.
#[derive(Debug, Default)]
pub struct Rest {
    /// When something happened last; while there is a timer.
    last: Option<Instant>,
}

impl Rest {
    /// One that has not been added yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn stir(&mut self, cx: &mut Cx<'_>) {
        let now = Instant::now();
        if self.last.replace(now).is_none() {
            cx.set_timer(now + QUIET);
        }
    }
}

impl App for Rest {
    fn name(&self) -> &str {
        "rest"
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        self.stir(cx);
        Ok(())
    }

    fn event(&mut self, cx: &mut Cx<'_>, _: &Arc<Event>) {
        self.stir(cx);
    }

    fn timeout(&mut self, cx: &mut Cx<'_>, _: TimerId) {
        let Some(last) = self.last.take() else { return };
        if last.elapsed() < QUIET {
            self.last = Some(last);
            cx.set_timer(last + QUIET);
        } else {
            sys::give_back();
        }
    }
}
