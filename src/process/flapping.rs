//! The rule for programs that crash too often.

use std::time::Duration;

/// When a job that keeps crashing is paused, for how long, and when it is given up.
///
/// If the last [`attempts`](Self::attempts) exits of a job lie within [`window`](Self::window), the
/// job is stopped and tried again after [`retry_in`](Self::retry_in), at most
/// [`max_retry`](Self::max_retry) times; then it stays stopped. A process that outlives the window
/// clears the count.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Flapping {
    /// So many exits make a flap. Default 2, at least 1.
    pub attempts: u32,
    /// The time the exits must lie within. Default 1 s.
    pub window: Duration,
    /// The pause before the next try. Default 7 s.
    pub retry_in: Duration,
    /// So many tries, then the job is given up. Default 5.
    pub max_retry: u32,
}

impl Default for Flapping {
    fn default() -> Self {
        Self { attempts: 2, window: Duration::from_secs(1), retry_in: Duration::from_secs(7), max_retry: 5 }
    }
}

impl Flapping {
    /// A rule with these four values.
    #[must_use]
    pub const fn new(attempts: u32, window: Duration, retry_in: Duration, max_retry: u32) -> Self {
        Self { attempts, window, retry_in, max_retry }
    }
}
