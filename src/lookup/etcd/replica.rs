//! What other servers have registered, as keys tell it, put into the registry.

use std::collections::{BTreeMap, BTreeSet};

use super::api::KeyEvent;
use super::keys::{Layout, Place};
use crate::lookup::registry::{Fact, Gone, NodeId, Registry};
use crate::process::{JobName, Pid};
use crate::proto::lookup::{Event, NodeInfo};

/// Leases of this server that are remembered: keys of one that was replaced may come late.
const MAX_LEASES: usize = 64;

/// The registrations of other servers. Keys under the leases of this one are no news to it.
#[derive(Debug)]
pub(super) struct Replica {
    layout: Layout,
    max: usize,
    places: BTreeMap<Place, NodeId>,
    /// The leases of this server, the present one last.
    leases: Vec<i64>,
    /// Keys and values that say nothing, or were too many.
    pub(super) ignored: u64,
}

type Jobs = BTreeMap<JobName, BTreeSet<Pid>>;

impl Replica {
    /// One that takes so many registrations.
    pub(super) const fn new(layout: Layout, max: usize) -> Self {
        Self { layout, max, places: BTreeMap::new(), leases: Vec::new(), ignored: 0 }
    }

    /// So many registrations of others are known.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// This server has a new lease.
    pub(super) fn own(&mut self, lease: i64) {
        self.leases.push(lease);
        if self.leases.len() > MAX_LEASES {
            self.leases.remove(0);
        }
    }

    /// Takes up what has happened, in order. Returns whether something that this server has registered is missing there: somebody has
    /// deleted it.
    ///
    /// Events of one revision happened at once; there, what depends on something goes before it and comes after it, and what comes does so before anything goes: a
    /// node that has another connection now was there all the time.
    pub(super) fn follow(&mut self, registry: &mut Registry, mut told: Vec<KeyEvent>, events: &mut Vec<Event>) -> bool {
        let mut missing = false;
        let rank = |event: &KeyEvent| {
            let depth = self.layout.read(&event.key).map_or(0, |(_, what)| depth(&what));
            if event.value.is_none() { i8::MAX - depth } else { depth }
        };
        told.sort_by_cached_key(|event| (event.revision, rank(event)));
        for KeyEvent { key, value, .. } in told {
            match value {
                Some(value) => self.put(registry, &key, &value, events),
                None => missing |= self.delete(registry, &key, events),
            }
        }
        missing
    }

    fn put(&mut self, registry: &mut Registry, key: &str, value: &[u8], events: &mut Vec<Event>) {
        let Some((place, fact)) = self.layout.fact(key, value) else {
            self.ignored += 1;
            return;
        };
        if self.leases.contains(&place.lease) {
            return;
        }
        match (self.places.get(&place), fact) {
            (None, Fact::Node(info)) => self.join(registry, place, info, events),
            (Some(id), Fact::Job(job)) => {
                // It may be there already: it was written again.
                let _ = registry.add_job(*id, &job, events);
            }
            (Some(id), Fact::Process(job, pid)) => {
                if registry.add_process(*id, &job, pid, events).is_err() {
                    self.ignored += 1;
                }
            }
            (Some(_), Fact::Node(_)) => {}
            (None, _) => self.ignored += 1,
        }
    }

    fn join(&mut self, registry: &mut Registry, place: Place, info: NodeInfo, events: &mut Vec<Event>) {
        if self.places.len() < self.max {
            let id = registry.join(info, events);
            self.places.insert(place, id);
        } else {
            self.ignored += 1;
        }
    }

    fn delete(&mut self, registry: &mut Registry, key: &str, events: &mut Vec<Event>) -> bool {
        let Some((place, gone)) = self.layout.read(key) else { return false };
        if self.leases.contains(&place.lease) {
            return self.leases.last() == Some(&place.lease) && registry.says(place.id, &gone);
        }
        let Some(&id) = self.places.get(&place) else { return false };
        // What is not there cannot go, and that is as well.
        let _ = match gone {
            Gone::Node => {
                self.places.remove(&place);
                registry.disconnect(id, events);
                Ok(())
            }
            Gone::Job(job) => registry.remove_job(id, &job, events),
            Gone::Process(job, pid) => registry.remove_process(id, &job, pid, events),
        };
        false
    }

    /// Takes up all keys that there are. What is new comes before what is gone goes: a node that has another server now was there all the time.
    pub(super) fn replace(&mut self, registry: &mut Registry, keys: &[(String, Vec<u8>)], events: &mut Vec<Event>) {
        let mut wanted: BTreeMap<Place, (Option<NodeInfo>, Jobs, Vec<(JobName, Pid)>)> = BTreeMap::new();
        for (key, value) in keys {
            let Some((place, fact)) = self.layout.fact(key, value) else {
                self.ignored += 1;
                continue;
            };
            if self.leases.contains(&place.lease) {
                continue;
            }
            let (node, jobs, processes) = wanted.entry(place).or_default();
            match fact {
                Fact::Node(info) => *node = Some(info),
                Fact::Job(job) => drop(jobs.insert(job, BTreeSet::new())),
                Fact::Process(job, pid) => processes.push((job, pid)),
            }
        }
        let mut here = BTreeSet::new();
        for (place, (node, mut jobs, processes)) in wanted {
            let Some(info) = node else { continue };
            for (job, pid) in processes {
                if let Some(pids) = jobs.get_mut(&job) {
                    pids.insert(pid);
                }
            }
            if !self.places.contains_key(&place) {
                self.join(registry, place.clone(), info, events);
            }
            if let Some(&id) = self.places.get(&place) {
                become_like(registry, id, &jobs, events);
            }
            here.insert(place);
        }
        let (kept, gone) = std::mem::take(&mut self.places).into_iter().partition(|(place, _)| here.contains(place));
        self.places = kept;
        let gone: BTreeMap<Place, NodeId> = gone;
        gone.into_values().for_each(|id| registry.disconnect(id, events));
    }
}

/// Deeper is later for what comes, and earlier for what goes.
const fn depth(what: &Gone) -> i8 {
    match what {
        Gone::Node => 1,
        Gone::Job(_) => 2,
        Gone::Process(..) => 3,
    }
}

/// Makes a registration say this and nothing else. Refusals can only be those of bounds, which are the same for whoever has written it.
fn become_like(registry: &mut Registry, id: NodeId, jobs: &Jobs, events: &mut Vec<Event>) {
    let before = registry.jobs_of(id).map(|(_, jobs)| jobs.clone()).unwrap_or_default();
    for job in before.keys().filter(|job| !jobs.contains_key(*job)) {
        let _ = registry.remove_job(id, job, events);
    }
    let none = BTreeSet::new();
    for (job, pids) in jobs {
        let known = before.get(job);
        if known.is_none() {
            let _ = registry.add_job(id, job, events);
        }
        let known = known.unwrap_or(&none);
        for pid in pids.difference(known) {
            let _ = registry.add_process(id, job, *pid, events);
        }
        for pid in known.difference(pids) {
            let _ = registry.remove_process(id, job, *pid, events);
        }
    }
}

#[cfg(test)]
mod tests;
