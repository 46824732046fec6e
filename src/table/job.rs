//! One job: who lives, who is on the way out, and how many are lacking.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::MAX_PROCESSES;
use super::pace::{Flaps, Pace};
use super::record::Record;
use crate::process::{Exit, Health, JobConfig, JobName, JobState, Pid, Restart};
use crate::{Error, ErrorKind, Result};

#[derive(Debug)]
pub(super) struct Job {
    pub(super) name: Arc<JobName>,
    pub(super) config: Arc<JobConfig>,
    pub(super) state: JobState,
    /// Unloaded: its name is free again, but something of its processes is left.
    pub(super) unloaded: bool,
    /// Its place in the order of starts; 0 if it was never started.
    pub(super) order: u64,
    /// The configured number, as scaled.
    pub(super) target: u32,
    /// So many have ended for good, by the job's restart rule.
    pub(super) completed: u32,
    /// Kept-alive processes that are starting or running and were not told to end; oldest first.
    pub(super) live: Pids,
    /// Committed ones likewise.
    pub(super) once: BTreeSet<Pid>,
    /// Processes that were told to end or have ended, of both sorts, and are not gone.
    pub(super) ending: BTreeSet<Pid>,
    /// Instance numbers of ending processes whose successors wait for them to be gone.
    pub(super) held: BTreeSet<u32>,
    /// So many successors wait for the pause to end.
    pub(super) paced: u32,
    /// The end of the pause: of the back-off in an active job, of the flap in a flapping one.
    pub(super) timer: Option<Instant>,
    pub(super) pace: Pace,
    pub(super) flaps: Flaps,
    pub(super) record: Record,
    /// Spawns that failed since one succeeded.
    pub(super) failures: u32,
    pub(super) roll: Option<Box<Roll>>,
    pub(super) instances: Instances,
}

/// A rolling restart, from its `restart` event until the old processes are told to end.
#[derive(Debug, Default)]
pub(super) struct Roll {
    /// Those to be replaced.
    pub(super) old: BTreeSet<Pid>,
    /// Newcomers whose spawn is not answered yet.
    pub(super) pending: BTreeSet<Pid>,
    /// Newcomers that failed: for each an old one stays.
    pub(super) failed: u32,
    /// Another restart was asked for meanwhile.
    pub(super) again: bool,
}

impl Job {
    pub(super) fn new(config: Arc<JobConfig>) -> Self {
        Self {
            name: Arc::new(config.name.clone()),
            target: config.numprocesses,
            config,
            state: JobState::Stopped,
            unloaded: false,
            order: 0,
            completed: 0,
            live: Pids::default(),
            once: BTreeSet::new(),
            ending: BTreeSet::new(),
            held: BTreeSet::new(),
            paced: 0,
            timer: None,
            pace: Pace::default(),
            flaps: Flaps::default(),
            record: Record::default(),
            failures: 0,
            roll: None,
            instances: Instances::default(),
        }
    }

    /// How many kept-alive processes there should be now.
    fn wanted(&self) -> usize {
        match self.state {
            JobState::Active => self.target.saturating_sub(self.completed) as usize,
            JobState::Flapping | JobState::Stopped => 0,
        }
    }

    /// How it is, in a word.
    pub(super) fn health(&self, now: Instant) -> Health {
        match self.state {
            JobState::Stopped if self.record.is_given_up() => Health::GaveUp,
            JobState::Stopped => Health::Stopped,
            JobState::Flapping => Health::Flapping,
            JobState::Active if self.record.is_looping(now) => Health::CrashLoop,
            JobState::Active if self.timer.is_some() => Health::BackingOff,
            JobState::Active if self.completed > 0 && self.wanted() == 0 && self.live.is_empty() => Health::Finished,
            JobState::Active => Health::Active,
        }
    }

    /// How many slots are taken: by the living, by those whose predecessor or pause is not over.
    /// In a rolling restart the old ones do not count: they are what is replaced.
    fn taken(&self) -> usize {
        let base = self.live.len() + self.held.len() + self.paced as usize;
        match &self.roll {
            Some(roll) => base - roll.old.len() + roll.failed as usize,
            None => base,
        }
    }

