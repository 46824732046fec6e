//! What can be asked for. A command checks everything before it changes anything.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::job::Job;
use super::process::{Phase, Process};
use super::supervise::Why;
use super::timers::Timer;
use super::{MAX_ATTEMPTS, MAX_PROCESSES, ProcessTable};
use crate::process::{JobConfig, JobId, JobState, Pid, Scale, Signal, What};
use crate::{Error, ErrorKind, Result};

/// What a committed process has of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The time between its stop signal and SIGKILL. Default: the job's.
    pub graceful_timeout: Option<Duration>,
    /// Variables of its environment; they win over the job's, and no other process gets them.
    pub env: BTreeMap<String, String>,
}

/// Commands about jobs. Each fails with [`ErrorKind::NotFound`] if the job is not loaded (any
/// more), and then changes nothing; those that would start a process fail with
/// [`ErrorKind::Stopping`] once the shutdown has begun, and with [`ErrorKind::Full`] where too
/// many processes of the job are still to end (see [`MAX_PROCESSES`]).
impl ProcessTable {
    /// Adds a job, and with `start` starts it. Events: `create`, then `start`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if a job of this name is loaded; [`ErrorKind::Invalid`] if the
    /// command is empty, the number of processes above [`MAX_PROCESSES`], or the flapping rule
    /// impossible.
    pub fn load(&mut self, config: impl Into<Arc<JobConfig>>, start: bool, now: Instant) -> Result<JobId> {
        let config = config.into();
        self.check_open(&config.name)?;
        check(&config)?;
        if self.find(&config.name).is_some() {
            return Err(Error::new(ErrorKind::Conflict, format!("job '{}' is loaded already", config.name)));
        }
        self.last_job += 1;
        let id = JobId(self.last_job);
        let job = Job::new(config);
        self.names.insert(job.name.clone(), id);
        self.events.push_back((job.name.clone(), What::Create));
        self.jobs.insert(id, Box::new(job));
        if start {
            self.activate(id, now);
        }
        Ok(id)
    }

    /// Stops a job and removes it; its name is free at once, its processes end in their time.
    /// Events: `stop` and `stop_pid`s if it was not stopped, `delete`, later the `exit`s.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`].
    pub fn unload(&mut self, id: JobId, now: Instant) -> Result<()> {
        let name = self.loaded(id)?.name.clone();
        self.halt(id, false, now);
        self.names.remove(&name);
        self.events.push_back((name, What::Delete));
        let job = self.jobs.get_mut(&id).expect("it was there before");
        job.unloaded = true;
        job.held.clear();
        if job.is_empty() {
            self.jobs.remove(&id);
        }
        Ok(())
    }

    /// Starts a job: sets the number of processes to the configured one, forgets its crashes, ends
    /// a pause, and fills every slot, also those that had ended for good. Events: `update` if the
    /// number changes, then `start`.
    ///
    /// Where processes of an earlier run are still to end, their successors wait for them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::Stopping`], [`ErrorKind::Full`].
    pub fn start_job(&mut self, id: JobId, now: Instant) -> Result<()> {
        let job = self.loaded(id)?;
        self.check_open(&job.name)?;
        job.check_room((job.config.numprocesses as usize).saturating_sub(job.live.len() + job.held.len()))?;
        self.set_target(id, job.config.numprocesses);
        self.activate(id, now);
        Ok(())
    }

    /// Stops a job and all its processes, committed ones too; it keeps its number of processes.
    /// Events: `stop` if it was not stopped, then `stop_pid`s.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`].
    pub fn stop_job(&mut self, id: JobId, now: Instant) -> Result<()> {
        self.loaded(id)?;
        self.halt(id, false, now);
        Ok(())
    }

    /// Sets the number of processes to the configured one and replaces every kept-alive process;
    /// of a stopped job only the number is set. A flapping job starts at once. Events: `update`
    /// if the number changes, then `stop_pid`s.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::Stopping`], [`ErrorKind::Full`].
    pub fn reload(&mut self, id: JobId, now: Instant) -> Result<()> {
        let job = self.loaded(id)?;
        self.check_open(&job.name)?;
        job.check_room((job.config.numprocesses as usize).saturating_sub(job.live.len() + job.held.len()))?;
        self.set_target(id, job.config.numprocesses);
        self.replace_all(id, now);
        Ok(())
    }

