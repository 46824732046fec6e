//! The trie of patterns: one node per distinct prefix of a pattern, edges labelled by interned segments.
//!
//! Interning pays because several nodes may be alive at one level (a literal one and those reached
//! through `*`): the text of a segment is hashed once, the nodes are then asked by number. All
//! edges live in one map, so a node is a few words and a leaf costs no allocation of its own.

use std::collections::HashMap;
use std::sync::Arc;

use super::hash::Seed;
use super::topic::segments;

/// No node, no segment.
pub(super) const NONE: u32 = u32::MAX;
/// The node of the pattern `.`, which has no segments. It is never freed.
const ROOT: u32 = 0;
/// The segment `*` of a pattern; it is not interned and has an edge of its own in each node.
const STAR: u32 = NONE;

pub(super) struct Trie {
    nodes: Vec<Node>,
    free: Vec<u32>,
    edges: HashMap<u64, u32, Seed>,
    segments: Segments,
}

struct Node {
    parent: u32,
    segment: u32,
    star: u32,
    children: u32,
    depth: u32,
}

impl Node {
    const fn new(parent: u32, segment: u32, depth: u32) -> Self {
        Self { parent, segment, star: NONE, children: 0, depth }
    }
}

fn edge(node: u32, segment: u32) -> u64 {
    u64::from(node) << 32 | u64::from(segment)
}

impl Trie {
    pub(super) fn new() -> Self {
        let seed = Seed::default();
        Self {
            nodes: vec![Node::new(NONE, NONE, 0)],
            free: Vec::new(),
            edges: HashMap::with_hasher(seed),
            segments: Segments { ids: HashMap::with_hasher(seed), names: Vec::new(), free: Vec::new() },
        }
    }

    /// The node of a pattern, made if need be. A node made is to be used or pruned.
    pub(super) fn insert(&mut self, pattern: &str) -> u32 {
        let mut node = ROOT;
        for text in segments(pattern) {
            node = match self.child(node, text) {
                Some(child) => child,
                None => self.grow(node, text),
            };
        }
        node
    }

    fn grow(&mut self, parent: u32, text: &str) -> u32 {
        let segment = if text == "*" { STAR } else { self.segments.hold(text) };
        let node = Node::new(parent, segment, self.nodes[parent as usize].depth + 1);
        let child = match self.free.pop() {
            Some(index) => {
                self.nodes[index as usize] = node;
                index
            }
            None => {
                let index = number(self.nodes.len());
                self.nodes.push(node);
                index
            }
        };
        self.nodes[parent as usize].children += 1;
        if segment == STAR {
            self.nodes[parent as usize].star = child;
        } else {
            self.edges.insert(edge(parent, segment), child);
        }
        child
    }

    /// The child for a segment of a pattern, taken literally: `*` is the edge `*`.
    fn child(&self, node: u32, text: &str) -> Option<u32> {
        if text == "*" {
            let star = self.nodes[node as usize].star;
            return (star != NONE).then_some(star);
        }
        self.edges.get(&edge(node, self.segments.get(text)?)).copied()
    }

    /// The node of exactly this pattern, if any pattern is or begins with it.
    pub(super) fn find(&self, pattern: &str) -> Option<u32> {
        segments(pattern).try_fold(ROOT, |node, text| self.child(node, text))
    }

    /// Frees a node without subscriptions, and whatever above it that served only to reach it and
    /// is not `used` itself.
    pub(super) fn prune(&mut self, mut node: u32, used: impl Fn(u32) -> bool) {
        loop {
            let Node { parent, segment, children, .. } = self.nodes[node as usize];
            if node == ROOT || children != 0 || used(node) {
                return;
            }
            if segment == STAR {
                self.nodes[parent as usize].star = NONE;
            } else {
                self.edges.remove(&edge(parent, segment));
                self.segments.release(segment);
            }
            self.nodes[parent as usize].children -= 1;
            self.free.push(node);
            node = parent;
        }
    }

    /// One more than the greatest node there ever was.
    pub(super) fn bound(&self) -> usize {
        self.nodes.len()
    }

