//! Help, versions, and what is said of a wrong command line.

use std::fs::File;
use std::process::Stdio;

use crate::support::{Room, Running};

const COMMANDS: [&str; 17] = [
    "start", "run", "check", "load", "unload", "reload", "apps", "ps", "ps:info", "ps:start", "stop", "restart",
    "scale", "kill", "commit", "send", "recv",
];

#[test]
fn help_is_an_answer() {
    let room = Room::empty();
    let all = room.run("--help").expect(0).quietly().says("Usage: gaffer COMMAND");
    for args in ["help", "-h", "help help"] {
        assert_eq!(room.run(args).expect(0).quietly().text(), all.text(), "{args}");
    }
    for command in COMMANDS {
        let help = room.run(&format!("help {command}")).expect(0).quietly().says(&format!("Usage: gaffer {command} "));
        for args in [format!("{command} --help"), format!("{command} -h"), format!("--help {command}")] {
            let answer = room.run(&args).expect(0).quietly();
            assert!(answer.text() == help.text() || answer.text() == all.text(), "{args}: {answer}");
        }
        assert!(help.text().lines().all(|line| line.chars().count() <= 80), "{help}");
    }
    // It wins over what is missing, and what follows a command is the command's.
    room.run("run --help").expect(0).says("Usage: gaffer run");
    room.run("run echo --help").expect(0).says("--help");
}

#[test]
fn version() {
    for args in ["--version", "start --version"] {
        let text = Room::empty().run(args).expect(0).quietly().text();
        assert_eq!(text, format!("gaffer {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn mistakes_are_told_with_what_was_meant() {
    let room = Room::new("web: true\n");
    for (args, want) in [
        ("", "gaffer: a command is missing\nTry `gaffer --help`.\n"),
        ("strat", "gaffer: unknown command `strat`; did you mean `start`?\nTry `gaffer --help`.\n"),
        ("help strat", "gaffer: unknown command `strat`; did you mean `start`?\nTry `gaffer --help`.\n"),
        ("frobnicate", "gaffer: unknown command `frobnicate`\nTry `gaffer --help`.\n"),
        (
            "start --no-colour",
            "gaffer: unknown option `--no-colour`; did you mean `--no-color`?\nTry `gaffer start --help`.\n",
        ),
        ("--jsn start", "gaffer: unknown option `--jsn`; did you mean `--json`?\nTry `gaffer --help`.\n"),
        ("start -x", "gaffer: unknown option `-x`\nTry `gaffer start --help`.\n"),
        ("start -f", "gaffer: -f needs a value: FILE\nTry `gaffer start --help`.\n"),
        (
            "start -t soon",
            "gaffer: invalid value `soon` for -t: expected seconds, or a number with ms, s, m or h (10, 1.5, 500ms, 2m)\n",
        ),
        ("start --json=yes", "gaffer: --json takes no value, but got `yes`\n"),
        ("start --quiet --verbose", "gaffer: --quiet and --verbose exclude each other\n"),
        ("start --color red", "gaffer: invalid value `red` for --color: expected auto, always or never\n"),
        ("start --flapping 1,2", "gaffer: invalid value `1,2` for --flapping: expected four values"),
    ] {
        room.run(args).expect(2).complains(want);
    }
}

#[test]
fn arguments_that_are_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let room = Room::new("web: true\n");
    let mut command = room.gaffer("start");
    command.arg(std::ffi::OsStr::from_bytes(b"w\xffb"));
    let done = Running::spawn(command).end().expect(2);
    assert!(done.err.contains("it is not UTF-8"), "{done}");
}

#[test]
fn an_answer_nobody_takes() {
    let room = Room::new("web: true\n");
    for args in ["help", "check", "check --json"] {
        let full = File::options().write(true).open("/dev/full").expect("/dev/full");
        let (running, _) = Running::unread(&mut room.gaffer(args), full.into());
        let done = running.end().expect(1);
        assert!(done.err.starts_with("gaffer: cannot write to standard output: No space left"), "{done}");

        let (closed, pipe) = gaffer::sys::stdio::pipe().expect("a pipe");
        drop(closed);
        let (running, _) = Running::unread(&mut room.gaffer(args), Stdio::from(pipe));
        running.end().expect(0).quietly();
    }
}
