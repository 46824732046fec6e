//! Every operation on sessions, jobs and processes, once.

mod questions;

use std::any::{Any, TypeId};
use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Instant;

use super::app::{App, AppId, Apps};
use super::children::Children;
use super::closures::Closures;
use super::handle::Calls;
use super::launch;
use super::logs::Logs;
use super::monitor::Monitors;
use super::sampling::Sampling;
use super::streams::Taps;
use super::survey::Surveys;
use super::turns::TurnTimes;
use super::{Handle, Owner};
use crate::event_loop::EventLoop;
use crate::process::{JobConfig, JobId, JobName, Pid, Scale, Signal, What};
use crate::table::{Commit, ProcessTable};
use crate::{Error, ErrorKind, Result, suggest};

/// The jobs and processes of a manager, and everything that can be done to them.
///
/// [`Manager`](super::Manager) and [`Cx`](super::Cx) dereference to it. Commands take effect in the
/// process table at once; signals and spawns are carried out within the same turn of the loop.
///
/// Jobs are named `label`, `session.label` or `session/label`. A name that is not loaded gives
/// [`ErrorKind::NotFound`] with the nearest one that is; a name that cannot be one gives
/// [`ErrorKind::Invalid`].
#[derive(Debug)]
pub struct Supervisor {
    pub(super) io: EventLoop<Owner>,
    pub(super) table: ProcessTable,
    pub(super) children: Children,
    pub(super) logs: Logs,
    pub(super) taps: Taps,
    pub(super) closures: Closures,
    pub(super) monitors: Monitors,
    pub(super) surveys: Surveys,
    pub(super) sampling: Sampling,
    pub(super) turns: TurnTimes,
    pub(super) calls: Calls,
    pub(super) apps: Apps,
    /// Events of the manager itself that are not published yet.
    pub(super) notices: Vec<What>,
    pub(super) restart_apps: bool,
    /// Messages to apps that are not delivered yet; what a turn brings is delivered in it.
    pub(super) mail: VecDeque<(AppId, Box<dyn Any + Send>)>,
    /// What apps have in common, by its type.
    pub(super) shared: HashMap<TypeId, Box<dyn Any + Send>>,
}

impl Supervisor {
    /// Loads a job, and starts it if `start`.
    ///
    /// All or nothing: the command, its variables, the user and the rules are checked first. Whoever keeps the
    /// definition as well passes an [`Arc`] of it, which is shared.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if the name is loaded already, or a log file is another job's; [`ErrorKind::Invalid`] or
    /// [`ErrorKind::NotFound`] if the definition cannot run as it stands (an empty command, an open
    /// quote, an unknown `$VAR`, an unknown user or group, a bad flapping rule, more than two
    /// output labels, a log file in a folder that is not there); a log file cannot be opened;
    /// [`ErrorKind::Stopping`] once the manager stops.
    pub fn load(&mut self, config: impl Into<Arc<JobConfig>>, start: bool) -> Result<JobId> {
        self.load_shared(config.into(), start)
    }

    fn load_shared(&mut self, config: Arc<JobConfig>, start: bool) -> Result<JobId> {
        launch::check(&config)?;
        if self.is_stopping() || self.table.find(&config.name).is_some() {
            // It is refused before a file is made.
            return self.table.load(config, start, Instant::now());
        }
        let claim = self.logs.claim(&mut self.io, &config)?;
        let logged = Arc::clone(&config);
        let loaded = self.table.load(config, start, Instant::now());
        match &loaded {
            Ok(_) => self.logs.settle(&logged, claim),
            Err(_) => self.logs.sweep(),
        }
        loaded
    }

    /// The program and arguments that the job's first process would get; refuses what
    /// [`load`](Self::load) refuses of a definition, and starts nothing.
    ///
    /// # Errors
    ///
    /// The definition cannot run as it stands.
    pub fn resolve(config: &JobConfig) -> Result<Vec<OsString>> {
        launch::check(config)
    }

    /// Stops a job and forgets it.
    ///
    /// # Errors
    ///
    /// The job is not loaded.
    pub fn unload(&mut self, job: &str) -> Result<()> {
        let id = self.job_id(job)?;
        self.table.unload(id, Instant::now())?;
        self.logs.release(&job.parse()?);
        Ok(())
    }

    /// Replaces a job's definition and its processes; with `start` a stopped job is started.
    ///
    /// # Errors
    ///
    /// The job `config.name` is not loaded, or as for [`load`](Self::load).
    pub fn update(&mut self, config: impl Into<Arc<JobConfig>>, start: bool) -> Result<()> {
        self.update_shared(config.into(), start)
    }

