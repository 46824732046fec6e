//! The rules, and random commands against a model that does everything the slow way.

use super::*;

fn info(name: &str, n: u64) -> NodeInfo {
    NodeInfo { name: name.to_owned(), origin: format!("http://{name}:{n}"), version: "0.1".to_owned() }
}

fn job(text: &str) -> JobName {
    text.parse().expect("a name")
}

fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.what.name()).collect()
}

/// The seven events of a node's life, as the original told them.
#[test]
fn a_life() {
    let (mut registry, mut events, now) = (Registry::default(), Vec::new(), Instant::now());
    let (a, web) = (registry.connect(now).expect("room"), job("a.web"));
    assert_eq!(registry.add_job(a, &web, &mut events).expect_err("nobody").errno, 404);
    assert_eq!((registry.nodes().count(), names(&events)), (0, vec![]), "it has not said who it is");
    registry.identify(a, info("a", 1), now, &mut events).expect("new");
    assert_eq!(registry.identify(a, info("b", 1), now, &mut events).expect_err("twice").errno, 409);
    registry.add_job(a, &web, &mut events).expect("new");
    let again = registry.add_job(a, &web, &mut events).expect_err("it is there");
    assert_eq!((again.errno, &*again.reason), (409, "job 'a.web' is already registered"));
    for _ in 0..2 {
        registry.add_process(a, &web, Pid(7), &mut events).expect("once or twice");
    }
    assert_eq!(registry.add_process(a, &job("x"), Pid(7), &mut events).expect_err("no job").errno, 404);
    for _ in 0..2 {
        registry.remove_process(a, &web, Pid(7), &mut events).expect("once or twice");
    }
    for _ in 0..2 {
        registry.remove_job(a, &web, &mut events).expect("once or twice");
    }
    registry.disconnect(a, &mut events);
    registry.disconnect(a, &mut events);
    let life = ["add_node", "identify", "add_job", "add_process", "remove_process", "remove_job", "remove_node"];
    assert_eq!(names(&events), life);
}

#[test]
fn what_a_node_leaves_is_told_before_it_goes() {
    let (mut registry, mut events, now) = (Registry::default(), Vec::new(), Instant::now());
    let a = registry.connect(now).expect("room");
    registry.identify(a, info("a", 1), now, &mut events).expect("new");
    for name in ["s.x", "s.y"] {
        registry.add_job(a, &job(name), &mut events).expect("new");
        registry.add_process(a, &job(name), Pid(1), &mut events).expect("new");
    }
    events.clear();
    registry.disconnect(a, &mut events);
    assert_eq!(names(&events), ["remove_process", "remove_job", "remove_process", "remove_job", "remove_node"]);
}

#[test]
fn who_is_silent_goes_and_who_comes_back_takes_its_place() {
    let (mut registry, mut events, now) = (Registry::default(), Vec::new(), Instant::now());
    let at = |seconds| now + Duration::from_secs(seconds);
    let old = registry.connect(now).expect("room");
    registry.identify(old, info("a", 1), now, &mut events).expect("new");
    registry.seen(old, at(10));
    assert_eq!(registry.deadline(old), Some(at(55)));
    let new = registry.connect(at(20)).expect("room");
    let refused = registry.identify(new, info("a", 1), at(20), &mut events).expect_err("the old one is alive");
    assert_eq!(refused.errno, 409);
    registry.identify(new, info("a", 2), at(20), &mut events).expect("another origin is another node");
    let third = registry.connect(at(33)).expect("room");
    events.clear();
    registry.identify(third, info("a", 1), at(33), &mut events).expect("the old one has missed a ping");
    assert_eq!(names(&events), ["remove_node", "add_node", "identify"]);
    assert_eq!(registry.deadline(old), None);
    assert_eq!(registry.add_job(old, &job("x"), &mut events).expect_err("it is gone").errno, 404);
}

