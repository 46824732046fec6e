//! One process, from its announcement until nothing of it is left.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Action;
use crate::process::{JobConfig, JobId, OsPid, Pid, ProcessState, Signal};

/// How far a process has come. Whether it was told to end is another matter: see
/// [`Process::told`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its spawn action was not fetched yet: it can be withdrawn without a trace.
    Queued,
    /// Its spawn action was fetched and is not answered yet.
    Spawning,
    /// It runs.
    Running,
    /// It has ended; something of its group may be left.
    Exited,
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) job: JobId,
    pub(super) instance: u32,
    pub(super) once: bool,
    /// The definition it was started with; the job's may be another by now.
    pub(super) config: Arc<JobConfig>,
    pub(super) grace: Duration,
    pub(super) phase: Phase,
    pub(super) os_pid: Option<OsPid>,
    pub(super) started: Option<Instant>,
    /// The job's pause before it.
    pub(super) waited: Duration,
    /// It was told to end, or will be as soon as it is started.
    pub(super) told: bool,
    /// Its group got SIGKILL, or will as soon as it is started.
    pub(super) killed: bool,
    /// It ended by itself and its successor waits for the job's pause.
    pub(super) paced: bool,
    /// It takes the place of one that had ended by itself.
    pub(super) replaces: bool,
    /// It is detached and was left alone by the shutdown.
    pub(super) released: bool,
    /// Signals asked for before it was started; a set, as the kernel's own.
    pub(super) pending: BTreeSet<Signal>,
    /// When its group gets SIGKILL.
    pub(super) timer: Option<Instant>,
    pub(super) env: BTreeMap<String, String>,
}

impl Process {
    pub(super) fn state(&self) -> ProcessState {
        match self.phase {
            Phase::Exited => ProcessState::Exited,
            _ if self.told => ProcessState::Stopping,
            Phase::Running => ProcessState::Running,
            Phase::Queued | Phase::Spawning => ProcessState::Starting,
        }
    }

    /// Whether it was told to end or has ended.
    pub(super) fn is_ending(&self) -> bool {
        self.told || self.phase == Phase::Exited
    }

    /// Whether a shutdown leaves it alone: it is detached, and starting or running. One that is
    /// still starting is released once it is known.
    pub(super) fn is_spared(&self) -> bool {
        self.config.detach && !self.told && matches!(self.phase, Phase::Spawning | Phase::Running) || self.released
    }

    /// How long it has run.
    pub(super) fn lived(&self, now: Instant) -> Duration {
        self.started.map_or(Duration::ZERO, |started| now.saturating_duration_since(started))
    }

    /// Asks for a signal to the process alone, as `kill` does.
    pub(super) fn signal(&self, pid: Pid, signal: Signal, actions: &mut VecDeque<Action>) {
        if let Some(os_pid) = self.os_pid {
            actions.push_back(Action::Signal { pid, os_pid, signal, group: false, cont: false });
        }
    }

    /// Asks for the polite signal to the group, and SIGCONT after it.
    pub(super) fn ask_to_end(&self, pid: Pid, actions: &mut VecDeque<Action>) {
        if let Some(os_pid) = self.os_pid {
            let signal = self.config.stop_signal;
            actions.push_back(Action::Signal { pid, os_pid, signal, group: true, cont: true });
        }
    }

    /// Asks for SIGKILL to the group, once.
    pub(super) fn kill(&mut self, pid: Pid, actions: &mut VecDeque<Action>) {
        self.killed = true;
        if let Some(os_pid) = self.os_pid {
            actions.push_back(Action::Signal { pid, os_pid, signal: Signal::KILL, group: true, cont: false });
        }
    }
}
