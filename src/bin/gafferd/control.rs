//! What the daemon does with itself: stop, reload, and tell the service manager.

use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gaffer::cli::daemon;
use gaffer::config::{GafferdConfig, Job, Plan};
use gaffer::event_loop::TimerId;
use gaffer::log::{Log, LogLevel};
use gaffer::manager::{App, AppId, Cx};
use gaffer::process::{Event, JobName, JobState, Signal, What};
use gaffer::server::site::Sites;
use gaffer::sys::notify::Notifier;
use gaffer::webhooks::Hooks;
use gaffer::{Error, Result};

use crate::args::Args;
use crate::check;
use crate::endpoints::Endpoints;
use crate::remembered::Remembered;
use crate::{access, lookup, plugins, server, webhooks};

/// While it stops, the log says this often who is still awaited.
const AWAITED: Duration = Duration::from_secs(5);

/// So many names a line has at most.
const MAX_NAMES: usize = 10;

/// Mail: what signals ask for.
#[derive(Debug)]
pub(crate) enum Message {
    /// Everything is started.
    Ready,
    /// The first time gracefully, then at once.
    Stop(Signal),
    /// Read the configuration again.
    Reload,
    /// Open the log again, and those of the jobs.
    Reopen,
}

/// The daemon's own app.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) args: Args,
    /// The configuration that runs, without its jobs.
    pub(crate) config: GafferdConfig,
    /// The jobs that were loaded from it.
    remembered: Remembered,
    pub(crate) log: Log,
    pub(crate) notifier: Option<Notifier>,
    pub(crate) endpoints: Endpoints,
    guests: Guests,
    state: State,
}

/// Other apps that follow the configuration.
#[derive(Debug)]
pub(crate) struct Guests {
    pub(crate) hooks: Hooks,
    pub(crate) sites: Sites,
    pub(crate) plugins: AppId,
    pub(crate) announcer: AppId,
}

#[derive(Debug, Default)]
struct State {
    stops: u32,
    stopping: bool,
    awaited: Option<TimerId>,
    /// Jobs that crashed too often: a definition that changes gives them another chance.
    given_up: HashSet<Arc<JobName>>,
}

impl Control {
    pub(crate) fn new(
        args: Args,
        (config, remembered): (GafferdConfig, Remembered),
        log: Log,
        notifier: Option<Notifier>,
        endpoints: Endpoints,
        guests: Guests,
    ) -> Self {
        Self { args, config, remembered, log, notifier, endpoints, guests, state: State::default() }
    }

    fn notify(&self, state: &str) {
        if let Some(Err(e)) = self.notifier.as_ref().map(|notifier| notifier.send(state)) {
            self.log.warning(format_args!("cannot tell the service manager {state:?}: {e}"));
        }
    }

    /// `3 jobs, 5 processes wanted; listening on 127.0.0.1:5000`.
    fn status(&self, cx: &Cx<'_>) -> String {
        let (mut jobs, mut wanted) = (0, 0_u32);
        cx.walk(|job| {
            jobs += 1;
            wanted = wanted.saturating_add(if job.state == JobState::Stopped { 0 } else { job.numprocesses });
        });
        let (jobs, wanted) = (count(jobs, "job", "s"), count(wanted, "process", "es"));
        format!("{jobs}, {wanted} wanted; listening on {}", self.endpoints)
    }

    fn stop_on(&mut self, cx: &mut Cx<'_>, signal: Signal) {
        self.state.stops += 1;
        if self.state.stops == 1 {
            let n = count(u32::try_from(cx.list().len()).unwrap_or(u32::MAX), "process", "es");
            self.log.info(format_args!("stopping on {signal}: asking {n} to end; a second signal kills"));
            cx.stop();
        } else {
            self.log.warning(format_args!("killing on {signal}: {}", awaited(cx)));
            cx.stop_now();
        }
        self.stopping(cx);
    }