    /// Every node on the way of a topic, level by level, the root first: the nodes of the patterns
    /// that match, and those that matching patterns would go through. The first `literal` segments
    /// are not matched by `*`; what is not as deep is for the caller to leave out.
    #[inline]
    pub(super) fn walk(&self, topic: &str, literal: usize, seen: &mut Nodes) {
        seen.clear();
        seen.push(ROOT);
        let mut level = 0;
        for (depth, text) in segments(topic).enumerate() {
            let end = seen.len();
            if (level..end).all(|i| self.nodes[seen.at(i) as usize].children == 0) {
                return;
            }
            let segment = self.segments.get(text);
            for i in level..end {
                let node = seen.at(i);
                if let Some(&child) = segment.and_then(|segment| self.edges.get(&edge(node, segment))) {
                    seen.push(child);
                }
                let star = self.nodes[node as usize].star;
                if star != NONE && depth >= literal {
                    seen.push(star);
                }
            }
            level = end;
        }
    }

    /// How many segments the node's pattern has.
    #[inline]
    pub(super) fn depth(&self, node: u32) -> usize {
        self.nodes[node as usize].depth as usize
    }

    /// How many nodes (without the root) and interned segments there are.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.nodes.len() - 1 - self.free.len(), self.segments.ids.len())
    }
}

/// An index as a number of 31 bits: one bit is left for marks, and `NONE` is none.
pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index).ok().filter(|&index| index < 1 << 31).expect("fewer than 2^31 patterns and topics")
}

/// Interned segments, counted by the edges that use them.
struct Segments {
    ids: HashMap<Arc<str>, u32, Seed>,
    names: Vec<(Arc<str>, u32)>,
    free: Vec<u32>,
}

impl Segments {
    #[inline]
    fn get(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    fn hold(&mut self, text: &str) -> u32 {
        if let Some(id) = self.get(text) {
            self.names[id as usize].1 += 1;
            return id;
        }
        let name: Arc<str> = text.into();
        let id = match self.free.pop() {
            Some(id) => {
                self.names[id as usize] = (Arc::clone(&name), 1);
                id
            }
            None => {
                self.names.push((Arc::clone(&name), 1));
                number(self.names.len() - 1)
            }
        };
        self.ids.insert(name, id);
        id
    }

    fn release(&mut self, id: u32) {
        let (name, users) = &mut self.names[id as usize];
        *users -= 1;
        if *users == 0 {
            self.ids.remove(name);
            *name = Arc::default();
            self.free.push(id);
        }
    }
}

/// A list of nodes that needs no memory while it is short.
pub(super) struct Nodes {
    len: usize,
    few: [u32; Self::FEW],
    more: Vec<u32>,
}

impl Nodes {
    const FEW: usize = 16;

    pub(super) const fn new() -> Self {
        Self { len: 0, few: [NONE; Self::FEW], more: Vec::new() }
    }

    #[inline]
    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.more.clear();
    }

    #[inline]
    pub(super) fn push(&mut self, node: u32) {
        match self.few.get_mut(self.len) {
            Some(place) => *place = node,
            None => self.more.push(node),
        }
        self.len += 1;
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn at(&self, index: usize) -> u32 {
        if index < Self::FEW { self.few[index] } else { self.more[index - Self::FEW] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pruning_frees_what_nothing_uses() {
        let mut trie = Trie::new();
        let long = trie.insert("a.b.a.*.c");
        assert_eq!(trie.size(), (5, 3));
        let short = trie.insert("a.b");
        assert_eq!(trie.size(), (5, 3));
        trie.prune(long, |node| node == short);
        assert_eq!(trie.size(), (2, 2));
        trie.prune(short, |_| false);
        assert_eq!(trie.size(), (0, 0));
        trie.insert("d.e.f");
        assert_eq!((trie.nodes.len(), trie.segments.names.len()), (6, 3), "freed places are used again");
    }

    #[test]
    fn a_walk_spills_gracefully() {
        let mut trie = Trie::new();
        for bits in 0..32 {
            let pattern: Vec<_> = (0..5).map(|i| if bits >> i & 1 == 0 { "a" } else { "*" }).collect();
            trie.insert(&pattern.join("."));
        }
        let mut seen = Nodes::new();
        trie.walk("a.a.a.a.a.a", 0, &mut seen);
        assert_eq!(seen.len(), 63);
        assert!((1..seen.len()).all(|i| trie.depth(seen.at(i - 1)) <= trie.depth(seen.at(i))));
        trie.walk("a.a.a.a.a.a", 4, &mut seen);
        assert_eq!(seen.len(), 7);
    }
}
