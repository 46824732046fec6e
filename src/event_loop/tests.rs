//! The loop against real descriptors, threads and clocks. Nothing sleeps to wait for something: a turn
//! waits, with a time-out far beyond what it needs so that a hang is a failure.
#![forbid(unsafe_code)]

use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::ErrorKind;

#[cfg(target_os = "linux")]
mod idle;
mod turns;

const LONG: Option<Duration> = Some(Duration::from_secs(20));
const NOW: Option<Duration> = Some(Duration::ZERO);

fn event_loop() -> EventLoop<u32> {
    EventLoop::new().expect("an event loop")
}

fn pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().expect("a socket pair");
    a.set_nonblocking(true).expect("non-blocking");
    (a, b)
}

fn turn(io: &mut EventLoop<u32>, timeout: Option<Duration>) -> Vec<Ready<u32>> {
    let mut ready = vec![Ready::Woken];
    io.turn(timeout, &mut ready).expect("a turn");
    ready
}

/// Turns until something is ready; a turn may be empty without a reason.
#[track_caller]
fn busy_turn(io: &mut EventLoop<u32>) -> Vec<Ready<u32>> {
    let start = Instant::now();
    loop {
        let ready = turn(io, LONG);
        if !ready.is_empty() {
            return ready;
        }
        assert!(start.elapsed() < Duration::from_secs(15), "nothing became ready: {io:?}");
    }
}

/// The only thing listed, a source.
#[track_caller]
fn one_source(ready: &[Ready<u32>]) -> (SourceId, u32, Readiness) {
    match *ready {
        [Ready::Source { id, owner, readiness }] => (id, owner, readiness),
        _ => panic!("expected one source: {ready:?}"),
    }
}

#[test]
fn a_source_is_reported_until_it_is_read() {
    let mut io = event_loop();
    let (ours, mut theirs) = pair();
    let source = io.register(ours, Interest::READ, 7).expect("registered");
    assert_eq!(turn(&mut io, NOW), []);

    theirs.write_all(b"hello").expect("written");
    for _ in 0..3 {
        let (id, owner, readiness) = one_source(&busy_turn(&mut io));
        assert_eq!((id, owner), (source.id(), 7));
        assert!(readiness.is_readable() && !readiness.is_writable() && !readiness.is_hangup());
    }
    let mut buffer = [0; 16];
    assert_eq!((&*source).read(&mut buffer).expect("read"), 5);
    assert_eq!(turn(&mut io, NOW), []);
}

#[test]
fn the_interest_decides_what_is_reported() {
    let mut io = event_loop();
    let (ours, mut theirs) = pair();
    theirs.write_all(b"x").expect("written");
    let mut source = io.register(ours, Interest::NONE, 1).expect("registered");
    assert_eq!(turn(&mut io, NOW), []);
    for (interest, readable, writable) in [
        (Interest::READ, true, false),
        (Interest::WRITE, false, true),
        (Interest::BOTH, true, true),
        (Interest::READ, true, false),
    ] {
        source.set_interest(interest).expect("changed");
        assert_eq!(source.interest(), interest);
        let (_, _, readiness) = one_source(&busy_turn(&mut io));
        assert_eq!((readiness.is_readable(), readiness.is_writable()), (readable, writable), "{interest:?}");
    }
    source.set_interest(Interest::NONE).expect("changed");
    assert_eq!(turn(&mut io, NOW), []);
    assert_eq!(Interest::READ | Interest::WRITE, Interest::BOTH);
}

#[test]
fn a_hung_up_peer_is_reported_and_silent_without_interest() {
    let mut io = event_loop();
    let (ours, theirs) = pair();
    let mut source = io.register(ours, Interest::READ, 1).expect("registered");

    theirs.shutdown(Shutdown::Write).expect("shut down");
    let (_, _, readiness) = one_source(&busy_turn(&mut io));
    assert!(readiness.is_readable() && !readiness.is_hangup(), "half closed: {readiness:?}");

    drop(theirs);
    let (_, _, readiness) = one_source(&busy_turn(&mut io));
    assert!(readiness.is_readable(), "closed: {readiness:?}");
    assert!(readiness.is_hangup() || cfg!(not(target_os = "linux")), "closed: {readiness:?}");
    assert_eq!((&*source).read(&mut [0; 1]).expect("the end"), 0);

    source.set_interest(Interest::NONE).expect("changed");
    assert_eq!(turn(&mut io, NOW), [], "a hung-up descriptor would end every wait");
    source.set_interest(Interest::READ).expect("changed");
    one_source(&busy_turn(&mut io));
}

