//! A thread that writes, so that a slow reader makes nobody else wait.
//!
//! Making a shared descriptor non-blocking would change it for the user's shell and for every other
//! program on the terminal (the flag belongs to the open file description, open(2)). So the writes
//! block, in a thread of their own that is fed whole buffers.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::sys::writable::wait_writable;
use crate::{Error, ErrorKind, Result};

/// A buffer that has grown beyond this is not used again.
const KEEP: usize = 512 * 1024;

/// Buffers that nobody has needed for so long are given back.
const REST: Duration = Duration::from_secs(1);

/// Writes buffers to a descriptor, in order, from a thread of its own.
///
/// Nothing is lost: partial writes go on, interrupted ones are repeated, and where somebody else has
/// made the descriptor non-blocking the thread polls it. Dropped without
/// [`finish`](Self::finish), the thread writes what was submitted and ends.
pub struct Writer {
    shared: Arc<Shared>,
    /// Taken by `finish` alone.
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Something to do for the thread.
    work: Condvar,
    /// Nothing is left to do.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Vec<u8>>,
    /// A buffer has left the queue and is being written.
    writing: bool,
    /// Empty buffers to use again.
    spare: Vec<Vec<u8>>,
    error: Option<io::Error>,
    /// Somebody waits for room.
    wanted: bool,
    closing: bool,
}

impl State {
    fn in_flight(&self) -> usize {
        self.queue.len() + usize::from(self.writing)
    }
}

impl Writer {
    /// At most so many buffers are on their way.
    pub const IN_FLIGHT: usize = 3;

    /// A writer to `fd`. `wake` is called from its thread when there is room again after a
    /// [`submit`](Self::submit) that was refused, and once when writing has failed.
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub fn new(fd: OwnedFd, wake: impl Fn() + Send + 'static) -> Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), work: Condvar::new(), idle: Condvar::new() });
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("gaffer-writer".to_owned())
            .stack_size(128 * 1024)
            .spawn(move || for_thread.run(&File::from(fd), &wake))
            .map_err(|error| Error::io("cannot start the thread that writes the output", error))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Hands over `buffer`, and leaves an empty one in its place: at once if the thread is idle, and
    /// from `batch` bytes on if it is busy and [`IN_FLIGHT`](Self::IN_FLIGHT) is not reached.
    ///
    /// If not, `false` is returned, `buffer` is as it was, and the waker will be called when it is
    /// worth trying again. After a [failure](Self::failed) buffers are accepted and thrown away.
    #[must_use = "a refused buffer must be submitted again"]
    pub fn submit(&mut self, buffer: &mut Vec<u8>, batch: usize) -> bool {
        let mut state = self.shared.lock();
        if state.error.is_some() {
            buffer.clear();
            return true;
        }
        let in_flight = state.in_flight();
        if in_flight > 0 && (buffer.len() < batch || in_flight >= Self::IN_FLIGHT) {
            state.wanted = true;
            return false;
        }
        let empty = state.spare.pop().unwrap_or_default();
        state.queue.push_back(std::mem::replace(buffer, empty));
        drop(state);
        self.shared.work.notify_one();
        true
    }

    /// Whether a buffer would be taken now, however small it is.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.shared.lock().in_flight() == 0
    }

    /// Why nothing is written any more, if so.
    #[must_use]
    pub fn failed(&self) -> Option<io::Error> {
        self.shared.lock().error.as_ref().map(again)
    }

    /// Writes what was submitted, then `rest`, and ends the thread.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`] if the reader has not taken it all after `timeout`: the thread is
    /// left behind, to end with the process. Otherwise what the system said when writing failed.
    pub fn finish(mut self, rest: Vec<u8>, timeout: Duration) -> Result<()> {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.shared.lock();
        state.closing = true;
        if !rest.is_empty() && state.error.is_none() {
            state.queue.push_back(rest);
        }
        self.shared.work.notify_one();
        while state.in_flight() > 0 {
            let left = deadline.map_or(timeout, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Err(Error::new(ErrorKind::TimedOut, "the output was not taken in time"));
            }
            state = self.shared.idle.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let error = state.error.take();
        drop(state);
        // It has nothing more to do than to return; a panic in it is the waker's.
        drop(self.thread.take().map(JoinHandle::join));
        error.map_or(Ok(()), |error| Err(Error::io("cannot write the output", error)))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, file: &File, wake: &dyn Fn()) {
        let mut state = self.lock();
        loop {
            let Some(mut buffer) = state.queue.pop_front() else {
                if state.closing {
                    return;
                }
                state = if state.spare.is_empty() {
                    self.work.wait(state).unwrap_or_else(PoisonError::into_inner)
                } else {
                    let waited = self.work.wait_timeout(state, REST);
                    let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                    if timeout.timed_out() && state.queue.is_empty() {
                        state.spare = Vec::new();
                    }
                    state
                };
                continue;
            };
            state.writing = true;
            drop(state);
            let result = write_all(file, &buffer);

            state = self.lock();
            state.writing = false;
            if buffer.capacity() <= KEEP && state.spare.len() < Writer::IN_FLIGHT {
                buffer.clear();
                state.spare.push(buffer);
            }
            let mut call = std::mem::take(&mut state.wanted);
            if let Err(error) = result {
                state.error = Some(error);
                state.queue.clear();
                call = true;
            }
            if state.queue.is_empty() {
                self.idle.notify_all();
            }
            if call {
                drop(state);
                wake();
                state = self.lock();
            }
            if state.error.is_some() {
                return;
            }
        }
    }
}

/// Writes all of `rest`, blocking as long as it takes.
fn write_all(mut file: &File, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => wait_writable(file.as_fd())?,
                _ => return Err(error),
            },
        }
    }
    Ok(())
}

