//! Masking, RFC 6455 section 5.3: the payload of what a client sends, XOR a key of four bytes.

use std::fmt;

/// A cache line.
const BLOCK: usize = 64;

/// Masks or unmasks `bytes`, which begin `offset` bytes into the payload.
///
/// The key is laid out over a block, so that compilers make vector instructions of the loop.
pub fn apply(mut key: [u8; 4], offset: usize, bytes: &mut [u8]) {
    key.rotate_left(offset % 4);
    let wide = [key; BLOCK / 4];
    let wide = wide.as_flattened();
    let mut blocks = bytes.chunks_exact_mut(BLOCK);
    for block in &mut blocks {
        for (byte, key) in block.iter_mut().zip(wide) {
            *byte ^= key;
        }
    }
    for (byte, key) in blocks.into_remainder().iter_mut().zip(wide) {
        *byte ^= key;
    }
}

/// Where a client takes its masks from.
///
/// "The masking key needs to be unpredictable" (section 5.3), so that a page which chooses the text
/// cannot choose the bytes on the wire and fool a proxy. That is a danger to browsers, which send
/// for strangers; a program that sends its own words may use [`seeded`](Self::seeded). One that
/// sends for others gives a [source](Self::new) of its own:
///
/// ```
/// use gaffer::proto::ws::Masks;
/// use std::hash::{BuildHasher, RandomState};
///
/// let (keyed, mut n) = (RandomState::new(), 0u32); // SipHash with a key from the system
/// let masks = Masks::new(move || {
///     n = n.wrapping_add(1);
///     (keyed.hash_one(n) as u32).to_ne_bytes()
/// });
/// # let _ = masks;
/// ```
pub struct Masks(Box<dyn FnMut() -> [u8; 4] + Send>);

impl Masks {
    /// Masks from a function.
    pub fn new(source: impl FnMut() -> [u8; 4] + Send + 'static) -> Self {
        Self(Box::new(source))
    }

    /// Masks from a small generator (SplitMix64): well mixed, and predictable to who knows the seed.
    #[must_use]
    pub fn seeded(mut seed: u64) -> Self {
        Self::new(move || {
            seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((mixed >> 32) as u32).to_ne_bytes()
        })
    }

    pub(super) fn draw(&mut self) -> [u8; 4] {
        (self.0)()
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masks(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_formula_of_the_rfc_at_every_length_and_offset() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for offset in 0..9 {
            for len in 0..200 {
                let clear: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
                let want: Vec<u8> = clear.iter().enumerate().map(|(i, b)| b ^ key[(i + offset) % 4]).collect();
                let mut got = clear.clone();
                apply(key, offset, &mut got);
                assert_eq!(got, want, "offset {offset}, {len} bytes");
                apply(key, offset, &mut got);
                assert_eq!(got, clear);
            }
        }
    }

    #[test]
    fn seeded_masks_differ_and_repeat() {
        let draw = |seed| {
            let mut masks = Masks::seeded(seed);
            (0..1000).map(|_| masks.draw()).collect::<Vec<_>>()
        };
        let mut one = draw(1);
        assert_eq!(one, draw(1));
        assert_ne!(one, draw(2));
        one.sort_unstable();
        one.dedup();
        assert!(one.len() > 990, "{} different masks", one.len());
    }
}
