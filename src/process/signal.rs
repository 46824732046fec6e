//! Signals by number and by name.

use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind, Result};

/// A signal of the operating system, or 0, which only asks whether the target exists.
///
/// Reads numbers (`15`) and names with or without `SIG` in any case (`term`, `SIGTERM`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

macro_rules! signals {
    ($($name:ident)*) => {
        const NAMES: &[(&str, i32)] = &[$((stringify!($name), libc::$name)),*];
    };
}

signals! {
    SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2
    SIGPIPE SIGALRM SIGTERM SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ
    SIGVTALRM SIGPROF SIGWINCH SIGIO SIGSYS
}

/// The highest number a signal can have (`SIGRTMAX` of Linux; other systems have fewer).
const MAX: i32 = 64;

impl Signal {
    /// Please end: what `stop` sends first by default.
    pub const TERM: Self = Self(libc::SIGTERM);
    /// End at once; cannot be caught.
    pub const KILL: Self = Self(libc::SIGKILL);
    /// The terminal has gone, or: read your configuration again.
    pub const HUP: Self = Self(libc::SIGHUP);
    /// Ctrl-C.
    pub const INT: Self = Self(libc::SIGINT);
    /// Ctrl-\.
    pub const QUIT: Self = Self(libc::SIGQUIT);
    /// Go on after a stop.
    pub const CONT: Self = Self(libc::SIGCONT);
    /// Ctrl-Z.
    pub const TSTP: Self = Self(libc::SIGTSTP);
    /// Stop; cannot be caught.
    pub const STOP: Self = Self(libc::SIGSTOP);
    /// For the program's own use.
    pub const USR1: Self = Self(libc::SIGUSR1);
    /// For the program's own use.
    pub const USR2: Self = Self(libc::SIGUSR2);

    /// The signal with this number, 0 to 64.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for any other number.
    pub fn new(number: i32) -> Result<Self> {
        match number {
            0..=MAX => Ok(Self(number)),
            _ => Err(Error::new(ErrorKind::Invalid, format!("invalid signal {number}: expected 0 to {MAX}"))),
        }
    }

    /// Its number on this system.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Its name with `SIG`, or `None` for 0 and the real-time signals.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(_, n)| *n == self.0).map(|(name, _)| *name)
    }
}

impl FromStr for Signal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Ok(number) = text.parse() {
            return Self::new(number);
        }
        let upper = text.to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        NAMES.iter().find(|(name, _)| &name[3..] == bare).map(|&(_, n)| Self(n)).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, format!("invalid signal {text:?}: expected a number or a name such as HUP"))
        })
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_and_names() {
        for text in ["15", "TERM", "term", "SIGTERM", "sigterm"] {
            assert_eq!(text.parse::<Signal>().expect(text), Signal::TERM);
        }
        for bad in ["", "SIG", "65", "-1", "NOPE", "1.5"] {
            assert_eq!(bad.parse::<Signal>().expect_err(bad).kind(), ErrorKind::Invalid);
        }
        assert_eq!(Signal::KILL.to_string(), "SIGKILL");
    }
}
