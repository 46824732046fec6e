//! Delivery.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::emitter::{Delivery, EventEmitter, Listener};
use super::queue::Name;
use super::subscriptions::SubscriptionId;

/// The listener that runs, where a panic does not lose it.
struct Running<P, C> {
    id: Option<SubscriptionId>,
    listener: Option<Listener<P, C>>,
}

impl<P, C> EventEmitter<P, C> {
    /// Delivers what is queued, and what listeners and other threads publish meanwhile, up to
    /// `max_size` events; returns how many events it took from the queue.
    ///
    /// Called by a listener it does nothing and returns 0: the round under way goes on.
    pub fn dispatch(&mut self, cx: &mut C) -> usize {
        self.dispatch_budget(cx, self.queue.max())
    }

    /// As [`dispatch`](Self::dispatch), up to `budget` events.
    pub fn dispatch_budget(&mut self, cx: &mut C, budget: usize) -> usize {
        if self.dispatching {
            return 0;
        }
        self.dispatching = true;
        // Listeners are caught one by one; what is left to unwind is the drop of a payload.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.round(cx, budget)));
        self.dispatching = false;
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn round(&mut self, cx: &mut C, budget: usize) -> usize {
        let mut taken = 0;
        self.collect();
        self.bury_all();
        while taken < budget {
            if self.queue.is_empty() {
                self.collect();
            }
            let mut topic = mem::take(&mut self.topic);
            let Some(event) = self.queue.pop(&mut topic) else {
                self.topic = topic;
                break;
            };
            taken += 1;
            match event.name {
                Name::Text { literal, .. } => self.route.start(&self.subs, &topic, literal),
                Name::Topic(index) => self.start_known(index, &mut topic),
            }
            self.deliver(cx, &topic, &event.payload);
            self.topic = topic;
        }
        self.bury_all();
        taken
    }

    /// Starts the route of a topic of ours from what is remembered of it, which is brought up to date.
    #[inline]
    fn start_known(&mut self, index: u32, text: &mut String) {
        let known = self.topics.at(index).expect("a topic is kept while events refer to it");
        known.queued -= 1;
        text.push_str(&known.name.text);
        if known.version == self.subs.version() {
            self.route.start_known(&self.subs, &known.nodes);
        } else {
            self.route.start(&self.subs, text, known.name.literal);
            self.route.ahead(&self.subs, &mut known.nodes);
            known.version = self.subs.version();
        }
    }

    #[inline]
    fn deliver(&mut self, cx: &mut C, topic: &str, payload: &P) {
        let mut running = Running { id: None, listener: None };
        // One landing place for the whole route: the route stands behind the listener that runs, so
        // after a panic we go on where we were.
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.follow(cx, topic, payload, &mut running))) {
            self.recover(&mut running, topic, payload, panic);
        }
        while let Some((id, listener)) = self.subs.bury() {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(listener))) {
                self.report(&Delivery { topic, payload, subscription: id }, panic);
            }
        }
    }

    /// Calls the listeners ahead. Each is taken out of its slot for the call and put back after.
    #[inline]
    fn follow(&mut self, cx: &mut C, topic: &str, payload: &P, running: &mut Running<P, C>) {
        while !self.closed {
            let Some(slot) = self.route.next(&self.subs) else { break };
            let Some((id, listener)) = self.subs.lend(slot) else { continue };
            running.id = Some(id);
            running.listener.insert(listener)(self, cx, &Delivery { topic, payload, subscription: id });
            if let Some(listener) = running.listener.take() {
                drop(self.subs.give_back(id, listener));
            }
        }
    }

    #[cold]
    fn recover(&mut self, running: &mut Running<P, C>, topic: &str, payload: &P, panic: Box<dyn Any + Send>) {
        let Some(subscription) = running.id else { return };
        let orphan = running.listener.take().and_then(|listener| self.subs.give_back(subscription, listener));
        let delivery = Delivery { topic, payload, subscription };
        self.report(&delivery, panic);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(orphan))) {
            self.report(&delivery, panic);
        }
    }

    #[cold]
    fn report(&mut self, delivery: &Delivery<'_, P>, panic: Box<dyn Any + Send>) {
        let reporter = &mut self.reporter;
        // What panics here again has been through the panic hook as well; there is nobody else to tell.
        let _ = catch_unwind(AssertUnwindSafe(|| match reporter {
            Some(reporter) => reporter(delivery, panic),
            None => drop(panic),
        }));
    }
}