#[test]
fn a_pipe_nobody_reads_is_an_error_of_its_writer() {
    let mut io = event_loop();
    let (ours, theirs) = pair();
    drop(theirs);
    let source = io.register(ours, Interest::WRITE, 1).expect("registered");
    let (_, _, readiness) = one_source(&busy_turn(&mut io));
    assert!(readiness.is_writable());
    let error = (&*source).write(b"x").expect_err("nobody reads");
    assert_eq!(error.kind(), IoErrorKind::BrokenPipe);
}

#[test]
fn the_same_descriptor_twice_is_a_conflict() {
    let mut io = event_loop();
    let (ours, _theirs) = pair();
    let number = ours.as_raw_fd();
    let ours = Arc::new(ours);
    let first = io.register(Arc::clone(&ours), Interest::READ, 1).expect("registered");
    let rejected = io.register(Arc::clone(&ours), Interest::READ, 2).expect_err("twice");
    assert_eq!(rejected.error.kind(), ErrorKind::Conflict);
    assert!(rejected.to_string().contains(&format!("descriptor {number} is already")), "{rejected}");
    assert!(Arc::ptr_eq(&rejected.fd, &ours), "the descriptor is given back");

    // The failure has not touched the first registration, and its end makes room.
    drop(rejected);
    assert_eq!(io.sources.len(), 1);
    drop(first);
    io.register(ours, Interest::READ, 3).expect("registered again");
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn a_regular_file_is_unsupported() {
    let mut io = event_loop();
    let exe = std::fs::File::open("/proc/self/exe").expect("our own program");
    let rejected = io.register(exe, Interest::READ, 1).expect_err("a regular file");
    assert_eq!(rejected.error.kind(), ErrorKind::Unsupported, "{rejected}");

    let mut source = io.register(rejected.fd, Interest::NONE, 1).expect("no interest, no poller");
    let error = source.set_interest(Interest::READ).expect_err("a regular file");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(source.interest(), Interest::NONE);
}

#[test]
fn ending_a_source_leaves_nothing_behind() {
    let mut io = event_loop();
    let (ours, mut theirs) = pair();
    let copy = ours.try_clone().expect("a copy");
    let source = io.register(ours, Interest::READ, 1).expect("registered");
    theirs.write_all(b"x").expect("written");
    drop(source);
    // The open file lives on in the copy: without the delete it would end every wait, unlisted. The
    // loop's own descriptor shows whether anything in it is ready.
    let mut host = event_loop();
    let copied = io.as_fd().try_clone_to_owned().expect("a copy");
    let _embedded = host.register(copied, Interest::READ, 9).expect("registered");
    assert_eq!(turn(&mut host, NOW), []);
    assert_eq!(turn(&mut io, NOW), []);
    assert!(io.sources.is_empty() && io.shared.ended.lock().expect("unpoisoned").is_empty());

    let source = io.register(copy, Interest::READ, 2).expect("registered");
    assert_eq!(one_source(&busy_turn(&mut io)).1, 2);
    let mut copy = source.into_inner();
    assert_eq!(turn(&mut io, NOW), []);
    assert_eq!(copy.read(&mut [0; 4]).expect("still open"), 1);
}

#[test]
fn owners_of_ended_sources_are_forgotten_without_a_turn() {
    let mut io = event_loop();
    let (ours, _theirs) = pair();
    let ours = Arc::new(ours);
    for n in 0..1_000 {
        drop(io.register(Arc::clone(&ours), Interest::READ, n).expect("registered"));
        assert!(io.sources.len() <= 1 && io.shared.ended.lock().expect("unpoisoned").len() <= 1);
    }
}

#[test]
fn a_source_ended_in_the_batch_is_no_ghost_for_its_successor() {
    let mut io = event_loop();
    let (first, mut first_peer) = pair();
    let (second, mut second_peer) = pair();
    let first = io.register(first, Interest::READ, 1).expect("registered");
    let mut second = io.register(second, Interest::READ, 2).expect("registered");
    // Other tests open descriptors too, so the number is not always ours to re-use.
    for _ in 0..1_000 {
        first_peer.write_all(b"x").expect("written");
        second_peer.write_all(b"x").expect("written");
        let mut batch = busy_turn(&mut io);
        while batch.len() < 2 {
            batch = busy_turn(&mut io);
        }
        let (old_id, old_number) = (second.id(), second.as_raw_fd());
        drop(second);
        let (next, next_peer) = pair();
        let reused = next.as_raw_fd() == old_number;
        second = io.register(next, Interest::READ, 2).expect("registered");
        second_peer = next_peer;
        assert_ne!(second.id(), old_id);
        let told = |batch: &[Ready<u32>], wanted| {
            batch.iter().any(|ready| matches!(ready, Ready::Source { id, .. } if *id == wanted))
        };
        assert!(told(&batch, old_id) && !told(&batch, second.id()));
        // The first is still unread, the new one has nothing.
        assert_eq!(one_source(&turn(&mut io, LONG)).0, first.id());
        if reused {
            return;
        }
    }
    panic!("the number of the dropped descriptor was never re-used");
}

#[test]
fn a_source_dropped_by_another_thread_is_not_reported() {
    let mut io = event_loop();
    for n in 0..200 {
        let (ours, mut theirs) = pair();
        let source = io.register(ours, Interest::READ, n).expect("registered");
        theirs.write_all(b"x").expect("written");
        thread::scope(|scope| {
            let dropper = scope.spawn(move || drop(source));
            turn(&mut io, NOW);
            dropper.join().expect("dropped");
        });
        assert_eq!(turn(&mut io, NOW), []);
        assert!(io.sources.is_empty());
    }
}

#[test]
fn no_more_sources_than_the_bound_in_one_turn_and_none_is_starved() {
    let mut io = EventLoop::with_max_events(NonZeroUsize::new(4).expect("not zero")).expect("an event loop");
    let pairs: Vec<_> = (0..10)
        .map(|n| {
            let (ours, mut theirs) = pair();
            theirs.write_all(b"x").expect("written");
            (io.register(ours, Interest::READ, n).expect("registered"), theirs)
        })
        .collect();
    let mut seen = [0; 10];
    for _ in 0..10 {
        let ready = turn(&mut io, LONG);
        assert!(ready.len() <= 4, "{ready:?}");
        for ready in ready {
            if let Ready::Source { owner, .. } = ready {
                seen[owner as usize] += 1;
            }
        }
    }
    assert!(seen.iter().all(|&times| times >= 2), "{seen:?}");
    drop(pairs);
}

#[test]
fn two_reports_of_one_source_are_one_entry() {
    // As kqueue gives them: reading and writing apart, with another source between.
    let read = Readiness { readable: true, writable: false, hangup: false, error: false };
    let write = Readiness { readable: false, writable: true, hangup: true, error: false };
    let mut sources = [1, 2].map(|id| Registered { id: SourceId(id), owner: id, reported: 0 });
    let mut ready = Vec::new();
    for (at, readiness) in [(0, read), (1, read), (0, write)] {
        sources[at].report(readiness, &mut ready);
    }
    let both = Readiness { readable: true, writable: true, hangup: true, error: false };
    let entry = |id, readiness| Ready::Source { id: SourceId(id), owner: id, readiness };
    assert_eq!(ready, [entry(1, both), entry(2, read)]);
    ready.clear();
    sources[1].report(write, &mut ready);
    assert_eq!(ready, [entry(2, write)]);
}

#[test]
fn the_loops_descriptor_can_be_waited_for_elsewhere() {
    let mut host = event_loop();
    let mut guest = event_loop();
    let (ours, mut theirs) = pair();
    let source = guest.register(ours, Interest::READ, 1).expect("registered");
    let waker = guest.waker();
    let descriptor = guest.as_fd().try_clone_to_owned().expect("a copy");
    let _embedded = host.register(descriptor, Interest::READ, 9).expect("registered");
    assert_eq!(turn(&mut host, NOW), []);

    theirs.write_all(b"x").expect("written");
    assert_eq!(one_source(&busy_turn(&mut host)).1, 9);
    assert_eq!(one_source(&turn(&mut guest, NOW)).0, source.id());
    assert_eq!((&*source).read(&mut [0; 4]).expect("read"), 1);
    assert_eq!(turn(&mut host, NOW), []);

    waker.wake();
    assert_eq!(one_source(&busy_turn(&mut host)).1, 9);
    assert_eq!(turn(&mut guest, NOW), [Ready::Woken]);
    assert_eq!(turn(&mut host, NOW), []);
}

#[test]
fn guards_are_plain_values() {
    let mut io = event_loop();
    let (ours, mut theirs) = pair();
    let mut source = io.register(ours, Interest::READ, 1).expect("registered");
    assert_eq!(format!("{source:?}"), format!("Source {{ id: 1, fd: {}, interest: READ }}", source.as_raw_fd()));
    source.get_mut().write_all(b"y").expect("written");
    assert_eq!(theirs.read(&mut [0; 4]).expect("read"), 1);
    assert_eq!(format!("{io:?}"), "EventLoop { sources: 1, timers: 0, .. }");
    drop(io);
    source.set_interest(Interest::BOTH).expect("a guard may outlive its loop");
}
