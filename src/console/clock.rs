//! The time of day as text, worked out once a second.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::sys::clock::local_time;

/// What tells hour, minute and second; another one in tests.
pub(super) type LocalTime = fn(SystemTime) -> (u8, u8, u8);

#[derive(Debug)]
pub(super) struct Clock {
    second: Option<u64>,
    text: [u8; 8],
    local: LocalTime,
}

impl Clock {
    pub(super) const fn new() -> Self {
        Self::with(local_time)
    }

    pub(super) const fn with(local: LocalTime) -> Self {
        Self { second: None, text: *b"00:00:00", local }
    }

    /// `HH:MM:SS`.
    pub(super) fn text(&mut self, time: SystemTime) -> [u8; 8] {
        let second = unix(time).0;
        if self.second != Some(second) {
            self.second = Some(second);
            let (h, m, s) = (self.local)(time);
            for (value, at) in [(h, 0), (m, 3), (s, 6)] {
                self.text[at] = b'0' + value / 10 % 10;
                self.text[at + 1] = b'0' + value % 10;
            }
        }
        self.text
    }
}

/// Seconds and microseconds since 1970; 0 for a clock that stands before.
pub(super) fn unix(time: SystemTime) -> (u64, u32) {
    time.duration_since(UNIX_EPOCH).map_or((0, 0), |since| (since.as_secs(), since.subsec_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_second_at_a_time() {
        let mut clock = Clock::with(|time| (23, 5, (unix(time).0 % 60) as u8));
        let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
        assert_eq!(&clock.text(at(7_000)), b"23:05:07");
        assert_eq!(&clock.text(at(7_999)), b"23:05:07");
        assert_eq!(&clock.text(at(8_000)), b"23:05:08");
        assert_eq!(&clock.text(at(6_000)), b"23:05:06", "clocks are set back");
    }
}
