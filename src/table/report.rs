//! What the world reports: the answers to actions, exits, and the time.

use std::time::Instant;

use super::process::Phase;
use super::timers::Timer;
use super::{Action, ProcessTable};
use crate::process::{Exit, JobState, OsPid, Pid, What};

impl ProcessTable {
    /// [`Action::Spawn`] was carried out: the process runs.
    ///
    /// If it was told to end meanwhile it gets its stop signal now, and its `graceful_timeout`
    /// begins.
    pub fn spawned(&mut self, pid: Pid, os_pid: OsPid, now: Instant) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if process.phase != Phase::Spawning {
            return;
        }
        let id = process.job;
        let job = self.jobs.get_mut(&id).expect("a process has a job");
        process.phase = Phase::Running;
        process.os_pid = Some(os_pid);
        process.started = Some(now);
        job.failures = 0;
        if process.replaces {
            job.record.restarted();
        }
        let detach = process.config.detach;
        self.events.push_back((job.name.clone(), What::Spawn { pid, os_pid, detach }));
        if process.killed {
            process.kill(pid, &mut self.actions);
        } else if process.told {
            process.ask_to_end(pid, &mut self.actions);
            self.timers.set(&mut process.timer, Timer::Process(pid), now.checked_add(process.grace));
        } else if self.stopping && detach {
            process.released = true;
            self.released += 1;
        }
        for signal in std::mem::take(&mut process.pending) {
            process.signal(pid, signal, &mut self.actions);
        }
        if let Some(roll) = &mut job.roll {
            roll.pending.remove(&pid);
        }
        self.settle(id, now);
    }

    /// [`Action::Spawn`] could not be carried out; `reason` says which step failed and why.
    ///
    /// The process counts as one that ended at once, and nothing of it is left.
    pub fn spawn_failed(&mut self, pid: Pid, reason: String, now: Instant) {
        let Some(process) = self.processes.get(&pid) else { return };
        if process.phase == Phase::Spawning {
            let id = process.job;
            let job = self.jobs.get_mut(&id).expect("a process has a job");
            job.failures = job.failures.saturating_add(1);
            if process.replaces {
                job.record.restarted();
            }
            self.note_exit(pid, Exit::Failed(reason), now);
            self.forget(pid);
            self.settle(id, now);
        }
    }

    /// The process itself has ended, and still holds its number: what it left in its group is told
    /// to end, then it is to be reaped.
    ///
    /// [`gone`](Self::gone) must follow once nothing of its group is left. Without
    /// [`spawned`](Self::spawned) before it, the call changes nothing.
    pub fn exited(&mut self, pid: Pid, exit: Exit, now: Instant) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let (Phase::Running, Some(os_pid)) = (process.phase, process.os_pid) else { return };
        let id = process.job;
        if !process.told && !process.released {
            process.ask_to_end(pid, &mut self.actions);
            self.timers.set(&mut process.timer, Timer::Process(pid), now.checked_add(process.grace));
        }
        self.actions.push_back(Action::Reap { pid, os_pid });
        self.note_exit(pid, exit, now);
        self.settle(id, now);
    }

    /// The process was reaped and nothing of its group is left: its successor can start.
    ///
    /// Of a process that runs it says that its end was missed: it counts as [`Exit::Lost`].
    pub fn gone(&mut self, pid: Pid, now: Instant) {
        let Some(process) = self.processes.get(&pid) else { return };
        let id = process.job;
        match process.phase {
            Phase::Exited => {}
            Phase::Running => self.note_exit(pid, Exit::Lost, now),
            Phase::Queued | Phase::Spawning => return,
        }
        self.forget(pid);
        self.settle(id, now);
    }

    /// The time has come: kills what has outlived its grace, ends pauses.
    ///
    /// Any number of deadlines may have passed; an early call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Process(pid) => {
                    let process = self.processes.get_mut(&pid).expect("a timer dies with its process");
                    process.timer = None;
                    process.kill(pid, &mut self.actions);
                }
                Timer::Job(id) => {
                    let job = self.jobs.get_mut(&id).expect("a timer dies with its job");
                    job.timer = None;
                    job.paced = 0;
                    if job.state == JobState::Flapping {
                        job.state = JobState::Active;
                    }
                    self.settle(id, now);
                }
            }
        }
    }

    /// Publishes the exit of a process and decides about its successor.
    fn note_exit(&mut self, pid: Pid, exit: Exit, now: Instant) {
        let process = self.processes.get_mut(&pid).expect("the caller has just seen it");
        let job = self.jobs.get_mut(&process.job).expect("a process has a job");
        let (os_pid, instance, once) = (process.os_pid, process.instance, process.once);
        self.events.push_back((job.name.clone(), What::Exit { pid, os_pid, instance, exit: exit.clone(), once }));
        process.phase = Phase::Exited;
        let newcomer = job.roll.as_ref().is_some_and(|roll| !roll.old.contains(&pid));
        job.leave(pid);
        if !process.told && !once {
            job.record.ended(&exit, process.lived(now), now);
            self.crashed(pid, &exit, newcomer, now);
        }
    }
}
