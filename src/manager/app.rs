//! What extends a manager from inside its loop.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{Cx, Flow, Owner, StreamChunk, TapId, panic_message};
use crate::Result;
use crate::event_loop::{Readiness, SourceId, TimerId};
use crate::process::Event;

/// An application: a part of the program that lives in the manager's loop and may use everything
/// the [context](Cx) lends it.
///
/// Every method runs on the loop's thread and must not block. An app owns its sources; readiness
/// and timers it asked for through its `Cx` come back to it. An app that panics is dropped, with
/// all its sources, and a [`fault`](crate::process::What::Fault) event says so; supervision goes on.
///
/// See `examples/custom_app.rs` for one that serves a socket.
#[allow(unused_variables)]
pub trait App: Send {
    /// A name for messages. Default: the type's.
    fn name(&self) -> &str {
        std::any::type_name::<Self>()
    }

    /// The manager starts, or the app was added to one that runs.
    ///
    /// # Errors
    ///
    /// An app that cannot start is dropped and a `fault` event carries its reason.
    fn start(&mut self, cx: &mut Cx<'_>) -> Result<()>;

    /// A source that the app registered is ready.
    fn ready(&mut self, cx: &mut Cx<'_>, id: SourceId, ready: Readiness) {}

    /// A timer that the app set has expired.
    fn timeout(&mut self, cx: &mut Cx<'_>, id: TimerId) {}

    /// Output of a stream that the app [taps](Cx::tap_to_app).
    fn output(&mut self, cx: &mut Cx<'_>, tap: TapId, chunk: &StreamChunk<'_>) -> Flow {
        Flow::Continue
    }

    /// Something happened to a job or process. Called once for each event, in order.
    fn event(&mut self, cx: &mut Cx<'_>, event: &Arc<Event>) {}

    /// A message that a closure of the app's has [sent](Cx::mail) it, in the order of sending.
    fn mail(&mut self, cx: &mut Cx<'_>, message: Box<dyn Any + Send>) {}

    /// The last child is gone and the manager ends. Apps are stopped in reverse order.
    fn stop(&mut self, cx: &mut Cx<'_>) {}

    /// The manager restarts (SIGHUP of a daemon): look at your configuration again. Called before the
    /// jobs are restarted.
    fn restart(&mut self, cx: &mut Cx<'_>) {}
}

/// An app's number within its manager; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AppId(pub(super) u32);

/// The apps in order of their addition. One that is being called is out of its slot meanwhile.
#[derive(Default)]
pub(super) struct Apps {
    last: u32,
    slots: Vec<Slot>,
}

struct Slot {
    id: AppId,
    started: bool,
    app: Option<Box<dyn App>>,
}

impl Apps {
    pub(super) fn add(&mut self, app: Box<dyn App>) -> AppId {
        self.last += 1;
        let id = AppId(self.last);
        self.slots.push(Slot { id, started: false, app: Some(app) });
        id
    }

    pub(super) fn remove(&mut self, id: AppId) -> bool {
        let before = self.slots.len();
        self.slots.retain(|slot| slot.id != id);
        self.slots.len() < before
    }

    /// The apps that have been started, in order.
    pub(super) fn ids(&self) -> Vec<AppId> {
        self.slots.iter().filter(|slot| slot.started).map(|slot| slot.id).collect()
    }

    pub(super) fn has_new(&self) -> bool {
        self.slots.iter().any(|slot| !slot.started)
    }

    /// Takes an app out of its slot to call it; [`put_back`](Self::put_back) follows.
    pub(super) fn take(&mut self, id: AppId) -> Option<Box<dyn App>> {
        self.slots.iter_mut().find(|slot| slot.id == id)?.app.take()
    }

    pub(super) fn put_back(&mut self, id: AppId, app: Box<dyn App>) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.id == id) {
            slot.app = Some(app);
        }
    }

    /// The first app that was added and not started yet; it counts as started from now on.
    pub(super) fn next_to_start(&mut self) -> Option<AppId> {
        let slot = self.slots.iter_mut().find(|slot| !slot.started)?;
        slot.started = true;
        Some(slot.id)
    }
}

impl Cx<'_> {
    /// Calls an app with everything but itself; `None` if it is gone or busy. One that panics is dropped.
    pub(super) fn with_app<R>(&mut self, id: AppId, f: impl FnOnce(&mut dyn App, &mut Cx<'_>) -> R) -> Option<R> {
        let mut app = self.apps.take(id)?;
        let mut cx = self.lend(Owner::App(id));
        match catch_unwind(AssertUnwindSafe(|| f(&mut *app, &mut cx))) {
            Ok(answer) => {
                self.apps.put_back(id, app);
                Some(answer)
            }
            Err(panic) => {
                let name = app.name().to_owned();
                self.fault(&name, &format!("it panicked and was dropped: {}", panic_message(&*panic)));
                self.remove_app(id);
                // Its Drop may panic too; the app is lost either way.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(app)));
                None
            }
        }
    }

    /// Calls every app that has been started, in order.
    pub(super) fn each_app(&mut self, mut f: impl FnMut(&mut dyn App, &mut Cx<'_>)) {
        // By number: any of them may be removed meanwhile.
        let mut last = 0;
        while let Some(slot) = self.apps.slots.iter().find(|slot| slot.started && slot.id.0 > last) {
            let id = slot.id;
            last = id.0;
            self.with_app(id, &mut f);
        }
    }
}

impl fmt::Debug for Apps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.slots.iter().map(|slot| slot.app.as_ref().map_or("(running)", |app| app.name())))
            .finish()
    }
}
