//! Who wants to know that keys or users have changed.

use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use super::{Inner, lock};

type Watcher = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
pub(super) struct Watchers(Mutex<All>);

#[derive(Default)]
struct All {
    last: u64,
    watchers: Vec<(u64, Watcher)>,
}

impl Watchers {
    /// Calls all of them, holding nothing meanwhile.
    pub(super) fn tell(&self) {
        let all: Vec<Watcher> = lock(&self.0).watchers.iter().map(|(_, watcher)| Arc::clone(watcher)).collect();
        all.iter().for_each(|watcher| watcher());
    }
}

/// Has a closure called as long as it is there, see [`Access::on_change`](super::Access::on_change).
pub struct Watch {
    inner: Weak<Inner>,
    number: u64,
}

impl Watch {
    pub(super) fn new(inner: &Arc<Inner>, watcher: Watcher) -> Self {
        let mut all = lock(&inner.watchers.0);
        all.last += 1;
        let number = all.last;
        all.watchers.push((number, watcher));
        Self { inner: Arc::downgrade(inner), number }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            lock(&inner.watchers.0).watchers.retain(|(number, _)| *number != self.number);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({})", self.number)
    }
}
