//! The one error of the crate.

use std::borrow::Cow;
use std::fmt;
use std::io;

/// What the fallible functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error: a [kind](Error::kind) for programs and a message for people.
///
/// The message names what it is about (the job, path, address or option) and, where there is one,
/// ends with the cause the operating system gave. It is one word wide, so a `Result<()>` travels in
/// a register.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<io::Error>,
}

/// What sort of thing went wrong, for a program to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No such job, session, process, stream, file or user.
    NotFound,
    /// The name is taken.
    Conflict,
    /// The input is wrong: a bad name, value, command line or file.
    Invalid,
    /// Right in form, refused by policy or by the operating system's permissions.
    Forbidden,
    /// The manager is stopping and takes no new work, or it has gone.
    Stopping,
    /// A bound was reached (a full queue, too many of something); trying later may work.
    Full,
    /// The other side has closed, or the process has ended.
    Closed,
    /// A node cannot be reached: nobody listens there, or the connection was lost.
    Unreachable,
    /// A deadline has passed.
    TimedOut,
    /// This platform or build cannot do it.
    Unsupported,
    /// The operating system said no; the message ends with its words.
    Io,
}

impl Error {
    /// An error of the given kind; the message should name the thing it is about.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: None }))
    }

    /// An error of the operating system met while doing `what`.
    ///
    /// The kind follows the cause: `ENOENT` is [`ErrorKind::NotFound`], `EACCES` and `EPERM` are
    /// [`ErrorKind::Forbidden`], everything else without a kind of its own is [`ErrorKind::Io`].
    #[must_use]
    pub fn io(what: impl Into<Cow<'static, str>>, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => ErrorKind::Forbidden,
            io::ErrorKind::TimedOut => ErrorKind::TimedOut,
            io::ErrorKind::Unsupported => ErrorKind::Unsupported,
            io::ErrorKind::BrokenPipe => ErrorKind::Closed,
            _ => ErrorKind::Io,
        };
        Self(Box::new(Inner { kind, message: what.into(), source: Some(source) }))
    }

    /// What sort of error this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operating system's error number, if it was the cause.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.source.as_ref().and_then(io::Error::raw_os_error)
    }

    /// The same error with `context: ` before its message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message).into();
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &self.0.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({self})", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|e| e as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_word_wide() {
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn says_what_and_why() {
        let e = Error::io("cannot read 'Procfile'", io::Error::from_raw_os_error(libc::ENOENT));
        assert_eq!(e.kind(), ErrorKind::NotFound);
        assert!(e.to_string().starts_with("cannot read 'Procfile': No such file"), "{e}");
        let e = Error::new(ErrorKind::Invalid, "empty command").context("job 'default.web'");
        assert_eq!(e.to_string(), "job 'default.web': empty command");
    }
}
