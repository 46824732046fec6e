//! The nodes, their jobs, and the processes of these.
//!
//! A node may be registered more than once: by its connection to this server, and by those to others with which this one shares what it knows.
//! All that have the same name and origin are one node, which has what any of them says; events tell what changes for that node.
//!
//! A node that comes back before its old connection was missed, and shows the same [`Instance`] as that, takes its place at once. The old registration
//! stays without its connection until the node has said all it has, so that events tell the difference alone.

mod change;
mod listed;
#[cfg(feature = "etcd")]
mod shared;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::process::{JobName, Pid};
use crate::proto::lookup::{Event, Instance, NodeInfo, Refused, What};

pub(crate) use change::{Change, Fact, Gone};
pub use listed::{Source, Totals};
#[cfg(feature = "etcd")]
pub(crate) use shared::Registration;

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
    /// Connections of nodes to this server. Default: 1024.
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
    /// The registrations of each node that has identified itself, in the order in which they came; none of these is empty.
    same: BTreeMap<Identity, Vec<NodeId>>,
    /// Those of `nodes` that are connected here.
    connected: usize,
    /// What those that are connected here have told, if somebody wants to know.
    changes: Option<Vec<Change>>,
}

/// Name and origin, by which a node is known.
type Identity = (String, String);

fn identity(info: &NodeInfo) -> Identity {
    (info.name.clone(), info.origin.clone())
}

/// A registration.
#[derive(Clone, Debug)]
struct Node {
    /// `None` until it has identified itself; it is not listed then.
    info: Option<NodeInfo>,
    /// Its last sign of life; `None` for one that is connected to another server, which looks after it.
    seen: Option<Instant>,
    jobs: BTreeMap<JobName, BTreeSet<Pid>>,
    processes: usize,
    /// What whoever takes its place must show.
    instance: Option<Instance>,
    /// The registration whose place it has taken, until it has said all it has. There is one at most: the last that was whole.
    before: Option<NodeId>,
    /// Another one has its place: it has no connection any more, and says what it said.
    replaced: bool,
}

