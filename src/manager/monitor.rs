//! What processes use, sampled while somebody listens.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::sampling::Asker;
use super::supervisor::no_process;
use super::{Cx, Owner, Supervisor, panic_message};
use crate::event_loop::TimerId;
use crate::process::{JobName, OsPid, Pid, ProcessStats};
use crate::sys::stats::Snapshot;
use crate::{Error, ErrorKind, Result};

/// The shortest interval between two samples of a process.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Whose figures are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// Every process.
    All,
    /// The processes of a job, also those that start later.
    Job(JobName),
    /// One process.
    Process(Pid),
}

/// The figures of one process at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sample {
    /// The job it belongs to.
    pub name: Arc<JobName>,
    /// Its number.
    pub pid: Pid,
    /// The figures; `cpu` is since this monitor's sample before.
    pub stats: ProcessStats,
}

/// A monitor; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonitorId(u64);

type Callback = Box<dyn FnMut(&mut Cx<'_>, &Sample) + Send>;

struct Monitor {
    target: Target,
    interval: Duration,
    /// `None` where the interval goes beyond the clock's end.
    timer: Option<TimerId>,
    /// Out of its place while it is called.
    f: Option<Callback>,
    last: HashMap<Pid, ProcessStats>,
}

/// The monitors.
#[derive(Default)]
pub(super) struct Monitors {
    last: u64,
    map: BTreeMap<MonitorId, Monitor>,
}

impl fmt::Debug for Monitors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.map.iter().map(|(id, monitor)| (id, &monitor.target))).finish()
    }
}

impl Monitors {
    pub(super) fn target(&self, id: MonitorId) -> Option<&Target> {
        self.map.get(&id).map(|monitor| &monitor.target)
    }

    /// Forgets the last samples of all but these.
    pub(super) fn keep(&mut self, id: MonitorId, pids: &[Pid]) {
        if let Some(monitor) = self.map.get_mut(&id) {
            let pids: HashSet<_> = pids.iter().collect();
            monitor.last.retain(|pid, _| pids.contains(pid));
        }
    }
}

impl Cx<'_> {
    /// Samples what the target's processes use every `interval` (at least 0.1 s) and calls `f` with
    /// each, until [`unmonitor`](Supervisor::unmonitor). The first samples come at once, without `cpu`.
    ///
    /// However many processes there are, sampling holds the loop for about a millisecond at a time. An interval that is too
    /// short for all of them is passed over now and then.
    pub fn monitor(
        &mut self,
        target: Target,
        interval: Duration,
        f: impl FnMut(&mut Cx<'_>, &Sample) + Send + 'static,
    ) -> MonitorId {
        let supervisor = &mut *self.supervisor;
        supervisor.monitors.last += 1;
        let id = MonitorId(supervisor.monitors.last);
        let timer = Some(supervisor.io.set_timer(Instant::now(), Owner::Monitor(id)));
        let interval = interval.max(MIN_INTERVAL);
        let monitor = Monitor { target, interval, timer, f: Some(Box::new(f)), last: HashMap::new() };
        supervisor.monitors.map.insert(id, monitor);
        id
    }
}

impl Supervisor {
    /// How many monitors there are.
    #[must_use]
    pub fn monitors(&self) -> usize {
        self.monitors.map.len()
    }

    /// Ends a monitor; false if it had ended. Without monitors nothing is sampled.
    pub fn unmonitor(&mut self, id: MonitorId) -> bool {
        let Some(monitor) = self.monitors.map.remove(&id) else { return false };
        if let Some(timer) = monitor.timer {
            self.io.cancel_timer(timer);
        }
        self.sampling.forget(Asker::Monitor(id));
        true
    }

    /// What the processes of the target use now. Takes as long as the system has processes: about ten
    /// microseconds each, for which the loop is held; [`survey`](Self::survey) does not hold it.
    ///
    /// # Errors
    ///
    /// No such job or process; or the system does not tell.
    pub fn stats(&self, target: &Target) -> Result<Vec<Sample>> {
        self.check_target(target)?;
        let mut snapshot = Snapshot::new().map_err(|e| Error::io("cannot read what processes use", e))?;
        let processes = self.processes_of(target).into_iter();
        Ok(processes.filter_map(|pid| sample(self, &mut snapshot, pid)).collect())
    }

    /// What this program itself uses now, without what its children use.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    pub fn own_stats(&self) -> Result<ProcessStats> {
        const WHAT: &str = "cannot read what this process uses";
        let unsupported = || Error::new(ErrorKind::Unsupported, WHAT);
        let own = OsPid(i32::try_from(std::process::id()).map_err(|_| unsupported())?);
        let mut snapshot = Snapshot::only(own).map_err(|e| Error::io(WHAT, e))?;
        snapshot.sample(own).ok_or_else(unsupported)
    }

    pub(super) fn check_target(&self, target: &Target) -> Result<()> {
        match target {
            Target::Job(name) => self.job_id(name.as_str()).map(drop),
            Target::Process(pid) => self.table.process(*pid).map(drop).ok_or_else(|| no_process(*pid)),
            Target::All => Ok(()),
        }
    }

    pub(super) fn processes_of(&self, target: &Target) -> Vec<Pid> {
        match target {
            Target::All => self.list(),
            Target::Job(name) => self.info(name.as_str()).map(|info| info.processes).unwrap_or_default(),
            Target::Process(pid) => vec![*pid],
        }
    }

    /// A monitor's interval has passed.
    pub(super) fn monitor_due(&mut self, id: MonitorId) {
        let Some(monitor) = self.monitors.map.get_mut(&id) else { return };
        let next = Instant::now().checked_add(monitor.interval);
        monitor.timer = next.map(|at| self.io.set_timer(at, Owner::Monitor(id)));
        self.sampling.ask(Asker::Monitor(id));
    }
}

fn sample(supervisor: &Supervisor, snapshot: &mut Snapshot, pid: Pid) -> Option<Sample> {
    let process = supervisor.table.process(pid)?;
    let stats = snapshot.sample(process.os_pid?)?;
    Some(Sample { name: process.name, pid, stats })
}

pub(super) fn deliver(cx: &mut Cx<'_>, id: MonitorId, mut sample: Sample) {
    let Some(monitor) = cx.monitors.map.get_mut(&id) else { return };
    if let Some(before) = monitor.last.get(&sample.pid) {
        sample.stats.since(before);
    }
    monitor.last.insert(sample.pid, sample.stats.clone());
    let Some(mut f) = monitor.f.take() else { return };
    let mut lent = cx.lend(Owner::Nobody);
    match catch_unwind(AssertUnwindSafe(|| {
        f(&mut lent, &sample);
        f
    })) {
        Ok(f) => {
            if let Some(monitor) = cx.monitors.map.get_mut(&id) {
                monitor.f = Some(f);
            }
        }
        Err(panic) => {
            cx.fault("monitor", &panic_message(&*panic));
            cx.unmonitor(id);
        }
    }
}
