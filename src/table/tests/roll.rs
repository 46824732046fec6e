//! Rolling restarts.

use super::*;

#[test]
fn a_rolling_restart_into_a_broken_binary_leaves_the_service_up() {
    let mut b = Bench::new();
    let id = b.load(job("web", 3).flapping(Flapping::new(1, s(1), s(7), 1)));
    b.act();
    b.events();
    b.table.restart_job(id, b.now).expect("restart");
    assert_eq!(b.fail(), 3);
    b.sees("restart · exit 4 · exit 5 · exit 6");
    assert_eq!(b.state(id), (JobState::Active, 3, 3));
    assert_eq!(b.act().signals, []);

    // Two of three: two old ones go, and all answers are waited for.
    b.table.restart_job(id, b.now).expect("restart");
    let pids: Vec<Pid> = std::iter::from_fn(|| b.table.next_action())
        .map(|action| match action {
            Action::Spawn { pid, instance, .. } => {
                assert_eq!(u64::from(instance), pid.0 - 3, "the next numbers that are free");
                pid
            }
            other => panic!("{other:?}"),
        })
        .collect();
    b.table.spawned(pids[0], OsPid(70), b.now);
    b.table.spawn_failed(pids[1], "no".to_owned(), b.now);
    assert_eq!(b.act().signals, []);
    // Another restart, meanwhile, is one more afterwards.
    b.table.restart_job(id, b.now).expect("restart");
    b.table.restart_job(id, b.now).expect("restart");
    b.table.spawned(pids[2], OsPid(71), b.now);
    b.act();
    b.sees(
        "restart · spawn 7 · exit 8 · spawn 9 · reap 1 · reap 2 · \
         restart · spawn 10 · spawn 11 · spawn 12 · reap 3 · reap 7 · reap 9",
    );
    for pid in [1, 2, 3, 7, 9] {
        assert_eq!(b.exit(pid, 0).spawned, [0u64; 0]);
    }
    assert_eq!(b.table.pids(id).expect("loaded"), [Pid(10), Pid(11), Pid(12)]);
}

#[test]
fn a_stop_ends_a_rolling_restart_for_good() {
    let mut b = Bench::new();
    let id = b.load(job("web", 1));
    b.act();
    b.table.restart_job(id, b.now).expect("restart");
    let Some(Action::Spawn { pid, .. }) = b.table.next_action() else { panic!("a spawn") };
    b.table.restart_job(id, b.now).expect("restart");
    b.table.stop_job(id, b.now).expect("stop");
    b.table.start_job(id, b.now).expect("start");
    b.table.spawned(pid, OsPid(7), b.now);
    b.act();
    b.exit(1, 0);
    b.exit(2, 0);
    b.sees("create · start · spawn 1 · restart · stop · stop_pid 1 · stop_pid 2 · start · spawn 2 · exit 1 · spawn 3 · exit 2");
}

#[test]
fn restart_of_the_manager_means_active_jobs() {
    let mut b = Bench::new();
    let stopped = b.table.load(job("stopped", 1), false, b.now).expect("load");
    let active = b.load(job("active", 1));
    let flapping = b.load(job("flapping", 1).flapping(Flapping::new(1, s(1), s(7), 1)));
    b.act();
    b.exit(2, 1);
    assert_eq!(b.state(flapping).0, JobState::Flapping);
    b.events();
    b.table.restart_all(b.now).expect("restart");
    b.act();
    b.sees("restart · spawn 3 · reap 1");
    b.table.restart_job(stopped, b.now).expect("restart");
    b.sees("");
    b.table.restart_job(flapping, b.now).expect("restart");
    assert_eq!(b.act().spawned, [4]);
    assert_eq!(b.state(active), (JobState::Active, 1, 1));
}
