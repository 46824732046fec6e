//! How a command ends.

use std::borrow::Cow;
use std::fmt;
use std::process::ExitCode;

use crate::{Error, ErrorKind};

/// The exit codes of the command line tools (those above 4 are from sysexits(3) and timeout(1)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// 0: done.
    Ok,
    /// 1: failed.
    Failed,
    /// 2: the command line is wrong.
    Usage,
    /// 3: the asked state is not so (`status`).
    NotSo,
    /// 4: no such job or process.
    NoSuch,
    /// 69: the node cannot be reached.
    Unreachable,
    /// 77: not allowed.
    NotAllowed,
    /// 124: timed out.
    TimedOut,
    /// The code of a program that was run: its own, or 128 + the signal that ended it.
    Child(u8),
}

impl Code {
    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotSo => 3,
            Self::NoSuch => 4,
            Self::Unreachable => 69,
            Self::NotAllowed => 77,
            Self::TimedOut => 124,
            Self::Child(code) => code,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        code.number().into()
    }
}

/// Why a command has failed: the code for scripts and the words for people.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    code: Code,
    message: Cow<'static, str>,
}

impl Failure {
    /// A failure with this code; without a message nothing is said.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// The command line is wrong.
    #[must_use]
    pub fn usage(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// Ends without a word: whoever read our output has gone, and that is his right.
    #[must_use]
    pub const fn quiet() -> Self {
        Self { code: Code::Ok, message: Cow::Borrowed("") }
    }

    /// The code to exit with.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The same failure with another line under its message.
    #[must_use]
    pub(super) fn hint(mut self, line: impl fmt::Display) -> Self {
        self.message = format!("{}\n{line}", self.message).into();
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// 69 for [`ErrorKind::Unreachable`], 77 for [`ErrorKind::Forbidden`], 124 for [`ErrorKind::TimedOut`], else 1.
///
/// What is not found may be a file; who means a job or a process says [`Code::NoSuch`] himself.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::Unreachable => Code::Unreachable,
            ErrorKind::Forbidden => Code::NotAllowed,
            ErrorKind::TimedOut => Code::TimedOut,
            _ => Code::Failed,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        use Code::*;
        let codes = [Ok, Failed, Usage, NotSo, NoSuch, Unreachable, NotAllowed, TimedOut, Child(143)];
        assert_eq!(codes.map(Code::number), [0, 1, 2, 3, 4, 69, 77, 124, 143]);
    }

    #[test]
    fn errors_have_codes() {
        for (kind, code) in [
            (ErrorKind::Unreachable, Code::Unreachable),
            (ErrorKind::Forbidden, Code::NotAllowed),
            (ErrorKind::TimedOut, Code::TimedOut),
            (ErrorKind::NotFound, Code::Failed),
            (ErrorKind::Invalid, Code::Failed),
        ] {
            let failure = Failure::from(Error::new(kind, "it is so"));
            assert_eq!((failure.code(), failure.to_string().as_str()), (code, "it is so"));
        }
    }
}
