//! Up to where somebody has got the output, and what has come since.
//!
//! Pieces of output have a place in the order of all. A reader who was told everything before such a place needs no more
//! than its number, but for streams that are within a line there: of these the number of bytes is kept as well.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::store::{Store, Stream};
use super::{History, Query, Record, Snapshot, wants_history};
use crate::manager::Supervisor;
use crate::process::Pid;

/// A stream: its process and the descriptor there.
pub(crate) type Key = (Pid, i32);

/// So many streams may be within a line; with more of them it is not known any more where they are.
const MAX_OPEN: usize = 16;

/// Up to where the output was told: `RUN-ORDER,PID.FD@BYTES…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Tells this history from others.
    pub(crate) run: u64,
    /// All pieces before this one.
    pub(crate) order: u64,
    /// Streams that are within a line, and that of the last line that was told.
    pub(crate) ends: BTreeMap<Key, u64>,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.run, self.order)?;
        if self.ends.len() > MAX_OPEN {
            return f.write_str(",?");
        }
        self.ends.iter().try_for_each(|((pid, fd), end)| write!(f, ",{pid}.{fd}@{end}"))
    }
}

/// What is no position of ours is of another run.
impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (run, rest) = text.split_once('-').ok_or(())?;
        let mut parts = rest.split(',');
        let order = parts.next().and_then(|order| order.parse().ok()).ok_or(())?;
        let mut ends = BTreeMap::new();
        for part in parts {
            let ((pid, fd), end) =
                part.split_once('@').and_then(|(key, end)| Some((key.split_once('.')?, end.parse().ok()?))).ok_or(())?;
            ends.insert((Pid(pid.parse().map_err(|_| ())?), fd.parse().map_err(|_| ())?), end);
        }
        let run = u64::from_str_radix(run, 16).map_err(|_| ())?;
        if ends.len() > MAX_OPEN { Err(()) } else { Ok(Self { run, order, ends }) }
    }
}

/// Where a stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tip {
    pub(crate) key: Key,
    /// So many bytes have come.
    pub(crate) end: u64,
    /// The place at which its line has begun that is not finished.
    pub(crate) unfinished: Option<u64>,
}

impl History {
    /// The place of the next piece.
    pub(crate) fn now(&self) -> Position {
        let store = self.lock();
        Position { run: store.run, order: store.order, ends: BTreeMap::new() }
    }

    /// Where the streams are that a query is about.
    pub(crate) fn tips(&self, query: &Query) -> Vec<Tip> {
        let store = self.lock();
        let streams = store.streams.iter().filter(|(_, stream)| query.matches(&stream.origin));
        let tip = |(&key, stream): (&Key, &Stream)| {
            let unfinished = stream.ring.lines().next().filter(|_| !stream.ring.at_line_start());
            Tip { key, end: stream.ring.end(), unfinished: unfinished.map(|line| line.order) }
        };
        streams.map(tip).collect()
    }

    /// What has come since, of the streams and up to the bytes that the query says; [`Snapshot::is_cut`] if some of it is not there
    /// any more, or never was, since it went to a file. `None` if the position is of another run.
    pub(crate) fn read_after(&self, manager: &Supervisor, query: &Query, position: &Position) -> Option<Snapshot> {
        let store = self.lock();
        if position.run != store.run || position.order > store.order {
            return None;
        }
        let mut snapshot = store.after(query, position);
        drop(store);
        manager.walk(|job| {
            let kept = job.config.log_history != Some(0);
            for outlet in job.config.outlets() {
                if kept && wants_history(&job.config, outlet.label) {
                    continue;
                }
                let origin = super::files::origin(manager, &job, outlet.label, outlet.fds);
                snapshot.is_cut |= origin.is_some_and(|origin| query.matches(&origin));
            }
        });
        Some(snapshot)
    }
}

impl Store {
    fn after(&self, query: &Query, position: &Position) -> Snapshot {
        let mut snapshot = Snapshot { records: Vec::new(), is_cut: self.gone > position.order };
        for (key, stream) in self.streams.iter().filter(|(_, stream)| query.matches(&stream.origin)) {
            snapshot.is_cut |= stream.after(position.ends.get(key).copied(), position.order, &mut snapshot.records);
        }
        // A piece is of one stream.
        snapshot.records.sort_by_key(|record| record.place);
        snapshot.cut(query);
        snapshot
    }
}

impl Stream {
    /// Adds the lines from this byte on, or from this place on; whether some are missing.
    fn after(&self, end: Option<u64>, order: u64, records: &mut Vec<Record>) -> bool {
        let Some((mut start, mut is_cut)) = self.ring.from(end, order) else { return false };
        for piece in self.ring.copy_from(start).split_inclusive(|&b| b == b'\n') {
            let place = start;
            start += piece.len() as u64;
            if is_cut && self.ring.is_cut_at(place) && piece.ends_with(b"\n") {
                // The rest of a line.
                continue;
            }
            let Some((order, time)) = self.ring.arrival(place) else { continue };
            let (origin, data) = (self.origin.clone(), piece.to_vec());
            records.push(Record { time, origin, data, place: Some((order, start)) });
        }
        // A position that never was.
        is_cut |= end.is_some_and(|end| end > self.ring.end());
        is_cut
    }
}
