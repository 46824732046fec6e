//! `gaffer start --tty`: a terminal for each program.

use std::time::Duration;

use gaffer::process::Signal;

use crate::support::{Room, state, until};

#[test]
fn programs_see_a_terminal() {
    let room = Room::new("a: test -t 1 && test -t 2 && echo yes; echo out; echo err >&2; printf 'no end'; exit 3\n");
    let done = room.run("start --tty --no-timestamp --no-restart").expect(3).quietly();
    let lines = done.of("a.1");
    assert_eq!(lines[1..lines.len() - 1], ["yes", "out", "err", "no end"], "{done}");
}

#[test]
fn long_output_is_complete() {
    // seq closes its output before it ends: the terminal must not hang up on it meanwhile.
    let room = Room::new("a: seq -f %0100g 20000\n");
    let done = room.run("start --tty --no-timestamp --no-restart -q --exit-code-from a").expect(0).quietly();
    let text = done.text();
    assert!(text.lines().zip(1..).all(|(line, n)| line == format!("a.1 | {n:0100}")), "{done}");
    assert_eq!(text.lines().count(), 20_000, "{done}");
}

#[test]
fn suspended_and_resumed() {
    // Each leads a session of its own, where SIGTSTP stops nobody.
    let room = Room::new("a: while :; do echo tick; sleep 0.05; done\n");
    let mut running = room.start("start --tty --no-timestamp");
    running.wait_for("tick");
    let states = || room.living().into_iter().map(|(pid, _)| state(pid)).collect::<Vec<_>>();
    running.signal(Signal::TSTP);
    until(|| states().len() >= 2 && states().iter().all(|state| "TD".contains(*state)), || format!("{:?}", states()));
    running.signal(Signal::CONT);
    let ticks = running.text().matches("tick").count();
    running.wait_until("it goes on", |text| text.matches("tick").count() > ticks + 1);
    running.stop(Signal::INT).expect(0).quietly();
}

#[test]
fn all_end_with_it() {
    let room = Room::new("a: sleep 1000 & echo up; wait\n");
    let running = room.start("start --tty --no-timestamp");
    running.wait_for("| up");
    let done = running.stop(Signal::INT).expect(0).quietly();
    assert!(done.took < Duration::from_secs(10), "{done}");
    room.assert_empty();
}
