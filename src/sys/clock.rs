//! The time of day where the machine stands.

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment as calendars and clocks show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) year: i32,
    /// From 1.
    pub(crate) month: u8,
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
}

/// `time` in the local time zone; UTC where the system cannot tell.
///
/// The zone is read when the process first asks (`TZ`, else `/etc/localtime`).
pub(crate) fn local(time: SystemTime) -> Local {
    // A clock that stands before 1970 is wrong anyway.
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // SAFETY: all zeroes is a valid `tm`: its numbers are 0 and its zone pointer is null.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // The type of a clock is not named: musl is about to change it, and libc says so wherever it is.
    if let Ok(clock) = seconds.try_into() {
        // SAFETY: both pointers are valid for the call; localtime_r(3) and gmtime_r(3) keep neither. They fail only
        // for years beyond an int; then all is zero.
        let _ = unsafe { libc::localtime_r(&clock, &mut tm).is_null() && libc::gmtime_r(&clock, &mut tm).is_null() };
    }
    Local {
        year: 1900 + tm.tm_year,
        month: tm.tm_mon as u8 + 1,
        day: tm.tm_mday as u8,
        hour: tm.tm_hour as u8,
        minute: tm.tm_min as u8,
        second: tm.tm_sec as u8,
    }
}

/// Hour, minute and second of [`local`].
#[cfg(any(feature = "client", feature = "console"))]
pub(crate) fn local_time(time: SystemTime) -> (u8, u8, u8) {
    let Local { hour, minute, second, .. } = local(time);
    (hour, minute, second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn agrees_with_date() {
        for seconds in [0_u64, 1_700_000_000, 1_719_792_000, 1_735_689_599] {
            let l = local(UNIX_EPOCH + Duration::from_secs(seconds));
            // GNU, then BSD.
            let date = ["-d", "-r"].iter().find_map(|option| {
                let value = if *option == "-d" { format!("@{seconds}") } else { seconds.to_string() };
                let output = Command::new("date").args([option, value.as_str(), "+%Y-%m-%d %H:%M:%S"]).output().ok()?;
                output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
            });
            let day = format!("{:04}-{:02}-{:02}", l.year, l.month, l.day);
            assert_eq!(Some(format!("{day} {:02}:{:02}:{:02}", l.hour, l.minute, l.second)), date, "{seconds}");
        }
    }
}
