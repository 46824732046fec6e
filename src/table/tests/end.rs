//! The end of processes, and of all of them.

use super::*;

#[test]
fn a_graceful_stop_ends_in_sigkill() {
    let mut b = Bench::new();
    let id = b.load(job("web", 1).graceful_timeout(ms(500)));
    b.act();
    b.table.stop_process(Pid(1), b.now).expect("stop");
    b.table.stop_process(Pid(1), b.now).expect("again");
    assert_eq!(b.act().signals, [(1, Signal::TERM, true)]);
    assert_eq!(b.pass(ms(499)).signals, []);
    assert_eq!(b.pass(ms(1)).signals, [(1, Signal::KILL, true)]);
    assert_eq!(b.table.next_deadline(), None);
    let done = b.exit(1, 0);
    assert_eq!((done.reaped, done.spawned), (vec![1], vec![2]));
    b.sees("create · start · spawn 1 · stop_pid 1 · exit 1 · spawn 2");
    assert_eq!(b.table.process(Pid(2)).expect("known").instance, 1);
    assert_eq!(b.state(id), (JobState::Active, 1, 1));
}

#[test]
fn what_a_process_leaves_behind_is_ended_before_its_successor_starts() {
    let mut b = Bench::new();
    b.load(job("web", 1));
    b.act();
    b.table.exited(Pid(1), Exit::Code(0), b.now);
    let done = b.act();
    assert_eq!((done.signals, done.reaped), (vec![(1, Signal::TERM, true)], vec![1]));
    assert_eq!(b.table.process(Pid(1)).expect("known").state, ProcessState::Exited);
    assert_eq!(b.table.kill(Pid(1), Signal::HUP, b.now).expect_err("ended").kind(), ErrorKind::Closed);
    let done = b.pass(s(30));
    assert_eq!((done.signals, done.spawned), (vec![(1, Signal::KILL, true)], vec![]));
    b.table.gone(Pid(1), b.now);
    assert_eq!(b.act().spawned, [2]);
}

#[test]
fn stopped_before_it_was_started() {
    let mut b = Bench::new();
    let id = b.load(job("web", 2));
    b.table.scale(id, Scale::To(1), b.now).expect("scale");
    b.sees("create · start · update=1");
    let Some(Action::Spawn { pid, .. }) = b.table.next_action() else { panic!("one spawn") };
    assert_eq!((pid, b.table.next_action()), (Pid(2), None), "the first was withdrawn without a trace");

    // The second one's answer comes after it was told to end: then it is told.
    b.table.stop_job(id, b.now).expect("stop");
    b.now += s(100);
    b.table.handle_timeout(b.now);
    assert_eq!(b.table.next_action(), None);
    b.table.spawned(pid, OsPid(7), b.now);
    assert_eq!(b.act().signals, [(2, Signal::TERM, true)]);
    assert_eq!(b.table.next_deadline(), Some(b.now + s(30)), "its grace begins with its life");
    b.exit(2, 0);
    b.sees("stop · stop_pid 2 · spawn 2 · exit 2");

    // A commit was answered with a pid, so it has an exit.
    let pid = b.table.commit(id, Commit::default(), b.now).expect("commit");
    b.table.unload(id, b.now).expect("unload");
    b.sees(&format!("stop_pid {pid} · exit {pid} · delete"));
    assert!(b.table.is_idle() && b.table.jobs.is_empty());
}

#[test]
fn a_start_waits_for_what_a_stop_left() {
    let mut b = Bench::new();
    let id = b.load(job("web", 2));
    b.act();
    b.table.stop_job(id, b.now).expect("stop");
    b.table.start_job(id, b.now).expect("start");
    assert_eq!(b.act().spawned, [0u64; 0]);
    assert_eq!(b.exit(2, 0).spawned, [3]);
    assert_eq!(b.table.process(Pid(3)).expect("known").instance, 2);
    // The other one does not hear; more are started beside it.
    b.table.scale(id, Scale::By(1), b.now).expect("scale");
    assert_eq!(b.act().spawned, [4]);
    assert_eq!(b.pass(s(30)).signals, [(1, Signal::KILL, true)]);
    assert_eq!(b.exit(1, 0).spawned, [5]);
    assert_eq!(b.table.process(Pid(5)).expect("known").instance, 1);
}

#[test]
fn processes_that_end_for_good() {
    let mut b = Bench::new();
    let id = b.load(job("task", 3).restart(Restart::OnFailure));
    b.act();
    assert_eq!(b.exit(1, 0).spawned, [0u64; 0]);
    assert_eq!(b.exit(2, 1).spawned, [4]);
    assert_eq!(b.state(id), (JobState::Active, 2, 3), "the target stays");
    b.table.scale(id, Scale::By(1), b.now).expect("scale");
    assert_eq!(b.act().spawned, [5], "as many as were added");
    b.table.scale(id, Scale::By(-1), b.now).expect("scale");
    assert_eq!(b.act().signals, [], "the slot that has ended goes first");
    assert_eq!(b.state(id), (JobState::Active, 3, 3));
    b.table.stop_process(Pid(3), b.now).expect("stop");
    assert_eq!(b.exit(3, 0).spawned, [6], "who was told to end is replaced");
    for pid in 4..=6 {
        assert!(!b.table.is_idle());
        assert_eq!(b.exit(pid, 0).spawned, [0u64; 0]);
    }
    assert!(b.table.is_idle());
    b.table.start_job(id, b.now).expect("start");
    assert_eq!(b.act().spawned, [7, 8, 9], "a start fills up again");
    for pid in [8, 9] {
        b.exit(pid, 0);
    }
    b.table.restart_job(id, b.now).expect("restart");
    let done = b.act();
    assert_eq!((done.spawned, done.signals), (vec![10, 11, 12], vec![(7, Signal::TERM, true)]), "so does a restart");
    b.exit(7, 0);
    b.exit(10, 0);
    b.table.scale(id, Scale::By(1), b.now).expect("scale");
    assert_eq!(b.act().spawned, [13]);
    b.events();
    b.table.reload(id, b.now).expect("reload");
    b.sees("update=3 · stop_pid 11 · stop_pid 12 · stop_pid 13");
    for (pid, successors) in [(11, vec![14]), (12, vec![15]), (13, vec![16])] {
        assert_eq!(b.exit(pid, 0).spawned, successors, "and a reload, to the configured number");
    }
}

