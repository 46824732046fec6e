//! The process table: every rule of supervision, as a pure state machine.
//!
//! A [`ProcessTable`] knows sessions, jobs and processes. It does no I/O, owns no descriptor and
//! reads no clock: commands, reports of the world and the time go in, [`Action`]s and events come
//! out. Whoever drives it (the manager, or a test) repeats one turn:
//!
//! 1. call commands and report what happened: [`spawned`](ProcessTable::spawned),
//!    [`exited`](ProcessTable::exited), [`gone`](ProcessTable::gone) …;
//! 2. when [`next_deadline`](ProcessTable::next_deadline) has come, call
//!    [`handle_timeout`](ProcessTable::handle_timeout);
//! 3. carry out every [`next_action`](ProcessTable::next_action) and deliver every
//!    [`next_event`](ProcessTable::next_event) until there are no more. Both queues grow with what
//!    is asked for and not fetched; a turn that fetches them leaves nothing behind.
//!
//! # A process
//!
//! ```text
//!             Action::Spawn            spawned             exited              gone
//!  announced ───────────────▶ Starting ───────▶ Running ───────────▶ Exited ────────▶ ∅
//!     │                          │                 │  exit event        ▲   ▲
//!     │ told to end              │ spawn_failed    │  Action::Reap      │   │ whole group empty;
//!     ▼                          ▼                 │ told to end        │   │ its successor starts
//!     ∅  (no trace, but an       ∅  exit event     ▼  stop signal,CONT  │   │
//!         exit if committed)        (reason)    Stopping ───────────────┘   │
//!                                                  │        exited          │
//!                                                  └── graceful_timeout ──▶ SIGKILL to the group
//! ```
//!
//! "Told to end" is being stopped, surplus (`reap`), or replaced. A process that is told to end
//! while its spawn is not answered gets its stop signal when it is. A process that ends by itself
//! leaves what it started in its group: that gets the stop signal at once, and SIGKILL after the
//! same `graceful_timeout`. After SIGKILL the table waits for `gone` without a deadline.
//!
//! # A job
//!
//! ```text
//!              start_job                 exits too often (flap)
//!   Stopped ───────────────▶ Active ─────────────────────────▶ Flapping
//!    ▲   ▲                    │  ▲                             │ │  │
//!    │   └──── stop_job ──────┘  └── retry_in over, start_job ─┘ │  │
//!    │                               reload, update, restart_job │  │
//!    └──── stop_job ─────────────────────────────────────────────┘  │
//!    └──── given up (flap, stop) ───────────────────────────────────┘
//! ```
//!
//! An active job has `numprocesses` slots. A slot is taken by a living process, or waits: for its
//! last process to be gone (so that ports and the instance number are free), for the back-off, or,
//! where the [restart rule](crate::process::Restart) says so, for ever (until `start_job`,
//! `reload`, `update` or `restart_job` fill up again). Committed processes have no slot.
//!
//! # Rules worth knowing
//!
//! - Only processes that end by themselves count as crashes, for flapping and back-off. One that
//!   was told to end does not, nor does a committed one. A signal sent by
//!   [`kill`](ProcessTable::kill) tells nobody to end: what it kills has crashed.
//! - Where a spawn fails twice in a row and no rule paces the job, a pause of [`SPAWN_PAUSE`] does:
//!   a program that cannot be executed is never tried in a hot loop.
//! - A rolling restart announces the newcomers, waits until each spawn is answered, and tells the
//!   old ones to end. For each newcomer whose spawn failed, or that ended before all were
//!   answered, one old process stays: restarting into a broken binary leaves the service up. Such
//!   failures do not count for flapping. A newcomer that is started counts as good: waiting for it
//!   to prove itself would keep the old ones alive, and a job with a fixed port could never restart.
//! - `reload`, `update` and the pause after a flap replace or stop kept-alive processes only;
//!   `stop_job`, `stopall`, `unload` and `shutdown` mean the committed ones too.
//! - A detached process is left running by [`shutdown`](ProcessTable::shutdown), and only by that.
//! - A report about a process that is not known (any more), or that does not fit, changes nothing.

#![forbid(unsafe_code)]

mod action;
mod command;
mod job;
mod names;
mod pace;
mod process;
mod query;
mod record;
mod report;
mod supervise;
#[cfg(test)]
mod tests;
mod timers;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use action::Action;
pub use command::Commit;
use job::Job;
use names::Names;
use process::{Phase, Process};
use timers::Timers;
pub use view::JobView;

use crate::process::{JobId, JobName, Pid, What};

