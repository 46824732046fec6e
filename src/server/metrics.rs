//! What the server learns of jobs from their events, for `/metrics`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::process::{Event, Exit, JobName, What};

/// Jobs that are remembered; of those beyond, nothing is counted until others are unloaded.
const MAX_JOBS: usize = 10_000;

/// Different ways of ending that are told apart for each job; further ones count as `other`.
const MAX_ENDINGS: usize = 64;

/// Counts what happens to jobs since the server started. A job's counts end when it is unloaded.
///
/// ```
/// use std::{sync::Arc, time::SystemTime};
/// use gaffer::process::{Event, Exit, Pid, What};
/// use gaffer::server::metrics::Metrics;
///
/// let mut metrics = Metrics::default();
/// let job = Arc::new("web".parse()?);
/// let exit = What::Exit { pid: Pid(1), os_pid: None, instance: 1, exit: Exit::Code(3), once: false };
/// for what in [What::Create, exit] {
///     metrics.observe(&Event::new(SystemTime::now(), Some(Arc::clone(&job)), what));
/// }
/// let (_, web) = metrics.jobs().next().expect("one job");
/// assert_eq!(web.exits().next(), Some((("code", "3"), 1)));
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Metrics {
    jobs: BTreeMap<Arc<JobName>, JobMetrics>,
}

/// What has happened to one job.
#[derive(Debug, Default)]
pub struct JobMetrics {
    spawns: u64,
    /// Most jobs start and run: the rest is there once something else has happened.
    more: Option<Box<More>>,
}

#[derive(Debug, Default)]
struct More {
    flaps: u64,
    exits: BTreeMap<(&'static str, String), u64>,
}

impl Metrics {
    /// Counts an event. The server calls this with every event of the manager, once each.
    pub fn observe(&mut self, event: &Event) {
        let Some(name) = &event.job else { return };
        if event.what == What::Delete {
            self.jobs.remove(name);
            return;
        }
        if let Some(job) = self.jobs.get_mut(name) {
            job.observe(&event.what);
            return;
        }
        // What is left of an unloaded job ends after it.
        let ends = matches!(
            event.what,
            What::Exit { .. } | What::StopPid { .. } | What::Reap { .. } | What::Kill { .. } | What::Stop
        );
        if !ends && self.jobs.len() < MAX_JOBS {
            self.jobs.entry(Arc::clone(name)).or_default().observe(&event.what);
        }
    }

    /// The jobs to which something has happened, by name.
    pub fn jobs(&self) -> impl Iterator<Item = (&JobName, &JobMetrics)> {
        self.jobs.iter().map(|(name, job)| (&**name, job))
    }

    /// What has happened to this job.
    #[must_use]
    pub fn job(&self, name: &JobName) -> Option<&JobMetrics> {
        self.jobs.get(name)
    }
}

impl JobMetrics {
    /// Processes started.
    #[must_use]
    pub const fn spawns(&self) -> u64 {
        self.spawns
    }

    /// How often the flapping rule has paused the job or given it up.
    #[must_use]
    pub const fn flaps(&self) -> u64 {
        match &self.more {
            Some(more) => more.flaps,
            None => 0,
        }
    }

    /// How processes have ended, and how often: `("code", "0")`, `("signal", "SIGKILL")`, `("reason", "not started")`.
    pub fn exits(&self) -> impl Iterator<Item = ((&str, &str), u64)> {
        let exits = self.more.iter().flat_map(|more| &more.exits);
        exits.map(|((kind, value), n)| ((*kind, &**value), *n))
    }

    fn observe(&mut self, what: &What) {
        match what {
            What::Spawn { .. } => self.spawns += 1,
            What::Flap { .. } => self.more.get_or_insert_default().flaps += 1,
            What::Exit { exit, .. } => self.more.get_or_insert_default().count(exit),
            _ => {}
        }
    }
}

impl More {
    fn count(&mut self, exit: &Exit) {
        let mut key = match exit {
            Exit::Code(code) => ("code", code.to_string()),
            Exit::Signal { signal, .. } => ("signal", signal.to_string()),
            Exit::Failed(_) => ("reason", "not started".to_owned()),
            Exit::Lost => ("reason", "lost".to_owned()),
        };
        if self.exits.len() >= MAX_ENDINGS && !self.exits.contains_key(&key) {
            key = ("reason", "other".to_owned());
        }
        *self.exits.entry(key).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{OsPid, Pid, Signal};
    use std::time::SystemTime;

    fn run(events: Vec<What>) -> Metrics {
        let job = Arc::new("web".parse::<JobName>().expect("a name"));
        let mut metrics = Metrics::default();
        for what in events {
            metrics.observe(&Event::new(SystemTime::now(), Some(job.clone()), what));
        }
        metrics
    }

    fn spawn(pid: u64) -> What {
        What::Spawn { pid: Pid(pid), os_pid: OsPid(100), detach: false }
    }

    fn exit(pid: u64, exit: Exit) -> What {
        What::Exit { pid: Pid(pid), os_pid: None, instance: 1, exit, once: false }
    }

    fn kill() -> Exit {
        Exit::Signal { signal: Signal::KILL, core: false }
    }

    #[test]
    fn what_happens_is_counted() {
        let flap = What::Flap { retry: 1, next: None };
        let m = run(vec![spawn(1), exit(1, kill()), spawn(2), exit(2, Exit::Code(0)), flap, spawn(3)]);
        let (_, job) = m.jobs().next().expect("the job");
        assert_eq!((job.spawns(), job.flaps()), (3, 1));
        let exits: Vec<_> = job.exits().collect();
        assert_eq!(exits, [(("code", "0"), 1), (("signal", "SIGKILL"), 1)]);
    }

    #[test]
    fn what_is_unloaded_is_forgotten() {
        let stop = What::StopPid { pid: Pid(1), os_pid: None };
        assert_eq!(run(vec![spawn(1), What::Stop, What::Delete, stop]).jobs().count(), 0);
    }

    #[test]
    fn endings_are_bounded() {
        let m = run([What::Create].into_iter().chain((0..200).map(|code| exit(1, Exit::Code(code)))).collect());
        let (_, job) = m.jobs().next().expect("the job");
        assert_eq!(job.exits().count(), MAX_ENDINGS + 1);
        assert_eq!(job.exits().find(|((kind, _), _)| *kind == "reason"), Some((("reason", "other"), 136)));
    }
}
