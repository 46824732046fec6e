//! A fast hash for short segments and pairs of ids.
//!
//! The hasher of std resists an attacker who chooses keys, at ten times the cost. Here the keys are
//! words like `exit`; a random start per emitter and a multiplication that folds the high half back
//! into the low one are enough to make collisions unpredictable.

use std::hash::{BuildHasher, Hasher, RandomState};

/// An odd number with evenly spread bits: the fraction of the golden ratio.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Clone, Copy)]
pub(super) struct Seed(u64);

impl Default for Seed {
    fn default() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }
}

impl BuildHasher for Seed {
    type Hasher = Fold;

    #[inline]
    fn build_hasher(&self) -> Fold {
        Fold(self.0)
    }
}

pub(super) struct Fold(u64);

impl Fold {
    #[inline]
    fn mix(&mut self, word: u64, by: u64) {
        let wide = u128::from(self.0 ^ word) * u128::from(by);
        self.0 = (wide as u64) ^ (wide >> 64) as u64;
    }
}

#[inline]
fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

#[inline]
fn half(bytes: &[u8]) -> u64 {
    u64::from(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
}

impl Hasher for Fold {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let len = bytes.len();
        // The last word overlaps what went before it, so no length needs a loop over single bytes.
        let last = match len {
            0 => 0,
            1..=3 => u64::from(bytes[0]) | u64::from(bytes[len / 2]) << 8 | u64::from(bytes[len - 1]) << 16,
            4..=7 => half(&bytes[..4]) | half(&bytes[len - 4..]) << 32,
            _ => {
                for chunk in bytes[..len - 1].chunks_exact(8) {
                    self.mix(word(chunk), MIX);
                }
                word(&bytes[len - 8..])
            }
        };
        self.mix(last, MIX ^ (len as u64) << 1);
    }

    /// The byte that ends a `str`: its length is mixed in already.
    #[inline]
    fn write_u8(&mut self, byte: u8) {
        self.0 ^= u64::from(byte);
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.mix(word, MIX);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn texts_of_every_length_differ() {
        let seed = Seed::default();
        let mut seen = HashSet::new();
        let text = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
        for len in 0..text.len() {
            for changed in 0..len {
                let mut bytes = text.as_bytes()[..len].to_vec();
                bytes[changed] = b'_';
                let text = String::from_utf8(bytes).expect("ascii");
                assert!(seen.insert(seed.hash_one(text.as_str())), "{text} collides, start {:x}", seed.0);
            }
        }
    }

    #[test]
    fn numbers_spread_over_the_low_bits() {
        let seed = Seed::default();
        let buckets: HashSet<u64> = (0..1024u64).map(|n| seed.hash_one(n << 32) & 1023).collect();
        assert!(buckets.len() > 500, "{} of 1024 buckets, start {:x}", buckets.len(), seed.0);
    }
}
