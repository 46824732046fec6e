//! What ends a turn beside sources: timers, the time-out and the waker, and in which order they are told.

use super::*;

#[test]
fn timers_expire_in_order_and_never_early() {
    let mut io = event_loop();
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let ids = [at(30), at(10), at(20), at(10)].map(|at| io.set_timer(at, 0));
    assert_eq!(io.next_deadline(), Some(at(10)));
    assert!(io.cancel_timer(ids[2]));
    let mut fired = Vec::new();
    while io.next_deadline().is_some() {
        for ready in busy_turn(&mut io) {
            match ready {
                Ready::Timer { id, .. } => fired.push((id, Instant::now())),
                other => panic!("{other:?}"),
            }
        }
    }
    let order: Vec<_> = fired.iter().map(|&(id, _)| id).collect();
    assert_eq!(order, [ids[1], ids[3], ids[0]]);
    assert!(fired.iter().zip([10, 10, 30]).all(|(&(_, when), ms)| when >= at(ms)), "early: {fired:?}");
    assert!(!io.cancel_timer(ids[0]));
}

#[test]
fn a_timer_in_the_past_expires_at_once() {
    let mut io = event_loop();
    let now = Instant::now();
    let late = now.checked_sub(Duration::from_secs(5)).unwrap_or(now);
    let (second, first) = (io.set_timer(now, 2), io.set_timer(late, 1));
    let expected = [Ready::Timer { id: first, owner: 1 }, Ready::Timer { id: second, owner: 2 }];
    assert_eq!(turn(&mut io, None), expected);
    assert_eq!(turn(&mut io, NOW), []);
}

#[test]
fn a_timeout_ends_the_turn_but_not_early() {
    let mut io = event_loop();
    let timer = io.set_timer(Instant::now() + Duration::from_secs(3_600), 1);
    let start = Instant::now();
    assert_eq!(turn(&mut io, Some(Duration::from_millis(20))), []);
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert!(io.cancel_timer(timer));
    // Longer than an `Instant` can hold.
    io.waker().wake();
    assert_eq!(turn(&mut io, Some(Duration::MAX)), [Ready::Woken]);
}

#[test]
fn sources_then_timers_then_the_wake() {
    let mut io = event_loop();
    let (ours, mut theirs) = pair();
    let source = io.register(ours, Interest::READ, 1).expect("registered");
    let timer = io.set_timer(Instant::now(), 2);
    theirs.write_all(b"x").expect("written");
    io.waker().wake();
    let ready = turn(&mut io, None);
    assert!(
        matches!(ready[..], [Ready::Source { id, .. }, Ready::Timer { id: t, .. }, Ready::Woken]
            if id == source.id() && t == timer),
        "{ready:?}"
    );
}

#[test]
fn a_wake_before_the_wait_is_kept_and_many_are_one() {
    let mut io = event_loop();
    let waker = io.waker();
    for _ in 0..100 {
        waker.wake();
    }
    assert_eq!(turn(&mut io, None), [Ready::Woken]);
    assert_eq!(turn(&mut io, NOW), []);
    waker.wake();
    assert_eq!(turn(&mut io, None), [Ready::Woken]);
    drop(io);
    waker.wake();
}

#[test]
fn no_wake_is_lost_among_many_threads() {
    const THREADS: u32 = 4;
    const WAKES: u32 = 5_000;
    let mut io = event_loop();
    let (send, receive) = mpsc::channel();
    let mut received = 0;
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let (send, waker) = (send.clone(), io.waker());
            scope.spawn(move || {
                for n in 0..WAKES {
                    send.send(n).expect("received");
                    waker.wake();
                }
            });
        }
        while received < THREADS * WAKES {
            let start = Instant::now();
            let woken = turn(&mut io, LONG).contains(&Ready::Woken);
            // What a lost wake would look like: the channel is full and the turn sits out its time-out.
            assert!(start.elapsed() < Duration::from_secs(19), "a wake was lost after {received} messages");
            if woken {
                received += receive.try_iter().count() as u32;
            }
        }
    });
    assert_eq!(received, THREADS * WAKES);
}
