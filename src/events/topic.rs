//! Topics: their text, their segments, and handles that remember who listens.

use std::fmt;
use std::sync::Arc;

use super::trie::number;

/// The text without the one trailing dot that is ignored. The emitter does this once, at its door; all
/// within deal in trimmed text.
#[inline]
pub(super) fn trimmed(text: &str) -> &str {
    text.strip_suffix('.').unwrap_or(text)
}

/// The segments of a trimmed topic or pattern. The empty text has none; `a..b` has three.
#[inline]
pub(super) fn segments(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = if text.is_empty() { None } else { Some(text) };
    std::iter::from_fn(move || {
        let text = rest?;
        // A dot is one byte in UTF-8 and never a part of another character.
        let Some(dot) = text.bytes().position(|byte| byte == b'.') else {
            rest = None;
            return Some(text);
        };
        rest = Some(&text[dot + 1..]);
        Some(&text[..dot])
    })
}

/// A topic resolved beforehand, made by [`EventEmitter::topic`](super::EventEmitter::topic).
///
/// Publishing by it skips the string work: who listens is remembered until a pattern is
/// added. It holds no place in the trie; the emitter forgets it after the last clone is dropped.
/// Given to another emitter it works as its text does.
#[derive(Clone)]
pub struct Topic {
    pub(super) name: Arc<Name>,
    pub(super) index: u32,
}

#[derive(Debug)]
pub(super) struct Name {
    pub(super) text: Box<str>,
    pub(super) literal: usize,
}

impl Topic {
    /// The topic's text, without a trailing dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name.text
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Topic").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The emitter's side of its topics.
#[derive(Default)]
pub(super) struct Topics {
    known: Vec<Option<Known>>,
    free: Vec<u32>,
    /// Look for forgotten topics when this many are known.
    sweep_at: usize,
}

pub(super) struct Known {
    /// Absent while an event of it is under way.
    pub(super) name: Option<Arc<Name>>,
    /// Where `name` lies, present or not.
    address: usize,
    /// Where its events go, as of `version`.
    pub(super) plan: Vec<u32>,
    pub(super) version: u64,
    /// How many events of the queue refer to it.
    pub(super) queued: usize,
}

impl Topics {
    pub(super) fn add(&mut self, text: &str, literal: usize) -> Topic {
        self.sweep();
        let name = Arc::new(Name { text: text.into(), literal });
        let address = Arc::as_ptr(&name).addr();
        let known = Known { name: Some(Arc::clone(&name)), address, plan: Vec::new(), version: 0, queued: 0 };
        let index = match self.free.pop() {
            Some(index) => {
                self.known[index as usize] = Some(known);
                index
            }
            None => {
                self.known.push(Some(known));
                number(self.known.len() - 1)
            }
        };
        Topic { name, index }
    }

    /// Forgets topics that nobody holds. Nothing tells us when the last clone is dropped, so we look
    /// whenever their number has doubled: memory stays within twice of what is in use.
    fn sweep(&mut self) {
        if self.len() < self.sweep_at.max(16) {
            return;
        }
        for (index, place) in (0..).zip(&mut self.known) {
            // With one owner left, ourselves, nobody can clone it any more.
            let unused =
                |known: &Known| known.queued == 0 && known.name.as_ref().is_some_and(|n| Arc::strong_count(n) == 1);
            if place.as_ref().is_some_and(unused) {
                *place = None;
                self.free.push(index);
            }
        }
        self.sweep_at = self.len() * 2;
    }

    pub(super) fn len(&self) -> usize {
        self.known.len() - self.free.len()
    }

    /// What is known of this topic, if it is one of ours.
    #[inline]
    pub(super) fn of(&mut self, topic: &Topic) -> Option<&mut Known> {
        self.at(topic.index).filter(|known| known.address == Arc::as_ptr(&topic.name).addr())
    }

    #[inline]
    pub(super) fn at(&mut self, index: u32) -> Option<&mut Known> {
        self.known.get_mut(index as usize)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(segments(trimmed(text)).collect::<Vec<_>>(), expected, "{text:?}");
    }

    #[test]
    fn segments_of_odd_names() {
        check("", &[]);
        check(".", &[]);
        check("a", &["a"]);
        check("a.", &["a"]);
        check("a..", &["a", ""]);
        check("..", &["", ""]);
        check(".a", &["", "a"]);
        check("a..b", &["a", "", "b"]);
        check("é.*.ü.", &["é", "*", "ü"]);
    }

    #[test]
    fn forgotten_topics_do_not_pile_up() {
        let mut topics = Topics::default();
        let kept = topics.add("kept", 0);
        let queued = topics.add("queued", 0);
        topics.of(&queued).expect("ours").queued = 1;
        let index = queued.index;
        drop(queued);
        for n in 0..10_000 {
            topics.add(&format!("proc.{n}"), 0);
        }
        assert!(topics.known.len() <= 64, "{}", topics.known.len());
        assert_eq!(topics.of(&kept).and_then(|known| known.name.clone()).expect("ours").text.as_ref(), "kept");
        assert_eq!(
            topics.at(index).and_then(|known| known.name.clone()).expect("still queued").text.as_ref(),
            "queued"
        );
    }
}
