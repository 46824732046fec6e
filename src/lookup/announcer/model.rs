//! What this node has, as its events tell it, and what of that changes.

use std::collections::{BTreeMap, BTreeSet};

use crate::manager::Cx;
use crate::process::{Event, JobName, Pid, What};
use crate::proto::lookup::Request;

/// The jobs, each with the processes that it keeps alive.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Model {
    jobs: BTreeMap<JobName, BTreeSet<Pid>>,
}

impl Model {
    /// As the manager has it now. Events that were published before and come yet change nothing for good: the last of each name is true.
    pub(super) fn read(cx: &Cx<'_>) -> Self {
        let mut jobs = BTreeMap::new();
        cx.walk(|info| {
            let kept = info.processes.len().saturating_sub(info.running_out as usize);
            jobs.insert(JobName::clone(&info.name), info.processes[..kept].iter().copied().collect());
        });
        Self { jobs }
    }

    /// All of it, as a node registers that has just identified itself.
    pub(super) fn register(&self) -> impl Iterator<Item = Request> {
        self.jobs.iter().flat_map(|(job, pids)| {
            let name = || job.as_str().to_owned();
            let processes = pids.iter().map(move |pid| Request::RegisterProcess { job: name(), pid: pid.0 });
            [Request::RegisterJob { job: name() }].into_iter().chain(processes)
        })
    }

    /// Takes an event up; returns what lookup servers are to be told. `is_kept` says whether a process is one that the job keeps alive: committed ones are not
    /// announced.
    ///
    /// A process is withdrawn as soon as it is told to end, and once; those of a job before the job.
    pub(super) fn apply(&mut self, event: &Event, is_kept: impl Fn(Pid) -> bool) -> Vec<Request> {
        let Some(job) = event.job.as_deref() else { return Vec::new() };
        let name = || job.as_str().to_owned();
        let pids = self.jobs.get_mut(job);
        match (&event.what, pids) {
            (What::Create, None) => {
                self.jobs.insert(job.clone(), BTreeSet::new());
                vec![Request::RegisterJob { job: name() }]
            }
            (What::Delete, Some(pids)) => {
                let processes = pids.iter().map(|pid| Request::UnregisterProcess { job: name(), pid: pid.0 });
                let requests = processes.chain([Request::UnregisterJob { job: name() }]).collect();
                self.jobs.remove(job);
                requests
            }
            (What::Spawn { pid, .. }, Some(pids)) => {
                let is_new = is_kept(*pid) && pids.insert(*pid);
                let request = is_new.then(|| Request::RegisterProcess { job: name(), pid: pid.0 });
                request.into_iter().collect()
            }
            (What::Reap { pid, .. } | What::StopPid { pid, .. } | What::Exit { pid, .. }, Some(pids)) => {
                let was_there = pids.remove(pid);
                let request = was_there.then(|| Request::UnregisterProcess { job: name(), pid: pid.0 });
                request.into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// What makes of this one that one.
    pub(super) fn difference(&self, new: &Self) -> Vec<Request> {
        let mut requests = Vec::new();
        let none = BTreeSet::new();
        for (job, pids) in &self.jobs {
            let there = new.jobs.get(job);
            let name = || job.as_str().to_owned();
            let gone = pids.difference(there.unwrap_or(&none));
            requests.extend(gone.map(|pid| Request::UnregisterProcess { job: name(), pid: pid.0 }));
            if there.is_none() {
                requests.push(Request::UnregisterJob { job: name() });
            }
        }
        for (job, pids) in &new.jobs {
            let there = self.jobs.get(job);
            let name = || job.as_str().to_owned();
            if there.is_none() {
                requests.push(Request::RegisterJob { job: name() });
            }
            let more = pids.difference(there.unwrap_or(&none));
            requests.extend(more.map(|pid| Request::RegisterProcess { job: name(), pid: pid.0 }));
        }
        requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::OsPid;
    use std::sync::Arc;
    use std::time::SystemTime;

    fn event(job: &str, what: What) -> Event {
        Event::new(SystemTime::UNIX_EPOCH, Some(Arc::new(job.parse().expect("a name"))), what)
    }

    fn spawn(pid: u64) -> What {
        What::Spawn { pid: Pid(pid), os_pid: OsPid(1), detach: false }
    }

    fn reg(job: &str) -> Request {
        Request::RegisterJob { job: job.into() }
    }

    fn unreg(job: &str) -> Request {
        Request::UnregisterJob { job: job.into() }
    }

    fn reg_pid(job: &str, pid: u64) -> Request {
        Request::RegisterProcess { job: job.into(), pid }
    }

    fn unreg_pid(job: &str, pid: u64) -> Request {
        Request::UnregisterProcess { job: job.into(), pid }
    }

    #[test]
    fn each_change_is_told_once_and_in_order() {
        let mut model = Model::default();
        let stop = |pid| What::StopPid { pid: Pid(pid), os_pid: None };
        let reap = |pid| What::Reap { pid: Pid(pid), os_pid: None };
        for (what, want) in [
            (spawn(1), vec![]),
            (What::Create, vec![reg("s.a")]),
            (What::Create, vec![]),
            (What::Start, vec![]),
            (spawn(1), vec![reg_pid("s.a", 1)]),
            (spawn(1), vec![]),
            (spawn(2), vec![reg_pid("s.a", 2)]),
            (spawn(3), vec![reg_pid("s.a", 3)]),
            (spawn(9), vec![]),
            (stop(1), vec![unreg_pid("s.a", 1)]),
            (stop(1), vec![]),
            (reap(2), vec![unreg_pid("s.a", 2)]),
            (stop(9), vec![]),
            (What::Delete, vec![unreg_pid("s.a", 3), unreg("s.a")]),
            (stop(3), vec![]),
            (What::Delete, vec![]),
        ] {
            assert_eq!(model.apply(&event("s.a", what.clone()), |pid| pid != Pid(9)), want, "{what:?}");
        }
        assert_eq!(model, Model::default());
    }

    #[test]
    fn differences() {
        let model = |jobs: &[(&str, &[u64])]| Model {
            jobs: jobs
                .iter()
                .map(|(name, pids)| (name.parse().expect("a name"), pids.iter().copied().map(Pid).collect()))
                .collect(),
        };
        let (old, new) = (model(&[("s.a", &[1, 2]), ("s.b", &[3])]), model(&[("s.b", &[3, 4]), ("s.c", &[5])]));
        let want =
            [unreg_pid("s.a", 1), unreg_pid("s.a", 2), unreg("s.a"), reg_pid("s.b", 4), reg("s.c"), reg_pid("s.c", 5)];
        assert_eq!(old.difference(&new), want);
        assert_eq!(old.difference(&old), []);
        assert_eq!(Model::default().difference(&old), old.register().collect::<Vec<_>>());
    }
}
