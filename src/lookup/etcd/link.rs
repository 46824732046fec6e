//! What the loop and the two threads share.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::{Value, json};

use super::Notice;
use super::keys::Layout;
use super::replica::Replica;
use super::settings::Settings;
use crate::lookup::registry::Change;

/// What waits for etcd, what came from there, and how it goes.
#[derive(Debug)]
pub(in crate::lookup) struct Link {
    pub(super) replica: Replica,
    /// Changes that are to be written, in order.
    outbox: VecDeque<Change>,
    max: usize,
    /// Everything must be registered again; until then changes are not kept, as it has them all.
    again: bool,
    /// Something that was written is not there any more.
    missing: bool,
    /// The manager has ended.
    pub(super) closed: bool,
    status: Status,
    /// How it went when somebody was told last.
    told: Option<bool>,
    /// All keys were read once.
    is_read: bool,
}

/// What goes to etcd, and what comes from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Reads,
    Writes,
}

/// What there is to write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// These; none if it is time for something else.
    Changes(Vec<Change>),
    /// All that there is.
    Everything,
}

/// How the registry in etcd fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Where it is.
    pub url: String,
    /// What is known follows etcd: nothing stands between a change there and the answers here. If not, answers may be stale.
    pub follows: bool,
    /// What nodes tell this server reaches etcd.
    pub writes: bool,
    /// Changes that wait to be written.
    pub queued: usize,
    /// Registrations at other servers.
    pub registrations: usize,
    /// How often everything was registered anew, the first time included.
    pub rounds: u64,
    /// Requests that failed, and keys that were not understood.
    pub errors: u64,
    /// The last of these.
    pub last_error: Option<String>,
}

impl Link {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            replica: Replica::new(Layout::new(&settings.prefix), settings.registrations),
            outbox: VecDeque::new(),
            max: settings.queue,
            again: true,
            missing: false,
            told: None,
            is_read: false,
            closed: false,
            status: Status { url: settings.to_string(), ..Status::default() },
        }
    }

    /// Changes are to be written. Beyond the bound all of them are dropped, and everything is registered again instead.
    pub(in crate::lookup) fn offer(&mut self, changes: Vec<Change>) {
        if self.again {
            return;
        }
        self.outbox.extend(changes);
        if self.outbox.len() > self.max {
            self.outbox = VecDeque::new();
            self.again = true;
        }
    }

    /// What is to be written now, up to `n` changes; `None` if nothing is. That something is missing is mended not before `patience` has passed.
    pub(super) fn work(&mut self, n: usize, now: Instant, patience: Instant) -> Option<Work> {
        if self.again || (self.missing && now >= patience) {
            return Some(Work::Everything);
        }
        let n = n.min(self.outbox.len());
        (n > 0 || self.closed).then(|| Work::Changes(self.outbox.drain(..n).collect()))
    }

    /// Somebody has deleted what this server has written.
    pub(super) fn miss(&mut self) {
        self.missing = true;
    }

    pub(super) const fn is_missing(&self) -> bool {
        self.missing
    }

    /// Everything is about to be registered again.
    pub(super) fn begin(&mut self, lease: i64) {
        self.outbox.clear();
        self.again = false;
        self.missing = false;
        self.replica.own(lease);
        self.status.rounds += 1;
    }

    /// The writer has so many operations before it.
    pub(super) fn queued(&mut self, n: usize) {
        self.status.queued = n;
    }

    /// The stream of changes is broken.
    pub(super) fn unfollow(&mut self, why: &str) {
        self.status.follows = false;
        self.status.errors += 1;
        self.status.last_error = Some(why.to_owned());
    }

    /// How one side fares now: which member answers, or why none does. Returns what is to be told, once for each turn of events.
    pub(super) fn fares(&mut self, side: Side, outcome: Result<&str, &str>) -> Option<Notice> {
        let is_well = match side {
            Side::Reads => &mut self.status.follows,
            Side::Writes => &mut self.status.writes,
        };
        *is_well = outcome.is_ok();
        let url = self.status.url.clone();
        match outcome {
            Ok(member) if self.told != Some(true) && self.status.follows && self.status.writes => {
                let was_away = self.told.replace(true).is_some();
                let member = member.to_owned();
                Some(if was_away { Notice::Back { url, member } } else { Notice::Ready { url, member } })
            }
            Ok(_) => None,
            Err(why) => {
                self.status.errors += 1;
                self.status.last_error = Some(why.to_owned());
                let is_known = self.told.replace(false) == Some(false);
                (!is_known).then(|| Notice::Away { url, why: why.to_owned() })
            }
        }
    }

    /// All keys were read.
    pub(super) fn read(&mut self) {
        self.is_read = true;
    }

    /// The server has just started, and would answer that there is nothing; where etcd is away, what it knows is better than nothing.
    pub(in crate::lookup) fn is_blank(&self) -> bool {
        !self.is_read && self.told != Some(false)
    }

    pub(in crate::lookup) const fn is_stale(&self) -> bool {
        self.status.is_stale()
    }

    pub(in crate::lookup) fn status(&self) -> Status {
        let mut status = self.status.clone();
        status.queued += self.outbox.len();
        status.registrations = self.replica.len();
        status.errors += self.replica.ignored;
        status
    }
}

