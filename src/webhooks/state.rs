//! What is to be posted where, and when: a pure state machine, with the time as an argument.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::check::shown;
use super::{Counters, Hook, HookId, Notice, Settings};
use crate::process::Event;
use crate::process::topics::{Pattern, topics};

/// One event for one URL.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) event: Arc<Event>,
    /// The name of the event that was asked for.
    pub(super) topic: String,
}

/// A URL that somebody has hooked.
#[derive(Debug)]
struct Target {
    /// Never used twice: a URL that goes and comes back is another one.
    id: u64,
    url: Arc<str>,
    waiting: VecDeque<Post>,
    /// One is on its way; it is not among those that wait.
    busy: bool,
    /// How often the first one was tried.
    tries: u32,
    /// How often a try has failed since the last that did not.
    failures: u32,
    /// What was given up or dropped since the last success.
    lost: u64,
    /// No try before.
    due: Instant,
    counters: Counters,
    last_error: Option<String>,
}

#[derive(Debug)]
struct Entry {
    id: HookId,
    event: String,
    pattern: Pattern,
    target: u64,
}

/// What the worker is to do.
#[derive(Debug)]
pub(super) enum Next {
    /// Post this, and say how that went.
    Post { target: u64, url: Arc<str>, post: Post },
    /// Nothing until then, or until something is added.
    Wait(Option<Instant>),
    /// All is done that can be done in time.
    End,
}

/// Hooks, and what waits for their URLs.
#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    last: u64,
    hooks: Vec<Entry>,
    targets: Vec<Target>,
    /// Of URLs that are not hooked any more.
    gone: Counters,
    /// The manager ends; nothing is tried after this moment.
    closing: Option<Instant>,
}

impl State {
    pub(super) fn new(settings: Settings) -> Self {
        let (hooks, targets, gone) = (Vec::new(), Vec::new(), Counters::default());
        Self { settings, last: 0, hooks, targets, gone, closing: None }
    }

    fn next_id(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn len(&self) -> usize {
        self.hooks.len()
    }

    /// Adds a hook; the same one twice is one.
    pub(super) fn register(&mut self, event: &str, url: &str, now: Instant) -> HookId {
        if let Some(id) = self.find(event, url) {
            return id;
        }
        let target = match self.targets.iter().find(|target| *target.url == *url) {
            Some(target) => target.id,
            None => {
                let id = self.next_id();
                self.targets.push(Target {
                    id,
                    url: url.into(),
                    waiting: VecDeque::new(),
                    busy: false,
                    tries: 0,
                    failures: 0,
                    lost: 0,
                    due: now,
                    counters: Counters::default(),
                    last_error: None,
                });
                id
            }
        };
        let id = HookId(self.next_id());
        self.hooks.push(Entry { id, event: event.to_owned(), pattern: Pattern::new(event), target });
        id
    }

    pub(super) fn find(&self, event: &str, url: &str) -> Option<HookId> {
        let target = self.targets.iter().find(|target| *target.url == *url)?.id;
        self.hooks.iter().find(|hook| hook.event == event && hook.target == target).map(|hook| hook.id)
    }

    /// Removes a hook. With the last one of its URL goes what waits there, counted as dropped.
    pub(super) fn unregister(&mut self, id: HookId) -> bool {
        let Some(at) = self.hooks.iter().position(|hook| hook.id == id) else { return false };
        let target = self.hooks.remove(at).target;
        if self.hooks.iter().all(|hook| hook.target != target) {
            if let Some(at) = self.targets.iter().position(|t| t.id == target) {
                let mut removed = self.targets.remove(at);
                removed.counters.dropped += removed.waiting.len() as u64;
                self.gone.add(&removed.counters);
            }
        }
        true
    }

    /// Other settings; what waits beyond a smaller queue is dropped, and a pause that would be shorter now is.
    pub(super) fn configure(&mut self, settings: Settings, now: Instant) {
        self.settings = settings;
        for target in &mut self.targets {
            if let Some(due) = now.checked_add(self.settings.pause_after(target.failures)) {
                target.due = target.due.min(due);
            }
            while target.waiting.len() > self.settings.queue {
                target.drop_oldest();
            }
        }
    }

    /// Adds an event for every URL that wants it, once for each; whether one does. The notices are of queues that begin to overflow.
    pub(super) fn offer(&mut self, event: &Arc<Event>, notices: &mut Vec<Notice>) -> bool {
        let mut any = false;
        let names = topics(event);
        for target in &mut self.targets {
            let wants = |pattern: &Pattern| names.iter().position(|topic| pattern.matches(topic));
            let ours = self.hooks.iter().filter(|hook| hook.target == target.id);
            let Some(first) = ours.filter_map(|hook| wants(&hook.pattern)).min() else { continue };
            any = true;
            if self.settings.queue == 0 {
                target.lose();
                continue;
            }
            if target.waiting.len() >= self.settings.queue && !target.drop_oldest() {
                notices.push(Notice::Overflow { url: shown(&target.url), queue: self.settings.queue });
            }
            target.waiting.push_back(Post { event: Arc::clone(event), topic: names[first].name.clone() });
        }
        any
    }

    /// The URL that is due first has its turn.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let closing = self.closing;
        let idle = self.targets.iter_mut().filter(|target| !target.busy && !target.waiting.is_empty());
        let Some(target) = idle.min_by_key(|target| target.due) else {
            return if closing.is_some() { Next::End } else { Next::Wait(None) };
        };
        if closing.is_some_and(|end| target.due.max(now) >= end) {
            return Next::End;
        }
        if target.due > now {
            return Next::Wait(Some(target.due));
        }
        match target.waiting.pop_front() {
            Some(post) => {
                target.busy = true;
                Next::Post { target: target.id, url: Arc::clone(&target.url), post }
            }
            None => Next::Wait(None),
        }
    }

