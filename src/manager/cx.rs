//! What is lent to whoever runs inside the loop.

use std::any::Any;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::closures::{ClosureId, Work};
use super::streams::{Flow, Receiver as Tap, StreamChunk, StreamSelector, TapId};
use super::{AppId, Emitter, Owner, Supervisor};
use crate::Result;
use crate::event_loop::{Interest, Readiness, Source, TimerId};
use crate::events::{Receiver, SubscriptionId};
use crate::process::Event;

/// The manager's state, lent for one call.
///
/// Dereferences to the [`Supervisor`], which has every operation on jobs and processes; what is
/// here beside them subscribes to events and adds to the loop. Nothing here blocks.
pub struct Cx<'a> {
    pub(super) supervisor: &'a mut Supervisor,
    pub(super) events: &'a mut Emitter,
    pub(super) owner: Owner,
}

impl Cx<'_> {
    /// Calls `listener` with the topic and the event for every event that matches `pattern`.
    ///
    /// Patterns are those of [`EventEmitter`](crate::events::EventEmitter): `.` for all, `exit`,
    /// `proc.web`, `proc.*.exit`. Each event is published under its own name and, right after,
    /// under `proc.<name>.<event>`.
    pub fn on(
        &mut self,
        pattern: &str,
        mut listener: impl FnMut(&mut Cx<'_>, &str, &Arc<Event>) + Send + 'static,
    ) -> SubscriptionId {
        self.events.subscribe(pattern, move |events, supervisor, delivery| {
            listener(&mut Cx { supervisor, events, owner: Owner::Nobody }, delivery.topic, delivery.payload);
        })
    }

    /// Like [`on`](Self::on), for the first matching event only.
    pub fn once(
        &mut self,
        pattern: &str,
        listener: impl FnOnce(&mut Cx<'_>, &str, &Arc<Event>) + Send + 'static,
    ) -> SubscriptionId {
        let mut listener = Some(listener);
        self.events.subscribe_once(pattern, move |events, supervisor, delivery| {
            if let Some(listener) = listener.take() {
                listener(&mut Cx { supervisor, events, owner: Owner::Nobody }, delivery.topic, delivery.payload);
            }
        })
    }

    /// Ends a subscription; false if it had ended already.
    pub fn unsubscribe(&mut self, id: SubscriptionId) -> bool {
        self.events.unsubscribe(id)
    }

    /// A subscription for another thread: at most `capacity` events wait in it, then the oldest are
    /// dropped and counted. It ends with the receiver.
    pub fn subscribe(&mut self, pattern: &str, capacity: usize) -> Receiver<Arc<Event>> {
        self.events.channel(pattern, capacity)
    }

    /// The emitter itself.
    pub fn events(&mut self) -> &mut Emitter {
        self.events
    }

    /// Registers a source. For an app its readiness arrives in [`App::ready`](super::App::ready); elsewhere use
    /// [`watch`](Self::watch).
    ///
    /// # Errors
    ///
    /// The poller refuses the descriptor, e.g. a regular file.
    pub fn register<F: AsFd>(&mut self, fd: F, interest: Interest) -> Result<Source<F>> {
        Ok(self.supervisor.io.register(fd, interest, self.owner)?)
    }

    /// Sets a timer. For an app it arrives in [`App::timeout`](super::App::timeout); elsewhere use [`after`](Self::after).
    pub fn set_timer(&mut self, at: Instant) -> TimerId {
        self.supervisor.io.set_timer(at, self.owner)
    }

    /// Takes a timer back; false if it has expired.
    pub fn cancel_timer(&mut self, id: TimerId) -> bool {
        self.supervisor.io.cancel_timer(id)
    }

    /// Calls `f` every `period` until it is [removed](Self::remove).
    ///
    /// A turn that comes late does not cause a burst: the next call is one period after the last.
    pub fn every(&mut self, period: Duration, f: impl FnMut(&mut Cx<'_>) + Send + 'static) -> ClosureId {
        self.supervisor.add_work(Work::Every { period, f: Box::new(f) })
    }

    /// Calls `f` once, after `delay`.
    pub fn after(&mut self, delay: Duration, f: impl FnOnce(&mut Cx<'_>) + Send + 'static) -> ClosureId {
        self.supervisor.add_work(Work::After { delay, f: Box::new(f) })
    }

    /// Owns `fd` and calls `f` whenever it is ready, until it is [removed](Self::remove).
    ///
    /// The source is level-triggered: take what is there, or `f` is called again at once.
    ///
    /// # Errors
    ///
    /// The poller refuses the descriptor, e.g. a regular file.
    pub fn watch<F: AsFd + Send + 'static>(
        &mut self,
        fd: F,
        interest: Interest,
        mut f: impl FnMut(&mut Cx<'_>, &mut Source<F>, Readiness) + Send + 'static,
    ) -> Result<ClosureId> {
        let id = self.supervisor.next_closure();
        let mut source = self.supervisor.io.register(fd, interest, Owner::Closure(id))?;
        self.supervisor.put_work(id, Work::Watch { f: Box::new(move |cx, ready| f(cx, &mut source, ready)) });
        Ok(id)
    }

    /// Removes what [`every`](Self::every), [`after`](Self::after) or [`watch`](Self::watch) added;
    /// false if it has ended.
    pub fn remove(&mut self, id: ClosureId) -> bool {
        self.supervisor.remove_work(id)
    }

    /// Calls `f` with the output of every stream that `which` selects, also of processes that start
    /// later, until it is [removed](Supervisor::untap).
    ///
    /// `f` gets the bytes as they come, then [`StreamData::End`](super::StreamData::End). If it
    /// answers [`Flow::Pause`], that stream is not read any more until
    /// [`resume`](Supervisor::resume): the child waits when its pipe is full. With several
    /// subscribers the slowest sets the pace.
    pub fn tap(
        &mut self,
        which: StreamSelector,
        f: impl FnMut(&mut Cx<'_>, &StreamChunk<'_>) -> Flow + Send + 'static,
    ) -> TapId {
        self.supervisor.add_tap(which, Tap::Closure(Some(Box::new(f))))
    }

    /// Brings the output of every stream that `which` selects to [`App::output`](super::App::output) of the app that asks;
    /// otherwise as [`tap`](Self::tap).
    pub fn tap_to_app(&mut self, which: StreamSelector) -> TapId {
        let owner = self.owner;
        self.supervisor.add_tap(which, Tap::App(owner))
    }

    /// The app that is being called, if one is.
    #[must_use]
    pub fn app_id(&self) -> Option<AppId> {
        match self.owner {
            Owner::App(id) => Some(id),
            _ => None,
        }
    }

    /// Sends an app a message, which arrives in its [`App::mail`](super::App::mail) within this turn.
    ///
    /// This is how a listener or monitor that an app has set up reaches its owner: closures cannot
    /// borrow the app, which is busy or away when they run.
    pub fn mail(&mut self, to: AppId, message: impl Any + Send) {
        self.supervisor.mail.push_back((to, Box::new(message)));
    }

    pub(super) fn lend(&mut self, owner: Owner) -> Cx<'_> {
        Cx { supervisor: self.supervisor, events: self.events, owner }
    }
}

impl Deref for Cx<'_> {
    type Target = Supervisor;

    fn deref(&self) -> &Supervisor {
        self.supervisor
    }
}

impl DerefMut for Cx<'_> {
    fn deref_mut(&mut self) -> &mut Supervisor {
        self.supervisor
    }
}

impl fmt::Debug for Cx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").field("supervisor", &self.supervisor).finish_non_exhaustive()
    }
}