impl Status {
    /// Whether answers may lack what other servers know, or have what these know is gone.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        !self.follows
    }

    /// As `/healthz` has it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "kind": "etcd",
            "url": self.url,
            "follows": self.follows,
            "writes": self.writes,
            "queued": self.queued,
            "registrations": self.registrations,
            "rounds": self.rounds,
            "errors": self.errors,
            "last_error": self.last_error,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::lookup::registry::{Gone, NodeId};

    fn link(queue: usize) -> Link {
        let mut settings: Settings = "etcd://a".parse().expect("a URL");
        settings.queue = queue;
        Link::new(&settings)
    }

    fn changes(n: u64) -> Vec<Change> {
        (0..n).map(|n| Change::Remove(NodeId::of(n), Gone::Node)).collect()
    }

    #[test]
    fn what_waits_is_bounded() {
        let (mut link, now) = (link(3), Instant::now());
        link.offer(changes(2));
        assert_eq!(link.status().queued, 0, "everything is written first");
        assert_eq!(link.work(9, now, now), Some(Work::Everything));
        link.begin(1);
        assert_eq!(link.work(9, now, now), None);
        link.offer(changes(3));
        assert_eq!(link.work(1, now, now), Some(Work::Changes(changes(1))));
        link.offer(changes(1));
        assert_eq!(link.status().queued, 3);
        link.offer(changes(1));
        assert_eq!((link.status().queued, link.work(9, now, now)), (0, Some(Work::Everything)));
    }

    #[test]
    fn what_is_missing_waits_and_changes_do_not() {
        let (mut link, now) = (link(3), Instant::now());
        link.begin(1);
        link.miss();
        let later = now + Duration::from_secs(1);
        assert_eq!(link.work(9, now, later), None);
        link.offer(changes(1));
        assert_eq!(link.work(9, now, later), Some(Work::Changes(changes(1))));
        assert_eq!(link.work(9, later, later), Some(Work::Everything));
        link.begin(2);
        assert_eq!(link.work(9, later, later), None);
        link.closed = true;
        assert_eq!(link.work(9, later, later), Some(Work::Changes(Vec::new())));
    }

    #[test]
    fn one_word_for_each_turn_of_events() {
        let mut link = link(3);
        let mut fares = |side, outcome: Result<&str, &str>| link.fares(side, outcome).map(|notice| notice.to_string());
        assert_eq!(fares(Side::Writes, Ok("a:1")), None);
        let ready = fares(Side::Reads, Ok("a:1")).expect("both are well");
        assert_eq!(ready, "registry etcd://a:2379/gaffer/lookup: in use, by a:1");
        assert_eq!(fares(Side::Reads, Ok("a:1")), None);
        let away = fares(Side::Reads, Err("a:1: no")).expect("one is not");
        assert!(away.starts_with("registry etcd://a:2379/gaffer/lookup is away: a:1: no; "), "{away}");
        assert_eq!(fares(Side::Writes, Err("a:1: no")), None);
        assert_eq!(fares(Side::Reads, Ok("b:1")), None);
        assert_eq!(
            fares(Side::Writes, Ok("b:1")).expect("both are"),
            "registry etcd://a:2379/gaffer/lookup: back, by b:1"
        );
        let status = link.status();
        assert_eq!((status.errors, status.last_error.as_deref(), status.is_stale()), (2, Some("a:1: no"), false));
        link.unfollow("x");
        assert!(link.status().is_stale());
    }

    #[test]
    fn nothing_is_no_answer_before_anything_was_read() {
        let (mut read, mut away) = (link(1), link(1));
        assert!(read.is_blank() && away.is_blank());
        read.read();
        let _ = away.fares(Side::Reads, Err("a:1: no"));
        assert!(!read.is_blank() && !away.is_blank());
    }
}
