//! The process table in a world whose dice are the input.

#[path = "../../tests/simulation/world.rs"]
mod world;

use world::{Dice, World};

/// The dice: two bytes a throw, until there are no more.
struct Bytes(Vec<u8>);

impl Dice for Bytes {
    fn roll(&mut self) -> Option<u32> {
        let low = self.0.pop()?;
        Some(u32::from_le_bytes([low, self.0.pop().unwrap_or(0), 0, 0]))
    }
}

/// Plays until the dice run out, then shuts down; the world's claims are the property.
pub fn run(data: &[u8]) {
    let dice = Bytes(data.iter().rev().copied().collect());
    let mut world = World::new(dice, "this input".to_owned());
    while !world.is_over() {
        world.step();
    }
    world.end();
}
