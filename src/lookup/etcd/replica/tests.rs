//! Random lives of registrations at three servers: each server knows what it would if it had been told everything itself, whether
//! it follows, reads everything again, or both in turn.

use std::time::Instant;

use super::super::keys;
use super::*;
use crate::proto::lookup::What;

/// A store of keys with its history.
#[derive(Default)]
struct Store {
    keys: BTreeMap<String, Vec<u8>>,
    history: Vec<KeyEvent>,
    revision: i64,
}

impl Store {
    fn put(&mut self, key: String, value: String) {
        self.history.push(KeyEvent { key: key.clone(), value: Some(value.clone().into()), revision: self.revision });
        self.keys.insert(key, value.into());
    }

    /// A folder with all that is in it, in the order of keys, as etcd tells it.
    fn delete(&mut self, key: &str) {
        let folder = format!("{key}/");
        let gone: Vec<String> = self.keys.keys().filter(|k| *k == key || k.starts_with(&folder)).cloned().collect();
        for key in gone {
            self.keys.remove(&key);
            self.history.push(KeyEvent { key, value: None, revision: self.revision });
        }
    }

    fn all(&self) -> Vec<(String, Vec<u8>)> {
        self.keys.clone().into_iter().collect()
    }
}

fn info(n: u64) -> NodeInfo {
    NodeInfo { name: format!("n{n}"), origin: format!("http://n{n}:1"), version: "0.1".to_owned() }
}

/// Node, job and processes, as the store has them now.
fn facts_of(store: &Store, layout: &Layout) -> (BTreeSet<String>, BTreeMap<(String, String), BTreeSet<u64>>) {
    let mut nodes = BTreeMap::new();
    let mut facts: BTreeMap<(String, String), BTreeSet<u64>> = BTreeMap::new();
    for (key, value) in &store.keys {
        let (place, fact) = layout.fact(key, value).expect("its own");
        match fact {
            Fact::Node(info) => drop(nodes.insert(place, info.origin)),
            Fact::Job(job) => drop(facts.entry((nodes[&place].clone(), job.as_str().to_owned())).or_default()),
            Fact::Process(job, pid) => {
                facts.entry((nodes[&place].clone(), job.as_str().to_owned())).or_default().insert(pid.0);
            }
        }
    }
    (nodes.into_values().collect(), facts)
}

/// What somebody knows who has heard every event. Each event must fit to what was before.
#[derive(Default)]
struct Ear {
    nodes: BTreeSet<String>,
    facts: BTreeMap<(String, String), BTreeSet<u64>>,
}

impl Ear {
    fn hear(&mut self, event: &Event, about: &str) {
        let node = event.node.origin.clone();
        let at = |job: &String| (node.clone(), job.clone());
        let fits = match &event.what {
            What::AddNode => self.nodes.insert(node),
            What::Identify => self.nodes.contains(&node),
            What::RemoveNode => !self.facts.keys().any(|(n, _)| *n == node) && self.nodes.remove(&node),
            What::AddJob(job) => self.facts.insert(at(job), BTreeSet::new()).is_none() && self.nodes.contains(&node),
            What::RemoveJob(job) => self.facts.remove(&at(job)).is_some_and(|pids| pids.is_empty()),
            What::AddProcess(job, pid) => self.facts.get_mut(&at(job)).is_some_and(|pids| pids.insert(*pid)),
            What::RemoveProcess(job, pid) => self.facts.get_mut(&at(job)).is_some_and(|pids| pids.remove(pid)),
        };
        assert!(fits, "{about}: {event:?}");
    }
}