/// Who shows what its old connection has shown takes its place, and nobody else does.
#[test]
fn a_node_that_comes_back_is_the_same() {
    let (mut registry, mut events, now) = (Registry::default(), Vec::new(), Instant::now());
    let (mine, other) = (Some(Instance::new([7; 16])), Some(Instance::new([8; 16])));
    let say = |registry: &mut Registry, id, jobs: &[&str], events: &mut Vec<Event>| {
        for name in jobs {
            registry.add_job(id, &job(name), events).expect("new");
            registry.add_process(id, &job(name), Pid(1), events).expect("new");
        }
    };
    let first = registry.connect(now).expect("room");
    assert_eq!(registry.claim(first, info("a", 1), mine, now, &mut events), Ok(None));
    say(&mut registry, first, &["s.x", "s.y"], &mut events);
    registry.settle(first, &mut events);
    events.clear();

    let second = registry.connect(now).expect("room");
    for wrong in [None, other] {
        let refused = registry.claim(second, info("a", 1), wrong, now, &mut events).expect_err("it is another one");
        assert_eq!(refused.errno, 409);
    }
    assert_eq!(registry.claim(second, info("a", 1), mine, now, &mut events), Ok(Some(first)));
    assert_eq!((registry.connected, registry.deadline(first)), (1, None));
    registry.disconnect(first, &mut events);
    assert_eq!(registry.add_job(first, &job("s.w"), &mut events).expect_err("it has no say").errno, 404);
    say(&mut registry, second, &["s.y"], &mut events);
    assert_eq!((names(&events), registry.jobs(None).len()), (vec![], 2), "nothing has changed yet");

    // Again before all was said: what was whole is kept.
    say(&mut registry, second, &["s.z"], &mut events);
    let third = registry.connect(now).expect("room");
    assert_eq!(registry.claim(third, info("a", 1), mine, now, &mut events), Ok(Some(second)));
    assert_eq!(names(&events), ["add_job", "add_process", "remove_process", "remove_job"], "s.z");
    assert_eq!((registry.nodes.len(), registry.connected), (2, 1));
    events.clear();
    say(&mut registry, third, &["s.y", "s.z"], &mut events);
    assert_eq!(names(&events), ["add_job", "add_process"], "s.z");
    events.clear();
    registry.settle(third, &mut events);
    registry.settle(third, &mut events);
    assert_eq!(names(&events), ["remove_process", "remove_job"], "s.x");
    assert_eq!((registry.nodes.len(), registry.nodes().count()), (1, 1));

    // One that goes before it has said all leaves nothing.
    let fourth = registry.connect(now).expect("room");
    assert_eq!(registry.claim(fourth, info("a", 1), mine, now, &mut events), Ok(Some(third)));
    events.clear();
    registry.disconnect(fourth, &mut events);
    let all = ["remove_process", "remove_job", "remove_process", "remove_job", "remove_node"];
    assert_eq!(names(&events), all);
    assert_eq!((registry.nodes.len(), registry.same.len(), registry.connected), (0, 0, 0));
}

#[test]
fn bounds() {
    let limits = Limits { nodes: 1, jobs: 1, processes: 1, text: 8, ..Limits::default() };
    let (mut registry, mut events, now) = (Registry::new(limits), Vec::new(), Instant::now());
    let a = registry.connect(now).expect("room");
    assert_eq!(registry.connect(now).expect_err("full").errno, 503);
    assert_eq!(registry.identify(a, info("a", 1), now, &mut events).expect_err("too long").errno, 400);
    let short = NodeInfo { name: "a".into(), origin: "o".into(), version: "1".into() };
    let empty = NodeInfo { name: String::new(), ..short.clone() };
    assert_eq!(registry.identify(a, empty, now, &mut events).expect_err("empty").errno, 400);
    registry.identify(a, short, now, &mut events).expect("new");
    registry.add_job(a, &job("x"), &mut events).expect("room");
    assert_eq!(registry.add_job(a, &job("y"), &mut events).expect_err("full").errno, 503);
    registry.add_process(a, &job("x"), Pid(1), &mut events).expect("room");
    assert_eq!(registry.add_process(a, &job("x"), Pid(2), &mut events).expect_err("full").errno, 503);
    registry.remove_job(a, &job("x"), &mut events).expect("it goes");
    registry.add_job(a, &job("y"), &mut events).expect("there is room again");
    registry.add_process(a, &job("y"), Pid(2), &mut events).expect("there is room again");
}

