//! Many programs, and few descriptors.

use std::time::Duration;

use gaffer::process::Signal;

use crate::support::{Room, Running, quick};

fn programs(count: usize) -> String {
    (1..=count).map(|n| format!("p{n}: echo up $PS; exec sleep 1000\n")).collect()
}

#[test]
fn two_hundred_types() {
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
    let room = Room::new("a: echo up; exec sleep 1000\nb: trap '' TERM; sleep 0.3\n");
    let running = room.start("start --no-timestamp -c a=500");
    running.wait_until("all are up", |text| text.matches("| up").count() == 500);
    let done = running.stop(Signal::INT).expect(0).quietly();
    let waiting = done.of("gaffer");
    assert!(waiting[0].starts_with("stopping, waiting for ") && waiting[0].len() < 500, "{}", waiting[0]);
    assert_eq!(done.text().matches("(SIGTERM)").count(), 500, "{done}");
}

#[test]
fn few_descriptors_are_a_clear_error_and_no_hang() {
    let room = Room::new(&programs(50));
    let running = Running::spawn(room.shell("ulimit -n 64;", "start --no-timestamp"));
    running.wait_for("p1.1  | up p1.1");
    running.wait_for("p50.1 | exit process not started: cannot make a pipe: Too many open files");
    quick(Duration::from_secs(10), || Duration::ZERO);
    let done = running.stop(Signal::INT).expect(0).quietly();
    assert!(done.took < Duration::from_secs(10), "{done}");
}

#[test]
fn hardly_any_descriptors() {
    let room = Room::new(&programs(3));
    for limit in 3..16 {
        let done = Running::spawn(room.shell(
            &format!("ulimit -n {limit};"),
            "start --no-timestamp --no-restart -c all=0,p1=1 --exit-on any -t 0.1",
        ));
        // Whatever it says, it says something, and ends.
        let _ = done;
    }
}
