//! What commands and reports have in common: announcing, ending, replacing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::job::Roll;
use super::pace::Verdict;
use super::process::{Phase, Process};
use super::timers::Timer;
use super::{ProcessTable, SPAWN_PAUSE, pace};
use crate::process::{Exit, JobId, JobState, Pid, What};

/// Why a process is told to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It is to be stopped or replaced: its slot waits until it is gone.
    Stop,
    /// It is one too many: it has no slot any more.
    Surplus,
}

impl ProcessTable {
    /// A new process of the job, to be spawned as soon as the action is fetched.
    pub(super) fn announce(
        &mut self,
        id: JobId,
        once: bool,
        grace: Option<Duration>,
        env: BTreeMap<String, String>,
    ) -> Pid {
        let job = self.jobs.get_mut(&id).expect("processes are announced of known jobs");
        self.last_pid += 1;
        let pid = Pid(self.last_pid);
        let process = Process {
            job: id,
            instance: job.instances.take(),
            once,
            config: job.config.clone(),
            grace: grace.unwrap_or(job.config.graceful_timeout),
            phase: Phase::Queued,
            os_pid: None,
            started: None,
            waited: job.pace.last(),
            told: false,
            killed: false,
            paced: false,
            replaces: false,
            released: false,
            pending: BTreeSet::new(),
            timer: None,
            env,
        };
        if once {
            job.once.insert(pid);
        } else {
            job.live.insert(pid);
            if let Some(roll) = &mut job.roll {
                roll.pending.insert(pid);
            }
        }
        self.processes.insert(pid, Box::new(process));
        self.spawns.insert(pid);
        pid
    }