    /// Replaces every kept-alive process, new ones first (see the [module](super)); leaves a
    /// stopped job stopped. A flapping job starts at once. Events: `restart`, `spawn`s, `reap`s.
    ///
    /// During a rolling restart another one is begun at its end, so that at most twice the number
    /// of processes is started at a time.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::Stopping`], [`ErrorKind::Full`].
    pub fn restart_job(&mut self, id: JobId, now: Instant) -> Result<()> {
        let job = self.loaded(id)?;
        self.check_open(&job.name)?;
        job.check_room(job.target as usize)?;
        self.wake(id);
        if self.loaded(id)?.state == JobState::Active {
            self.roll(id, now);
        }
        Ok(())
    }

    /// Gives a job another definition, its number of processes and all its rules included, and
    /// replaces its kept-alive processes; committed ones run on. With `start` a stopped job is
    /// started. Events: `update`, then `start` or `stop_pid`s.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), and [`ErrorKind::Invalid`] if the name is another.
    pub fn update(&mut self, id: JobId, config: impl Into<Arc<JobConfig>>, start: bool, now: Instant) -> Result<()> {
        let config = config.into();
        let job = self.loaded(id)?;
        self.check_open(&job.name)?;
        check(&config)?;
        if config.name != *job.name {
            let (old, new) = (&job.name, &config.name);
            return Err(Error::new(ErrorKind::Invalid, format!("job '{old}': an update cannot rename it to '{new}'")));
        }
        job.check_room((config.numprocesses as usize).saturating_sub(job.live.len() + job.held.len()))?;
        let job = self.jobs.get_mut(&id).expect("it was there before");
        self.events.push_back((job.name.clone(), What::Update { numprocesses: config.numprocesses }));
        job.target = config.numprocesses;
        job.config = config;
        job.completed = 0;
        job.pace.reset();
        job.flaps.clear();
        if job.state == JobState::Stopped && start {
            self.activate(id, now);
        } else {
            self.replace_all(id, now);
        }
        Ok(())
    }

    /// Changes the number of processes, and answers the new one. Of a job that is stopped or
    /// flapping only the number changes. Events: `update` if the number changes, then `reap`s of
    /// the surplus, oldest first.
    ///
    /// Slots whose process has ended for good stay as they are: exactly as many processes are
    /// started as were added, and surplus slots of that kind go first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Invalid`] above [`MAX_PROCESSES`];
    /// [`ErrorKind::Stopping`] and [`ErrorKind::Full`] only for more processes.
    pub fn scale(&mut self, id: JobId, scale: Scale, now: Instant) -> Result<u32> {
        let job = self.loaded(id)?;
        let (old, new) = (job.target, scale.apply(job.target));
        if new > old {
            self.check_open(&job.name)?;
            check_number(&job.name, new)?;
            job.check_room((new - old) as usize)?;
        }
        if new != old {
            self.set_target(id, new);
            self.settle(id, now);
            self.trim(id, now);
        }
        Ok(new)
    }

    /// Runs one more process of the job, outside its number, and never replaces it. Works on a
    /// stopped job as well. Events: `spawn`, and in every case `exit`, also if it is stopped before
    /// it was started.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::Stopping`], [`ErrorKind::Full`].
    pub fn commit(&mut self, id: JobId, commit: Commit, _now: Instant) -> Result<Pid> {
        let job = self.loaded(id)?;
        self.check_open(&job.name)?;
        job.check_room(1)?;
        Ok(self.announce(id, true, commit.graceful_timeout, commit.env))
    }

    /// Tells all processes of the job to end, committed ones too; kept-alive ones are replaced,
    /// whatever the restart rule says. Events: `stop_pid`s.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`].
    pub fn stopall(&mut self, id: JobId, now: Instant) -> Result<()> {
        self.loaded(id)?;
        self.end_all(id, true, now);
        self.settle(id, now);
        Ok(())
    }

