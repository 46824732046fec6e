//! Names and numbers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Error, ErrorKind, Result};

/// The session of a job that names none.
pub const DEFAULT_SESSION: &str = "default";

/// The manager's own number of a process: 1, 2, 3 …, never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub u64);

/// The number the operating system gave a process; it may be used again after the process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OsPid(pub i32);

/// The manager's handle of a loaded job, never used twice in a run.
///
/// A job that is unloaded and loaded again under the same name has another id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub(crate) u64);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for OsPid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A job's full name: `session.label`.
///
/// Reading accepts `label` (in the session [`default`](DEFAULT_SESSION)), `session.label` and
/// `session/label`. Both parts match `[A-Za-z0-9_+-]+` and are not all digits.
///
/// ```
/// use gaffer::process::JobName;
///
/// let name: JobName = "shop.web".parse()?;
/// assert_eq!((name.session(), name.label()), ("shop", "web"));
/// assert_eq!("web".parse::<JobName>()?.to_string(), "default.web");
/// assert!("shop.we.b".parse::<JobName>().is_err());
/// # Ok::<(), gaffer::Error>(())
/// ```
///
/// A clone shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobName {
    full: Arc<str>,
    dot: usize,
}

impl JobName {
    /// The job `label` of `session`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if a part is empty, all digits, or has a character outside
    /// `[A-Za-z0-9_+-]`.
    pub fn new(session: &str, label: &str) -> Result<Self> {
        check("session", session)?;
        check("job", label)?;
        let mut full = String::with_capacity(session.len() + 1 + label.len());
        full.push_str(session);
        full.push('.');
        full.push_str(label);
        Ok(Self { full: full.into(), dot: session.len() })
    }

    /// The part before the dot.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.full[..self.dot]
    }

    /// The part after the dot.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.full[self.dot + 1..]
    }

    /// `session.label`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.full
    }

    /// The label in the default session, `session.label` elsewhere: what people type.
    #[must_use]
    pub fn short(&self) -> &str {
        if self.session() == DEFAULT_SESSION { self.label() } else { &self.full }
    }
}

/// Refuses a session or label that could not be told from a path, a pattern or a number.
fn check(part: &str, name: &str) -> Result<()> {
    let (mut known, mut digits) = (true, true);
    for byte in name.bytes() {
        known &= byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'-');
        digits &= byte.is_ascii_digit();
    }
    if known && !digits {
        return Ok(());
    }
    let reason = if name.is_empty() {
        "it is empty".to_owned()
    } else if let Some(bad) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "_+-".contains(*c))) {
        format!("{bad:?} is not one of A-Z a-z 0-9 _ + -")
    } else {
        "a name of digits alone would be taken for a process id".to_owned()
    };
    Err(Error::new(ErrorKind::Invalid, format!("invalid {part} name {name:?}: {reason}")))
}

impl FromStr for JobName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name.split_once(['.', '/']) {
            Some((session, label)) => Self::new(session, label),
            None => Self::new(DEFAULT_SESSION, name),
        }
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl fmt::Debug for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "a-b_c+d", "s.a", "s/a", "9a"] {
            assert!(good.parse::<JobName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a.b.c", "s/x.y", "12", "s.12", "ä", "a b", "a:b"] {
            let e = bad.parse::<JobName>().expect_err(bad);
            assert_eq!(e.kind(), ErrorKind::Invalid);
        }
    }
}
