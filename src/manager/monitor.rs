//! What processes use, sampled while somebody listens.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::supervisor::no_process;
use super::{Cx, Owner, Supervisor, panic_message};
use crate::event_loop::TimerId;
use crate::process::{JobName, OsPid, Pid, ProcessStats};
use crate::sys::stats::Snapshot;
use crate::{Error, ErrorKind, Result};

/// The shortest interval between two samples of a process.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// How long sampling may hold the loop in one turn; what is left comes in the next.
const BUDGET: Duration = Duration::from_millis(1);

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

/// The monitors, and what of their work is left.
#[derive(Default)]
pub(super) struct Monitors {
    last: u64,
    map: BTreeMap<MonitorId, Monitor>,
    due: VecDeque<(MonitorId, Pid)>,
    /// The look through the system that the due samples are taken from, and whether it is complete.
    /// Dropped when nothing is due.
    snapshot: Option<(Snapshot, bool)>,
}

impl fmt::Debug for Monitors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.map.iter().map(|(id, monitor)| (id, &monitor.target))).finish()
    }
}

impl Monitors {
    pub(super) fn has_work(&self) -> bool {
        !self.due.is_empty()
    }
}

impl Cx<'_> {
    /// Samples what the target's processes use every `interval` (at least 0.1 s) and calls `f` with
    /// each, until [`unmonitor`](Supervisor::unmonitor). The first samples come at once, without `cpu`.
    ///
    /// However many processes there are, sampling holds the loop for about a millisecond at a time.
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
        self.monitors.due.retain(|(due, _)| *due != id);
        true
    }

    /// What the processes of the target use now. Takes as long as the system has processes: about ten
    /// microseconds each.
    ///
    /// # Errors
    ///
    /// No such job or process; or the system does not tell.
    pub fn stats(&self, target: &Target) -> Result<Vec<Sample>> {
        match target {
            Target::Job(name) => drop(self.info(name.as_str())?),
            Target::Process(pid) => drop(self.table.process(*pid).ok_or_else(|| no_process(*pid))?),
            Target::All => {}
        }
        let mut snapshot = Snapshot::new().map_err(|e| Error::io("cannot read what processes use", e))?;
        let processes = self.processes_of(target).into_iter();
        Ok(processes.filter_map(|pid| sample(self, &mut snapshot, pid)).collect())
    }

    /// What this program itself uses now, and its children, those it supervises among them.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    pub fn own_stats(&self) -> Result<ProcessStats> {
        const WHAT: &str = "cannot read what this process uses";
        let mut snapshot = Snapshot::new().map_err(|e| Error::io(WHAT, e))?;
        let own = i32::try_from(std::process::id()).ok();
        own.and_then(|own| snapshot.sample(OsPid(own))).ok_or_else(|| Error::new(ErrorKind::Unsupported, WHAT))
    }

    fn processes_of(&self, target: &Target) -> Vec<Pid> {
        match target {
            Target::All => self.list(),
            Target::Job(name) => self.info(name.as_str()).map(|info| info.processes).unwrap_or_default(),
            Target::Process(pid) => vec![*pid],
        }
    }

    /// A monitor's interval has passed: its processes are due.
    pub(super) fn monitor_due(&mut self, id: MonitorId) {
        let Some(monitor) = self.monitors.map.get(&id) else { return };
        let pids = self.processes_of(&monitor.target);
        let Some(monitor) = self.monitors.map.get_mut(&id) else { return };
        monitor.last.retain(|pid, _| pids.contains(pid));
        let next = Instant::now().checked_add(monitor.interval);
        monitor.timer = next.map(|at| self.io.set_timer(at, Owner::Monitor(id)));
        // Those of the time before that are still due are done once, not twice.
        self.monitors.due.retain(|(due, _)| *due != id);
        self.monitors.due.extend(pids.into_iter().map(|pid| (id, pid)));
    }
}

/// Takes the samples that are due, as far as this turn's share of time goes.
pub(super) fn work(cx: &mut Cx<'_>) {
    if cx.monitors.due.is_empty() {
        return;
    }
    let deadline = Instant::now() + BUDGET;
    let (mut snapshot, mut complete) = match cx.monitors.snapshot.take() {
        Some(kept) => kept,
        None => match Snapshot::begin() {
            Ok(snapshot) => (snapshot, false),
            Err(e) => return give_up(cx, &e),
        },
    };
    if !complete {
        match snapshot.advance(deadline) {
            Ok(done) => complete = done,
            Err(e) => return give_up(cx, &e),
        }
    }
    while complete && Instant::now() < deadline {
        let Some((id, pid)) = cx.monitors.due.pop_front() else { break };
        if let Some(sample) = sample(cx, &mut snapshot, pid) {
            deliver(cx, id, sample);
        }
    }
    if cx.monitors.has_work() {
        cx.monitors.snapshot = Some((snapshot, complete));
    }
}

/// Where the system does not tell, the monitors' next interval asks again.
fn give_up(cx: &mut Cx<'_>, error: &std::io::Error) {
    cx.monitors.due.clear();
    cx.fault("monitor", &format!("cannot read what processes use: {error}"));
}

fn sample(supervisor: &Supervisor, snapshot: &mut Snapshot, pid: Pid) -> Option<Sample> {
    let process = supervisor.table.process(pid)?;
    let stats = snapshot.sample(process.os_pid?)?;
    Some(Sample { name: process.name, pid, stats })
}

fn deliver(cx: &mut Cx<'_>, id: MonitorId, mut sample: Sample) {
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
