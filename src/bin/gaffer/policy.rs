//! When `gaffer start` ends by itself, and with which code.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::start::ExitOn;
use gaffer::manager::{App, Cx};
use gaffer::process::{Event, Exit, JobName, JobState, Restart, What};

/// The apps without which `gaffer start` would be deaf or dumb.
const NEEDED: [&str; 2] = ["console", "signals"];

/// How `gaffer start` ends, known once the manager has ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict(Arc<(AtomicI32, Mutex<Option<String>>)>);

impl Verdict {
    /// The exit code.
    pub(crate) fn code(&self) -> i32 {
        self.0.0.load(Ordering::Relaxed)
    }

    fn set_code(&self, code: i32) {
        self.0.0.store(code, Ordering::Relaxed);
    }

    /// Takes what has failed of `gaffer` itself.
    pub(crate) fn fault(&self) -> Option<String> {
        self.0.1.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set_fault(&self, fault: String) {
        self.0.1.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
    }
}

/// Stops the manager when the rule says so, or when nothing is left that could ever run again.
pub(crate) struct ExitPolicy {
    exit_on: Option<ExitOn>,
    /// The process type whose last exit gives the code, or the exit that ends us if it is of this type.
    code_from: Option<String>,
    verdict: Verdict,
    /// The code is known, whatever ends from now on.
    decided: bool,
    /// Jobs that crashed too often. Others that are stopped were stopped by somebody, who may start them again.
    given_up: HashSet<Arc<JobName>>,
}

impl ExitPolicy {
    pub(crate) fn new(exit_on: Option<ExitOn>, code_from: Option<String>) -> Self {
        Self { exit_on, code_from, verdict: Verdict::default(), decided: false, given_up: HashSet::new() }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict.clone()
    }

    fn exited(&mut self, cx: &mut Cx<'_>, label: &str, exit: &Exit) {
        // What ends because we stop it says nothing.
        let by_itself = !cx.is_stopping();
        let ends = by_itself
            && match &self.exit_on {
                Some(ExitOn::Any) => true,
                Some(ExitOn::Failure) => !exit.is_success(),
                Some(ExitOn::Name(name)) => name == label,
                Some(ExitOn::All) | None => false,
            };
        let counts = match (&self.code_from, &self.exit_on) {
            (Some(name), _) => name == label && !self.decided,
            // The first failure.
            (None, Some(ExitOn::All)) => by_itself && self.verdict.code() == 0,
            (None, _) => ends,
        };
        if counts {
            self.verdict.set_code(exit.shell_code());
        }
        if ends {
            self.decided = self.code_from.as_deref() == Some(label);
            cx.stop();
        }
    }
}

/// Whether no process runs and none will be started by itself; if so, whether a job was given up.
fn over(cx: &Cx<'_>, crashed: &HashSet<Arc<JobName>>) -> Option<bool> {
    let (mut over, mut given_up) = (true, false);
    cx.walk(|job| {
        let crashed = crashed.contains(&job.name);
        given_up |= job.state == JobState::Stopped && crashed;
        let comes_back = match job.state {
            JobState::Active => job.config.restart != Restart::Never && job.numprocesses > 0,
            JobState::Stopped => !crashed,
            _ => true,
        };
        over &= !comes_back && job.processes.is_empty();
    });
    over.then_some(given_up)
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
        match (&event.what, &event.job) {
            (What::Flap { next: None, .. }, Some(job)) => drop(self.given_up.insert(Arc::clone(job))),
            (What::Start | What::Delete, Some(job)) => drop(self.given_up.remove(job)),
            _ => {}
        }
        if let What::Fault { source, reason } = &event.what {
            if NEEDED.contains(&source.as_str()) {
                self.verdict.set_fault(format!("{source}: {reason}"));
                cx.stop();
            }
        }
        // A job is given up after the exit that was one too many.
        let may_be_last = matches!(event.what, What::Exit { .. } | What::Flap { next: None, .. } | What::Delete);
        if may_be_last && !cx.is_stopping() {
            if let Some(given_up) = over(cx, &self.given_up) {
                // By its flapping rule: that is no success.
                if given_up && self.verdict.code() == 0 && self.code_from.is_none() {
                    self.verdict.set_code(1);
                }
                cx.stop();
            }
        }
    }
}
