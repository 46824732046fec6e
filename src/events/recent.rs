//! The plans of topics published by text of late.
//!
//! The same few topics are published again and again. Here the whole text is hashed once and, if
//! the trie has not changed since, its segments need not be looked up one by one. The table has a fixed
//! size and allocates once; a topic that is too long for it, or displaced, is looked up as any other.

use std::hash::{BuildHasher, Hasher};

use super::hash::Seed;

const PLACES: usize = 256;
const TEXT: usize = 44;
const NODES: usize = 4;

pub(super) struct Recent {
    seed: Seed,
    places: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    version: u64,
    nodes: [u32; NODES],
    count: u8,
    literal: u8,
    len: u8,
    text: [u8; TEXT],
}

impl Place {
    // No version is 0.
    const EMPTY: Self = Self { version: 0, nodes: [0; NODES], count: 0, literal: 0, len: 0, text: [0; TEXT] };
}

impl Recent {
    pub(super) fn new() -> Self {
        Self { seed: Seed::default(), places: Vec::new() }
    }

    /// Where the topic belongs.
    #[inline]
    pub(super) fn place(&self, topic: &str) -> usize {
        let mut hasher = self.seed.build_hasher();
        hasher.write(topic.as_bytes());
        hasher.finish() as usize % PLACES
    }

    #[inline]
    pub(super) fn get(&self, place: usize, topic: &str, literal: usize, version: u64) -> Option<&[u32]> {
        let place = self.places.get(place).filter(|place| place.version == version)?;
        let same = usize::from(place.literal) == literal && place.text.get(..place.len.into())? == topic.as_bytes();
        if same { place.nodes.get(..place.count.into()) } else { None }
    }

    #[inline]
    pub(super) fn put(&mut self, place: usize, topic: &str, literal: usize, version: u64, plan: &[u32]) {
        let (Ok(literal), true, true) = (u8::try_from(literal), topic.len() <= TEXT, plan.len() <= NODES) else {
            return;
        };
        if self.places.is_empty() {
            self.places = vec![Place::EMPTY; PLACES];
        }
        let place = &mut self.places[place];
        (place.version, place.literal) = (version, literal);
        (place.len, place.count) = (topic.len() as u8, plan.len() as u8);
        place.text[..topic.len()].copy_from_slice(topic.as_bytes());
        place.nodes[..plan.len()].copy_from_slice(plan);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_what_still_holds() {
        let mut recent = Recent::new();
        let place = recent.place("a.b");
        assert_eq!(recent.get(place, "a.b", 0, 1), None);
        recent.put(place, "a.b", 1, 7, &[3, 4]);
        assert_eq!(recent.get(place, "a.b", 1, 7), Some(&[3, 4][..]));
        assert_eq!(recent.get(place, "a.b", 0, 7), None);
        assert_eq!(recent.get(place, "a.b", 1, 8), None);
        assert_eq!(recent.get(place, "a.c", 1, 7), None);
        let long = "x".repeat(TEXT + 1);
        recent.put(place, &long, 1, 7, &[1]);
        recent.put(place, "a.b", 256, 7, &[1]);
        recent.put(place, "a.b", 1, 7, &[1; NODES + 1]);
        assert_eq!(recent.get(place, "a.b", 1, 7), Some(&[3, 4][..]), "what does not fit displaces nothing");
    }
}