    /// What became of a try.
    pub(super) fn done(&mut self, id: u64, post: Post, outcome: Result<(), String>, now: Instant) -> Option<Notice> {
        let settings = &self.settings;
        let Some(target) = self.targets.iter_mut().find(|target| target.id == id) else {
            // Its URL is not hooked any more.
            match outcome {
                Ok(()) => self.gone.sent += 1,
                Err(_) => self.gone.failed += 1,
            }
            return None;
        };
        target.busy = false;
        match outcome {
            Ok(()) => {
                let was_down = std::mem::take(&mut target.failures) > 0 || target.lost > 0;
                target.tries = 0;
                target.due = now;
                target.counters.sent += 1;
                target.last_error = None;
                let lost = std::mem::take(&mut target.lost);
                was_down.then(|| Notice::Recovered { url: shown(&target.url), lost })
            }
            Err(why) => {
                target.failures = target.failures.saturating_add(1);
                target.tries += 1;
                // A time beyond the clock's end is never, and the longest pause is one that is.
                target.due = now.checked_add(settings.pause_after(target.failures)).unwrap_or(now);
                target.last_error = Some(why.clone());
                if target.tries < settings.tries {
                    target.counters.retried += 1;
                    if target.waiting.len() < settings.queue {
                        target.waiting.push_front(post);
                    } else {
                        // It is the oldest, and there is no room for it any more.
                        target.lose();
                    }
                    return None;
                }
                let (tries, event) = (std::mem::take(&mut target.tries), post.event.what.name());
                target.counters.failed += 1;
                target.lost += 1;
                Some(Notice::GaveUp { url: shown(&target.url), event, tries, why })
            }
        }
    }

    /// Nothing is tried after `end`.
    pub(super) fn close(&mut self, end: Instant) {
        self.closing = Some(end);
    }

    pub(super) const fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// What waits or is on its way.
    pub(super) fn left(&self) -> u64 {
        self.targets.iter().map(Target::queued).sum()
    }

    pub(super) fn counters(&self) -> Counters {
        let mut all = self.gone;
        for target in &self.targets {
            all.add(&Counters { queued: target.queued(), ..target.counters });
        }
        all
    }

    pub(super) fn list(&self) -> Vec<Hook> {
        let hook = |entry: &Entry| {
            let target = self.targets.iter().find(|target| target.id == entry.target)?;
            Some(Hook {
                id: entry.id,
                event: entry.event.clone(),
                url: target.url.to_string(),
                counters: Counters { queued: target.queued(), ..target.counters },
                last_error: target.last_error.clone(),
            })
        };
        self.hooks.iter().filter_map(hook).collect()
    }
}

impl Target {
    fn queued(&self) -> u64 {
        self.waiting.len() as u64 + u64::from(self.busy)
    }

    /// Drops the oldest of those that wait; whether something was lost since the last success already.
    fn drop_oldest(&mut self) -> bool {
        let known = self.lost > 0;
        if self.waiting.pop_front().is_some() {
            self.lose();
        }
        known
    }

    /// The oldest is lost, and the next one has all its tries.
    fn lose(&mut self) {
        self.counters.dropped += 1;
        self.lost += 1;
        if !self.busy {
            self.tries = 0;
        }
    }
}

#[cfg(test)]
mod tests;
