//! The output of children: how it is read, and at whose pace.

mod taps;

use std::os::fd::{AsFd, OwnedFd};

use taps::deliver;
pub use taps::{Flow, StreamChunk, StreamData, StreamOrigin, StreamSelector, TapId};
pub(super) use taps::{Receiver, Taps};

use super::logs::{Feed, SinkId};
use super::{Cx, Owner, Supervisor};
use crate::event_loop::{Interest, Source};
use crate::process::Pid;
use crate::sys::stdio::{self, Moved};

/// How many bytes are taken from a stream at a time.
const CHUNK: usize = 64 * 1024;

/// How much a stream may bring in one turn before the others have theirs.
const BUDGET: usize = 4 * CHUNK;

/// How much is drained from a stream whose process has ended before its exit is told. More than a
/// pipe holds by default; what a grandchild writes on for ever comes in later turns.
const DRAIN: usize = 1024 * 1024;

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
