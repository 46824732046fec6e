//! Topics by name.

use std::fmt;
use std::str::FromStr;

use super::Scope;
use super::values::job_name;
use crate::manager::Cx;
use crate::process::{JobName, Pid};
use crate::{Error, ErrorKind, Result, suggest};

/// What can be subscribed: a source, and after a colon what of it.
///
/// | topic | what comes |
/// |---|---|
/// | `EVENTS` | every event, as a listener of `.` gets it: under its own name and under `proc.<name>.<event>` |
/// | `EVENTS:pattern` | the events of a pattern of the [emitter](crate::events): `exit`, `proc.web`, `job.default.web` |
/// | `JOB:name` | the events of a job by the names of 0.5; it need not be loaded yet |
/// | `PROCESS:name` | the same by the names of 0.4 |
/// | `PROCESS:pid` | the events of a process |
/// | `STATS`, `STATS:name`, `STATS:pid` | what all processes, a job's or one use, again and again |
/// | `STREAM:pid`, `STREAM:pid.label` | the output of a process: the first stream, or one of its own |
///
/// What concerns a job or all jobs follows processes that start later. Sources are read in any case, names as they are.
///
/// ```
/// use gaffer::controller::Topic;
///
/// let topic: Topic = "stats:shop.Web".parse()?;
/// assert_eq!(topic.to_string(), "STATS:shop.Web");
/// assert_eq!("JOB:web".parse::<Topic>()?, "job:default/web".parse()?);
/// assert!("STREAM:web".parse::<Topic>().is_err());
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Topic {
    /// Events that match a pattern; `.` for all.
    Events(String),
    /// Events of a job, by the names of 0.5.
    Job(JobName),
    /// Events of a job by the names of 0.4, or of one process.
    Process(Subject),
    /// What processes use.
    Stats(Subject),
    /// Output of a process; `None` for its first stream.
    Stream(Pid, Option<String>),
}

/// Whom a topic is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// All jobs.
    All,
    /// A job.
    Job(JobName),
    /// A process.
    Process(Pid),
}

const SOURCES: [&str; 5] = ["EVENTS", "JOB", "PROCESS", "STATS", "STREAM"];

/// The longest pattern of segments that makes sense: no topic has more.
const MAX_SEGMENTS: usize = 16;

impl Topic {
    /// Whom one must be allowed to read for it. Events of a pattern may be those of every job; a process that is not there is nobody's.
    #[must_use]
    pub fn scope(&self, cx: &Cx<'_>) -> Scope {
        let process = |pid: &Pid| cx.process(*pid).map_or(Scope::Node, |found| Scope::Job(JobName::clone(&found.name)));
        match self {
            Self::Events(_) | Self::Process(Subject::All) | Self::Stats(Subject::All) => Scope::Node,
            Self::Job(name) | Self::Process(Subject::Job(name)) | Self::Stats(Subject::Job(name)) => {
                Scope::Job(name.clone())
            }
            Self::Process(Subject::Process(pid)) | Self::Stats(Subject::Process(pid)) | Self::Stream(pid, _) => {
                process(pid)
            }
        }
    }
}

