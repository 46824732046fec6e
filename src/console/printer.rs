//! Lines and events as bytes for the screen. No I/O, no clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use super::event::Words;
use super::palette::Rendition;
use super::row::{Row, Screen, columns};
use super::{Now, Options, json};
use crate::process::{Event, OsPid, Pid, What};
use crate::proto::lines::Lines;

/// An unfinished line is shown after so much silence: 100 ms.
pub const SILENCE: Duration = Duration::from_millis(100);

/// An unfinished line that is never silent is shown after so much time: 1 s (the dots of a test run).
pub const STILL_TALKING: Duration = Duration::from_secs(1);

/// The name in front of what the manager itself says.
const MANAGER: &str = "gaffer";

/// Turns output and events into bytes, which gather in [`buffer`](Self::buffer).
///
/// ```
/// use gaffer::console::{Now, Options, Printer};
/// use gaffer::process::{OsPid, Pid};
///
/// let mut printer = Printer::new(Options::default().timestamp(false));
/// printer.reserve("worker.1");
/// printer.process(Pid(1), Some(OsPid(4711)), "web", 1);
/// printer.output(Pid(1), "stdout", b"listening\non 5000\n", Now::read());
/// assert_eq!(printer.buffer(), b"web.1    | listening\nweb.1    | on 5000\n");
/// ```
#[derive(Debug)]
pub struct Printer {
    processes: BTreeMap<Pid, Process>,
    screen: Screen,
    /// Not later than the first deadline of an unfinished line.
    next: Option<Instant>,
    /// Nothing is read: what is unfinished may go on in what is not read yet.
    paused: bool,
}

#[derive(Debug)]
struct Process {
    name: String,
    color: &'static str,
    os_pid: Option<OsPid>,
    streams: Vec<Stream>,
}

#[derive(Debug)]
struct Stream {
    label: Box<str>,
    lines: Lines,
    /// What stands before each line, or in JSON between the time and the text.
    head: Vec<u8>,
    /// The time and the width that a head of text was made for.
    head_for: Option<([u8; 8], usize)>,
    rendition: Rendition,
    /// The unfinished line may have an escape sequence in it.
    escape: bool,
    /// When the unfinished line is to be shown.
    unfinished: Option<Unfinished>,
}

#[derive(Clone, Copy, Debug)]
struct Unfinished {
    since: Instant,
    last: Instant,
}

impl Unfinished {
    fn deadline(self) -> Instant {
        (self.last + SILENCE).min(self.since + STILL_TALKING)
    }
}

