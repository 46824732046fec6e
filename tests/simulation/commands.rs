//! Random commands, and what the table must answer.

use std::time::Duration;

use gaffer::ErrorKind;
use gaffer::process::{Backoff, Flapping, JobConfig, JobId, Pid, ProcessState, Restart, Scale, Signal};
use gaffer::table::Commit;

use super::{Account, Dice, World};

const NAMES: [&str; 7] = ["a", "b", "c", "shop.web", "shop.db", "x.a", "x.y"];

impl<D: Dice> World<D> {
    pub(super) fn config(&mut self, name: &str) -> JobConfig {
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

    pub(super) fn command(&mut self) {
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
        let before = self.table.job(id, self.now);
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
                    claim!(
                        result.is_err() || self.table.job(id, self.now).expect("loaded").numprocesses == target,
                        "scaled"
                    );
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
            78 => return self.restart_all(),
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

    pub(super) fn load(&mut self) {
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

    pub(super) fn restart_all(&mut self) {
        self.note("restart_all".to_owned());
        self.saw("restart_all");
        let refused = self.table.restart_all(self.now).err().map(|e| e.kind());
        claim!(refused == self.table.is_stopping().then_some(ErrorKind::Stopping), "restart_all: {refused:?}");
    }

    pub(super) fn pid_command(&mut self) {
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

    pub(super) fn signal(&mut self) -> Signal {
        self.pick(&[Signal::HUP, Signal::TERM, Signal::KILL, Signal::USR1]).expect("some")
    }
}