impl FromStr for Topic {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (source, target) = match text.split_once(':') {
            Some((source, target)) => (source, Some(target)),
            None => (text, None),
        };
        let invalid = |what: &str| Error::new(ErrorKind::Invalid, format!("invalid topic {text:?}: {what}"));
        let upper = source.to_ascii_uppercase();
        if target == Some("") {
            return Err(invalid("nothing follows the colon"));
        }
        let whose = |target: &str| subject(target).map_err(|e| invalid(&e.to_string()));
        Ok(match (upper.as_str(), target) {
            ("EVENTS", None) => Self::Events(".".to_owned()),
            ("EVENTS", Some(pattern)) if pattern.split('.').count() > MAX_SEGMENTS => {
                return Err(invalid("the pattern has more than 16 segments"));
            }
            ("EVENTS", Some(pattern)) => Self::Events(pattern.to_owned()),
            ("JOB", Some(name)) => match whose(name)? {
                Subject::Job(name) => Self::Job(name),
                _ => return Err(invalid("expected the name of a job")),
            },
            ("PROCESS", Some(target)) => Self::Process(whose(target)?),
            ("STATS", None) => Self::Stats(Subject::All),
            ("STATS", Some(target)) => Self::Stats(whose(target)?),
            ("STREAM", Some(target)) => {
                let (pid, label) = match target.split_once('.') {
                    Some((pid, label)) => (pid, Some(label).filter(|label| !label.is_empty())),
                    None => (target, None),
                };
                match whose(pid)? {
                    Subject::Process(pid) => Self::Stream(pid, label.map(str::to_owned)),
                    _ => return Err(invalid("expected the number of a process, as in STREAM:3 or STREAM:3.out")),
                }
            }
            (known, None) if SOURCES.contains(&known) => {
                return Err(invalid(&format!("of whom? expected {known}:NAME or {known}:PID")));
            }
            _ => {
                let hint = suggest::hint(&upper, SOURCES);
                return Err(invalid(&format!("expected EVENTS, JOB, PROCESS, STATS or STREAM{hint}")));
            }
        })
    }
}

/// Digits are a process, everything else is a job: no job's name is all digits.
fn subject(target: &str) -> Result<Subject> {
    if !target.is_empty() && target.bytes().all(|b| b.is_ascii_digit()) {
        let pid = target.parse().map(|pid| Subject::Process(Pid(pid)));
        // A number that is too large for a process's is that of no process.
        return Ok(pid.unwrap_or(Subject::Process(Pid(u64::MAX))));
    }
    job_name(target, None).map(Subject::Job)
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::Job(name) => write!(f, ":{name}"),
            Self::Process(pid) => write!(f, ":{pid}"),
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events(pattern) if pattern == "." => f.write_str("EVENTS"),
            Self::Events(pattern) => write!(f, "EVENTS:{pattern}"),
            Self::Job(name) => write!(f, "JOB:{name}"),
            Self::Process(subject) => write!(f, "PROCESS{subject}"),
            Self::Stats(subject) => write!(f, "STATS{subject}"),
            Self::Stream(pid, None) => write!(f, "STREAM:{pid}"),
            Self::Stream(pid, Some(label)) => write!(f, "STREAM:{pid}.{label}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_by_name() {
        let cases = [
            ("EVENTS", "EVENTS"),
            ("events:proc.Web.exit", "EVENTS:proc.Web.exit"),
            ("JOB:Web", "JOB:default.Web"),
            ("Job:shop/web", "JOB:shop.web"),
            ("JOB:shop:web", "JOB:shop.web"),
            ("PROCESS:7", "PROCESS:7"),
            ("process:web", "PROCESS:default.web"),
            ("STATS", "STATS"),
            ("STATS:12", "STATS:12"),
            ("STREAM:3", "STREAM:3"),
            ("stream:3.Err.x", "STREAM:3.Err.x"),
        ];
        for (text, want) in cases {
            let topic: Topic = text.parse().expect(text);
            assert_eq!(topic.to_string(), want, "{text}");
            assert_eq!(want.parse::<Topic>().expect(want), topic, "{text}");
        }
        for bad in [
            "",
            ":",
            "EVENT",
            "EVENTS:",
            "JOB",
            "JOB:",
            "JOB:1",
            "JOB:a.b.c",
            "PROCESS",
            "STREAM",
            "STREAM:web",
            "STREAM:.",
        ] {
            let e = bad.parse::<Topic>().expect_err(bad);
            assert!(e.to_string().starts_with("invalid topic"), "{bad}: {e}");
        }
        assert!("EVNTS".parse::<Topic>().expect_err("wrong").to_string().contains("EVENTS"));
        assert!(format!("EVENTS:{}", "a.".repeat(17)).parse::<Topic>().is_err());
    }
}
