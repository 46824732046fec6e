//! Times as HTTP writes them.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A time as HTTP writes it: an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
///
/// Times before 1970 are written as its start, times after 9999 as its end. One second is its grain,
/// so a server needs one a second.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HttpDate([u8; 29]);

/// The last second that four digits of a year can tell.
const LAST: u64 = 253_402_300_799;

impl HttpDate {
    /// This time.
    #[must_use]
    pub fn new(time: SystemTime) -> Self {
        let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).min(LAST);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        // 1970-01-01 was a Thursday.
        let weekday = (days % 7) as usize * 3;
        let mut text = *b"Thu, 00 Jan 0000 00:00:00 GMT";
        text[..3].copy_from_slice(&b"ThuFriSatSunMonTueWed"[weekday..weekday + 3]);
        text[8..11].copy_from_slice(&b"JanFebMarAprMayJunJulAugSepOctNovDec"[(month - 1) * 3..month * 3]);
        let mut two = |at: usize, n: u64| {
            text[at] = b'0' + (n / 10 % 10) as u8;
            text[at + 1] = b'0' + (n % 10) as u8;
        };
        two(5, day);
        two(12, year / 100);
        two(14, year);
        two(17, second / 3600);
        two(20, second / 60 % 60);
        two(23, second % 60);
        Self(text)
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        super::fields::ascii(&self.0)
    }
}

/// The year, the month from 1 and the day of a number of days since 1970, after Howard Hinnant's
/// `civil_from_days`: years start in March, so that a leap day is the last of its year.
fn civil(days: u64) -> (u64, usize, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month as usize, day)
}

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn known_dates() {
        // As GNU date(1) writes them: date -u -d @N '+%a, %d %b %Y %H:%M:%S GMT'.
        for (seconds, want) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (1_735_689_600, "Wed, 01 Jan 2025 00:00:00 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (LAST, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (LAST + 1, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(HttpDate::new(UNIX_EPOCH + Duration::from_secs(seconds)).as_str(), want);
        }
        assert_eq!(HttpDate::new(UNIX_EPOCH - Duration::from_secs(1)), HttpDate::new(UNIX_EPOCH));
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = civil(0);
        for days in 1..LAST / 86_400 {
            let next = civil(days);
            let follows = next == (last.0, last.1, last.2 + 1)
                || (next.2 == 1 && next.1 == last.1 + 1 && next.0 == last.0 && last.2 >= 28)
                || (next == (last.0 + 1, 1, 1) && (last.1, last.2) == (12, 31));
            assert!(follows, "{last:?} {next:?}");
            last = next;
        }
    }
}
