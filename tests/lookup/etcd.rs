//! A registry that lookup servers share, in a real etcd.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use gaffer::client::{LookupEvent, LookupServer, LookupServers, Server};
use gaffer::process::Signal;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::service::Node;
use crate::util::{Daemon, Folder, eventually};

/// Two processes that end with their gafferd, whatever ends it: their standard input is a pipe of it.
pub(crate) const JOBS: &str = "[process:shop:web]\ncmd = cat\nredirect_input = true\nnumprocesses = 2\n";

/// A lookup server that shares, at a socket in this folder.
fn lookupd(folder: &Folder, name: &str, url: &str, ttl: &str) -> (Daemon, LookupServer) {
    let socket = format!("unix:{}", folder.text(name));
    let mut daemon = Daemon::lookupd(&["--bind", &socket, "--registry", url, "--registry-ttl", ttl]);
    daemon.line(": in use, by 127.0.0.1:");
    (daemon, LookupServer::new(&socket).expect("an address"))
}

pub(crate) fn gafferd(config: &str, lookups: &[&str]) -> (Daemon, String) {
    let mut args = vec!["-c", config];
    lookups.iter().for_each(|address| args.extend(["--lookupd-address", address]));
    let mut node = Daemon::gafferd(&args);
    let origin = format!("http://{}", node.address());
    (node, origin)
}

/// What a server answers of shop.web: each node with how many processes it has.
pub(crate) fn web(server: &LookupServer) -> Option<BTreeMap<String, usize>> {
    let sources = server.find_job("shop.web").ok()?;
    Some(sources.into_iter().map(|source| (source.node.origin, source.pids.len())).collect())
}

/// Answers over a unix socket, as they are.
pub(crate) fn get(folder: &Folder, name: &str, path: &str) -> Value {
    serde_json::from_str(&text(folder, name, path)).expect("JSON")
}

fn text(folder: &Folder, name: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(folder.path(name)).expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it takes it");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split_once("\r\n\r\n").expect("a content").1.to_owned()
}

/// What the server tells from now on.
fn listen(server: &LookupServer) -> Receiver<LookupEvent> {
    let events = server.events().expect("a session");
    let (sender, receiver) = channel();
    thread::spawn(move || events.map_while(Result::ok).all(|event| sender.send(event).is_ok()));
    receiver
}

#[track_caller]
fn next(events: &Receiver<LookupEvent>) -> String {
    let event = events.recv_timeout(Duration::from_secs(90)).expect("an event");
    let about = event.job().map(|job| format!(" {job}")).unwrap_or_default();
    format!("{}{about}", event.event)
}

/// Asks both servers all the time, as a client of both does, and remembers what was missing.
struct Client {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    missed: Arc<Mutex<Vec<String>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Client {
    fn start(servers: &[LookupServer], want: usize) -> Self {
        let servers = LookupServers::new(servers.to_vec());
        let mut client = Self { stop: Arc::default(), asked: Arc::default(), missed: Arc::default(), thread: None };
        let (stop, asked, missed) = (Arc::clone(&client.stop), Arc::clone(&client.asked), Arc::clone(&client.missed));
        let ask = move || {
            while !stop.load(Ordering::Relaxed) {
                match servers.find_session("shop") {
                    Ok(merged) => {
                        let sources = merged.found.first().map(|job| job.sources.clone()).unwrap_or_default();
                        let whole = sources.iter().filter(|source| source.pids.len() == 2).count();
                        if whole != want {
                            missed.lock().unwrap().push(format!("{whole} of {want} nodes: {sources:?}"));
                        }
                    }
                    Err(e) => missed.lock().unwrap().push(e.to_string()),
                }
                asked.fetch_add(1, Ordering::Relaxed);
            }
        };
        client.thread = Some(thread::spawn(ask));
        client
    }

