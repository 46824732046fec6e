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

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        let (errno, reason) = match error.kind() {
            ErrorKind::NotFound => (404, "not_found"),
            ErrorKind::Conflict => (409, "process_conflict"),
            ErrorKind::Invalid => (400, "bad_command"),
            ErrorKind::Forbidden => (403, "forbidden"),
            ErrorKind::Stopping => (503, "stopping"),
            ErrorKind::Full => (503, "full"),
            ErrorKind::Closed => (410, "closed"),
            ErrorKind::TimedOut => (504, "timed_out"),
            ErrorKind::Unreachable => (502, "unreachable"),
            ErrorKind::Unsupported => (501, "unsupported"),
            ErrorKind::Io => (500, "io_error"),
        };
        Self::new(errno, reason, error.to_string())
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.message, self.errno, self.reason)
    }
}

impl std::error::Error for CommandError {}
