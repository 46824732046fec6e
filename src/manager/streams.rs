//! The output of children: who reads it, and at whose pace.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::logs::{Feed, SinkId};
use super::{AppId, Cx, Owner, Supervisor, panic_message};
use crate::event_loop::{Interest, Source};
use crate::process::{JobName, OsPid, Pid};
use crate::proto::lines::{Line, Lines};
use crate::sys::stdio::{self, Moved};

/// How many bytes are taken from a stream at a time.
const CHUNK: usize = 64 * 1024;

/// How much a stream may bring in one turn before the others have theirs.
const BUDGET: usize = 4 * CHUNK;

/// How much is drained from a stream whose process has ended before its exit is told. More than a
/// pipe holds by default; what a grandchild writes on for ever comes in later turns.
const DRAIN: usize = 1024 * 1024;

/// Which streams a subscriber wants: of all jobs, one job or one process; all labels or one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamSelector {
    /// Only this job's processes.
    pub job: Option<JobName>,
    /// Only this process.
    pub pid: Option<Pid>,
    /// Only streams with this label.
    pub label: Option<String>,
    /// None but those that the subscription is put on one by one.
    chosen: bool,
}

impl StreamSelector {
    /// Every stream of every process.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The streams of one job.
    #[must_use]
    pub fn job(name: JobName) -> Self {
        Self { job: Some(name), ..Self::default() }
    }

    /// The streams of one process.
    #[must_use]
    pub fn pid(pid: Pid) -> Self {
        Self { pid: Some(pid), ..Self::default() }
    }

    /// Only streams with this label.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// None but those that [`Supervisor::tap_streams`] puts the subscription on.
    #[cfg(feature = "server")]
    pub(crate) fn chosen() -> Self {
        Self { chosen: true, ..Self::default() }
    }

    fn matches(&self, origin: &StreamOrigin) -> bool {
        !self.chosen
            && self.job.as_ref().is_none_or(|job| *job == *origin.name)
            && self.pid.is_none_or(|pid| pid == origin.pid)
            && self.label.as_deref().is_none_or(|label| label == &*origin.label)
    }
}

/// Where a piece of output comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamOrigin {
    /// The job.
    pub name: Arc<JobName>,
    /// The process.
    pub pid: Pid,
    /// The system's number of the process.
    pub os_pid: OsPid,
    /// The N of `label.N`.
    pub instance: u32,
    /// The stream's label.
    pub label: Arc<str>,
    /// The child's descriptor: 1, 2, or 3 and up for custom streams.
    pub fd: i32,
}

/// A piece of output.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct StreamChunk<'a> {
    /// Where it comes from.
    pub origin: &'a StreamOrigin,
    /// What came.
    pub data: StreamData<'a>,
}

/// What came from a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamData<'a> {
    /// Bytes, as they came; never empty.
    Bytes(&'a [u8]),
    /// The end: nothing follows from this stream.
    End,
}

/// A subscriber's answer to a piece of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More, please.
    Continue,
    /// This piece was taken; read no more of this stream until [`Supervisor::resume`].
    ///
    /// When the manager ends, what the pipe still holds comes all the same: nobody could ask for it later.
    Pause,
}

/// A subscription to output; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TapId(u64);

/// Who gets the output.
pub(super) enum Receiver {
    /// A closure; out of its slot while it is called.
    Closure(Option<Box<dyn FnMut(&mut Cx<'_>, &StreamChunk<'_>) -> Flow + Send>>),
    /// The app that asked.
    App(Owner),
}

/// The subscriptions, in the order in which they came.
#[derive(Default)]
pub(super) struct Taps {
    last: u64,
    slots: BTreeMap<TapId, (StreamSelector, Receiver)>,
    /// The buffer all streams are read into, kept while nobody reads.
    buffer: Vec<u8>,
}

impl fmt::Debug for Taps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.slots.iter().map(|(id, (which, _))| (id, which))).finish()
    }
}

impl Taps {
    /// Ends all subscriptions: nothing comes any more.
    pub(super) fn close(&mut self) {
        self.slots.clear();
    }
}

/// One output stream of a child.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) origin: StreamOrigin,
    source: Source<OwnedFd>,
    taps: Vec<TapId>,
    paused_by: Vec<TapId>,
    /// Where its log file gets it from.
    pub(super) log: Option<Box<Feed>>,
    /// Its log has to catch up.
    log_behind: bool,
}

impl Supervisor {
    pub(super) fn add_tap(&mut self, which: StreamSelector, receiver: Receiver) -> TapId {
        self.taps.last += 1;
        let id = TapId(self.taps.last);
        for stream in self.children.streams_mut() {
            if which.matches(&stream.origin) {
                stream.add_tap(id);
            }
        }
        self.taps.slots.insert(id, (which, receiver));
        id
    }

