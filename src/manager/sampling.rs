//! Taking samples: one look through the system for all who ask, in slices.
//!
//! ```text
//!  asked ──▶ waiting ──▶ look through the system ──▶ a sample for each process and asker ──▶ done
//!                        └──── a round; at most a millisecond of it in one turn ────┘
//! ```
//!
//! Who asks while a round is under way waits for the next one, so nobody gets figures older than the question, and however many ask,
//! the system is looked through once for all of them.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::time::{Duration, Instant};

use super::monitor::{self, MonitorId, Sample};
use super::survey::{self, SurveyId};
use super::{Cx, Supervisor};
use crate::process::Pid;
use crate::sys::stats::Snapshot;

/// How long sampling may hold the loop in one turn; what is left comes in the next.
const BUDGET: Duration = Duration::from_millis(1);

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    Monitor(MonitorId),
    Survey(SurveyId),
}

/// One piece of a round's work.
enum Step {
    Sample(Asker, Pid),
    Finish(SurveyId),
}

/// What is to be sampled.
#[derive(Default)]
pub(super) struct Sampling {
    waiting: Vec<Asker>,
    round: Option<Round>,
}

struct Round {
    snapshot: Snapshot,
    askers: Vec<Asker>,
    /// `None` while the system is looked through.
    steps: Option<VecDeque<Step>>,
}

impl Sampling {
    pub(super) fn has_work(&self) -> bool {
        self.round.is_some() || !self.waiting.is_empty()
    }

    /// Asks for a round. An asker whose last one is not over yet gets that one only, so a monitor whose interval is too short for the number of processes samples less often.
    pub(super) fn ask(&mut self, asker: Asker) {
        let busy = self.round.as_ref().is_some_and(|round| round.askers.contains(&asker));
        if !busy && !self.waiting.contains(&asker) {
            self.waiting.push(asker);
        }
    }

    pub(super) fn forget(&mut self, asker: Asker) {
        self.waiting.retain(|other| *other != asker);
        let Some(round) = &mut self.round else { return };
        round.askers.retain(|other| *other != asker);
        if round.askers.is_empty() {
            self.round = None;
        } else if let Some(steps) = &mut round.steps {
            steps.retain(|step| !step.is_of(asker));
        }
    }
}

impl fmt::Debug for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let round = self.round.as_ref().map(|round| &round.askers);
        f.debug_struct("Sampling").field("waiting", &self.waiting).field("round", &round).finish()
    }
}

impl Step {
    fn is_of(&self, asker: Asker) -> bool {
        match self {
            Self::Sample(of, _) => *of == asker,
            Self::Finish(survey) => asker == Asker::Survey(*survey),
        }
    }
}

/// Goes on with the round, as far as this turn's share of time goes.
pub(super) fn work(cx: &mut Cx<'_>) {
    if !cx.sampling.has_work() {
        return;
    }
    let deadline = Instant::now() + BUDGET;
    let mut round = match cx.sampling.round.take() {
        Some(round) => round,
        None => {
            let askers = mem::take(&mut cx.sampling.waiting);
            match Snapshot::begin() {
                Ok(snapshot) => Round { snapshot, askers, steps: None },
                Err(e) => return give_up(cx, askers, &e),
            }
        }
    };
    if round.steps.is_none() {
        match round.snapshot.advance(deadline) {
            Ok(false) => {}
            Ok(true) => round.steps = Some(steps(cx, &round.askers)),
            Err(e) => return give_up(cx, round.askers, &e),
        }
    }
    // In its place, so that who is called can take back what it asked for.
    cx.sampling.round = Some(round);
    while step(cx, deadline) && Instant::now() < deadline {}
}

/// Takes one step; whether there may be another in this turn.
fn step(cx: &mut Cx<'_>, deadline: Instant) -> bool {
    let Supervisor { sampling, table, .. } = &mut *cx.supervisor;
    let Some(Round { snapshot, steps: Some(steps), .. }) = &mut sampling.round else { return false };
    let sample = match steps.front() {
        None => {
            sampling.round = None;
            return false;
        }
        Some(Step::Finish(_)) => None,
        Some(Step::Sample(_, pid)) => table.process(*pid).and_then(|process| Some((process.name, process.os_pid?))),
    };
    let sample = match sample {
        // A process may have started very many.
        Some((_, os_pid)) if !snapshot.prepare(os_pid, deadline) => return false,
        Some((name, os_pid)) => snapshot.sample(os_pid).map(|stats| (name, stats)),
        None => None,
    };
    match (steps.pop_front(), sample) {
        (Some(Step::Finish(survey)), _) => survey::finish(cx, survey, Ok(())),
        (Some(Step::Sample(asker, pid)), Some((name, stats))) => {
            let sample = Sample { name, pid, stats };
            match asker {
                Asker::Monitor(monitor) => monitor::deliver(cx, monitor, sample),
                Asker::Survey(survey) => survey::deliver(cx, survey, &sample),
            }
        }
        _ => {}
    }
    true
}

fn steps(cx: &mut Cx<'_>, askers: &[Asker]) -> VecDeque<Step> {
    let mut steps = VecDeque::new();
    for asker in askers {
        let target = match asker {
            Asker::Monitor(monitor) => cx.monitors.target(*monitor),
            Asker::Survey(survey) => cx.surveys.target(*survey),
        };
        let pids = target.cloned().map(|target| cx.processes_of(&target)).unwrap_or_default();
        if let Asker::Monitor(monitor) = asker {
            cx.monitors.keep(*monitor, &pids);
        }
        steps.extend(pids.into_iter().map(|pid| Step::Sample(*asker, pid)));
        if let Asker::Survey(survey) = asker {
            steps.push_back(Step::Finish(*survey));
        }
    }
    steps
}

/// Where the system does not tell, the monitors' next interval asks again.
fn give_up(cx: &mut Cx<'_>, askers: Vec<Asker>, error: &io::Error) {
    let mut monitors = false;
    for asker in askers {
        match asker {
            Asker::Monitor(_) => monitors = true,
            Asker::Survey(survey) => survey::finish(cx, survey, Err(error)),
        }
    }
    if monitors {
        cx.fault("monitor", &format!("cannot read what processes use: {error}"));
    }
}
