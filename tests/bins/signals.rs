//! Signals to `gaffer start`, and what becomes of its programs.

use std::time::{Duration, Instant};

use gaffer::process::Signal;
use gaffer::sys::signal::is_ignored;

use crate::support::{Room, Running, quick, send, spawned, state, until};

/// A program with a child and a grandchild.
const FAMILY: &str = "a: sh -c 'sleep 1000 & sleep 1000 & wait' & sleep 1000 & echo up; wait\n";

#[test]
fn each_way_to_stop_ends_whole_groups_within_a_second() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        if signal == Signal::HUP && is_ignored(signal) {
            eprintln!("SKIPPED: these tests run under nohup(1), which gaffer respects");
            continue;
        }
        let room = Room::new(&format!("{FAMILY}b: echo up; exec sleep 1000\n"));
        quick(Duration::from_secs(1), || {
            let running = room.start("start --no-timestamp -c a=2");
            running.wait_until("all are up", |text| text.matches("| up").count() == 3);
            until(
                || room.living().iter().filter(|(_, line)| line == "sleep 1000").count() == 7,
                || format!("{:?}", room.living()),
            );
            let done = running.stop(signal).expect(0).quietly();
            room.assert_empty();
            assert_eq!(done.text().matches("exit process").count(), 3, "{done}");
            done.took
        });
    }
}

#[test]
fn at_any_moment_of_the_start() {
    let room = Room::new("a: echo up; exec sleep 1000\nb: sleep 1000 & wait\n");
    for step in 0..25 {
        let running = room.start("start");
        let wait = Instant::now() + Duration::from_micros(1500 * step);
        while Instant::now() < wait {
            std::hint::spin_loop();
        }
        let done = running.stop(Signal::TERM);
        // Before the handlers are there the signal ends it as it ends anything.
        assert!(done.code == 0 || done.code == 143 && done.out.is_empty(), "{done}");
        room.assert_empty();
    }
}

#[test]
fn who_is_awaited_is_told_and_the_second_signal_kills() {
    let room = Room::new("a: trap '' TERM INT; echo up; while :; do sleep 1000; done\nb: echo up; exec sleep 1000\n");
    quick(Duration::from_secs(1), || {
        let mut running = room.start("start --no-timestamp");
        running.wait_until("both are up", |text| text.matches("| up").count() == 2);
        let pid = spawned(&running.text(), "a.1")[0];
        running.signal(Signal::INT);
        running.wait_for("b.1 | exit process");
        let other = spawned(&running.text(), "b.1")[0];
        running.wait_for(&format!("gaffer | stopping, waiting for a.1 (pid {pid}), b.1 (pid {other})"));
        assert_ne!(state(pid), '-', "it does not listen");
        let done = running.stop(Signal::INT).expect(0).quietly();
        let done = done.says(&format!("a.1 | exit process with pid {pid} (SIGKILL)"));
        room.assert_empty();
        done.took
    });
}

#[test]
fn who_does_not_listen_is_killed_in_time() {
    let room = Room::new("a: trap '' TERM; echo up; while :; do sleep 1000; done\n");
    let running = room.start("start --no-timestamp -t 0.5");
    running.wait_for("| up");
    let done = running.stop(Signal::TERM).expect(0).quietly();
    assert!(done.took >= Duration::from_millis(500), "{done}");
    assert!(done.took < Duration::from_secs(10), "{done}");
    done.says("(SIGKILL)");
}

#[test]
fn without_patience() {
    let room = Room::new("a: trap '' TERM; echo up; while :; do sleep 1000; done\n");
    let running = room.start("start --no-timestamp -t 0");
    running.wait_for("| up");
    let done = running.stop(Signal::TERM).expect(0).quietly().says("(SIGKILL)");
    assert!(done.took < Duration::from_secs(10), "{done}");
}