    /// Puts a subscription on those streams of a process whose label is wanted; returns how many these are.
    #[cfg(feature = "server")]
    pub(crate) fn tap_streams(&mut self, id: TapId, pid: Pid, is_wanted: impl Fn(&str) -> bool) -> u32 {
        let mut n = 0;
        for stream in self.children.streams_of_mut(pid).filter(|stream| is_wanted(&stream.origin.label)) {
            if !stream.taps.contains(&id) {
                stream.add_tap(id);
            }
            n += 1;
        }
        n
    }

    /// How many subscriptions to output there are.
    #[must_use]
    pub fn taps(&self) -> usize {
        self.taps.slots.len()
    }

    /// Ends a subscription to output; false if it had ended.
    pub fn untap(&mut self, id: TapId) -> bool {
        let known = self.taps.slots.remove(&id).is_some();
        for stream in self.children.streams_mut() {
            stream.taps.retain(|&tap| tap != id);
            stream.unpause(id);
        }
        known
    }

    /// Ends the subscriptions of an app that has gone; what it has paused goes on.
    pub(super) fn untap_app(&mut self, app: AppId) {
        let is_its = |receiver: &Receiver| matches!(receiver, Receiver::App(Owner::App(id)) if *id == app);
        let slots = self.taps.slots.iter();
        let ids: Vec<TapId> = slots.filter(|(_, (_, receiver))| is_its(receiver)).map(|(&id, _)| id).collect();
        for id in ids {
            self.untap(id);
        }
    }

    /// Goes on with every stream that this subscriber has paused.
    pub fn resume(&mut self, id: TapId) {
        for stream in self.children.streams_mut() {
            stream.unpause(id);
        }
    }

    /// Whether this process has an output stream of this label that has not ended.
    #[must_use]
    pub fn has_stream(&self, pid: Pid, label: &str) -> bool {
        self.children.streams_of(pid).any(|stream| &*stream.origin.label == label)
    }

    /// Whether this process has an output stream that has not ended.
    #[must_use]
    pub fn has_output(&self, pid: Pid) -> bool {
        self.children.streams_of(pid).next().is_some()
    }

    /// A stream of a new child, read from now on.
    pub(super) fn open_stream(&mut self, origin: StreamOrigin, fd: OwnedFd, index: usize) -> crate::Result<Stream> {
        let source = self.io.register(fd, Interest::READ, Owner::Stream(origin.pid, index as u32))?;
        let which = self.taps.slots.iter().filter(|(_, (which, _))| which.matches(&origin));
        let mut taps: Vec<TapId> = which.map(|(&id, _)| id).collect();
        taps.shrink_to_fit();
        Ok(Stream { origin, source, taps, paused_by: Vec::new(), log: None, log_behind: false })
    }
}

impl Stream {
    fn add_tap(&mut self, id: TapId) {
        // They are few for each stream and seldom change, and streams are many.
        self.taps.reserve_exact(1);
        self.taps.push(id);
    }

    fn is_paused(&self) -> bool {
        !self.paused_by.is_empty() || self.log_behind
    }

    fn pause(&mut self, id: TapId) {
        if !self.paused_by.contains(&id) {
            self.paused_by.push(id);
        }
        self.rest();
    }

    /// The log takes no more for now.
    fn wait_for_log(&mut self) {
        self.log_behind = true;
        self.rest();
    }

    fn log_is_ready(&mut self) {
        if std::mem::take(&mut self.log_behind) && !self.is_paused() {
            let _ = self.source.set_interest(Interest::READ);
        }
    }

    fn rest(&mut self) {
        // A level-triggered source that nobody reads would keep the loop awake. Taking it out of the
        // poller cannot fail in a way that matters: it is read again or closed.
        let _ = self.source.set_interest(Interest::NONE);
    }

    /// Nothing comes from it any more, but it stays open.
    pub(super) fn silence(&mut self) {
        // What cannot be taken out of the poller is reported for a stream that nobody looks up.
        let _ = self.source.set_interest(Interest::NONE);
    }

    fn unpause(&mut self, id: TapId) {
        let was_paused = self.is_paused();
        self.paused_by.retain(|&tap| tap != id);
        if was_paused && !self.is_paused() {
            let _ = self.source.set_interest(Interest::READ);
        }
    }
}

/// Reads what a ready stream has, up to its share of a turn.
pub(super) fn ready(cx: &mut Cx<'_>, pid: Pid, index: usize) {
    read(cx, pid, index, BUDGET, Reading::Ready);
}

