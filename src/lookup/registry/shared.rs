//! What those need who share a registry with other servers.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Gone, NodeId, Registry};
use crate::process::{JobName, Pid};
use crate::proto::lookup::{Event, NodeInfo};

impl NodeId {
    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    pub(crate) const fn of(number: u64) -> Self {
        Self(number)
    }
}

/// All that a registration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    pub(crate) id: NodeId,
    pub(crate) info: NodeInfo,
    pub(crate) jobs: BTreeMap<JobName, BTreeSet<Pid>>,
}

impl Registry {
    /// Another server has a node.
    pub(crate) fn join(&mut self, info: NodeInfo, events: &mut Vec<Event>) -> NodeId {
        let id = self.insert(None, None);
        self.enter(id, info, events);
        id
    }

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
}