#[test]
fn a_grandchild_that_does_not_listen_is_killed_too() {
    let room = Room::new("a: (trap '' TERM; echo up; while :; do sleep 1000; done) & wait\n");
    let running = room.start("start --no-timestamp -t 0.3");
    running.wait_for("| up");
    let done = running.stop(Signal::TERM).expect(0).quietly();
    assert!(done.took < Duration::from_secs(10), "{done}");
    room.assert_empty();
}

#[test]
fn who_has_left_the_group_is_not_waited_for() {
    // It keeps the pipes of the program open.
    let room = Room::new("a: setsid sleep 1000 & echo up; wait\n");
    let running = room.start("start --no-timestamp");
    let sleeping = || room.living().into_iter().find(|(_, line)| line == "sleep 1000");
    until(|| sleeping().is_some() && running.text().contains("| up"), || running.dump());
    let done = running.stop(Signal::INT).expect(0).quietly();
    assert!(done.took < Duration::from_secs(10), "{done}");
    send(sleeping().expect("it is on its own").0, Signal::KILL);
}

#[test]
fn last_words_are_heard() {
    let room = Room::new("a: trap 'echo bye; echo bye >&2; exit 0' TERM; sleep 1000 & wait\n");
    let running = room.start("start --no-timestamp");
    // Before it is itself it is a shell that may take the signal for its own.
    until(|| room.living().iter().any(|(_, line)| line == "sleep 1000"), || running.dump());
    let done = running.stop(Signal::INT).expect(0).quietly();
    assert_eq!(done.of("a.1").iter().filter(|line| *line == "bye").count(), 2, "{done}");
    done.says("(code 0)");
}

#[test]
fn a_stopped_program_can_be_told_to_end() {
    let room = Room::new("a: echo up; exec sleep 1000\n");
    let running = room.start("start --no-timestamp");
    running.wait_for("| up");
    let pid = spawned(&running.text(), "a.1")[0];
    send(pid, "STOP".parse().expect("a signal"));
    until(|| state(pid) == 'T', || state(pid).to_string());
    let done = running.stop(Signal::INT).expect(0).says("(SIGTERM)");
    assert!(done.took < Duration::from_secs(10), "{done}");
}

#[test]
fn suspended_with_its_programs_and_resumed() {
    let room = Room::new("a: sleep 1000 & while :; do echo tick; sleep 0.05; done\n");
    let mut running = room.start("start --no-timestamp");
    running.wait_for("tick");
    let all = |want: fn(char) -> bool| {
        let living = room.living();
        living.len() >= 3 && living.iter().all(|(pid, _)| want(state(*pid)))
    };
    let show = || format!("{:?}", room.living().into_iter().map(|(pid, line)| (state(pid), line)).collect::<Vec<_>>());
    for _ in 0..2 {
        running.signal(Signal::TSTP);
        // D: its new child is stopped before it is itself, as vfork(2) has it.
        until(|| all(|state| "TD".contains(state)), show);
        running.signal(Signal::CONT);
        until(|| all(|state| state != 'T'), show);
        let ticks = running.text().matches("tick").count();
        running.wait_until("it goes on", |text| text.matches("tick").count() > ticks + 1);
    }
    running.stop(Signal::INT).expect(0).quietly();
}

#[test]
fn under_nohup_it_stays() {
    // nohup(1) ignores SIGHUP, and whoever starts us so means it.
    let room = Room::new("a: echo up; exec sleep 1000\n");
    let mut running = Running::spawn(room.shell("trap '' HUP;", "start --no-timestamp"));
    running.wait_for("| up");
    running.signal(Signal::HUP);
    let pid = spawned(&running.text(), "a.1")[0];
    send(pid, Signal::HUP);
    // Its programs have the default, and this one comes back.
    running.wait_until("it works on", |text| text.matches("| up").count() == 2);
    assert!(!running.text().contains("stopping"), "{}", running.dump());
    running.stop(Signal::TERM).expect(0).says("(SIGHUP)");
}
