//! What nodes that are connected here have told, for those who pass it on.

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

impl Registry {
    pub(super) fn note(&mut self, id: NodeId, change: impl FnOnce() -> Change) {
        let Some(changes) = &mut self.changes else { return };
        if self.nodes.get(&id).is_some_and(|node| node.seen.is_some() && node.info.is_some()) {
            changes.push(change());
        }
    }
}