    /// How often it has asked; each time it got everything.
    #[track_caller]
    fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("it runs").join().expect("it ends");
        assert_eq!(*self.missed.lock().unwrap(), [""; 0]);
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[test]
fn three_members_and_two_lookup_servers_each_killed_in_turn() {
    let Some(mut cluster) = Cluster::start(3) else { return };
    let (folder, url, ttl) = (Folder::new(), cluster.url(), "60");
    let start = |name| lookupd(&folder, name, &url, ttl);
    let (mut a, at_a) = start("a");
    let (b, at_b) = start("b");
    let servers = [at_a.clone(), at_b.clone()];
    let config = folder.write_text("gafferd.ini", &format!("[gaffer]\nbind = 127.0.0.1:0\n{JOBS}"));
    // One knows the first server alone, one the other, one both.
    let (address_a, address_b) = (at_a.address(), at_b.address());
    let known: [&[&str]; 3] = [&[&address_a], &[&address_b], &[&address_a, &address_b]];
    let mut nodes: Vec<(Daemon, String)> = known.iter().map(|known| gafferd(&config, known)).collect();
    let everywhere = |what: &str, origins: &[String]| {
        let want: BTreeMap<String, usize> = origins.iter().map(|origin| (origin.clone(), 2)).collect();
        let began = Instant::now();
        for server in &servers {
            eventually(&format!("{what} at {}", server.address()), || (web(server)? == want).then_some(()));
            let known: BTreeSet<String> = server.nodes().expect("nodes").into_iter().map(|node| node.origin).collect();
            assert_eq!(known, want.keys().cloned().collect());
        }
        println!("{what}: both know {} nodes after {:.1} s more", want.len(), began.elapsed().as_secs_f32());
    };
    let origins = |nodes: &[(Daemon, String)]| nodes.iter().map(|(_, origin)| origin.clone()).collect::<Vec<_>>();
    everywhere("at the beginning", &origins(&nodes));
    // The node that is connected to b alone: those who listen at a are told, too.
    let told = listen(&at_a);
    nodes.remove(1).0.kill();
    let names: Vec<String> = (0..4).map(|_| next(&told)).collect();
    assert_eq!(names, ["remove_process shop.web", "remove_process shop.web", "remove_job shop.web", "remove_node"]);
    everywhere("with a node killed", &origins(&nodes));
    nodes.insert(1, gafferd(&config, known[1]));
    let origins = origins(&nodes);
    let all = &origins;
    everywhere("with another one", all);
    let client = Client::start(&servers, 3);
    let first = Server::new(&origins[0]).expect("an address");

    // Each member of etcd, the one that leads among them: what happens meanwhile is known everywhere, and told.
    for at in 0..3 {
        let leader = cluster.leader();
        cluster.kill(at);
        let told = listen(&at_b);
        let began = Instant::now();
        first.load(&json!({"name": "a.extra", "cmd": "sleep 1000"}), None, true, false).expect("it loads");
        assert_eq!([next(&told), next(&told)], ["add_job a.extra", "add_process a.extra"]);
        first.job("a.extra").expect("it is there").unload().expect("it unloads");
        assert_eq!([next(&told), next(&told)], ["remove_process a.extra", "remove_job a.extra"]);
        let role = if at == leader { ", which led," } else { "" };
        println!("etcd member {at}{role} killed: told elsewhere within {:.1} s", began.elapsed().as_secs_f32());
        everywhere("with a member killed", all);
        cluster.revive(at);
    }
    // One that hangs is worse than one that is dead.
    let leader = cluster.leader();
    cluster.signal(leader, Signal::STOP);
    let told = listen(&at_b);
    let began = Instant::now();
    first.load(&json!({"name": "a.extra", "cmd": "sleep 1000"}), None, true, false).expect("it loads");
    assert_eq!([next(&told), next(&told)], ["add_job a.extra", "add_process a.extra"]);
    first.job("a.extra").expect("it is there").unload().expect("it unloads");
    assert_eq!([next(&told), next(&told)], ["remove_process a.extra", "remove_job a.extra"]);
    println!("etcd member {leader}, which led, stopped: told elsewhere within {:.1} s", began.elapsed().as_secs_f32());
    cluster.signal(leader, Signal::CONT);
    everywhere("with all members again", all);

    // Each lookup server, killed and started again at its address; the other one hears nothing of it, as nothing happens to the nodes.
    let told = listen(&at_b);
    a.kill();
    everywhere_alive("with a killed", &at_b, all);
    (a, _) = start("a");
    everywhere("with a started again", all);
    // The same if it is stopped as one should.
    a.stop();
    everywhere_alive("with a stopped", &at_b, all);
    let (_a, _) = start("a");
    everywhere("with a started again", all);
    assert_eq!(told.try_iter().map(|event| event.event).collect::<Vec<_>>(), [""; 0], "nothing has happened");
    b.kill();
    everywhere_alive("with b killed", &at_a, all);
    let (_b, _) = start("b");
    everywhere("with b started again", all);
    let asked = client.stop();
    println!("a client of both has asked {asked} times meanwhile, and has got every node each time");
}

fn everywhere_alive(what: &str, server: &LookupServer, origins: &[String]) {
    let want: BTreeMap<String, usize> = origins.iter().map(|origin| (origin.clone(), 2)).collect();
    assert_eq!(web(server).expect(what), want, "{what}");
}

#[test]
fn away_and_back() {
    let Some(mut cluster) = Cluster::start(1) else { return };
    let (folder, url) = (Folder::new(), cluster.url());
    let (mut a, at_a) = lookupd(&folder, "a", &url, "60");
    let (mut b, at_b) = lookupd(&folder, "b", &url, "60");
    let config = folder.write_text("gafferd.ini", &format!("[gaffer]\nbind = 127.0.0.1:0\n{JOBS}"));
    let (_node, origin) = gafferd(&config, &[&at_a.address()]);
    let whole = BTreeMap::from([(origin.clone(), 2)]);
    eventually("the node at b", || (web(&at_b)? == whole).then_some(()));
    let health = get(&folder, "b", "/healthz");
    assert_eq!((&health["registry"]["kind"], &health["registry"]["follows"]), (&json!("etcd"), &json!(true)));
    assert_eq!((&health["stale"], &health["registry"]["registrations"]), (&Value::Null, &json!(1)));
    let page = text(&folder, "b", "/metrics");
    for line in ["follows 1", "writes 1", "queued 0", "registrations 1", "rounds_total 1"] {
        assert!(page.contains(&format!("\ngaffer_lookup_registry_{line}\n")), "{line}: {page}");
    }
    assert!(
        page.contains("\ngaffer_lookup_nodes 1\n") && page.contains("\ngaffer_lookup_node_connections 0\n"),
        "{page}"
    );
    let keys = cluster.keys();
    assert_eq!(keys.len(), 4, "{keys:?}");
    assert!(keys[1].starts_with("/test/1/nodes/") && keys[1].ends_with("/jobs/shop.web"), "{keys:?}");

    cluster.kill(0);
    a.line(" is away: 127.0.0.1:");
    b.line(" is away: 127.0.0.1:");
    let events = listen(&at_b);
    let node = Server::new(&origin).expect("an address");
    node.load(&json!({"name": "a.extra", "cmd": "sleep 1000"}), None, true, false).expect("it loads");
    // Where the node is connected it is known at once; the other one says that it may be behind.
    eventually("the job at a", || (!at_a.find_job("a.extra").ok()?.is_empty()).then_some(()));
    assert_eq!(at_b.find_job("a.extra").expect("an answer"), []);
    for path in ["/nodes", "/jobs", "/sessions", "/findJob?name=shop.web", "/findSession?sessionid=shop", "/healthz"] {
        for name in ["a", "b"] {
            assert_eq!(get(&folder, name, path)["stale"], true, "{name} {path}");
        }
    }
    assert_eq!(web(&at_b), Some(whole.clone()));
    let page = text(&folder, "b", "/metrics");
    assert!(page.contains("\ngaffer_lookup_registry_follows 0\n"), "{page}");
    assert!(!page.contains("\ngaffer_lookup_registry_errors_total 0\n"), "{page}");
    // One that starts now knows what nodes tell it, and says so.
    let socket = format!("unix:{}", folder.text("c"));
    let mut c = Daemon::lookupd(&["--bind", &socket, "--registry", &url]);
    c.line(" is away: 127.0.0.1:");

    cluster.revive(0);
    assert_eq!([next(&events), next(&events)], ["add_job a.extra", "add_process a.extra"]);
    a.line(": back, by 127.0.0.1:");
    c.line(": back, by 127.0.0.1:");
    let at_c = LookupServer::new(&socket).expect("an address");
    eventually("all of it at c", || (web(&at_c)? == whole && at_c.jobs().ok()?.len() == 2).then_some(()));
    for name in ["a", "b", "c"] {
        eventually("it follows", || get(&folder, name, "/jobs")["stale"].is_null().then_some(()));
    }
    // Each absence is said once; an etcd that was too busy to answer for a while has another one.
    for daemon in [&a, &b, &c] {
        let says = |line: &String| [" is away: ", ": back, by "].into_iter().find(|what| line.contains(what));
        let said: Vec<&str> = daemon.log().iter().filter_map(says).collect();
        assert!(said[0] == " is away: " && said.windows(2).all(|pair| pair[0] != pair[1]), "{:#?}", daemon.log());
    }
    assert_eq!(events.try_iter().count(), 0, "nothing else has happened");
}

#[test]
fn what_a_dead_server_leaves_ends_with_its_lease() {
    let Some(cluster) = Cluster::start(1) else { return };
    let (folder, url) = (Folder::new(), cluster.url());
    let (a, at_a) = lookupd(&folder, "a", &url, "5");
    let (_b, at_b) = lookupd(&folder, "b", &url, "5");
    let config = folder.write_text("gafferd.ini", &format!("[gaffer]\nbind = 127.0.0.1:0\n{JOBS}"));
    let (node, origin) = gafferd(&config, &[&at_a.address()]);
    eventually("the node at b", || (web(&at_b)? == BTreeMap::from([(origin.clone(), 2)])).then_some(()));
    let told = listen(&at_b);
    // Both at once: nobody is left to say that the node has gone.
    a.signal(Signal::STOP);
    node.kill();
    let began = Instant::now();
    a.kill();
    let names: Vec<String> = (0..4).map(|_| next(&told)).collect();
    let process = "remove_process shop.web";
    assert_eq!(names, [process, process, "remove_job shop.web", "remove_node"]);
    println!("gone {:.1} s after its server, with a time to live of 5 s", began.elapsed().as_secs_f32());
    assert_eq!((at_b.nodes().expect("an answer"), cluster.keys()), (vec![], vec![]));
}

#[test]
fn what_was_missed_is_read_again() {
    let Some(mut cluster) = Cluster::start(1) else { return };
    let (folder, url) = (Folder::new(), cluster.url());
    let (_a, at_a) = lookupd(&folder, "a", &url, "60");
    let (b, at_b) = lookupd(&folder, "b", &url, "60");
    let config = folder.write_text("gafferd.ini", &format!("[gaffer]\nbind = 127.0.0.1:0\n{JOBS}"));
    let (_node, origin) = gafferd(&config, &[&at_a.address()]);
    let whole = BTreeMap::from([(origin.clone(), 2)]);
    eventually("the node at b", || (web(&at_b)? == whole).then_some(()));
    let told = listen(&at_b);
    // While b sleeps its stream breaks, and what happens then is forgotten by etcd before b asks.
    b.signal(Signal::STOP);
    cluster.kill(0);
    cluster.revive(0);
    let node = Server::new(&origin).expect("an address");
    node.load(&json!({"name": "a.extra", "cmd": "sleep 1000"}), None, true, false).expect("it loads");
    node.job("shop.web").expect("it is there").scale("=1").expect("it scales");
    let is_written = |keys: &[String]| {
        let has = |end: &str| keys.iter().any(|key| key.ends_with(end));
        has("/jobs/a.extra/3") && !(has("/jobs/shop.web/1") && has("/jobs/shop.web/2"))
    };
    eventually("what a writes", || is_written(&cluster.keys()).then_some(()));
    cluster.compact();
    b.signal(Signal::CONT);
    let names: BTreeSet<String> = (0..3).map(|_| next(&told)).collect();
    let want = ["add_job a.extra", "add_process a.extra", "remove_process shop.web"];
    assert_eq!(names, want.iter().map(ToString::to_string).collect());
    eventually("the same at b", || (web(&at_b)? == BTreeMap::from([(origin.clone(), 1)])).then_some(()));
    // The same with one deletion, and nothing after it: of this an etcd may say nothing when it is asked from there on.
    b.signal(Signal::STOP);
    cluster.kill(0);
    cluster.revive(0);
    node.job("shop.web").expect("it is there").scale("=0").expect("it scales");
    let has_process = |keys: &[String]| keys.iter().any(|key| key.contains("/jobs/shop.web/"));
    eventually("what a deletes", || (!has_process(&cluster.keys())).then_some(()));
    cluster.compact();
    b.signal(Signal::CONT);
    assert_eq!(next(&told), "remove_process shop.web");
    assert_eq!(told.try_iter().count(), 0, "nothing else has happened");
}

#[test]
fn an_etcd_that_has_lost_everything_is_told_again() {
    let Some(mut cluster) = Cluster::start(1) else { return };
    let (folder, url) = (Folder::new(), cluster.url());
    let (mut a, at_a) = lookupd(&folder, "a", &url, "60");
    let (_b, at_b) = lookupd(&folder, "b", &url, "60");
    let config = folder.write_text("gafferd.ini", &format!("[gaffer]\nbind = 127.0.0.1:0\n{JOBS}"));
    let (_node, origin) = gafferd(&config, &[&at_a.address()]);
    let whole = BTreeMap::from([(origin, 2)]);
    eventually("the node at b", || (web(&at_b)? == whole).then_some(()));
    // Its history is longer than what is told again.
    for _ in 0..20 {
        cluster.ask("kv/put", &json!({"key": "b3RoZXI="}));
    }
    cluster.kill(0);
    a.line(" is away: 127.0.0.1:");
    cluster.wipe(0);
    cluster.revive(0);
    a.line(": back, by 127.0.0.1:");
    eventually("all keys again", || (cluster.keys().len() == 4).then_some(()));
    eventually("the node at b", || (web(&at_b)? == whole).then_some(()));
}

#[test]
fn what_somebody_deletes_is_written_again() {
    let Some(cluster) = Cluster::start(1) else { return };
    let (folder, url) = (Folder::new(), cluster.url());
    let (_a, at_a) = lookupd(&folder, "a", &url, "6");
    let (_b, at_b) = lookupd(&folder, "b", &url, "6");
    let config = folder.write_text("gafferd.ini", &format!("[gaffer]\nbind = 127.0.0.1:0\n{JOBS}"));
    let (_node, origin) = gafferd(&config, &[&at_a.address()]);
    let whole = BTreeMap::from([(origin, 2)]);
    eventually("the node at b", || (web(&at_b)? == whole).then_some(()));
    let told = listen(&at_b);
    let before = cluster.keys();
    cluster.delete_keys();
    let names: Vec<String> = (0..9).map(|_| next(&told)).collect();
    let (gone, back) = names.split_at(4);
    let process = "process shop.web";
    assert_eq!(
        gone,
        [format!("remove_{process}"), format!("remove_{process}"), "remove_job shop.web".into(), "remove_node".into()]
    );
    assert_eq!(back[..3], ["add_node", "identify", "add_job shop.web"]);
    assert_eq!(web(&at_b), Some(whole));
    let after = cluster.keys();
    assert!(after.len() == 4 && after.iter().all(|key| !before.contains(key)), "{before:?} {after:?}");
}

/// More than one transaction, and more than one page.
#[test]
fn thousands_of_jobs() {
    const JOBS: usize = 3000;
    let Some(cluster) = Cluster::start(1) else { return };
    let (folder, url) = (Folder::new(), cluster.url());
    let mut a = Daemon::lookupd(&["--bind", "127.0.0.1:0", "--registry", &url]);
    let mut node = Node::connect(&a.address());
    node.say(r#"{"type": "IDENTIFY", "msgid": 0, "name": "n", "origin": "http://n:1", "version": "0.1"}"#);
    for n in 0..JOBS {
        let name = format!("s.j{n}");
        node.say(&json!({"type": "REGISTER_JOB", "msgid": 1, "job_name": name}).to_string());
        node.say(&json!({"type": "REGISTER_PROCESS", "msgid": 1, "job_name": name, "pid": n}).to_string());
    }
    let whole = |server: &LookupServer| {
        let jobs = server.jobs().ok()?;
        let pids = jobs.iter().flat_map(|job| &job.sources).map(|source| source.pids.len()).sum::<usize>();
        ((jobs.len(), pids) == (JOBS, JOBS)).then_some(())
    };
    eventually("all that was told", || (cluster.keys().len() == 1 + 2 * JOBS).then_some(()));
    let (_b, at_b) = lookupd(&folder, "b", &url, "15");
    eventually("all of it at b", || whole(&at_b));
    drop(node);
    eventually("the end of it", || at_b.nodes().ok()?.is_empty().then_some(()));
    assert_eq!(at_b.jobs().expect("an answer"), []);
}

#[test]
fn a_registry_in_memory_is_well() {
    let folder = Folder::new();
    let _lookupd = Daemon::lookupd(&["--bind", &format!("unix:{}", folder.text("l")), "--registry", "memory"]);
    assert_eq!(get(&folder, "l", "/healthz"), json!({"status": "ok", "registry": {"kind": "memory"}}));
    assert_eq!(get(&folder, "l", "/nodes"), json!({"nodes": []}));
}
