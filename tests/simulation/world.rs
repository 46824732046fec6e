//! A world for a [`ProcessTable`]: commands, children and a clock, all by dice, and a second account
//! of what happened that the table is held against after each step.
//!
//! Children exit at once or later, fail to start, ignore signals, leave grandchildren; answers to
//! spawns come late, actions are fetched late, time jumps. Nothing here sleeps or reads a clock
//! but for the zero of the simulated time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use gaffer::ErrorKind;
use gaffer::process::{
    Backoff, Exit, Flapping, JobConfig, JobId, JobState, OsPid, Pid, ProcessState, Restart, Scale, Signal, What,
};
use gaffer::table::{Action, Commit, ProcessTable};

/// Where chance comes from; `None` at its end.
pub trait Dice {
    fn roll(&mut self) -> Option<u32>;
}

/// How a process, or what it leaves behind, takes the stop signal.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manners {
    Polite,
    Deaf,
}

/// A process whose spawn action was fetched.
#[derive(Debug)]
struct Child {
    job: JobId,
    once: bool,
    detach: bool,
    grace: Duration,
    stop_signal: Signal,
    os_pid: Option<OsPid>,
    /// It runs; it may be dead before the table hears of it.
    alive: bool,
    ends_at: Option<Instant>,
    exit: Exit,
    manners: Manners,
    /// What it leaves in its group.
    helpers: Option<Manners>,
    reported: bool,
    reaped: bool,
    // What was seen of it.
    spawns: u32,
    told: bool,
    exits: u32,
    stops: u32,
    kills: u32,
    /// When SIGKILL is due.
    deadline: Option<Instant>,
}

/// A job, loaded or not, with processes or without.
#[derive(Debug, Default)]
struct Account {
    name: String,
    loaded: bool,
    /// Those that the rolling restart under way is to replace.
    old: BTreeSet<Pid>,
    /// The highest number wanted since it began.
    peak: usize,
}

pub struct World<D> {
    dice: D,
    label: String,
    table: ProcessTable,
    zero: Instant,
    now: Instant,
    children: BTreeMap<Pid, Child>,
    /// Committed and not fetched, with their grace.
    commits: BTreeMap<Pid, Duration>,
    /// Committed, withdrawn before they were fetched: told, and their exit is due.
    withdrawn: BTreeSet<Pid>,
    /// Spawns that were fetched and not answered.
    unanswered: Vec<Pid>,
    accounts: BTreeMap<JobId, Account>,
    last_os_pid: i32,
    last_pid: Pid,
    /// New children are good ones, and answers come at once.
    calm: bool,
    /// `kill_everything` was called.
    merciless: bool,
    step: u64,
    log: VecDeque<String>,
    seen: BTreeMap<&'static str, u64>,
    over: bool,
}

const NAMES: [&str; 7] = ["a", "b", "c", "shop.web", "shop.db", "x.a", "x.y"];

macro_rules! claim {
    ($cond:expr, $($why:tt)+) => {
        if !$cond {
            panic!($($why)+);
        }
    };
}

impl<D: Dice> World<D> {
    pub fn new(dice: D, label: String) -> Self {
        let now = Instant::now();
        Self {
            dice,
            label,
            table: ProcessTable::new(),
            zero: now,
            now,
            children: BTreeMap::new(),
            commits: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            unanswered: Vec::new(),
            accounts: BTreeMap::new(),
            last_os_pid: 100,
            last_pid: Pid(0),
            calm: false,
            merciless: false,
            step: 0,
            log: VecDeque::new(),
            seen: BTreeMap::new(),
            over: false,
        }
    }

