//! The emitter: subscribing and publishing. Delivery is in `dispatch`.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use super::dispatch::Route;
use super::publisher::{Inbox, Publisher};
use super::queue::{Name, Queue, Queued};
use super::receiver::{Receiver, Sender, Shared};
use super::subscriptions::{SubscriptionId, Subscriptions};
use super::topic::{Topic, Topics, trimmed};

pub(super) type Listener<P, C> = Box<dyn FnMut(&mut EventEmitter<P, C>, &mut C, &Delivery<'_, P>) + Send>;
pub(super) type Reporter<P> = Box<dyn FnMut(&Delivery<'_, P>, Box<dyn Any + Send>) + Send>;

/// Queues events by dotted topics and delivers them to whom it concerns.
///
/// `P` is what is published. `C` is whatever [`dispatch`](Self::dispatch) lends to the listeners, so
/// that they need not own what they change. See the [module](super) for topics, order and bounds.
pub struct EventEmitter<P, C = ()> {
    pub(super) subs: Subscriptions<Listener<P, C>>,
    pub(super) queue: Queue<P>,
    pub(super) topics: Topics,
    pub(super) route: Route<Listener<P, C>>,
    /// The topic under delivery, between rounds only its buffer.
    pub(super) topic: String,
    pub(super) dispatching: bool,
    pub(super) closed: bool,
    dropped: u64,
    told: u64,
    pub(super) reporter: Option<Reporter<P>>,
    inbox: OnceLock<Arc<Inbox<P>>>,
}

/// An event on its way to one listener.
#[derive(Debug)]
#[non_exhaustive]
pub struct Delivery<'a, P> {
    /// The topic it was published to, in full, without a trailing dot.
    pub topic: &'a str,
    /// What was published.
    pub payload: &'a P,
    /// The subscription it is delivered to.
    pub subscription: SubscriptionId,
}

impl<P> Clone for Delivery<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Delivery<'_, P> {}

impl<P, C> EventEmitter<P, C> {
    /// How many events the queue holds unless [`with_max_size`](Self::with_max_size) says otherwise.
    pub const MAX_SIZE: usize = 10_000;

    /// How many events are moved from the publishers' queue while their lock is held.
    const BATCH: usize = 256;

    /// An emitter whose queue holds 10 000 events.
    #[must_use]
    pub fn new() -> Self {
        Self::with_max_size(Self::MAX_SIZE)
    }

    /// An emitter whose queue holds `max_size` events; with 0 every event is dropped and counted.
    /// Nothing is reserved in advance.
    #[must_use]
    pub fn with_max_size(max_size: usize) -> Self {
        Self {
            subs: Subscriptions::new(),
            queue: Queue::new(max_size),
            topics: Topics::default(),
            route: Route::new(),
            topic: String::new(),
            dispatching: false,
            closed: false,
            dropped: 0,
            told: 0,
            reporter: None,
            inbox: OnceLock::new(),
        }
    }

    /// Calls `listener` for every event whose topic `pattern` matches, from the next event on.
    ///
    /// On a closed emitter the listener is dropped and the id names nothing.
    pub fn subscribe(
        &mut self,
        pattern: &str,
        listener: impl FnMut(&mut EventEmitter<P, C>, &mut C, &Delivery<'_, P>) + Send + 'static,
    ) -> SubscriptionId {
        self.add(pattern, false, Box::new(listener))
    }

    /// As [`subscribe`](Self::subscribe), for one event: the subscription has ended when the
    /// listener is called.
    pub fn subscribe_once(
        &mut self,
        pattern: &str,
        listener: impl FnMut(&mut EventEmitter<P, C>, &mut C, &Delivery<'_, P>) + Send + 'static,
    ) -> SubscriptionId {
        self.add(pattern, true, Box::new(listener))
    }

    fn add(&mut self, pattern: &str, once: bool, listener: Listener<P, C>) -> SubscriptionId {
        if self.closed {
            return self.subs.no_subscription();
        }
        // Receivers that come and go between two dispatches must not pile up.
        self.end_dropped_receivers();
        self.subs.add(trimmed(pattern), once, listener)
    }

    /// Ends a subscription, from the next event on; false if it has ended already.
    pub fn unsubscribe(&mut self, id: SubscriptionId) -> bool {
        let ended = self.subs.retire(id);
        self.settle();
        ended
    }

    /// Ends every subscription of exactly this pattern and returns how many there were. The pattern
    /// `.` means those of `.`, not all.
    pub fn unsubscribe_all(&mut self, pattern: &str) -> usize {
        let ended = self.subs.retire_all(trimmed(pattern));
        self.settle();
        ended
    }

    /// Drops the listeners of ended subscriptions, unless an event is under way that is still theirs.
    fn settle(&mut self) {
        if !self.dispatching {
            self.bury_all();
        }
    }

    pub(super) fn bury_all(&mut self) {
        while let Some((_, listener)) = self.subs.bury() {
            drop(listener);
        }
    }

    /// Subscribes another thread: every matching event is cloned into the receiver, which holds at
    /// most `capacity` (at least 1) and then drops its oldest. Dropping the receiver ends the
    /// subscription, at the next dispatch or subscribe.
    pub fn channel(&mut self, pattern: &str, capacity: usize) -> Receiver<P>
    where
        P: Clone + Send + 'static,
    {
        let shared = Shared::new(capacity);
        let sender = Sender(Arc::clone(&shared));
        let id = self.subscribe(pattern, move |_, _, event| sender.send(event.topic, event.payload));
        Receiver::new(shared, Arc::clone(self.inbox()), id)
    }

    /// A way to publish from other threads.
    #[must_use]
    pub fn publisher(&self) -> Publisher<P>
    where
        P: Send,
    {
        Publisher(Arc::clone(self.inbox()))
    }

    /// Has `waker` called, on the publishing thread, when a [`Publisher`] queues the first event after
    /// a dispatch took all; at once if events are waiting. A later waker replaces an earlier one.
    pub fn set_waker(&mut self, waker: Arc<dyn Fn() + Send + Sync>) {
        self.inbox().set_waker(waker);
    }

    fn inbox(&self) -> &Arc<Inbox<P>> {
        self.inbox.get_or_init(|| {
            let inbox = Inbox::new(self.queue.max());
            if self.closed {
                inbox.close();
            }
            Arc::new(inbox)
        })
    }

    /// Resolves a topic once, to publish by it often.
    #[must_use]
    pub fn topic(&mut self, topic: &str) -> Topic {
        self.topic_under(0, topic)
    }

    /// Resolves an alias, as [`publish_under`](Self::publish_under) means it.
    #[must_use]
    pub fn topic_under(&mut self, literal: usize, topic: &str) -> Topic {
        self.topics.add(trimmed(topic), literal)
    }

    /// Queues an event. If the queue is full the oldest is dropped and counted; a closed emitter
    /// drops the event itself.
    #[inline]
    pub fn publish(&mut self, topic: &str, payload: P) {
        self.publish_under(0, topic, payload);
    }

    /// Queues an event that only those get who ask for it by name: the first `literal` segments
    /// must stand in the pattern literally.
    ///
    /// So `job.default.web.exit` under 1 reaches `job` and `job.default` but neither `.` nor `*`, and
    /// `proc.7.exit` under 2 reaches `proc.7`, `proc.7.exit` and `proc.7.*` but neither `proc` nor
    /// `proc.*.exit`. Under more segments than the topic has, it reaches nobody.
    #[inline]
    pub fn publish_under(&mut self, literal: usize, topic: &str, payload: P) {
        self.push(trimmed(topic), literal, payload);
    }

    #[inline]
    fn push(&mut self, topic: &str, literal: usize, payload: P) {
        if !self.closed {
            let oldest = self.queue.push_text(topic, literal, payload);
            self.lose(oldest);
        }
    }

    /// Queues an event by a resolved topic.
    #[inline]
    pub fn publish_to(&mut self, topic: &Topic, payload: P) {
        if self.closed {
            return;
        }
        let Some(known) = self.topics.of(topic) else {
            return self.push(&topic.name.text, topic.name.literal, payload);
        };
        known.queued += 1;
        let oldest = self.queue.push_topic(topic.index, payload);
        self.lose(oldest);
    }

    #[inline]
    fn lose(&mut self, event: Option<Queued<P>>) {
        let Some(event) = event else { return };
        self.dropped += 1;
        if let Name::Topic(index) = event.name {
            if let Some(known) = self.topics.at(index) {
                known.queued -= 1;
            }
        }
    }

    /// Moves events of other threads over, as many as there is room for; the others wait there.
    pub(super) fn collect(&mut self, scratch: &mut String) {
        self.end_dropped_receivers();
        let Some(inbox) = self.inbox.get() else { return };
        if !inbox.is_pending() {
            return;
        }
        let room = self.queue.max() - self.queue.len();
        let queue = &mut self.queue;
        let mut lost = 0;
        inbox.collect(room.min(Self::BATCH), scratch, |topic, literal, payload| {
            lost += u64::from(queue.push_text(topic, literal, payload).is_some());
        });
        self.dropped += lost;
    }

    /// Whether other threads have published something, or have ended a subscription.
    pub(super) fn has_mail(&self) -> bool {
        self.inbox.get().is_some_and(|inbox| inbox.is_pending())
    }

    fn end_dropped_receivers(&mut self) {
        let Some(inbox) = self.inbox.get() else { return };
        if inbox.is_pending() {
            for id in inbox.ended() {
                self.subs.retire(id);
            }
            self.settle();
        }
    }

    /// Whether anybody would get an event of this topic now.
    #[must_use]
    pub fn has_subscribers(&self, topic: &str) -> bool {
        self.has_subscribers_under(0, topic)
    }

    /// Whether anybody would get this alias, as [`publish_under`](Self::publish_under) means it. It costs
    /// what a publish costs, without allocating.
    #[must_use]
    pub fn has_subscribers_under(&self, literal: usize, topic: &str) -> bool {
        self.subs.any(trimmed(topic), literal)
    }

    /// Whether the pattern of any subscription begins with these segments, `*` meaning itself.
    ///
    /// Where it is false no alias under this prefix reaches anybody, so none need be made. (It may
    /// still be true for subscriptions ended during the event under way.)
    #[must_use]
    pub fn has_patterns_under(&self, prefix: &str) -> bool {
        self.subs.any_under(trimmed(prefix))
    }

    /// Has panics of listeners reported: the event and the panic's payload. Without it they are
    /// dropped, after the panic hook of the process has seen them. A panic of `reporter` itself is
    /// dropped likewise.
    pub fn on_panic(&mut self, reporter: impl FnMut(&Delivery<'_, P>, Box<dyn Any + Send>) + Send + 'static) {
        self.reporter = Some(Box::new(reporter));
    }

    /// How many events were dropped since the emitter was made, for want of room.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped + self.inbox.get().map_or(0, |inbox| inbox.dropped())
    }

    /// How many events were dropped since this was last asked.
    pub fn take_dropped(&mut self) -> u64 {
        let dropped = self.dropped();
        dropped - std::mem::replace(&mut self.told, dropped)
    }

    /// How many events are queued, those of other threads included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len() + self.inbox.get().map_or(0, |inbox| inbox.len())
    }

    /// Whether nothing is queued. If it is false after a dispatch, the budget was spent: dispatch
    /// again before waiting for anything else.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many subscriptions there are.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.subs.live()
    }

    /// How many nodes and distinct segments the patterns take. Both are 0 when nobody subscribes.
    #[doc(hidden)]
    #[must_use]
    pub fn trie_size(&self) -> (usize, usize) {
        self.subs.trie_size()
    }

    /// Drops the queue and all listeners, for good: receivers are disconnected, publishers told, later
    /// events dropped. Unlike everything else it takes effect at once, for the event under way
    /// too: no listener after the one that closes is called.
    pub fn close(&mut self) {
        self.closed = true;
        let queue = std::mem::replace(&mut self.queue, Queue::new(0));
        self.topics = Topics::default();
        let listeners = self.subs.clear();
        if let Some(inbox) = self.inbox.get() {
            inbox.close();
        }
        drop((queue, listeners));
    }

    /// Whether [`close`](Self::close) was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

impl<P, C> Default for EventEmitter<P, C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P, C> Drop for EventEmitter<P, C> {
    fn drop(&mut self) {
        // Receivers are told by their senders, which go with the listeners.
        if let Some(inbox) = self.inbox.get() {
            inbox.close();
        }
    }
}

impl<P, C> fmt::Debug for EventEmitter<P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventEmitter")
            .field("subscriptions", &self.subscriptions())
            .field("topics", &self.topics.len())
            .field("queued", &self.len())
            .field("dropped", &self.dropped())
            .field("closed", &self.closed)
            .finish()
    }
}

const _: () = {
    const fn assert_send<T: Send>() {}
    assert_send::<EventEmitter<std::cell::Cell<u8>, *const u8>>();
};
