//! How many descriptors this process may have.

use std::io;

use super::cvt;

/// Raises the soft limit of open descriptors to the hard one; returns the pair before, soft and hard.
///
/// Programs that use select(2) break above 1024 descriptors, so children should get the old pair back:
/// [`SpawnPlan::nofile`](super::SpawnPlan::nofile).
///
/// # Errors
///
/// The operating system's. The limit is then what it was.
pub fn raise_nofile() -> io::Result<(u64, u64)> {
    let old = nofile()?;
    let (_, hard) = old;
    // macOS says "infinity" and then accepts no more than OPEN_MAX (setrlimit(2), "Compatibility").
    #[cfg(target_vendor = "apple")]
    let hard = hard.min(10_240);
    if old.0 < hard {
        let new = libc::rlimit { rlim_cur: hard as _, rlim_max: old.1 as _ };
        // SAFETY: points to a limit.
        cvt(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &new) })?;
    }
    Ok(old)
}

/// The soft and hard limit of open descriptors.
///
/// # Errors
///
/// The operating system's.
pub fn nofile() -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: points to a limit.
    cvt(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    // FreeBSD's are signed, others' are u64 or shorter.
    #[allow(clippy::unnecessary_cast)]
    Ok((limit.rlim_cur as u64, limit.rlim_max as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raises_the_soft_limit_and_tells_the_old() {
        // The whole test process gets the higher limit, which harms no test.
        let before = nofile().expect("a limit");
        assert_eq!(raise_nofile().expect("raise"), before);
        let (soft, hard) = nofile().expect("a limit");
        assert_eq!(hard, before.1);
        assert!(soft >= before.0 && (soft == hard || cfg!(target_vendor = "apple")), "{soft} {hard}");
    }
}