    /// Whether the dice have run out.
    #[allow(dead_code)]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// A number below `n`.
    fn below(&mut self, n: u32) -> u32 {
        match self.dice.roll() {
            Some(value) => value % n,
            None => {
                self.over = true;
                0
            }
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let n = u32::try_from(from.len()).expect("few");
        (n > 0).then(|| from[self.below(n) as usize])
    }

    fn ms(&mut self, from: u32, to: u32) -> Duration {
        Duration::from_millis(u64::from(from + self.below(to - from + 1)))
    }

    fn note(&mut self, what: String) {
        if self.log.len() == 50 {
            self.log.pop_front();
        }
        let at = self.now.duration_since(self.zero).as_secs_f64();
        self.log.push_back(format!("step {} at {at:.3}: {what}", self.step));
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// One thing happens, and everything is checked.
    pub fn step(&mut self) {
        self.step += 1;
        match self.below(1000) {
            0..=279 => self.command(),
            280..=519 => self.advance(),
            520..=719 => self.deaths(),
            720..=849 => self.answer(),
            850..=994 => self.groups(),
            995..=997 => self.calm_down(),
            _ => self.end(),
        }
        self.events();
        let all = self.chance(85);
        self.fetch(if all { usize::MAX } else { 2 });
        self.check(all);
    }

    // ---- what happens ----

    fn config(&mut self, name: &str) -> JobConfig {
        let n = self.below(5);
        let mut config = JobConfig::new(name, "prog").expect("a name").numprocesses(n);
        config = match self.below(5) {
            0 => config.restart(Restart::Never),
            1 => config.restart(Restart::OnFailure),
            _ => config,
        };
        if self.chance(35) {
            let rule = Flapping::new(1 + self.below(4), self.ms(0, 2000), self.ms(0, 7000), self.below(4));
            config = config.flapping(rule);
        }
        config = match self.below(5) {
            0 => config.backoff(Backoff::OFF),
            1 => config.backoff(Backoff::new(self.ms(1, 50), self.ms(0, 3000))),
            _ => config,
        };
        config.graceful_timeout = match self.below(8) {
            0 => Duration::ZERO,
            _ => self.ms(1, 9000),
        };
        if self.chance(20) {
            config.stop_signal = Signal::INT;
        }
        config.detach = self.chance(15);
        config
    }

    fn command(&mut self) {
        let loaded: Vec<JobId> = self.accounts.iter().filter(|(_, a)| a.loaded).map(|(id, _)| *id).collect();
        let kind = self.below(100);
        if kind < 14 || loaded.is_empty() {
            return self.load();
        }
        let any: Vec<JobId> = self.accounts.keys().copied().collect();
        let id = if self.chance(90) { self.pick(&loaded) } else { self.pick(&any) }.expect("there are some");
        let is_loaded = self.accounts[&id].loaded;
        let name = self.accounts[&id].name.clone();
        let stopping = self.table.is_stopping();
        let now = self.now;
        let before = self.table.job(id);
        let mut starts = true;
        let (what, result) = match kind {
            14..=18 => {
                starts = false;
                let result = self.table.unload(id, now);
                if result.is_ok() {
                    self.accounts.get_mut(&id).expect("known").loaded = false;
                }
                ("unload", result)
            }
            19..=26 => ("start", self.table.start_job(id, now)),
            27..=32 => {
                starts = false;
                ("stop", self.table.stop_job(id, now))
            }
            33..=37 => ("reload", self.table.reload(id, now)),
            38..=46 => ("restart", self.table.restart_job(id, now)),
            47..=51 => {
                let (config, start) = (self.config(&name), self.chance(50));
                ("update", self.table.update(id, config, start, now))
            }
            52..=63 => {
                let scale = match self.below(2) {
                    0 => Scale::To(self.below(6)),
                    _ => Scale::By(i64::from(self.below(7)) - 3),
                };
                let result = self.table.scale(id, scale, now);
                if let Some(info) = &before {
                    let target = scale.apply(info.numprocesses);
                    starts = target > info.numprocesses;
                    claim!(result.is_err() || result.as_ref().ok() == Some(&target), "scale answered {result:?}");
                    claim!(result.is_err() || self.table.job(id).expect("loaded").numprocesses == target, "scaled");
                }
                ("scale", result.map(|_| ()))
            }
            64..=70 => {
                let graceful_timeout = if self.chance(50) { Some(self.ms(0, 3000)) } else { None };
                let result = self.table.commit(id, Commit { graceful_timeout, ..Commit::default() }, now);
                if let (Ok(pid), Some(info)) = (&result, &before) {
                    self.commits.insert(*pid, graceful_timeout.unwrap_or(info.config.graceful_timeout));
                }
                ("commit", result.map(|_| ()))
            }
            71..=74 => {
                starts = false;
                ("stopall", self.table.stopall(id, now))
            }
            75..=77 => {
                starts = false;
                let signal = self.signal();
                ("killall", self.table.killall(id, signal, now))
            }
            78 if !stopping => return self.restart_all(),
            _ => return self.pid_command(),
        };
        self.note(format!("{what} {name} {id:?}: {result:?}"));
        self.saw(what);
        match result {
            Ok(()) => claim!(is_loaded && !(starts && stopping), "{what} must be refused"),
            Err(e) => {
                claim!(
                    matches!((e.kind(), is_loaded), (ErrorKind::NotFound, false))
                        || (e.kind() == ErrorKind::Stopping && is_loaded && stopping && starts),
                    "{what} refused: {e:?}"
                );
                claim!(self.table.next_event().is_none(), "a refused command left an event");
            }
        }
    }

    fn load(&mut self) {
        let name = self.pick(&NAMES).expect("names");
        let config = self.config(name);
        let full = config.name.as_str().to_owned();
        let taken = self.accounts.values().any(|a| a.loaded && a.name == full);
        let start = self.chance(80);
        self.note(format!("load {config:?} start {start}"));
        self.saw("load");
        match self.table.load(config, start, self.now) {
            Ok(id) => {
                claim!(!taken && !self.table.is_stopping(), "loaded twice, or too late");
                self.accounts.insert(id, Account { name: full, loaded: true, ..Account::default() });
            }
            Err(e) => {
                let expected = if self.table.is_stopping() { ErrorKind::Stopping } else { ErrorKind::Conflict };
                claim!(e.kind() == expected && (taken || self.table.is_stopping()), "load refused: {e:?}");
            }
        }
    }

    fn restart_all(&mut self) {
        self.note("restart_all".to_owned());
        self.saw("restart_all");
        self.table.restart_all(self.now).expect("not stopping");
    }

    fn pid_command(&mut self) {
        let known: Vec<Pid> = self.table.all_pids().chain(self.table.ending()).collect();
        let pid = self.pick(&known).unwrap_or(Pid(u64::MAX));
        let known = self.table.process(pid);
        let stop = self.chance(65);
        let signal = self.signal();
        let result = if stop { self.table.stop_process(pid, self.now) } else { self.table.kill(pid, signal, self.now) };
        self.note(format!("{} {pid}: {result:?}", if stop { "stop_process" } else { "kill" }));
        self.saw(if stop { "stop_process" } else { "kill" });
        let expected = match known.map(|info| info.state) {
            None => Some(ErrorKind::NotFound),
            Some(ProcessState::Exited) if !stop => Some(ErrorKind::Closed),
            Some(_) => None,
        };
        claim!(result.as_ref().err().map(gaffer::Error::kind) == expected, "{result:?}, expected {expected:?}");
    }

    fn signal(&mut self) -> Signal {
        self.pick(&[Signal::HUP, Signal::TERM, Signal::KILL, Signal::USR1]).expect("some")
    }

    fn advance(&mut self) {
        let to = match self.below(10) {
            0..=3 => self.table.next_deadline().unwrap_or(self.now).max(self.now),
            4 => {
                let ends = self.children.values().filter(|c| c.alive).filter_map(|c| c.ends_at).min();
                ends.unwrap_or(self.now).max(self.now)
            }
            5..=7 => self.now + self.ms(0, 50),
            8 => self.now + self.ms(0, 3000),
            _ => self.now + self.ms(0, 20_000),
        };
        let to = if self.below(500) == 0 { to + Duration::from_secs(86_400) } else { to };
        self.pass(to);
    }

    fn pass(&mut self, to: Instant) {
        self.now = to;
        self.note("time".to_owned());
        self.table.handle_timeout(to);
        claim!(self.table.next_deadline().is_none_or(|at| at > to), "a deadline was left behind: it would spin");
        for child in self.children.values_mut() {
            if child.alive && child.ends_at.is_some_and(|at| at <= to) {
                child.alive = false;
            }
        }
    }

    /// Some ends are noticed.
    fn deaths(&mut self) {
        let dead: Vec<Pid> = self
            .children
            .iter()
            .filter(|(_, c)| c.spawns > 0 && !c.alive && !c.reported)
            .map(|(pid, _)| *pid)
            .collect();
        let most = if self.calm { usize::MAX } else { 1 + self.below(4) as usize };
        for pid in dead.into_iter().take(most) {
            let child = self.children.get_mut(&pid).expect("known");
            child.reported = true;
            let exit = child.exit.clone();
            self.note(format!("exited {pid} {exit:?}"));
            self.table.exited(pid, exit, self.now);
            self.events();
        }
    }

    /// A late answer to a spawn.
    fn answer(&mut self) {
        if !self.unanswered.is_empty() {
            let n = u32::try_from(self.unanswered.len()).expect("few");
            let at = self.below(n) as usize;
            let pid = self.unanswered.swap_remove(at);
            self.saw("late answer");
            self.answer_to(pid);
        } else if self.chance(10) {
            // Reports about what never was.
            let pid = Pid(self.last_pid.0 + 1_000_000);
            self.table.spawned(pid, OsPid(1), self.now);
            self.table.exited(pid, Exit::Lost, self.now);
            self.table.gone(pid, self.now);
        }
    }

    fn answer_to(&mut self, pid: Pid) {
        if !self.calm && self.chance(15) {
            self.note(format!("spawn_failed {pid}"));
            self.saw("spawn failed");
            self.children.get_mut(&pid).expect("known").reported = true;
            self.table.spawn_failed(pid, "exec: no such file".to_owned(), self.now);
            self.events();
            let child = self.children.remove(&pid).expect("known");
            claim!(child.exits == 1, "a failed spawn has one exit: {child:?}");
            claim!(self.table.process(pid).is_none(), "nothing is left of a failed spawn");
            return;
        }
        self.last_os_pid += 1;
        let os_pid = OsPid(self.last_os_pid);
        let now = self.now;
        let ends_at = match self.below(10) {
            _ if self.calm => None,
            0..=2 => Some(now),
            3..=4 => Some(now + self.ms(0, 300)),
            5..=6 => Some(now + self.ms(0, 9000)),
            _ => None,
        };
        let exit = match self.below(4) {
            0 => Exit::Signal { signal: Signal::KILL, core: false },
            1 => Exit::Code(1),
            2 => Exit::Code(0),
            _ => Exit::Lost,
        };
        let manners = if !self.calm && self.chance(25) { Manners::Deaf } else { Manners::Polite };
        let helpers = match self.below(10) {
            _ if self.calm => None,
            0..=1 => Some(Manners::Polite),
            2 => Some(Manners::Deaf),
            _ => None,
        };
        let child = self.children.get_mut(&pid).expect("known");
        child.os_pid = Some(os_pid);
        child.alive = ends_at.is_none_or(|at| at > now);
        (child.ends_at, child.exit, child.manners, child.helpers) = (ends_at, exit, manners, helpers);
        self.note(format!("spawned {pid}, ends {ends_at:?}, {manners:?}, helpers {helpers:?}"));
        self.table.spawned(pid, os_pid, now);
        self.events();
        claim!(self.children[&pid].spawns == 1, "an answered spawn has its event");
    }

    /// Groups are found empty.
    fn groups(&mut self) {
        let mut quiet: Vec<Pid> = self.children.iter().filter(|(_, c)| c.reaped).map(|(pid, _)| *pid).collect();
        if !self.calm && quiet.len() > 1 {
            quiet.truncate(1 + self.below(3) as usize);
        }
        for pid in quiet {
            if self.children[&pid].helpers.is_some() && self.chance(5) {
                self.children.get_mut(&pid).expect("known").helpers = None;
            }
            if self.children[&pid].helpers.is_none() {
                self.note(format!("gone {pid}"));
                self.table.gone(pid, self.now);
                claim!(self.table.process(pid).is_none(), "a process that is gone is forgotten");
                let child = self.children.remove(&pid).expect("known");
                claim!(child.spawns == 1 && child.exits == 1, "one spawn, one exit: {child:?}");
                self.events();
            }
        }
    }

    // ---- what the table says ----

    fn fetch(&mut self, most: usize) {
        let mut spawns = 0;
        for _ in 0..most {
            let Some(action) = self.table.next_action() else { break };
            self.note(format!("{action:?}"));
            match action {
                Action::Spawn { pid, job, instance, config, once, .. } => {
                    spawns += 1;
                    claim!(spawns < 500, "a hot loop of spawns within one turn");
                    claim!(!self.children.contains_key(&pid) && pid > Pid(0), "spawned twice");
                    claim!(once == self.commits.contains_key(&pid), "committed or not?");
                    claim!(self.accounts[&job].loaded, "a spawn for an unloaded job");
                    claim!(!self.table.is_stopping(), "a spawn during the shutdown");
                    claim!(once || self.table.job(job).expect("loaded").state == JobState::Active, "not active");
                    claim!(instance >= 1 && self.table.process(pid).expect("known").instance == instance, "instance");
                    let child = Child {
                        job,
                        once,
                        detach: config.detach,
                        grace: self.commits.remove(&pid).unwrap_or(config.graceful_timeout),
                        stop_signal: config.stop_signal,
                        os_pid: None,
                        alive: false,
                        ends_at: None,
                        exit: Exit::Lost,
                        manners: Manners::Polite,
                        helpers: None,
                        reported: false,
                        reaped: false,
                        spawns: 0,
                        told: false,
                        exits: 0,
                        stops: 0,
                        kills: 0,
                        deadline: None,
                    };
                    self.last_pid = self.last_pid.max(pid);
                    self.children.insert(pid, child);
                    if self.calm || self.chance(70) {
                        self.answer_to(pid);
                    } else {
                        self.unanswered.push(pid);
                    }
                }
                Action::Signal { pid, os_pid, signal, group, cont } => self.deliver(pid, os_pid, signal, group, cont),
                Action::Reap { pid, os_pid } => {
                    let child = self.children.get_mut(&pid).expect("an action for a known process");
                    claim!(child.os_pid == Some(os_pid), "reaping somebody else");
                    claim!(child.reported && !child.reaped, "reaped once, after the exit");
                    child.reaped = true;
                }
            }
        }
    }

    fn deliver(&mut self, pid: Pid, os_pid: OsPid, signal: Signal, group: bool, cont: bool) {
        let dies = self.chance(50);
        let (now, merciless) = (self.now, self.merciless);
        let child = self.children.get_mut(&pid).expect("a signal for a known process");
        claim!(child.os_pid == Some(os_pid), "a signal for somebody else");
        claim!(group || !child.reaped, "a signal for a number that was given back");
        if group && signal == Signal::KILL {
            claim!(merciless || child.deadline.is_some_and(|at| at <= now), "SIGKILL before its time: {child:?}");
            child.kills += 1;
            (child.alive, child.helpers) = (false, None);
        } else if group {
            claim!(signal == child.stop_signal && cont, "{signal} is not how it is stopped");
            claim!(child.told || child.exits == 1, "nobody told it to end");
            child.stops += 1;
            claim!(child.stops == 1 && child.kills == 0, "asked twice, or too late");
            child.alive &= child.manners == Manners::Deaf;
            child.helpers = child.helpers.filter(|helpers| *helpers == Manners::Deaf);
        } else {
            claim!(!cont, "just a signal");
            child.alive &= signal != Signal::KILL && !dies;
        }
    }

    fn events(&mut self) {
        while let Some((name, what)) = self.table.next_event() {
            self.note(format!("event {name} {what:?}"));
            self.saw(what.name());
            let now = self.now;
            if let Some(pid) = what.pid() {
                self.process_event(pid, &what);
                continue;
            }
            let id = self.table.find(&name);
            match what {
                What::Restart => {
                    let id = id.expect("loaded");
                    let fetched = |pid: &Pid| self.children.contains_key(pid);
                    let old = self.table.pids(id).expect("loaded").into_iter().filter(fetched).collect();
                    let peak = self.table.job(id).expect("loaded").numprocesses as usize;
                    let account = self.accounts.get_mut(&id).expect("known");
                    (account.old, account.peak) = (old, peak);
                }
                What::Update { numprocesses } => {
                    let account = self.accounts.get_mut(&id.expect("loaded")).expect("known");
                    account.peak = account.peak.max(numprocesses as usize);
                }
                What::Flap { retry, next } => claim!((retry > 0) == next.is_some(), "flap {retry} {next:?} at {now:?}"),
                _ => {}
            }
        }
    }

    fn process_event(&mut self, pid: Pid, what: &What) {
        let now = self.now;
        let Some(child) = self.children.get_mut(&pid) else {
            // Only a commit is heard of before its spawn is fetched.
            match what {
                What::StopPid { os_pid: None, .. } if self.commits.remove(&pid).is_some() => {
                    claim!(self.withdrawn.insert(pid), "told twice");
                }
                What::Exit { os_pid: None, once: true, exit: Exit::Failed(_), .. } => {
                    claim!(self.withdrawn.remove(&pid), "an exit out of the blue");
                }
                What::Kill { .. } => {}
                other => panic!("{other:?} of an unknown process"),
            }
            return;
        };
        claim!(
            what.os_pid() == child.os_pid.filter(|_| child.spawns == 1 || matches!(what, What::Spawn { .. })),
            "os_pid"
        );
        match what {
            What::Spawn { detach, .. } => {
                claim!(child.os_pid.is_some() && child.spawns == 0 && child.exits == 0, "spawn: {child:?}");
                claim!(*detach == child.detach, "detach");
                child.spawns = 1;
                child.deadline = child.told.then(|| now + child.grace);
            }
            What::StopPid { .. } | What::Reap { .. } => {
                claim!(!child.told && child.exits == 0, "told twice or too late: {child:?}");
                claim!(!child.once || matches!(what, What::StopPid { .. }), "commits are never surplus");
                child.told = true;
                child.deadline = (child.spawns == 1).then(|| now + child.grace);
            }
            What::Exit { exit, once, .. } => {
                claim!(child.reported && child.exits == 0, "exit: {child:?}");
                claim!(
                    *once == child.once && (child.spawns == 1 || matches!(exit, Exit::Failed(_))),
                    "exit: {child:?}"
                );
                child.exits = 1;
                let spared = child.detach && self.table.is_stopping() && !child.told;
                if child.deadline.is_none() && child.spawns == 1 && !spared {
                    child.deadline = Some(now + child.grace);
                }
            }
            _ => {}
        }
    }

    // ---- what must hold ----

    /// Holds the table against the account; `drained` if no action is left to fetch.
    fn check(&mut self, drained: bool) {
        let stopping = self.table.is_stopping();
        claim!(self.table.next_event().is_none(), "the events were all fetched");
        claim!(self.withdrawn.is_empty(), "withdrawn without an exit");
        for (pid, child) in &self.children {
            let info = self.table.process(*pid);
            claim!(info.is_some(), "forgotten before it was gone: {pid} {child:?}");
            let account = &self.accounts[&child.job];
            let ended = child.told || child.exits == 1;
            let spared = child.detach && stopping;
            if !account.loaded {
                claim!(ended || spared, "{pid} lives in an unloaded job: {child:?}");
            } else if !child.once && !ended && !spared {
                let state = self.table.job(child.job).expect("loaded").state;
                claim!(state == JobState::Active, "{pid} lives in a job that is {state:?}: {child:?}");
            }
            if stopping {
                claim!(ended || child.detach, "{pid} was not told of the shutdown: {child:?}");
            }
            if drained && ended && child.spawns == 1 {
                let asked = child.stops == 1 || child.kills > 0;
                claim!(asked || (spared && !child.told), "{pid} was never asked to end: {child:?}");
                if self.merciless {
                    claim!(child.kills > 0 || (spared && !child.told), "{pid} has survived: {child:?}");
                }
            }
        }
        let mut instances = BTreeSet::new();
        let mut unfetched = 0;
        for pid in self.table.all_pids().chain(self.table.ending()) {
            let info = self.table.process(pid).expect("listed");
            let job = self.table.job_of(pid).expect("listed");
            claim!(
                instances.insert((job, info.instance)),
                "instance {} of {} is there twice",
                info.instance,
                info.name
            );
            if !self.children.contains_key(&pid) {
                claim!(info.state == ProcessState::Starting, "{pid} was never announced");
                unfetched += 1;
            }
        }
        claim!(!drained || unfetched == 0, "{unfetched} spawns are lost");
        claim!(instances.len() == self.children.len() + unfetched, "a process is listed twice");
        for (id, account) in &mut self.accounts {
            let Some(info) = self.table.job(*id) else {
                claim!(!account.loaded, "a loaded job is lost");
                continue;
            };
            claim!(account.loaded && info.name.as_str() == account.name, "an unloaded job is found");
            claim!(self.table.find(&info.name) == Some(*id), "found by its name");
            let pids = self.table.pids(*id).expect("loaded");
            claim!(info.processes.len() == info.running as usize, "info: {info:?}");
            claim!(pids.len() == (info.running - info.running_out) as usize, "info: {info:?}");
            account.old.retain(|pid| pids.contains(pid));
            let starting = pids.iter().any(|pid| self.children.get(pid).is_none_or(|child| child.spawns == 0));
            let limit = if starting { account.old.len() + account.peak } else { 0 };
            let limit = limit.max(info.numprocesses as usize);
            if info.state == JobState::Active {
                claim!(pids.len() <= limit, "{} live where {limit} may: {info:?}, {account:?}", pids.len());
            }
            if !starting {
                account.old.clear();
            }
        }
        let ghosts = &self.children;
        self.accounts.retain(|id, account| account.loaded || ghosts.values().any(|child| child.job == *id));
        if drained {
            self.check_kills();
        }
    }

    /// What is past its grace was killed, once the table has heard of the time.
    fn check_kills(&mut self) {
        let next = self.table.next_deadline();
        for (pid, child) in &self.children {
            if let Some(at) = child.deadline.filter(|_| child.kills == 0) {
                claim!(next.is_some_and(|next| next <= at), "{pid} will never be killed: {child:?}, {next:?}");
            }
        }
    }

    /// Runs the world on until nothing is under way.
    fn run_down(&mut self) {
        for round in 0.. {
            claim!(round < 5_000, "it never comes to rest");
            while !self.unanswered.is_empty() {
                self.answer();
            }
            self.deaths();
            self.fetch(usize::MAX);
            self.groups();
            self.events();
            self.fetch(usize::MAX);
            self.check(true);
            let busy = !self.unanswered.is_empty()
                || self.children.values().any(|c| (c.spawns > 0 && !c.alive) || (c.reaped && c.helpers.is_none()));
            if busy {
                let now = self.now + Duration::from_millis(1);
                self.pass(now);
                continue;
            }
            let ends = self.children.values().filter(|c| c.alive).filter_map(|c| c.ends_at).min();
            match self.table.next_deadline().into_iter().chain(ends).min() {
                Some(at) => self.pass(at.max(self.now)),
                None => break,
            }
            self.events();
        }
    }

    /// From now on all children are good: every job must come to what it promises.
    fn calm_down(&mut self) {
        self.note("calm".to_owned());
        self.saw("calm");
        self.calm = true;
        self.run_down();
        for id in self.table.jobs() {
            let info = self.table.job(id).expect("listed");
            let kept = (info.running - info.running_out) as usize;
            match info.state {
                JobState::Active if info.config.restart == Restart::Always => {
                    claim!(kept == info.numprocesses as usize, "it does not reach its number: {info:?}");
                }
                JobState::Active => claim!(kept <= info.numprocesses as usize, "{info:?}"),
                JobState::Stopped => claim!(kept == 0 || self.table.is_stopping(), "it has not stopped: {info:?}"),
                _ => panic!("it flaps for ever: {info:?}"),
            }
        }
        claim!(self.table.ending().count() == 0, "somebody never ended");
        claim!(self.table.is_idle() == self.children.is_empty(), "idle?");
        self.calm = false;
    }

    /// Shuts the table down, waits for the end, and begins anew.
    pub fn end(&mut self) {
        self.note("shutdown".to_owned());
        self.saw("shutdown");
        self.table.shutdown(self.now);
        self.events();
        for _ in 0..self.below(30) {
            match self.below(6) {
                0 => self.command(),
                1 => self.advance(),
                2 => self.deaths(),
                3 => self.answer(),
                _ => self.groups(),
            }
            self.events();
            let all = self.chance(70);
            self.fetch(if all { usize::MAX } else { 1 });
            self.check(all);
        }
        if self.chance(30) {
            self.note("kill_everything".to_owned());
            self.merciless = true;
            self.table.kill_everything(self.now);
            self.events();
        }
        // Detached children may live for ever; everything else ends.
        self.calm = true;
        self.run_down();
        claim!(self.table.is_finished(), "the shutdown never ends: {:?}", self.table);
        for (pid, child) in &self.children {
            claim!(child.detach && !child.told && child.alive, "{pid} is left: {child:?}");
        }
        claim!(self.table.next_deadline().is_none() && self.table.next_action().is_none(), "nothing is left to do");
        self.calm = false;
        self.merciless = false;
        self.table = ProcessTable::new();
        self.children.clear();
        self.commits.clear();
        self.accounts.clear();
        self.last_pid = Pid(0);
    }

    /// A long game must have met everything that can happen.
    #[allow(dead_code)]
    pub fn must_have_seen_everything(&self, steps: u64) {
        if steps < 4_000 {
            return;
        }
        for what in [
            "create",
            "start",
            "stop",
            "restart",
            "update",
            "delete",
            "spawn",
            "reap",
            "exit",
            "stop_pid",
            "flap",
            "kill",
            "late answer",
            "spawn failed",
            "calm",
            "shutdown",
            "restart_all",
            "stopall",
            "reload",
            "commit",
            "killall",
        ] {
            claim!(self.seen.contains_key(what), "{what} never happened in {steps} steps: {:?}", self.seen);
        }
    }
}

/// Says how to see it again, and what came before.
impl<D> Drop for World<D> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = Vec::from(std::mem::take(&mut self.log)).join("\n  ");
            eprintln!("{} failed at step {}; the last happenings:\n  {log}", self.label, self.step);
        }
    }
}
