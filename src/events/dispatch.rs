//! Delivery.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use super::emitter::{Delivery, EventEmitter, Listener};
use super::queue::Name;
use super::recent::Recent;
use super::subscriptions::{JOINED, Listeners, Seat, SubscriptionId, Subscriptions};
use super::topic;
use super::trie::{Nodes, number};

/// Buffers of the delivery under way, kept from event to event.
pub(super) struct Route<L> {
    /// The nodes the event goes to.
    plan: Vec<u32>,
    /// What the walk passes.
    seen: Nodes,
    /// The lists of a level with several patterns, and their subscriptions in order.
    lent: Vec<(u32, Listeners<L>)>,
    order: Vec<(u64, u32, u32)>,
    recent: Recent,
}

impl<L> Route<L> {
    pub(super) fn new() -> Self {
        Self { plan: Vec::new(), seen: Nodes::new(), lent: Vec::new(), order: Vec::new(), recent: Recent::new() }
    }

    #[inline]
    fn plan_text(&mut self, subs: &Subscriptions<L>, topic: &str, literal: usize) {
        let Self { plan, seen, recent, .. } = self;
        let place = recent.place(topic);
        match recent.get(place, topic, literal, subs.version()) {
            Some(nodes) => copy(nodes, plan),
            None => {
                subs.plan(topic, literal, seen, plan);
                recent.put(place, topic, literal, subs.version(), plan);
            }
        }
    }
}

/// Copies a plan. They are short: a call of `memcpy` costs more than the few words.
#[inline]
fn copy(from: &[u32], to: &mut Vec<u32>) {
    to.clear();
    for &node in from {
        to.push(node);
    }
}

