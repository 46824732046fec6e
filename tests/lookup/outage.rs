//! A link that is cut for a while, too short for anybody to be missed: pings are as they are by default.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use gaffer::client::{LookupServer, Server};
use serde_json::json;

use crate::links::{CONVERGENCE, Net};
use crate::util::{Daemon, Folder, eventually};

/// How long the link is cut.
const CUT: Duration = Duration::from_secs(20);

/// The processes of shop.web that the server knows of each node.
fn known(server: &LookupServer) -> Option<Vec<usize>> {
    let mut sources = server.find_job("shop.web").ok()?;
    sources.sort_by(|a, b| a.node.origin.cmp(&b.node.origin));
    Some(sources.iter().map(|source| source.pids.len()).collect())
}

/// TCP would send again what the nodes have told the server 17 s after the link is back: it waits longer each time.
#[test]
fn a_server_is_cut_off_and_not_missed() {
    let Some(net) = Net::new(4) else { return };
    let folder = Folder::new();
    let sockets: Vec<String> = (0..4).map(|n| format!("unix:{}", folder.text(&format!("{n}.sock")))).collect();
    let args = ["--bind", "10.77.0.4:5010", "--bind", &sockets[3], "--insecure"];
    let _lookupd = net.start(3, env!("CARGO_BIN_EXE_gaffer_lookupd"), &args);
    let nodes: Vec<Daemon> = (0..3)
        .map(|n| {
            net.patience(n, 2500);
            net.gafferd(n, &folder, &sockets[n], "lookupd_address = http://10.77.0.4:5010", 2)
        })
        .collect();
    let apis: Vec<Server> = sockets[..3].iter().map(|at| Server::new(at).expect("an address")).collect();
    let scale = |node: usize, by: &str| apis[node].job("shop.web").expect("a name").scale(by).expect("it scales");
    let server = LookupServer::new(&sockets[3]).expect("an address");
    let mut wanted = vec![2, 2, 2];
    eventually("all three", || (known(&server)? == wanted).then_some(()));
    let (told, events) = mpsc::channel();
    let session = server.events().expect("a session");
    thread::spawn(move || {
        for event in session.map_while(Result::ok) {
            if told.send(event).is_err() {
                return;
            }
        }
    });

    let mut took = Vec::new();
    // A slow machine may be late once.
    while took.len() < 2 && took.iter().all(|took| *took >= CONVERGENCE) {
        net.link(3, false);
        let begin = Instant::now();
        scale(0, "+1");
        let mut is_halfway = false;
        while begin.elapsed() < CUT {
            if begin.elapsed() > CUT / 3 && !is_halfway {
                is_halfway = true;
                scale(1, "-1");
                scale(1, "+1");
            }
            assert_eq!(known(&server), Some(wanted.clone()), "nobody is missed, and nothing comes through");
            thread::sleep(Duration::from_millis(100));
        }
        net.link(3, true);
        let begin = Instant::now();
        wanted[0] += 1;
        eventually("what has happened meanwhile", || (known(&server)? == wanted).then_some(()));
        let is_same = |n: usize| {
            let origin = format!("http://10.77.0.{}:5000", n + 1);
            let known = server.find_job("shop.web").ok()?.into_iter().find(|source| source.node.origin == origin)?;
            (known.pids == apis[n].job("shop.web").expect("a name").pids().ok()?).then_some(())
        };
        eventually("the same processes", || (0..3).try_for_each(is_same));
        took.push(begin.elapsed());
    }
    eprintln!("a server was cut off for {CUT:?}: right again after {took:?}");
    assert!(took.iter().any(|took| *took < CONVERGENCE), "{took:?}");

    // Who has listened all the time has heard what was different, and nothing else.
    apis[2].load(&json!({"name": "shop.last", "cmd": "sleep 1000"}), None, false, false).expect("it loads");
    let mut heard = Vec::new();
    loop {
        let event = events.recv_timeout(Duration::from_secs(30)).expect("an event");
        if event.job() == Some("shop.last") {
            break;
        }
        heard.push((event.event, event.node.origin));
    }
    heard.sort();
    let of = |event: &str, n: usize| (event.to_owned(), format!("http://10.77.0.{n}:5000"));
    let once = || [of("add_process", 1), of("add_process", 2), of("remove_process", 2)];
    let mut want: Vec<_> = took.iter().flat_map(|_| once()).collect();
    want.sort();
    let logs: Vec<_> = nodes.iter().map(Daemon::log).collect();
    assert_eq!(heard, want, "{logs:#?}");
}