    /// The manager stops, whoever asked for it.
    fn stopping(&mut self, cx: &mut Cx<'_>) {
        if !std::mem::replace(&mut self.state.stopping, true) {
            self.notify("STOPPING=1\nSTATUS=stopping");
            self.state.awaited = Some(cx.set_timer(Instant::now() + AWAITED));
        }
    }

    fn reload(&mut self, cx: &mut Cx<'_>) {
        if cx.is_stopping() {
            return self.log.info("stopping, so the configuration is not read again");
        }
        if let Some(Err(e)) = self.notifier.as_ref().map(Notifier::reloading) {
            self.log.warning(format_args!("cannot tell the service manager of the reload: {e}"));
        }
        let status = match self.try_reload(cx) {
            Ok(()) => self.status(cx),
            Err(e) => {
                self.log.error(format_args!("reload refused, everything stays as it was: {}", on_a_line(&e)));
                format!("{}; the last reload was refused: {e}", self.status(cx))
            }
        };
        self.notify(&format!("READY=1\nSTATUS={}", status.replace('\n', " ")));
    }

    /// Changes nothing if the new configuration cannot run.
    fn try_reload(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        let mut new = self.args.load()?;
        check::preflight(&new)?;
        let set = plugins::read(&new)?;
        let old_jobs = self.remembered.jobs();
        let old = &self.config;
        let asks = old.require_key != new.require_key || old.auth != new.auth;
        let guard = if asks { access::guard(&self.args, &new, &self.log)? } else { None };
        for (key, changed) in [
            ("daemonize", old.daemonize != new.daemonize),
            ("pidfile", old.pidfile != new.pidfile),
            ("error_log", old.error_log != new.error_log),
            ("access_log", old.access_log != new.access_log),
            ("console", old.console != new.console),
        ] {
            if changed {
                self.log.warning(format_args!("{key} has changed, which takes effect at the next start only"));
            }
        }
        // They may be one and the same log, so the second one wins.
        if let Some(log) = self.endpoints.access_log() {
            log.set(LogLevel::Info, new.log_format);
        }
        self.log.set(new.log_level, new.log_format);
        if asks {
            self.log.info("require_key or [auth] has changed: all endpoints close and open again");
            self.endpoints.guard_by(guard);
        } else if let Some(Err(e)) = self.endpoints.guard().map(|guard| guard.access().reload()) {
            self.log.error(format_args!("{e}; keys and users stay as they were"));
        }
        self.endpoints.follow(cx, &self.config, &new, asks, &self.log);
        webhooks::follow(&self.guests.hooks, &self.config, &new, &self.log);
        self.guests.sites.set_folder(new.plugins_dir.clone());
        server::show_console(&self.guests.sites, new.web_console);
        cx.mail(self.guests.plugins, set);
        match lookup::settings(&new, &self.endpoints) {
            Ok(settings) => {
                lookup::warnings(&new).for_each(|warning| self.log.warning(warning));
                cx.mail(self.guests.announcer, settings);
            }
            // It could be read a moment ago.
            Err(e) => self.log.error(format_args!("{e}; lookup servers stay as they were")),
        }
        let jobs = std::mem::take(&mut new.jobs);
        let failed = self.follow_jobs(cx, &old_jobs, &jobs);
        // What is not there is not remembered, so that the next reload tries again.
        let there = jobs.iter().filter(|job| !failed.contains(&job.config.name));
        self.remembered = Remembered::of(there, |name| cx.info(name.as_str()).ok().map(|info| info.config));
        self.config = new;
        Ok(())
    }

