//! Everything at once, for long: `GAFFER_SOAK=600 cargo test --test net soak -- --ignored --nocapture`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use gaffer::process::Signal;
use serde_json::{Value, json};

use crate::util::{Node, Random, eventually};

const BASE: &str = "[process:web]\ncmd = sleep 1000\nnumprocesses = 2\nbackoff = 0.01, 0.1\n\
    [process:cat]\ncmd = cat\nredirect_input = true\nredirect_output = out\nbackoff = 0.01, 0.1\n\
    [process:loud]\ncmd = sh -c 'while :; do echo tick tock; sleep 0.01; done'\nredirect_output = out, err\nbackoff = 0.01, 0.1\n";
const MORE: &str = "[process:extra]\ncmd = sleep 1000\n";

/// What must be as before.
#[derive(Debug, PartialEq)]
struct State {
    /// How many there are of each kind.
    fds: BTreeMap<String, usize>,
    children: usize,
    threads: usize,
    jobs: Vec<String>,
    subscriptions: f64,
    taps: f64,
    monitors: f64,
}

fn children(os_pid: i32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{os_pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    lists.flat_map(|list| list.split_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<_>>()).collect()
}

fn state(node: &Node) -> State {
    let os_pid = node.os_pid();
    let count = |folder: &str| fs::read_dir(format!("/proc/{os_pid}/{folder}")).expect("it runs").count();
    let jobs: Value = serde_json::from_slice(&node.get("/jobs").expect("an answer").1).expect("JSON");
    let names: BTreeSet<String> = jobs["jobs"].as_array().expect("a list").iter().map(ToString::to_string).collect();
    let (subscriptions, taps) = (node.metric("gaffer_subscriptions"), node.metric("gaffer_taps"));
    let monitors = node.metric("gaffer_monitors");
    // Ours, and none that the node has not yet seen the end of.
    eventually("one connection", || (node.metric("gaffer_connections") <= 1.0).then_some(()));
    let mut fds = BTreeMap::new();
    for fd in fs::read_dir(format!("/proc/{os_pid}/fd")).expect("it runs").flatten() {
        // `socket:[4711]`, `anon_inode:[pidfd]`; one that is gone by now is none.
        let Ok(link) = fs::read_link(fd.path()) else { continue };
        let kind = link.display().to_string();
        let kind = kind.trim_end_matches(|c: char| c.is_ascii_digit() || c == ']');
        *fds.entry(kind.to_owned()).or_insert(0) += 1;
    }
    State {
        fds,
        children: children(os_pid).len(),
        threads: count("task"),
        jobs: names.into_iter().collect(),
        subscriptions,
        taps,
        monitors,
    }
}

/// The same twice: the node may not have seen yet that the connection of the question before has ended.
fn steady(node: &Node) -> State {
    let mut last = state(node);
    eventually("a steady state", || {
        std::thread::sleep(Duration::from_millis(50));
        let now = state(node);
        let is_steady = now == last;
        last = now;
        is_steady.then_some(())
    });
    last
}

/// Back to how it began: the configuration as it was, jobs fresh, no connection but ours.
fn settle(node: &Node) {
    node.configure(BASE);
    let reloads = |node: &Node| node.log().iter().filter(|line| line.contains("reload")).count();
    let before = reloads(node);
    node.signal(Signal::HUP);
    eventually("the reload", || (reloads(node) > before).then_some(()));
    let mut stopped = Vec::new();
    for job in all_jobs(node) {
        let path = format!("/jobs/{}", job.replace('.', "/"));
        if ["default.web", "default.cat", "default.loud"].contains(&job.as_str()) {
            let n = if job == "default.web" { "=2" } else { "=1" };
            let _ = node.request("POST", &format!("{path}/state"), "0");
            stopped.push((format!("{path}/state"), format!("{path}/numprocesses"), n));
        } else {
            let _ = node.request("DELETE", &path, "");
        }
    }
    // What was committed is nobody's but its own.
    for pid in pids(node) {
        let _ = node.request("DELETE", &format!("/{pid}"), "");
    }
    eventually("no process", || pids(node).is_empty().then_some(()));
    for (state, numprocesses, n) in stopped {
        let _ = node.request("POST", &state, "1");
        let _ = node.request("POST", &numprocesses, &json!({"scale": n}).to_string());
    }
    eventually("the jobs of the configuration alone", || (all_jobs(node).len() == 3).then_some(()));
    eventually("one connection", || (node.metric("gaffer_connections") <= 1.0).then_some(()));
    eventually("four children", || (children(node.os_pid()).len() == 4).then_some(()));
    for (job, n) in [("web", 2), ("cat", 1), ("loud", 1)] {
        node.pids(job, n);
    }
}

fn all_jobs(node: &Node) -> Vec<String> {
    let (_, body) = node.get("/jobs").expect("an answer");
    let jobs: Value = serde_json::from_slice(&body).expect("JSON");
    jobs["jobs"].as_array().expect("a list").iter().filter_map(|job| job.as_str().map(str::to_owned)).collect()
}

fn pids(node: &Node) -> Vec<u64> {
    let (_, body) = node.get("/pids").expect("an answer");
    let pids: Value = serde_json::from_slice(&body).expect("JSON");
    pids["pids"].as_array().expect("a list").iter().filter_map(Value::as_u64).collect()
}

/// One thing of many. Answers may refuse; only a server error is wrong.
fn step(node: &Node, random: &mut Random, clients: &mut Vec<TcpStream>, about: &str) {
    let ask = |method: &str, path: &str, body: &str| {
        let (status, answer) =
            node.request(method, path, body).unwrap_or_else(|e| panic!("{about}: {method} {path}: {e}"));
        let fine = status < 500 || (status == 503 && path == "/readyz");
        assert!(fine, "{about}: {method} {path} {body}: {status} {}", String::from_utf8_lossy(&answer));
    };
    let job = random.pick(&["web", "cat", "loud", "extra", "made0", "made1", "made2", "nope"]);
    let pid = {
        let pids = pids(node);
        let n = pids.len().max(1) as u64;
        pids.get(usize::try_from(random.below(n)).expect("small")).copied().unwrap_or(1)
    };
    match random.below(20) {
        0 => {
            let cmd =
                random.pick(&["sleep 1000", "true", "false", "/nonexistent", "cat", "sh -c 'echo $$; exec sleep 0.2'"]);
            let flapping = json!({"attempts": 2, "window": 1, "retry_in": 0.2, "max_retry": 2});
            let out = random.pick(&["out", "log"]);
            let job = json!({"name": job, "cmd": cmd, "redirect_output": [out], "redirect_input": true,
                "numprocesses": random.below(4), "graceful_timeout": 1, "flapping": flapping});
            ask("POST", "/jobs/default", &job.to_string());
        }
        1 if job.starts_with("made") => ask("DELETE", &format!("/jobs/default/{job}"), ""),
        2 if job.starts_with("made") => {
            ask("PUT", &format!("/jobs/default/{job}"), r#"{"cmd": "sleep 1000", "numprocesses": 2}"#);
        }
        3 => ask("POST", &format!("/jobs/default/{job}/state"), random.pick(&["0", "1", "2"])),
        4 => ask(
            "POST",
            &format!("/jobs/default/{job}/numprocesses"),
            random.pick(&[r#"{"scale": "=1"}"#, r#"{"scale": 1}"#, r#"{"scale": -1}"#, r#"{"scale": "=4"}"#]),
        ),
        5 => ask("POST", &format!("/jobs/default/{job}/commit"), r#"{"env": {"A": "b"}, "graceful_timeout": 0.5}"#),
        6 => ask("POST", &format!("/processes/{job}/_restart"), ""),
        7 => ask("DELETE", &format!("/{pid}"), ""),
        8 => ask(
            "POST",
            &format!("/{pid}/signal"),
            random.pick(&[
                r#"{"signal": "KILL"}"#,
                r#"{"signal": "STOP"}"#,
                r#"{"signal": "CONT"}"#,
                r#"{"signal": "HUP"}"#,
            ]),
        ),
        9 => {
            // A kill from outside, of one of its children.
            if let Some(&child) = children(node.os_pid()).first() {
                let _ = gaffer::sys::signal_process(gaffer::process::OsPid(child), Signal::KILL);
            }
        }
        10 => {
            node.configure(&if random.below(2) == 0 { BASE.to_owned() } else { format!("{BASE}{MORE}") });
            node.signal(Signal::HUP);
        }
        11 | 12 => {
            // Clients that stay, read or not, and go without a word.
            let path = match random.below(6) {
                0 => "/watch?feed=eventsource".to_owned(),
                1 => format!("/watch/proc/{job}?feed=continuous&heartbeat=0.2"),
                2 => format!("/streams/{pid}/out?feed=continuous"),
                3 => format!("/streams/{pid}/out?feed=eventsource"),
                4 => format!("/stats/{job}?feed=eventsource&interval=0.1"),
                _ => format!("/wstreams/{pid}"),
            };
            let mut stream = node.connect();
            let mut text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n");
            if path.starts_with("/wstreams") {
                text += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
            }
            stream.write_all((text + "\r\n").as_bytes()).expect("it takes them");
            clients.push(stream);
            if clients.len() > 40 {
                let n = usize::try_from(random.below(clients.len() as u64)).expect("small");
                clients.swap_remove(n);
            }
        }
        13 => {
            // Rubbish, cut anywhere.
            let text = b"POST /jobs/default HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n\r\n";
            let n = usize::try_from(random.below(text.len() as u64)).expect("small");
            let _ = node.connect().write_all(&text[..n]);
        }
        14 => {
            // Some clients read a little.
            for stream in clients.iter_mut().take(5) {
                stream.set_nonblocking(true).expect("a flag");
                let _ = stream.read(&mut [0; 4096]);
            }
        }
        15 => ask("POST", &format!("/streams/{pid}/stdin"), "hello\n"),
        16 => ask("GET", &format!("/jobs/default/{job}/stats"), ""),
        17 => ask("GET", "/stats", ""),
        18 => ask("GET", "/metrics", ""),
        _ => ask("GET", random.pick(&["/readyz", "/status", "/groups", "/processes", "/openapi.json"]), ""),
    }
}

#[test]
#[ignore = "runs for GAFFER_SOAK seconds, 600 by default"]
fn soak() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let time = Duration::from_secs(number("GAFFER_SOAK").unwrap_or(600));
    let seed = number("GAFFER_SEED").unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |time| time.as_secs())
    });
    eprintln!("GAFFER_SEED={seed} for {time:?}");
    let mut random = Random(seed);
    let mut node = Node::new(BASE);

    // Pools and buffers that are filled once are no growth: the first tenth is not compared.
    let mut clients = Vec::new();
    let start = Instant::now();
    let mut steps = 0_u64;
    let mut run = |node: &Node, until: Duration| {
        while start.elapsed() < until {
            step(node, &mut random, &mut clients, &format!("seed {seed}, step {steps}"));
            steps += 1;
        }
        clients.clear();
        steps
    };
    run(&node, time / 10);
    settle(&node);
    let (before, rss_before) = (steady(&node), node.rss());
    let steps = run(&node, time);
    settle(&node);
    // Descriptors of a connection or a process that has just gone may need a moment more.
    let end = Instant::now() + Duration::from_secs(10);
    while state(&node) != before && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(state(&node), before, "seed {seed}, {steps} steps");
    let rss = node.rss();
    eprintln!("{steps} steps; resident {} KiB, before {} KiB; {before:?}", rss >> 10, rss_before >> 10);
    assert!(rss < rss_before + rss_before / 2 + (8 << 20), "seed {seed}: {rss} bytes, before {rss_before}");
    node.stop();
}