    /// Sends a signal to every process of the job that has not ended, committed ones and those that
    /// were told to end included; as [`kill`](Self::kill) otherwise. Events: `kill` for the job,
    /// then for each process.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`].
    pub fn killall(&mut self, id: JobId, signal: Signal, _now: Instant) -> Result<()> {
        let job = self.loaded(id)?;
        let pids: Vec<Pid> = job.live.iter().chain(&job.once).chain(&job.ending).copied().collect();
        self.events.push_back((job.name.clone(), What::Kill { pid: None, os_pid: None, signal }));
        for pid in pids {
            self.send(pid, signal);
        }
        Ok(())
    }

    /// The job, if it is loaded.
    fn loaded(&self, id: JobId) -> Result<&Job> {
        match self.jobs.get(&id) {
            Some(job) if !job.unloaded => Ok(job),
            Some(job) => Err(Error::new(ErrorKind::NotFound, format!("job '{}' is not loaded any more", job.name))),
            None => Err(Error::new(ErrorKind::NotFound, "no such job is loaded")),
        }
    }

    fn check_open(&self, name: &dyn fmt::Display) -> Result<()> {
        if self.stopping {
            return Err(Error::new(ErrorKind::Stopping, format!("job '{name}': the manager is stopping")));
        }
        Ok(())
    }

    /// Sets the number of processes and tells it.
    fn set_target(&mut self, id: JobId, numprocesses: u32) {
        if let Some(job) = self.jobs.get_mut(&id).filter(|job| job.target != numprocesses) {
            job.retarget(numprocesses);
            self.events.push_back((job.name.clone(), What::Update { numprocesses }));
        }
    }

    /// Makes a job active, with a clean record.
    fn activate(&mut self, id: JobId, now: Instant) {
        self.end_pause(id);
        let job = self.jobs.get_mut(&id).expect("the caller has just seen it");
        self.events.push_back((job.name.clone(), What::Start));
        if job.state == JobState::Stopped {
            self.last_start += 1;
            job.order = self.last_start;
        }
        job.state = JobState::Active;
        job.completed = 0;
        job.record.started();
        job.pace.reset();
        job.flaps.clear();
        self.settle(id, now);
        self.trim(id, now);
    }

    /// Ends the pause of a flapping job, with a clean record.
    fn wake(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get_mut(&id).filter(|job| job.state == JobState::Flapping) {
            job.state = JobState::Active;
            job.flaps.clear();
            self.end_pause(id);
        }
    }

    /// Replaces all kept-alive processes of a job that is not stopped, each when it is gone.
    fn replace_all(&mut self, id: JobId, now: Instant) {
        self.wake(id);
        if let Some(job) = self.jobs.get_mut(&id).filter(|job| job.state == JobState::Active) {
            job.completed = 0;
            job.record.begins_anew();
            self.end_pause(id);
            self.end_all(id, false, now);
            self.settle(id, now);
        }
    }

    /// Stops a job and tells all its processes to end, in a shutdown (`spare`) all but the detached
    /// ones.
    fn halt(&mut self, id: JobId, spare: bool, now: Instant) {
        self.end_pause(id);
        let job = self.jobs.get_mut(&id).expect("the caller has just seen it");
        if job.state != JobState::Stopped {
            job.state = JobState::Stopped;
            self.events.push_back((job.name.clone(), What::Stop));
        }
        job.roll = None;
        job.record.stopped(false);
        let pids: Vec<Pid> = job.live.iter().chain(&job.once).copied().collect();
        for pid in pids {
            let process = self.processes.get_mut(&pid).expect("a job's process is in the table");
            if !(spare && process.is_spared()) {
                self.end(pid, Why::Stop, now);
            } else if process.phase == Phase::Running {
                process.released = true;
                self.released += 1;
            }
        }
    }
}

/// Commands about processes. Each fails with [`ErrorKind::NotFound`] if there is no such process
/// (any more).
impl ProcessTable {
    /// Tells a process to end; a kept-alive one is replaced when it is gone, whatever the restart
    /// rule says. Does nothing if it was told before or has ended. Events: `stop_pid`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`].
    pub fn stop_process(&mut self, pid: Pid, now: Instant) -> Result<()> {
        let id = self.known(pid)?.job;
        self.end(pid, Why::Stop, now);
        self.settle(id, now);
        Ok(())
    }

