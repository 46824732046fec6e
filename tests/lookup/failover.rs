//! Three nodes and two lookup servers, each killed in turn: no registration is lost, and clients go on.

use std::collections::BTreeSet;

use gaffer::client::{LookupServer, LookupServers};

use crate::util::{Daemon, Folder, eventually};

/// Two processes that end with their gafferd, whatever ends it: their standard input is a pipe of it.
const JOBS: &str = "[process:shop:web]\ncmd = cat\nredirect_input = true\nnumprocesses = 2\n";

/// `node_info` origins of shop.web, if every node has both of its processes.
fn origins(server: &LookupServer) -> Option<BTreeSet<String>> {
    let sources = server.find_job("shop.web").ok()?;
    if sources.iter().any(|source| source.pids.len() != 2) {
        return None;
    }
    let nodes = server.nodes().ok()?;
    let all: BTreeSet<String> = sources.into_iter().map(|source| source.node.origin).collect();
    (nodes.len() == all.len()).then_some(all)
}

#[test]
fn whoever_is_killed_is_missed_and_comes_back() {
    let folder = Folder::new();
    let socket = format!("unix:{}", folder.text("a.sock"));
    let mut lookups = vec![Daemon::lookupd(&["--bind", &socket]), Daemon::lookupd(&["--bind", "127.0.0.1:0"])];
    let tcp = lookups[1].address();
    let binds = [socket, tcp];
    let config = folder.write_text("gafferd.ini", &format!("[gaffer]\nbind = 127.0.0.1:0\n{JOBS}"));
    let start = || {
        let args = ["-c", &config, "--lookupd-address", &binds[0], "--lookupd-address", &binds[1]];
        let mut node = Daemon::gafferd(&args);
        let origin = format!("http://{}", node.address());
        (node, origin)
    };
    let mut nodes: Vec<(Daemon, String)> = (0..3).map(|_| start()).collect();
    let servers: Vec<LookupServer> =
        binds.iter().map(|address| LookupServer::new(address).expect("an address")).collect();
    let both = LookupServers::new(servers.clone());
    let converge = |what: &str, nodes: &[(Daemon, String)]| {
        let want: BTreeSet<String> = nodes.iter().map(|(_, origin)| origin.clone()).collect();
        for server in &servers {
            eventually(&format!("{what} at {}", server.address()), || (origins(server)? == want).then_some(()));
        }
        let merged = both.find_session("shop").expect("both answer");
        assert_eq!((merged.lost.len(), merged.found.len(), merged.found[0].sources.len()), (0, 1, nodes.len()));
    };
    converge("all three", &nodes);

    for n in 0..lookups.len() {
        lookups.remove(n).kill();
        // Nobody who asks both misses anything meanwhile.
        let merged = both.find_session("shop").expect("the other one answers");
        assert_eq!((merged.lost.len(), merged.found[0].sources.len()), (1, 3));
        assert_eq!(merged.lost[0].0, servers[n].address());
        assert_eq!(both.nodes().expect("the other one answers").found.len(), 3);
        lookups.insert(n, Daemon::lookupd_again(&["--bind", &binds[n]]));
        converge("all three after a lookup server was killed", &nodes);
    }
    for n in 0..nodes.len() {
        nodes.remove(n).0.kill();
        converge("the other two", &nodes);
        nodes.insert(n, start());
        converge("all three after a node was killed", &nodes);
    }
    // Both at once.
    lookups.into_iter().for_each(Daemon::kill);
    assert!(both.nodes().is_err());
    let _lookups: Vec<Daemon> = binds.iter().map(|bind| Daemon::lookupd_again(&["--bind", bind])).collect();
    converge("all three after both lookup servers were killed", &nodes);
    let web = gaffer::client::Server::new(&nodes[0].1).expect("an address");
    assert_eq!(web.status("shop.web").expect("it runs").running, 2);
}