/// The same error once more.
fn again(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_one();
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Writer").field("in_flight", &state.in_flight()).field("error", &state.error).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::process::{Child, Command, Stdio};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    const SOON: Duration = Duration::from_secs(20);

    /// A pipe: what goes into the first comes out of the other, through `cat`.
    fn pipe() -> (OwnedFd, impl Read, Child) {
        let mut cat =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("cat can be started");
        let input = cat.stdin.take().expect("piped").into();
        let output = cat.stdout.take().expect("piped");
        (input, output, cat)
    }

    /// Numbers, so that anything lost, doubled or out of order is seen.
    fn numbers(buffer: &mut Vec<u8>, from: u32, count: u32) {
        for n in from..from + count {
            writeln!(buffer, "{n}").expect("a Vec takes everything");
        }
    }

    #[track_caller]
    fn check_numbers(text: &str, count: u32) {
        let mut lines = text.lines();
        for n in 0..count {
            assert_eq!(lines.next(), Some(n.to_string().as_str()));
        }
        assert_eq!(lines.next(), None);
    }

    /// Submits until the writer refuses and the waker was called, over and over; nothing is lost.
    fn nothing_is_lost(fd: OwnedFd, mut from: impl Read + Send + 'static) {
        let (wake, woken) = mpsc::channel();
        let mut writer = Writer::new(fd, move || wake.send(()).unwrap_or(())).expect("a thread");
        let (begin, begun) = mpsc::channel::<()>();
        let reader = thread::spawn(move || {
            // The reader sleeps until the writer has been refused.
            begun.recv().expect("told to begin");
            let mut text = String::new();
            from.read_to_string(&mut text).expect("read");
            text
        });
        let (mut buffer, mut next, mut refused) = (Vec::new(), 0, 0);
        while next < 300_000 {
            numbers(&mut buffer, next, 1000);
            next += 1000;
            while buffer.len() > 64 * 1024 && !writer.submit(&mut buffer, 1) {
                refused += 1;
                begin.send(()).unwrap_or(());
                woken.recv_timeout(SOON).expect("woken when there is room");
            }
        }
        assert!(refused > 0, "a reader that sleeps must be felt");
        writer.finish(buffer, SOON).expect("finished");
        check_numbers(&reader.join().expect("read"), 300_000);
    }

    #[test]
    fn a_slow_pipe() {
        let (input, output, mut cat) = pipe();
        nothing_is_lost(input, output);
        cat.wait().expect("cat ends");
    }

    #[test]
    fn a_descriptor_made_non_blocking_by_others() {
        let (input, output) = UnixStream::pair().expect("a socket pair");
        input.set_nonblocking(true).expect("non-blocking");
        nothing_is_lost(input.into(), output);
    }

    #[test]
    fn a_closed_pipe_is_told_once_and_swallows_the_rest() {
        let (input, output, mut cat) = pipe();
        cat.kill().expect("killed");
        cat.wait().expect("reaped");
        drop(output);
        let calls = Arc::new(AtomicUsize::new(0));
        let (wake, woken) = mpsc::channel();
        let mut writer = Writer::new(input, {
            let calls = Arc::clone(&calls);
            move || {
                calls.fetch_add(1, Ordering::SeqCst);
                wake.send(()).unwrap_or(());
            }
        })
        .expect("a thread");
        assert!(writer.failed().is_none());
        assert!(writer.submit(&mut b"hello".to_vec(), 0));
        woken.recv_timeout(SOON).expect("woken by the failure");
        assert_eq!(writer.failed().map(|e| e.kind()), Some(io::ErrorKind::BrokenPipe));
        for _ in 0..10 {
            let mut buffer = vec![b'x'; 100_000];
            assert!(writer.submit(&mut buffer, 0));
            assert!(buffer.is_empty());
        }
        let error = writer.finish(b"more".to_vec(), SOON).expect_err("broken");
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_reader_that_never_reads_does_not_hold_the_end() {
        let (input, output) = UnixStream::pair().expect("a socket pair");
        let mut writer = Writer::new(input.into(), || {}).expect("a thread");
        assert!(writer.submit(&mut vec![b'x'; 8 << 20], 0));
        assert!(!writer.is_idle());
        let begin = Instant::now();
        let error = writer.finish(Vec::new(), Duration::from_millis(50)).expect_err("not taken");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(begin.elapsed() < SOON);
        // The thread left behind ends with its reader.
        drop(output);
    }

    #[test]
    fn dropped_it_still_writes_what_it_has() {
        let (input, mut output) = UnixStream::pair().expect("a socket pair");
        let mut writer = Writer::new(input.into(), || {}).expect("a thread");
        assert!(writer.submit(&mut b"last words".to_vec(), 0));
        drop(writer);
        let mut text = String::new();
        output.read_to_string(&mut text).expect("the descriptor is closed in the end");
        assert_eq!(text, "last words");
    }
}