    /// Does what the difference is; returns the names of those that could not be loaded.
    fn follow_jobs(&mut self, cx: &mut Cx<'_>, old: &[Job], new: &[Job]) -> HashSet<JobName> {
        let plan = Plan::new(old, new);
        self.log.info(format_args!("reload: {plan}"));
        let mut failed = HashSet::new();
        for name in &plan.removed {
            if cx.is_loaded(name.as_str()) {
                self.report(name, "unload", cx.unload(name.as_str()));
            }
        }
        for job in &plan.changed {
            let name = &job.config.name;
            let was_to_start = old.iter().any(|old| old.config.name == *name && old.start);
            // A job that somebody has stopped stays stopped.
            let start = job.start && (!was_to_start || self.state.given_up.contains(name));
            let outcome = match cx.info(name.as_str()) {
                Ok(info) if *info.config != job.config => cx.update(job.config.clone(), start),
                Ok(info) if start && info.state == JobState::Stopped => cx.start_job(name.as_str()),
                Ok(_) => Ok(()),
                // Somebody has unloaded it, but it is wanted again.
                Err(_) => cx.load(job.config.clone(), job.start).map(drop),
            };
            if !self.report(name, "update", outcome) {
                failed.insert(name.clone());
            }
        }
        for job in &plan.added {
            let name = &job.config.name;
            if cx.is_loaded(name.as_str()) {
                let name = name.short();
                self.log.warning(format_args!("job {name} was loaded by somebody else already, and stays as it is"));
                failed.insert(job.config.name.clone());
            } else if !self.report(name, "load", cx.load(job.config.clone(), job.start).map(drop)) {
                failed.insert(name.clone());
            }
        }
        failed
    }

    fn report(&self, name: &JobName, what: &str, outcome: Result<()>) -> bool {
        if let Err(e) = &outcome {
            self.log.error(format_args!("reload: cannot {what} job {}: {e}; it stays as it was", name.short()));
        }
        outcome.is_ok()
    }
}

/// Faults of a configuration are a line each.
fn on_a_line(e: &Error) -> String {
    e.to_string().replace('\n', "; ")
}

/// `1 job`, `2 jobs`.
fn count(n: u32, what: &str, plural: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { plural })
}

/// `waiting for web.1 (pid 4711), web.2 (pid 4712)`.
fn awaited(cx: &Cx<'_>) -> String {
    let ending = cx.ending().into_iter().filter_map(|pid| cx.process(pid).ok());
    let names: Vec<String> = ending
        .filter_map(|process| Some(format!("{}.{} (pid {})", process.name.short(), process.instance, process.os_pid?)))
        .collect();
    let more = names.len().saturating_sub(MAX_NAMES);
    let shown = names[..names.len() - more].join(", ");
    if more > 0 { format!("waiting for {shown} and {more} more") } else { format!("waiting for {shown}") }
}

impl App for Control {
    fn name(&self) -> &str {
        "control"
    }

    fn start(&mut self, _: &mut Cx<'_>) -> Result<()> {
        Ok(())
    }

    fn mail(&mut self, cx: &mut Cx<'_>, message: Box<dyn Any + Send>) {
        match message.downcast::<Message>().map(|message| *message) {
            Ok(Message::Ready) => {
                let status = self.status(cx);
                self.log.info(format_args!("ready: {status}"));
                self.notify(&format!("READY=1\nMAINPID={}\nSTATUS={status}", std::process::id()));
            }
            Ok(Message::Stop(signal)) => self.stop_on(cx, signal),
            Ok(Message::Reload) => self.reload(cx),
            Ok(Message::Reopen) => {
                let logs = [Some(&self.log), self.endpoints.access_log()];
                daemon::reopen(logs.into_iter().flatten(), &self.log);
                if let Err(e) = cx.reopen_logs() {
                    self.log.error(format_args!("{e}; going on in the old one"));
                }
            }
            Err(_) => {}
        }
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Arc<Event>) {
        match (&event.what, &event.job) {
            (What::Flap { next: None, .. }, Some(job)) => drop(self.state.given_up.insert(Arc::clone(job))),
            (What::Start | What::Delete, Some(job)) => drop(self.state.given_up.remove(job)),
            _ => {}
        }
        if cx.is_stopping() {
            self.stopping(cx);
        }
    }

    fn timeout(&mut self, cx: &mut Cx<'_>, _: TimerId) {
        self.log.info(awaited(cx));
        self.state.awaited = Some(cx.set_timer(Instant::now() + AWAITED));
    }
}
