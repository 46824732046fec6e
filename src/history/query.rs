//! Which output is asked for.

use std::time::SystemTime;

use crate::manager::StreamOrigin;
use crate::process::{DEFAULT_SESSION, JobName, Pid};
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
/// As everywhere, `label` is that of the default session; other sessions are written out: `shop.web`, `shop:web`,
/// `shop.*`, `*.web`. A lone `*` is every job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPattern {
    session: String,
    label: String,
}

impl JobPattern {
    /// Reads a name or a pattern.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a character that is in no name and no pattern, and for an empty part.
    pub fn new(text: &str) -> Result<Self> {
        let (session, label) = match text.split_once(['.', ':', '/']) {
            Some(parts) => parts,
            None if text == "*" => ("*", "*"),
            None => (DEFAULT_SESSION, text),
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+-*?".contains(c);
        for part in [session, label] {
            if part.is_empty() || !part.chars().all(allowed) {
                let what = format!("{text:?} is no job's name nor a pattern of names (web, shop.web, shop.*)");
                return Err(Error::new(ErrorKind::Invalid, what));
            }
        }
        Ok(Self { session: session.to_owned(), label: label.to_owned() })
    }

    /// Whether this is such a job.
    #[must_use]
    pub fn matches(&self, name: &JobName) -> bool {
        fits(self.session.as_bytes(), name.session().as_bytes()) && fits(self.label.as_bytes(), name.label().as_bytes())
    }

    /// The name, if only one job can be meant.
    #[must_use]
    pub fn exact(&self) -> Option<JobName> {
        JobName::new(&self.session, &self.label).ok()
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
