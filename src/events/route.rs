//! The way of one event through its subscriptions, in order.

use super::subscriptions::Subscriptions;
use super::trie::{NONE, Nodes};

/// A cursor over the subscriptions of one topic: levels from the root down, each in order of
/// subscription. The buffers are kept from event to event.
pub(super) struct Route {
    nodes: Nodes,
    /// The next of `nodes`.
    node: usize,
    /// The slot last handed out of a level with one pattern.
    last: u32,
    /// The subscriptions of a level with several patterns, sorted.
    merged: Vec<(u64, u32)>,
    /// The next of `merged`.
    next: usize,
    /// Subscriptions with this number or a greater one came after the event was taken.
    limit: u64,
}

impl Route {
    pub(super) const fn new() -> Self {
        Self { nodes: Nodes::new(), node: 0, last: NONE, merged: Vec::new(), next: 0, limit: 0 }
    }

    /// Starts at the root of the patterns that match a topic.
    #[inline]
    pub(super) fn start<L>(&mut self, subs: &Subscriptions<L>, topic: &str, literal: usize) {
        subs.trie().walk(topic, literal, &mut self.nodes);
        self.rewind(subs);
        while self.node < self.nodes.len() && subs.trie().depth(self.nodes.at(self.node)) < literal {
            self.node += 1;
        }
    }

    /// Starts with nodes found before.
    #[inline]
    pub(super) fn start_known<L>(&mut self, subs: &Subscriptions<L>, nodes: &[u32]) {
        self.nodes.clear();
        for &node in nodes {
            self.nodes.push(node);
        }
        self.rewind(subs);
    }

    #[inline]
    fn rewind<L>(&mut self, subs: &Subscriptions<L>) {
        self.node = 0;
        self.last = NONE;
        self.merged.clear();
        self.next = 0;
        self.limit = subs.next_seq();
    }

    /// The nodes ahead that have subscriptions.
    pub(super) fn ahead<L>(&self, subs: &Subscriptions<L>, out: &mut Vec<u32>) {
        out.clear();
        out.extend(
            (self.node..self.nodes.len()).map(|i| self.nodes.at(i)).filter(|&n| subs.trie().list(n).first != NONE),
        );
    }

    /// The slot of the next subscription.
    #[inline]
    pub(super) fn next<L>(&mut self, subs: &Subscriptions<L>) -> Option<u32> {
        loop {
            if let Some(&(_, slot)) = self.merged.get(self.next) {
                self.next += 1;
                return Some(slot);
            }
            let slot = if self.last == NONE { self.next_level(subs)? } else { subs.next(self.last) };
            if slot == NONE || subs.seq(slot) >= self.limit {
                self.last = NONE;
                continue;
            }
            self.last = slot;
            return Some(slot);
        }
    }

    /// The first slot of the next level, or `NONE` after its slots were merged or if it has none.
    #[inline]
    fn next_level<L>(&mut self, subs: &Subscriptions<L>) -> Option<u32> {
        if self.node == self.nodes.len() {
            return None;
        }
        let trie = subs.trie();
        let first = self.nodes.at(self.node);
        self.node += 1;
        let depth = trie.depth(first);
        if self.node == self.nodes.len() || trie.depth(self.nodes.at(self.node)) != depth {
            return Some(trie.list(first).first);
        }
        self.node -= 1;
        self.merged.clear();
        self.next = 0;
        while self.node < self.nodes.len() && trie.depth(self.nodes.at(self.node)) == depth {
            let mut slot = trie.list(self.nodes.at(self.node)).first;
            while slot != NONE && subs.seq(slot) < self.limit {
                self.merged.push((subs.seq(slot), slot));
                slot = subs.next(slot);
            }
            self.node += 1;
        }
        // Sorting in place allocates nothing.
        self.merged.sort_unstable();
        Some(NONE)
    }
}
