//! The thread that keeps in etcd what nodes tell this server.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::api::{self, Op};
use super::gateway::{Fault, Gateway};
use super::keys::{self, Layout};
use super::{Shared, Side, Work};
use crate::lookup::announcer::pause;
use crate::lookup::registry::{Change, Fact, Gone, NodeId, Registration};

/// Operations of one transaction: etcd takes 128 by default (`--max-txn-ops`).
const MAX_OPS: usize = 128;

/// Bytes of one transaction: etcd takes 1.5 MiB by default (`--max-request-bytes`).
const MAX_BYTES: usize = 512 << 10;

/// Changes that are taken at a time.
const MAX_CHANGES: usize = 1024;

/// Former leases that are revoked; those beyond end by themselves.
const MAX_FORMER: usize = 16;

pub(super) struct Writer {
    shared: Arc<Shared>,
    gateway: Gateway,
    layout: Layout,
    ttl: Duration,
    /// Under which everything is written; `None` if everything must be written again under a new one.
    lease: Option<i64>,
    /// Those before it. They are kept until all is written under the present one, so that nothing is missing meanwhile.
    former: Vec<i64>,
    /// When the leases are to be kept next.
    due: Instant,
    /// When everything was written anew last: somebody who deletes our keys again and again shall not keep us busy.
    begun: Option<Instant>,
    plan: Plan,
}

/// What is to be written under the present lease, in order.
#[derive(Debug, Default)]
struct Plan {
    lease: i64,
    places: HashMap<NodeId, String>,
    ops: VecDeque<Op>,
    /// So many may be one transaction.
    max_ops: usize,
}

impl Plan {
    fn new(lease: i64, layout: &Layout, all: &[Registration]) -> Self {
        let mut plan = Self { lease, max_ops: MAX_OPS, ..Self::default() };
        for Registration { id, info, jobs } in all {
            plan.add(layout, *id, Fact::Node(info.clone()));
            for (job, pids) in jobs {
                plan.add(layout, *id, Fact::Job(job.clone()));
                pids.iter().for_each(|pid| plan.add(layout, *id, Fact::Process(job.clone(), *pid)));
            }
        }
        plan
    }

    fn change(&mut self, layout: &Layout, change: Change) {
        match change {
            Change::Add(id, fact) => self.add(layout, id, fact),
            Change::Remove(id, gone) => self.remove(id, &gone),
        }
    }

    fn add(&mut self, layout: &Layout, id: NodeId, fact: Fact) {
        if let Fact::Node(info) = &fact {
            self.places.insert(id, layout.place(info, self.lease, id));
        }
        // Of one that is not known there is nothing to say: its end came before.
        let Some(place) = self.places.get(&id) else { return };
        let key = match &fact {
            Fact::Node(_) => place.clone(),
            Fact::Job(job) => keys::job(place, job),
            Fact::Process(job, pid) => keys::process(place, job, *pid),
        };
        self.ops.push_back(Op::Put(key, keys::value(&fact)));
    }

    fn remove(&mut self, id: NodeId, gone: &Gone) {
        let Some(place) = self.places.get(&id) else { return };
        let key = match gone {
            Gone::Node => place.clone(),
            Gone::Job(job) => keys::job(place, job),
            Gone::Process(job, pid) => {
                let key = keys::process(place, job, *pid);
                return self.ops.push_back(Op::Delete(key, None));
            }
        };
        let folder = format!("{key}/");
        let end = keys::after(&folder);
        self.ops.extend([Op::Delete(folder, Some(end)), Op::Delete(key, None)]);
        if *gone == Gone::Node {
            self.places.remove(&id);
        }
    }

