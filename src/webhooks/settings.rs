//! The settings of webhooks.

use std::fmt;
use std::time::Duration;

/// How posts are made, and the bounds of what waits.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// What posts are signed with: `X-Gaffer-Signature` is then there. Default: none.
    pub secret: Option<String>,
    /// So often a post is tried, at least once; then it is given up and counted. Default: 3.
    pub tries: u32,
    /// The time for each try, from looking the host up to the end of the answer. Default: 10 s.
    pub timeout: Duration,
    /// The pause of a URL after a try that has failed; it doubles with each further one. Default: 1 s.
    pub pause: Duration,
    /// The longest pause of a URL. Default: 60 s.
    pub max_pause: Duration,
    /// So many events wait for a URL, beside the one that is on its way; beyond it the oldest is dropped and counted. Default: 1000.
    pub queue: usize,
    /// So many hooks there may be; further ones are refused ([`Full`](crate::ErrorKind::Full)). Default: 1000.
    pub max_hooks: usize,
    /// How long the manager's end waits for what was not posted yet. Default: 5 s.
    pub stop_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            secret: None,
            tries: 3,
            timeout: Duration::from_secs(10),
            pause: Duration::from_secs(1),
            max_pause: Duration::from_secs(60),
            queue: 1000,
            max_hooks: 1000,
            stop_timeout: Duration::from_secs(5),
        }
    }
}

setters! {
    Settings {
        secret: impl Into<String> => Some(secret.into()),
        tries: u32,
        timeout: Duration,
        pause: Duration,
        max_pause: Duration,
        queue: usize,
        max_hooks: usize,
        stop_timeout: Duration,
    }
}

impl Settings {
    /// The pause after so many tries in a row have failed.
    pub(super) fn pause_after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.pause.saturating_mul(1 << doublings).min(self.max_pause)
    }
}

/// Without the secret.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("secret", &self.secret.as_ref().map(|_| "…"))
            .field("tries", &self.tries)
            .field("timeout", &self.timeout)
            .field("pause", &self.pause)
            .field("max_pause", &self.max_pause)
            .field("queue", &self.queue)
            .field("max_hooks", &self.max_hooks)
            .field("stop_timeout", &self.stop_timeout)
            .finish()
    }
}