/// Reads what is left of all streams of a process that has ended, as far as nobody has paused them.
pub(super) fn drain(cx: &mut Cx<'_>, pid: Pid) {
    for index in 0..cx.children.stream_count(pid) {
        let Supervisor { children, logs, .. } = &mut *cx.supervisor;
        // That old logs wait to be deleted is no reason to tell the exit first.
        if let Some(stream) = children.stream_mut(pid, index) {
            if stream.log.as_ref().is_some_and(|feed| logs.is_open(feed)) {
                stream.log_is_ready();
            }
        }
        read(cx, pid, index, DRAIN, Reading::Drain);
    }
}

/// Why a stream is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// It is ready. A short read is sign enough that it is empty: the poller tells again.
    Ready,
    /// Its process has ended: until it is empty.
    Drain,
    /// The manager ends: even if it is paused.
    Last,
}

/// Reads a stream until it is empty, has ended, is paused, or has brought `budget` bytes.
fn read(cx: &mut Cx<'_>, pid: Pid, index: usize, mut budget: usize, why: Reading) {
    let mut buffer = std::mem::take(&mut cx.taps.buffer);
    buffer.resize(CHUNK, 0);
    while budget > 0 {
        let Some(stream) = cx.children.stream_mut(pid, index) else { break };
        if stream.is_paused() && why != Reading::Last {
            break;
        }
        if why != Reading::Last && !log_is_open(cx, pid, index, why) {
            break;
        }
        let spliced = log_directly(cx, pid, index, budget);
        let Some(stream) = cx.children.stream_mut(pid, index) else { break };
        let direct = spliced.is_some();
        match spliced.map_or_else(|| stdio::read(stream.source.get_ref().as_fd(), &mut buffer), Ok) {
            Ok(Moved::Bytes(n)) => {
                let wanted = if direct { budget } else { CHUNK };
                if !direct {
                    log(cx, pid, index, &buffer[..n]);
                    deliver(cx, pid, index, StreamData::Bytes(&buffer[..n]));
                }
                budget = budget.saturating_sub(n);
                if n < wanted && why == Reading::Ready {
                    break;
                }
            }
            Ok(Moved::Blocked) => break,
            Ok(Moved::Closed) => {
                end(cx, pid, index);
                break;
            }
            Err(e) => {
                let origin = stream.origin.clone();
                cx.fault(&format!("stream '{}' of process {pid}", origin.label), &e.to_string());
                end(cx, pid, index);
                break;
            }
        }
    }
    cx.taps.buffer = buffer;
}

/// Whether the stream's log can take more; if not, the stream waits for it.
fn log_is_open(cx: &mut Cx<'_>, pid: Pid, index: usize, why: Reading) -> bool {
    let Supervisor { children, logs, .. } = &mut *cx.supervisor;
    let Some(stream) = children.stream_mut(pid, index) else { return true };
    let is_open =
        stream.log.as_ref().is_none_or(|feed| logs.is_open(feed) && (why == Reading::Drain || logs.has_room(feed)));
    if !is_open {
        stream.wait_for_log();
    }
    is_open
}

/// Writes output to the stream's log, if it has one.
fn log(cx: &mut Cx<'_>, pid: Pid, index: usize, bytes: &[u8]) {
    let Supervisor { io, children, logs, .. } = &mut *cx.supervisor;
    let Some(stream) = children.stream_mut(pid, index) else { return };
    let Some(feed) = &mut stream.log else { return };
    logs.feed(io, feed, Some(bytes));
    let sink = feed.sink();
    tell(cx, sink);
}

/// Moves output to the log within the kernel, if nobody else wants it.
fn log_directly(cx: &mut Cx<'_>, pid: Pid, index: usize, max: usize) -> Option<Moved> {
    let Supervisor { children, logs, .. } = &mut *cx.supervisor;
    let stream = children.stream_mut(pid, index)?;
    if !stream.taps.is_empty() {
        return None;
    }
    let feed = stream.log.as_mut()?;
    let (sink, moved) = (feed.sink(), logs.splice(feed, stream.source.get_ref().as_fd(), max));
    tell(cx, sink);
    moved
}

/// Publishes a log's fault, if it has a new one.
fn tell(cx: &mut Cx<'_>, sink: SinkId) {
    if let Some((source, reason)) = cx.logs.take_report(sink) {
        cx.fault(&source, &reason);
    }
}

/// The loop was woken: old logs may be gone, for which streams have waited.
pub(super) fn logs_have_room(cx: &mut Cx<'_>) {
    let Supervisor { children, logs, .. } = &mut *cx.supervisor;
    if !logs.go_on() {
        return;
    }
    for stream in children.streams_mut().filter(|stream| stream.log_behind) {
        if stream.log.as_ref().is_none_or(|feed| logs.is_open(feed) && logs.has_room(feed)) {
            stream.log_is_ready();
        }
    }
}

