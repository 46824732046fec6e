//! Closures of the embedder's that the loop calls: periodic, delayed, and for a descriptor.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::{Cx, Owner, Supervisor};
use crate::event_loop::{Readiness, TimerId};

/// The handle of a closure; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClosureId(u64);

pub(super) enum Work {
    Every { period: Duration, f: Box<dyn FnMut(&mut Cx<'_>) + Send> },
    After { delay: Duration, f: Box<dyn FnOnce(&mut Cx<'_>) + Send> },
    Watch { f: Box<dyn FnMut(&mut Cx<'_>, Readiness) + Send> },
}

/// A closure that is being called is out of its slot; `remove` meanwhile takes the slot away.
#[derive(Default)]
pub(super) struct Closures {
    last: u64,
    slots: HashMap<ClosureId, Slot>,
}

struct Slot {
    timer: Option<TimerId>,
    work: Option<Work>,
}

impl fmt::Debug for Closures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} closures", self.slots.len())
    }
}

impl Supervisor {
    pub(super) fn next_closure(&mut self) -> ClosureId {
        self.closures.last += 1;
        ClosureId(self.closures.last)
    }

    pub(super) fn add_work(&mut self, work: Work) -> ClosureId {
        let id = self.next_closure();
        self.put_work(id, work);
        id
    }

    pub(super) fn put_work(&mut self, id: ClosureId, work: Work) {
        let timer = match &work {
            Work::Every { period: wait, .. } | Work::After { delay: wait, .. } => {
                // A time beyond the clock's end is never.
                Instant::now().checked_add(*wait).map(|at| self.io.set_timer(at, Owner::Closure(id)))
            }
            Work::Watch { .. } => None,
        };
        self.closures.slots.insert(id, Slot { timer, work: Some(work) });
    }

    pub(super) fn remove_work(&mut self, id: ClosureId) -> bool {
        let Some(slot) = self.closures.slots.remove(&id) else { return false };
        if let Some(timer) = slot.timer {
            self.io.cancel_timer(timer);
        }
        true
    }
}

/// Calls a closure because its timer has expired (`ready` is `None`) or its source is ready.
///
/// A closure that panics is removed: a source that nobody serves would keep the loop spinning.
pub(super) fn call(cx: &mut Cx<'_>, id: ClosureId, ready: Option<Readiness>) {
    let Some(work) = cx.closures.slots.get_mut(&id).and_then(|slot| slot.work.take()) else { return };
    let mut lent = cx.lend(Owner::Nobody);
    let outcome = catch_unwind(AssertUnwindSafe(|| match (work, ready) {
        (Work::Every { period, mut f }, None) => {
            f(&mut lent);
            Some(Work::Every { period, f })
        }
        (Work::After { f, .. }, None) => {
            f(&mut lent);
            None
        }
        (Work::Watch { mut f }, Some(ready)) => {
            f(&mut lent, ready);
            Some(Work::Watch { f })
        }
        (work, _) => Some(work),
    }));
    match outcome {
        Ok(Some(work)) => {
            // It may have removed itself; then its slot is gone and it ends here.
            if cx.closures.slots.contains_key(&id) {
                cx.supervisor.put_work(id, work);
            }
        }
        Ok(None) => drop(cx.closures.slots.remove(&id)),
        Err(panic) => {
            cx.closures.slots.remove(&id);
            cx.fault("closure", &super::panic_message(&*panic));
        }
    }
}