    /// How many of the first operations may be one transaction.
    fn batch(&self) -> usize {
        let (mut bytes, mut n) = (0, 0);
        for op in self.ops.iter().take(self.max_ops) {
            bytes += op.size();
            let conflicts = self.ops.iter().take(n).any(|before| before.conflicts(op));
            if n > 0 && (bytes > MAX_BYTES || conflicts) {
                break;
            }
            n += 1;
        }
        n
    }
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, gateway: Gateway, layout: Layout, ttl: Duration) -> Self {
        let due = Instant::now();
        Self { shared, gateway, layout, ttl, lease: None, former: Vec::new(), due, begun: None, plan: Plan::default() }
    }

    /// Works until the registry is closed.
    pub(super) fn run(mut self) {
        let (mut failures, random) = (0_u32, RandomState::new());
        while !self.shared.is_closed() {
            match self.turn() {
                Ok(()) => {
                    failures = 0;
                    self.shared.fares(Side::Writes, Ok(self.gateway.member()));
                }
                Err(fault) => {
                    self.shared.fares(Side::Writes, Err(fault.why()));
                    // Where etcd is there again the lease must be kept before it ends.
                    self.shared.pause(pause(failures, random.hash_one(failures)).min(self.ttl / 4));
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    /// The present lease may lack something that was written, have something that was deleted, or be gone.
    fn renew(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.former.push(lease);
            if self.former.len() > MAX_FORMER {
                self.former.remove(0);
            }
        }
    }

    /// Does one thing, or waits until there is one.
    fn turn(&mut self) -> Result<(), Fault> {
        if Instant::now() >= self.due {
            self.keep()?;
        }
        let Some(lease) = self.lease else { return self.begin() };
        let n = self.plan.batch();
        if n > 0 {
            return self.write(lease, n);
        }
        for former in std::mem::take(&mut self.former) {
            // All is written under the present one. What cannot be revoked ends by itself.
            let _ = self.gateway.ask("lease/revoke", &api::lease(former));
        }
        let patience = self.begun.map_or(self.due, |begun| begun + self.ttl);
        match self.shared.wait(self.due, patience, MAX_CHANGES) {
            Work::Changes(changes) => {
                changes.into_iter().for_each(|change| self.plan.change(&self.layout, change));
                self.shared.queued(self.plan.ops.len());
            }
            Work::Everything => self.renew(),
        }
        Ok(())
    }

    /// Writes the first `n` operations of the plan.
    fn write(&mut self, lease: i64, n: usize) -> Result<(), Fault> {
        let body = api::txn(lease, self.plan.ops.make_contiguous().get(..n).unwrap_or_default());
        if let Err(fault) = self.gateway.tell("kv/txn", &body) {
            match &fault {
                Fault::Unknown(_) => self.renew(),
                _ if fault.is_lost_lease() => self.renew(),
                // It takes fewer at a time, perhaps.
                Fault::Refused { code: api::INVALID, .. } => self.plan.max_ops = (n / 2).max(1),
                _ => {}
            }
            return Err(fault);
        }
        self.plan.ops.drain(..n);
        self.shared.queued(self.plan.ops.len());
        Ok(())
    }

    /// Begins to write everything, under a new lease: what may have become of the writes before does not matter to it.
    fn begin(&mut self) -> Result<(), Fault> {
        let answer = self.gateway.ask("lease/grant", &api::grant(self.ttl.as_secs()))?;
        let lease = api::granted(&answer).ok_or_else(|| self.strange())?;
        let all = self.shared.begin(lease);
        self.plan = Plan::new(lease, &self.layout, &all);
        self.shared.queued(self.plan.ops.len());
        self.lease = Some(lease);
        self.begun = Some(Instant::now());
        Ok(())
    }

    /// Keeps the leases for another time to live.
    fn keep(&mut self) -> Result<(), Fault> {
        for former in &self.former {
            // Where this one cannot be kept, nor can the others.
            if let Err(Fault::NotSent(_) | Fault::Unknown(_)) =
                self.gateway.ask("lease/keepalive", &api::lease(*former))
            {
                break;
            }
        }
        if let Some(lease) = self.lease {
            let answer = self.gateway.ask("lease/keepalive", &api::lease(lease))?;
            if !api::is_kept(&answer).ok_or_else(|| self.strange())? {
                self.lease = None;
                return Err(Fault::NotSent(format!("{}: what was registered has expired", self.gateway.member())));
            }
        }
        self.due = Instant::now() + self.ttl / 3;
        Ok(())
    }

    fn strange(&self) -> Fault {
        Fault::Unknown(format!("{}: the answer is not that of etcd", self.gateway.member()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{JobName, Pid};
    use crate::proto::lookup::NodeInfo;

    fn info(name: &str) -> NodeInfo {
        NodeInfo { name: name.to_owned(), origin: "o".to_owned(), version: "1".to_owned() }
    }

    fn job(text: &str) -> JobName {
        text.parse().expect("a name")
    }

    #[test]
    fn what_goes_takes_along_what_depends_on_it() {
        let layout = Layout::new("/p");
        let jobs = [(job("s.j"), [Pid(1)].into())].into();
        let mut plan = Plan::new(31, &layout, &[Registration { id: NodeId::of(5), info: info("a"), jobs }]);
        let place = "/p/1/nodes/a@o/000000000000001f.5";
        let keys: Vec<String> =
            plan.ops.iter().map(|op| if let Op::Put(key, _) = op { key.clone() } else { String::new() }).collect();
        assert_eq!(keys, [place.to_owned(), format!("{place}/jobs/s.j"), format!("{place}/jobs/s.j/1")]);
        assert_eq!(plan.batch(), 3);
        plan.ops.clear();
        plan.change(&layout, Change::Remove(NodeId::of(5), Gone::Job(job("s.j"))));
        plan.change(&layout, Change::Remove(NodeId::of(5), Gone::Node));
        // It is gone; what is told of it afterwards has come too late.
        plan.change(&layout, Change::Add(NodeId::of(5), Fact::Job(job("s.k"))));
        plan.change(&layout, Change::Remove(NodeId::of(6), Gone::Node));
        let delete =
            |key: &str, end: Option<&str>| Op::Delete(format!("{place}{key}"), end.map(|end| format!("{place}{end}")));
        let want = [
            delete("/jobs/s.j/", Some("/jobs/s.j0")),
            delete("/jobs/s.j", None),
            delete("/", Some("0")),
            delete("", None),
        ];
        assert_eq!(plan.ops, want);
    }

    #[test]
    fn transactions_are_what_etcd_takes() {
        let layout = Layout::new("/p");
        let pids = (0..1000).map(Pid).collect();
        let jobs = [(job("s.j"), pids)].into();
        let mut plan = Plan::new(1, &layout, &[Registration { id: NodeId::of(5), info: info("a"), jobs }]);
        assert_eq!(plan.batch(), MAX_OPS);
        plan.max_ops = 1;
        assert_eq!(plan.batch(), 1);
        plan.max_ops = MAX_OPS;
        plan.ops.clear();
        // The same job goes, comes and goes: none of these can be one with the one before.
        let (add, remove) = (Fact::Job(job("s.j")), Gone::Job(job("s.j")));
        plan.add(&layout, NodeId::of(5), add.clone());
        plan.remove(NodeId::of(5), &remove);
        plan.add(&layout, NodeId::of(5), add);
        let mut batches = Vec::new();
        while !plan.ops.is_empty() {
            let n = plan.batch();
            batches.push(n);
            plan.ops.drain(..n);
        }
        assert_eq!(batches, [2, 1, 1], "the range of its processes has no key that is put");
        // However long the texts are, one operation goes alone at least.
        let long = NodeInfo { name: "x".repeat(MAX_BYTES), ..info("a") };
        let mut plan = Plan::new(1, &layout, &[]);
        for n in 0..2 {
            plan.add(&layout, NodeId::of(n), Fact::Node(long.clone()));
        }
        assert_eq!(plan.batch(), 1);
    }
}