/// The most processes a job can be asked to keep alive: 10 000.
///
/// A job with twice as many that are not gone yet takes no command that would start more.
pub const MAX_PROCESSES: u32 = 10_000;

/// The most exits a flapping rule can look at: 1 000.
pub const MAX_ATTEMPTS: u32 = 1_000;

/// The shortest pause after the second failed spawn in a row: 0.1 s, whatever the job's rules say.
pub const SPAWN_PAUSE: Duration = Duration::from_millis(100);

/// So much room for events is kept when all have been taken.
const KEPT_EVENTS: usize = 64;

/// Sessions, jobs and processes, and what is to be done about them.
///
/// ```
/// use std::time::Instant;
/// use gaffer::process::{Exit, JobConfig, OsPid};
/// use gaffer::table::{Action, ProcessTable};
///
/// let mut table = ProcessTable::new();
/// let now = Instant::now();
/// table.load(JobConfig::new("web", "httpd")?, true, now)?;
///
/// let Some(Action::Spawn { pid, .. }) = table.next_action() else { panic!() };
/// table.spawned(pid, OsPid(4711), now);
/// table.exited(pid, Exit::Code(1), now);
/// while table.next_action().is_some() {} // signal what it left behind, then collect it
/// table.gone(pid, now);
///
/// assert!(matches!(table.next_action(), Some(Action::Spawn { instance: 1, .. })));
/// let events: Vec<_> = std::iter::from_fn(|| table.next_event()).map(|(_, what)| what.name()).collect();
/// assert_eq!(events, ["create", "start", "spawn", "exit"]);
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Default)]
pub struct ProcessTable {
    /// Every job that is loaded, in load order, and unloaded ones until their processes are gone.
    jobs: BTreeMap<JobId, Box<Job>>,
    names: Names,
    processes: BTreeMap<Pid, Box<Process>>,
    timers: Timers,
    /// Processes whose spawn action was not fetched yet.
    spawns: BTreeSet<Pid>,
    /// Actions of the other kinds.
    actions: VecDeque<Action>,
    events: VecDeque<(Arc<JobName>, What)>,
    last_job: u64,
    last_pid: u64,
    last_start: u64,
    stopping: bool,
    /// How many processes the shutdown has left alone.
    released: usize,
}

impl ProcessTable {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next.
    ///
    /// After a call with `now` it lies after `now`; `None` while nothing is waited for.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The next thing to do, if there is any: signals and reaping in the order they were decided
    /// on, before spawns, oldest first.
    ///
    /// What has become pointless in the meantime (a signal to a process that is gone, the spawn of
    /// one that was stopped) is not handed out.
    pub fn next_action(&mut self) -> Option<Action> {
        while let Some(action) = self.actions.pop_front() {
            let is_valid = match &action {
                Action::Signal { pid, group, .. } => {
                    self.processes.get(pid).is_some_and(|process| *group || process.phase != Phase::Exited)
                }
                Action::Reap { pid, .. } | Action::Spawn { pid, .. } => self.processes.contains_key(pid),
            };
            if is_valid {
                return Some(action);
            }
        }
        let pid = self.spawns.pop_first()?;
        let process = self.processes.get_mut(&pid).expect("an announced process is in the table");
        process.phase = Phase::Spawning;
        Some(Action::Spawn {
            pid,
            job: process.job,
            instance: process.instance,
            config: process.config.clone(),
            env: process.env.clone(),
            once: process.once,
        })
    }

    /// Whether an event waits to be fetched.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether only spawns are left to be done.
    #[must_use]
    pub fn only_spawns_left(&self) -> bool {
        self.actions.is_empty()
    }

    /// Whether an action or event waits to be fetched.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.spawns.is_empty() || !self.actions.is_empty() || !self.events.is_empty()
    }

    /// The next event, in the order in which they happened.
    pub fn next_event(&mut self) -> Option<(Arc<JobName>, What)> {
        let next = self.events.pop_front();
        if self.events.is_empty() && self.events.capacity() > KEPT_EVENTS {
            // The start of hundreds of jobs is not to be paid for ever after.
            self.events = VecDeque::new();
        }
        next
    }
}

impl fmt::Debug for ProcessTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessTable")
            .field("jobs", &self.names.len())
            .field("processes", &self.processes.len())
            .field("stopping", &self.stopping)
            .field("next_deadline", &self.next_deadline())
            .finish_non_exhaustive()
    }
}

const fn assert_send<T: Send + Sync>() {}
const _: () = assert_send::<ProcessTable>();
