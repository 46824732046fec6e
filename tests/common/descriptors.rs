//! How many descriptors a test may have.

use std::io::{self, Write};

use gaffer::sys::limits;

/// Lets this process have as many descriptors as it may, and tells whether those are `needed`, with what the tests beside this one
/// take; where they are not it says that this test is skipped.
pub(crate) fn may_have(needed: u64, test: &str) -> bool {
    let before = limits::raise_nofile();
    let hard = before.and_then(|_| limits::nofile()).map_or(0, |(soft, _)| soft);
    if hard < needed {
        // Past the test harness, which keeps what a test says that passes.
        let _ = writeln!(io::stderr(), "\nSKIPPED {test}: it takes {needed} descriptors, and `ulimit -Hn` is {hard}");
    }
    hard >= needed
}
