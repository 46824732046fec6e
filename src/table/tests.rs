//! Scenarios: commands and reports in, the exact order of events out.

mod end;
mod pace;
mod record;
mod roll;

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
        let info = self.table.job(id, self.now).expect("a loaded job");
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
fn commits_are_outside() {
    let mut b = Bench::new();
    let id = b.table.load(job("web", 1), false, b.now).expect("load");
    let env = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
    let commit = Commit { graceful_timeout: Some(s(5)), env: env.clone() };
    let pid = b.table.commit(id, commit, b.now).expect("commit");
    let Some(Action::Spawn { once, env: got, config, .. }) = b.table.next_action() else { panic!("a spawn") };
    assert!(once && got == env && config.env.is_empty());
    b.table.spawned(pid, OsPid(7), b.now);
    let info = b.table.job(id, b.now).expect("loaded");
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