#[test]
fn detached_processes_outlive_the_shutdown_but_not_a_stop() {
    let mut b = Bench::new();
    let id = b.load(job("web", 1).detach(true));
    let Some(Action::Spawn { pid, .. }) = b.table.next_action() else { panic!("a spawn") };
    let late = b.table.commit(id, Commit::default(), b.now).expect("commit");
    b.table.shutdown(b.now);
    b.sees(&format!("create · start · stop · stop_pid {late} · exit {late}"));
    assert!(!b.table.is_finished(), "its answer is awaited");
    b.table.spawned(pid, OsPid(7), b.now);
    assert!(b.table.is_finished());
    assert_eq!(b.act().signals, []);
    b.table.stop_job(id, b.now).expect("stop");
    assert!(!b.table.is_finished());
    assert_eq!(b.act().signals, [(1, Signal::TERM, true)]);
    b.exit(1, 0);
    assert!(b.table.is_finished() && b.table.is_idle());
}

#[test]
fn shutdown_in_reverse_order_of_start() {
    let mut b = Bench::new();
    let one = b.table.load(job("one", 1), false, b.now).expect("load");
    b.load(job("two", 1));
    b.load(job("three", 1).detach(true));
    b.load(job("four", 1));
    b.table.start_job(one, b.now).expect("start");
    b.act();
    b.events();
    b.exit(3, 1); // "four" is in its back-off with its second crash
    b.exit(5, 1);
    b.events();
    b.table.shutdown(b.now);
    b.table.shutdown(b.now);
    assert!(b.table.is_stopping() && !b.table.is_finished());
    assert_eq!(b.act().signals, [(4, Signal::TERM, true), (1, Signal::TERM, true)]);
    let names: Vec<_> = std::iter::from_fn(|| b.table.next_event())
        .map(|(name, what)| format!("{} {}", name.label(), what.name()))
        .collect();
    assert_eq!(names, ["one stop", "one stop_pid", "four stop", "three stop", "two stop", "two stop_pid"]);

    let now = b.now;
    let refused = b.table.load(job("five", 1), true, now);
    b.refused(refused, ErrorKind::Stopping);
    let refused = b.table.start_job(one, now);
    b.refused(refused, ErrorKind::Stopping);
    let refused = b.table.scale(one, Scale::By(1), now);
    b.refused(refused, ErrorKind::Stopping);
    let refused = b.table.commit(one, Commit::default(), now);
    b.refused(refused, ErrorKind::Stopping);
    let refused = b.table.update(one, job("one", 1), true, now);
    b.refused(refused, ErrorKind::Stopping);

    b.exit(4, 0);
    b.table.kill_everything(b.now);
    assert_eq!(b.act().signals, [(1, Signal::KILL, true)], "the second Ctrl-C; the detached one is spared");
    assert_eq!(b.table.next_deadline(), None, "no second SIGKILL");
    b.exit(1, 0);
    assert!(b.table.is_finished() && !b.table.is_idle());
    assert_eq!(b.table.next_deadline(), None);
    // Still supervised to the last: its exit is told.
    b.exit(2, 0);
    assert_eq!(b.events(), "exit 4 · exit 1 · exit 2");
    assert!(b.table.is_finished() && b.table.is_idle());
}

#[test]
fn a_second_ctrl_c_reaches_what_is_being_started() {
    let mut b = Bench::new();
    b.load(job("web", 1));
    let Some(Action::Spawn { pid, .. }) = b.table.next_action() else { panic!("a spawn") };
    b.table.kill_everything(b.now);
    assert!(!b.table.is_finished());
    b.table.spawned(pid, OsPid(7), b.now);
    assert_eq!(b.act().signals, [(1, Signal::KILL, true)]);
    assert_eq!(b.table.next_deadline(), None);
    b.exit(1, 0);
    assert!(b.table.is_finished());
}

#[test]
fn processes_that_never_end_do_not_pile_up() {
    let mut b = Bench::new();
    let id = b.load(job("web", MAX_PROCESSES));
    b.act();
    b.table.restart_job(id, b.now).expect("restart");
    b.act();
    b.events();
    let refused = b.table.restart_job(id, b.now);
    b.refused(refused, ErrorKind::Full);
    let refused = b.table.commit(id, Commit::default(), b.now);
    b.refused(refused, ErrorKind::Full);
    b.table.reload(id, b.now).expect("a reload waits for its predecessors");
    assert_eq!(b.act().spawned, [0u64; 0]);
}