/// One event on its way.
struct Event<'a, P> {
    /// As it is lent to the listener that runs, or ran last.
    delivery: Delivery<'a, P>,
    /// Subscriptions with this number or a greater one came later than the event was taken.
    limit: u64,
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
        if self.dispatching || self.is_quiet() {
            return 0;
        }
        self.dispatching = true;
        // Listeners are caught by themselves; what is left to unwind is the drop of a payload.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.round(cx, budget)));
        self.dispatching = false;
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Whether a round would find nothing to do, as most do.
    fn is_quiet(&self) -> bool {
        self.queue.is_empty() && !self.has_mail() && !self.subs.has_retired()
    }

    fn round(&mut self, cx: &mut C, budget: usize) -> usize {
        let mut topic = mem::take(&mut self.topic);
        let mut taken = 0;
        self.collect(&mut topic);
        self.bury_all();
        while taken < budget {
            if self.queue.is_empty() {
                self.collect(&mut topic);
            }
            // The topic is read where it lies: to read it just after it was copied would wait for the copy.
            if let Some((text, literal)) = self.queue.peek_text() {
                self.route.plan_text(&self.subs, text, literal);
            }
            let Some(event) = self.queue.pop(&mut topic) else { break };
            taken += 1;
            match event.name {
                Name::Text { .. } => self.deliver(cx, &topic, &event.payload),
                Name::Topic(index) => {
                    let Some(name) = self.plan_known(index) else { continue };
                    self.deliver(cx, &name.text, &event.payload);
                    if let Some(known) = self.topics.at(index) {
                        known.name = Some(name);
                    }
                }
            }
        }
        self.bury_all();
        self.topic = topic;
        taken
    }

    /// Takes the topic's name out, for the time of the delivery.
    #[inline]
    fn plan_known(&mut self, index: u32) -> Option<Arc<topic::Name>> {
        let known = self.topics.at(index)?;
        known.queued -= 1;
        let name = known.name.take()?;
        let Route { plan, seen, .. } = &mut self.route;
        if known.version != self.subs.version() {
            self.subs.plan(&name.text, name.literal, seen, &mut known.plan);
            known.version = self.subs.version();
        }
        copy(&known.plan, plan);
        Some(name)
    }

    fn deliver(&mut self, cx: &mut C, topic: &str, payload: &P) {
        let delivery = Delivery { topic, payload, subscription: SubscriptionId::NONE };
        let mut event = Event { delivery, limit: self.subs.next_seq() };
        let mut at = 0;
        while self.is_delivering() {
            let Some(&node) = self.route.plan.get(at) else { break };
            at += 1;
            let joined = self.route.plan[at..].iter().take_while(|&&node| node & JOINED != 0).count();
            if joined == 0 {
                self.deliver_one(cx, &mut event, node);
            } else {
                self.deliver_merged(cx, &mut event, at - 1..at + joined);
                at += joined;
            }
        }
        if !self.subs.has_retired() {
            return;
        }
        while let Some((id, listener)) = self.subs.bury() {
            event.delivery.subscription = id;
            self.discard(&event, listener);
        }
    }

    /// False once a listener has closed the emitter, or put another in its place.
    #[inline]
    fn is_delivering(&self) -> bool {
        self.dispatching && !self.closed
    }

    /// Calls the listeners of one pattern.
    #[inline]
    fn deliver_one(&mut self, cx: &mut C, event: &mut Event<'_, P>, node: u32) {
        let Some(mut listeners) = self.subs.lend(node) else { return };
        let mut at = 0;
        // One landing place for the whole list: after a panic it goes on where it was.
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| {
            for Seat { entry, listener } in listeners.iter_mut().skip(at) {
                at += 1;
                let Some(listener) = listener else { continue };
                if entry.seq() >= event.limit {
                    break;
                }
                self.call(cx, event, entry.id(node), entry.is_once(), listener);
                if !self.is_delivering() {
                    break;
                }
            }
        })) {
            self.report(event, panic);
            if !self.is_delivering() {
                break;
            }
        }
        self.give_back(event, node, listeners);
    }

    /// Calls the listeners of several patterns of one length, in order of subscription.
    fn deliver_merged(&mut self, cx: &mut C, event: &mut Event<'_, P>, nodes: std::ops::Range<usize>) {
        let mut lent = mem::take(&mut self.route.lent);
        let mut order = mem::take(&mut self.route.order);
        for &node in &self.route.plan[nodes] {
            let node = node & !JOINED;
            let Some(listeners) = self.subs.lend(node) else { continue };
            let early = listeners.iter().take_while(|seat| seat.entry.seq() < event.limit);
            for (index, seat) in early.enumerate().filter(|(_, seat)| seat.listener.is_some()) {
                order.push((seat.entry.seq(), number(lent.len()), number(index)));
            }
            lent.push((node, listeners));
        }
        // Sorting in place allocates nothing.
        order.sort_unstable();
        let mut at = 0;
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| {
            while let Some(&(_, list, index)) = order.get(at) {
                at += 1;
                let (node, listeners) = &mut lent[list as usize];
                let Seat { entry, listener } = &mut listeners[index as usize];
                let Some(listener) = listener else { continue };
                self.call(cx, event, entry.id(*node), entry.is_once(), listener);
                if !self.is_delivering() {
                    break;
                }
            }
        })) {
            self.report(event, panic);
            if !self.is_delivering() {
                break;
            }
        }
        for (node, listeners) in lent.drain(..) {
            self.give_back(event, node, listeners);
        }
        order.clear();
        (self.route.lent, self.route.order) = (lent, order);
    }

    #[inline]
    fn call(
        &mut self,
        cx: &mut C,
        event: &mut Event<'_, P>,
        id: SubscriptionId,
        once: bool,
        listener: &mut Listener<P, C>,
    ) {
        event.delivery.subscription = id;
        if once {
            self.subs.retire(id);
        }
        listener(self, cx, &event.delivery);
    }

    #[inline]
    fn give_back(&mut self, event: &Event<'_, P>, node: u32, listeners: Listeners<Listener<P, C>>) {
        let orphans = if self.is_delivering() { self.subs.give_back(node, listeners) } else { Some(listeners) };
        if let Some(orphans) = orphans {
            self.discard(event, orphans);
        }
    }

    /// Drops a listener's state, which is foreign code.
    fn discard<T>(&mut self, event: &Event<'_, P>, listeners: T) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(listeners))) {
            self.report(event, panic);
        }
    }

    #[cold]
    fn report(&mut self, event: &Event<'_, P>, panic: Box<dyn Any + Send>) {
        let reporter = &mut self.reporter;
        // What panics here again has been through the panic hook as well; there is nobody else to tell.
        let _ = catch_unwind(AssertUnwindSafe(|| match reporter {
            Some(reporter) => reporter(&event.delivery, panic),
            None => drop(panic),
        }));
    }
}