impl Registry {
    /// An empty one.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, last: 0, nodes: BTreeMap::new(), same: BTreeMap::new(), connected: 0, changes: None }
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
        let n = self.connected;
        if n >= self.limits.nodes {
            return Err(full(format!("{n} nodes are connected, and that is all there may be")));
        }
        self.connected += 1;
        Ok(self.insert(None, Some(now)))
    }

    fn insert(&mut self, info: Option<NodeInfo>, seen: Option<Instant>) -> NodeId {
        self.last += 1;
        let id = NodeId(self.last);
        let (instance, before) = (None, None);
        let node = Node { info, seen, jobs: BTreeMap::new(), processes: 0, instance, before, replaced: false };
        self.nodes.insert(id, node);
        id
    }

    /// A registration is one of this node from now on.
    fn enter(&mut self, id: NodeId, info: NodeInfo, events: &mut Vec<Event>) {
        let same = self.same.entry(identity(&info)).or_default();
        if same.is_empty() {
            let told = [What::AddNode, What::Identify];
            events.extend(told.map(|what| Event { node: info.clone(), what }));
        }
        same.push(id);
        self.nodes.get_mut(&id).expect("who enters was inserted").info = Some(info.clone());
        self.note(id, || Change::Add(id, Fact::Node(info)));
    }

    /// A connection has ended, or its node is given up, here or at the server it is connected to.
    pub fn disconnect(&mut self, id: NodeId, events: &mut Vec<Event>) {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| !node.replaced) else { return };
        let before = node.before.take();
        [Some(id), before].into_iter().flatten().for_each(|id| self.remove(id, events));
    }

    /// A registration is no more.
    fn remove(&mut self, id: NodeId, events: &mut Vec<Event>) {
        self.note(id, || Change::Remove(id, Gone::Node));
        let Some(Node { info, seen, jobs, replaced, .. }) = self.nodes.remove(&id) else { return };
        self.connected -= usize::from(seen.is_some() && !replaced);
        let Some(info) = info else { return };
        let others = self.leave(id, &info);
        let is_last = others.is_empty();
        for (job, pids) in &jobs {
            self.forget(&others, &info, job, pids, events);
        }
        if is_last {
            events.push(Event { node: info, what: What::RemoveNode });
        }
    }

    /// A node has said something, whatever it was: it is alive.
    pub fn seen(&mut self, id: NodeId, now: Instant) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.seen = node.seen.map(|_| now);
        }
    }

    /// When a node is to be given up if it says nothing until then: so many [intervals](Limits::ping_interval) as it may
    /// [miss](MISSED_PINGS) pings after its last message. `None` if it is gone.
    #[must_use]
    pub fn deadline(&self, id: NodeId) -> Option<Instant> {
        let node = self.nodes.get(&id).filter(|node| !node.replaced)?;
        Some(node.seen? + self.limits.ping_interval * MISSED_PINGS)
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
        self.claim(id, info, None, now, events).map(drop)
    }

    /// The same of a node that shows its instance, if it has one. If the node of this name and origin has shown the same one, this is its new
    /// connection and takes its place, however alive the old one seems; what it said counts until the new one has [said](Self::settle) all it has.
    /// Returns the connection whose place was taken, which is good for nothing any more.
    ///
    /// # Errors
    ///
    /// As for [`identify`](Self::identify).
    pub fn claim(
        &mut self,
        id: NodeId,
        info: NodeInfo,
        instance: Option<Instance>,
        now: Instant,
        events: &mut Vec<Event>,
    ) -> Result<Option<NodeId>, Refused> {
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
        let same = self.same.get(&identity(&info)).into_iter().flatten();
        let mut here = same.filter_map(|id| Some((*id, self.nodes.get(id).filter(|node| !node.replaced)?)));
        let old = here.find_map(|(id, node)| Some((id, node.seen?, node.instance)));
        if let Some((old, seen, shown)) = old {
            let is_late = now.saturating_duration_since(seen) > self.limits.ping_interval.mul_f64(1.5);
            if instance.is_some() && instance == shown {
                self.succeed(id, old, events);
            } else if is_late {
                self.disconnect(old, events);
            } else {
                let what = format!("a node '{}' at {} is registered already", info.name, info.origin);
                return Err(Refused::new(409, what));
            }
        }
        self.enter(id, info, events);
        self.nodes.get_mut(&id).expect("who enters was inserted").instance = instance;
        Ok(old.map(|(old, ..)| old))
    }

    /// A connection takes the place of an old one of its node.
    fn succeed(&mut self, id: NodeId, old: NodeId, events: &mut Vec<Event>) {
        let node = self.nodes.get_mut(&old).expect("it was found");
        let before = match node.before.take() {
            // The old one was not whole itself.
            Some(whole) => {
                self.remove(old, events);
                whole
            }
            None => {
                node.replaced = true;
                self.connected -= 1;
                old
            }
        };
        self.nodes.get_mut(&id).expect("it asks").before = Some(before);
    }

    /// A node has said all it has: what only the connection said whose place it has taken is gone.
    pub fn settle(&mut self, id: NodeId, events: &mut Vec<Event>) {
        if let Some(before) = self.nodes.get_mut(&id).and_then(|node| node.before.take()) {
            self.remove(before, events);
        }
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
        self.note(id, || Change::Add(id, Fact::Job(job.clone())));
        if self.others(id, &info).all(|node| !node.jobs.contains_key(job)) {
            events.push(Event { node: info, what: What::AddJob(job.as_str().to_owned()) });
        }
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
        self.note(id, || Change::Remove(id, Gone::Job(job.clone())));
        let others: Vec<NodeId> = self.same[&identity(&info)].iter().copied().filter(|other| *other != id).collect();
        self.forget(&others, &info, job, &pids, events);
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
        self.note(id, || Change::Add(id, Fact::Process(job.clone(), pid)));
        if self.others(id, &info).all(|node| !node.has(job, pid)) {
            events.push(Event { node: info, what: What::AddProcess(job.as_str().to_owned(), pid.0) });
        }
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
            self.note(id, || Change::Remove(id, Gone::Process(job.clone(), pid)));
            if self.others(id, &info).all(|node| !node.has(job, pid)) {
                events.push(Event { node: info, what: What::RemoveProcess(job.as_str().to_owned(), pid.0) });
            }
        }
        Ok(())
    }

    fn identified(&mut self, id: NodeId) -> Result<(&mut Node, NodeInfo), Refused> {
        let node = self.nodes.get_mut(&id).filter(|node| !node.replaced).ok_or_else(need_identify)?;
        let info = node.info.clone().ok_or_else(need_identify)?;
        Ok((node, info))
    }

    /// The other registrations of a node.
    fn others(&self, id: NodeId, info: &NodeInfo) -> impl Iterator<Item = &Node> {
        let same = self.same.get(&identity(info)).into_iter().flatten();
        same.filter(move |other| **other != id).filter_map(|other| self.nodes.get(other))
    }

    /// A registration is one of its node no more; returns the others.
    fn leave(&mut self, id: NodeId, info: &NodeInfo) -> Vec<NodeId> {
        let key = identity(info);
        let Some(same) = self.same.get_mut(&key) else { return Vec::new() };
        same.retain(|other| *other != id);
        let others = same.clone();
        if others.is_empty() {
            self.same.remove(&key);
        }
        others
    }

    /// Tells that a job and its processes are gone, as far as no other registration has them.
    fn forget(&self, others: &[NodeId], node: &NodeInfo, job: &JobName, pids: &BTreeSet<Pid>, events: &mut Vec<Event>) {
        let others: Vec<&BTreeSet<Pid>> = others.iter().filter_map(|id| self.nodes.get(id)?.jobs.get(job)).collect();
        let name = || job.as_str().to_owned();
        let gone = pids.iter().filter(|pid| !others.iter().any(|other| other.contains(*pid)));
        let processes = gone.map(|pid| What::RemoveProcess(name(), pid.0));
        let job = others.is_empty().then(|| What::RemoveJob(name()));
        events.extend(processes.chain(job).map(|what| Event { node: node.clone(), what }));
    }
}

impl Node {
    fn has(&self, job: &JobName, pid: Pid) -> bool {
        self.jobs.get(job).is_some_and(|pids| pids.contains(&pid))
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
