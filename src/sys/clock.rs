//! The time of day where the machine stands, and what becomes of it when somebody sets the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// When the machine was booted, by what the clock shows now: it moves when somebody sets the clock, as happens soon after the start of
/// a machine that has no battery. Elsewhere than on Linux the time that it slept may not count.
pub(crate) fn booted() -> SystemTime {
    #[cfg(target_os = "linux")]
    const SINCE_BOOT: libc::clockid_t = libc::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    const SINCE_BOOT: libc::clockid_t = libc::CLOCK_MONOTONIC;

    // SAFETY: all zeroes is a valid time: its fields are numbers.
    let mut up: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: points to a time. clock_gettime(2) fails for clocks that are not there only.
    let _ = unsafe { libc::clock_gettime(SINCE_BOOT, &mut up) };
    // Its fields have less than 64 bits on some systems.
    #[allow(clippy::unnecessary_cast)]
    let up = Duration::new(up.tv_sec as u64, up.tv_nsec as u32);
    SystemTime::now().checked_sub(up).unwrap_or(UNIX_EPOCH)
}

/// The moment that the clock showed as `time` when it said that the machine was [booted] at `then`, as it would show it now that it says
/// `now`.
///
/// In whole seconds: less is the wavering of two clocks that are asked one after the other.
pub(crate) fn as_now(time: SystemTime, then: SystemTime, now: SystemTime) -> SystemTime {
    let whole = |apart: Duration| Duration::from_secs(apart.saturating_add(Duration::from_millis(500)).as_secs());
    let moved = match now.duration_since(then) {
        Ok(forth) => time.checked_add(whole(forth)),
        Err(back) => time.checked_sub(whole(back.duration())),
    };
    moved.unwrap_or(time)
}

/// A moment as calendars and clocks show it.
#[cfg(any(feature = "client", feature = "console", feature = "log"))]
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
#[cfg(any(feature = "client", feature = "console", feature = "log"))]
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
    #[cfg(any(feature = "client", feature = "console", feature = "log"))]
    use std::process::Command;

    #[test]
    fn a_moment_moves_with_the_clock() {
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        for (then, now, want) in [
            (5_000, 5_000, 9_123),
            (5_000, 5_400, 9_123),
            (5_000, 4_600, 9_123),
            // The clock was set an hour forth, and back by three seconds.
            (5_000, 3_605_020, 3_609_123),
            (5_000, 1_980, 6_123),
        ] {
            assert_eq!(as_now(at(9_123), at(then), at(now)), at(want), "{then} {now}");
        }
        let (one, two) = (booted(), booted());
        assert!(two.duration_since(one).unwrap_or_else(|e| e.duration()) < Duration::from_millis(400));
        assert!(one < SystemTime::now());
    }

    #[cfg(any(feature = "client", feature = "console", feature = "log"))]
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
