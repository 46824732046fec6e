//! What a node tells of its life, and how it follows its configuration.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use gaffer::client::{LookupEvent, LookupServer, Server};
use gaffer::process::Signal;
use serde_json::json;

use crate::util::{Daemon, Folder, eventually};

/// What the server tells from now on.
fn listen(server: &LookupServer) -> Receiver<LookupEvent> {
    let events = server.events().expect("a session");
    let (sender, receiver) = channel();
    thread::spawn(move || events.map_while(Result::ok).all(|event| sender.send(event).is_ok()));
    receiver
}

fn next(events: &Receiver<LookupEvent>) -> LookupEvent {
    events.recv_timeout(Duration::from_secs(90)).expect("an event")
}

#[test]
fn seven_events_and_no_more() {
    let folder = Folder::new();
    let socket = format!("unix:{}", folder.text("l.sock"));
    let _lookupd = Daemon::lookupd(&["--bind", &socket]);
    let lookup = LookupServer::new(&socket).expect("an address");
    lookup.ping().expect("it answers");
    assert_eq!(lookup.version().expect("a version"), env!("CARGO_PKG_VERSION"));
    let events = listen(&lookup);

    let mut gafferd = Daemon::gafferd(&["--bind", "127.0.0.1:0", "--lookupd-address", &socket]);
    let origin = format!("http://{}", gafferd.address());
    let names: Vec<String> = (0..2).map(|_| next(&events).event).collect();
    assert_eq!(names, ["add_node", "identify"]);
    let nodes = lookup.nodes().expect("nodes");
    assert_eq!((nodes.len(), &nodes[0].origin, nodes[0].version.as_str()), (1, &origin, "0.1"));

    let node = Server::new(&origin).expect("an address");
    let definition = json!({"name": "a.web", "cmd": "sleep 1000"});
    let job = node.load(&definition, None, true, false).expect("it loads");
    let added = next(&events);
    assert_eq!((added.event.as_str(), added.job(), &added.node.origin), ("add_job", Some("a.web"), &origin));
    let spawned = next(&events);
    let pid = spawned.pid().expect("a process");
    assert_eq!((spawned.event.as_str(), spawned.job()), ("add_process", Some("a.web")));
    // One run outside of the count is nobody's to find.
    let committed = job.commit(None, None).expect("a process");
    eventually("the committed process", || node.process(committed).info().ok());
    let found = lookup.find_job("a.web").expect("an answer");
    assert_eq!(found.iter().map(|source| source.pids.clone()).collect::<Vec<_>>(), [[gaffer::process::Pid(pid)]]);
    let sessions = lookup.sessions(Some(&nodes[0].name)).expect("an answer");
    assert_eq!((sessions[0].name.as_str(), sessions[0].jobs.len()), ("a", 1));
    assert_eq!(lookup.sessions(Some("nobody")).expect("an answer"), []);

    job.unload().expect("it unloads");
    let removed = next(&events);
    assert_eq!((removed.event.as_str(), removed.pid()), ("remove_process", Some(pid)));
    assert_eq!(next(&events).event, "remove_job");
    assert_eq!(lookup.find_job("a.web").expect("an answer"), []);
    gafferd.stop();
    let gone = next(&events);
    assert_eq!((gone.event.as_str(), &gone.node.origin), ("remove_node", &origin));
    assert_eq!(lookup.nodes().expect("an answer"), []);
}

#[test]
fn a_reload_touches_only_what_has_changed() {
    let folder = Folder::new();
    let sockets: Vec<String> = ["a", "b"].iter().map(|name| format!("unix:{}", folder.text(name))).collect();
    let _lookups: Vec<Daemon> = sockets.iter().map(|bind| Daemon::lookupd(&["--bind", bind])).collect();
    let lookups: Vec<LookupServer> = sockets.iter().map(|a| LookupServer::new(a).expect("an address")).collect();
    let ini = |lookups: &[&str]| {
        let line = |(n, address): (usize, &&str)| format!("lookupd_address{n} = {address}\n");
        let lines: String = lookups.iter().enumerate().map(line).collect();
        format!(
            "[gaffer]\nbind = 127.0.0.1:0\nbroadcast_address = http://node.example:5000\n{lines}[process:a:web]\ncmd = sleep 1000\n"
        )
    };
    // The same one twice counts once.
    let config = folder.write_text("gafferd.ini", &ini(&[&sockets[0], &sockets[0]]));
    let mut gafferd = Daemon::gafferd(&["-c", &config]);
    gafferd.line(&format!("lookup {}: this node is registered", sockets[0]));
    eventually("the job at a", || (!lookups[0].find_job("a.web").ok()?.is_empty()).then_some(()));
    assert_eq!(lookups[0].nodes().expect("nodes")[0].origin, "http://node.example:5000");
    assert_eq!(lookups[1].nodes().expect("nodes"), []);

    let at_a = listen(&lookups[0]);
    folder.write("gafferd.ini", &ini(&[&sockets[0], &sockets[1]]));
    gafferd.signal(Signal::HUP);
    eventually("the job at b", || (!lookups[1].find_job("a.web").ok()?.is_empty()).then_some(()));
    folder.write("gafferd.ini", &ini(&[&sockets[0]]));
    gafferd.signal(Signal::HUP);
    eventually("b forgets it", || lookups[1].nodes().ok()?.is_empty().then_some(()));
    gafferd.stop();
    let registered = gafferd.log().iter().filter(|line| line.contains("this node is registered")).count();
    assert_eq!(registered, 2, "{:#?}", gafferd.log());
    // All that has happened at a is the end.
    let names: Vec<String> = (0..3).map(|_| next(&at_a).event).collect();
    assert_eq!(names, ["remove_process", "remove_job", "remove_node"]);
}
