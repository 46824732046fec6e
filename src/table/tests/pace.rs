//! Crashes: how soon a process is replaced, and when no more.

use super::*;

#[test]
fn spawns_that_fail_are_paced() {
    let mut b = Bench::new();
    b.load(job("web", 3));
    assert_eq!(b.fail(), 4, "three, and the first retry is at once");
    b.sees("create · start · exit 1 · exit 2 · exit 3 · exit 4");
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let at = b.table.next_deadline().expect("a pause");
        pauses.push(at.duration_since(b.now).as_millis());
        b.now = at;
        b.table.handle_timeout(at);
        assert_eq!(b.fail(), 3, "they share the pause");
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);

    for backoff in [true, false] {
        let mut b = Bench::new();
        let mut config = job("web", 1).backoff(Backoff::OFF);
        if !backoff {
            config = config.flapping(Flapping::new(2, Duration::ZERO, s(1), 1));
        }
        let id = b.load(config);
        assert_eq!(b.fail(), 2);
        for _ in 0..5 {
            if b.state(id).0 == JobState::Active {
                assert_eq!(b.table.next_deadline(), Some(b.now + SPAWN_PAUSE));
            }
            b.now += s(1);
            b.table.handle_timeout(b.now);
            b.fail();
        }
    }
}

#[test]
fn back_off_is_shared_and_reset() {
    let mut b = Bench::new();
    let id = b.load(job("web", 2));
    b.act();
    b.now += ms(50);
    assert_eq!(b.exit(1, 1).spawned, [3]);
    assert_eq!(b.exit(2, 1).spawned, [0u64; 0]);
    assert_eq!(b.table.next_deadline(), Some(b.now + ms(100)));
    assert_eq!(b.exit(3, 1).spawned, [0u64; 0]);
    assert_eq!(b.state(id), (JobState::Active, 0, 2));
    assert_eq!(b.pass(ms(100)).spawned, [4, 5]);
    assert_eq!(b.exit(4, 1).spawned, [0u64; 0]);
    assert_eq!(b.table.next_deadline(), Some(b.now + ms(200)));
    // One that has lived long ends the pause of all.
    b.now += ms(150);
    assert_eq!(b.exit(5, 1).spawned, [6, 7]);
    assert_eq!(b.table.next_deadline(), None);
    // Nobody waits in a pause for a process that is not wanted any more.
    b.exit(6, 1);
    b.exit(7, 1);
    b.table.scale(id, Scale::To(0), b.now).expect("scale");
    assert!(b.table.is_idle());
}

#[test]
fn flapping_pauses_and_gives_up() {
    let mut b = Bench::new();
    let id = b.load(job("web", 2).flapping(Flapping::new(2, s(1), s(7), 1)));
    let once = b.table.commit(id, Commit::default(), b.now).expect("commit");
    b.act();
    b.sees("create · start · spawn 1 · spawn 2 · spawn 3");
    b.now += ms(100);
    b.exit(1, 1);
    b.exit(4, 1);
    b.sees("exit 1 · spawn 4 · exit 4 · flap=1 · stop_pid 2");
    assert_eq!(b.state(id), (JobState::Flapping, 1, 2), "the committed one is spared");
    b.exit(2, 0);
    assert_eq!(b.pass(s(7)).spawned, [5, 6]);
    b.sees("exit 2 · spawn 5 · spawn 6");
    for pid in [5, 7, 8] {
        b.now += ms(100);
        b.exit(pid, 1);
    }
    b.sees("exit 5 · spawn 7 · exit 7 · spawn 8 · exit 8 · flap=0 · stop · stop_pid 6");
    b.exit(6, 0);
    assert_eq!(b.pass(s(3600)).spawned, [0u64; 0]);
    assert_eq!(b.state(id), (JobState::Stopped, 1, 2));
    b.table.start_job(id, b.now).expect("start");
    assert_eq!(b.act().spawned, [9, 10]);
    b.events();

    // The pause ends with a start, and dies with the job.
    b.exit(9, 1);
    b.exit(11, 1);
    assert_eq!(b.state(id).0, JobState::Flapping);
    b.exit(10, 0);
    b.table.start_job(id, b.now).expect("start");
    assert_eq!(b.act().spawned, [12, 13]);
    b.exit(12, 1);
    b.exit(14, 1);
    b.exit(13, 1);
    b.events();
    b.table.unload(id, b.now).expect("unload");
    b.sees(&format!("stop · stop_pid {once} · delete"));
    b.exit(once.0, 0);
    assert!(b.table.is_idle());
    assert_eq!(b.pass(s(60)).spawned, [0u64; 0]);
}

#[test]
fn what_was_told_to_end_is_no_crash() {
    let mut b = Bench::new();
    let id = b.load(job("web", 3).flapping(Flapping::default()));
    b.act();
    b.table.stopall(id, b.now).expect("stopall");
    for pid in 1..=3 {
        assert_eq!(b.exit(pid, 0).spawned, [pid + 3]);
    }
    assert_eq!(b.state(id), (JobState::Active, 3, 3));
}
