//! Old log files are deleted by another thread: to free the blocks of a large file takes a file system tens of
//! milliseconds, in which the loop would serve nobody.
//!
//! Its name is free at once, since the file is renamed: that of `web.log` to `.web.log.doomed-1`, beside it. Whoever
//! opens `web.log` next deletes what has such a name, so it does not matter when this program ends.
//!
//! The thread is there only while there is something to do. It takes one file after the other, in the order in
//! which they were doomed. A log of which [`FULL`] files wait gets no more output until one is gone, so that the disk
//! holds so many more than it should at most; its programs wait.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::event_loop::Waker;

/// One is being deleted, one waits: so neither the disk nor the programs have a pause.
const FULL: u32 = 2;

/// So many names there are: one piece of output may be more than two small files. Beyond it the loop deletes.
const NAMES: u32 = u8::BITS;

/// What deletes; clones are the same.
#[derive(Clone)]
pub(super) struct Disposal(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Of the loop.
    waker: Waker,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Task>,
    /// There is a thread, until it has found the queue empty.
    working: bool,
    /// The loop waits for something to be gone.
    awaited: bool,
}

enum Task {
    /// Deletes the file of this number.
    Delete(Arc<Names>, u32),
    /// Closes a file that was deleted by another program, and is gone with that.
    Close(File),
}

/// The names of one log's doomed files.
struct Names {
    log: PathBuf,
    /// Those in use, a bit each. Bits are set by the loop, and cleared with the state locked.
    used: AtomicU8,
}

impl Names {
    fn path(&self, n: u32) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.log.file_name().unwrap_or_default());
        name.push(format!(".doomed-{}", n + 1));
        self.log.with_file_name(name)
    }

    fn count(&self) -> u32 {
        self.used.load(Ordering::SeqCst).count_ones()
    }
}

/// Where the old files of one log go.
pub(super) struct Bin {
    names: Arc<Names>,
    disposal: Disposal,
}

/// A file that was renamed, and is to be [deleted](Bin::delete).
#[must_use]
pub(super) struct Doomed(u32);

/// Whether a file of that name would be deleted as one of the log's.
pub(super) fn is_doomed_of(file: &Path, log: &Path) -> bool {
    let names = Names { log: log.to_owned(), used: AtomicU8::new(0) };
    (0..NAMES).any(|n| names.path(n) == file)
}