/// A log that was behind takes more.
pub(super) fn log_ready(cx: &mut Cx<'_>, sink: SinkId) {
    let caught_up = cx.logs.flush(sink);
    tell(cx, sink);
    if caught_up {
        for stream in cx.children.streams_mut() {
            if stream.log.as_ref().is_some_and(|feed| feed.sink() == sink) {
                stream.log_is_ready();
            }
        }
    }
}

fn end(cx: &mut Cx<'_>, pid: Pid, index: usize) {
    let Supervisor { io, children, logs, .. } = &mut *cx.supervisor;
    if let Some(feed) = children.stream_mut(pid, index).and_then(|stream| stream.log.take()) {
        let sink = feed.sink();
        logs.detach(io, *feed);
        tell(cx, sink);
    }
    deliver(cx, pid, index, StreamData::End);
    cx.children.close_stream(pid, index);
}

/// Hands a piece of output to everybody who wants it.
fn deliver(cx: &mut Cx<'_>, pid: Pid, index: usize, data: StreamData<'_>) {
    let Some(stream) = cx.children.stream_mut(pid, index) else { return };
    if stream.taps.is_empty() {
        return;
    }
    // Lent out: the callbacks may do anything to the stream, also end it.
    let taps = std::mem::take(&mut stream.taps);
    let origin = stream.origin.clone();
    let chunk = StreamChunk { origin: &origin, data };
    for &id in &taps {
        if call(cx, id, &chunk) == Flow::Pause {
            if let Some(stream) = cx.children.stream_mut(pid, index) {
                stream.pause(id);
            }
        }
    }
    if let Some(stream) = cx.children.stream_mut(pid, index) {
        // Those that came meanwhile follow; those that ended meanwhile are gone from the slots.
        let new = std::mem::replace(&mut stream.taps, taps);
        stream.taps.extend(new);
        let slots = &cx.supervisor.taps.slots;
        if let Some(stream) = cx.supervisor.children.stream_mut(pid, index) {
            stream.taps.retain(|id| slots.contains_key(id));
        }
    }
}

/// Calls one subscriber. One that panics is removed; one that has ended wants nothing.
fn call(cx: &mut Cx<'_>, id: TapId, chunk: &StreamChunk<'_>) -> Flow {
    let f = match cx.taps.slots.get_mut(&id) {
        Some((_, Receiver::Closure(f))) => f.take(),
        Some(&mut (_, Receiver::App(Owner::App(app)))) => {
            let answer = cx.with_app(app, |app, cx| app.output(cx, id, chunk));
            // An app that has gone meanwhile, or has ended the subscription, wants nothing any more.
            return answer.filter(|_| cx.taps.slots.contains_key(&id)).unwrap_or(Flow::Continue);
        }
        _ => None,
    };
    let Some(mut f) = f else { return Flow::Continue };
    let mut lent = cx.lend(Owner::Nobody);
    match catch_unwind(AssertUnwindSafe(|| (f(&mut lent, chunk), f))) {
        Ok((flow, f)) => match cx.taps.slots.get_mut(&id) {
            Some((_, Receiver::Closure(slot))) => {
                *slot = Some(f);
                flow
            }
            // It has ended itself.
            _ => Flow::Continue,
        },
        Err(panic) => {
            cx.fault("output subscriber", &panic_message(&*panic));
            cx.untap(id);
            Flow::Continue
        }
    }
}

impl Cx<'_> {
    /// Like [`tap`](Self::tap), line by line: complete lines without their end, pieces of at most
    /// `max` bytes of longer ones, and what is left at the end of the stream.
    pub fn tap_lines(
        &mut self,
        which: StreamSelector,
        max: usize,
        mut f: impl FnMut(&mut Cx<'_>, &StreamOrigin, Line<'_>) -> Flow + Send + 'static,
    ) -> TapId {
        let mut splitters: HashMap<(Pid, i32), Lines> = HashMap::new();
        self.tap(which, move |cx, chunk| {
            let key = (chunk.origin.pid, chunk.origin.fd);
            let lines = splitters.entry(key).or_insert_with(|| Lines::new(max));
            let mut flow = Flow::Continue;
            let mut each = |line: Line<'_>| {
                if f(cx, chunk.origin, line) == Flow::Pause {
                    flow = Flow::Pause;
                }
            };
            match chunk.data {
                StreamData::Bytes(bytes) => lines.feed(bytes, &mut each),
                StreamData::End => {
                    lines.flush(&mut each);
                    splitters.remove(&key);
                }
            }
            flow
        })
    }
}

/// The manager ends: reads what is left everywhere, up to 1 MiB of each stream, and tells its end.
pub(super) fn drain_all(cx: &mut Cx<'_>) {
    for pid in cx.children.pids_with_streams() {
        for index in 0..cx.children.stream_count(pid) {
            read(cx, pid, index, DRAIN, Reading::Last);
            end(cx, pid, index);
        }
    }
    cx.logs.finish();
}
