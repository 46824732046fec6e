//! How often somebody may try a password.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Users and peers that are remembered; beyond it, whoever may try again first is forgotten.
pub const MAX_REMEMBERED: usize = 4096;

/// Wrong passwords that cost nothing but themselves.
const FREE: u32 = 5;

/// The longest wait. It is short, for whoever knows a name could lock its owner out otherwise.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// After so long without a wrong password all is forgiven.
const FORGET: Duration = Duration::from_secs(900);

/// Failures by name. After the fifth one each costs a wait, twice as long as the one before, up to [`MAX_WAIT`].
#[derive(Debug, Default)]
pub struct Throttle {
    failures: HashMap<String, Failures>,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn until(&self) -> Instant {
        let wait = match self.count.checked_sub(FREE) {
            None | Some(0) => Duration::ZERO,
            Some(n) => Duration::from_secs(1 << (n - 1).min(16)).min(MAX_WAIT),
        };
        self.last + wait
    }
}

impl Throttle {
    /// Counts an attempt by all these names as a failure until [`succeeded`](Self::succeeded) says otherwise, so that those under
    /// way count too.
    ///
    /// # Errors
    ///
    /// How long to wait, if one of them must; nothing is counted then.
    pub fn attempt(&mut self, names: &[String], now: Instant) -> Result<(), Duration> {
        let waits =
            names.iter().filter_map(|name| self.failures.get(name)).map(|f| f.until().saturating_duration_since(now));
        match waits.max() {
            Some(wait) if wait > Duration::ZERO => return Err(wait),
            _ => {}
        }
        for name in names {
            if !self.failures.contains_key(name) && self.failures.len() >= MAX_REMEMBERED {
                self.make_room(now);
            }
            let failures = self.failures.entry(name.clone()).or_insert(Failures { count: 0, last: now });
            if now.saturating_duration_since(failures.last) > FORGET {
                failures.count = 0;
            }
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
        }
        Ok(())
    }

    /// The password was right.
    pub fn succeeded(&mut self, names: &[String]) {
        for name in names {
            self.failures.remove(name);
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.failures.len()
    }

    /// Whether nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.failures.is_empty()
    }

    fn make_room(&mut self, now: Instant) {
        self.failures.retain(|_, failures| now.saturating_duration_since(failures.last) <= FORGET);
        if self.failures.len() >= MAX_REMEMBERED {
            let first = self.failures.iter().min_by_key(|(_, failures)| failures.until()).map(|(name, _)| name.clone());
            if let Some(name) = first {
                self.failures.remove(&name);
            }
        }
    }
}
