//! Timers as a pure structure: time is an argument, nothing here reads a clock.
#![forbid(unsafe_code)]

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::id::{IdMap, TimerId};

/// Cancelled entries that are kept before a compaction is worth its while.
const SLACK: usize = 64;

/// A set of timers ordered by deadline, then by the order they were set in.
///
/// A binary heap in which cancelling only marks: setting and cancelling are O(1) for the usual timer,
/// one that lies behind the others and is cancelled before it fires. What cancelled entries leave in
/// the heap is bounded: as soon as they outnumber the live ones (and [`SLACK`]) they are swept out.
///
/// The top of the heap is always live, so that [`next_deadline`](Timers::next_deadline) is exact.
pub(super) struct Timers<T> {
    heap: BinaryHeap<Entry<T>>,
    /// The timers that are set; an entry of the heap whose id is not here was cancelled.
    live: IdMap<()>,
    last_id: u64,
}

struct Entry<T> {
    at: Instant,
    id: u64,
    owner: T,
}

impl<T: Copy> Timers<T> {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), live: IdMap::default(), last_id: 0 }
    }

    /// Sets a timer; a deadline in the past is due at once.
    pub(super) fn set(&mut self, at: Instant, owner: T) -> TimerId {
        self.last_id += 1;
        let id = self.last_id;
        self.live.insert(id, ());
        self.heap.push(Entry { at, id, owner });
        TimerId(id)
    }

    /// Takes a timer back; false if it has fired or was cancelled before.
    pub(super) fn cancel(&mut self, TimerId(id): TimerId) -> bool {
        if self.live.remove(&id).is_none() {
            return false;
        }
        self.sweep();
        true
    }

    /// When the next timer is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// Takes the first timer out that is due at `now`.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<(TimerId, T)> {
        if self.next_deadline()? > now {
            return None;
        }
        let entry = self.heap.pop()?;
        self.live.remove(&entry.id);
        self.sweep();
        Some((TimerId(entry.id), entry.owner))
    }

    /// The number of timers that are set.
    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// Restores the two rules: the top is live, and cancelled entries do not outnumber live ones.
    fn sweep(&mut self) {
        if self.heap.len() - self.live.len() > self.live.len().max(SLACK) {
            let live = &self.live;
            self.heap.retain(|entry| live.contains_key(&entry.id));
            return;
        }
        while self.heap.peek().is_some_and(|entry| !self.live.contains_key(&entry.id)) {
            self.heap.pop();
        }
    }
}

/// Reversed, because [`BinaryHeap`] gives the greatest first.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.id).cmp(&(self.at, self.id))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn expire<T: Copy>(timers: &mut Timers<T>, now: Instant) -> Vec<T> {
        std::iter::from_fn(|| timers.pop_expired(now)).map(|(_, owner)| owner).collect()
    }

    #[test]
    fn fires_by_deadline_then_in_order_of_setting() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::new();
        for (ms, owner) in [(20, 'c'), (10, 'a'), (20, 'd'), (10, 'b'), (30, 'e')] {
            timers.set(at(ms), owner);
        }
        assert_eq!(expire(&mut timers, at(9)), []);
        assert_eq!(expire(&mut timers, at(20)), ['a', 'b', 'c', 'd']);
        assert_eq!(timers.next_deadline(), Some(at(30)));
        assert_eq!(expire(&mut timers, at(30)), ['e']);
        assert_eq!((timers.next_deadline(), timers.len()), (None, 0));
    }

    #[test]
    fn a_timer_is_cancelled_once_and_not_after_it_fired() {
        let now = Instant::now();
        let mut timers = Timers::new();
        let (a, b) = (timers.set(now, 'a'), timers.set(now, 'b'));
        assert!(timers.cancel(a));
        assert!(!timers.cancel(a));
        assert_eq!(expire(&mut timers, now), ['b']);
        assert!(!timers.cancel(b));
    }

    #[test]
    fn the_next_deadline_is_never_that_of_a_cancelled_timer() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let mut timers = Timers::new();
        let early = timers.set(start, ());
        timers.set(later, ());
        assert!(timers.cancel(early));
        assert_eq!(timers.next_deadline(), Some(later));
    }

    #[test]
    fn cancelling_leaves_bounded_garbage() {
        let start = Instant::now();
        let at = |n: u64| start + Duration::from_micros(n);
        let mut timers = Timers::new();
        timers.set(start, 0);
        for n in 1..100_000 {
            let id = timers.set(at(n), n);
            assert!(timers.cancel(id));
            assert!(timers.heap.len() <= 2 + SLACK + timers.len(), "{} entries", timers.heap.len());
        }
        assert!(timers.heap.capacity() <= 4 * SLACK, "capacity {}", timers.heap.capacity());
        assert!(timers.live.capacity() <= 4 * SLACK, "capacity {}", timers.live.capacity());
    }

    /// Against a plain list, searched from end to end.
    #[test]
    fn agrees_with_a_list_under_random_use() {
        const STEPS: u32 = 300_000;
        let seed = std::env::var("GAFFER_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0x5eed_u64);
        let mut state = seed;
        let mut random = |below: u64| {
            // splitmix64
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) % below
        };
        let mut now = Instant::now();
        let mut timers = Timers::new();
        let mut model: Vec<(Instant, TimerId, u32)> = Vec::new();
        let mut gone: Vec<TimerId> = Vec::new();
        for step in 0..STEPS {
            let context = || format!("seed {seed}, step {step}");
            // The balance of set and cancel drifts, so that both large and empty sets are met.
            let crowded = (step / 10_000) % 2 == 0;
            match random(10) {
                0..=3 => {
                    let at = now + Duration::from_micros(random(300));
                    let id = timers.set(at, step);
                    assert!(!model.iter().any(|&(_, known, _)| known == id), "{}", context());
                    model.push((at, id, step));
                }
                4..=6 if !crowded || model.len() > 500 => {
                    if !model.is_empty() {
                        let (_, id, _) = model.swap_remove(random(model.len() as u64) as usize);
                        assert!(timers.cancel(id), "{}", context());
                        gone.push(id);
                    }
                }
                7 if !gone.is_empty() => {
                    let id = gone[random(gone.len() as u64) as usize];
                    assert!(!timers.cancel(id), "{}", context());
                }
                _ => {
                    now += Duration::from_micros(random(20));
                    model.sort_by_key(|&(at, id, _)| (at, id));
                    let due = model.partition_point(|&(at, _, _)| at <= now);
                    let expected: Vec<_> = model.drain(..due).map(|(_, id, owner)| (id, owner)).collect();
                    let fired: Vec<_> = std::iter::from_fn(|| timers.pop_expired(now)).collect();
                    assert_eq!(fired, expected, "{}", context());
                    gone.extend(fired.into_iter().map(|(id, _)| id));
                    gone.truncate(1_000);
                }
            }
            assert_eq!(timers.len(), model.len(), "{}", context());
            assert_eq!(timers.next_deadline(), model.iter().map(|&(at, _, _)| at).min(), "{}", context());
            assert!(timers.heap.len() <= 1 + 2 * timers.len().max(SLACK), "{}", context());
        }
    }
}