    /// Tells a process to end, unless it was told before or has ended.
    pub(super) fn end(&mut self, pid: Pid, why: Why, now: Instant) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if process.told || process.phase == Phase::Exited {
            return;
        }
        let job = self.jobs.get_mut(&process.job).expect("a process has a job");
        let (os_pid, instance, once) = (process.os_pid, process.instance, process.once);
        if process.phase != Phase::Queued || once {
            let what = match why {
                Why::Stop => What::StopPid { pid, os_pid },
                Why::Surplus => What::Reap { pid, os_pid },
            };
            self.events.push_back((job.name.clone(), what));
        }
        job.leave(pid);
        match process.phase {
            Phase::Queued => {
                // Whoever committed it waits for its exit.
                if once {
                    let exit = Exit::Failed("stopped before it was started".to_owned());
                    self.events.push_back((job.name.clone(), What::Exit { pid, os_pid, instance, exit, once }));
                }
                self.forget(pid);
                return;
            }
            Phase::Running => {
                process.ask_to_end(pid, &mut self.actions);
                self.timers.set(&mut process.timer, Timer::Process(pid), now.checked_add(process.grace));
            }
            Phase::Spawning | Phase::Exited => {}
        }
        process.told = true;
        if why == Why::Stop && !once {
            job.held.insert(process.instance);
        }
        if std::mem::take(&mut process.released) {
            self.released -= 1;
        }
    }

    /// Tells all of a job's kept-alive processes to end, and with `once` the committed ones.
    pub(super) fn end_all(&mut self, id: JobId, once: bool, now: Instant) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.roll = None;
        let pids: Vec<Pid> = job.live.iter().chain(job.once.iter().filter(|_| once)).copied().collect();
        for pid in pids {
            self.end(pid, Why::Stop, now);
        }
    }

    /// Ends the job's pause, if it is in one; its waiting successors are due.
    pub(super) fn end_pause(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.paced = 0;
            self.timers.set(&mut job.timer, Timer::Job(id), None);
        }
    }

    /// Puts an active job's account in order: announces what is lacking, and completes a rolling
    /// restart whose newcomers are all answered.
    pub(super) fn settle(&mut self, id: JobId, now: Instant) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.state != JobState::Active || job.unloaded {
            return;
        }
        let lacking = job.lacking();
        let replaced = job.record.announced(lacking, job.held.len() + job.paced as usize);
        if job.paced == 0 && job.held.is_empty() {
            self.timers.set(&mut job.timer, Timer::Job(id), None);
        }
        for nth in 0..lacking {
            let pid = self.announce(id, false, None, BTreeMap::new());
            if nth < replaced {
                self.processes.get_mut(&pid).expect("it was just announced").replaces = true;
            }
        }
        let job = self.jobs.get_mut(&id).expect("it was there before");
        if job.roll.as_ref().is_some_and(|roll| roll.pending.is_empty()) {
            let again = job.roll.take().is_some_and(|roll| roll.again);
            self.trim(id, now);
            if again {
                self.roll(id, now);
            } else {
                self.settle(id, now);
            }
        }
    }

    /// Tells surplus processes to end, oldest first. In a rolling restart that is done at its end.
    pub(super) fn trim(&mut self, id: JobId, now: Instant) {
        let Some(job) = self.jobs.get(&id) else { return };
        if job.roll.is_none() {
            for pid in job.surplus() {
                self.end(pid, Why::Surplus, now);
            }
        }
    }

    /// Begins a rolling restart of an active job.
    pub(super) fn roll(&mut self, id: JobId, now: Instant) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if let Some(roll) = &mut job.roll {
            roll.again = true;
            return;
        }
        self.events.push_back((job.name.clone(), What::Restart));
        job.completed = 0;
        job.record.begins_anew();
        // What is announced and not fetched yet is as new as can be.
        let (pending, old) = job.live.iter().partition(|pid| self.spawns.contains(pid));
        job.roll = Some(Box::new(Roll { old, pending, failed: 0, again: false }));
        self.end_pause(id);
        self.settle(id, now);
    }

    /// A kept-alive process of a loaded job has ended by itself, or could not be started; `newcomer`
    /// in a rolling restart. Decides whether and when it is replaced.
    pub(super) fn crashed(&mut self, pid: Pid, exit: &Exit, newcomer: bool, now: Instant) {
        let process = self.processes.get_mut(&pid).expect("the caller has just seen it");
        let id = process.job;
        let job = self.jobs.get_mut(&id).expect("a process has a job");
        if job.state != JobState::Active || job.unloaded {
            return;
        }
        let replaces = job.replaces(exit);
        if let Some(roll) = &mut job.roll {
            // An old one's successor is among the newcomers.
            match (newcomer, replaces) {
                (true, true) => roll.failed += 1,
                (true, false) => job.completed += 1,
                (false, _) => {}
            }
            return;
        }
        if !replaces {
            job.completed += 1;
            return;
        }
        job.held.insert(process.instance);
        job.record.owes();
        let (lived, rule) = (process.lived(now), job.config.backoff);
        let outlived = pace::outlives(rule, process.waited, lived);
        let mut pause = match &job.config.flapping {
            Some(flapping) => match job.flaps.exit(flapping, lived, now) {
                Verdict::Respawn => Duration::ZERO,
                verdict => return self.flap(id, verdict, now),
            },
            // A pause that runs is shared: 500 processes that die together crash once.
            None if job.timer.is_some() && !outlived => {
                process.paced = true;
                return;
            }
            None => job.pace.next(rule, outlived),
        };
        if job.failures > 1 {
            if job.timer.is_some() {
                process.paced = true;
                return;
            }
            pause = pause.max(SPAWN_PAUSE);
        }
        if pause.is_zero() {
            self.end_pause(id);
        } else {
            process.paced = true;
            self.timers.set(&mut job.timer, Timer::Job(id), now.checked_add(pause));
        }
    }

    /// Pauses a job that crashes too often, or gives it up.
    fn flap(&mut self, id: JobId, verdict: Verdict, now: Instant) {
        self.end_pause(id);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let rule = job.config.flapping.unwrap_or_default();
        if let Verdict::Retry(retry) = verdict {
            job.state = JobState::Flapping;
            self.timers.set(&mut job.timer, Timer::Job(id), now.checked_add(rule.retry_in));
            self.events.push_back((job.name.clone(), What::Flap { retry, next: Some(rule.retry_in) }));
        } else {
            job.state = JobState::Stopped;
            job.record.stopped(true);
            self.events.push_back((job.name.clone(), What::Flap { retry: 0, next: None }));
            self.events.push_back((job.name.clone(), What::Stop));
        }
        self.end_all(id, false, now);
    }

    /// Nothing is left of a process: its instance number is free.
    pub(super) fn forget(&mut self, pid: Pid) {
        let Some(mut process) = self.processes.remove(&pid) else { return };
        self.timers.set(&mut process.timer, Timer::Process(pid), None);
        self.spawns.remove(&pid);
        self.released -= usize::from(process.released);
        let job = self.jobs.get_mut(&process.job).expect("a process has a job");
        job.leave(pid);
        job.ending.remove(&pid);
        job.instances.give_back(process.instance);
        let was_held = job.held.remove(&process.instance);
        if was_held && process.paced && job.timer.is_some() && job.state == JobState::Active {
            job.paced += 1;
        }
        if job.unloaded && job.is_empty() {
            self.jobs.remove(&process.job);
        }
    }
}
