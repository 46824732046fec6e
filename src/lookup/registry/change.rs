//! What nodes that are connected here have told, for those who pass it on.

use std::collections::{BTreeMap, BTreeSet};

use super::{NodeId, Registry};
use crate::process::{JobName, Pid};
use crate::proto::lookup::NodeInfo;

/// Something that a registration says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fact {
    /// Which node it is of.
    Node(NodeInfo),
    /// It has a job.
    Job(JobName),
    /// That job has a process.
    Process(JobName, Pid),
}

/// A change of a registration that is connected here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It says this from now on.
    Add(NodeId, Fact),
    /// It says this no more, nor what depends on it: a job's processes, a node's jobs.
    Remove(NodeId, Gone),
}

/// What a registration does not say any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Anything.
    Node,
    /// That it has this job.
    Job(JobName),
    /// That the job has this process.
    Process(JobName, Pid),
}

/// All that a registration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    pub(crate) id: NodeId,
    pub(crate) info: NodeInfo,
    pub(crate) jobs: BTreeMap<JobName, BTreeSet<Pid>>,
}

impl Registry {
    /// Keeps what changes from now on for [`take_changes`](Self::take_changes).
    pub(crate) fn keep_changes(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// What nodes that are connected here have told since this was asked last, in order.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// All that nodes that are connected here have told.
    pub(crate) fn connected(&self) -> Vec<Registration> {
        let here = self.nodes.iter().filter(|(_, node)| node.seen.is_some());
        let all = here
            .filter_map(|(id, node)| Some(Registration { id: *id, info: node.info.clone()?, jobs: node.jobs.clone() }));
        all.collect()
    }

    /// Whether a node that is connected here says this.
    pub(crate) fn says(&self, id: NodeId, fact: &Gone) -> bool {
        let Some(node) = self.nodes.get(&id).filter(|node| node.seen.is_some()) else { return false };
        match fact {
            Gone::Node => node.info.is_some(),
            Gone::Job(job) => node.jobs.contains_key(job),
            Gone::Process(job, pid) => node.has(job, *pid),
        }
    }

    /// All that a registration says, connected here or not.
    pub(crate) fn jobs_of(&self, id: NodeId) -> Option<(&NodeInfo, &BTreeMap<JobName, BTreeSet<Pid>>)> {
        let node = self.nodes.get(&id)?;
        Some((node.info.as_ref()?, &node.jobs))
    }

    pub(super) fn note(&mut self, id: NodeId, change: impl FnOnce() -> Change) {
        let Some(changes) = &mut self.changes else { return };
        if self.nodes.get(&id).is_some_and(|node| node.seen.is_some() && node.info.is_some()) {
            changes.push(change());
        }
    }
}
