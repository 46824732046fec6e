//! Which application: Procfile, folder, variables, numbers of processes, ports.

use gaffer::process::Signal;

use crate::support::{Done, Room, Running};

/// Runs all programs once.
#[track_caller]
fn once(room: &Room, args: &str) -> Done {
    room.run(&format!("start --no-timestamp --no-restart {args}")).expect(0).quietly()
}

/// What the one line of a program is, beside its events.
#[track_caller]
fn line(done: &Done, name: &str) -> String {
    let lines = done.of(name);
    assert_eq!(lines.len(), 3, "{done}");
    lines[1].clone()
}

const PORTS: &str = "web: echo $PS $PORT\nworker: echo $PS $PORT\nclock: echo $PS $PORT\n";

/// The processes that ran and their ports, in order.
#[track_caller]
fn ports(args: &str, vars: &[(&str, &str)], env: &str) -> Vec<String> {
    let room = Room::new(PORTS).file(".env", env);
    let mut command = room.gaffer(&format!("start --no-timestamp --no-restart -q {args}"));
    command.envs(vars.iter().copied());
    let done = Running::spawn(command).end().expect(0).quietly();
    let mut lines: Vec<String> = done
        .text()
        .lines()
        .map(|line| {
            let (name, text) = line.split_once('|').expect("a prefix");
            assert!(text.trim().starts_with(name.trim()), "PS is the name: {done}");
            text.trim().to_owned()
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn numbers_of_processes() {
    for (args, want) in [
        ("", &["clock.1 5200", "web.1 5000", "worker.1 5100"][..]),
        ("-c web=2,worker=0", &["clock.1 5200", "web.1 5000", "web.2 5001"]),
        ("-c all=2,clock=0", &["web.1 5000", "web.2 5001", "worker.1 5100", "worker.2 5101"]),
        ("-c all=0 -c clock=1", &["clock.1 5200"]),
        ("--concurrency=web=2 web", &["web.1 5000", "web.2 5001"]),
        ("worker clock", &["clock.1 5200", "worker.1 5100"]),
        ("clock clock", &["clock.1 5200"]),
    ] {
        assert_eq!(ports(args, &[], ""), want, "{args}");
    }
}

#[test]
fn the_base_port() {
    assert_eq!(ports("-p 8000 web", &[("PORT", "7000")], "PORT=6000"), ["web.1 8000"]);
    assert_eq!(ports("worker", &[("PORT", "7000")], "PORT=6000"), ["worker.1 6100"]);
    assert_eq!(ports("worker", &[("PORT", "7000")], ""), ["worker.1 7100"]);
    assert_eq!(ports("--env-override=false worker", &[("PORT", "7000")], "PORT=6000"), ["worker.1 7100"]);
    let room = Room::new(PORTS);
    let mut command = room.gaffer("start");
    command.env("PORT", "http");
    let done = Running::spawn(command).end().expect(1);
    done.complains("gaffer: invalid PORT \"http\" in the environment: expected 1 to 65535");
    room.run("start -p 65400").expect(1).complains("gaffer: Procfile:3: `clock` would get the ports 65600");
    room.run("start -p 0").expect(2).complains("gaffer: invalid value `0` for -p: expected 1 to 65535");
}

#[test]
fn names_that_the_procfile_does_not_have() {
    let room = Room::new(PORTS);
    let unknown = |name: &str| format!("the Procfile has no process type `{name}`");
    for (args, want) in [
        ("wbe", format!("gaffer: {}; did you mean `web`?", unknown("wbe"))),
        ("database", format!("gaffer: {}\n", unknown("database"))),
        ("-c wroker=2", format!("gaffer: concurrency wroker=2: {}; did you mean `worker`?", unknown("wroker"))),
        ("-c web", "gaffer: invalid concurrency \"web\": expected name=number".to_owned()),
        ("-c web=-1", "gaffer: invalid concurrency \"web=-1\": expected name=number".to_owned()),
    ] {
        for command in ["start", "check"] {
            // `check` shows all of the Procfile.
            if args.starts_with('-') || command == "start" {
                room.run(&format!("{command} {args}")).expect(2).complains(&want);
            }
        }
    }
}

#[test]
fn nothing_to_run_is_an_error() {
    for (procfile, args, code, want) in [
        ("", "", 1, "gaffer: Procfile: there is no program in it\n"),
        ("# web: not yet\n\n", "", 1, "gaffer: Procfile: there is no program in it\n"),
        ("web: sleep 1000\n", "-c web=0", 2, "gaffer: nothing to run: every program has 0 processes\n"),
        ("web: sleep 1000\nb: true\n", "-c web=0 web", 2, "gaffer: nothing to run: every program has 0 processes\n"),
    ] {
        Room::new(procfile).run(&format!("start {args}")).expect(code).complains(want);
    }
}

#[test]
fn files_of_variables() {
    let room = Room::new("a: echo \"$A,$B,$C,$D\"\n")
        .file(".env", "A=default\nB=default\n")
        .file("one.env", "A=one\nexport B='$A'\nC=\"${A}'s\"\n")
        .file("two.env", "# comment\nA=two\nD=${A}${B}\n");
    assert_eq!(line(&once(&room, ""), "a.1"), "default,default,,");
    assert_eq!(line(&once(&room, "-e one.env"), "a.1"), "one,$A,one's,");
    assert_eq!(line(&once(&room, "-e one.env --env two.env"), "a.1"), "two,$A,one's,two$A");
    room.run("start -e three.env").expect(1).complains("gaffer: cannot read three.env: No such file or directory");
    let room = room.file("bad.env", "A=1\n B=\"open\n");
    room.run("start -e bad.env").expect(1).complains("gaffer: bad.env:2:4: ");
}

#[test]
fn who_wins() {
    let room = Room::new("a: echo $A $B\n").file(".env", "A=file\n");
    for (args, want) in
        [("", "file outside"), ("--env-override=false", "outside outside"), ("--env-override", "file outside")]
    {
        let mut command = room.gaffer(&format!("start --no-timestamp --no-restart {args}"));
        command.env("A", "outside").env("B", "outside");
        assert_eq!(line(&Running::spawn(command).end().expect(0).quietly(), "a.1"), want, "{args}");
    }
}

#[test]
fn the_folder() {
    let room = Room::empty()
        .file("sub/Procfile", "a: pwd; cat here\n")
        .file("sub/here", "in sub\n")
        .file("sub/.env", "X=1\n")
        .file("other/Procfile.dev", "a: pwd; cat here\n")
        .file("other/here", "in other\n");
    for (args, folder) in [
        ("-f sub/Procfile", "sub"),
        ("-d sub", "sub"),
        ("-d sub -f other/Procfile.dev", "sub"),
        ("-f sub/Procfile -d other", "other"),
        ("-f ./other/../other/Procfile.dev", "other"),
    ] {
        let done = once(&room, args);
        let lines = done.of("a.1");
        assert!(lines[1].ends_with(&format!("/{folder}")) && !lines[1].contains(".."), "{args}: {done}");
        assert_eq!(lines[2], format!("in {folder}"), "{args}: {done}");
    }
    room.run("start").expect(1).complains("gaffer: cannot read Procfile: No such file or directory");
    room.run("start -f nothing/Procfile")
        .expect(1)
        .complains("gaffer: cannot read nothing/Procfile: No such file or directory");
    room.run("start -d sub/here").expect(1).complains("gaffer: root sub/here is not a folder");
    room.run("start -d nothing").expect(1).complains("gaffer: root nothing: No such file or directory");
    room.run("start -f sub").expect(1).complains("gaffer: cannot read sub: Is a directory");
}

#[test]
fn a_procfile_that_a_command_writes() {
    let room = Room::empty().file(".env", "A=1\n");
    let mut command = room.command("bash");
    let gaffer = env!("CARGO_BIN_EXE_gaffer");
    command.arg("-c").arg(format!("{gaffer} start --no-timestamp --no-restart -f <(echo 'a: echo $A $PWD')"));
    let done = Running::spawn(command).end().expect(0).quietly();
    assert_eq!(line(&done, "a.1"), format!("1 {}", room.dir()));
}

#[test]
fn folders_with_any_name() {
    for name in ["123", "a b.c", "ü", "-x", "a'b\"c"] {
        let room = Room::empty().file(&format!("{name}/Procfile"), "a: basename \"$PWD\"\n");
        let mut command = room.gaffer("start --no-timestamp --no-restart -d");
        command.arg(room.path(name));
        assert_eq!(line(&Running::spawn(command).end().expect(0).quietly(), "a.1"), name);
    }
}

#[test]
fn faults_of_a_procfile() {
    for (text, want) in [
        (
            "a: true\nweb = server\n",
            "Procfile:2:5: expected `name: command`, found \"web = server\"; did you mean `web: server`?",
        ),
        ("a: true\n  b: true\n", "Procfile:2:1: "),
        ("a: true\na: false\n", "Procfile:2:1: the name `a` is taken: line 1 has it already"),
        ("a:\n", "Procfile:1:3: expected a command after `a:`"),
        ("1: true\n", "Procfile:1: "),
    ] {
        let room = Room::new(text);
        room.run("start").expect(1).complains(&format!("gaffer: {want}"));
        room.run("check").expect(1).complains(&format!("gaffer: {want}"));
    }
    let room = Room::empty().file("Procfile", b"a: true\nb: \xff\n");
    room.run("start").expect(1).complains("gaffer: Procfile:2:4: this is not UTF-8");
}

#[test]
fn leniently() {
    let room = Room::new("\u{feff}a: echo hello\r\nweb = server\r\n# comment\r\n\tb: no\r\n");
    let done = room.run("start --no-timestamp --no-restart --lenient").expect(0);
    assert_eq!(line(&done, "a.1"), "hello", "{done}");
    let warnings: Vec<&str> = done.err.lines().collect();
    assert_eq!(warnings.len(), 2, "{done}");
    assert!(
        warnings[0].starts_with("gaffer: Procfile:2:5: expected") && warnings[1].starts_with("gaffer: Procfile:4:1:")
    );
    assert!(warnings.iter().all(|warning| warning.ends_with("; the line is skipped")), "{done}");
}

#[test]
fn plain_commands_need_no_shell() {
    let room = Room::new("plain: sleep 1000\nshell: sleep 1000; true\n");
    let running = room.start("start --no-timestamp");
    running.wait_until("both run", |text| text.matches("spawn").count() == 2);
    let text = running.text();
    let line = |name: &str| {
        let pid = crate::support::spawned(&text, name)[0];
        room.living().into_iter().find(|(p, _)| *p == pid).map(|(_, line)| line).unwrap_or_default()
    };
    crate::support::until(|| line("plain.1") == "sleep 1000", || line("plain.1"));
    crate::support::until(|| line("shell.1").starts_with("/bin/sh -c"), || line("shell.1"));
    running.stop(Signal::INT).expect(0);
}

#[test]
fn words_are_those_of_a_shell() {
    let room = Room::new("a: printf '<%s>' \"one two\" it\\'s $((1+2)) *.txt ~ | cat\nb: printf <%s> one \"two three\"\nc: printf '<%s>' a \"b c\"\n")
        .file("x.txt", "");
    let done = room.run("start --no-timestamp --no-restart a c").quietly().expect(0);
    assert!(done.of("a.1")[1].starts_with("<one two><it's><3><x.txt>"), "{done}");
    assert_eq!(line(&done, "c.1"), "<a><b c>");
}

#[test]
fn as_another_user() {
    if std::fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m)).unwrap_or(1) != 0 {
        let room = Room::new("a: true\n").file(".env", "GAFFER_UID=no-such-user\n");
        room.run("start").expect(1).complains("gaffer: ");
        return;
    }
    for (env, want) in [
        ("GAFFER_UID=65534\n", "65534 65534 65534"),
        ("GAFFER_UID=nobody\n", "65534 65534 65534"),
        ("GAFFER_UID=nobody\nGAFFER_GID=12\n", "65534 12 12"),
        ("GAFFER_GID=12\n", "0 12 12"),
        ("GAFFER_UID=\n", "0 0"),
    ] {
        let room = Room::new("a: cd /; echo $(id -u) $(id -g) $(id -G) > /dev/stdout\n").file(".env", env);
        // The folder is the test's own, and must be open to the user.
        let done = once(&room, "");
        assert!(line(&done, "a.1").starts_with(want), "{env}: {done}");
    }
    let room = Room::new("a: true\n").file(".env", "GAFFER_UID=no-such-user\n");
    let done = room.run("start").expect(1);
    assert!(done.err.contains("no-such-user"), "{done}");
}

#[test]
fn redirected_input_stays_open() {
    let room = Room::new("open: cat; echo ended\nnull: cat; echo ended; sleep 1000\n")
        .file(".env", "GAFFER_REDIRECT_INPUT=open\n");
    let running = room.start("start --no-timestamp");
    running.wait_for("null.1 | ended");
    assert!(!running.text().contains("open.1 | ended"), "{}", running.dump());
    running.stop(Signal::INT).expect(0).quietly();

    let room = Room::new("web: cat\n").file(".env", "GAFFER_REDIRECT_INPUT=wbe\n");
    let want = "gaffer: GAFFER_REDIRECT_INPUT: the Procfile has no process type `wbe`; did you mean `web`?";
    room.run("start").expect(1).complains(want);
}