impl Disposal {
    pub(super) fn new(waker: Waker) -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), waker }))
    }

    /// For a log; what was left of its doomed files goes.
    pub(super) fn bin(&self, log: &Path) -> Bin {
        let names = Arc::new(Names { log: log.to_owned(), used: AtomicU8::new(0) });
        let bin = Bin { names, disposal: self.clone() };
        for n in 0..NAMES {
            if fs::symlink_metadata(bin.names.path(n)).is_ok() {
                bin.names.used.fetch_or(1 << n, Ordering::SeqCst);
                bin.delete(Doomed(n));
            }
        }
        bin
    }

    /// Waits until all is done; false if that takes longer.
    pub(super) fn wait(&self, until: Instant) -> bool {
        let mut state = self.0.lock();
        while state.working {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn put(&self, task: Task) {
        let mut state = self.0.lock();
        state.queue.push_back(task);
        if state.working {
            return;
        }
        let shared = Arc::clone(&self.0);
        let thread = thread::Builder::new().name("old-logs".to_owned()).spawn(move || shared.work());
        state.working = thread.is_ok();
        if thread.is_err() {
            // Then it is slow.
            drop(state);
            self.0.work();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each of its fields is right by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.lock();
        while let Some(task) = state.queue.pop_front() {
            drop(state);
            let done = match task {
                Task::Delete(names, n) => {
                    // One that cannot be deleted is, when its name is needed again or its log opened again.
                    let _ = fs::remove_file(names.path(n));
                    Some((names, n))
                }
                Task::Close(file) => {
                    drop(file);
                    None
                }
            };
            state = self.lock();
            if let Some((names, n)) = done {
                names.used.fetch_and(!(1 << n), Ordering::SeqCst);
            }
            if std::mem::take(&mut state.awaited) {
                self.waker.wake();
            }
        }
        state.working = false;
        drop(state);
        self.changed.notify_all();
    }
}

impl Bin {
    /// Renames a file of the log to one that is to be deleted. None if that cannot be, or too many are on their way.
    pub(super) fn doom(&self, path: &Path) -> Option<Doomed> {
        let n = self.names.used.load(Ordering::SeqCst).trailing_ones();
        // A folder is none of ours.
        if n >= NAMES || !fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()) {
            return None;
        }
        fs::rename(path, self.names.path(n)).ok()?;
        self.names.used.fetch_or(1 << n, Ordering::SeqCst);
        Some(Doomed(n))
    }

    /// Deletes it, some time soon.
    pub(super) fn delete(&self, doomed: Doomed) {
        self.disposal.put(Task::Delete(Arc::clone(&self.names), doomed.0));
    }

    /// Gives it its name back.
    pub(super) fn restore(&self, doomed: Doomed, path: &Path) {
        if fs::rename(self.names.path(doomed.0), path).is_ok() {
            self.names.used.fetch_and(!(1 << doomed.0), Ordering::SeqCst);
        }
    }

    /// Deletes a file of the log, some time soon if that can be; false if it stays.
    pub(super) fn dispose(&self, path: &Path) -> bool {
        match self.doom(path) {
            Some(doomed) => {
                self.delete(doomed);
                true
            }
            None => fs::remove_file(path).is_ok(),
        }
    }

    /// Closes a file that nobody else has.
    pub(super) fn close(&self, file: File) {
        self.disposal.put(Task::Close(file));
    }

    /// Whether so many wait that one should be gone before another comes; then the loop is woken when one is.
    pub(super) fn is_full(&self) -> bool {
        if self.names.count() < FULL {
            return false;
        }
        let mut state = self.disposal.0.lock();
        // None is gone while this is locked.
        let is_full = self.names.count() >= FULL;
        state.awaited |= is_full;
        is_full
    }
}

impl fmt::Debug for Disposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("Disposal").field("queue", &state.queue.len()).field("working", &state.working).finish()
    }
}

impl fmt::Debug for Bin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bin").field("log", &self.names.log).field("files", &self.names.count()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_loop::{EventLoop, Ready};

    #[test]
    fn two_may_wait_and_then_the_loop_is_told() {
        let folder = std::env::temp_dir().join(format!("gaffer-disposal-{}", std::process::id()));
        fs::create_dir(&folder).expect("a folder");
        let log = folder.join("log");
        let mut io: EventLoop<()> = EventLoop::new().expect("a loop");
        let disposal = Disposal::new(io.waker());
        // As if the thread was busy.
        disposal.0.lock().working = true;
        let bin = disposal.bin(&log);
        let put = |bin: &Bin| {
            fs::write(&log, "x").expect("write");
            bin.dispose(&log)
        };
        assert!(put(&bin) && !bin.is_full() && put(&bin) && bin.is_full());
        assert!(!disposal.wait(Instant::now()), "it waits for the thread");
        // More are taken where it must be, and beyond all names they go at once.
        assert!((0..8).all(|_| put(&bin)));
        let left = |folder: &Path| fs::read_dir(folder).expect("a folder").count();
        assert_eq!((left(&folder), disposal.0.lock().queue.len()), (8, 8));
        assert!(bin.doom(&folder).is_none() && bin.doom(&log).is_none(), "no file");
        let mut ready = Vec::new();
        disposal.0.work();
        io.turn(None, &mut ready).expect("woken");
        assert!(matches!(ready[..], [Ready::Woken]), "{ready:?}");
        assert!(!bin.is_full() && disposal.wait(Instant::now()));
        assert_eq!(left(&folder), 0);
        fs::remove_dir(&folder).expect("remove");
    }
}
