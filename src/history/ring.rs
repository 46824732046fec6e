//! The last output of one stream, and when each part of it came.

use std::collections::VecDeque;
use std::time::SystemTime;

/// What the note of an arrival costs, in bytes; counted against the bound of the ring.
const ARRIVAL: usize = size_of::<Arrival>();

/// A piece of output that began a line.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    /// The place in the order of all pieces of all streams.
    order: u64,
    time: SystemTime,
    /// Where it begins, counted from the stream's first byte.
    at: u64,
}

/// The newest bytes of a stream.
///
/// Bytes and the notes of when they came share one bound, so that a program that writes byte by byte keeps less
/// text and not more memory.
#[derive(Debug, Default)]
pub(super) struct Ring {
    bytes: VecDeque<u8>,
    /// Only those in which a line begins, in order.
    arrivals: VecDeque<Arrival>,
    /// The place of the first byte that is kept, counted from the stream's first byte.
    first: u64,
    /// The first byte that is kept is in the middle of a line.
    cut: bool,
    /// The place behind the last piece of which a byte was dropped, as far as notes tell.
    dropped: u64,
    /// The place behind the last piece.
    newest: u64,
}

impl Ring {
    /// What it holds in memory.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity() + self.arrivals.capacity() * ARRIVAL
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The place of the oldest piece in the order of all.
    pub(super) fn oldest(&self) -> u64 {
        self.arrivals.front().map_or(0, |arrival| arrival.order)
    }

