//! A world for a [`ProcessTable`]: commands, children and a clock, all by dice, and a second account
//! of what happened that the table is held against after each step.
//!
//! Children exit at once or later, fail to start, ignore signals, leave grandchildren; answers to
//! spawns come late, actions are fetched late, time jumps. Nothing here sleeps or reads a clock
//! but for the zero of the simulated time.

macro_rules! claim {
    ($cond:expr, $($why:tt)+) => {
        if !$cond {
            panic!($($why)+);
        }
    };
}

mod claims;
mod commands;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use gaffer::process::{Exit, JobId, JobState, OsPid, Pid, Restart, Signal};
use gaffer::table::ProcessTable;

/// Where chance comes from; `None` at its end.
pub(crate) trait Dice {
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

pub(crate) struct World<D> {
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

impl<D: Dice> World<D> {
    pub(crate) fn new(dice: D, label: String) -> Self {
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
    pub(crate) fn is_over(&self) -> bool {
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
    pub(crate) fn step(&mut self) {
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
            let info = self.table.job(id, self.now).expect("listed");
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
    pub(crate) fn end(&mut self) {
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
    pub(crate) fn must_have_seen_everything(&self, steps: u64) {
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
    #[allow(clippy::print_stderr)] // A failing test may speak.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = Vec::from(std::mem::take(&mut self.log)).join("\n  ");
            eprintln!("{} failed at step {}; the last happenings:\n  {log}", self.label, self.step);
        }
    }
}