    fn update_shared(&mut self, config: Arc<JobConfig>, start: bool) -> Result<()> {
        let id = self.job_id(config.name.as_str())?;
        launch::check(&config)?;
        let claim = self.logs.claim(&mut self.io, &config)?;
        let logged = Arc::clone(&config);
        let updated = self.table.update(id, config, start, Instant::now());
        match &updated {
            Ok(()) => self.logs.settle(&logged, claim),
            Err(_) => self.logs.sweep(),
        }
        updated
    }

    /// Starts a job: the number of processes is the configured one again, flapping is forgotten.
    ///
    /// # Errors
    ///
    /// The job is not loaded, or the manager is stopping.
    pub fn start_job(&mut self, job: &str) -> Result<()> {
        let id = self.job_id(job)?;
        self.table.start_job(id, Instant::now())
    }

    /// Stops a job's processes; it stays stopped until it is started.
    ///
    /// # Errors
    ///
    /// The job is not loaded.
    pub fn stop_job(&mut self, job: &str) -> Result<()> {
        let id = self.job_id(job)?;
        self.table.stop_job(id, Instant::now())
    }

    /// Resets the number of processes and replaces each: the old one ends first.
    ///
    /// # Errors
    ///
    /// The job is not loaded, or the manager is stopping.
    pub fn reload(&mut self, job: &str) -> Result<()> {
        let id = self.job_id(job)?;
        self.table.reload(id, Instant::now())
    }

    /// Replaces a job's processes, new ones first. A stopped job stays stopped.
    ///
    /// # Errors
    ///
    /// The job is not loaded, or the manager is stopping.
    pub fn restart_job(&mut self, job: &str) -> Result<()> {
        let id = self.job_id(job)?;
        self.table.restart_job(id, Instant::now())
    }

    /// Changes how many processes a job keeps alive and returns the new number. Surplus ones are
    /// reaped, the oldest first.
    ///
    /// # Errors
    ///
    /// The job is not loaded, or the manager is stopping and more are asked for.
    pub fn scale(&mut self, job: &str, scale: Scale) -> Result<u32> {
        let id = self.job_id(job)?;
        self.table.scale(id, scale, Instant::now())
    }

    /// Runs one more process of a job, outside its count and not replaced.
    ///
    /// # Errors
    ///
    /// The job is not loaded, an unknown `$VAR`, or the manager is stopping.
    pub fn commit(&mut self, job: &str, commit: Commit) -> Result<Pid> {
        let id = self.job_id(job)?;
        if !commit.env.is_empty() {
            let mut config =
                self.table.job(id, self.now()).map(|info| JobConfig::clone(&info.config)).ok_or_else(|| gone(job))?;
            config.env.extend(commit.env.iter().map(|(k, v)| (k.clone(), v.clone())));
            launch::check(&config)?;
        }
        self.table.commit(id, commit, Instant::now())
    }

    /// Stops one process; one that is kept alive is replaced.
    ///
    /// # Errors
    ///
    /// No such process.
    pub fn stop_process(&mut self, pid: Pid) -> Result<()> {
        self.table.stop_process(pid, Instant::now())
    }

    /// Stops every process of a job; those that are kept alive are replaced.
    ///
    /// # Errors
    ///
    /// The job is not loaded.
    pub fn stopall(&mut self, job: &str) -> Result<()> {
        let id = self.job_id(job)?;
        self.table.stopall(id, Instant::now())
    }

    /// Sends a signal to one process.
    ///
    /// # Errors
    ///
    /// No such process.
    pub fn kill(&mut self, pid: Pid, signal: Signal) -> Result<()> {
        self.table.kill(pid, signal, Instant::now())
    }

    /// Sends a signal to every process of a job.
    ///
    /// # Errors
    ///
    /// The job is not loaded.
    pub fn killall(&mut self, job: &str, signal: Signal) -> Result<()> {
        let id = self.job_id(job)?;
        self.table.killall(id, signal, Instant::now())
    }

    /// Sends a signal, given as a number or a name, to a process or to all processes of a job.
    ///
    /// # Errors
    ///
    /// No such signal, process or job.
    pub fn send_signal(&mut self, target: &str, signal: &str) -> Result<()> {
        let signal = signal.parse()?;
        match target.parse() {
            Ok(pid) => self.kill(Pid(pid), signal),
            Err(_) => self.killall(target, signal),
        }
    }

