//! `gaffer run`.

use std::fs::{Permissions, set_permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::support::{Done, Room, Running, until};

/// `gaffer run` with these words.
fn run(room: &Room, options: &str, words: &[&str]) -> Command {
    let mut command = room.gaffer(options);
    command.arg("run").args(words);
    command
}

#[track_caller]
fn done(room: &Room, options: &str, words: &[&str]) -> Done {
    Running::spawn(run(room, options, words)).end()
}

fn app() -> Room {
    Room::new("web: echo web on $PORT is $PS; pwd\nworker: echo $PORT $PS\n")
        .file(".env", "A=file\nGREETING='hello world'\n")
        .file("sub/Procfile", "x: true\n")
        .file("sub/.env", "A=sub\n")
}

#[test]
fn in_the_surroundings_of_the_application() {
    let room = app();
    let text = |options: &str, words: &[&str]| done(&room, options, words).expect(0).quietly().text();
    assert_eq!(text("", &["sh", "-c", "echo $A \"$GREETING\"; pwd"]), format!("file hello world\n{}\n", room.dir()));
    assert_eq!(text("", &["echo $A | tr a-z A-Z"]), "FILE\n");
    assert_eq!(text("-f sub/Procfile", &["echo $A; pwd"]), format!("sub\n{}/sub\n", room.dir()));
    assert_eq!(text("-d sub", &["echo $A"]), "sub\n");
    assert_eq!(text("-e sub/.env", &["echo $A"]), "sub\n");
    assert_eq!(text("", &["printf", "<%s>", "a b", "-e", "--json", "--", "-h"]), "<a b><-e><--json><--><-h>");
    let mut command = run(&room, "--env-override=false", &["echo $A $B"]);
    command.env("A", "outside").env("B", "outside");
    assert_eq!(Running::spawn(command).end().expect(0).text(), "outside outside\n");
}

#[test]
fn its_code_is_the_programs() {
    let room = app();
    done(&room, "", &["true"]).expect(0).quietly();
    done(&room, "", &["exit 3"]).expect(3).quietly();
    done(&room, "", &["kill -TERM $$"]).expect(143).quietly();
    done(&room, "", &["nonexistent-program"])
        .expect(127)
        .complains("gaffer: cannot run `nonexistent-program`: No such file");
    done(&room, "", &["./Procfile"]).expect(126).complains("gaffer: cannot run `./Procfile`: Permission denied");
    room.run("run").expect(2).complains("gaffer: COMMAND is missing\nTry `gaffer run --help`.");
}

#[test]
fn a_process_type_by_its_name() {
    let room = app();
    assert_eq!(done(&room, "", &["web"]).expect(0).text(), format!("web on 5000 is web.1\n{}\n", room.dir()));
    assert_eq!(done(&room, "", &["worker"]).expect(0).text(), "5100 worker.1\n");
    assert_eq!(done(&room, "-p 8000", &["worker"]).expect(0).text(), "8100 worker.1\n");
}

#[test]
fn a_port_that_is_asked_for() {
    let room = app();
    assert_eq!(done(&room, "-p 8000", &["echo $PORT"]).expect(0).text(), "8000\n");
    assert_eq!(done(&room, "", &["echo $PORT"]).expect(0).text(), "\n", "it is not the application's");
}

#[test]
fn without_a_procfile() {
    let room = Room::empty().file(".env", "A=1\n");
    assert_eq!(done(&room, "", &["echo $A"]).expect(0).quietly().text(), "1\n");
    done(&room, "-f Procfile", &["true"]).expect(1).complains("gaffer: cannot read Procfile: No such file");
    done(&room, "-e x.env", &["true"]).expect(1).complains("gaffer: cannot read x.env: No such file");
}

#[test]
fn standard_input_passes() {
    let room = app();
    let mut command = run(&room, "", &["wc", "-c"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("gaffer");
    child.stdin.take().expect("piped").write_all(&[b'x'; 100_000]).expect("a pipe");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "100000");
}

#[test]
fn signals_are_as_they_were() {
    // The standard library ignores SIGPIPE, and a program that inherits that complains. Signals from 32 on are the C
    // library's own affair.
    let room = app();
    let words =
        ["sh", "-c", "yes | head -n 1; grep -E '^Sig(Ign|Blk)' /proc/self/status | sed 's/:.[0-9a-f]\\{9\\}/:/'"];
    let mut plain = room.command(words[0]);
    plain.args(&words[1..]);
    let want = Running::spawn(plain).end().expect(0);
    assert_eq!(done(&room, "", &words).expect(0).quietly().text(), want.text());
}

#[test]
fn a_terminal_stays_one() {
    let room = app();
    let said =
        room.on_terminal(&run(&room, "", &["test -t 0 && test -t 1 && test -t 2 && echo yes; stty size </dev/tty"]));
    said.end().expect(0).says("yes\r\n0 0\r\n");

    let mut terminal = room.on_terminal(&run(&room, "", &["cat"]));
    terminal.press("hello\n");
    terminal.wait_for("hello\r\nhello\r\n");
    terminal.press("\x04");
    terminal.end().expect(0);

    let mut terminal = room.on_terminal(&run(&room, "", &["sleep", "1000"]));
    until(|| room.living().iter().any(|(_, line)| line == "sleep 1000"), || format!("{:?}", room.living()));
    terminal.press("\x03");
    terminal.end().expect(130);
    room.assert_empty();
}

#[test]
fn as_another_user() {
    let room = Room::new("web: id -u\n").file(".env", "GAFFER_UID=65534\nGAFFER_GID=65533\n");
    let ids = done(&room, "", &["id -u; id -g; id -G"]);
    if gaffer::sys::Credentials::current().uid != 0 {
        ids.expect(77).complains("gaffer: cannot become user 65534 and group 65533: Operation not permitted");
        return;
    }
    let text = ids.expect(0).quietly().text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["65534", "65533"], "{text}");
    assert!(lines[2].split(' ').all(|group| group != "0"), "root's groups are gone: {text}");
    assert_eq!(done(&room, "", &["web"]).expect(0).text(), "65534\n");
    set_permissions(room.dir(), Permissions::from_mode(0o700)).expect("ours");
    let refused = format!("gaffer: cannot enter '{}': Permission denied", room.dir());
    done(&room, "", &["web"]).expect(126).complains(&refused);

    let nobody = Room::new("web: true\n").file(".env", "GAFFER_UID=no-such-user\n");
    done(&nobody, "", &["true"]).expect(1).complains("gaffer: no such user: \"no-such-user\"");
}
