//! Why a command was not carried out.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Value, json};

use crate::{Error, ErrorKind};

/// Why a command was not carried out.
///
/// As JSON it is `{"errno": status, "reason": word, "message": sentence}`: the number and the word are those of the
/// original, the sentence is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandError {
    /// A number with the meaning it has as a status of HTTP: 404, 409 …
    pub errno: u16,
    /// A word for programs: `not_found`, `bad_command` …
    pub reason: Cow<'static, str>,
    /// A sentence for people.
    pub message: String,
}

impl CommandError {
    /// An error of this number and word.
    #[must_use]
    pub fn new(errno: u16, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { errno, reason: reason.into(), message: message.into() }
    }

    /// 400 `bad_command`.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "bad_command", message)
    }

    /// `invalid_config` where `error` says that a definition is wrong; everything else as it is.
    pub(super) fn of_config(error: Error) -> Self {
        let mut error = Self::from(error);
        if error.errno == 400 {
            error.reason = "invalid_config".into();
        }
        error
    }

    /// As it is sent.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"errno": self.errno, "reason": self.reason, "message": self.message})
    }
}

/// The status of HTTP that an error has, and the word for programs.
pub(crate) const fn status(kind: ErrorKind) -> (u16, &'static str) {
    match kind {
        ErrorKind::NotFound => (404, "not_found"),
        ErrorKind::Conflict => (409, "conflict"),
        ErrorKind::Invalid => (400, "bad_request"),
        ErrorKind::Forbidden => (403, "forbidden"),
        ErrorKind::Stopping => (503, "stopping"),
        ErrorKind::Full => (503, "full"),
        // The process has ended or closed that stream: it was there, and will not be again.
        ErrorKind::Closed => (410, "closed"),
        ErrorKind::TimedOut => (504, "timed_out"),
        ErrorKind::Unreachable => (502, "unreachable"),
        ErrorKind::Unsupported => (501, "unsupported"),
        ErrorKind::Io => (500, "io_error"),
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        let (errno, word) = status(error.kind());
        let reason = match error.kind() {
            ErrorKind::Conflict => "process_conflict",
            ErrorKind::Invalid => "bad_command",
            _ => word,
        };
        Self::new(errno, reason, error.to_string())
    }
}

/// The kind follows the number; the word is lost, the sentence stays.
impl From<CommandError> for Error {
    fn from(error: CommandError) -> Self {
        let kind = match error.errno {
            401 | 403 => ErrorKind::Forbidden,
            404 => ErrorKind::NotFound,
            409 => ErrorKind::Conflict,
            410 => ErrorKind::Closed,
            501 => ErrorKind::Unsupported,
            502 => ErrorKind::Unreachable,
            503 if error.reason == "full" => ErrorKind::Full,
            503 => ErrorKind::Stopping,
            408 | 504 => ErrorKind::TimedOut,
            500.. => ErrorKind::Io,
            _ => ErrorKind::Invalid,
        };
        Self::new(kind, error.message)
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.message, self.errno, self.reason)
    }
}

impl std::error::Error for CommandError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_there_and_back() {
        use ErrorKind::*;
        for kind in
            [NotFound, Conflict, Invalid, Forbidden, Stopping, Full, Closed, TimedOut, Unreachable, Unsupported, Io]
        {
            let there = CommandError::from(Error::new(kind, "why"));
            let back = Error::from(there.clone());
            assert_eq!((back.kind(), back.to_string()), (kind, "why".to_owned()), "{there:?}");
        }
        assert_eq!(Error::from(CommandError::new(418, "teapot", "no")).kind(), Invalid);
    }
}