impl Printer {
    /// A printer that has printed nothing.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { processes: BTreeMap::new(), screen: Screen::new(options), next: None, paused: false }
    }

    /// What was printed; the caller takes it away.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.screen.out
    }

    /// Makes the column wide enough for `name` (`web.1`), so that it need not move later.
    pub fn reserve(&mut self, name: &str) {
        self.screen.width = self.screen.width.max(columns(name));
    }

    /// Makes a process known as `label.instance`. A spawn event does it too.
    pub fn process(&mut self, pid: Pid, os_pid: Option<OsPid>, label: &str, instance: u32) {
        let name = format!("{label}.{instance}");
        self.reserve(&name);
        let color = self.screen.palette.color(label);
        self.processes.insert(pid, Process { name, color, os_pid, streams: Vec::new() });
    }

    /// Drops what is known of a process, once its streams have ended and its exit was shown. What
    /// is left of its lines is shown.
    pub fn forget(&mut self, pid: Pid, now: Now) {
        self.flush(pid, now.wall);
        self.processes.remove(&pid);
    }

    /// Shows `bytes` that the process has written to `stream`.
    ///
    /// A process that was never made known is shown as `pid.N`, by the manager's number.
    pub fn output(&mut self, pid: Pid, stream: &str, bytes: &[u8], now: Now) {
        if !self.processes.contains_key(&pid) {
            self.process(pid, None, "pid", u32::try_from(pid.0).unwrap_or(u32::MAX));
        }
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let at = process.stream(stream);
        process.streams[at].escape |= self.screen.options.color && bytes.contains(&0x1b);
        let (lines, mut row) = process.row(pid, at, &mut self.screen, now.wall);
        lines.feed(bytes, &mut |line| row.put(line));
        let any = row.any;
        let stream = &mut process.streams[at];
        if stream.lines.has_partial() {
            let since = stream.unfinished.filter(|_| !any).map_or(now.instant, |unfinished| unfinished.since);
            let unfinished = Unfinished { since, last: now.instant };
            stream.unfinished = Some(unfinished);
            self.next = Some(self.next.map_or(unfinished.deadline(), |next| next.min(unfinished.deadline())));
        } else {
            stream.unfinished = None;
            stream.escape = false;
        }
    }

    /// The stream has ended: shows what is left of its last line.
    pub fn closed(&mut self, pid: Pid, stream: &str, now: Now) {
        if let Some(process) = self.processes.get_mut(&pid) {
            let at = process.stream(stream);
            process.flush(pid, at, &mut self.screen, now.wall);
            if self.screen.open == Some((pid, at)) {
                self.screen.close();
            }
        }
    }

    /// Shows an event, if the [verbosity](Options::verbosity) wants it.
    ///
    /// `instance` is the N of `label.N` for events of a process; it is needed for those of
    /// processes that are not known yet: spawn, and exit where it could not be started. The exit of
    /// a process comes after what is left of its lines, unless there is a [pause](Self::pause).
    pub fn event(&mut self, event: &Event, instance: Option<u32>) {
        let label = event.job.as_deref().map_or("", |job| job.label());
        if let (What::Spawn { pid, os_pid, .. }, Some(instance)) = (&event.what, instance) {
            self.process(*pid, Some(*os_pid), label, instance);
        }
        // What is not shown cuts no line: the rest of the output may still be on its way.
        if !self.screen.options.verbosity.shows(&event.what) {
            return;
        }
        if let (What::Exit { pid, .. }, false) = (&event.what, self.paused) {
            self.flush(*pid, event.time);
        }
        let known = event.what.pid().and_then(|pid| self.processes.get(&pid));
        let name = match (known, instance) {
            (Some(process), _) => process.name.clone(),
            (None, Some(instance)) => format!("{label}.{instance}"),
            (None, None) => label.to_owned(),
        };
        if self.screen.options.json {
            json::event(&mut self.screen.out, event, &name);
        } else if name.is_empty() {
            self.screen.words(event.time, MANAGER, "", &Words(event).to_string());
        } else {
            let color = self.screen.palette.color(label);
            self.screen.words(event.time, &name, color, &Words(event).to_string());
        }
    }

    /// Shows a sentence of the manager's own (`gaffer | waiting for web.1`).
    pub fn notice(&mut self, text: &str, now: Now) {
        if self.screen.options.json {
            json::notice(&mut self.screen.out, now.wall, text);
        } else {
            self.screen.words(now.wall, MANAGER, "", text);
        }
    }

    /// From now on no output comes although there may be some: until [`resume`](Self::resume) the silence of a program
    /// means nothing, and its exit is no end of its lines.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Output comes again. Silences begin now.
    pub fn resume(&mut self, now: Now) {
        if !std::mem::take(&mut self.paused) {
            return;
        }
        let unfinished = Unfinished { since: now.instant, last: now.instant };
        let streams = self.processes.values_mut().flat_map(|process| &mut process.streams);
        for of_stream in streams.filter_map(|stream| stream.unfinished.as_mut()) {
            *of_stream = unfinished;
            self.next = Some(unfinished.deadline());
        }
    }

    /// When [`timeout`](Self::timeout) should be called, if ever; it may turn out to be early.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.next.filter(|_| !self.paused)
    }

    /// Shows the unfinished lines that have been silent for [`SILENCE`], and those that have been
    /// talking for [`STILL_TALKING`].
    pub fn timeout(&mut self, now: Now) {
        if self.paused || self.next.is_none_or(|next| next > now.instant) {
            return;
        }
        self.next = None;
        for (pid, process) in &mut self.processes {
            for at in 0..process.streams.len() {
                match process.streams[at].unfinished.map(Unfinished::deadline) {
                    Some(deadline) if deadline <= now.instant => {
                        process.flush(*pid, at, &mut self.screen, now.wall);
                    }
                    Some(deadline) => self.next = Some(self.next.map_or(deadline, |next| next.min(deadline))),
                    None => {}
                }
            }
        }
    }

    /// Shows everything that is unfinished and ends the last row.
    pub fn finish(&mut self, now: Now) {
        for (pid, process) in &mut self.processes {
            for at in 0..process.streams.len() {
                process.flush(*pid, at, &mut self.screen, now.wall);
            }
        }
        self.next = None;
        self.screen.close();
    }

    fn flush(&mut self, pid: Pid, wall: SystemTime) {
        if let Some(process) = self.processes.get_mut(&pid) {
            for at in 0..process.streams.len() {
                process.flush(pid, at, &mut self.screen, wall);
            }
            if self.screen.open.is_some_and(|(owner, _)| owner == pid) {
                self.screen.close();
            }
        }
    }
}

impl Process {
    /// The place of the stream with this label; it is made if it is new.
    fn stream(&mut self, label: &str) -> usize {
        self.streams.iter().position(|stream| &*stream.label == label).unwrap_or_else(|| {
            self.streams.push(Stream {
                label: label.into(),
                lines: Lines::default(),
                head: Vec::new(),
                head_for: None,
                rendition: Rendition::default(),
                escape: false,
                unfinished: None,
            });
            self.streams.len() - 1
        })
    }

    /// The splitter of a stream, and where its lines go.
    fn row<'a>(
        &'a mut self,
        pid: Pid,
        at: usize,
        screen: &'a mut Screen,
        wall: SystemTime,
    ) -> (&'a mut Lines, Row<'a>) {
        let Stream { label, lines, head, head_for, rendition, escape, .. } = &mut self.streams[at];
        if screen.options.json {
            if head.is_empty() {
                *head = json::stream(&self.name, pid, self.os_pid, label);
            }
        } else {
            let time = if screen.options.timestamp { screen.clock.text(wall) } else { [b' '; 8] };
            if *head_for != Some((time, screen.width)) {
                head.clear();
                screen.prefix(time, &self.name, self.color, head);
                *head_for = Some((time, screen.width));
            }
        }
        let escape = *escape || !rendition.sequences().is_empty();
        (lines, Row { screen, key: (pid, at), head, rendition, escape, wall, any: false })
    }

    fn flush(&mut self, pid: Pid, at: usize, screen: &mut Screen, wall: SystemTime) {
        if self.streams[at].unfinished.take().is_some() {
            let (lines, mut row) = self.row(pid, at, screen, wall);
            lines.flush(&mut |line| row.put(line));
            self.streams[at].escape = false;
        }
    }
}