/// A list of facts that is searched from end to end.
#[derive(Default)]
struct Naive {
    connected: Vec<(NodeId, Option<NodeInfo>)>,
    jobs: Vec<(NodeId, JobName)>,
    processes: Vec<(NodeId, JobName, Pid)>,
}

impl Naive {
    fn info(&self, id: NodeId) -> Option<NodeInfo> {
        self.connected.iter().find(|(i, _)| *i == id)?.1.clone()
    }

    /// Whether the registry must do it.
    fn can(&self, id: NodeId, job: Option<&JobName>) -> bool {
        self.info(id).is_some() && job.is_none_or(|job| self.jobs.contains(&(id, job.clone())))
    }

    /// Job, origin and processes, sorted.
    fn facts(&self) -> BTreeSet<(String, String, Vec<u64>)> {
        let facts = self.jobs.iter().map(|(id, job)| {
            let of_job = self.processes.iter().filter(|(i, j, _)| i == id && j == job);
            let mut pids: Vec<u64> = of_job.map(|(_, _, pid)| pid.0).collect();
            pids.sort_unstable();
            (job.as_str().to_owned(), self.info(*id).expect("it is connected").origin, pids)
        });
        facts.collect()
    }
}

/// What somebody knows who has heard every event and asked nothing. Each event must fit to what was before.
fn hear(known: &mut BTreeMap<String, BTreeMap<String, BTreeSet<u64>>>, event: &Event) {
    let origin = event.node.origin.clone();
    match &event.what {
        What::AddNode => assert!(known.insert(origin, BTreeMap::new()).is_none(), "{event:?}"),
        What::Identify => assert!(known.contains_key(&origin), "{event:?}"),
        What::RemoveNode => assert!(known.remove(&origin).is_some_and(|jobs| jobs.is_empty()), "{event:?}"),
        What::AddJob(job) => {
            let before = known.get_mut(&origin).expect("a node").insert(job.clone(), BTreeSet::new());
            assert!(before.is_none(), "{event:?}");
        }
        What::RemoveJob(job) => {
            let left = known.get_mut(&origin).expect("a node").remove(job);
            assert!(left.is_some_and(|pids| pids.is_empty()), "{event:?}");
        }
        What::AddProcess(job, pid) => {
            let pids = known.get_mut(&origin).and_then(|jobs| jobs.get_mut(job)).expect("a job");
            assert!(pids.insert(*pid), "{event:?}");
        }
        What::RemoveProcess(job, pid) => {
            let pids = known.get_mut(&origin).and_then(|jobs| jobs.get_mut(job)).expect("a job");
            assert!(pids.remove(pid), "{event:?}");
        }
    }
}

/// A seed, to be printed, and numbers below a bound that follow from it (splitmix).
fn randomness() -> (u64, impl FnMut(u64) -> u64) {
    let seed =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64);
    let seed = std::env::var("GAFFER_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(seed);
    let mut state = seed;
    let random = move |below: u64| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    };
    (seed, random)
}

type Jobs = BTreeMap<String, BTreeSet<u64>>;

/// A connection that has said who it is, and what it and the one before it have told.
struct Back {
    id: NodeId,
    origin: String,
    instance: u8,
    jobs: Jobs,
    before: Option<Jobs>,
}

