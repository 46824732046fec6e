//! The emitter's promises, one by one.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::*;

type Log = Vec<String>;
type Emitter = EventEmitter<u32, Log>;

const LONG: Duration = Duration::from_secs(20);

fn note(name: &'static str) -> impl FnMut(&mut Emitter, &mut Log, &Delivery<'_, u32>) + Send + 'static {
    move |_, log, event| log.push(format!("{name}:{}:{}", event.topic, event.payload))
}

fn emitter(patterns: &[&'static str]) -> Emitter {
    let mut events = Emitter::new();
    for pattern in patterns {
        events.subscribe(pattern, note(pattern));
    }
    events
}

#[track_caller]
fn check(events: &mut Emitter, expected: &[&str]) {
    let mut log = Log::new();
    events.dispatch(&mut log);
    assert_eq!(log, expected);
}

#[test]
fn goes_from_the_wildcard_to_the_longest_once_each() {
    let mut events = emitter(&["a.b.c", "a.b", "a", ".", "a.bb", "A", "a.b.c.d", "b"]);
    events.publish("a.b.c", 1);
    check(&mut events, &[".:a.b.c:1", "a:a.b.c:1", "a.b:a.b.c:1", "a.b.c:a.b.c:1"]);
}

#[test]
fn a_star_is_one_segment_and_takes_its_turn() {
    let mut events = emitter(&["proc.*", "*.web", "proc.web", "*", "proc.*.exit", "*.*.*.*", "proc.web"]);
    events.publish("proc.web.exit", 1);
    let expected =
        ["*", "proc.*", "*.web", "proc.web", "proc.web", "proc.*.exit"].map(|p| format!("{p}:proc.web.exit:1"));
    check(&mut events, &expected.each_ref().map(String::as_str));
    events.publish("*", 2);
    check(&mut events, &["*:*:2"]);
}

#[test]
fn odd_names_are_names() {
    let mut events = emitter(&["", ".", "a.", "a..b", "a.*.b", "..", "é"]);
    events.publish("", 1);
    events.publish(".", 2);
    check(
        &mut events,
        &[":  :1", ".:  :1", ":  :2", ".:  :2"].map(|s| s.replace(' ', "")).each_ref().map(String::as_str),
    );
    events.unsubscribe_all(".");
    events.publish("a", 3);
    events.publish("a..b.", 4);
    events.publish("..", 5);
    events.publish("é.ü", 6);
    check(&mut events, &["a.:a:3", "a.:a..b:4", "a..b:a..b:4", "a.*.b:a..b:4", "..:.:5", "é:é.ü:6"]);
}

#[test]
fn aliases_reach_those_who_ask_by_name() {
    let patterns = [".", "*", "job", "job.default", "job.*.web", "job.default.web.exit", "jobs"];
    let mut events = emitter(&patterns);
    let topic = "job.default.web.exit";
    events.publish_under(1, topic, 1);
    let by_topic = events.topic_under(1, topic);
    events.publish_to(&by_topic, 1);
    let expected = ["job", "job.default", "job.*.web", topic].map(|p| format!("{p}:{topic}:1"));
    let expected = expected.each_ref().map(String::as_str);
    check(&mut events, &[expected, expected].concat());
    let mut events = emitter(&["proc", "proc.*.exit", "proc.7", "proc.7.exit", "proc.7.*"]);
    assert!(events.has_subscribers_under(2, "proc.7.exit") && !events.has_subscribers_under(2, "proc.8.exit"));
    assert!(events.has_subscribers_under(0, "proc.8.exit") && !events.has_subscribers_under(4, "proc.7.exit"));
    assert!(events.has_patterns_under("proc.7") && !events.has_patterns_under("proc.8"));
    events.publish_under(2, "proc.7.exit", 2);
    check(&mut events, &["proc.7:proc.7.exit:2", "proc.7.exit:proc.7.exit:2", "proc.7.*:proc.7.exit:2"]);
}

#[test]
fn changes_take_effect_for_the_next_event() {
    let mut events = Emitter::new();
    let victim = Arc::new(Mutex::new(None));
    let id = Arc::clone(&victim);
    events.subscribe_once("a", move |events, log, _| {
        log.push("first".into());
        let id = id.lock().ok().and_then(|mut id| id.take());
        assert!(id.is_some_and(|id| events.unsubscribe(id) && !events.unsubscribe(id)));
        events.subscribe("a", note("late"));
        events.subscribe("a.b", note("later"));
        events.publish("a.b", 2);
    });
    let second = events.subscribe("a", note("second"));
    *victim.lock().expect("unpoisoned") = Some(second);
    events.publish("a.b", 1);
    check(&mut events, &["first", "second:a.b:1", "late:a.b:2", "later:a.b:2"]);
    assert_eq!(events.subscriptions(), 2);
}

#[test]
fn a_listener_may_end_itself_and_subscribes_twice() {
    let mut events = Emitter::new();
    let ids = [0, 1].map(|_| {
        events.subscribe(".", |events, log, event| {
            log.push(event.subscription.to_string());
            assert!(events.unsubscribe(event.subscription));
        })
    });
    assert!(ids[0] < ids[1]);
    events.publish("a", 1);
    events.publish("a", 2);
    check(&mut events, &["1", "2"]);
    assert_eq!((events.subscriptions(), events.trie_size()), (0, (0, 0)));
}

#[test]
fn once_is_once_even_when_it_publishes() {
    let mut events = Emitter::new();
    let id = events.subscribe_once("a", |events, log, event| {
        log.push("once".into());
        assert!(!events.unsubscribe(event.subscription));
        events.publish("a", 2);
    });
    events.publish("a", 1);
    events.publish("a", 1);
    check(&mut events, &["once"]);
    assert!(!events.unsubscribe(id));
}

#[test]
fn the_oldest_are_dropped_and_counted() {
    let mut events = Emitter::with_max_size(2);
    events.subscribe(".", note("."));
    let topic = events.topic("t");
    events.publish_to(&topic, 0);
    for n in 1..5 {
        events.publish("a.b.c", n);
    }
    assert_eq!((events.len(), events.dropped(), events.take_dropped(), events.take_dropped()), (2, 3, 3, 0));
    check(&mut events, &[".:a.b.c:3", ".:a.b.c:4"]);
    let mut none = Emitter::with_max_size(0);
    none.publish("a", 1);
    assert_eq!((none.len(), none.take_dropped(), none.dropped()), (0, 1, 1));
}

#[test]
fn a_budget_ends_a_round() {
    let mut events = Emitter::with_max_size(4);
    events.subscribe("a", |events, _, event| events.publish("a", event.payload + 1));
    events.publish("a", 0);
    assert_eq!(events.dispatch(&mut Log::new()), 4);
    assert_eq!((events.dispatch_budget(&mut Log::new(), 1), events.len(), events.dropped()), (1, 1, 0));
}

#[test]
fn a_panic_is_reported_and_disturbs_nobody() {
    let mut events = emitter(&["a"]);
    let reports = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&reports);
    let shaky = events.subscribe("a", |_, log, event| {
        log.push(format!("shaky:{}", event.payload));
        resume_unwind(Box::new(*event.payload));
    });
    events.subscribe("*", |_, _, _| resume_unwind(Box::new(7_u32)));
    events.subscribe("a", note("a"));
    events.publish("a", 1);
    check(&mut events, &["a:a:1", "shaky:1", "a:a:1"]);
    events.on_panic(move |event, panic| {
        let payload = panic.downcast_ref::<u32>().copied();
        seen.lock().expect("unpoisoned").push((event.subscription, payload));
        resume_unwind(panic);
    });
    events.publish("a", 2);
    events.publish("a.b", 3);
    check(&mut events, &["a:a:2", "shaky:2", "a:a:2", "a:a.b:3", "shaky:3", "a:a.b:3"]);
    let reports = reports.lock().expect("unpoisoned");
    assert_eq!((reports.len(), reports[0], reports[1].1), (4, (shaky, Some(2)), Some(7)));
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        resume_unwind(Box::new("bomb"));
    }
}

