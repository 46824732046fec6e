//! Those who say nothing any more but do not hang up: a lookup server, and a node, that are stopped.

use std::time::{Duration, Instant};

use gaffer::client::{LookupServer, Server};
use gaffer::process::Signal;
use serde_json::json;

use crate::util::{Daemon, Folder, eventually};

const INI: &str = "lookup_ping_interval = 0.2\n[process:shop:web]\ncmd = cat\nredirect_input = true\n";

/// How many processes of a job a lookup server knows.
fn pids(server: &LookupServer, job: &str) -> Option<usize> {
    server.find_job(job).ok()?.first().map(|source| source.pids.len())
}

#[test]
fn a_lookup_server_that_does_not_answer() {
    let folder = Folder::new();
    let binds = ["a", "b"].map(|name| format!("unix:{}", folder.text(name)));
    let lookups = binds.each_ref().map(|bind| Daemon::lookupd(&["--bind", bind]));
    let servers = binds.each_ref().map(|bind| LookupServer::new(bind).expect("an address"));
    let ini =
        format!("[gaffer]\nbind = 127.0.0.1:0\nlookupd_address = {}\nlookupd_address2 = {}\n", binds[0], binds[1]);
    let config = folder.write_text("gafferd.ini", &(ini + INI));
    let mut node = Daemon::gafferd(&["-c", &config]);
    let api = Server::new(&node.address()).expect("an address");
    for server in &servers {
        eventually("its registration", || (pids(server, "shop.web")? == 1).then_some(()));
    }

    lookups[0].signal(Signal::STOP);
    let stopped = Instant::now();
    node.line(&format!("lookup {}: no answer to 3 pings; trying again", binds[0]));
    // Three intervals, one more that had begun, and what a busy machine adds; far from three intervals of the default.
    assert!(stopped.elapsed() < Duration::from_secs(40), "{:?}", stopped.elapsed());
    // The other one is told what happens meanwhile; the node does not wait for the first.
    api.load(&json!({"name": "shop.more", "cmd": "sleep 1000"}), None, true, false).expect("it loads");
    eventually("what is new at the other one", || (pids(&servers[1], "shop.more")? == 1).then_some(()));
    api.unload("shop.web").expect("it unloads");
    eventually("what is gone at the other one", || servers[1].find_job("shop.web").ok()?.is_empty().then_some(()));

    lookups[0].signal(Signal::CONT);
    eventually("all of it at the first one", || {
        (pids(&servers[0], "shop.more")? == 1 && servers[0].find_job("shop.web").ok()?.is_empty()).then_some(())
    });
    assert_eq!(servers[0].nodes().expect("an answer").len(), 1);
    node.stop();
}

#[test]
fn a_node_that_does_not_answer() {
    let folder = Folder::new();
    let bind = format!("unix:{}", folder.text("l"));
    let _lookupd = Daemon::lookupd(&["--bind", &bind, "--ping-interval", "0.2"]);
    let server = LookupServer::new(&bind).expect("an address");
    let ini = format!("[gaffer]\nbind = 127.0.0.1:0\nlookupd_address = {bind}\n{INI}");
    let config = folder.write_text("gafferd.ini", &ini);
    let mut node = Daemon::gafferd(&["-c", &config]);
    eventually("its registration", || (pids(&server, "shop.web")? == 1).then_some(()));
    let events = server.events().expect("a session");

    node.signal(Signal::STOP);
    let stopped = Instant::now();
    let names: Vec<String> = events.take(3).map(|event| event.expect("an event").event).collect();
    assert_eq!(names, ["remove_process", "remove_job", "remove_node"]);
    assert!(stopped.elapsed() < Duration::from_secs(40), "{:?}", stopped.elapsed());
    assert_eq!(server.nodes().expect("an answer"), []);

    // It finds itself hung up on, and comes back with all it has.
    node.signal(Signal::CONT);
    eventually("its return", || (pids(&server, "shop.web")? == 1).then_some(()));
    node.stop();
}
