//! Publishing and delivering allocate nothing once the buffers have found their size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use gaffer::events::{EventEmitter, Topic};

struct Counting;

thread_local! {
    /// Allocations of this thread; the test harness has others.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; counting touches a thread-local
// that needs neither initialisation nor a destructor, and so never allocates itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROUNDS: u64 = 25_000;
const PUBLISHES: u64 = 4;

struct Seen {
    deliveries: u64,
    re_entrant: Option<Topic>,
}

/// An emitter with several subscribers of all sorts; each publish of `proc.web.exit` is 8 deliveries,
/// each of the re-entrant `again.7` 2.
fn emitter() -> EventEmitter<u64, Seen> {
    let mut events = EventEmitter::with_max_size(64);
    for pattern in
        [".", "proc", "*.web", "proc.*", "proc.web.exit", "proc.*.exit", "proc.web.exit", "proc.web.spawn", "again.*"]
    {
        events.subscribe(pattern, |_, seen: &mut Seen, _| seen.deliveries += 1);
    }
    events.subscribe("proc.web.*", |events, seen, event| {
        seen.deliveries += 1;
        match &seen.re_entrant {
            Some(topic) => events.publish_to(topic, *event.payload),
            None => events.publish_under(0, "again.7", *event.payload),
        }
    });
    events
}

#[track_caller]
fn check(events: &mut EventEmitter<u64, Seen>, seen: &mut Seen, publish: impl Fn(&mut EventEmitter<u64, Seen>, u64)) {
    let mut round = |events: &mut EventEmitter<u64, Seen>, n| {
        for k in 0..PUBLISHES {
            publish(events, n * PUBLISHES + k);
        }
        // The bound counts too: of two dispatches the second delivers what was re-entrant.
        events.dispatch_budget(seen, PUBLISHES as usize);
        events.dispatch(seen);
    };
    round(events, 0);
    let before = ALLOCATIONS.get();
    for n in 1..=ROUNDS {
        round(events, n);
    }
    let allocations = ALLOCATIONS.get() - before;
    assert_eq!(allocations, 0, "in {} publishes", ROUNDS * PUBLISHES);
    assert_eq!((seen.deliveries, events.dropped()), ((ROUNDS + 1) * PUBLISHES * 10, 0));
}

#[test]
fn publishing_by_text_allocates_nothing() {
    let mut seen = Seen { deliveries: 0, re_entrant: None };
    check(&mut emitter(), &mut seen, |events, n| events.publish("proc.web.exit", n));
}

#[test]
fn publishing_by_topic_allocates_nothing() {
    let mut events = emitter();
    let topic = events.topic("proc.web.exit");
    let mut seen = Seen { deliveries: 0, re_entrant: Some(events.topic("again.7")) };
    check(&mut events, &mut seen, |events, n| events.publish_to(&topic, n));
}

#[test]
fn publishing_from_another_thread_allocates_nothing() {
    let mut events = emitter();
    let publisher = events.publisher();
    let mut seen = Seen { deliveries: 0, re_entrant: None };
    check(&mut events, &mut seen, |_, n| publisher.publish("proc.web.exit", n).expect("open"));
}

#[test]
fn overflowing_and_filling_a_receiver_allocates_nothing() {
    let mut events = EventEmitter::with_max_size(64);
    let receiver = events.channel("proc", 16);
    let mut round = |n: u64| {
        for k in 0..100 {
            events.publish("proc.web.exit", n + k);
        }
        events.dispatch(&mut ());
    };
    for n in 0..100 {
        round(n);
    }
    let before = ALLOCATIONS.get();
    for n in 100..1_000 {
        round(n);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert_eq!((events.dropped(), receiver.try_recv().map(|event| event.missed)), (36_000, Ok(64_000 - 16)));
}

#[test]
fn asking_for_subscribers_allocates_nothing() {
    let mut events = emitter();
    let topic = "proc.web.exit";
    let before = ALLOCATIONS.get();
    assert!(
        events.has_subscribers(topic)
            && events.has_subscribers_under(3, topic)
            && events.has_patterns_under("proc.web")
    );
    assert!(!events.has_subscribers_under(1, "job.default.web") && !events.has_patterns_under("job"));
    assert_eq!(ALLOCATIONS.get() - before, 0);
    // The counter counts.
    events.subscribe("another.pattern", |_, _, _| {});
    assert_ne!(ALLOCATIONS.get() - before, 0);
}
