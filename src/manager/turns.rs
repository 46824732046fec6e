//! How long turns take.

use std::time::Duration;

/// How long the turns of a manager have held its loop, what they waited for aside: the time for which nobody else was served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnTimes {
    counts: [u64; Self::BOUNDS.len() + 1],
    sum: Duration,
    longest: Duration,
}

impl TurnTimes {
    /// Upper bounds of the classes in which turns are counted; a last class has those that took longer.
    pub const BOUNDS: [Duration; 6] = [
        Duration::from_micros(100),
        Duration::from_millis(1),
        Duration::from_millis(5),
        Duration::from_millis(25),
        Duration::from_millis(100),
        Duration::from_secs(1),
    ];

    pub(super) fn add(&mut self, took: Duration) {
        let class = Self::BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(Self::BOUNDS.len());
        self.counts[class] += 1;
        self.sum += took;
        self.longest = self.longest.max(took);
    }

    /// How many turns took at most that long, for each of the bounds; each count has those of the bounds before.
    pub fn up_to(&self) -> impl Iterator<Item = (Duration, u64)> + use<'_> {
        Self::BOUNDS.iter().zip(&self.counts).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((*bound, *sum))
        })
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

    /// How long the longest of them took.
    #[must_use]
    pub const fn longest(&self) -> Duration {
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        let mut times = TurnTimes::default();
        for millis in [0, 1, 2, 30, 5000] {
            times.add(Duration::from_millis(millis));
        }
        let counts: Vec<_> = times.up_to().map(|(_, count)| count).collect();
        assert_eq!((counts, times.count()), (vec![1, 2, 3, 3, 4, 4], 5));
        assert_eq!((times.sum(), times.longest()), (Duration::from_millis(5033), Duration::from_secs(5)));
    }
}
