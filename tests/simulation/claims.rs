//! What the table says, held against the account of the world.

use std::collections::BTreeSet;

use gaffer::process::{Exit, JobState, OsPid, Pid, ProcessState, Signal, What};
use gaffer::table::Action;

use super::{Child, Dice, Manners, World};

impl<D: Dice> World<D> {
    pub(super) fn fetch(&mut self, most: usize) {
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
                    claim!(
                        once || self.table.job(job, self.now).expect("loaded").state == JobState::Active,
                        "not active"
                    );
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

    pub(super) fn deliver(&mut self, pid: Pid, os_pid: OsPid, signal: Signal, group: bool, cont: bool) {
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

    pub(super) fn events(&mut self) {
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
                    let peak = self.table.job(id, self.now).expect("loaded").numprocesses as usize;
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

    pub(super) fn process_event(&mut self, pid: Pid, what: &What) {
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

    /// Holds the table against the account; `drained` if no action is left to fetch.
    pub(super) fn check(&mut self, drained: bool) {
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
                let state = self.table.job(child.job, self.now).expect("loaded").state;
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
            let Some(info) = self.table.job(*id, self.now) else {
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
    pub(super) fn check_kills(&mut self) {
        let next = self.table.next_deadline();
        for (pid, child) in &self.children {
            if let Some(at) = child.deadline.filter(|_| child.kills == 0) {
                claim!(next.is_some_and(|next| next <= at), "{pid} will never be killed: {child:?}, {next:?}");
            }
        }
    }
}