#[test]
fn what_panics_when_dropped_is_contained() {
    let mut events = emitter(&["a"]);
    let reports = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&reports);
    events.on_panic(move |_, _| _ = seen.fetch_add(1, Ordering::Relaxed));
    let bomb = Bomb;
    events.subscribe_once("a", move |_, _, _| _ = &bomb);
    events.subscribe("a", note("b"));
    events.publish("a", 1);
    events.publish("a", 2);
    check(&mut events, &["a:a:1", "b:a:1", "a:a:2", "b:a:2"]);
    assert_eq!(reports.load(Ordering::Relaxed), 1);

    // A payload is the publisher's own: its panic goes on, and leaves the emitter as it was.
    let mut events = EventEmitter::<Bomb>::new();
    events.publish("a", Bomb);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| events.dispatch(&mut ())));
    assert!(caught.is_err() && events.is_empty());
    assert_eq!(events.dispatch(&mut ()), 0);
}

#[test]
fn closing_is_at_once_and_for_good() {
    let mut events = emitter(&["a"]);
    let publisher = events.publisher();
    let receiver = events.channel("a", 4);
    events.subscribe("a", |events, log, _| {
        log.push("close".into());
        events.close();
        events.subscribe("a", note("never"));
    });
    events.subscribe("a", note("never"));
    events.subscribe("a.*", note("never"));
    events.publish("a.b", 1);
    events.publish("a.b", 2);
    check(&mut events, &["a:a.b:1", "close"]);
    let topic = events.topic("a");
    events.publish("a", 3);
    events.publish_to(&topic, 3);
    check(&mut events, &[]);
    assert!(events.is_closed() && publisher.is_closed() && events.publisher().is_closed());
    assert_eq!(publisher.publish("a", 4), Err(Closed(4)));
    assert_eq!((events.subscriptions(), events.len(), events.dropped()), (0, 0, 0));
    assert_eq!(receiver.recv().map(|event| event.payload), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(events.channel("a", 1).recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn another_emitters_topic_works_as_text() {
    let mut events = emitter(&["a.."]);
    let _ours = events.topic("b");
    let topic = Emitter::new().topic_under(1, "a..");
    events.publish_to(&topic, 1);
    check(&mut events, &["a..:a.:1"]);
}

#[test]
fn threads_publish_and_wake() {
    let mut events = EventEmitter::<u32, Vec<u32>>::with_max_size(1_000);
    events.subscribe("n", |_, seen, event| seen.push(*event.payload));
    let publisher = events.publisher();
    publisher.publish("n", 0).expect("open");
    let (wake, woken) = std::sync::mpsc::channel();
    let wake = Mutex::new(wake);
    events.set_waker(Arc::new(move || _ = wake.lock().map(|wake| wake.send(()))));
    woken.try_recv().expect("an event was waiting");
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let publisher = publisher.clone();
            thread::spawn(move || (1..=200).for_each(|n| publisher.publish("n", n).expect("open")))
        })
        .collect();
    let mut seen = Vec::new();
    while seen.len() < 801 {
        if events.is_empty() {
            woken.recv_timeout(LONG).expect("woken for each first event");
        }
        events.dispatch(&mut seen);
    }
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    assert_eq!((seen.iter().sum::<u32>(), events.dropped()), (4 * 20_100, 0));
    drop(events);
    assert_eq!(publisher.publish("n", 7), Err(Closed(7)));
}

#[test]
fn wakes_for_the_first_event_after_all_were_taken() {
    let mut events = EventEmitter::<u32>::new();
    let publisher = events.publisher();
    let wakes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&wakes);
    events.set_waker(Arc::new(move || _ = count.fetch_add(1, Ordering::Relaxed)));
    for round in 1..=3 {
        publisher.publish("a", 1).expect("open");
        assert_eq!(wakes.load(Ordering::Relaxed), round);
        publisher.publish("a", 2).expect("open");
        assert_eq!((wakes.load(Ordering::Relaxed), events.len()), (round, 2));
        assert_eq!(events.dispatch(&mut ()), 2);
    }
}

