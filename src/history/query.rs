//! Which output is asked for.

use std::time::SystemTime;

use crate::manager::StreamOrigin;
use crate::process::{JobName, Pid};
use crate::{Error, ErrorKind, Result};

/// Which output is asked for, and how much of it. By default all that is kept.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Query {
    /// Only of jobs that one of these matches. Default: of all.
    pub jobs: Vec<JobPattern>,
    /// Only of this process.
    pub pid: Option<Pid>,
    /// Only of streams with this label.
    pub label: Option<String>,
    /// Only standard error (`true`), or all but that (`false`).
    pub stderr: Option<bool>,
    /// At most so many lines, the newest ones. Default: no bound.
    pub lines: usize,
    /// At most so many bytes, the newest ones, where each line counts 128 more than it has: whole lines, but at least one.
    /// Default: no bound.
    pub bytes: usize,
    /// Only lines that came then or later.
    pub since: Option<SystemTime>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            jobs: Vec::new(),
            pid: None,
            label: None,
            stderr: None,
            lines: usize::MAX,
            bytes: usize::MAX,
            since: None,
        }
    }
}

impl Query {
    /// Whether the output of this stream is asked for.
    #[must_use]
    pub fn matches(&self, origin: &StreamOrigin) -> bool {
        (self.jobs.is_empty() || self.jobs.iter().any(|pattern| pattern.matches(&origin.name)))
            && self.pid.is_none_or(|pid| pid == origin.pid)
            && self.label.as_deref().is_none_or(|label| label == &*origin.label)
            && self.stderr.is_none_or(|stderr| stderr == (origin.fd == 2))
    }
}

/// A job's name, in which `*` stands for any characters and `?` for any one.
///
/// It is compared with what people type, which is the label alone in the default session, and with the full name, `session.label`;
/// `shop:web` and `shop/web` are `shop.web`. A lone `*` is every job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPattern(String);

impl JobPattern {
    /// Reads a name or a pattern.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a character that is in no name and no pattern, and for an empty part.
    pub fn new(text: &str) -> Result<Self> {
        let pattern = text.replace([':', '/'], ".");
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+-*?".contains(c);
        let mut parts = pattern.splitn(2, '.');
        if !parts.all(|part| !part.is_empty() && part.chars().all(allowed)) {
            let what = format!("{text:?} is no job's name nor a pattern of names (web, shop.web, shop.*)");
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Ok(Self(pattern))
    }

    /// Whether this is such a job.
    #[must_use]
    pub fn matches(&self, name: &JobName) -> bool {
        let fits = |text: &str| fits(self.0.as_bytes(), text.as_bytes());
        fits(name.short()) || fits(name.as_str())
    }

    /// The name, if only one job can be meant.
    #[must_use]
    pub fn exact(&self) -> Option<JobName> {
        self.0.parse().ok()
    }
}

/// Whether a text fits a pattern, in time that is the product of their lengths at most: after a failure only the last
/// `*` is tried again.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match &mut star {
                Some((at, from)) => {
                    *from += 1;
                    (p, t) = (*at + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}
