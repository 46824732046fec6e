//! `gaffer start` before a person.

use std::time::Duration;

use gaffer::process::Signal;

use crate::support::{Room, quick, send, state, until};

#[test]
fn ctrl_c_stops_everything_within_a_second() {
    let room = Room::new("a: sleep 1000 & echo up; wait\nb: trap '' INT; echo up; while :; do sleep 1000; done\n");
    quick(Duration::from_secs(1), || {
        let mut terminal = room.on_terminal(&room.gaffer("start --no-color"));
        terminal.wait_for("a.1 | up");
        terminal.wait_for("b.1 | up");
        terminal.press("\x03");
        let done = terminal.end().expect(0).says("gaffer | stopping, waiting for");
        room.assert_empty();
        done.took
    });
}

#[test]
fn ctrl_c_twice_kills() {
    let room = Room::new("a: trap '' TERM; echo up; while :; do sleep 1000; done\n");
    let mut terminal = room.on_terminal(&room.gaffer("start --no-color"));
    terminal.wait_for("a.1 | up");
    terminal.press("\x03");
    terminal.wait_for("waiting for a.1");
    terminal.press("\x03");
    let done = terminal.end().expect(0).says("(SIGKILL)");
    assert!(done.took < Duration::from_secs(10), "{done}");
}

#[test]
fn modes_that_a_program_has_changed_are_put_back() {
    // A program in the background may not change them, unless it ignores SIGTTOU.
    let room = Room::new("a: trap '' TTOU; stty -echo -icanon -isig < /dev/tty && echo changed; exec sleep 1000\n");
    let terminal = room.on_terminal(&room.gaffer("start --no-color"));
    let before = terminal.modes();
    terminal.wait_for("| changed");
    assert_ne!(terminal.modes(), before);
    send(terminal.pid(), Signal::INT);
    until(|| terminal.modes() == before, || terminal.modes());
    terminal.end().expect(0);
}

#[test]
fn a_program_that_wants_the_terminal_does_not_disturb_the_others() {
    // It is in the background, so the terminal stops it.
    let room =
        Room::new("a: echo asking; read line < /dev/tty; echo got it\nb: while :; do echo tick; sleep 0.05; done\n");
    let mut terminal = room.on_terminal(&room.gaffer("start --no-color"));
    terminal.wait_for("asking");
    terminal.wait_for_after("tick", |_| {});
    terminal.press("\x03");
    let done = terminal.end().expect(0);
    assert!(done.took < Duration::from_secs(10), "{done}");
}

#[test]
fn suspended_and_resumed_by_a_shell() {
    let room = Room::new("a: while :; do echo tick; sleep 0.05; done\n");
    let mut shell = room.command("sh");
    shell.arg("-i").env("PS1", "$ ").env("GAFFER", env!("CARGO_BIN_EXE_gaffer"));
    let mut terminal = room.on_terminal(&shell);
    terminal.wait_for("$ ");
    terminal.press("$GAFFER start --no-color\n");
    terminal.wait_for("tick");
    let gaffer =
        || room.living().into_iter().find(|(_, line)| line.ends_with("start --no-color")).map_or(0, |(pid, _)| pid);
    let pid = gaffer();
    terminal.wait_for_after("$ ", |terminal| terminal.press("\x1a"));
    until(|| state(pid) == 'T', || state(pid).to_string());
    let stopped =
        || room.living().into_iter().filter(|(_, line)| !line.starts_with("sh -i")).all(|(pid, _)| state(pid) == 'T');
    until(stopped, || format!("{:?}", room.living()));
    // The shell has the terminal for itself.
    terminal.wait_for_after("4\r\n$ ", |terminal| terminal.press("echo $((2+2))\n"));
    terminal.wait_for_after("tick", |terminal| terminal.press("fg\n"));
    terminal.wait_for_after("$ ", |terminal| terminal.press("\x03"));
    terminal.wait_for_after("code 0", |terminal| terminal.press("echo code $?\n"));
    terminal.press("exit\n");
    terminal.end().expect(0);
}

#[test]
fn the_terminal_goes_away() {
    let room = Room::new("a: sleep 1000 & echo up; wait\nb: while :; do echo tick; sleep 0.05; done\n");
    let mut terminal = room.on_terminal(&room.gaffer("start --no-color"));
    terminal.wait_for("up");
    terminal.unplug();
    let done = terminal.end();
    assert!(done.took < Duration::from_secs(10), "{done}");
    room.assert_empty();
}
