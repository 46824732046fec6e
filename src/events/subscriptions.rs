//! Who listens to what: the trie, and the listeners in slots that are linked per pattern.
//!
//! A subscription that ends is first *retired* (it no longer counts) and later *buried* (unlinked and
//! freed). In between it keeps its place, so the event under way walks the lists themselves and
//! needs no copy of them.

use std::fmt;

use super::trie::{NONE, Nodes, Trie, number};

/// Names one subscription of one emitter; never re-used, ordered by time of subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId {
    seq: u64,
    slot: u32,
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seq.fmt(f)
    }
}

pub(super) struct Subscriptions<L> {
    trie: Trie,
    slots: Vec<Slot<L>>,
    free: Vec<u32>,
    retired: Vec<u32>,
    next_seq: u64,
    live: usize,
    version: u64,
}

struct Slot<L> {
    seq: u64,
    node: u32,
    prev: u32,
    next: u32,
    state: State,
    once: bool,
    /// Absent while it runs.
    listener: Option<L>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Free,
    Live,
    Retired,
}

impl<L> Subscriptions<L> {
    pub(super) fn new() -> Self {
        Self {
            trie: Trie::new(),
            slots: Vec::new(),
            free: Vec::new(),
            retired: Vec::new(),
            next_seq: 1,
            live: 0,
            version: 1,
        }
    }

    pub(super) fn add(&mut self, pattern: &str, once: bool, listener: L) -> SubscriptionId {
        let node = self.trie.insert(pattern);
        let prev = self.trie.list(node).last;
        let seq = self.next_seq;
        let slot = Slot { seq, node, prev, next: NONE, state: State::Live, once, listener: Some(listener) };
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                number(self.slots.len() - 1)
            }
        };
        let list = self.trie.list_mut(node);
        list.last = index;
        list.live += 1;
        if prev == NONE {
            list.first = index;
            self.version += 1;
        } else {
            self.slots[prev as usize].next = index;
        }
        self.live += 1;
        self.next_seq += 1;
        SubscriptionId { seq, slot: index }
    }

    /// An id that names nothing.
    pub(super) fn no_subscription(&mut self) -> SubscriptionId {
        let seq = self.next_seq;
        self.next_seq += 1;
        SubscriptionId { seq, slot: NONE }
    }

    /// Ends a subscription; false if it has ended already.
    pub(super) fn retire(&mut self, id: SubscriptionId) -> bool {
        let live = self.slots.get(id.slot as usize).is_some_and(|s| s.seq == id.seq && s.state == State::Live);
        if live {
            self.retire_slot(id.slot);
        }
        live
    }

    /// Ends all subscriptions of exactly this pattern.
    pub(super) fn retire_all(&mut self, pattern: &str) -> usize {
        let before = self.live;
        if let Some(node) = self.trie.find(pattern) {
            let mut index = self.trie.list(node).first;
            while index != NONE {
                if self.slots[index as usize].state == State::Live {
                    self.retire_slot(index);
                }
                index = self.slots[index as usize].next;
            }
        }
        before - self.live
    }

    fn retire_slot(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.state = State::Retired;
        self.trie.list_mut(slot.node).live -= 1;
        self.live -= 1;
        self.retired.push(index);
    }

    /// Unlinks and frees one retired subscription and hands out its listener, to be dropped.
    #[inline]
    pub(super) fn bury(&mut self) -> Option<(SubscriptionId, Option<L>)> {
        let index = self.retired.pop()?;
        Some(self.unlink(index))
    }

    fn unlink(&mut self, index: u32) -> (SubscriptionId, Option<L>) {
        let slot = &mut self.slots[index as usize];
        slot.state = State::Free;
        let listener = slot.listener.take();
        let Slot { seq, node, prev, next, .. } = *slot;
        if prev != NONE {
            self.slots[prev as usize].next = next;
        }
        if next != NONE {
            self.slots[next as usize].prev = prev;
        }
        let list = self.trie.list_mut(node);
        if prev == NONE {
            list.first = next;
        }
        if next == NONE {
            list.last = prev;
        }
        if list.first == NONE {
            self.version += 1;
            self.trie.prune(node);
        }
        self.free.push(index);
        (SubscriptionId { seq, slot: index }, listener)
    }

    /// Takes the listener of a slot out, to run it; a `once` is retired by that.
    #[inline]
    pub(super) fn lend(&mut self, index: u32) -> Option<(SubscriptionId, L)> {
        let slot = self.slots.get_mut(index as usize)?;
        let listener = slot.listener.take()?;
        let id = SubscriptionId { seq: slot.seq, slot: index };
        if slot.once && slot.state == State::Live {
            self.retire_slot(index);
        }
        Some((id, listener))
    }

    /// Puts a listener back that was lent, or returns it if its slot has gone.
    #[inline]
    pub(super) fn give_back(&mut self, id: SubscriptionId, listener: L) -> Option<L> {
        match self.slots.get_mut(id.slot as usize) {
            Some(slot) if slot.seq == id.seq && slot.state != State::Free => {
                slot.listener = Some(listener);
                None
            }
            _ => Some(listener),
        }
    }

    /// Whether a live subscription would get the topic.
    pub(super) fn any(&self, topic: &str, literal: usize) -> bool {
        if self.live == 0 {
            return false;
        }
        let mut seen = Nodes::new();
        self.trie.walk(topic, literal, &mut seen);
        (0..seen.len()).map(|i| seen.at(i)).any(|n| self.trie.depth(n) >= literal && self.trie.list(n).live > 0)
    }

    /// Whether a pattern begins with these segments.
    pub(super) fn any_under(&self, prefix: &str) -> bool {
        self.live > 0 && self.trie.find(prefix).is_some()
    }

    /// Gives all subscriptions up; their listeners are the caller's to drop.
    pub(super) fn clear(&mut self) -> Self {
        let empty = Self { next_seq: self.next_seq, version: self.version + 1, ..Self::new() };
        std::mem::replace(self, empty)
    }

    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// Changes whenever a pattern gets its first subscription or loses its last.
    #[inline]
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    #[inline]
    pub(super) fn trie(&self) -> &Trie {
        &self.trie
    }

    /// Subscriptions made from now on have this number or a greater one.
    #[inline]
    pub(super) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    #[inline]
    pub(super) fn seq(&self, index: u32) -> u64 {
        self.slots[index as usize].seq
    }

    #[inline]
    pub(super) fn next(&self, index: u32) -> u32 {
        self.slots[index as usize].next
    }
}

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
        assert_eq!((new.slot, new.seq), (old.slot, old.seq + 1));
        assert!(!subs.retire(old));
        assert_eq!(subs.give_back(old, 3), Some(3));
    }

    #[test]
    fn retired_ones_keep_their_place_until_buried() {
        let mut subs = Subscriptions::new();
        let ids: Vec<_> = (0..3).map(|n| subs.add("a.b", false, n)).collect();
        assert_eq!((subs.retire_all("a.b"), subs.retire_all("a.b"), subs.retire_all("a")), (3, 0, 0));
        assert!(!subs.any("a.b", 0));
        assert_eq!(subs.next(ids[0].slot), ids[1].slot);
        assert_eq!(subs.trie().size(), (2, 2));
        while subs.bury().is_some() {}
        assert_eq!((subs.trie().size(), subs.live()), ((0, 0), 0));
    }
}
