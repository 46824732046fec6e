//! The time of day where the machine stands.

use std::time::{SystemTime, UNIX_EPOCH};

/// Hour, minute and second of `time` in the local time zone; UTC where the system cannot tell.
///
/// The zone is read when the process first asks (`TZ`, else `/etc/localtime`).
pub(crate) fn local_time(time: SystemTime) -> (u8, u8, u8) {
    // A clock that stands before 1970 is wrong anyway.
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // SAFETY: all zeroes is a valid `tm`: its numbers are 0 and its zone pointer is null.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    let clock = libc::time_t::try_from(seconds).unwrap_or(libc::time_t::MAX);
    // SAFETY: both pointers are valid for the call; localtime_r(3) keeps neither.
    let known = !unsafe { libc::localtime_r(&clock, &mut tm) }.is_null();
    if known {
        (tm.tm_hour as u8, tm.tm_min as u8, tm.tm_sec as u8)
    } else {
        let day = seconds % 86400;
        ((day / 3600) as u8, (day / 60 % 60) as u8, (day % 60) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn agrees_with_date() {
        for seconds in [0_u64, 1_700_000_000, 1_719_792_000, 1_735_689_599] {
            let (h, m, s) = local_time(UNIX_EPOCH + Duration::from_secs(seconds));
            // GNU, then BSD.
            let date = ["-d", "-r"].iter().find_map(|option| {
                let value = if *option == "-d" { format!("@{seconds}") } else { seconds.to_string() };
                let output = Command::new("date").args([option, value.as_str(), "+%H:%M:%S"]).output().ok()?;
                output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
            });
            assert_eq!(Some(format!("{h:02}:{m:02}:{s:02}")), date, "{seconds}");
        }
    }
}