    /// How many processes are to be announced now. Successors that are no longer wanted are
    /// forgotten; the lowest instance numbers wait on.
    pub(super) fn lacking(&mut self) -> usize {
        let (wanted, mut taken) = (self.wanted(), self.taken());
        while taken > wanted && (self.paced > 0 || !self.held.is_empty()) {
            if self.paced > 0 {
                self.paced -= 1;
            } else {
                self.held.pop_last();
            }
            taken -= 1;
        }
        wanted.saturating_sub(taken)
    }

    /// The living that are too many, oldest first.
    pub(super) fn surplus(&self) -> Vec<Pid> {
        let surplus = (self.live.len() + self.held.len() + self.paced as usize).saturating_sub(self.wanted());
        self.live.iter().take(surplus).copied().collect()
    }

    /// Sets the target; those that have ended for good keep their slots as far as there are slots
    /// for them, so that scaling up starts no more than asked for.
    pub(super) fn retarget(&mut self, target: u32) {
        self.target = target;
        let taken = u32::try_from(self.taken()).unwrap_or(u32::MAX);
        self.completed = self.completed.min(target.saturating_sub(taken));
    }

    /// Moves a process to those that are on the way out.
    pub(super) fn leave(&mut self, pid: Pid) {
        if self.live.remove(&pid) || self.once.remove(&pid) {
            self.ending.insert(pid);
        }
        if let Some(roll) = &mut self.roll {
            roll.old.remove(&pid);
            roll.pending.remove(&pid);
        }
    }

    /// Whether a process that ended so by itself is to be replaced.
    pub(super) fn replaces(&self, exit: &Exit) -> bool {
        match self.config.restart {
            Restart::Always => true,
            Restart::OnFailure => !exit.is_success(),
            Restart::OnSuccess => exit.is_success(),
            Restart::Never => false,
        }
    }

    /// Whether nothing of any process is left.
    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty() && self.once.is_empty() && self.ending.is_empty()
    }

    /// Refuses to start `more` where processes that ignore their end pile up.
    pub(super) fn check_room(&self, more: usize) -> Result<()> {
        if self.live.len() + self.once.len() + self.ending.len() + more <= 2 * MAX_PROCESSES as usize {
            return Ok(());
        }
        let (name, ending) = (&self.name, self.ending.len());
        Err(Error::new(
            ErrorKind::Full,
            format!("job '{name}': too many processes, {ending} of them are still to end; try again later"),
        ))
    }
}

/// Processes in the order of their numbers, which is that of their start. A set of one would be a node with room
/// for eleven, in each of hundreds of jobs.
#[derive(Debug, Default)]
pub(super) struct Pids(VecDeque<Pid>);

impl Pids {
    pub(super) fn insert(&mut self, pid: Pid) {
        if let Err(at) = self.0.binary_search(&pid) {
            if self.0.is_empty() {
                self.0.reserve_exact(1);
            }
            self.0.insert(at, pid);
        }
    }

    /// False if it is not there. It takes as long as the way to the nearer end.
    pub(super) fn remove(&mut self, pid: &Pid) -> bool {
        self.0.binary_search(pid).is_ok_and(|at| self.0.remove(at).is_some())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Pid> {
        self.0.iter()
    }

    pub(super) fn last(&self) -> Option<&Pid> {
        self.0.back()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The instance numbers of a job's processes: 1, 2, 3 …, the lowest free one first.
#[derive(Debug, Default)]
pub(super) struct Instances {
    /// All numbers up to this one are taken, but for the free ones.
    high: u32,
    free: BTreeSet<u32>,
}

impl Instances {
    pub(super) fn take(&mut self) -> u32 {
        self.free.pop_first().unwrap_or_else(|| {
            self.high += 1;
            self.high
        })
    }

    pub(super) fn give_back(&mut self, number: u32) {
        self.free.insert(number);
        while self.high > 0 && self.free.remove(&self.high) {
            self.high -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_instance() {
        let mut all = Instances::default();
        assert_eq!([all.take(), all.take(), all.take(), all.take()], [1, 2, 3, 4]);
        all.give_back(2);
        all.give_back(3);
        assert_eq!(all.take(), 2);
        all.give_back(4);
        assert_eq!((all.take(), all.take()), (3, 4));
        for n in 1..=4 {
            all.give_back(n);
        }
        assert!(all.free.is_empty(), "numbers that came back cost nothing");
    }
}
