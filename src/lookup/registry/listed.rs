//! What a registry answers: registrations of one node as one.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::{Node, NodeId, Registry};
use crate::process::{JobName, Pid};
use crate::proto::lookup::NodeInfo;

/// A node that has a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// The node.
    pub node: &'a NodeInfo,
    /// The processes that it keeps alive for that job.
    pub pids: Cow<'a, BTreeSet<Pid>>,
}

/// How much a registry knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Nodes, each once.
    pub nodes: usize,
    /// Their jobs; one that two nodes have counts twice.
    pub jobs: usize,
    /// The processes of these.
    pub processes: usize,
    /// Connections of nodes to this server, those included that have not said who they are.
    pub connections: usize,
}

impl Registry {
    /// How much there is. It takes longer with more nodes, and hardly with more jobs.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { connections: self.connected, ..Totals::default() };
        for (info, group) in self.groups() {
            totals.nodes += 1;
            if let [only] = group {
                let node = &self.nodes[only];
                totals.jobs += node.jobs.len();
                totals.processes += node.processes;
            } else {
                let named: BTreeSet<&JobName> = self.registrations(group).flat_map(|node| node.jobs.keys()).collect();
                totals.jobs += named.len();
                let sources = named.iter().filter_map(|job| self.source(info, group, job));
                totals.processes += sources.map(|source| source.pids.len()).sum::<usize>();
            }
        }
        totals
    }

    /// The nodes that have identified themselves, each once, in the order in which this server has learnt of them.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeInfo> {
        self.groups().map(|(info, _)| info)
    }

    /// All jobs in the order of their names, each with the nodes that have it; those of the nodes of one name if that is given.
    #[must_use]
    pub fn jobs(&self, node: Option<&str>) -> BTreeMap<&JobName, Vec<Source<'_>>> {
        let mut jobs = BTreeMap::<_, Vec<_>>::new();
        for (info, group) in self.groups().filter(|(info, _)| node.is_none_or(|name| name == info.name)) {
            let named: BTreeSet<&JobName> = self.registrations(group).flat_map(|node| node.jobs.keys()).collect();
            for job in named {
                jobs.entry(job).or_default().extend(self.source(info, group, job));
            }
        }
        jobs
    }

    /// The nodes that have a job.
    pub fn find_job(&self, job: &JobName) -> impl Iterator<Item = Source<'_>> {
        self.groups().filter_map(move |(info, group)| self.source(info, group, job))
    }

    /// Each node with its registrations; the first of these says which version it is of.
    fn groups(&self) -> impl Iterator<Item = (&NodeInfo, &[NodeId])> {
        self.nodes.iter().filter_map(|(id, node)| {
            let info = node.info.as_ref()?;
            let group = self.same.get(&super::identity(info))?;
            (group.first() == Some(id)).then_some((info, &**group))
        })
    }

    fn registrations(&self, group: &[NodeId]) -> impl Iterator<Item = &Node> {
        group.iter().filter_map(|id| self.nodes.get(id))
    }

    fn source<'a>(&'a self, node: &'a NodeInfo, group: &[NodeId], job: &JobName) -> Option<Source<'a>> {
        let mut sets = self.registrations(group).filter_map(|node| node.jobs.get(job));
        let mut pids = Cow::Borrowed(sets.next()?);
        for set in sets {
            if *set != *pids {
                pids.to_mut().extend(set);
            }
        }
        Some(Source { node, pids })
    }
}
