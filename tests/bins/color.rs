//! When there are colours, and which.

use std::collections::BTreeSet;

use crate::support::{Room, Running};

const PROCFILE: &str = "web: echo hello\nworker: echo hello\n";

/// The output with these variables and arguments, not on a terminal.
fn output(vars: &[(&str, &str)], args: &str) -> String {
    let room = Room::new(PROCFILE);
    let mut command = room.gaffer(&format!("start --no-restart {args}"));
    command.envs(vars.iter().copied());
    Running::spawn(command).end().expect(0).quietly().text()
}

/// The same on a terminal.
fn on_terminal(vars: &[(&str, &str)], args: &str) -> String {
    let room = Room::new(PROCFILE);
    let mut command = room.gaffer(&format!("start --no-restart {args}"));
    command.env("TERM", "xterm").envs(vars.iter().copied());
    room.on_terminal(&command).end().expect(0).text()
}

#[test]
fn where_nobody_chooses() {
    assert!(!output(&[], "").contains('\x1b'));
    assert!(on_terminal(&[], "").contains('\x1b'));
    assert!(!on_terminal(&[("TERM", "dumb")], "").contains('\x1b'));
}

#[test]
fn the_environment_chooses() {
    assert!(!on_terminal(&[("NO_COLOR", "1")], "").contains('\x1b'));
    assert!(on_terminal(&[("NO_COLOR", "")], "").contains('\x1b'));
    assert!(output(&[("CLICOLOR_FORCE", "1")], "").contains('\x1b'));
    assert!(!output(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], "").contains('\x1b'));
}

#[test]
fn the_user_chooses() {
    assert!(output(&[("NO_COLOR", "1")], "--color always").contains('\x1b'));
    assert!(output(&[], "--color=always").contains('\x1b'));
    assert!(!on_terminal(&[], "--color never").contains('\x1b'));
    assert!(!on_terminal(&[("CLICOLOR_FORCE", "1")], "--no-color").contains('\x1b'));
    assert!(!output(&[], "--color always --json").contains('\x1b'));
}

#[test]
fn one_for_each_type() {
    let text = output(&[], "--color always --no-timestamp -c all=2");
    let of = |name: &str| -> BTreeSet<&str> {
        text.lines().filter(|line| line.contains(name)).map(|line| &line[..line.find(name).expect("a name")]).collect()
    };
    let (web, worker) = (of("web."), of("worker."));
    assert_eq!((web.len(), worker.len()), (1, 1), "{text}");
    assert!(web.is_disjoint(&worker), "{text}");
    // Of a program's line the prefix alone has it, of an event all.
    for line in text.lines() {
        let plain = line.ends_with("|\x1b[0m hello");
        assert!(plain || line.ends_with("\x1b[0m") && line.matches('\x1b').count() == 2, "{text}");
    }
}

#[test]
fn what_a_program_leaves_on_is_switched_off() {
    let room =
        Room::new("a: printf '\\033[31mred\\n'; sleep 0.1; printf 'still\\033[0m\\n'\nb: sleep 0.05; echo plain\n");
    let done = room.run("start --no-restart --no-timestamp --color always").expect(0);
    let text = done.text();
    assert!(text.contains(" \x1b[31mred\x1b[0m\n") && text.contains(" \x1b[31mstill\x1b[0m\n"), "{done}");
}
