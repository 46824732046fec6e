//! How long turns take.

use std::time::Duration;

/// How long the turns of a manager took, from the end of the wait to the end of delivery: what whoever comes
/// next has to wait for. A histogram; nothing of it grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnTimes {
    /// Turns of at most each bound and more than the one before; the last are those beyond all.
    counts: [u64; TurnTimes::BOUNDS.len() + 1],
    sum: Duration,
}

impl TurnTimes {
    /// The upper bounds of the buckets, in order: 30 µs to 3 s, two for each power of ten.
    pub const BOUNDS: [Duration; 11] = [
        Duration::from_micros(30),
        Duration::from_micros(100),
        Duration::from_micros(300),
        Duration::from_millis(1),
        Duration::from_millis(3),
        Duration::from_millis(10),
        Duration::from_millis(30),
        Duration::from_millis(100),
        Duration::from_millis(300),
        Duration::from_secs(1),
        Duration::from_secs(3),
    ];

    pub(super) fn add(&mut self, time: Duration) {
        self.counts[Self::BOUNDS.partition_point(|bound| *bound < time)] += 1;
        self.sum = self.sum.saturating_add(time);
    }

    /// Each bound, and how many turns took at most so long.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        Self::BOUNDS.into_iter().zip(self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        }))
    }

    /// How many turns there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long they took together.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_counts_in_its_bucket_and_all_above() {
        let mut times = TurnTimes::default();
        let micros = [0, 30, 31, 100, 2_999_999, 3_000_000, 3_000_001];
        for micros in micros {
            times.add(Duration::from_micros(micros));
        }
        let counts: Vec<_> = times.buckets().map(|(_, n)| n).collect();
        assert_eq!(counts, [2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 6]);
        assert_eq!((times.count(), times.sum()), (7, Duration::from_micros(micros.iter().sum())));
    }
}
