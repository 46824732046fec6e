//! Many programs, and few descriptors.

use std::time::{Duration, Instant};

use gaffer::process::Signal;

use crate::descriptors::may_have;
use crate::support::{Room, Running, switches, until};

fn programs(count: usize) -> String {
    (1..=count).map(|n| format!("p{n}: echo up $PS; exec sleep 1000\n")).collect()
}

#[test]
fn two_hundred_types() {
    // Two pipes and a watch for each, which is two descriptors where a thread waits.
    if !may_have(900, "two_hundred_types") {
        return;
    }
    let room = Room::new(&programs(200));
    let running = room.start("start --no-timestamp");
    running.wait_until("all are up", |text| text.matches("| up").count() == 200);
    let text = running.text();
    assert!(text.lines().all(|line| line.find(" | ") == Some(6)), "{text}");
    for n in 1..=200 {
        assert_eq!(text.matches(&format!("| up p{n}.1\n")).count(), 1, "{n}: {text}");
    }
    running.stop(Signal::INT).expect(0).quietly();
}

#[test]
fn five_hundred_at_once() {
    if !may_have(2_100, "five_hundred_at_once") {
        return;
    }
    let room = Room::new("a: echo up; exec sleep 1000\nb: trap '' TERM; sleep 0.3\n");
    let running = room.start("start --no-timestamp -c a=500");
    running.wait_until("all are up", |text| text.matches("| up").count() == 500);
    let done = running.stop(Signal::INT).expect(0).quietly();
    let waiting = done.of("gaffer");
    assert!(waiting[0].starts_with("stopping, waiting for ") && waiting[0].len() < 500, "{}", waiting[0]);
    let text = done.text();
    let ended = text.lines().filter(|line| line.starts_with("a.") && line.ends_with("(SIGTERM)"));
    assert_eq!(ended.count(), 500, "{done}");
}

#[test]
fn few_descriptors_are_a_clear_error_and_no_hang() {
    let room = Room::new(&programs(50));
    let running = Running::spawn(room.shell("ulimit -n 64;", "start --no-timestamp"));
    running.wait_for("p1.1  | up p1.1");
    // Which descriptor is one too many depends on how many the tool itself has.
    running.wait_until("the last one is refused", |text| {
        text.lines()
            .any(|line| line.starts_with("p50.1 | exit process not started") && line.contains("Too many open files"))
    });
    let done = running.stop(Signal::INT).expect(0).quietly();
    assert!(done.took < Duration::from_secs(10), "{done}");
}

#[test]
fn hardly_any_descriptors() {
    let room = Room::new("a: echo up\n");
    let mut least = 0;
    for limit in 4..24 {
        let command = room.shell(&format!("ulimit -n {limit};"), "start --no-timestamp --exit-on any");
        let done = Running::spawn(command).end();
        // It runs the program, or says why not.
        let ran = done.code == 0 && done.text().contains("a.1 | up\n");
        let said = format!("{}{}", done.text(), done.err);
        assert!(ran || done.code != 0 && said.contains("Too many open files"), "{limit}: {done}");
        assert!(least == 0 || ran, "{limit}: {done}");
        least = if ran && least == 0 { limit } else { least };
    }
    assert!((8..24).contains(&least), "{least}");
}

#[test]
fn while_nothing_happens_it_sleeps() {
    let room = Room::new(&programs(50));
    let running = room.start("start --no-timestamp");
    running.wait_until("all are up", |text| text.matches("| up").count() == 50);
    // What it has begun it may finish; then there is a while without a switch of any of its threads.
    let mut before = switches(running.pid());
    let mut idle = Instant::now();
    until(
        || {
            let now = switches(running.pid());
            if now != before {
                (before, idle) = (now, Instant::now());
            }
            idle.elapsed() > Duration::from_millis(400)
        },
        || running.dump(),
    );
    running.stop(Signal::INT).expect(0);
}
