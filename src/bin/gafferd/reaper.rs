//! As process 1, or as a subreaper: what is to be done with orphans.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use gaffer::event_loop::TimerId;
use gaffer::log::{Log, LogLevel};
use gaffer::manager::{App, Cx};
use gaffer::process::OsPid;
use gaffer::sys::subreaper;
use gaffer::{Error, Result};

/// A child of the manager's that has ended hides strangers behind it until the manager has reaped it, which is
/// a matter of its turn.
const RETRY: Duration = Duration::from_millis(10);

/// So many are reaped at a time; those that are left come with the next look.
const MAX_A_TURN: usize = 256;

/// Reaps orphans, and nobody else.
#[derive(Debug)]
pub(crate) struct Reaper {
    log: Log,
    retry: Option<TimerId>,
}

/// Mail: some child has ended.
pub(crate) struct Look;

impl Reaper {
    /// Makes this process the parent of orphans, if it is not process 1, which is that anyway.
    pub(crate) fn new(log: Log) -> Result<Self> {
        if std::process::id() != 1 {
            subreaper::adopt_orphans().map_err(|e| Error::io("--subreaper", e))?;
        }
        Ok(Self { log, retry: None })
    }

    fn look(&mut self, cx: &mut Cx<'_>) {
        let pids = cx.list().into_iter().chain(cx.ending());
        let known: HashSet<OsPid> = pids.filter_map(|pid| cx.process(pid).ok()?.os_pid).collect();
        for _ in 0..MAX_A_TURN {
            match subreaper::peek() {
                Ok(None) => return,
                Ok(Some(os_pid)) if known.contains(&os_pid) => break,
                Ok(Some(os_pid)) => match subreaper::reap(os_pid) {
                    Ok(_) => self.log.line(LogLevel::Debug, format_args!("reaped the orphan {os_pid}")),
                    Err(e) => return self.log.error(format_args!("cannot reap the orphan {os_pid}: {e}")),
                },
                Err(e) => return self.log.error(format_args!("cannot look for orphans: {e}")),
            }
        }
        if self.retry.is_none() {
            self.retry = Some(cx.set_timer(Instant::now() + RETRY));
        }
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