/// Nodes that come back at any moment: what is answered and what is heard is what they have said, and before they are settled what they had said.
#[test]
fn random_returns() {
    let (seed, mut random) = randomness();
    let (mut registry, mut known, now) = (Registry::default(), BTreeMap::new(), Instant::now());
    let mut nodes: Vec<Back> = Vec::new();
    let mut taken = 0;
    for step in 0..20_000 {
        let step = format!("GAFFER_SEED={seed}, step {step}");
        let mut events = Vec::new();
        let at = random(nodes.len().max(1) as u64) as usize;
        let name = format!("s.j{}", random(3));
        match (random(8), nodes.get_mut(at)) {
            (0..=1, _) => {
                let id = registry.connect(now).expect("room");
                let (node, instance) = (info("n", random(3)), random(2) as u8);
                let origin = node.origin.clone();
                let old = nodes.iter().position(|node| node.origin == origin);
                let is_same = old.is_none_or(|old| nodes[old].instance == instance);
                let claimed = registry.claim(id, node, Some(Instance::new([instance; 16])), now, &mut events);
                assert_eq!(claimed.is_ok(), is_same, "{step}");
                if claimed.is_err() {
                    registry.disconnect(id, &mut events);
                } else {
                    let old = old.map(|old| nodes.swap_remove(old));
                    assert_eq!(claimed, Ok(old.as_ref().map(|old| old.id)), "{step}");
                    taken += usize::from(old.is_some());
                    let before = old.map(|old| old.before.unwrap_or(old.jobs));
                    nodes.push(Back { id, origin, instance, jobs: BTreeMap::new(), before });
                }
            }
            (2, Some(node)) if random(4) == 0 => {
                registry.disconnect(node.id, &mut events);
                nodes.swap_remove(at);
            }
            (3, Some(node)) => {
                registry.settle(node.id, &mut events);
                node.before = None;
            }
            (4, Some(node)) => {
                registry.remove_job(node.id, &job(&name), &mut events).expect("it is there");
                node.jobs.remove(&name);
            }
            (_, Some(node)) => {
                let pid = random(3);
                let is_new = !node.jobs.contains_key(&name);
                assert_eq!(registry.add_job(node.id, &job(&name), &mut events).is_ok(), is_new, "{step}");
                registry.add_process(node.id, &job(&name), Pid(pid), &mut events).expect("a job");
                node.jobs.entry(name).or_default().insert(pid);
            }
            (_, None) => {}
        }
        events.iter().for_each(|event| hear(&mut known, event));
        let mut want: BTreeMap<String, Jobs> = BTreeMap::new();
        for node in &nodes {
            let jobs = want.entry(node.origin.clone()).or_default();
            for (job, pids) in node.jobs.iter().chain(node.before.iter().flatten()) {
                jobs.entry(job.clone()).or_default().extend(pids);
            }
        }
        assert_eq!(known, want, "{step}: what was heard");
        let mut answered: BTreeMap<String, Jobs> =
            registry.nodes().map(|node| (node.origin.clone(), BTreeMap::new())).collect();
        for (job, sources) in registry.jobs(None) {
            for source in sources {
                let pids = source.pids.iter().map(|pid| pid.0).collect();
                answered.get_mut(&source.node.origin).expect("a node").insert(job.as_str().to_owned(), pids);
            }
        }
        assert_eq!(answered, want, "{step}: what is answered");
        let jobs = want.values().map(BTreeMap::len).sum();
        let processes = want.values().flat_map(BTreeMap::values).map(BTreeSet::len).sum();
        let totals = Totals { nodes: want.len(), jobs, processes, connections: nodes.len() };
        assert_eq!(registry.totals(), totals, "{step}");
    }
    assert!(taken > 100, "GAFFER_SEED={seed}: {taken}");
}

