//! What programs have written lately, kept in memory.
//!
//! A [`History`] is a handle: clones of it are the same history. Its [`Recorder`], an app, fills it; whoever has the
//! handle reads it, in the loop or from another thread. The HTTP server answers `/logs` from it.
//!
//! ```
//! use gaffer::Manager;
//! use gaffer::history::{History, Limits, Query};
//! use gaffer::process::{JobConfig, Restart};
//!
//! let history = History::new(Limits::default());
//! let mut manager = Manager::new()?;
//! manager.add_app(history.recorder());
//! let job = JobConfig::new("hello", "printf 'hello\nworld\n'")?.redirect_output(["out"]).restart(Restart::Never);
//! manager.load(job, true)?;
//! manager.cx().once("exit", |cx, _, _| cx.stop());
//! manager.run()?;
//!
//! let records = history.read(&Query::default()).records;
//! assert_eq!(records[1].data, b"world\n");
//! # Ok::<(), gaffer::Error>(())
//! ```
//!
//! # Bounds
//!
//! Each stream has a ring, made with its first byte, that grows up to [`Limits::stream`]; the job's `log_history` wins over
//! that. All rings together have [`Limits::total`]: at it, the stream whose output is the oldest gives some of it up, whether
//! its process lives or not. Rings of processes that have ended stay, so that their last words can be read, for [`Limits::ended`]
//! processes; beyond that the oldest goes of the job that has most of them. The notes of when output came count as output does.
//!
//! A stream that goes to a log file as it is (`stdout_logfile` …) has no ring: its bytes need not pass through this
//! process at all, and the file has them; [`History::read_with_files`] reads its end.

#![forbid(unsafe_code)]

mod files;
mod position;
mod query;
mod recorder;
mod ring;
mod store;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

pub(crate) use position::{Key, Position};
pub use query::{JobPattern, Query};
pub use recorder::Recorder;

use crate::manager::StreamOrigin;
use crate::process::{JobConfig, LogFormat, Outlet};
use store::Store;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of each stream, for jobs that do not say it themselves; 0 keeps nothing. Default: 64 KiB.
    pub stream: usize,
    /// Bytes of all streams. Default: 16 MiB.
    pub total: usize,
    /// Processes that have ended. Default: 100.
    pub ended: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { stream: 64 << 10, total: 16 << 20, ended: 100 }
    }
}

impl Limits {
    /// Sets [`stream`](Self::stream).
    #[must_use]
    pub const fn stream(mut self, bytes: usize) -> Self {
        self.stream = bytes;
        self
    }

    /// Sets [`total`](Self::total).
    #[must_use]
    pub const fn total(mut self, bytes: usize) -> Self {
        self.total = bytes;
        self
    }

    /// Sets [`ended`](Self::ended).
    #[must_use]
    pub const fn ended(mut self, processes: usize) -> Self {
        self.ended = processes;
        self
    }
}

/// A line of output.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Record {
    /// When its first byte came.
    pub time: SystemTime,
    /// Where it comes from.
    pub origin: StreamOrigin,
    /// The line with its line feed; without one if it is not finished.
    pub data: Vec<u8>,
    /// Its place in the order of all, and the bytes of its stream up to its end; not of what was in a file.
    pub(crate) place: Option<(u64, u64)>,
}

/// What a [`Query`] has found.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// In the order in which they came, of all streams.
    pub records: Vec<Record>,
    /// There was more than [`Query::bytes`].
    pub is_cut: bool,
}

impl Snapshot {
    /// Leaves the newest records that a query allows.
    fn cut(&mut self, query: &Query) {
        let (mut room, mut left) = (query.bytes, 0);
        for record in self.records.iter().rev() {
            let cost = record.data.len() + store::RECORD;
            if left == query.lines {
                break;
            }
            if cost > room && left > 0 {
                self.is_cut = true;
                break;
            }
            room = room.saturating_sub(cost);
            left += 1;
        }
        self.records.drain(..self.records.len() - left);
    }
}

/// The last output of all streams. Clones are the same history.
#[derive(Clone, Debug)]
pub struct History(Arc<Mutex<Store>>);

impl History {
    /// An empty one.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(Store::new(limits))))
    }

    /// The app that fills it. One manager needs one.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        Recorder::new(self.clone())
    }

    /// The newest lines that a query selects.
    #[must_use]
    pub fn read(&self, query: &Query) -> Snapshot {
        self.lock().read(query)
    }

    /// Its bounds.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.lock().limits
    }

    /// Other bounds, at once. Where nothing was kept before, processes that run already stay without a ring.
    pub fn set_limits(&self, limits: Limits) {
        self.lock().set_limits(limits);
    }

    /// The memory it uses, in bytes, and how many streams it knows.
    #[must_use]
    pub fn usage(&self) -> (usize, usize) {
        let store = self.lock();
        (store.memory(), store.streams())
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        // It is consistent between any two of its statements that can fail.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a stream of such a job is kept in memory: not if all it does is go to a file as it is.
///
/// With another format than [`LogFormat::Raw`] the bytes pass through this process anyway; and what goes to
/// `/dev/stdout` cannot be read again.
#[must_use]
pub fn wants_history(config: &JobConfig, label: &str) -> bool {
    let direct = |outlet: &Outlet<'_>| outlet.logfile.is_some_and(|path| !path.starts_with("/dev"));
    config.log_format != LogFormat::Raw || !config.outlets().iter().any(|o| o.label == label && direct(o))
}

#[cfg(test)]
mod tests;
