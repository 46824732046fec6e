//! All rings of a manager, within one bound.

use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use super::ring::{Found, Lines, Ring};
use super::{Limits, Query, Record, Snapshot};
use crate::manager::StreamOrigin;
use crate::process::{JobName, Pid};

/// What a stream costs beside its ring.
const STREAM: usize = size_of::<Stream>() + 64;

/// What a line of an answer costs beside its bytes.
pub(super) const RECORD: usize = 128;

/// Of a stream that has to give way so many parts are left: the rest of it goes with the next one.
const GIVE_WAY: usize = 4;

/// One stream that has said something.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) origin: StreamOrigin,
    /// The job's own bound.
    limit: Option<usize>,
    pub(super) ring: Ring,
}

#[derive(Debug)]
pub(super) struct Store {
    pub(super) limits: Limits,
    pub(super) streams: HashMap<(Pid, i32), Stream>,
    /// Processes that have ended and have a stream here, the oldest end first.
    ended: VecDeque<(Pid, Arc<JobName>)>,
    memory: usize,
    /// The place of the next piece in the order of all.
    pub(super) order: u64,
    /// The place behind the last piece of all streams that are not here any more.
    pub(super) gone: u64,
    /// Tells this one from those of other runs.
    pub(super) run: u64,
}

impl Store {
    pub(super) fn new(limits: Limits) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // What does not fit cannot be missed: it is more than five hundred years.
        let run = u64::try_from(since.as_nanos()).unwrap_or_default();
        Self { limits, streams: HashMap::new(), ended: VecDeque::new(), memory: 0, order: 0, gone: 0, run }
    }

    /// What all rings hold.
    pub(super) const fn memory(&self) -> usize {
        self.memory
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Keeps what a stream has written.
    pub(super) fn push(&mut self, origin: &StreamOrigin, limit: Option<usize>, bytes: &[u8], time: SystemTime) {
        let bound = limit.unwrap_or(self.limits.stream).min(self.limits.total.saturating_sub(STREAM));
        if bound == 0 {
            return;
        }
        let stream = self.streams.entry((origin.pid, origin.fd)).or_insert_with(|| {
            self.memory += STREAM;
            Stream { origin: origin.clone(), limit, ring: Ring::default() }
        });
        let before = stream.ring.memory();
        stream.ring.push(bytes, self.order, time, bound);
        self.order += 1;
        self.memory = self.memory - before + stream.ring.memory();
        self.trim();
    }

    /// A process has ended and nothing more comes from it.
    pub(super) fn end(&mut self, pid: Pid, name: &Arc<JobName>) {
        let mut any = false;
        for (_, stream) in self.streams.iter_mut().filter(|((of, _), _)| *of == pid) {
            any = true;
            let before = stream.ring.memory();
            stream.ring.shrink();
            self.memory = self.memory - before + stream.ring.memory();
        }
        if any {
            self.ended.push_back((pid, Arc::clone(name)));
            self.trim_ended();
        }
    }

    /// Another bound; what is beyond it goes.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        if limits.stream == 0 {
            let own: Vec<_> = self.streams.iter().filter(|(_, s)| s.limit.is_none()).map(|(&key, _)| key).collect();
            own.into_iter().for_each(|key| self.remove(key));
        }
        self.trim_ended();
        self.trim();
    }

    /// Of the job that has most processes among those that have ended, the oldest goes: one that crashes over and over
    /// drives out its own last words, not those of others.
    fn trim_ended(&mut self) {
        while self.ended.len() > self.limits.ended {
            let mut counts: HashMap<&JobName, usize> = HashMap::new();
            for (_, name) in &self.ended {
                *counts.entry(name).or_default() += 1;
            }
            let most = counts.values().copied().max().unwrap_or(0);
            let Some(at) = self.ended.iter().position(|(_, name)| counts.get(&**name) == Some(&most)) else { return };
            if let Some((pid, _)) = self.ended.remove(at) {
                self.forget(pid);
            }
        }
    }

    fn forget(&mut self, pid: Pid) {
        let keys: Vec<_> = self.streams.keys().copied().filter(|(of, _)| *of == pid).collect();
        keys.into_iter().for_each(|key| self.remove(key));
    }

    fn remove(&mut self, key: (Pid, i32)) {
        if let Some(stream) = self.streams.remove(&key) {
            self.memory -= STREAM + stream.ring.memory();
            self.gone = self.gone.max(stream.ring.newest());
        }
        if !self.streams.keys().any(|(pid, _)| *pid == key.0) {
            self.ended.retain(|(pid, _)| *pid != key.0);
        }
    }

    /// The stream with the oldest output gives some of it up, until all are within the bound.
    fn trim(&mut self) {
        while self.memory > self.limits.total {
            let Some((&key, stream)) = self.streams.iter_mut().min_by_key(|(_, stream)| stream.ring.oldest()) else {
                return;
            };
            let before = stream.ring.memory();
            stream.ring.drop_oldest((before / GIVE_WAY).max(4096));
            stream.ring.shrink();
            self.memory = self.memory - before + stream.ring.memory();
            if stream.ring.is_empty() {
                self.remove(key);
            }
        }
    }

    /// The newest lines that a query selects, in the order in which they came.
    pub(super) fn read(&self, query: &Query) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let mut heap: BinaryHeap<Next<'_>> = BinaryHeap::new();
        for stream in self.streams.values().filter(|stream| query.matches(&stream.origin)) {
            Next::push(&mut heap, stream, stream.ring.lines());
        }
        let mut room = query.bytes;
        while let Some(Next { found, stream, lines }) = heap.pop() {
            let length = found.end - found.start + RECORD;
            if query.since.is_some_and(|since| found.time < since) {
                // The clock may have been set back meanwhile, so others may yet be newer; this stream's are not.
                continue;
            }
            if snapshot.records.len() == query.lines {
                break;
            }
            if length > room && !snapshot.records.is_empty() {
                snapshot.is_cut = true;
                break;
            }
            room = room.saturating_sub(length);
            let data = stream.ring.copy(found.start, found.end);
            let place = Some((found.order, stream.ring.end() - (stream.ring.len() - found.end) as u64));
            snapshot.records.push(Record { time: found.time, origin: stream.origin.clone(), data, place });
            Next::push(&mut heap, stream, lines);
        }
        snapshot.records.reverse();
        snapshot
    }
}

/// The newest line of a stream that was not taken yet.
struct Next<'a> {
    found: Found,
    stream: &'a Stream,
    lines: Lines<'a>,
}

impl<'a> Next<'a> {
    fn push(heap: &mut BinaryHeap<Self>, stream: &'a Stream, mut lines: Lines<'a>) {
        if let Some(found) = lines.next() {
            heap.push(Self { found, stream, lines });
        }
    }

    /// No two lines have the same: a piece is of one stream.
    const fn key(&self) -> (u64, usize) {
        (self.found.order, self.found.start)
    }
}

impl PartialEq for Next<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Next<'_> {}

impl PartialOrd for Next<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Next<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}
