//! Durations as people write them.

use std::time::Duration;

/// Reads `10`, `1.5` (seconds), `500ms`, `2m`, `1.5h`; the units are `ms`, `s`, `m` and `h`.
///
/// # Errors
///
/// A sentence that says what was expected.
pub fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "expected seconds, or a number with ms, s, m or h (10, 1.5, 500ms, 2m)";
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(EXPECTED),
    };
    // f64 would also read "-1", "+1", "inf" and "1e9".
    if digits.is_empty() || digits.bytes().any(|b| !b.is_ascii_digit() && b != b'.') {
        return Err(EXPECTED);
    }
    let number: f64 = digits.parse().map_err(|_| EXPECTED)?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| "that is too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [
            ("10", 10_000),
            ("1.5", 1_500),
            ("0", 0),
            ("500ms", 500),
            ("3s", 3_000),
            ("2m", 120_000),
            ("1.5h", 5_400_000),
            (".5", 500),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "s", "-1", "+1", "1e3", "inf", "nan", "1 s", "1d", "1.2.3", ".", "99999999999999999999h", "ä"]
        {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
