//! An event emitter: dotted topics, a bounded queue, subscribers.
//!
//! Usable alone; it knows nothing of processes. [`publish`](EventEmitter::publish) queues,
//! [`dispatch`](EventEmitter::dispatch) delivers.
//!
//! ```
//! use gaffer::events::EventEmitter;
//!
//! let mut events = EventEmitter::new();
//! events.subscribe("proc.*.exit", |_, log: &mut Vec<String>, event| log.push(format!("{} {}", event.topic, event.payload)));
//! events.publish("proc.web.exit", 1);
//! events.publish("proc.web.spawn", 7);
//!
//! let mut log = Vec::new();
//! assert_eq!(events.dispatch(&mut log), 2);
//! assert_eq!(log, ["proc.web.exit 1"]);
//! ```
//!
//! # Topics and patterns
//!
//! Both are segments separated by dots; one trailing dot is ignored; case matters. A pattern matches
//! the topics that begin with its segments: `a.b` matches `a.b` and `a.b.c`, not `a.bb`. A `*` in a
//! pattern matches exactly one segment, whatever it is; in a topic it is a segment like any other.
//! The pattern `.`, or the empty one, has no segments and so matches every topic.
//!
//! Nothing is refused. An empty segment, as in `a..b`, is matched by itself and by `*`. A topic
//! without segments reaches only the subscribers of `.`.
//!
//! # Order
//!
//! An event goes to each matching subscription once: those of `.` first, then from the shortest
//! pattern to the longest, and among patterns of as many segments (`a.b`, `*.b`, `a.*`) in order of
//! subscription. Events go one after the other in the order they were published.
//!
//! # What a listener may do
//!
//! Everything: it is called with the emitter itself. What it publishes is delivered in the same
//! round, after what is queued already, within the budget. Subscribing and unsubscribing take
//! effect for the next event: a subscription ended during an event still gets that event, if it
//! matches. Only [`close`](EventEmitter::close) takes effect at once. A listener that panics is
//! [reported](EventEmitter::on_panic), stays subscribed, and the others are called all the same.
//!
//! # Threads
//!
//! An emitter belongs to one thread at a time. Others publish through a [`Publisher`] and listen
//! through a [`Receiver`].
//!
//! # Bounds and costs
//!
//! The queue holds `max_size` events (one entry per publish, whatever the topic's depth and however
//! many listen), so does the publishers'; each receiver holds its capacity. Whoever is full drops its oldest
//! and counts it. Topics and subscriptions are as many as their owners make; what they need is
//! freed with them.
//!
//! A publish and its delivery take time in the depth of the topic and the number of subscriptions
//! reached (and of patterns with `*` that match the topic part of the way), whatever else is
//! subscribed, and allocate nothing once the buffers have found their size. Subscribing and
//! unsubscribing take time in the depth of the pattern.

#![forbid(unsafe_code)]

mod dispatch;
mod emitter;
mod hash;
mod publisher;
mod queue;
mod receiver;
mod recent;
mod subscriptions;
mod topic;
mod trie;

#[cfg(test)]
mod tests;

pub use emitter::{Delivery, EventEmitter};
pub use publisher::{Closed, Publisher};
pub use receiver::{Iter, Received, Receiver};
pub use subscriptions::SubscriptionId;
pub use topic::Topic;
