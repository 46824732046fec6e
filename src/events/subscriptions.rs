//! Who listens to what: the trie, and a list of listeners for each of its nodes.
//!
//! While listeners run, their list is lent out: it stands outside the emitter, so that they can be
//! called with the emitter. What the list says about each subscription stays behind. A subscription that
//! ends is therefore first *retired* (it no longer counts) and later *buried* (its listener is
//! dropped); in between it keeps its place, and the event under way goes on undisturbed.

use std::fmt;
use std::mem;

use super::trie::{NONE, Nodes, Trie};

/// Names one subscription of one emitter; never re-used, ordered by time of subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId {
    seq: u64,
    node: u32,
}

impl SubscriptionId {
    /// Names nothing.
    pub(super) const NONE: Self = Self { seq: 0, node: NONE };
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seq.fmt(f)
    }
}

/// The listeners of a pattern, oldest first. Boxed, because one word is
/// lent and given back faster than the three of a `Vec`.
#[allow(clippy::box_collection, reason = "see above")]
pub(super) type Listeners<L> = Box<Vec<Seat<L>>>;

pub(super) struct Seat<L> {
    /// As it was on subscribing.
    pub(super) entry: Entry,
    /// `None` once buried.
    pub(super) listener: Option<L>,
}

pub(super) struct Subscriptions<L> {
    trie: Trie,
    /// By node.
    lists: Vec<List<L>>,
    retired: Vec<SubscriptionId>,
    next_seq: u64,
    live: usize,
    version: u64,
}

struct List<L> {
    /// One for each of `listeners`, in rising order.
    entries: Vec<Entry>,
    /// While they are lent out, those subscribed meanwhile, if any.
    listeners: Option<Listeners<L>>,
    live: usize,
    holes: usize,
}

/// The number of a subscription and two flags, in one word.
#[derive(Clone, Copy)]
pub(super) struct Entry(u64);

impl Entry {
    const RETIRED: u64 = 1;
    const ONCE: u64 = 2;

    #[inline]
    pub(super) fn seq(self) -> u64 {
        self.0 >> 2
    }

    #[inline]
    pub(super) fn is_once(self) -> bool {
        self.0 & Self::ONCE != 0
    }

    fn is_live(self) -> bool {
        self.0 & Self::RETIRED == 0
    }

    #[inline]
    pub(super) fn id(self, node: u32) -> SubscriptionId {
        SubscriptionId { seq: self.seq(), node }
    }
}

impl<L> List<L> {
    const EMPTY: Self = Self { entries: Vec::new(), listeners: None, live: 0, holes: 0 };

    fn find(&self, seq: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&seq, |entry| entry.seq()).ok()
    }
}

impl<L> Subscriptions<L> {
    pub(super) fn new() -> Self {
        Self { trie: Trie::new(), lists: Vec::new(), retired: Vec::new(), next_seq: 1, live: 0, version: 1 }
    }

    pub(super) fn add(&mut self, pattern: &str, once: bool, listener: L) -> SubscriptionId {
        let node = self.trie.insert(pattern);
        if self.lists.len() < self.trie.bound() {
            self.lists.resize_with(self.trie.bound(), || List::EMPTY);
        }
        let list = &mut self.lists[node as usize];
        if list.entries.is_empty() {
            self.version += 1;
            // Most patterns have one subscription.
            list.entries.reserve_exact(1);
        }
        let seq = self.next_seq;
        let entry = Entry(seq << 2 | if once { Entry::ONCE } else { 0 });
        let seat = Seat { entry, listener: Some(listener) };
        list.entries.push(entry);
        list.listeners.get_or_insert_with(|| Box::new(Vec::with_capacity(1))).push(seat);
        list.live += 1;
        self.live += 1;
        self.next_seq += 1;
        SubscriptionId { seq, node }
    }

    /// An id that names nothing.
    pub(super) fn no_subscription(&mut self) -> SubscriptionId {
        let seq = self.next_seq;
        self.next_seq += 1;
        SubscriptionId { seq, node: NONE }
    }

    /// Ends a subscription; false if it has ended already.
    pub(super) fn retire(&mut self, id: SubscriptionId) -> bool {
        let Some(list) = self.lists.get_mut(id.node as usize) else { return false };
        let Some(index) = list.find(id.seq).filter(|&index| list.entries[index].is_live()) else { return false };
        list.entries[index].0 |= Entry::RETIRED;
        list.live -= 1;
        self.live -= 1;
        self.retired.push(id);
        true
    }

    /// Ends all subscriptions of exactly this pattern.
    pub(super) fn retire_all(&mut self, pattern: &str) -> usize {
        let Some(node) = self.trie.find(pattern) else { return 0 };
        let Some(list) = self.lists.get_mut(node as usize) else { return 0 };
        for entry in list.entries.iter_mut().filter(|entry| entry.is_live()) {
            entry.0 |= Entry::RETIRED;
            self.retired.push(entry.id(node));
        }
        let ended = mem::take(&mut list.live);
        self.live -= ended;
        ended
    }

    /// Whether there is anything to bury.
    #[inline]
    pub(super) fn has_retired(&self) -> bool {
        !self.retired.is_empty()
    }

    /// Takes one retired subscription out of its list and hands out its listener, to be dropped.
    /// Nothing may be lent out.
    pub(super) fn bury(&mut self) -> Option<(SubscriptionId, Option<L>)> {
        let id = self.retired.pop()?;
        Some((id, self.take(id)))
    }

