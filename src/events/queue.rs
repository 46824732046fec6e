//! A bounded queue of events.
//!
//! Events leave in the order they came, so their topics lie one after the other in one string: a
//! publish appends, a delivery moves the start along, and neither allocates once the string has
//! found its size.

use std::collections::VecDeque;

pub(super) struct Queue<P> {
    max: usize,
    /// The topics of the events; the first `gone` bytes belong to events that have left.
    text: String,
    gone: usize,
    events: VecDeque<Queued<P>>,
}

pub(super) struct Queued<P> {
    pub(super) name: Name,
    pub(super) payload: P,
}

/// How an event knows its topic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Name {
    /// By its text, of which the first `literal` segments are to be matched literally.
    Text { len: usize, literal: usize },
    /// By a topic's index in the emitter.
    Topic(u32),
}

/// Bytes of text that are never worth moving.
const SLACK: usize = 1024;

impl<P> Queue<P> {
    pub(super) const fn new(max: usize) -> Self {
        Self { max, text: String::new(), gone: 0, events: VecDeque::new() }
    }

    pub(super) const fn max(&self) -> usize {
        self.max
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Adds an event and returns the one that had no place, if any: the oldest.
    #[inline]
    #[must_use]
    pub(super) fn push_text(&mut self, topic: &str, literal: usize, payload: P) -> Option<Queued<P>> {
        let name = Name::Text { len: topic.len(), literal };
        if self.max == 0 {
            return Some(Queued { name, payload });
        }
        let oldest = self.make_room();
        self.text.push_str(topic);
        self.events.push_back(Queued { name, payload });
        oldest
    }

    /// As `push_text`, of a topic that the emitter knows.
    #[inline]
    #[must_use]
    pub(super) fn push_topic(&mut self, index: u32, payload: P) -> Option<Queued<P>> {
        let event = Queued { name: Name::Topic(index), payload };
        if self.max == 0 {
            return Some(event);
        }
        let oldest = self.make_room();
        self.events.push_back(event);
        oldest
    }

    #[inline]
    fn make_room(&mut self) -> Option<Queued<P>> {
        if self.events.len() < self.max {
            return None;
        }
        let oldest = self.events.pop_front()?;
        if let Name::Text { len, .. } = oldest.name {
            self.forget(len);
        }
        Some(oldest)
    }

    /// The oldest event's topic and how much of it is to be matched literally, if it has a text.
    #[inline]
    pub(super) fn peek_text(&self) -> Option<(&str, usize)> {
        match self.events.front()?.name {
            Name::Text { len, literal } => Some((&self.text[self.gone..self.gone + len], literal)),
            Name::Topic(_) => None,
        }
    }

    /// Takes the oldest event; `topic` becomes its text unless the emitter knows its topic.
    #[inline(always)] // Else the event travels through memory twice, which is half of the cost of a delivery.
    pub(super) fn pop(&mut self, topic: &mut String) -> Option<Queued<P>> {
        let event = self.events.pop_front()?;
        topic.clear();
        if let Name::Text { len, .. } = event.name {
            topic.push_str(&self.text[self.gone..self.gone + len]);
            self.forget(len);
        }
        Some(event)
    }

    #[inline]
    fn forget(&mut self, len: usize) {
        self.gone += len;
        if self.gone == self.text.len() {
            self.text.clear();
            self.gone = 0;
        } else if self.gone > SLACK.max(self.text.len() / 2) {
            // More has gone than is left to move: each byte is moved at most once on average.
            self.text.drain(..self.gone);
            self.gone = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_and_their_topics() {
        let mut queue = Queue::new(3);
        let mut topic = String::new();
        for n in 0..5_000 {
            let dropped = queue.push_text(&format!("topic.{n}"), n, n);
            assert_eq!(dropped.map(|event| event.payload), n.checked_sub(3));
            assert!(queue.text.len() < 2 * SLACK, "{}", queue.text.len());
        }
        let dropped = queue.push_topic(7, 5_000);
        assert_eq!(dropped.map(|event| event.payload), Some(4_997));
        for n in 4_998..5_000 {
            assert_eq!(queue.peek_text(), Some((format!("topic.{n}").as_str(), n)));
            let event = queue.pop(&mut topic).expect("queued");
            assert_eq!((topic.as_str(), event.payload), (format!("topic.{n}").as_str(), n));
        }
        assert_eq!(queue.pop(&mut topic).map(|event| event.name), Some(Name::Topic(7)));
        assert_eq!((queue.is_empty(), queue.text.len()), (true, 0));
    }

    #[test]
    fn without_room_every_event_goes() {
        let mut queue = Queue::new(0);
        assert!(queue.push_text("a", 0, 1).is_some());
        assert!(queue.push_topic(0, 2).is_some());
        assert_eq!((queue.len(), queue.max()), (0, 0));
    }
}
