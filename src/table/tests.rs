//! Scenarios: commands and reports in, the exact order of events out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::*;
use crate::ErrorKind;
use crate::process::{Backoff, Exit, Flapping, JobConfig, JobState, OsPid, ProcessState, Restart, Scale, Signal};

/// A table, a clock, and what to say about them.
struct Bench {
    table: ProcessTable,
    now: Instant,
}

/// What a drain of the actions did.
#[derive(Debug, Default)]
struct Done {
    spawned: Vec<u64>,
    /// Pid, signal, group.
    signals: Vec<(u64, Signal, bool)>,
    reaped: Vec<u64>,
}

const fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn job(name: &str, n: u32) -> JobConfig {
    JobConfig::new(name, "prog").expect("a name").numprocesses(n)
}

impl Bench {
    fn new() -> Self {
        Self { table: ProcessTable::new(), now: Instant::now() }
    }

    fn load(&mut self, config: JobConfig) -> JobId {
        self.table.load(config, true, self.now).expect("load")
    }

    /// Carries all actions out; every spawn succeeds.
    fn act(&mut self) -> Done {
        let mut done = Done::default();
        while let Some(action) = self.table.next_action() {
            match action {
                Action::Spawn { pid, .. } => {
                    done.spawned.push(pid.0);
                    self.table.spawned(pid, OsPid(1000 + i32::try_from(pid.0).expect("small")), self.now);
                }
                Action::Signal { pid, signal, group, .. } => done.signals.push((pid.0, signal, group)),
                Action::Reap { pid, .. } => done.reaped.push(pid.0),
            }
        }
        done
    }

    /// Fails every spawn; answers how many there were.
    fn fail(&mut self) -> usize {
        let mut n = 0;
        while let Some(action) = self.table.next_action() {
            if let Action::Spawn { pid, .. } = action {
                n += 1;
                assert!(n < 1000, "a hot loop of spawns");
                self.table.spawn_failed(pid, "exec: no such file".to_owned(), self.now);
            }
        }
        n
    }

    fn exit(&mut self, pid: u64, code: i32) -> Done {
        self.table.exited(Pid(pid), Exit::Code(code), self.now);
        let mut done = self.act();
        self.table.gone(Pid(pid), self.now);
        let more = self.act();
        done.spawned.extend(more.spawned);
        done.signals.extend(more.signals);
        done
    }

    fn pass(&mut self, time: Duration) -> Done {
        self.now += time;
        self.table.handle_timeout(self.now);
        assert!(self.table.next_deadline().is_none_or(|at| at > self.now));
        self.act()
    }

    /// The events since the last call: `name` or `name pid`.
    fn events(&mut self) -> String {
        let mut out = Vec::new();
        while let Some((_, what)) = self.table.next_event() {
            match (what.pid(), &what) {
                (Some(pid), _) => out.push(format!("{} {pid}", what.name())),
                (None, What::Update { numprocesses }) => out.push(format!("update={numprocesses}")),
                (None, What::Flap { retry, .. }) => out.push(format!("flap={retry}")),
                (None, _) => out.push(what.name().to_owned()),
            }
        }
        out.join(" · ")
    }

    #[track_caller]
    fn sees(&mut self, expected: &str) {
        assert_eq!(self.events(), expected);
    }

    fn state(&self, id: JobId) -> (JobState, u32, u32) {
        let info = self.table.job(id).expect("a loaded job");
        (info.state, info.running, info.numprocesses)
    }

    #[track_caller]
    fn refused<T: std::fmt::Debug>(&mut self, result: crate::Result<T>, kind: ErrorKind) {
        assert_eq!(result.expect_err("it is to be refused").kind(), kind);
        assert_eq!(self.events(), "", "a refused command leaves no trace");
    }
}

