//! What somebody has said so far, read in a thread of its own.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use super::SOON;

/// Bytes as they come.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    closed: bool,
}

impl Said {
    /// Reads until the end, or the first error.
    pub(crate) fn by(mut reader: impl Read + Send + 'static) -> Self {
        let said = Self::default();
        let theirs = said.clone();
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                theirs.lock().bytes.extend_from_slice(&buffer[..n]);
                theirs.0.1.notify_all();
            }
            drop(reader);
            theirs.lock().closed = true;
            theirs.0.1.notify_all();
        });
        said
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().expect("nobody panics with it")
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    /// Waits until `enough` is true of all that was said; false after [`SOON`], or if it ended before.
    pub(crate) fn wait(&self, mut enough: impl FnMut(&[u8]) -> bool) -> bool {
        let deadline = Instant::now() + SOON;
        let mut state = self.lock();
        loop {
            if enough(&state.bytes) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                return false;
            }
            state = self.0.1.wait_timeout(state, left).expect("nobody panics with it").0;
        }
    }

    /// Waits for the end; false after [`SOON`].
    pub(crate) fn wait_for_end(&self) -> bool {
        self.wait(|_| false);
        self.lock().closed
    }
}
