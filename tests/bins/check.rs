//! `gaffer check`.

use serde_json::{Value, json};

use crate::support::{Room, Running};

fn app() -> Room {
    Room::new("web: serve --port $PORT\nworker: work 'two words'\nclock: tick\n")
        .file(".env", "A=new\nSAME=same\nPATH=/elsewhere:/bin\n")
}

#[test]
fn as_text() {
    let room = app();
    let mut command = room.gaffer("check -c web=2,clock=0 -p 8000");
    command.env("SAME", "same");
    let done = Running::spawn(command).end().expect(0).quietly();
    let want = format!(
        "Programs, in {}:\n  web: 2 processes, ports 8000 to 8001\n    /bin/sh -c 'serve --port $PORT'\n  \
         worker: 1 process, port 8100\n    work 'two words'\n  clock: no process\n    tick\n\nVariables:\n  A=new\n  \
         PATH=/elsewhere:/bin    (was /usr/local/bin:/usr/bin:/bin)\n",
        room.dir()
    );
    assert_eq!(done.text(), want);
}

#[test]
fn as_json() {
    let room = app().file("Procfile", "web: serve $PORT\noops\n");
    let done = room.run("check --json --lenient").expect(0).quietly();
    let plan: Value = serde_json::from_str(&done.text()).expect("one object");
    assert_eq!(plan["root"], room.dir());
    assert_eq!(
        plan["programs"],
        json!([{"name": "web", "argv": ["/bin/sh", "-c", "serve $PORT"], "processes": 1, "port": 5000}])
    );
    assert_eq!(plan["env"][0], json!({"name": "A", "was": null, "value": "new"}));
    assert!(plan["warnings"][0].as_str().is_some_and(|warning| warning.starts_with("Procfile:2:5: ")), "{plan}");
    assert_eq!(done.text().lines().count(), 1);
}

#[test]
fn what_start_refuses_is_refused() {
    let room = app();
    room.run("check -f nothing").expect(1).complains("gaffer: cannot read nothing: No such file");
    room.run("check -c wbe=1").expect(2).complains("gaffer: concurrency wbe=1: the Procfile has no process type `wbe`");
    room.run("check web").expect(2).complains("gaffer: unexpected argument `web`");
    let room = Room::new("");
    room.run("check").expect(1).complains("gaffer: Procfile: there is no program in it");
    let room = Room::new("web: true\n").file(".env", "GAFFER_UID=no-such-user\n");
    let done = room.run("check").expect(1);
    assert!(done.err.contains("no-such-user"), "{done}");
}

#[test]
fn values_are_on_one_line_each_and_a_shell_reads_them() {
    let value = "one\ntwo \x1b[31mit's \\ \u{e9}\u{9b}1";
    let env = format!("A=\"{}\"\n", value.replace('\\', "\\\\"));
    let room = Room::new("web: true\n").file(".env", env);
    let done = room.run("check").expect(0).quietly();
    let text = done.text();
    assert!(!text.contains('\x1b') && text.lines().count() == 6, "{done}");
    let assignment = text.lines().last().expect("a line").trim();
    let mut shell = room.command("bash");
    shell.arg("-c").arg(format!("{assignment}; printf %s \"$A\""));
    assert_eq!(Running::spawn(shell).end().expect(0).text(), value);
}

#[test]
fn it_starts_nothing() {
    let room = Room::new("web: touch started\n");
    room.run("check").expect(0).quietly();
    assert!(!room.path("started").exists());
}