#[test]
fn the_documented_orders() {
    let mut b = Bench::new();
    let web = b.load(job("web", 2));
    assert_eq!(b.state(web), (JobState::Active, 2, 2), "processes are known before they are spawned");
    b.act();
    b.sees("create · start · spawn 1 · spawn 2");

    assert_eq!(b.table.scale(web, Scale::By(1), b.now).ok(), Some(3));
    b.act();
    b.sees("update=3 · spawn 3");

    assert_eq!(b.table.scale(web, Scale::By(-1), b.now).ok(), Some(2));
    assert_eq!(b.act().signals, [(1, Signal::TERM, true)], "the oldest goes");
    assert_eq!(b.state(web).1, 2);
    b.exit(1, 0);
    b.sees("update=2 · reap 1 · exit 1");

    b.exit(2, 9);
    b.sees("exit 2 · spawn 4");

    b.table.stop_job(web, b.now).expect("stop");
    assert_eq!(b.state(web), (JobState::Stopped, 0, 2));
    b.exit(3, 0);
    b.exit(4, 0);
    b.sees("stop · stop_pid 3 · stop_pid 4 · exit 3 · exit 4");

    b.table.start_job(web, b.now).expect("start");
    b.act();
    b.sees("start · spawn 5 · spawn 6");

    b.table.restart_job(web, b.now).expect("restart");
    b.act();
    b.exit(5, 0);
    b.exit(6, 0);
    b.sees("restart · spawn 7 · spawn 8 · reap 5 · reap 6 · exit 5 · exit 6");

    b.table.reload(web, b.now).expect("reload");
    b.act();
    b.exit(7, 0);
    b.exit(8, 0);
    b.sees("stop_pid 7 · stop_pid 8 · exit 7 · spawn 9 · exit 8 · spawn 10");

    b.table.unload(web, b.now).expect("unload");
    assert_eq!(b.table.find(&"web".parse().expect("name")), None);
    b.exit(9, 0);
    b.exit(10, 0);
    b.sees("stop · stop_pid 9 · stop_pid 10 · delete · exit 9 · exit 10");
    assert!(b.table.is_idle() && b.table.jobs.is_empty() && b.table.names.len() == 0);
}

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

