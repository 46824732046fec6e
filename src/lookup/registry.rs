//! The nodes, their jobs, and the processes of these.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::process::{JobName, Pid};
use crate::proto::lookup::{Event, NodeInfo, Refused, What};

/// How often a node says that it is alive.
pub const PING_INTERVAL: Duration = Duration::from_secs(15);

/// So many pings may be missed before a node is gone.
pub const MISSED_PINGS: u32 = 3;

/// A connection of a node; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u64);

/// Bounds. What is beyond one is refused with 503 and a sentence that names it; what is known stays.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections of nodes. Default: 1024.
    pub nodes: usize,
    /// Jobs of one node. Default: 10 000.
    pub jobs: usize,
    /// Processes of one node. Default: 100 000.
    pub processes: usize,
    /// Bytes of each text by which a node identifies itself. Default: 1024.
    pub text: usize,
    /// How often nodes are to give a sign of life. Default: 15 s.
    pub ping_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { nodes: 1024, jobs: 10_000, processes: 100_000, text: 1024, ping_interval: PING_INTERVAL }
    }
}

/// What a lookup server knows. It reads no clock: each method that needs the time is told it.
///
/// What happens is appended to the list of events that the methods are given. When a node goes, its processes are told first, then their
/// jobs, then the node.
///
/// ```
/// use std::time::Instant;
/// use gaffer::lookup::Registry;
/// use gaffer::proto::lookup::NodeInfo;
///
/// let (mut registry, mut events) = (Registry::default(), Vec::new());
/// let node = registry.connect(Instant::now())?;
/// let info = NodeInfo { name: "a".into(), origin: "http://a:5000".into(), version: "0.1".into() };
/// registry.identify(node, info, Instant::now(), &mut events)?;
/// let web = "shop.web".parse().expect("a name");
/// registry.add_job(node, &web, &mut events)?;
/// assert_eq!(registry.find_job(&web).count(), 1);
/// registry.disconnect(node, &mut events);
/// let names: Vec<_> = events.iter().map(|event| event.what.name()).collect();
/// assert_eq!(names, ["add_node", "identify", "add_job", "remove_job", "remove_node"]);
/// # Ok::<(), gaffer::proto::lookup::Refused>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Registry {
    limits: Limits,
    last: u64,
    nodes: BTreeMap<NodeId, Node>,
}

#[derive(Clone, Debug)]
struct Node {
    /// `None` until it has identified itself; it is not listed then.
    info: Option<NodeInfo>,
    seen: Instant,
    jobs: BTreeMap<JobName, BTreeSet<Pid>>,
    processes: usize,
}

/// A node that has a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// The node.
    pub node: &'a NodeInfo,
    /// The processes that it keeps alive for that job.
    pub pids: &'a BTreeSet<Pid>,
}

