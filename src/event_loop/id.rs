//! Ids that are never re-used, and a map keyed by them.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Names one registration of a descriptor; never re-used by the same [`EventLoop`](super::EventLoop).
///
/// A descriptor number is re-used by the system as soon as it is closed, an id is not: an event that
/// comes too late carries an id its owner no longer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub(super) u64);

/// Names one timer; never re-used by the same [`EventLoop`](super::EventLoop).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(pub(super) u64);

/// A map from our own ids, which nobody outside can choose: SipHash would protect from nothing and
/// cost more than the rest of a look-up.
pub(super) type IdMap<V> = HashMap<u64, V, BuildHasherDefault<IdHasher>>;

/// The same for those who keep something for each of their sources.
#[cfg(feature = "server")]
pub(crate) type SourceMap<V> = HashMap<SourceId, V, BuildHasherDefault<IdHasher>>;

/// Fibonacci hashing. The rotation brings the well mixed upper half to where the table takes its
/// bucket number from, so that ids at a power-of-two distance do not share a bucket.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write_u64(&mut self, id: u64) {
        self.0 = id.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0 ^ u64::from(byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_at_any_distance_spread_over_the_buckets() {
        for shift in 0..32 {
            let mut buckets = [0u32; 1024];
            for n in 0..1024u64 {
                let mut hasher = IdHasher::default();
                hasher.write_u64(n << shift);
                buckets[(hasher.finish() % 1024) as usize] += 1;
            }
            let fullest = buckets.iter().max().copied();
            assert!(fullest <= Some(16), "distance 2^{shift}: {fullest:?} ids in one bucket");
        }
    }
}
