//! The emitter against a naive matcher, on random programs. (`fuzz_corpora.rs` replays the fuzzer's.)

#[allow(unreachable_pub, dead_code, reason = "the fuzzer's package exports it")]
#[path = "../fuzz/src/events.rs"]
mod model;

use std::panic::catch_unwind;

/// splitmix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[test]
fn agrees_with_the_naive_matcher() {
    let mut operations = 0;
    for seed in 0.. {
        let mut state = seed;
        let length = 64 << (next(&mut state) % 8);
        let program: Vec<u8> = (0..length).map(|_| next(&mut state) as u8).collect();
        match catch_unwind(|| model::operations(&program)) {
            Ok(done) => operations += done,
            Err(_) => panic!("seed {seed} fails"),
        }
        if operations >= 300_000 {
            return;
        }
    }
}
