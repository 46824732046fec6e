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
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::process::{JobName, OsPid, Pid, What};

    fn event(pid: u64) -> Arc<Event> {
        let job = Arc::new(JobName::new("default", "web").expect("valid"));
        let what = What::Spawn { pid: Pid(pid), os_pid: OsPid(1), detach: false };
        Arc::new(Event::new(SystemTime::UNIX_EPOCH, Some(job), what))
    }

    fn number(post: &Post) -> u64 {
        post.event.what.pid().map_or(0, |pid| pid.0)
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn take(state: &mut State, now: Instant) -> (u64, Arc<str>, Post) {
        match state.next(now) {
            Next::Post { target, url, post } => (target, url, post),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_post_for_each_url_and_event() {
        let now = Instant::now();
        let mut state = State::new(Settings::default());
        for pattern in [".", "spawn", "proc.web"] {
            state.register(pattern, "http://a", now);
        }
        let job = state.register("job", "http://b", now);
        state.register("exit", "http://c", now);
        assert_eq!(state.register("job", "http://b", now), job, "the same is one");
        assert!(state.offer(&event(1), &mut Vec::new()));
        let (_, url, post) = take(&mut state, now);
        assert_eq!((&*url, &*post.topic), ("http://a", "spawn"));
        let (_, url, post) = take(&mut state, now);
        assert_eq!((&*url, &*post.topic), ("http://b", "job.default.web.spawn"));
        assert!(matches!(state.next(now), Next::Wait(None)));
        assert_eq!(state.left(), 2);
    }

    #[test]
    fn tries_pauses_and_order() {
        let start = Instant::now();
        let mut state = State::new(Settings::default());
        state.register(".", "http://a", start);
        state.register("spawn", "http://b", start);
        for n in 1..=2 {
            state.offer(&event(n), &mut Vec::new());
        }
        // The one that is due longest is first; b is not held up by the pauses of a.
        let (a, url, post) = take(&mut state, start);
        assert_eq!((&*url, number(&post)), ("http://a", 1));
        assert!(state.done(a, post, Err("no".to_owned()), start).is_none());
        for n in 1..=2 {
            let (b, url, post) = take(&mut state, start);
            assert_eq!((&*url, number(&post)), ("http://b", n));
            assert!(state.done(b, post, Ok(()), start).is_none());
        }
        let mut now = start;
        for pause in [1, 2] {
            match state.next(now) {
                Next::Wait(Some(due)) => assert_eq!(due - now, pause * SECOND),
                other => panic!("{other:?}"),
            }
            now += pause * SECOND;
            let (a, _, post) = take(&mut state, now);
            assert_eq!(number(&post), 1, "the order is kept");
            let notice = state.done(a, post, Err("no".to_owned()), now);
            assert_eq!(notice.is_some(), pause == 2, "given up after the third");
        }
        now += 4 * SECOND;
        let (a, _, post) = take(&mut state, now);
        assert_eq!(number(&post), 2);
        let notice = state.done(a, post, Ok(()), now);
        assert!(matches!(notice, Some(Notice::Recovered { lost: 1, .. })), "{notice:?}");
        let all = state.counters();
        assert_eq!((all.sent, all.failed, all.retried, all.dropped, all.queued), (3, 1, 2, 0, 0));
    }

    #[test]
    fn pauses_end_somewhere() {
        let settings = Settings::default();
        assert_eq!(settings.pause_after(1), SECOND);
        assert_eq!(settings.pause_after(6), 32 * SECOND);
        assert_eq!(settings.pause_after(7), 60 * SECOND);
        assert_eq!(settings.pause_after(u32::MAX), 60 * SECOND);
    }

    #[test]
    fn a_shorter_pause_is_one_at_once() {
        let now = Instant::now();
        let mut state = State::new(Settings::default().pause(60 * SECOND));
        state.register(".", "http://a", now);
        state.offer(&event(1), &mut Vec::new());
        let (a, _, post) = take(&mut state, now);
        state.done(a, post, Err("no".to_owned()), now);
        let waits_until = |state: &mut State, now: Instant| match state.next(now) {
            Next::Wait(until) => until.map(|at| at.duration_since(now)),
            other => panic!("{other:?}"),
        };
        assert_eq!(waits_until(&mut state, now), Some(60 * SECOND));
        state.configure(Settings::default().pause(2 * SECOND), now);
        assert_eq!(waits_until(&mut state, now), Some(2 * SECOND));
        state.configure(Settings::default().pause(30 * SECOND), now);
        assert_eq!(waits_until(&mut state, now), Some(2 * SECOND), "a longer one is for the next time");
    }

    #[test]
    fn the_oldest_is_dropped_and_counted() {
        let now = Instant::now();
        let mut state = State::new(Settings::default().queue(3));
        state.register(".", "http://a", now);
        let mut notices = Vec::new();
        state.offer(&event(1), &mut notices);
        let (a, _, first) = take(&mut state, now);
        for n in 2..=6 {
            state.offer(&event(n), &mut notices);
        }
        assert_eq!(notices.len(), 1, "told once: {notices:?}");
        assert_eq!((state.counters().dropped, state.counters().queued), (2, 4));
        // The one on its way has no place to come back to.
        assert!(state.done(a, first, Err("no".to_owned()), now).is_none());
        assert_eq!(state.counters().dropped, 3);
        let later = now + SECOND;
        let (a, _, post) = take(&mut state, later);
        assert_eq!(number(&post), 4);
        let notice = state.done(a, post, Ok(()), later);
        assert!(matches!(notice, Some(Notice::Recovered { lost: 3, .. })), "{notice:?}");
        state.configure(Settings::default().queue(1), later);
        let (_, _, post) = take(&mut state, later);
        assert_eq!((number(&post), state.counters().dropped), (6, 4));
    }

    #[test]
    fn urls_that_go_and_stay() {
        let now = Instant::now();
        let mut state = State::new(Settings::default());
        let one = state.register("spawn", "http://a", now);
        let two = state.register("proc", "http://a", now);
        state.offer(&event(1), &mut Vec::new());
        assert!(state.unregister(one));
        assert_eq!(state.left(), 1, "the URL is kept, and what waits there");
        let (a, _, post) = take(&mut state, now);
        state.offer(&event(2), &mut Vec::new());
        assert!(state.unregister(two) && !state.unregister(two));
        assert_eq!((state.left(), state.counters().dropped), (0, 1));
        assert!(state.done(a, post, Ok(()), now).is_none());
        assert_eq!(state.counters().sent, 1);
        state.offer(&event(3), &mut Vec::new());
        assert_eq!(state.left(), 0);
    }

    #[test]
    fn the_end_has_a_limit() {
        let now = Instant::now();
        let mut state = State::new(Settings::default());
        state.register("spawn", "http://a", now);
        state.offer(&event(1), &mut Vec::new());
        state.offer(&event(2), &mut Vec::new());
        state.close(now + SECOND);
        let (a, _, post) = take(&mut state, now);
        let _ = state.done(a, post, Err("no".to_owned()), now + SECOND / 2);
        assert!(matches!(state.next(now + SECOND / 2), Next::End), "its next try would be too late");
        assert_eq!(state.left(), 2);
    }

    /// Whatever happens: nothing is posted out of order, nothing is counted twice, and no queue outgrows its bound.
    #[test]
    fn random_lives() {
        let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64);
        let mut x = seed;
        let mut random = move |n: u64| {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = x;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) % n
        };
        let mut now = Instant::now();
        let mut state = State::new(Settings::default().queue(5));
        let urls = ["http://a", "http://b", "http://c"];
        for url in urls {
            state.register("spawn", url, now);
        }
        let (mut last, mut offered) = ([0; 3], 0);
        for _ in 0..20_000 {
            now += Duration::from_millis(random(700));
            if random(3) == 0 {
                offered += 1;
                state.offer(&event(offered), &mut Vec::new());
            } else if let Next::Post { target, url, post } = state.next(now) {
                let at = urls.iter().position(|u| *u == &*url).expect("known");
                assert!(number(&post) >= last[at], "seed {seed}");
                last[at] = number(&post);
                let outcome = if random(3) > 0 { Ok(()) } else { Err("no".to_owned()) };
                let _ = state.done(target, post, outcome, now);
            }
            let all = state.counters();
            assert_eq!(all.sent + all.failed + all.dropped + all.queued, 3 * offered, "seed {seed}");
            assert!(all.queued <= 15, "seed {seed}");
        }
    }
}