#[test]
fn events_let_go_of_their_topics() {
    let mut events = Emitter::with_max_size(4);
    let mut known = |dispatch: bool| {
        for n in 0..1_000 {
            let topic = events.topic(&format!("proc.{n}"));
            events.publish_to(&topic, n);
            if dispatch {
                events.dispatch(&mut Log::new());
            }
        }
        events.topics.len()
    };
    // First they leave for want of room, then they are delivered.
    for dispatch in [false, true] {
        let known = known(dispatch);
        assert!(known <= 64, "{known} topics are known");
    }
    // All but four of the first round, and one more for the first event of the second.
    assert_eq!(events.dropped(), 997);
}

#[test]
fn a_flood_of_threads_is_bounded() {
    let mut events = EventEmitter::<u32, Vec<u32>>::with_max_size(3);
    events.subscribe(".", |_, seen, event| seen.push(*event.payload));
    let publisher = events.publisher();
    for n in 0..10 {
        publisher.publish("a", n).expect("open");
    }
    events.publish("a", 10);
    assert_eq!((events.len(), events.dropped()), (4, 7));
    let mut seen = Vec::new();
    while !events.is_empty() {
        events.dispatch(&mut seen);
    }
    assert_eq!((seen, events.take_dropped()), (vec![10, 7, 8, 9], 7));
}

#[test]
fn receivers_take_their_time_and_see_the_gap() {
    let mut events = EventEmitter::<u32>::new();
    let receiver = events.channel("a", 2);
    for n in 0..5 {
        events.publish("a.b", n);
    }
    events.publish("b", 5);
    events.dispatch(&mut ());
    let event = receiver.recv().expect("connected");
    assert_eq!((event.missed, event.topic.as_str(), event.payload), (3, "a.b", 3));
    assert_eq!(receiver.try_recv().map(|event| (event.missed, event.payload)), Ok((0, 4)));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    events.publish("a", 6);
    events.dispatch(&mut ());
    let other = thread::spawn(move || receiver.iter().map(|event| event.payload).collect::<Vec<_>>());
    events.publish("a", 7);
    events.dispatch(&mut ());
    assert_eq!(events.unsubscribe_all("a"), 1);
    let seen = other.join().expect("no panic");
    assert_eq!(seen, [6, 7]);
}

#[test]
fn dropped_receivers_leave_nothing() {
    let mut events = EventEmitter::<u32>::new();
    for n in 0..1_000 {
        let receiver = events.channel(&format!("proc.{n}"), 1);
        assert!(events.subscriptions() <= 1 && events.trie_size() <= (2, 2));
        drop(receiver);
    }
    assert_eq!((events.dispatch(&mut ()), events.subscriptions(), events.trie_size()), (0, 0, (0, 0)));
    let receiver = events.channel("a", 1);
    drop(events);
    assert!(receiver.recv().is_err());
}

#[test]
fn debug_says_how_it_stands() {
    let mut events = emitter(&["a"]);
    let _topic = events.topic("a");
    events.publish("a", 1);
    let expected = "EventEmitter { subscriptions: 1, topics: 1, queued: 1, dropped: 0, closed: false }";
    assert_eq!(format!("{events:?}"), expected);
}
