//! The console as an application of the manager.

use std::collections::HashMap;
use std::fmt;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Console, Flow as ConsoleFlow, Now, Options};
use crate::event_loop::{Interest, Readiness, Source, SourceId, TimerId};
use crate::manager::{App, Cx, Flow, StreamChunk, StreamData, StreamSelector, TapId};
use crate::process::{Event, Pid, ProcessInfo, What};
use crate::{Error, ErrorKind, Result};

/// How long the end waits for a reader that does not take the last lines.
const FINISH: Duration = Duration::from_secs(30);

/// While the manager stops, the console says this often who is still awaited.
const AWAITED: Duration = Duration::from_secs(5);

/// So many of those that are awaited are named.
const NAMED: usize = 10;

/// Shows what all programs write and what happens to them, on one descriptor.
///
/// A slow reader makes the programs wait; when it has gone (`EPIPE`), or the console cannot be written for another reason, the manager is
/// stopped, unless [`on_failure`](Self::on_failure) says what to do instead. While the manager stops, a line says who is awaited, at once
/// and every five seconds.
pub struct ConsoleOutput {
    options: Options,
    output: bool,
    fd: Option<OwnedFd>,
    reserved: Vec<String>,
    console: Option<Console>,
    /// Readable when the console's writer wants to be asked again.
    wake: Option<Source<UnixStream>>,
    tap: Option<TapId>,
    silence: Option<TimerId>,
    awaited: Option<TimerId>,
    processes: HashMap<Pid, Shown>,
    outcome: Outcome,
    on_failure: Option<OnFailure>,
}