    /// Sends a signal to a process alone, not to its group. One that is not started yet gets it
    /// as soon as it is. Events: `kill`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Closed`] if the process has ended and others of its
    /// group have not.
    pub fn kill(&mut self, pid: Pid, signal: Signal, _now: Instant) -> Result<()> {
        if self.known(pid)?.phase == Phase::Exited {
            return Err(Error::new(ErrorKind::Closed, format!("process {pid} has ended")));
        }
        self.send(pid, signal);
        Ok(())
    }

    fn known(&self, pid: Pid) -> Result<&Process> {
        let process = self.processes.get(&pid).map(|process| &**process);
        process.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no process {pid}")))
    }

    fn send(&mut self, pid: Pid, signal: Signal) {
        let Some(process) = self.processes.get_mut(&pid).filter(|process| process.phase != Phase::Exited) else {
            return;
        };
        let name = self.jobs.get(&process.job).expect("a process has a job").name.clone();
        self.events.push_back((name, What::Kill { pid: Some(pid), os_pid: process.os_pid, signal }));
        if process.os_pid.is_some() {
            process.signal(pid, signal, &mut self.actions);
        } else {
            process.pending.insert(signal);
        }
    }
}

/// Commands about everything.
impl ProcessTable {
    /// Restarts every active job, in load order, as [`restart_job`](Self::restart_job) does;
    /// stopped and flapping ones are left alone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Stopping`] and [`ErrorKind::Full`]; no job is restarted then.
    pub fn restart_all(&mut self, now: Instant) -> Result<()> {
        if self.stopping {
            return Err(Error::new(ErrorKind::Stopping, "the manager is stopping"));
        }
        let active: Vec<JobId> = self.jobs().filter(|id| self.jobs[id].state == JobState::Active).collect();
        for id in &active {
            let job = &self.jobs[id];
            job.check_room(job.target as usize)?;
        }
        for id in active {
            self.roll(id, now);
        }
        Ok(())
    }

    /// Begins the shutdown: stops all jobs, the last started first, and refuses whatever would
    /// start a process from now on. Detached processes run on. A second call does nothing.
    ///
    /// Events: for each job as [`stop_job`](Self::stop_job). [`is_finished`](Self::is_finished)
    /// says when it is done.
    pub fn shutdown(&mut self, now: Instant) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        let mut order: Vec<(u64, JobId)> = self.jobs.iter().map(|(id, job)| (job.order, *id)).collect();
        order.sort_unstable();
        for (_, id) in order.into_iter().rev() {
            self.halt(id, true, now);
        }
    }

    /// Shuts down without mercy: SIGKILL to the group of everything but released detached
    /// processes, now. Events: as [`shutdown`](Self::shutdown) where that was not called before.
    pub fn kill_everything(&mut self, now: Instant) {
        self.shutdown(now);
        for (pid, process) in &mut self.processes {
            if process.is_spared() {
                continue;
            }
            self.timers.set(&mut process.timer, Timer::Process(*pid), None);
            process.kill(*pid, &mut self.actions);
        }
    }
}

/// Refuses a definition that could not be kept.
fn check(config: &JobConfig) -> Result<()> {
    let invalid = |reason: String| Error::new(ErrorKind::Invalid, format!("job '{}': {reason}", config.name));
    if config.cmd.trim().is_empty() {
        return Err(invalid("the command is empty".to_owned()));
    }
    check_number(&config.name, config.numprocesses)?;
    match &config.flapping {
        Some(rule) if rule.attempts == 0 || rule.attempts > MAX_ATTEMPTS => {
            Err(invalid(format!("flapping attempts {}: expected 1 to {MAX_ATTEMPTS}", rule.attempts)))
        }
        _ => Ok(()),
    }
}

fn check_number(name: &dyn fmt::Display, numprocesses: u32) -> Result<()> {
    if numprocesses > MAX_PROCESSES {
        let reason = format!("job '{name}': {numprocesses} processes are more than the {MAX_PROCESSES} allowed");
        return Err(Error::new(ErrorKind::Invalid, reason));
    }
    Ok(())
}
