//! The process table in a random world: see [`world`].
//!
//! `GAFFER_SEED` replays one seed, `GAFFER_STEPS` sets the number of steps.

#[path = "simulation/world.rs"]
mod world;

use world::{Dice, World};

/// SplitMix64 (Steele, Lea, Flood 2014).
struct SplitMix(u64);

impl Dice for SplitMix {
    fn roll(&mut self) -> Option<u32> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(((z ^ (z >> 31)) >> 32) as u32)
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: expected a number")))
}

/// Plays the default seeds `first`, `first + 4` …, or the one that was asked for.
fn play(first: u64) {
    let all = if cfg!(debug_assertions) { 60_000 } else { 1_200_000 };
    let replay = number("GAFFER_SEED");
    if replay.is_some() && first > 0 {
        return;
    }
    let seeds: Vec<u64> = replay.map_or_else(|| vec![first, first + 4, first + 8], |seed| vec![seed]);
    let steps = number("GAFFER_STEPS").unwrap_or(all / 12);
    for seed in seeds {
        let mut world = World::new(SplitMix(seed), format!("GAFFER_SEED={seed}"));
        for _ in 0..steps {
            world.step();
        }
        world.end();
        world.must_have_seen_everything(steps);
    }
}

#[test]
fn seeds_0() {
    play(0);
}

#[test]
fn seeds_1() {
    play(1);
}

#[test]
fn seeds_2() {
    play(2);
}

#[test]
fn seeds_3() {
    play(3);
}
