//! The names of an event, and which of them somebody wants: for those who get every event once and look themselves.

#![forbid(unsafe_code)]

use super::Event;

/// What somebody wants of the events; the rules are those of the emitter.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// `None` for a `*`; empty for all.
    segments: Vec<Option<String>>,
}

impl Pattern {
    pub(crate) fn new(pattern: &str) -> Self {
        let pattern = pattern.strip_suffix('.').unwrap_or(pattern);
        let segments = pattern.split('.').filter(|_| !pattern.is_empty());
        Self { segments: segments.map(|s| (s != "*").then(|| s.to_owned())).collect() }
    }

    pub(crate) fn matches(&self, topic: &Topic) -> bool {
        let mut words = topic.name.split('.');
        self.segments.len() >= topic.literal
            && self.segments[..topic.literal].iter().all(Option::is_some)
            && self.segments.iter().all(|segment| match (segment, words.next()) {
                (Some(literal), Some(word)) => literal == word,
                (None, Some(_)) => true,
                (_, None) => false,
            })
    }
}

/// A name under which an event is published.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    /// Only for patterns that begin with so many words.
    literal: usize,
}

/// All names of an event, in the order of publication: spec section 4.
pub(crate) fn topics(event: &Event) -> Vec<Topic> {
    let name = event.what.name();
    let mut topics = vec![Topic { name: name.to_owned(), literal: 0 }];
    let Some(job) = &event.job else { return topics };
    let mut add = |name: String, literal| topics.push(Topic { name, literal });
    add(format!("proc.{}.{name}", job.short()), 0);
    let name = event.what.name_0_5();
    if name != event.what.name() {
        add(name.to_owned(), 1);
    }
    add(format!("job.{}.{name}", job.as_str()), 1);
    if let Some(pid) = event.what.pid() {
        add(format!("proc.{pid}.{name}"), 2);
    }
    topics
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::process::{JobName, OsPid, Pid, What};

    fn spawn() -> Event {
        let job = Arc::new(JobName::new("default", "web").expect("valid"));
        let what = What::Spawn { pid: Pid(12), os_pid: OsPid(1), detach: false };
        Event::new(SystemTime::UNIX_EPOCH, Some(job), what)
    }

    #[test]
    fn patterns_get_what_the_emitter_would_bring() {
        let got = |pattern: &str| {
            let pattern = Pattern::new(pattern);
            let topics = topics(&spawn()).into_iter().filter(|topic| pattern.matches(topic));
            topics.map(|topic| topic.name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(got("."), "spawn proc.web.spawn");
        assert_eq!(got("spawn"), "spawn");
        assert_eq!(got("proc"), "proc.web.spawn");
        assert_eq!(got("proc.web."), "proc.web.spawn");
        assert_eq!(got("proc.*.spawn"), "proc.web.spawn");
        assert_eq!(got("proc.12"), "proc.12.spawn");
        assert_eq!(got("job.default.web"), "job.default.web.spawn");
        assert_eq!(got("job"), "job.default.web.spawn");
        assert_eq!(got("exit"), "");
        assert_eq!(got("proc.web.spawn.x"), "");
    }
}
