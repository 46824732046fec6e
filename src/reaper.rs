//! As process 1, or as a subreaper: what is to be done with orphans.
//!
//! ```no_run
//! use gaffer::Manager;
//! use gaffer::reaper::{Look, Orphan, Reaper};
//! use gaffer::signals::{SigHandler, SignalAction};
//!
//! let mut manager = Manager::new()?;
//! let reaper = manager.add_app(Reaper::new(|orphan| {
//!     if let Orphan::Fault(what) = orphan {
//!         eprintln!("{what}");
//!     }
//! })?);
//! let look = SignalAction::Call(Box::new(move |cx, _| cx.mail(reaper, Look)));
//! manager.add_app(SigHandler::default().on("CHLD".parse()?, look));
//! # Ok::<(), gaffer::Error>(())
//! ```
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

use crate::event_loop::TimerId;
use crate::manager::{App, Cx};
use crate::process::OsPid;
use crate::sys::subreaper;
use crate::{Error, Result};

/// A child of the manager's that has ended hides strangers behind it until the manager has reaped it, which is
/// a matter of its turn.
const RETRY: Duration = Duration::from_millis(10);

/// So many are reaped at a time; those that are left come with the next look.
const MAX_A_TURN: usize = 256;

/// Reaps orphans, and nobody else.
///
/// It looks when it starts and whenever [`Look`] arrives by mail, which a handler of SIGCHLD sends.
pub struct Reaper {
    say: Box<dyn FnMut(Orphan) + Send>,
    retry: Option<TimerId>,
}

/// Mail: some child has ended.
#[derive(Debug)]
pub struct Look;

/// What became of an orphan.
#[derive(Debug)]
#[non_exhaustive]
pub enum Orphan {
    /// It was reaped.
    Reaped(OsPid),
    /// It could not be, or could not be looked for.
    Fault(String),
}

impl Reaper {
    /// Makes this process the parent of orphans, if it is not process 1, which is that anyway. `say` is told what became of each, in the
    /// loop: it must not block.
    ///
    /// # Errors
    ///
    /// What [`subreaper::adopt_orphans`] says: elsewhere than on Linux only process 1 can be one.
    pub fn new(say: impl FnMut(Orphan) + Send + 'static) -> Result<Self> {
        if std::process::id() != 1 {
            subreaper::adopt_orphans().map_err(|e| Error::io("--subreaper", e))?;
        }
        Ok(Self { say: Box::new(say), retry: None })
    }

    fn look(&mut self, cx: &mut Cx<'_>) {
        let pids = cx.list().into_iter().chain(cx.ending());
        let known: HashSet<OsPid> = pids.filter_map(|pid| cx.process(pid).ok()?.os_pid).collect();
        for _ in 0..MAX_A_TURN {
            match subreaper::peek() {
                Ok(None) => return,
                Ok(Some(os_pid)) if known.contains(&os_pid) => break,
                Ok(Some(os_pid)) => match subreaper::reap(os_pid) {
                    Ok(_) => (self.say)(Orphan::Reaped(os_pid)),
                    Err(e) => return (self.say)(Orphan::Fault(format!("cannot reap the orphan {os_pid}: {e}"))),
                },
                Err(e) => return (self.say)(Orphan::Fault(format!("cannot look for orphans: {e}"))),
            }
        }
        if self.retry.is_none() {
            self.retry = Some(cx.set_timer(Instant::now() + RETRY));
        }
    }
}

impl fmt::Debug for Reaper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reaper").field("retry", &self.retry).finish_non_exhaustive()
    }
}

impl App for Reaper {
    fn name(&self) -> &str {
        "reaper"
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        // Whoever ended before us.
        self.look(cx);
        Ok(())
    }

    fn mail(&mut self, cx: &mut Cx<'_>, message: Box<dyn std::any::Any + Send>) {
        if message.is::<Look>() {
            self.look(cx);
        }
    }

    fn timeout(&mut self, cx: &mut Cx<'_>, _: TimerId) {
        self.retry = None;
        self.look(cx);
    }
}
