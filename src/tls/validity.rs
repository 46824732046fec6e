//! How long a certificate is valid. The one who shows it is not told by the library, only the one who checks it.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

/// A certificate with less than this left is talked about.
const SOON: i64 = 14 * DAY;

/// What is to be said about it.
pub(super) fn warning(der: &[u8], path: &Path) -> Option<String> {
    let (from, until) = validity(der)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs() as i64);
    let days = |seconds: i64| match seconds / DAY {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        n => format!("{n} days"),
    };
    let what = if until < now {
        format!("has expired {} ago", days(now - until))
    } else if from > now {
        format!("is not valid yet, for {}", days(from - now))
    } else if until - now < SOON {
        format!("expires in {}", days(until - now))
    } else {
        return None;
    };
    Some(format!("a certificate in '{}' {what}", path.display()))
}

/// The first and the last second, since 1970 (RFC 5280 section 4.1); `None` for what is no certificate.
fn validity(der: &[u8]) -> Option<(i64, i64)> {
    const SEQUENCE: u8 = 0x30;
    let mut file = der;
    let mut certificate = item(&mut file, SEQUENCE)?;
    let mut signed = item(&mut certificate, SEQUENCE)?;
    // The version is only there where it is not 1.
    if signed.first() == Some(&0xa0) {
        any(&mut signed)?;
    }
    // The number, the algorithm and the issuer.
    for _ in 0..3 {
        any(&mut signed)?;
    }
    let mut times = item(&mut signed, SEQUENCE)?;
    Some((time(any(&mut times)?)?, time(any(&mut times)?)?))
}

/// The next item (X.690 section 8.1): its tag and its content.
fn any<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let (digits, after) =
            rest.split_at_checked(usize::from(first & 0x7f)).filter(|(n, _)| (1..=4).contains(&n.len()))?;
        length = digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    *input = after;
    Some((tag, content))
}

fn item<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    any(input).filter(|(found, _)| *found == tag).map(|(_, content)| content)
}

/// `YYMMDDHHMMSSZ` (1950 to 2049) or `YYYYMMDDHHMMSSZ`.
fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let digits = text.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let two = |at: usize| -> Option<i64> {
        let pair = digits.get(at..at + 2)?;
        Some(i64::from(pair[0] - b'0') * 10 + i64::from(pair[1] - b'0'))
    };
    let (year, at) = match (tag, digits.len()) {
        (0x17, 12) => (two(0).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?, 2),
        (0x18, 14) => (two(0)? * 100 + two(2)?, 4),
        _ => return None,
    };
    let (month, day) = (two(at)?, two(at + 2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March, so that the day that may be missing is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    Some(days * DAY + two(at + 4)? * 3600 + two(at + 6)? * 60 + two(at + 8)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Option<i64> {
        time((0x17, text.as_bytes()))
    }

    #[test]
    fn times() {
        assert_eq!(utc("700101000000Z"), Some(0));
        assert_eq!(utc("000229120000Z"), Some(951_825_600));
        assert_eq!(utc("491231235959Z"), Some(2_524_607_999));
        assert_eq!(time((0x18, b"20500101000000Z")), Some(2_524_608_000));
        for bad in ["", "Z", "7001010000Z", "701301000000Z", "70010100000aZ", "700101000000"] {
            assert_eq!(utc(bad), None, "{bad}");
        }
    }

    #[test]
    fn nothing_is_read_beyond_its_end() {
        // SEQUENCE { SEQUENCE { 1, 2, 3, SEQUENCE { two times } } }
        let times = [&[0x17, 13][..], b"700101000000Z", &[0x17, 13], b"700101000001Z"].concat();
        let mut signed = vec![2, 0, 2, 0, 2, 0, 0x30, times.len() as u8];
        signed.extend_from_slice(&times);
        let whole = [&[0x30, signed.len() as u8 + 2, 0x30, signed.len() as u8][..], &signed].concat();
        assert_eq!(validity(&whole), Some((0, 1)));
        for end in 0..whole.len() {
            assert_eq!(validity(&whole[..end]), None, "{end}");
        }
        // Any byte may be wrong.
        let mut random = 7_u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut broken = whole.clone();
            let at = (random >> 33) as usize % broken.len();
            broken[at] = (random >> 25) as u8;
            let _ = validity(&broken);
        }
    }
}