    fn take(&mut self, id: SubscriptionId) -> Option<L> {
        let list = self.lists.get_mut(id.node as usize)?;
        let index = list.find(id.seq)?;
        let listeners = list.listeners.as_mut()?;
        let listener = listeners.get_mut(index)?.listener.take();
        list.holes += 1;
        if list.holes == list.entries.len() {
            *list = List::EMPTY;
            let lists = &self.lists;
            self.trie.prune(id.node, |node| !lists[node as usize].entries.is_empty());
        } else if list.holes > 8 && list.holes > list.entries.len() / 2 {
            // At least as many have gone as are left to move, so a removal moves two at most on average.
            let mut kept = listeners.iter().map(|seat| seat.listener.is_some());
            list.entries.retain(|_| kept.next().unwrap_or(false));
            listeners.retain(|seat| seat.listener.is_some());
            list.holes = 0;
        }
        listener
    }

    /// Lends the listeners of a node out.
    #[inline]
    pub(super) fn lend(&mut self, node: u32) -> Option<Listeners<L>> {
        self.lists.get_mut(node as usize)?.listeners.take()
    }

    /// Takes listeners back, or returns them if their place has gone.
    #[inline]
    pub(super) fn give_back(&mut self, node: u32, mut listeners: Listeners<L>) -> Option<Listeners<L>> {
        let Some(list) = self.lists.get_mut(node as usize) else { return Some(listeners) };
        if let Some(mut new) = list.listeners.take() {
            listeners.append(&mut new);
        }
        list.listeners = Some(listeners);
        None
    }

    /// The nodes whose listeners get an event of the topic, as a plan: level by level, a node marked
    /// as `JOINED` if it is of the same level as the one before.
    pub(super) fn plan(&self, topic: &str, literal: usize, seen: &mut Nodes, plan: &mut Vec<u32>) {
        self.trie.walk(topic, literal, seen);
        plan.clear();
        let mut last = None;
        for node in (0..seen.len()).map(|i| seen.at(i)) {
            let depth = self.trie.depth(node);
            if depth >= literal && self.lists.get(node as usize).is_some_and(|list| !list.entries.is_empty()) {
                plan.push(if last == Some(depth) { node | JOINED } else { node });
                last = Some(depth);
            }
        }
    }

    /// Whether a live subscription would get the topic.
    pub(super) fn any(&self, topic: &str, literal: usize) -> bool {
        if self.live == 0 {
            return false;
        }
        let mut seen = Nodes::new();
        self.trie.walk(topic, literal, &mut seen);
        let mut nodes = (0..seen.len()).map(|i| seen.at(i));
        nodes.any(|n| self.trie.depth(n) >= literal && self.lists.get(n as usize).is_some_and(|list| list.live > 0))
    }

    /// Whether a pattern begins with these segments.
    pub(super) fn any_under(&self, prefix: &str) -> bool {
        self.live > 0 && self.trie.find(prefix).is_some()
    }

    /// Gives all subscriptions up; their listeners are the caller's to drop.
    pub(super) fn clear(&mut self) -> Self {
        let empty = Self { next_seq: self.next_seq, version: self.version + 1, ..Self::new() };
        mem::replace(self, empty)
    }

    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// Changes whenever a pattern gets its first subscription: a plan holds as long as the version
    /// does. A pattern that loses its last one leaves plans with a node that has nobody, until the
    /// node is used again, which is a first subscription.
    #[inline]
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Subscriptions made from now on have this number or a greater one.
    #[inline]
    pub(super) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// How many nodes and segments there are.
    pub(super) fn trie_size(&self) -> (usize, usize) {
        self.trie.size()
    }
}

/// Marks a node of a plan that is of the same level as the one before.
pub(super) const JOINED: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_never_used_again() {
        let mut subs = Subscriptions::new();
        let old = subs.add("a", false, 1);
        assert!(subs.retire(old) && !subs.retire(old));
        assert_eq!(subs.bury(), Some((old, Some(1))));
        let new = subs.add("a", false, 2);
        assert_eq!((new.node, new.seq), (old.node, old.seq + 1));
        assert!(!subs.retire(old));
    }

    #[test]
    fn retired_ones_keep_their_place_until_buried() {
        let mut subs = Subscriptions::new();
        let ids: Vec<_> = (0..3).map(|n| subs.add("a.b", false, n)).collect();
        assert_eq!((subs.retire_all("a.b"), subs.retire_all("a.b"), subs.retire_all("a")), (3, 0, 0));
        assert!(!subs.any("a.b", 0));
        let listeners = subs.lend(ids[0].node).expect("at home");
        assert_eq!((listeners[1].entry.id(ids[0].node), listeners[1].listener), (ids[1], Some(1)));
        assert!(subs.give_back(ids[0].node, listeners).is_none());
        assert_eq!(subs.trie_size(), (2, 2));
        while subs.bury().is_some() {}
        assert_eq!((subs.trie_size(), subs.live()), ((0, 0), 0));
    }

    #[test]
    fn holes_are_closed_when_they_are_many() {
        let mut subs = Subscriptions::new();
        let ids: Vec<_> = (0..1_000).map(|n| subs.add("a", false, n)).collect();
        for (n, &id) in ids.iter().enumerate().filter(|(n, _)| n % 10 != 0) {
            assert!(subs.retire(id));
            assert_eq!(subs.bury(), Some((id, Some(n))));
        }
        let list = &subs.lists[ids[0].node as usize];
        assert!(list.entries.len() <= 210, "{} for 100", list.entries.len());
        assert_eq!(list.listeners.as_ref().map(|listeners| listeners.len()), Some(list.entries.len()));
        for (n, &id) in ids.iter().enumerate().filter(|(n, _)| n % 10 == 0) {
            assert!(subs.retire(id));
            assert_eq!(subs.bury(), Some((id, Some(n))));
        }
        assert_eq!(subs.trie_size(), (0, 0));
    }
}