type OnFailure = Box<dyn FnOnce(&mut Cx<'_>, &Error) + Send>;

/// A process whose lines are shown.
struct Shown {
    instance: u32,
    /// Streams that have not ended.
    streams: u32,
    exited: bool,
}

/// How the writing went; asked for after the manager has ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome(Arc<Mutex<Option<Error>>>);

impl Outcome {
    /// Takes the error that has kept output from its reader. A closed pipe is none: the reader had
    /// enough.
    #[must_use]
    pub fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: Error) {
        if error.kind() != ErrorKind::Closed {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }
}

impl ConsoleOutput {
    /// Writes to `fd`, usually a duplicate of standard output.
    #[must_use]
    pub fn new(options: Options, fd: OwnedFd) -> Self {
        Self {
            options,
            output: true,
            fd: Some(fd),
            reserved: Vec::new(),
            console: None,
            wake: None,
            tap: None,
            silence: None,
            awaited: None,
            processes: HashMap::new(),
            outcome: Outcome::default(),
            on_failure: None,
        }
    }

    /// Whether what the programs write is shown, beside what happens to them. Default true.
    #[must_use]
    pub fn show_output(mut self, output: bool) -> Self {
        self.output = output;
        self
    }

    /// What to do when the console cannot be written: its reader has gone ([`ErrorKind::Closed`]), or the disk is full, say. The
    /// console has ended then, the programs go on without it, and its [`outcome`](Self::outcome) has no error. Default: the manager is
    /// stopped.
    #[must_use]
    pub fn on_failure(mut self, f: impl FnOnce(&mut Cx<'_>, &Error) + Send + 'static) -> Self {
        self.on_failure = Some(Box::new(f));
        self
    }

    /// Makes the column of names wide enough for `name` (`web.1`) from the start.
    #[must_use]
    pub fn reserve(mut self, name: impl Into<String>) -> Self {
        self.reserved.push(name.into());
        self
    }

    /// Tells, once the manager has ended, whether everything was written.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome.clone()
    }

    /// Uses the console, then looks after its timer and its reader.
    fn show(&mut self, cx: &mut Cx<'_>, f: impl FnOnce(&mut Console) -> ConsoleFlow) -> Flow {
        let Some(console) = &mut self.console else { return Flow::Continue };
        let flow = f(console);
        if let (None, Some(at)) = (self.silence, console.deadline()) {
            self.silence = Some(cx.set_timer(at));
        }
        match flow {
            ConsoleFlow::Continue => Flow::Continue,
            ConsoleFlow::Pause => Flow::Pause,
        }
    }

    fn spawned(&mut self, process: &ProcessInfo) {
        let config = &process.config;
        let outputs = match config.redirect_output.as_slice() {
            [_, _] if config.tty => 1,
            [out, err] if out == err => 1,
            outputs => outputs.len(),
        };
        let streams = if self.output { (outputs + config.custom_streams.len()) as u32 } else { 0 };
        let shown = Shown { instance: process.instance, streams, exited: false };
        self.processes.insert(process.pid, shown);
        if let Some(console) = &mut self.console {
            console.process(process.pid, process.os_pid, process.name.label(), process.instance);
        }
    }

    /// Forgets a process that has ended and has nothing more to say.
    fn forget_if_over(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        if self.processes.get(&pid).is_some_and(|shown| shown.exited && shown.streams == 0) {
            self.processes.remove(&pid);
            self.show(cx, |console| console.forget(pid, Now::read()));
        }
    }

    /// Nothing is shown from now on.
    fn end(&mut self, cx: &mut Cx<'_>) {
        (self.console, self.wake) = (None, None);
        self.processes.clear();
        if let Some(tap) = self.tap.take() {
            cx.untap(tap);
        }
        for timer in [self.silence.take(), self.awaited.take()].into_iter().flatten() {
            cx.cancel_timer(timer);
        }
    }

    fn tell_awaited(&mut self, cx: &mut Cx<'_>) {
        let mut awaited: Vec<String> = cx
            .ending()
            .into_iter()
            .filter_map(|pid| cx.process(pid).ok())
            .filter_map(|process| {
                let os_pid = process.os_pid?;
                Some(format!("{}.{} (pid {os_pid})", process.name.label(), process.instance))
            })
            .collect();
        if !awaited.is_empty() {
            let more = awaited.len().saturating_sub(NAMED);
            awaited.truncate(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let text = format!("stopping, waiting for {}{more}", awaited.join(", "));
            self.show(cx, |console| console.notice(&text, Now::read()));
        }
        self.awaited = Some(cx.set_timer(Instant::now() + AWAITED));
    }
}

impl App for ConsoleOutput {
    fn name(&self) -> &str {
        "console"
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        let Some(fd) = self.fd.take() else { return Ok(()) };
        let (ours, theirs) = UnixStream::pair()
            .and_then(|(ours, theirs)| {
                ours.set_nonblocking(true)?;
                theirs.set_nonblocking(true)?;
                Ok((ours, theirs))
            })
            .map_err(|e| Error::io("cannot make a pipe for the console", e))?;
        // A full pipe has woken us already, and a closed one has nobody to wake.
        let mut console = Console::new(self.options.clone(), fd, move || drop((&theirs).write(b"w")))?;
        for name in self.reserved.drain(..) {
            console.reserve(&name);
        }
        self.console = Some(console);
        self.wake = Some(cx.register(ours, Interest::READ)?);
        self.tap = self.output.then(|| cx.tap_to_app(StreamSelector::all()));
        Ok(())
    }

    fn output(&mut self, cx: &mut Cx<'_>, _: TapId, chunk: &StreamChunk<'_>) -> Flow {
        let origin = chunk.origin;
        let stream = match origin.fd {
            1 => "stdout",
            2 => "stderr",
            _ => &origin.label,
        };
        match chunk.data {
            StreamData::Bytes(bytes) => self.show(cx, |console| console.output(origin.pid, stream, bytes, Now::read())),
            StreamData::End => {
                let flow = self.show(cx, |console| console.closed(origin.pid, stream, Now::read()));
                if let Some(shown) = self.processes.get_mut(&origin.pid) {
                    shown.streams = shown.streams.saturating_sub(1);
                }
                self.forget_if_over(cx, origin.pid);
                flow
            }
        }
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Arc<Event>) {
        if let (What::Spawn { pid, .. }, true) = (&event.what, self.console.is_some()) {
            if let Ok(process) = cx.process(*pid) {
                self.spawned(&process);
            }
        }
        let instance = match event.what {
            // One that could not be started is not known any more.
            What::Exit { instance, .. } => Some(instance),
            _ => event.what.pid().and_then(|pid| {
                let shown = self.processes.get(&pid).map(|shown| shown.instance);
                shown.or_else(|| cx.process(pid).ok().map(|process| process.instance))
            }),
        };
        // Events are few: they are shown even while the programs wait for the reader.
        let _ = self.show(cx, |console| console.event(event, instance));
        if let What::Exit { pid, .. } = event.what {
            if let Some(shown) = self.processes.get_mut(&pid) {
                shown.exited = true;
            }
            self.forget_if_over(cx, pid);
        }
        if cx.is_stopping() && self.awaited.is_none() && self.console.is_some() {
            self.tell_awaited(cx);
        }
    }

    fn ready(&mut self, cx: &mut Cx<'_>, _: SourceId, _: Readiness) {
        if let Some(wake) = &self.wake {
            // Only the wake counts; an empty pipe is fine.
            let _ = wake.get_ref().read(&mut [0; 64]);
        }
        if self.show(cx, Console::writer_ready) == Flow::Continue {
            if let Some(tap) = self.tap {
                cx.resume(tap);
            }
        }
        if let Some(error) = self.console.as_ref().and_then(Console::failed) {
            let error = Error::io("cannot write the output", error);
            match self.on_failure.take() {
                Some(f) => {
                    self.end(cx);
                    f(cx, &error);
                }
                None => {
                    self.outcome.set(error);
                    cx.stop();
                }
            }
        }
    }

    fn timeout(&mut self, cx: &mut Cx<'_>, id: TimerId) {
        if self.silence == Some(id) {
            self.silence = None;
            self.show(cx, |console| console.timeout(Now::read()));
        } else if self.awaited == Some(id) {
            self.tell_awaited(cx);
        }
    }

    fn stop(&mut self, _: &mut Cx<'_>) {
        if let Some(Err(error)) = self.console.take().map(|console| console.finish(Now::read(), FINISH)) {
            self.outcome.set(error);
        }
    }
}

impl fmt::Debug for ConsoleOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleOutput").field("options", &self.options).finish_non_exhaustive()
    }
}
