//! The thread that reads what other servers have registered.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::api::{self, Told};
use super::gateway::{Broken, Gateway};
use super::keys::Layout;
use super::{Shared, Side};
use crate::lookup::announcer::pause;

/// Keys that are read at a time.
const PAGE: usize = 1000;

pub(super) struct Watcher {
    shared: Arc<Shared>,
    gateway: Gateway,
    layout: Layout,
    /// From which revision on changes are news, and in which cluster; `None` if all keys must be read first.
    next: Option<(i64, String)>,
    /// When all keys are to be read again.
    reread: Duration,
    listed: Instant,
    /// A token was given up because a stream was refused; until one is opened that is not done again.
    logged_out: bool,
}

/// Why a stream was left.
enum Left {
    /// To open another one.
    ToGoOn,
    /// Because of a fault.
    Fault(String),
    /// Because the manager has ended.
    End,
}

impl Watcher {
    pub(super) fn new(shared: Arc<Shared>, gateway: Gateway, layout: Layout, reread: Duration) -> Self {
        Self { shared, gateway, layout, next: None, reread, listed: Instant::now(), logged_out: false }
    }

    /// Works until the registry is closed.
    pub(super) fn run(mut self) {
        let (mut failures, random) = (0_u32, RandomState::new());
        // How often in turn no stream could be opened.
        let mut vain = 0;
        while !self.shared.is_closed() {
            let mut opened = false;
            match self.follow(&mut opened) {
                Left::ToGoOn => (failures, vain) = (0, 0),
                Left::End => return,
                Left::Fault(why) => {
                    self.shared.unfollow(&why);
                    self.gateway.next();
                    vain = if opened { 0 } else { vain + 1 };
                    if vain < self.gateway.members() {
                        continue;
                    }
                    vain = 0;
                    self.shared.fares(Side::Reads, Err(&why));
                    self.shared.pause(pause(failures, random.hash_one(failures)));
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    /// Reads everything, where that is needed, and then what changes, for as long as that goes well.
    fn follow(&mut self, opened: &mut bool) -> Left {
        if self.listed.elapsed() >= self.reread {
            self.next = None;
        }
        let (revision, cluster) = match self.next.clone() {
            Some(next) => next,
            None => match self.list() {
                Ok(next) => next,
                Err(left) => return left,
            },
        };
        let (start, end) = self.layout.all();
        let member = self.gateway.member().to_owned();
        let fault = |why: &str| Left::Fault(format!("{member}: {why}"));
        // From the last revision that is known: of the first one that is not, a compaction just there takes what was deleted, and an
        // etcd before 3.4.34 and 3.5.15 does not say so (etcd-io/etcd#18089). Of the one before it there is nothing to miss.
        let mut messages = match self.gateway.stream("watch", &api::watch(&start, &end, revision - 1)) {
            Ok(messages) => messages,
            Err(e) => return Left::Fault(e.why().to_owned()),
        };
        loop {
            let message = match messages.next() {
                Ok(message) => message,
                Err(Broken::Silent) => return Left::ToGoOn,
                Err(Broken::Fault(why)) => return fault(&why),
            };
            match api::told(&message) {
                None => return fault("a message is not that of etcd"),
                Some(Told::Created { revision: now, cluster: of }) => {
                    // It was put back from a copy, or is another one: what was read is not true there.
                    if of != cluster || now + 1 < revision {
                        self.next = None;
                        self.shared.miss();
                        return Left::ToGoOn;
                    }
                    *opened = true;
                    self.logged_out = false;
                    self.shared.fares(Side::Reads, Ok(&member));
                }
                Some(Told::Events(mut events)) => {
                    events.retain(|event| event.revision >= revision);
                    let Some(last) = events.iter().map(|event| event.revision).max() else { continue };
                    self.advance(last);
                    if self.shared.take_up(events).is_err() {
                        return Left::End;
                    }
                }
                Some(Told::Progress(revision)) => self.advance(revision),
                Some(Told::Compacted) => {
                    self.next = None;
                    return Left::ToGoOn;
                }
                // Before 3.5 etcd says of a token that has ended that it has no permission.
                Some(Told::Ended(_)) if !self.logged_out && self.gateway.log_out() => {
                    self.logged_out = true;
                    return Left::ToGoOn;
                }
                Some(Told::Ended(why)) => return fault(&why),
            }
            if self.listed.elapsed() >= self.reread {
                return Left::ToGoOn;
            }
        }
    }

    /// Everything up to this revision is known.
    fn advance(&mut self, revision: i64) {
        if let Some((next, _)) = &mut self.next {
            *next = (*next).max(revision + 1);
        }
    }

    /// Reads all keys, as they were at one revision.
    fn list(&mut self) -> Result<(i64, String), Left> {
        let (start, end) = self.layout.all();
        let (mut start, mut keys, mut at) = (start.into_bytes(), Vec::new(), None);
        loop {
            let revision = at.as_ref().map_or(0, |(revision, _)| *revision);
            let answer = self.gateway.ask("kv/range", &api::range(&start, &end, PAGE, revision));
            let answer = answer.map_err(|fault| Left::Fault(fault.why().to_owned()))?;
            let strange = || Left::Fault(format!("{}: the answer is not that of etcd", self.gateway.member()));
            let page = api::page(&answer).ok_or_else(strange)?;
            let is_last = !page.more || page.keys.is_empty();
            let (revision, cluster) = at.get_or_insert((page.revision, page.cluster));
            keys.extend(page.keys);
            if is_last {
                let next = (*revision + 1, std::mem::take(cluster));
                self.shared.replace(keys).map_err(|_| Left::End)?;
                self.next = Some(next.clone());
                self.listed = Instant::now();
                return Ok(next);
            }
            // The first key after the last one.
            start = page.last;
            start.push(0);
        }
    }
}
