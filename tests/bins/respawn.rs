//! What ends is started again, and at which pace.

use gaffer::process::Signal;
use serde_json::Value;

use crate::json::objects;
use crate::support::{Room, send, spawned};

/// The times of these events of `name`.
fn times(objects: &[Value], name: &str, event: &str) -> Vec<f64> {
    let of = objects.iter().filter(|o| o["name"] == name && o["event"] == event);
    of.map(|o| o["time"].as_f64().expect("a number")).collect()
}

#[test]
fn at_once_and_then_with_growing_pauses() {
    let room = Room::new("a: exit 1\nsteady: sleep 1000\n");
    let running = room.start("start --json");
    let spawns = |text: &str| text.lines().filter(|l| l.contains("\"spawn\"") && l.contains("\"a.1\"")).count();
    running.wait_until("six processes", |text| spawns(text) >= 6);
    let done = running.stop(Signal::INT).expect(0).quietly();
    let objects = objects(&done.text());
    let (spawns, exits) = (times(&objects, "a.1", "spawn"), times(&objects, "a.1", "exit"));
    // Spec 3: 0 for the first, then 0.1 s doubling. An event may be told a little later than it was decided, and a machine may be
    // busy, which the other bound is for.
    for (n, pause) in [0.0, 0.1, 0.2, 0.4, 0.8].into_iter().enumerate() {
        let waited = spawns[n + 1] - exits[n];
        assert!(waited > pause * 0.75 - 0.02 && waited < pause + 10.0, "pause {n} was {waited} s\n{done}");
    }
    assert_eq!(times(&objects, "steady.1", "spawn").len(), 1, "{done}");
}

#[test]
fn a_killed_program_comes_back_with_its_name_and_port() {
    let room = Room::new("web: echo $PS on $PORT; exec sleep 1000\n");
    let running = room.start("start --no-timestamp -c web=2 -p 7000");
    running.wait_for("web.1 on 7000");
    running.wait_for("web.2 on 7001");
    let first = spawned(&running.text(), "web.1")[0];
    send(first, Signal::KILL);
    running.wait_until("web.1 is back", |text| text.matches("web.1 on 7000").count() == 2);
    let done = running.stop(Signal::TERM).expect(0).quietly();
    assert!(done.text().contains(&format!("web.1 | exit process with pid {first} (SIGKILL)")), "{done}");
    assert_eq!(done.text().matches("web.2 on 7001").count(), 1, "{done}");
}

#[test]
fn what_a_crashed_program_leaves_behind_ends_before_the_next() {
    // Its port would be taken.
    let room = Room::new("a: (trap '' TERM; sleep 1000) & sleep 0.3; exit 1\n");
    let running = room.start("start --no-timestamp -t 0.3");
    running.wait_until("the second", |text| text.matches("spawn").count() >= 2);
    let sleeping = room.living().iter().filter(|(_, line)| line == "sleep 1000").count();
    assert!(sleeping <= 1, "{:?}", room.living());
    running.stop(Signal::INT).expect(0);
}

#[test]
fn flapping_pauses_and_gives_up() {
    let room = Room::new("a: exit 5\n");
    let done = room.run("start --no-timestamp --flapping 2,5,0.2,2").expect(1).quietly();
    assert_eq!(
        done.of("a"),
        [
            "flap a: crashes too often, try 1 in 0.2 s",
            "flap a: crashes too often, try 2 in 0.2 s",
            "flap a: crashes too often, given up"
        ],
        "{done}"
    );
}

#[test]
fn one_type_given_up_leaves_the_others() {
    let room = Room::new("a: exit 5\nb: sleep 1000\n");
    let running = room.start("start --no-timestamp --flapping 1,5,0.05,1");
    running.wait_for("given up");
    running.stop(Signal::INT).expect(0).says("b.1 | exit process");
}

#[test]
fn a_program_that_is_missing_is_no_hot_loop() {
    let room = Room::new("a: nonexistent-program\n");
    let running = room.start("start --json");
    let tries = |text: &str| text.lines().filter(|l| l.contains("\"exit\"")).count();
    running.wait_until("five tries", |text| tries(text) >= 5);
    let done = running.stop(Signal::INT).expect(0).quietly();
    let times = times(&objects(&done.text()), "a.1", "exit");
    // 0, 0.1, 0.2 and 0.4 s, where the first was told in time.
    assert!(times[4] - times[0] > 0.5, "{times:?}");
}