#[test]
fn random_commands_against_a_naive_model() {
    let (seed, mut random) = randomness();
    let (mut registry, mut naive, mut known) = (Registry::default(), Naive::default(), BTreeMap::new());
    let mut now = Instant::now();
    let mut ids = Vec::new();
    for step in 0..20_000 {
        let mut events = Vec::new();
        let id = ids.get(random(ids.len().max(1) as u64) as usize).copied().unwrap_or(NodeId(u64::MAX));
        let name = job(&format!("s{}.j{}", random(2), random(3)));
        let pid = Pid(random(4));
        let step = format!("GAFFER_SEED={seed}, step {step}");
        now += Duration::from_millis(random(3000));
        match random(12) {
            0 if naive.connected.len() < 6 => {
                let id = registry.connect(now).expect("room");
                naive.connected.push((id, None));
                ids.push(id);
            }
            1 => {
                registry.disconnect(id, &mut events);
                naive.connected.retain(|(i, _)| *i != id);
                naive.jobs.retain(|(i, _)| *i != id);
                naive.processes.retain(|(i, _, _)| *i != id);
            }
            2 => {
                let who = info("n", random(8));
                let before = naive.connected.iter().position(|(_, i)| i.as_ref() == Some(&who));
                let can = naive.connected.iter().any(|(i, info)| *i == id && info.is_none());
                match registry.identify(id, who.clone(), now, &mut events) {
                    Ok(()) => {
                        assert!(can, "{step}");
                        if let Some(at) = before {
                            let (old, _) = naive.connected.remove(at);
                            naive.jobs.retain(|(i, _)| *i != old);
                            naive.processes.retain(|(i, _, _)| *i != old);
                        }
                        let place = naive.connected.iter_mut().find(|(i, _)| *i == id).expect("it can");
                        place.1 = Some(who);
                    }
                    Err(_) => assert!(!can || before.is_some(), "{step}"),
                }
            }
            3..=4 => {
                let can = naive.can(id, None) && !naive.can(id, Some(&name));
                assert_eq!(registry.add_job(id, &name, &mut events).is_ok(), can, "{step}");
                if can {
                    naive.jobs.push((id, name));
                }
            }
            5 => {
                let can = naive.can(id, None);
                assert_eq!(registry.remove_job(id, &name, &mut events).is_ok(), can, "{step}");
                naive.jobs.retain(|fact| *fact != (id, name.clone()));
                naive.processes.retain(|(i, j, _)| (i, j) != (&id, &name));
            }
            6..=8 => {
                let can = naive.can(id, Some(&name));
                assert_eq!(registry.add_process(id, &name, pid, &mut events).is_ok(), can, "{step}");
                if can && !naive.processes.contains(&(id, name.clone(), pid)) {
                    naive.processes.push((id, name, pid));
                }
            }
            9..=10 => {
                let can = naive.can(id, Some(&name));
                assert_eq!(registry.remove_process(id, &name, pid, &mut events).is_ok(), can, "{step}");
                naive.processes.retain(|fact| *fact != (id, name.clone(), pid));
            }
            _ => registry.seen(id, now),
        }
        events.iter().for_each(|event| hear(&mut known, event));
        let mut facts = BTreeSet::new();
        for (job, sources) in registry.jobs(None) {
            let of_job: Vec<_> = registry.find_job(job).collect();
            assert_eq!(of_job, sources, "{step}");
            for Source { node, pids } in sources {
                let pids: Vec<u64> = pids.iter().map(|pid| pid.0).collect();
                facts.insert((job.as_str().to_owned(), node.origin.clone(), pids));
            }
        }
        assert_eq!(facts, naive.facts(), "{step}");
        let heard: BTreeSet<_> = known
            .iter()
            .flat_map(|(origin, jobs)| {
                jobs.iter().map(|(job, pids)| (job.clone(), origin.clone(), pids.iter().copied().collect::<Vec<_>>()))
            })
            .collect();
        assert_eq!(heard, facts, "{step}: the events tell the same");
        let listed: BTreeSet<_> = registry.nodes().map(|node| node.origin.clone()).collect();
        assert_eq!(listed, known.keys().cloned().collect(), "{step}");
    }
}
