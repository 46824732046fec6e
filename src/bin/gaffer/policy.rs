//! When `gaffer start` ends by itself, and with which code.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::start::ExitOn;
use gaffer::manager::{App, Cx};
use gaffer::process::{Event, Exit, JobState, Restart, What};

/// The exit code of `gaffer start`, known once the manager has ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Code(Arc<AtomicI32>);

impl Code {
    pub(crate) fn get(&self) -> i32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Stops the manager when the rule says so, or when nothing is left that could ever run again.
pub(crate) struct ExitPolicy {
    exit_on: Option<ExitOn>,
    /// The process type whose last exit gives the code.
    code_from: Option<String>,
    code: Code,
}

impl ExitPolicy {
    pub(crate) fn new(exit_on: Option<ExitOn>, code_from: Option<String>) -> Self {
        Self { exit_on, code_from, code: Code::default() }
    }

    pub(crate) fn code(&self) -> Code {
        self.code.clone()
    }

    fn exited(&mut self, cx: &mut Cx<'_>, label: &str, exit: &Exit) {
        let set = |code: &Code| code.0.store(exit.shell_code(), Ordering::Relaxed);
        match &self.code_from {
            Some(name) if name == label => set(&self.code),
            Some(_) => {}
            // What ends because we stop it says nothing; the first failure does.
            None if !cx.is_stopping() && self.code.get() == 0 && self.exit_on.is_some() => set(&self.code),
            None => {}
        }
        if cx.is_stopping() {
            return;
        }
        let ends = match &self.exit_on {
            Some(ExitOn::Any) => true,
            Some(ExitOn::Failure) => !exit.is_success(),
            Some(ExitOn::Name(name)) => name == label,
            Some(ExitOn::All) | None => false,
        };
        if ends {
            cx.stop();
        }
    }
}

/// Whether no process runs and none will be started by itself.
fn is_over(cx: &Cx<'_>) -> bool {
    let mut over = true;
    cx.walk(|job| {
        let comes_back = match job.state {
            JobState::Active => job.config.restart == Restart::Always && job.numprocesses > 0,
            JobState::Stopped => false,
            _ => true,
        };
        over &= !comes_back && job.processes.is_empty();
    });
    over
}

impl App for ExitPolicy {
    fn name(&self) -> &str {
        "exit policy"
    }

    fn start(&mut self, _: &mut Cx<'_>) -> gaffer::Result<()> {
        Ok(())
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Arc<Event>) {
        if let (What::Exit { exit, once: false, .. }, Some(job)) = (&event.what, &event.job) {
            self.exited(cx, job.label(), exit);
        }
        if matches!(event.what, What::Exit { .. } | What::Stop) && !cx.is_stopping() && is_over(cx) {
            // Given up by flapping: that is no success.
            if event.what == What::Stop && self.code.get() == 0 && self.code_from.is_none() {
                self.code.0.store(1, Ordering::Relaxed);
            }
            cx.stop();
        }
    }
}