    /// Appends what has come, and drops the oldest beyond `limit`.
    pub(super) fn push(&mut self, mut new: &[u8], order: u64, time: SystemTime, limit: usize) {
        if new.is_empty() {
            return;
        }
        self.newest = order + 1;
        let room = limit.saturating_sub(2 * ARRIVAL).max(1);
        if new.len() >= room {
            // All that was kept goes, and the start of this as well.
            let skip = new.len() - room;
            let cut = if skip > 0 { new[skip - 1] != b'\n' } else { !self.at_line_start() };
            self.first += (self.bytes.len() + skip) as u64;
            self.dropped = match self.arrivals.back() {
                _ if skip > 0 => order + 1,
                Some(last) => last.order + 1,
                None => self.dropped,
            };
            self.bytes.clear();
            self.arrivals.clear();
            self.cut = cut;
            new = &new[skip..];
        }
        let begins = self.bytes.is_empty() || self.at_line_start() || new[..new.len() - 1].contains(&b'\n');
        if begins {
            if self.arrivals.len() == self.arrivals.capacity() {
                self.arrivals.reserve_exact(self.arrivals.len().max(4));
            }
            self.arrivals.push_back(Arrival { order, time, at: self.first + self.bytes.len() as u64 });
        }
        let cost = self.bytes.len() + new.len() + self.arrivals.len() * ARRIVAL;
        self.drop_oldest(cost.saturating_sub(limit).min(self.bytes.len()));
        let needed = self.bytes.len() + new.len();
        if needed > self.bytes.capacity() {
            let wanted = needed.max((2 * self.bytes.capacity()).min(limit));
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend(new);
    }

    pub(super) fn at_line_start(&self) -> bool {
        match self.bytes.back() {
            Some(&last) => last == b'\n',
            None => !self.cut,
        }
    }

    /// Forgets the oldest `count` bytes.
    pub(super) fn drop_oldest(&mut self, count: usize) {
        let count = count.min(self.bytes.len());
        if count == 0 {
            return;
        }
        self.cut = self.bytes[count - 1] != b'\n';
        self.bytes.drain(..count);
        self.first += count as u64;
        // The one that the first byte belongs to stays, and so does the last one: it may be about to be filled.
        while self.arrivals.get(1).is_some_and(|next| next.at <= self.first) {
            if let Some(gone) = self.arrivals.pop_front() {
                self.dropped = gone.order + 1;
            }
        }
    }

    /// So many bytes have come in all.
    pub(super) fn end(&self) -> u64 {
        self.first + self.bytes.len() as u64
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The place behind the last piece.
    pub(super) const fn newest(&self) -> u64 {
        self.newest
    }

    /// The first byte of what has come since: from this one on, or else the first line that began at this place or
    /// later. And whether bytes are missing there. None if nothing has come.
    pub(super) fn from(&self, end: Option<u64>, order: u64) -> Option<(u64, bool)> {
        let (start, is_cut) = match end {
            Some(end) => (end, end < self.first),
            None => {
                let at = self.arrivals.partition_point(|arrival| arrival.order < order);
                let arrival = self.arrivals.get(at)?;
                (self.line_from(arrival.at), self.dropped > order || arrival.at < self.first)
            }
        };
        let start = start.max(self.first);
        (start < self.end() || is_cut).then_some((start.min(self.end()), is_cut))
    }

    /// Where the line begins that is not before this byte.
    fn line_from(&self, place: u64) -> u64 {
        let at = usize::try_from(place.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let inside = match at.checked_sub(1) {
            Some(before) => self.bytes.get(before) != Some(&b'\n'),
            None => self.cut,
        };
        let end = if inside { self.bytes.iter().skip(at).position(|&b| b == b'\n') } else { None };
        place + end.map_or(0, |end| end as u64 + 1)
    }

    /// Whether this byte is within a line whose start was dropped.
    pub(super) fn is_cut_at(&self, place: u64) -> bool {
        self.cut && place == self.first
    }

    /// The bytes from this one on.
    pub(super) fn copy_from(&self, place: u64) -> Vec<u8> {
        let start = usize::try_from(place.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.copy(start.min(self.bytes.len()), self.bytes.len())
    }

    /// When the line came that this byte belongs to.
    pub(super) fn arrival(&self, place: u64) -> Option<(u64, SystemTime)> {
        let at = self.arrivals.partition_point(|arrival| arrival.at <= place);
        let arrival = self.arrivals.get(at.checked_sub(1)?)?;
        Some((arrival.order, arrival.time))
    }

    /// Nothing more comes: gives back what is not used.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.arrivals.shrink_to_fit();
    }

    /// The lines, the newest first.
    pub(super) fn lines(&self) -> Lines<'_> {
        Lines { ring: self, end: self.bytes.len(), arrival: self.arrivals.len() }
    }

    /// The bytes from `start` to `end`.
    pub(super) fn copy(&self, start: usize, end: usize) -> Vec<u8> {
        let (front, back) = self.bytes.as_slices();
        let middle = front.len();
        let mut copy = Vec::with_capacity(end - start);
        copy.extend_from_slice(&front[start.min(middle)..end.min(middle)]);
        copy.extend_from_slice(&back[start.max(middle) - middle..end.max(middle) - middle]);
        copy
    }
}

/// A line of a [`Ring`]: where it is, and when its first byte came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) order: u64,
    pub(super) time: SystemTime,
    /// With its end, if it has one.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The lines of a ring from the newest to the oldest, without the one whose start was dropped; should that be all there is,
/// it is taken for a line.
pub(super) struct Lines<'a> {
    ring: &'a Ring,
    /// Where those begin that were given already.
    end: usize,
    /// Those from here on came later.
    arrival: usize,
}

impl Iterator for Lines<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        if self.end == 0 {
            return None;
        }
        let end = self.end;
        // The byte before the end may be this line's own end.
        let start = last_newline(&self.ring.bytes, end - 1).map_or(0, |at| at + 1);
        self.end = start;
        if start == 0 && self.ring.cut && end < self.ring.bytes.len() {
            return None;
        }
        let place = self.ring.first + start as u64;
        while self.arrival > 1 && self.ring.arrivals[self.arrival - 1].at > place {
            self.arrival -= 1;
        }
        let Arrival { order, time, .. } = *self.ring.arrivals.get(self.arrival.checked_sub(1)?)?;
        Some(Found { order, time, start, end })
    }
}

/// The last line feed before `end`.
fn last_newline(bytes: &VecDeque<u8>, end: usize) -> Option<usize> {
    let (front, back) = bytes.as_slices();
    let middle = front.len();
    let find = |slice: &[u8]| slice.iter().rposition(|&b| b == b'\n');
    let in_back = find(&back[..end.max(middle) - middle]).map(|at| at + middle);
    in_back.or_else(|| find(&front[..end.min(middle)]))
}
