//! `gaffer lookup:…`, and `--lookup` of `ps`, `logs` and `scale`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use gaffer::client::{LookupServer, Server};

use crate::service::Node;
use crate::util::{Daemon, Folder, eventually, gaffer, tool};

const JOBS: &str =
    "[process:shop:web]\ncmd = sh -c 'echo ready; exec cat'\nredirect_input = true\nredirect_output = out\n";

#[test]
fn what_changes_is_shown() {
    let folder = Folder::new();
    let socket = format!("unix:{}", folder.text("l.sock"));
    let _lookupd = Daemon::lookupd(&["--bind", &socket]);
    let mut tool = Command::new(env!("CARGO_BIN_EXE_gaffer"))
        .args(["lookup", "-L", &socket])
        .env_remove("GAFFER_CONFIG")
        .env("HOME", "/nonexistent")
        .stdout(Stdio::piped())
        .spawn()
        .expect("gaffer");
    let mut lines = BufReader::new(tool.stdout.take().expect("a pipe")).lines();
    // Nodes come until it has said that it listens: what was before it is not told.
    let (sender, receiver) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || lines.try_for_each(|line| sender.send(line.expect("text"))));
    let config = folder.write_text("gafferd.ini", &format!("[gaffer]\nbind = 127.0.0.1:0\n{JOBS}"));
    let mut origins = Vec::new();
    let lines = eventually("a node whose coming was told", || {
        let mut node = Daemon::gafferd(&["-c", &config, "--lookupd-address", &socket]);
        origins.push(format!("http://{}", node.address()));
        let lookup = LookupServer::new(&socket).expect("an address");
        eventually("its process", || (lookup.find_job("shop.web").ok()?.first()?.pids.len() == 1).then_some(()));
        node.stop();
        // It may have begun to listen too late for the first node, or in the middle of it.
        let mut lines = vec![receiver.recv_timeout(Duration::from_secs(1)).ok()?];
        while !lines[0].ends_with(" add_node | add node") {
            lines[0] = receiver.recv_timeout(Duration::from_secs(1)).ok()?;
        }
        while !lines[lines.len() - 1].contains(" remove_node | ") {
            lines.push(receiver.recv_timeout(Duration::from_secs(90)).expect("a line"));
        }
        Some(lines.iter().map(|line| line[9..].to_owned()).collect::<Vec<_>>())
    });
    tool.kill().expect("it runs");
    tool.wait().expect("it is a child");
    reader.join().expect("it ends").unwrap_or_default();
    let identified =
        |origin: &&String| lines[1].starts_with("identify | ") && lines[1].ends_with(&format!(": {origin}"));
    let origin = origins.iter().find(identified).expect("one of the nodes");
    assert_eq!(
        lines[2..6],
        [
            format!("add_job | load shop.web in {origin}"),
            format!("add_process | shop.web: process id 1 spawned on {origin}"),
            format!("remove_process | shop.web: process id 1 exited on {origin}"),
            format!("remove_job | unload shop.web in {origin}"),
        ]
    );
    assert!(lines[6].starts_with("remove_node | ") && lines.len() == 7, "{lines:?}");
}

