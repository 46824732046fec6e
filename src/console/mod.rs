//! What the programs say, on a terminal or as JSON lines.
//!
//! ```text
//! 14:03:59 web.1    | spawn process with pid 4711
//! 14:03:59 web.1    | listening on 5000
//! 14:04:02 worker.1 | exit process with pid 4712 (code 1)
//! ```
//!
//! [`Console`] is three parts: a splitter of lines for each stream of each process
//! ([`proto::lines`](crate::proto::lines)), a [`Printer`] that turns lines and events into bytes
//! without doing any I/O, and a [`Writer`], a thread that writes them and may wait for a slow
//! terminal while the event loop goes on.
//!
//! # Text
//!
//! - A line of a program passes as it is, whatever its bytes, behind `HH:MM:SS name.N | `. The
//!   time is local. stdout and stderr look the same.
//! - `\r\n` ends a line as `\n` does. A lone `\r` (a progress bar) ends it too: each update is a
//!   line, since it would else overwrite the prefix, or the line of another program.
//! - A line that is silent for [`SILENCE`] is shown unfinished, as is one of more than 64 KiB; what
//!   follows goes on in the same row, unless somebody else has written since: then it gets a row
//!   and a prefix of its own.
//! - With colours, the prefix has the colour of its process type, and so have events. Colours that
//!   a program leaves switched on are switched off at the end of the line and on again in its next.
//! - `pid` in events is the system's number, as in gaffer 0.4: the one that `ps` shows.
//!
//! # JSON
//!
//! One object a line; `time` is UNIX seconds, `pid` the manager's number, `os_pid` the system's:
//!
//! ```json
//! {"time":1700000000.123456,"name":"web.1","pid":1,"os_pid":4711,"stream":"stdout","text":"hello"}
//! {"time":1700000000.223456,"name":"web.1","pid":1,"os_pid":4711,"stream":"stderr","base64":"/w=="}
//! {"time":1700000001.000001,"event":"exit","name":"web.1","pid":1,"os_pid":4711,"exit_status":1, ...}
//! ```
//!
//! Bytes that are not UTF-8 are in `base64` instead of `text`. `"end"` tells what ended the text
//! where that was not a newline: `crlf`, `cr`, or `cut` and `partial` where the line goes on. The
//! object that goes on has `"continues":true`; put together they are the program's output.
//!
//! # Bounds
//!
//! Nothing is dropped. When the reader is slow, [`Console::output`] accepts what it is given and
//! answers [`Flow::Pause`]: stop reading from the programs, so that they wait, until
//! [`Console::writer_ready`] answers [`Flow::Continue`]. At most [`Writer::IN_FLIGHT`] buffers and
//! [`LIMIT`] bytes wait, and what the one call that went over the limit has brought; beside them up
//! to 64 KiB of an unfinished line for each stream.

#![forbid(unsafe_code)]

mod app;
mod clock;
mod event;
mod json;
mod palette;
mod printer;
mod row;
mod writer;

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime};

pub use app::{ConsoleOutput, Outcome};
pub use event::Verbosity;
pub use printer::{Printer, SILENCE, STILL_TALKING};
pub use writer::Writer;

use crate::Result;
use crate::process::{Event, OsPid, Pid};

/// So many bytes make a buffer worth handing to a writer that is busy.
const BATCH: usize = 64 * 1024;

/// With so many bytes waiting for the writer, [`Console::output`] answers [`Flow::Pause`].
pub const LIMIT: usize = 256 * 1024;

/// How a [`Console`] looks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// JSON lines instead of text. Default false.
    pub json: bool,
    /// Colours; JSON has none. Default false.
    pub color: bool,
    /// The time at the start of each line; JSON always has it. Default true.
    pub timestamp: bool,
    /// Which events are shown. Default [`Verbosity::Normal`].
    pub verbosity: Verbosity,
}

impl Default for Options {
    fn default() -> Self {
        Self { json: false, color: false, timestamp: true, verbosity: Verbosity::Normal }
    }
}

impl Options {
    /// Sets [`json`](Self::json).
    #[must_use]
    pub const fn json(mut self, json: bool) -> Self {
        self.json = json;
        self
    }

    /// Sets [`color`](Self::color).
    #[must_use]
    pub const fn color(mut self, color: bool) -> Self {
        self.color = color;
        self
    }

    /// Sets [`timestamp`](Self::timestamp).
    #[must_use]
    pub const fn timestamp(mut self, timestamp: bool) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// Sets [`verbosity`](Self::verbosity).
    #[must_use]
    pub const fn verbosity(mut self, verbosity: Verbosity) -> Self {
        self.verbosity = verbosity;
        self
    }
}