impl Registry {
    /// An empty one.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, last: 0, nodes: BTreeMap::new() }
    }

    /// Its bounds.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A node has connected; nobody is told before it has identified itself.
    ///
    /// # Errors
    ///
    /// 503: there are as many as there may be.
    pub fn connect(&mut self, now: Instant) -> Result<NodeId, Refused> {
        let n = self.nodes.len();
        if n >= self.limits.nodes {
            return Err(full(format!("{n} nodes are connected, and that is all there may be")));
        }
        self.last += 1;
        let id = NodeId(self.last);
        let node = Node { info: None, seen: now, jobs: BTreeMap::new(), processes: 0 };
        self.nodes.insert(id, node);
        Ok(id)
    }

    /// A connection has ended, or its node is given up.
    pub fn disconnect(&mut self, id: NodeId, events: &mut Vec<Event>) {
        let Some(Node { info: Some(info), jobs, .. }) = self.nodes.remove(&id) else { return };
        for (job, pids) in &jobs {
            let name = || job.as_str().to_owned();
            let processes = pids.iter().map(|pid| What::RemoveProcess(name(), pid.0));
            for what in processes.chain([What::RemoveJob(name())]) {
                events.push(Event { node: info.clone(), what });
            }
        }
        events.push(Event { node: info, what: What::RemoveNode });
    }

    /// A node has said something, whatever it was: it is alive.
    pub fn seen(&mut self, id: NodeId, now: Instant) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.seen = now;
        }
    }

    /// When a node is to be given up if it says nothing until then: so many [intervals](Limits::ping_interval) as it may
    /// [miss](MISSED_PINGS) pings after its last message. `None` if it is gone.
    #[must_use]
    pub fn deadline(&self, id: NodeId) -> Option<Instant> {
        self.nodes.get(&id).map(|node| node.seen + self.limits.ping_interval * MISSED_PINGS)
    }

    /// A node says who it is. A node of the same name and origin that has missed a ping gives way: it has come back, and its old connection
    /// has not ended yet.
    ///
    /// # Errors
    ///
    /// 409 if it has said so already, or another one is the same; 400 if a text is empty or too long.
    pub fn identify(
        &mut self,
        id: NodeId,
        info: NodeInfo,
        now: Instant,
        events: &mut Vec<Event>,
    ) -> Result<(), Refused> {
        match self.nodes.get(&id) {
            None => return Err(need_identify()),
            Some(Node { info: Some(_), .. }) => {
                return Err(Refused::new(409, "the node has identified itself already"));
            }
            Some(_) => {}
        }
        let max = self.limits.text;
        for (what, text) in [("name", &info.name), ("origin", &info.origin), ("version", &info.version)] {
            if text.is_empty() || text.len() > max {
                return Err(Refused::new(400, format!("{what}: expected 1 to {max} bytes, found {}", text.len())));
            }
        }
        let same = |node: &Node| node.info.as_ref().is_some_and(|i| (&i.name, &i.origin) == (&info.name, &info.origin));
        if let Some((&old, node)) = self.nodes.iter().find(|(_, node)| same(node)) {
            let is_late = now.saturating_duration_since(node.seen) > self.limits.ping_interval.mul_f64(1.5);
            if !is_late {
                let what = format!("a node '{}' at {} is registered already", info.name, info.origin);
                return Err(Refused::new(409, what));
            }
            self.disconnect(old, events);
        }
        for what in [What::AddNode, What::Identify] {
            events.push(Event { node: info.clone(), what });
        }
        self.nodes.get_mut(&id).expect("it was found above").info = Some(info);
        Ok(())
    }

    /// A node has a job.
    ///
    /// # Errors
    ///
    /// 404 before it has identified itself, 409 if the job is registered, 503 if there are too many.
    pub fn add_job(&mut self, id: NodeId, job: &JobName, events: &mut Vec<Event>) -> Result<(), Refused> {
        let max = self.limits.jobs;
        let (node, info) = self.identified(id)?;
        if node.jobs.contains_key(job) {
            return Err(Refused::new(409, format!("job '{}' is already registered", job.as_str())));
        }
        if node.jobs.len() >= max {
            return Err(full(format!("the node has {max} jobs, and that is all it may have")));
        }
        node.jobs.insert(job.clone(), BTreeSet::new());
        events.push(Event { node: info, what: What::AddJob(job.as_str().to_owned()) });
        Ok(())
    }

    /// A node has a job no more; nor its processes. Nothing happens if it had none of this name.
    ///
    /// # Errors
    ///
    /// 404 before the node has identified itself.
    pub fn remove_job(&mut self, id: NodeId, job: &JobName, events: &mut Vec<Event>) -> Result<(), Refused> {
        let (node, info) = self.identified(id)?;
        let Some(pids) = node.jobs.remove(job) else { return Ok(()) };
        node.processes -= pids.len();
        let name = || job.as_str().to_owned();
        let processes = pids.iter().map(|pid| What::RemoveProcess(name(), pid.0));
        events.extend(processes.chain([What::RemoveJob(name())]).map(|what| Event { node: info.clone(), what }));
        Ok(())
    }

    /// A job has a process. Nothing happens if that was known.
    ///
    /// # Errors
    ///
    /// 404 before the node has identified itself and for a job it has not, 503 if there are too many.
    pub fn add_process(&mut self, id: NodeId, job: &JobName, pid: Pid, events: &mut Vec<Event>) -> Result<(), Refused> {
        let max = self.limits.processes;
        let (node, info) = self.identified(id)?;
        let pids = node.jobs.get_mut(job).ok_or_else(|| no_job(job))?;
        if pids.contains(&pid) {
            return Ok(());
        }
        if node.processes >= max {
            return Err(full(format!("the node has {max} processes, and that is all it may have")));
        }
        pids.insert(pid);
        node.processes += 1;
        events.push(Event { node: info, what: What::AddProcess(job.as_str().to_owned(), pid.0) });
        Ok(())
    }

    /// A job has a process no more. Nothing happens if it had none of this number.
    ///
    /// # Errors
    ///
    /// 404 before the node has identified itself and for a job it has not.
    pub fn remove_process(
        &mut self,
        id: NodeId,
        job: &JobName,
        pid: Pid,
        events: &mut Vec<Event>,
    ) -> Result<(), Refused> {
        let (node, info) = self.identified(id)?;
        if node.jobs.get_mut(job).ok_or_else(|| no_job(job))?.remove(&pid) {
            node.processes -= 1;
            events.push(Event { node: info, what: What::RemoveProcess(job.as_str().to_owned(), pid.0) });
        }
        Ok(())
    }

    fn identified(&mut self, id: NodeId) -> Result<(&mut Node, NodeInfo), Refused> {
        let node = self.nodes.get_mut(&id).ok_or_else(need_identify)?;
        let info = node.info.clone().ok_or_else(need_identify)?;
        Ok((node, info))
    }

    /// The nodes that have identified themselves, in the order in which they connected.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeInfo> {
        self.nodes.values().filter_map(|node| node.info.as_ref())
    }

    /// All jobs in the order of their names, each with the nodes that have it; those of the nodes of one name if that is given.
    #[must_use]
    pub fn jobs(&self, node: Option<&str>) -> BTreeMap<&JobName, Vec<Source<'_>>> {
        let mut jobs = BTreeMap::<_, Vec<_>>::new();
        for (info, of_node) in self.listed() {
            if node.is_none_or(|name| name == info.name) {
                for (job, pids) in of_node {
                    jobs.entry(job).or_default().push(Source { node: info, pids });
                }
            }
        }
        jobs
    }

    /// The nodes that have a job.
    pub fn find_job(&self, job: &JobName) -> impl Iterator<Item = Source<'_>> {
        self.listed().filter_map(move |(node, jobs)| Some(Source { node, pids: jobs.get(job)? }))
    }

    fn listed(&self) -> impl Iterator<Item = (&NodeInfo, &BTreeMap<JobName, BTreeSet<Pid>>)> {
        self.nodes.values().filter_map(|node| Some((node.info.as_ref()?, &node.jobs)))
    }
}

fn full(reason: String) -> Refused {
    Refused::new(503, reason)
}

fn need_identify() -> Refused {
    Refused::new(404, "need to send IDENTIFY message first")
}

fn no_job(job: &JobName) -> Refused {
    Refused::new(404, format!("job '{}' is not registered", job.as_str()))
}

#[cfg(test)]
mod tests;