#[test]
fn random_lives_and_readers() {
    let seed =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64);
    let seed = std::env::var("GAFFER_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(seed);
    let mut state = seed;
    let mut random = move |below: u64| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    };
    let layout = Layout::new("/p");
    let mut store = Store::default();
    let mut reader = (Registry::default(), Replica::new(layout.clone(), 1000), Ear::default(), 0);
    for step in 0..4000 {
        let about = format!("GAFFER_SEED={seed}, step {step}");
        store.revision += 1;
        // Two nodes at up to three servers each.
        let (node, lease) = (info(random(2)), 1 + random(3) as i64);
        let place = layout.place(&node, lease, NodeId::of(7));
        let job: JobName = ["s.a", "s.b"][random(2) as usize].parse().expect("a name");
        let (at_job, pid) = (keys::job(&place, &job), Pid(random(3)));
        let put = |store: &mut Store, key: String, fact: Fact| store.put(key, keys::value(&fact));
        match random(9) {
            0..=1 => put(&mut store, place, Fact::Node(node)),
            2..=3 if store.keys.contains_key(&place) => put(&mut store, at_job, Fact::Job(job)),
            4..=5 if store.keys.contains_key(&at_job) => {
                put(&mut store, keys::process(&place, &job, pid), Fact::Process(job, pid));
            }
            6 => store.delete(&keys::process(&place, &job, pid)),
            7 => store.delete(&at_job),
            8 if random(3) == 0 => {
                // A lease ends: all its keys at once.
                let of_lease = |key: &String| layout.read(key).is_some_and(|(place, _)| place.lease == lease);
                for key in store.keys.keys().filter(|key| of_lease(key)).cloned().collect::<Vec<_>>() {
                    store.delete(&key);
                }
            }
            8 => store.delete(&place),
            _ => {}
        }
        let (registry, replica, ear, known) = &mut reader;
        let mut events = Vec::new();
        match random(8) {
            // It is behind for a while.
            0..=2 => continue,
            3 => replica.replace(registry, &store.all(), &mut events),
            _ => assert!(!replica.follow(registry, store.history[*known..].to_vec(), &mut events), "{about}"),
        }
        *known = store.history.len();
        events.iter().for_each(|event| ear.hear(event, &about));
        let (nodes, facts) = facts_of(&store, &layout);
        assert_eq!((&ear.nodes, &ear.facts), (&nodes, &facts), "{about}: what was heard");
        let mut listed = BTreeMap::new();
        for (job, sources) in registry.jobs(None) {
            for source in sources {
                let pids = source.pids.iter().map(|pid| pid.0).collect();
                assert!(
                    listed.insert((source.node.origin.clone(), job.as_str().to_owned()), pids).is_none(),
                    "{about}"
                );
            }
        }
        assert_eq!(listed, facts, "{about}: what is answered");
        assert_eq!(registry.nodes().map(|node| node.origin.clone()).collect::<BTreeSet<_>>(), nodes, "{about}");
        assert_eq!(replica.ignored, 0, "{about}");
    }
}

fn event(key: &str, value: Option<String>, revision: i64) -> KeyEvent {
    KeyEvent { key: key.to_owned(), value: value.map(String::into_bytes), revision }
}

#[test]
fn a_node_at_two_servers_is_one_and_outlives_either() {
    let layout = Layout::new("/p");
    let (mut registry, mut events) = (Registry::default(), Vec::new());
    let mut replica = Replica::new(layout.clone(), 1000);
    // It is connected here, and to another server.
    let here = registry.connect(Instant::now()).expect("room");
    registry.identify(here, info(1), Instant::now(), &mut events).expect("new");
    let job: JobName = "s.a".parse().expect("a name");
    registry.add_job(here, &job, &mut events).expect("new");
    registry.add_process(here, &job, Pid(1), &mut events).expect("new");
    events.clear();
    let place = layout.place(&info(1), 9, NodeId::of(1));
    let told = [
        (place.clone(), Fact::Node(info(1))),
        (keys::job(&place, &job), Fact::Job(job.clone())),
        (keys::process(&place, &job, Pid(1)), Fact::Process(job.clone(), Pid(1))),
        (keys::process(&place, &job, Pid(2)), Fact::Process(job.clone(), Pid(2))),
    ];
    let told = told.iter().map(|(key, fact)| event(key, Some(keys::value(fact)), 1)).collect();
    assert!(!replica.follow(&mut registry, told, &mut events));
    let what = |events: &mut Vec<Event>| std::mem::take(events).into_iter().map(|e| e.what).collect::<Vec<_>>();
    assert_eq!(what(&mut events), [What::AddProcess("s.a".to_owned(), 2)], "the other one is ahead");
    assert_eq!((registry.nodes().count(), registry.find_job(&job).count()), (1, 1));
    // Its connection here ends; then the other server dies.
    registry.disconnect(here, &mut events);
    assert_eq!(what(&mut events), []);
    assert_eq!(registry.find_job(&job).next().expect("it is there").pids.len(), 2);
    let gone = ["", "/jobs/s.a", "/jobs/s.a/1", "/jobs/s.a/2"];
    let gone = gone.iter().map(|rest| event(&format!("{place}{rest}"), None, 2)).collect();
    assert!(!replica.follow(&mut registry, gone, &mut events));
    let names: Vec<&str> = what(&mut events).iter().map(What::name).collect();
    assert_eq!(names, ["remove_process", "remove_process", "remove_job", "remove_node"]);
}

