//! How a process ended.

use std::fmt;

use super::Signal;

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// It returned or called `exit` with this code.
    Code(i32),
    /// A signal ended it; `core` if it left a core dump.
    Signal {
        /// The signal that ended it.
        signal: Signal,
        /// Whether the system says that a core was dumped.
        core: bool,
    },
    /// It could not be started: which step failed, and why.
    Failed(String),
    /// It has ended, but somebody else in this program took its exit status (or `SIGCHLD` is
    /// ignored, so that the system threw it away).
    Lost,
}

impl Exit {
    /// Whether it ended with code 0.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Code(0))
    }

    /// The exit code, if it ended by itself.
    #[must_use]
    pub const fn code(&self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(*code),
            _ => None,
        }
    }

    /// The signal that ended it, if one did.
    #[must_use]
    pub const fn signal(&self) -> Option<Signal> {
        match self {
            Self::Signal { signal, .. } => Some(*signal),
            _ => None,
        }
    }

    /// What a shell would put into `$?`: the code, 128 + the signal's number, 127 where it could
    /// not be started, and 1 where the status is lost.
    #[must_use]
    pub const fn shell_code(&self) -> i32 {
        match self {
            Self::Code(code) => *code,
            Self::Signal { signal, .. } => 128 + signal.number(),
            Self::Failed(_) => 127,
            Self::Lost => 1,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "code {code}"),
            Self::Signal { signal, core: false } => write!(f, "{signal}"),
            Self::Signal { signal, core: true } => write!(f, "{signal}, core dumped"),
            Self::Failed(reason) => write!(f, "not started: {reason}"),
            Self::Lost => f.write_str("status lost"),
        }
    }
}
