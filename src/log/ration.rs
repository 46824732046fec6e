//! Lines that strangers can cause.

use std::fmt::Display;
use std::time::{Duration, Instant};

use super::Log;

/// So many lines in a row, and then one each so often.
const LINES: u32 = 10;
const EACH: Duration = Duration::from_secs(6);

/// How many lines may be written: ten in a row, and then one every six seconds.
#[derive(Debug)]
pub struct Ration {
    left: u32,
    /// When the last one was given back.
    since: Option<Instant>,
    left_out: u64,
}

impl Default for Ration {
    fn default() -> Self {
        Self { left: LINES, since: None, left_out: 0 }
    }
}

impl Ration {
    /// Logs something that happens now as a warning, if there is a line left for it, and then how many were left out before it.
    pub fn warn(&mut self, log: &Log, message: impl Display) {
        match self.take(Instant::now()) {
            Some(0) => log.warning(message),
            Some(more) => log.warning(format_args!("{message} (and {more} more since the last such line)")),
            None => {}
        }
    }

    /// Whether there is a line for something that happens now: how many were left out before it.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let since = *self.since.get_or_insert(now);
        let back = now.saturating_duration_since(since).as_secs() / EACH.as_secs();
        if back > 0 {
            self.left = self.left.saturating_add(u32::try_from(back).unwrap_or(LINES)).min(LINES);
            self.since = Some(now);
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Some(std::mem::take(&mut self.left_out))
            }
            None => {
                self.left_out += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_lines() {
        let (mut ration, start) = (Ration::default(), Instant::now());
        let mut take = |millis| ration.take(start + Duration::from_millis(millis));
        let first: Vec<_> = (0..1000).filter_map(&mut take).collect();
        assert_eq!(first, [0; 10]);
        assert_eq!((take(5999), take(6000), take(6001)), (None, Some(991), None));
        assert_eq!((take(13_000), take(13_001)), (Some(1), None));
        // A day of silence gives no more than was there at first.
        let later: Vec<_> = (0..100).filter_map(|n| take(86_400_000 + n)).collect();
        assert_eq!((later.len(), later[0]), (10, 1));
    }
}