/// A node has lost its server and found another one while nobody looked: it was there all the time.
#[test]
fn who_has_moved_was_never_away() {
    let layout = Layout::new("/p");
    let (mut registry, mut events) = (Registry::default(), Vec::new());
    let mut replica = Replica::new(layout.clone(), 1000);
    let job: JobName = "s.a".parse().expect("a name");
    let all = |lease| {
        let place = layout.place(&info(1), lease, NodeId::of(1));
        let facts = [
            (place.clone(), Fact::Node(info(1))),
            (keys::job(&place, &job), Fact::Job(job.clone())),
            (keys::process(&place, &job, Pid(1)), Fact::Process(job.clone(), Pid(1))),
        ];
        facts.map(|(key, fact)| (key, keys::value(&fact).into_bytes()))
    };
    replica.replace(&mut registry, &all(5), &mut events);
    assert_eq!(
        events.iter().map(|event| event.what.name()).collect::<Vec<_>>(),
        ["add_node", "identify", "add_job", "add_process"]
    );
    events.clear();
    for lease in [6, 4] {
        replica.replace(&mut registry, &all(lease), &mut events);
        assert_eq!((events.len(), replica.len(), registry.find_job(&job).count()), (0, 1, 1), "{events:?}");
    }
}

/// A node that has come back to its server by another connection, and all of that in one transaction.
#[test]
fn who_is_back_was_never_away() {
    let layout = Layout::new("/p");
    let (mut registry, mut events) = (Registry::default(), Vec::new());
    let mut replica = Replica::new(layout.clone(), 1000);
    let job: JobName = "s.a".parse().expect("a name");
    let all = |n, revision, pid| {
        let place = layout.place(&info(1), 5, NodeId::of(n));
        let facts = [
            (place.clone(), Fact::Node(info(1))),
            (keys::job(&place, &job), Fact::Job(job.clone())),
            (keys::process(&place, &job, Pid(pid)), Fact::Process(job.clone(), Pid(pid))),
        ];
        facts.map(|(key, fact)| event(&key, Some(keys::value(&fact)), revision)).to_vec()
    };
    let first = all(1, 1, 7);
    replica.follow(&mut registry, first.clone(), &mut events);
    events.clear();
    let gone = first.into_iter().map(|put| KeyEvent { value: None, revision: 2, ..put });
    let told: Vec<KeyEvent> = gone.chain(all(2, 2, 8)).collect();
    replica.follow(&mut registry, told, &mut events);
    let names: Vec<&str> = events.iter().map(|event| event.what.name()).collect();
    assert_eq!((names, replica.len()), (vec!["add_process", "remove_process"], 1));
}

#[test]
fn keys_of_its_own_are_no_news_but_missed() {
    let layout = Layout::new("/p");
    let (mut registry, mut events) = (Registry::default(), Vec::new());
    let mut replica = Replica::new(layout.clone(), 1000);
    let here = registry.connect(Instant::now()).expect("room");
    registry.identify(here, info(1), Instant::now(), &mut events).expect("new");
    events.clear();
    replica.own(5);
    replica.own(6);
    let (old, new) = (layout.place(&info(1), 5, here), layout.place(&info(1), 6, here));
    let put = |key: &str| event(key, Some(keys::value(&Fact::Node(info(1)))), 1);
    assert!(!replica.follow(&mut registry, vec![put(&old), put(&new)], &mut events));
    replica.replace(&mut registry, &[(old.clone(), Vec::new()), (new.clone(), b"{}".to_vec())], &mut events);
    assert_eq!((replica.len(), events.len()), (0, 0));
    assert!(!replica.follow(&mut registry, vec![event(&old, None, 2)], &mut events), "that one was replaced");
    assert!(replica.follow(&mut registry, vec![event(&new, None, 3)], &mut events), "somebody else did that");
    registry.disconnect(here, &mut events);
    assert!(!replica.follow(&mut registry, vec![event(&new, None, 4)], &mut events), "as it should be");
}

#[test]
fn what_is_beyond_the_bound_is_counted() {
    let layout = Layout::new("/p");
    let (mut registry, mut events) = (Registry::default(), Vec::new());
    let mut replica = Replica::new(layout.clone(), 1);
    let put = |n| event(&layout.place(&info(n), 5, NodeId::of(n)), Some(keys::value(&Fact::Node(info(n)))), 1);
    replica.follow(&mut registry, vec![put(1), put(2), event("/p/1/nodes/x", Some(String::new()), 1)], &mut events);
    assert_eq!((replica.len(), registry.nodes().count(), replica.ignored), (1, 1, 2));
}
