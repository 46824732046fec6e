//! Closures in the loop: periodic, delayed, for a descriptor, for events.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gaffer::event_loop::Interest;
use gaffer::manager::ClosureId;

use crate::watch::{Watch, sleeper};

const MS: Duration = Duration::from_millis(1);

fn counter() -> (Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    (Arc::clone(&count), count)
}

#[test]
fn every() {
    let mut w = Watch::new();
    let (count, shared) = counter();
    let began = Instant::now();
    let id = w.manager.cx().every(20 * MS, move |_| {
        shared.fetch_add(1, Ordering::Relaxed);
    });
    w.until("five calls", |_| count.load(Ordering::Relaxed) == 5);
    assert!(began.elapsed() >= 100 * MS);
    // A late turn brings one call, not a burst.
    std::thread::sleep(100 * MS);
    let _ = w.manager.turn(Some(Duration::ZERO)).expect("turn");
    assert_eq!(count.load(Ordering::Relaxed), 6);
    assert!(w.manager.cx().remove(id) && !w.manager.cx().remove(id));
    assert_eq!(w.manager.next_deadline(), None);
    w.finish();
}

#[test]
fn a_closure_may_remove_itself_and_others() {
    let mut w = Watch::new();
    let ids: Arc<Mutex<Vec<ClosureId>>> = Arc::default();
    let (count, shared) = counter();
    for _ in 0..3 {
        let (all, shared) = (Arc::clone(&ids), Arc::clone(&shared));
        // All are due at once; the first call removes every one.
        let id = w.manager.cx().every(MS, move |cx| {
            shared.fetch_add(1, Ordering::Relaxed);
            for id in all.lock().expect("ids").drain(..) {
                assert!(cx.remove(id));
            }
        });
        ids.lock().expect("ids").push(id);
    }
    std::thread::sleep(5 * MS);
    w.idle(30 * MS);
    assert_eq!(count.load(Ordering::Relaxed), 1);
    assert_eq!(w.manager.next_deadline(), None);
    w.finish();
}

#[test]
fn after() {
    let mut w = Watch::new();
    let order: Arc<Mutex<Vec<u32>>> = Arc::default();
    for (ms, n) in [(30, 3), (10, 1), (20, 2)] {
        let order = Arc::clone(&order);
        w.manager.cx().after(ms * MS, move |cx| {
            order.lock().expect("order").push(n);
            let order = Arc::clone(&order);
            cx.after(Duration::ZERO, move |_| order.lock().expect("order").push(10 * n));
        });
    }
    let removed = w.manager.cx().after(10 * MS, |_| panic!("it was removed"));
    assert!(w.manager.cx().remove(removed));
    w.until("all", |_| order.lock().expect("order").len() == 6);
    // Where the machine was slow the times of several had come before a turn.
    let order = order.lock().expect("order").clone();
    let of = |all: &[u32]| order.iter().copied().filter(|n| all.contains(n)).collect::<Vec<_>>();
    for each in [&[1, 2, 3], &[10, 20, 30]] {
        assert_eq!(of(each), each, "{order:?}");
    }
    for n in [1, 2, 3] {
        assert_eq!(of(&[n, 10 * n]), [n, 10 * n], "{order:?}");
    }
    assert!(w.faults().is_empty());
    w.finish();
}

#[test]
fn a_time_beyond_the_clock_is_never() {
    let mut w = Watch::new();
    let a = w.manager.cx().after(Duration::MAX, |_| panic!("never"));
    let b = w.manager.cx().every(Duration::MAX, |_| panic!("never"));
    w.manager.cx().monitor(gaffer::manager::Target::All, Duration::MAX, |_, _| ());
    w.idle(20 * MS);
    assert!(w.manager.cx().remove(a) && w.manager.cx().remove(b));
    w.finish();
}

#[test]
fn watch() {
    let mut w = Watch::new();
    let (ours, mut theirs) = UnixStream::pair().expect("sockets");
    ours.set_nonblocking(true).expect("flag");
    let text: Arc<Mutex<String>> = Arc::default();
    let notes = Arc::clone(&text);
    let id: Arc<Mutex<Option<ClosureId>>> = Arc::default();
    let own = Arc::clone(&id);
    let closure = w.manager.cx().watch(ours, Interest::READ, move |cx, source, ready| {
        assert!(ready.is_readable());
        let mut buffer = [0; 100];
        match (&**source).read(&mut buffer) {
            Ok(0) => assert!(cx.remove(own.lock().expect("id").expect("set"))),
            Ok(n) => notes.lock().expect("notes").push_str(std::str::from_utf8(&buffer[..n]).expect("text")),
            Err(e) => panic!("{e}"),
        }
    });
    *id.lock().expect("id") = Some(closure.expect("watch"));
    theirs.write_all(b"one").expect("write");
    w.until("the first", |_| *text.lock().expect("notes") == "one");
    theirs.write_all(b"two").expect("write");
    w.until("the second", |_| *text.lock().expect("notes") == "onetwo");
    drop(theirs);
    w.until("it is removed", |w| format!("{:?}", *w.manager).contains("0 closures"));
    assert!(w.faults().is_empty(), "{}", w.dump());
    w.finish();
}

#[test]
fn a_file_cannot_be_watched() {
    let mut w = Watch::new();
    let file = std::fs::File::open("/proc/self/exe").expect("open");
    w.manager.cx().watch(file, Interest::READ, |_, _, _| ()).expect_err("a regular file");
    assert!(format!("{:?}", *w.manager).contains("0 closures"));
    w.finish();
}