#[test]
fn all_nodes_of_an_application() {
    let folder = Folder::new();
    let socket = format!("unix:{}", folder.text("l.sock"));
    let nowhere = format!("unix:{}", folder.text("nobody.sock"));
    let _lookupd = Daemon::lookupd(&["--bind", &socket]);
    let config = folder.write_text("gafferd.ini", &format!("[gaffer]\nbind = 127.0.0.1:0\n{JOBS}"));
    let mut nodes: Vec<Daemon> =
        (0..2).map(|_| Daemon::gafferd(&["-c", &config, "--lookupd-address", &socket])).collect();
    let origins: Vec<String> = nodes.iter_mut().map(|node| format!("http://{}", node.address())).collect();
    let lookup = LookupServer::new(&socket).expect("an address");
    eventually("both nodes", || {
        let sources = lookup.find_job("shop.web").ok()?;
        (sources.len() == 2 && sources.iter().all(|source| source.pids.len() == 1)).then_some(())
    });

    let (code, out, _) = gaffer(&["lookup:nodes", "-L", &socket]);
    assert_eq!((code, out.lines().next()), (0, Some("2 node(s) found")));
    for origin in &origins {
        let line = format!("{origin} - ");
        assert!(out.lines().any(|l| l.starts_with(&line) && l.ends_with(" (protocol: 0.1)")), "{out}");
    }
    let (code, out, _) = gaffer(&["lookup:jobs", "-L", &socket]);
    assert!(code == 0 && out.contains("=== shop.web\n") && out.contains(", protocol: 0.1\n"), "{out}");
    let (code, out, _) = gaffer(&["lookup:job", "-L", &socket, "shop.web"]);
    assert!(code == 0 && out.contains(&format!("Origin: {}\nPids: 1\n", origins[0])), "{out}");
    let (code, out, _) = gaffer(&["lookup:job", "-L", &socket, "shop.nobody"]);
    assert_eq!((code, out.as_str()), (4, "no job found\n"));
    let (code, out, _) = gaffer(&["lookup:sessions", "-L", &socket]);
    assert!(code == 0 && out.contains("*** session: shop\n=== job: shop.web\n"), "{out}");
    let (code, out, _) = gaffer(&["lookup:session", "-L", &socket, "shop"]);
    assert!(code == 0 && out.starts_with("*** session: shop\n=== job: shop.web\n"), "{out}");

    // One that is down is a warning.
    let (code, out, err) = gaffer(&["--lookup", &nowhere, "--lookup", &socket, "ps", "shop"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("does not answer, others do") && err.contains("nobody.sock"), "{err}");
    for origin in &origins {
        assert!(out.contains(&format!("=== web on {origin}: `")), "{out}");
    }
    let (code, _, err) = gaffer(&["--lookup", &nowhere, "ps", "shop"]);
    assert_eq!(code, 69, "{err}");
    let (code, _, err) = gaffer(&["--lookup", &socket, "ps", "nobody"]);
    assert_eq!((code, err.as_str()), (4, "gaffer: no node has 'nobody'\n"));

    let (code, out, err) = gaffer(&["--lookup", &socket, "scale", "shop", "web=2"]);
    assert_eq!(code, 0, "{err}");
    for origin in &origins {
        assert!(out.contains(&format!("processes on {origin}... done, now running 2\n")), "{out}");
        let node = Server::new(origin).expect("an address");
        assert_eq!(node.status("shop.web").expect("it is there").numprocesses, 2);
    }
    eventually("what both nodes have written", || {
        let (code, out, err) = gaffer(&["--lookup", &socket, "logs", "shop"]);
        assert_eq!(code, 0, "{err}");
        let of = |origin: &String| {
            let place = format!("{}/shop.web.", &origin["http://".len()..]);
            out.lines().filter(|line| line.contains(&place) && line.ends_with("| ready")).count()
        };
        origins.iter().all(|origin| of(origin) == 2).then_some(())
    });
}

/// Somebody registers as a node to be shown the keys of those who look for nodes.
#[test]
fn a_stranger_is_not_shown_the_key() {
    const KEY: &str = "the-key-of-an-admin";
    let mut lookupd = Daemon::lookupd(&["--bind", "127.0.0.1:0"]);
    let address = lookupd.address();
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
    // Another address than loopback, by which it is reached here.
    let origin = format!("http://0.0.0.0:{}", stranger.local_addr().expect("an address").port());
    let (sender, heads) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in stranger.incoming().map_while(Result::ok) {
            let lines = BufReader::new(stream.try_clone().expect("a socket")).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = (&stream).write_all(answer.as_bytes());
            if sender.send(head.join("\n")).is_err() {
                return;
            }
        }
    });
    let mut node = Node::connect(&address);
    for text in [
        format!(r#"{{"type": "IDENTIFY", "msgid": 0, "name": "n", "origin": "{origin}", "version": "0.1"}}"#),
        r#"{"type": "REGISTER_JOB", "msgid": 1, "job_name": "shop.web"}"#.to_owned(),
        r#"{"type": "REGISTER_JOB", "msgid": 2, "job_name": "shop.worker"}"#.to_owned(),
    ] {
        assert_eq!(node.say(&text)["ok"], true);
    }
    let lookup = format!("http://{address}");
    let ps = |more: &[&str], vars: &[(&str, &str)]| {
        let ran = tool(env!("CARGO_BIN_EXE_gaffer"), &[&["--lookup", &lookup, "ps", "shop"], more].concat(), vars);
        (ran, heads.recv_timeout(Duration::from_secs(30)).expect("it was asked"))
    };
    let words = format!("gaffer: the key is not shown to {origin}: a lookup server has named it");
    for (more, vars) in [(&["--api-key", KEY][..], &[][..]), (&[], &[("GAFFER_API_KEY", KEY)])] {
        let ((code, _, err), head) = ps(more, vars);
        assert!(code == 77 && err.contains(&words), "{code}: {err}");
        assert!(!head.contains(KEY), "{head}");
    }
    let ((code, _, err), head) = ps(&["--api-key", KEY, "--trust-nodes", "0.0.0.0"], &[]);
    assert!(code == 77 && !err.contains("is not shown"), "{code}: {err}");
    assert!(head.contains(KEY), "{head}");
    // However many jobs it has, it is one node.
    let line = ["--lookup", &lookup, "--api-key", KEY, "scale", "--app", "shop", "web=1", "worker=1"];
    let (code, _, err) = gaffer(&line);
    assert!(code == 77 && err.matches("is not shown").count() == 1, "{code}: {err}");
    for _ in 0..2 {
        let head = heads.recv_timeout(Duration::from_secs(30)).expect("it was asked");
        assert!(head.contains("/numprocesses") && !head.contains(KEY), "{head}");
    }
    // Without a key there is nothing to tell.
    let ((code, _, err), _) = ps(&[], &[]);
    assert!(code == 77 && !err.contains("is not shown"), "{code}: {err}");
    let (code, _, err) = gaffer(&["--lookup", &lookup, "ps", "shop", "--trust-nodes", "ftp://x"]);
    assert!(code == 2 && err.contains("--trust-nodes: expected http://"), "{code}: {err}");
}
