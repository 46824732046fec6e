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