#[test]
fn closures_that_panic_are_removed_and_told() {
    let mut w = Watch::new();
    w.manager.cx().every(MS, |_| panic!("every"));
    w.manager.cx().after(2 * MS, |_| panic!("after"));
    let (ours, _theirs) = UnixStream::pair().expect("sockets");
    w.manager.cx().watch(ours, Interest::WRITE, |_, _, _| panic!("watch")).expect("watch");
    w.until("three faults", |w| w.faults().len() >= 3);
    w.idle(20 * MS);
    let mut faults = w.faults();
    faults.sort();
    assert_eq!(faults, ["closure: after", "closure: every", "closure: watch"]);
    assert!(format!("{:?}", *w.manager).contains("0 closures"));
    w.finish();
}

#[test]
fn once_and_unsubscribing_in_a_callback() {
    let mut w = Watch::new();
    let (count, shared) = counter();
    w.manager.cx().once("create", move |_, _, _| {
        shared.fetch_add(1, Ordering::Relaxed);
    });
    let (twice, shared) = counter();
    let id = Arc::new(Mutex::new(None));
    let own = Arc::clone(&id);
    let subscription = w.manager.cx().on("create", move |cx, _, _| {
        if shared.fetch_add(1, Ordering::Relaxed) == 1 {
            assert!(cx.unsubscribe(own.lock().expect("id").expect("set")));
        }
    });
    *id.lock().expect("id") = Some(subscription);
    for name in ["a", "b", "c"] {
        w.manager.load(sleeper(name), false).expect("load");
    }
    w.until("three", |w| w.count("create") == 3);
    assert_eq!((count.load(Ordering::Relaxed), twice.load(Ordering::Relaxed)), (1, 2));
    w.finish();
}

#[test]
fn a_callback_may_use_everything() {
    let mut w = Watch::new();
    w.manager.cx().on("create", |cx, _, event| {
        let name = event.job.as_ref().expect("a job").label().to_owned();
        if name.len() < 4 {
            cx.load(sleeper(&format!("{name}x")), true).expect("load");
        }
        cx.on("spawn", |_, _, _| ());
        cx.after(MS, |_| ());
    });
    w.start(sleeper("x"));
    w.until("four spawns", |w| w.count("spawn") == 4);
    w.finish();
}

#[test]
fn a_listener_that_panics_is_told_and_stays() {
    let mut w = Watch::new();
    w.manager.cx().on("create", |_, _, _| panic!("a listener"));
    let (count, shared) = counter();
    w.manager.cx().on("create", move |_, _, _| {
        shared.fetch_add(1, Ordering::Relaxed);
    });
    for name in ["a", "b"] {
        w.manager.load(sleeper(name), true).expect("load");
    }
    w.running("b", 1);
    assert_eq!(w.faults(), ["listener of 'create': a listener"; 2]);
    assert_eq!(count.load(Ordering::Relaxed), 2);
    w.finish();
}

/// Its fault is an event too: it must not go round for ever.
#[test]
fn a_listener_that_panics_at_everything() {
    let mut w = Watch::new();
    let (count, shared) = counter();
    w.manager.cx().on(".", move |_, _, _| {
        shared.fetch_add(1, Ordering::Relaxed);
        panic!("at everything")
    });
    w.start(sleeper("a"));
    w.running("a", 1);
    w.idle(50 * MS);
    // create, start and spawn, twice each, and what is told of these.
    assert!(count.load(Ordering::Relaxed) <= 20, "{count:?}\n{}", w.dump());
    assert_eq!(w.manager.next_deadline(), None);
    let began = Instant::now();
    let _ = w.manager.turn(Some(50 * MS)).expect("turn");
    assert!(began.elapsed() >= 50 * MS, "it spins");
    w.finish();
}

#[test]
fn at_rest() {
    let mut w = Watch::new();
    let (count, shared) = counter();
    w.manager.on_rest(20 * MS, move || {
        shared.fetch_add(1, Ordering::Relaxed);
    });
    w.manager.load(sleeper("a"), true).expect("load");
    w.until("rest", |_| count.load(Ordering::Relaxed) == 1);
    assert_eq!(w.manager.next_deadline(), None, "nobody is woken at rest");
    w.manager.scale("a", gaffer::process::Scale::By(1)).expect("scale");
    w.until("rest again", |_| count.load(Ordering::Relaxed) == 2);
    assert_eq!(w.manager.next_deadline(), None);
    // No rest while something goes on.
    let beat = w.manager.cx().every(MS, |_| ());
    w.idle(100 * MS);
    assert_eq!(count.load(Ordering::Relaxed), 2);
    assert!(w.manager.cx().remove(beat));
    w.finish();

    let mut w = Watch::new();
    // One that never comes is replaced.
    w.manager.on_rest(Duration::MAX, || ());
    w.manager.load(sleeper("a"), true).expect("load");
    let _ = w.manager.turn(Some(Duration::ZERO)).expect("turn");
    w.manager.on_rest(MS, || panic!("no rest for the wicked"));
    w.manager.scale("a", gaffer::process::Scale::By(1)).expect("scale");
    w.until("a fault", |w| !w.faults().is_empty());
    assert_eq!(w.manager.next_deadline(), None);
    w.finish();
}
