//! When `gaffer start` ends by itself, and with which code.

use gaffer::process::Signal;

use crate::support::Room;

/// Runs a Procfile to its end.
#[track_caller]
fn check(procfile: &str, args: &str, code: i32) {
    let room = Room::new(procfile);
    room.run(&format!("start {args}")).expect(code).quietly();
    room.assert_empty();
}

#[test]
fn without_restarts_when_all_have_ended() {
    check("a: sleep 0.1\nb: echo hello\n", "--no-restart", 0);
    check("a: sleep 0.1; exit 3\nb: echo hello\n", "--no-restart", 3);
    check("a: kill -TERM $$\nb: sleep 0.1\n", "--no-restart", 143);
    check("a: nonexistent-program\n", "--no-restart", 127);
}

#[test]
fn on_any() {
    check("a: sleep 1000\nb: sleep 0.1\n", "--exit-on any", 0);
    check("a: sleep 1000\nb: sleep 0.1; exit 4\n", "--exit-on any", 4);
}

#[test]
fn on_failure() {
    check("a: sleep 0.05\nb: sleep 0.3; exit 5\n", "--exit-on failure", 5);
    check("a: sleep 0.05\nb: sleep 0.3; kill -9 $$\n", "--exit-on failure", 137);
    check("a: sleep 0.05\nb: sleep 0.1\n", "--exit-on failure --no-restart", 0);
    check("a: nonexistent-program\nb: sleep 1000\n", "--exit-on failure", 127);
}

#[test]
fn on_all() {
    check("a: exit 0\nb: sleep 0.2\n", "--exit-on all", 0);
    check("a: exit 6\nb: sleep 0.2\n", "--exit-on all", 6);
}

#[test]
fn on_a_name() {
    check("a: exit 1\nb: sleep 0.3; exit 7\nc: sleep 1000\n", "--exit-on b --exit-code-from b", 7);
    check("a: exit 1\nb: sleep 0.1; exit 7\n", "--exit-on b", 7);
}

#[test]
fn with_the_code_of_one() {
    check("a: exit 9\nb: sleep 0.3; exit 7\n", "--exit-code-from b", 7);
    check("a: sleep 1000\nb: kill -KILL $$\n", "--exit-code-from b", 137);
    let b = "b: trap 'exit 8' TERM; touch up; sleep 1000 & wait\n";
    check(&format!("a: until test -e up; do sleep 0.02; done; exit 1\n{b}"), "--exit-on a --exit-code-from b", 8);
    check("a: sleep 0.1; exit 255\n", "--exit-code-from a", 255);
}

#[test]
fn what_ends_everything_has_no_successor() {
    for args in ["--exit-on any", "--exit-on failure", "--exit-on b", "--exit-code-from b", "--exit-on all"] {
        let room = Room::new("b: echo run >> runs; sleep 0.1; exit 3\n");
        room.run(&format!("start {args}")).expect(3).quietly();
        assert_eq!(std::fs::read_to_string(room.path("runs")).expect("a file"), "run\n", "{args}");
    }
    // What succeeds comes back.
    let b = "b: touch runs; until test $(wc -l < runs) -gt 2; do sleep 0.02; done; exit 3\n";
    let room = Room::new(&format!("a: echo run >> runs; sleep 0.05\n{b}"));
    room.run("start --exit-on failure").expect(3).quietly();
}

#[test]
fn asked_to_end_it_ends_with_0() {
    let room = Room::new("a: exec sleep 1000\nb: exit 1\n");
    let running = room.start("start");
    running.wait_for("spawn");
    running.stop(Signal::INT).expect(0).quietly();

    let running = room.start("start --exit-code-from a");
    running.wait_for("a.1 | spawn");
    running.stop(Signal::INT).expect(143).quietly();
}

#[test]
fn names_that_no_program_has_are_refused() {
    let room = Room::new("web: sleep 1000\nworker: sleep 1000\n");
    room.run("start --exit-on wbe")
        .expect(2)
        .complains("gaffer: --exit-on: no program `wbe` is started; did you mean `web`?");
    room.run("start --exit-on falure")
        .expect(2)
        .complains("gaffer: --exit-on: no program `falure` is started; did you mean `failure`?");
    room.run("start --exit-code-from wroker").expect(2).complains("gaffer: --exit-code-from: no program `wroker`");
    room.run("start web --exit-code-from worker").expect(2).complains("gaffer: --exit-code-from: no program `worker`");
    room.run("start -c worker=0 --exit-on worker").expect(2).complains("gaffer: --exit-on: no program `worker`");
}
