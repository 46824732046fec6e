//! What the table wants done.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::process::{JobConfig, JobId, OsPid, Pid, Signal};

/// Something the manager has to carry out; fetched by
/// [`next_action`](super::ProcessTable::next_action).
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start a process, then answer with [`spawned`](super::ProcessTable::spawned) or
    /// [`spawn_failed`](super::ProcessTable::spawn_failed), now or later.
    Spawn {
        /// The number it is announced under.
        pid: Pid,
        /// The job it belongs to.
        job: JobId,
        /// The N of `label.N`, for `PORT` and `PS`.
        instance: u32,
        /// The definition to start it with.
        config: Arc<JobConfig>,
        /// Variables of this process alone, from a commit; they win over the definition's.
        env: BTreeMap<String, String>,
        /// Whether it is committed: one run, not replaced.
        once: bool,
    },
    /// Send a signal. A target that no longer exists is no error.
    Signal {
        /// The process it is for.
        pid: Pid,
        /// Its system's number, which is the number of its process group too.
        os_pid: OsPid,
        /// The signal.
        signal: Signal,
        /// To the whole process group, not to the process alone.
        group: bool,
        /// Send SIGCONT after it, so that a stopped process sees it.
        cont: bool,
    },
    /// Collect the exit status of a process that has ended, which gives its number back to the
    /// system; then call [`gone`](super::ProcessTable::gone) as soon as its group is empty.
    Reap {
        /// The process.
        pid: Pid,
        /// Its system's number.
        os_pid: OsPid,
    },
}