#[test]
fn update_replaces_everything() {
    let mut b = Bench::new();
    let id = b.load(job("web", 3));
    b.act();
    let once = b.table.commit(id, Commit::default(), b.now).expect("commit");
    b.act();
    b.events();
    b.table.update(id, job("web", 1).stop_signal(Signal::INT), false, b.now).expect("update");
    let done = b.act();
    assert_eq!(done.signals, [(1, Signal::TERM, true), (2, Signal::TERM, true), (3, Signal::TERM, true)]);
    b.exit(3, 0);
    assert_eq!(b.exit(2, 0).spawned, [0u64; 0], "the successor waits for the first one's port");
    assert_eq!(b.exit(1, 0).spawned, [5]);
    b.sees("update=1 · stop_pid 1 · stop_pid 2 · stop_pid 3 · exit 3 · exit 2 · exit 1 · spawn 5");
    assert_eq!(b.table.process(Pid(5)).expect("known").instance, 1);
    b.table.update(id, job("web", 2), false, b.now).expect("update");
    let done = b.act();
    assert_eq!((done.signals, done.spawned), (vec![(5, Signal::INT, true)], vec![6]), "its own stop signal");
    b.exit(5, 0);
    assert_eq!(b.table.process(once).expect("known").state, ProcessState::Running);

    b.table.stop_job(id, b.now).expect("stop");
    for pid in [once.0, 6, 7] {
        b.exit(pid, 0);
    }
    b.events();
    b.table.update(id, job("web", 1), false, b.now).expect("update");
    b.act();
    b.sees("update=1");
    b.table.update(id, job("web", 2), true, b.now).expect("update");
    b.act();
    b.sees("update=2 · start · spawn 8 · spawn 9");
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
fn commits_are_outside() {
    let mut b = Bench::new();
    let id = b.table.load(job("web", 1), false, b.now).expect("load");
    let env = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
    let commit = Commit { graceful_timeout: Some(s(5)), env: env.clone() };
    let pid = b.table.commit(id, commit, b.now).expect("commit");
    let Some(Action::Spawn { once, env: got, config, .. }) = b.table.next_action() else { panic!("a spawn") };
    assert!(once && got == env && config.env.is_empty());
    b.table.spawned(pid, OsPid(7), b.now);
    let info = b.table.job(id).expect("loaded");
    assert_eq!((info.running, info.running_out, info.processes), (1, 1, vec![pid]));
    assert_eq!(b.table.pids(id).expect("loaded"), []);
    b.table.stop_process(pid, b.now).expect("stop");
    assert_eq!(b.pass(s(5)).signals, [(1, Signal::TERM, true), (1, Signal::KILL, true)]);
    assert_eq!(b.exit(1, 0).spawned, [0u64; 0]);
    b.sees("create · spawn 1 · stop_pid 1 · exit 1");
}

#[test]
fn signals() {
    let mut b = Bench::new();
    let id = b.load(job("web", 2));
    b.table.killall(id, Signal::HUP, b.now).expect("killall");
    b.table.kill(Pid(2), Signal::USR1, b.now).expect("kill");
    assert_eq!(b.act().signals, [(1, Signal::HUP, false), (2, Signal::HUP, false), (2, Signal::USR1, false)]);
    b.sees("create · start · kill · kill 1 · kill 2 · kill 2 · spawn 1 · spawn 2");
    b.table.kill(Pid(1), Signal::KILL, b.now).expect("kill");
    b.table.exited(Pid(1), Exit::Signal { signal: Signal::KILL, core: false }, b.now);
    assert_eq!(b.act().signals, [(1, Signal::TERM, true)], "one to the process itself is pointless by now");
    b.table.stop_process(Pid(2), b.now).expect("stop");
    b.table.gone(Pid(1), b.now);
    b.table.exited(Pid(2), Exit::Lost, b.now);
    b.table.gone(Pid(2), b.now);
    assert_eq!(b.act().signals, [], "none for what is gone");
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
fn all_or_nothing() {
    let mut b = Bench::new();
    let web = b.load(job("web", 1));
    b.act();
    b.events();
    let now = b.now;
    for (config, kind) in [
        (job("web", 1), ErrorKind::Conflict),
        (JobConfig::new("a", " \t").expect("name"), ErrorKind::Invalid),
        (job("a", MAX_PROCESSES + 1), ErrorKind::Invalid),
        (job("a", 1).flapping(Flapping::new(0, s(1), s(1), 1)), ErrorKind::Invalid),
        (job("a", 1).flapping(Flapping::new(MAX_ATTEMPTS + 1, s(1), s(1), 1)), ErrorKind::Invalid),
    ] {
        let refused = b.table.load(config, true, now);
        b.refused(refused, kind);
    }
    let refused = b.table.update(web, job("other", 1), true, now);
    b.refused(refused, ErrorKind::Invalid);
    let refused = b.table.scale(web, Scale::By(i64::MAX), now);
    b.refused(refused, ErrorKind::Invalid);
    let refused = b.table.stop_process(Pid(99), now);
    b.refused(refused, ErrorKind::NotFound);
    assert_eq!(b.table.jobs().collect::<Vec<_>>(), [web]);
    assert_eq!(b.state(web), (JobState::Active, 1, 1));
    b.table.unload(web, now).expect("unload");
    b.events();
    let refused = b.table.start_job(web, now);
    b.refused(refused, ErrorKind::NotFound);
    assert_eq!(b.table.scale(web, Scale::By(-1), now).expect_err("unloaded").kind(), ErrorKind::NotFound);
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

#[test]
fn sessions_and_jobs_keep_load_order() {
    let mut b = Bench::new();
    for name in ["z.b", "a.a", "z.a", "m.x"] {
        b.load(job(name, 0));
    }
    assert_eq!(b.table.sessions(), ["z", "a", "m"]);
    let names: Vec<_> = b.table.jobs().map(|id| b.table.name(id).expect("known").to_string()).collect();
    assert_eq!(names, ["z.b", "a.a", "z.a", "m.x"]);
    let id = b.table.find(&"a/a".parse().expect("name")).expect("loaded");
    b.table.unload(id, b.now).expect("unload");
    assert_eq!(b.table.sessions(), ["z", "m"]);
}

#[test]
fn odd_reports_and_odd_times_do_no_harm() {
    let mut b = Bench::new();
    let id = b.load(job("web", 1).graceful_timeout(Duration::MAX));
    for pid in [Pid(1), Pid(77)] {
        b.table.spawned(pid, OsPid(7), b.now);
        b.table.spawn_failed(pid, "no".to_owned(), b.now);
        b.table.exited(pid, Exit::Lost, b.now);
        b.table.gone(pid, b.now);
    }
    b.sees("create · start");
    b.act();
    let done = b.table.process(Pid(1)).expect("known").os_pid;
    b.table.spawned(Pid(1), OsPid(8), b.now);
    assert_eq!(b.table.process(Pid(1)).expect("known").os_pid, done);
    b.table.stop_process(Pid(1), b.now).expect("stop");
    assert_eq!(b.table.next_deadline(), None, "a grace beyond the end of time never ends");
    b.table.gone(Pid(1), b.now - ms(5));
    b.sees("spawn 1 · stop_pid 1 · exit 1");
    assert_eq!(b.act().spawned, [2]);
    assert_eq!(b.state(id), (JobState::Active, 1, 1));
}