/// The present, by both clocks: one for the user's eye, one for deadlines.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The time of day.
    pub wall: SystemTime,
    /// The clock that never jumps.
    pub instant: Instant,
}

impl Now {
    /// Reads both clocks.
    #[must_use]
    pub fn read() -> Self {
        Self { wall: SystemTime::now(), instant: Instant::now() }
    }

    /// The time of day in the local time zone, `HH:MM:SS`.
    #[must_use]
    pub fn clock(self) -> String {
        String::from_utf8_lossy(&clock::Clock::new().text(self.wall)).into_owned()
    }
}

/// What the caller should do about the programs' output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// Go on reading.
    Continue,
    /// Read no program's output until [`Console::writer_ready`] says [`Flow::Continue`].
    Pause,
}

/// Programs' output and the manager's events, written in turn to one descriptor.
#[derive(Debug)]
pub struct Console {
    printer: Printer,
    writer: Writer,
}

impl Console {
    /// A console that writes to `fd` from a thread of its own.
    ///
    /// `wake` is called from that thread when [`writer_ready`](Self::writer_ready) should be: it
    /// should do no more than wake the event loop.
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub fn new(options: Options, fd: OwnedFd, wake: impl Fn() + Send + 'static) -> Result<Self> {
        Ok(Self { printer: Printer::new(options), writer: Writer::new(fd, wake)? })
    }

    /// Makes the column wide enough for `name` (`web.1`), so that it need not move later.
    pub fn reserve(&mut self, name: &str) {
        self.printer.reserve(name);
    }

    /// See [`Printer::process`].
    pub fn process(&mut self, pid: Pid, os_pid: Option<OsPid>, label: &str, instance: u32) {
        self.printer.process(pid, os_pid, label, instance);
    }

    /// See [`Printer::forget`].
    pub fn forget(&mut self, pid: Pid, now: Now) -> Flow {
        self.printer.forget(pid, now);
        self.pump()
    }

    /// Shows `bytes` that the process `pid` has written to `stream` (`stdout`, `stderr`). They are
    /// accepted whatever the answer.
    pub fn output(&mut self, pid: Pid, stream: &str, bytes: &[u8], now: Now) -> Flow {
        self.printer.output(pid, stream, bytes, now);
        self.pump_or_pause()
    }

    /// The stream has ended: shows what was left of its last line.
    pub fn closed(&mut self, pid: Pid, stream: &str, now: Now) -> Flow {
        self.printer.closed(pid, stream, now);
        self.pump_or_pause()
    }

    /// See [`Printer::event`].
    pub fn event(&mut self, event: &Event, instance: Option<u32>) -> Flow {
        self.printer.event(event, instance);
        self.pump()
    }

    /// See [`Printer::notice`].
    pub fn notice(&mut self, text: &str, now: Now) -> Flow {
        self.printer.notice(text, now);
        self.pump()
    }

    /// When [`timeout`](Self::timeout) should be called, if ever; it may turn out to be early.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.printer.deadline()
    }

    /// Shows the unfinished lines that have been silent for long enough.
    pub fn timeout(&mut self, now: Now) -> Flow {
        self.printer.timeout(now);
        self.pump()
    }

    /// The writer has room again (the waker was called): hands on what has waited.
    pub fn writer_ready(&mut self) -> Flow {
        let flow = self.pump();
        if flow == Flow::Continue {
            self.printer.resume(Now::read());
        }
        flow
    }

    /// Why nothing can be written any more, if so. A broken pipe is the quiet end: the reader has
    /// had enough. Output is accepted and thrown away from here on.
    #[must_use]
    pub fn failed(&self) -> Option<io::Error> {
        self.writer.failed()
    }

    /// Writes everything, unfinished lines included, and ends the thread.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) if the reader has not taken it after
    /// `timeout`; or what the system said ([`ErrorKind::Closed`](crate::ErrorKind::Closed) for a
    /// broken pipe).
    pub fn finish(mut self, now: Now, timeout: Duration) -> Result<()> {
        self.printer.finish(now);
        self.writer.finish(std::mem::take(self.printer.buffer()), timeout)
    }

    /// The answer about output is heeded.
    fn pump_or_pause(&mut self) -> Flow {
        let flow = self.pump();
        if flow == Flow::Pause {
            self.printer.pause();
        }
        flow
    }

    fn pump(&mut self) -> Flow {
        let buffer = self.printer.buffer();
        if buffer.is_empty() || self.writer.submit(buffer, BATCH) || buffer.len() < LIMIT {
            Flow::Continue
        } else {
            Flow::Pause
        }
    }
}

#[cfg(test)]
mod tests;