    /// Restarts every job that is active (new processes first), after the apps.
    ///
    /// # Errors
    ///
    /// The manager is stopping.
    pub fn restart(&mut self) -> Result<()> {
        if self.is_stopping() {
            // The table refuses only if it has a job to restart; the apps are not restarted either.
            return Err(Error::new(ErrorKind::Stopping, "the manager is stopping"));
        }
        self.table.restart_all(Instant::now())?;
        self.restart_apps = true;
        Ok(())
    }

    /// Stops every job in reverse order of start; the manager ends when the last child is gone. No
    /// new work is taken from now on. Calling it again changes nothing.
    pub fn stop(&mut self) {
        self.table.shutdown(Instant::now());
    }

    /// Sends SIGKILL to everything that still lives, and stops: what a second Ctrl-C means.
    pub fn stop_now(&mut self) {
        let now = Instant::now();
        self.table.shutdown(now);
        self.table.kill_everything(now);
    }

    /// Whether [`stop`](Self::stop) was called.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.table.is_stopping()
    }

    /// Starts all jobs of a session.
    ///
    /// # Errors
    ///
    /// No such session, or the manager is stopping.
    pub fn start_session(&mut self, session: &str) -> Result<()> {
        self.each_job_of(session, |table, id, now| table.start_job(id, now))
    }

    /// Stops all jobs of a session.
    ///
    /// # Errors
    ///
    /// No such session.
    pub fn stop_session(&mut self, session: &str) -> Result<()> {
        self.each_job_of(session, |table, id, now| table.stop_job(id, now))
    }

    /// Restarts the active jobs of a session, new processes first.
    ///
    /// # Errors
    ///
    /// No such session, or the manager is stopping.
    pub fn restart_session(&mut self, session: &str) -> Result<()> {
        self.each_job_of(session, |table, id, now| table.restart_job(id, now))
    }

    /// Unloads all jobs of a session, which disappears.
    ///
    /// # Errors
    ///
    /// No such session.
    pub fn remove_session(&mut self, session: &str) -> Result<()> {
        let jobs = self.jobs_of(session)?;
        self.each_job_of(session, |table, id, now| table.unload(id, now))?;
        for job in jobs {
            self.logs.release(&job);
        }
        Ok(())
    }

    fn each_job_of(
        &mut self,
        session: &str,
        mut f: impl FnMut(&mut ProcessTable, JobId, Instant) -> Result<()>,
    ) -> Result<()> {
        let now = Instant::now();
        for name in self.jobs_of(session)? {
            if let Some(id) = self.table.find(&name) {
                f(&mut self.table, id, now)?;
            }
        }
        Ok(())
    }

    /// When this turn began to work, which is as good as now for whoever works in it and costs no look at the clock.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.io.now()
    }

    /// Adds an app. It starts with the manager's first turn, or within the current one.
    pub fn add_app(&mut self, app: impl App + 'static) -> AppId {
        self.apps.add(Box::new(app))
    }

    /// Removes an app without calling its [`stop`](App::stop); its sources and its subscriptions to output
    /// end with it. False if there is none of this number.
    pub fn remove_app(&mut self, id: AppId) -> bool {
        let known = self.apps.remove(id);
        if known {
            self.untap_app(id);
        }
        known
    }

    /// A value that apps and closures of one kind have in common, one of each type; made when it is first asked for.
    ///
    /// It lives as long as the manager, so what is kept in it should end with those who put it there.
    pub fn shared<T: Any + Default + Send>(&mut self) -> &mut T {
        let slot = self.shared.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(T::default()));
        slot.downcast_mut().expect("it was put there by its type")
    }

    /// A handle by which other threads use this manager.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.calls.handle()
    }

    /// The moment at which the loop must turn again even if nothing happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        match (self.table.next_deadline(), self.io.next_deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// How long turns have taken so far, the current one aside.
    #[must_use]
    pub const fn turn_times(&self) -> TurnTimes {
        self.turns
    }

    /// Notes a fault of a guest (an app, a listener, a closure); a `fault` event tells it.
    pub(super) fn fault(&mut self, source: &str, reason: &str) {
        self.notices.push(What::Fault { source: source.to_owned(), reason: reason.to_owned() });
    }

    pub(super) fn job_id(&self, name: &str) -> Result<JobId> {
        let full: JobName = name.parse()?;
        self.table.find(&full).ok_or_else(|| {
            let jobs = self.jobs();
            let hint = suggest::hint(full.short(), jobs.iter().map(|job| job.short()));
            Error::new(ErrorKind::NotFound, format!("no such job `{full}`{hint}"))
        })
    }
}

fn gone(job: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("no such job `{job}`"))
}

pub(super) fn no_process(pid: Pid) -> Error {
    Error::new(ErrorKind::NotFound, format!("no such process {pid}"))
}
