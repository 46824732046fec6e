//! The sessions of the documentation, word for word.

use crate::node::Node;
use crate::support::Room;

/// The documentation's Procfile; its `python` does nothing but live.
fn examples() -> Node {
    let room = Room::new("dummy: python -u dummy_basic.py\ndummy1: python -u dummy_basic.py\n")
        .file("bin/python", "#!/bin/sh\n[ \"$*\" = '-u dummy_basic.py' ] && exec sleep 1000\n");
    let python = room.path("bin/python");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(python, mode).expect("it is ours");
    Node::beside(room)
}

/// `dummy.12: up for 0:00.44`
#[track_caller]
fn is_up(line: &str, name: &str) -> u64 {
    let (pid, time) = line.split_once(": up for ").unwrap_or_else(|| panic!("{line}"));
    let (minutes, seconds) = time.split_once(':').unwrap_or_else(|| panic!("{line}"));
    let digits = |text: &str, n| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    assert!(minutes.parse::<u32>().is_ok() && digits(&seconds[..2], 2) && digits(&seconds[3..], 2), "{line}");
    let pid = pid.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')).unwrap_or_else(|| panic!("{line}"));
    pid.parse().unwrap_or_else(|_| panic!("{line}"))
}

#[track_caller]
fn is_total(line: &str) {
    let figures = line.strip_prefix("Total CPU: ").and_then(|rest| rest.split_once(" Total MEM: "));
    let (cpu, mem) = figures.unwrap_or_else(|| panic!("{line}"));
    assert!(cpu.parse::<f64>().is_ok() && mem.parse::<f64>().is_ok(), "{line}");
}

#[test]
fn getting_started() {
    let node = examples();
    node.says("load", &format!("==> 'app' has been loaded in {}\n", node.address));
    node.says(
        "scale dummy=3 dummy1+2",
        "Scaling dummy processes... done, now running 3\nScaling dummy1 processes... done, now running 3\n",
    );
    let all: Vec<u64> = [node.pids("app.dummy", 3), node.pids("app.dummy1", 3)].concat();
    let text = node.run("ps").expect(0).quietly().text();
    let lines: Vec<&str> = text.lines().collect();
    let mut pids = Vec::new();
    for (lines, name) in [(&lines[..6], "dummy"), (&lines[6..], "dummy1")] {
        assert_eq!(lines.len(), 6, "{text}");
        assert_eq!(lines[0], format!("=== {name}: `python -u dummy_basic.py`"), "{text}");
        is_total(lines[1]);
        assert_eq!(lines[2], "", "{text}");
        pids.extend(lines[3..].iter().map(|line| is_up(line, name)));
    }
    assert_eq!(pids, all, "{text}");
    node.says("scale dummy=1", "Scaling dummy processes... done, now running 1\n");
    // As gaffer 0.4 has it: the application first, and by its name.
    node.says("scale app dummy=2", "Scaling dummy processes... done, now running 2\n");
    node.run("ps app").expect(0).says("=== dummy1: ");
    node.run("ps .").expect(0).says("=== dummy1: ");
    node.says("unload", "==> app 'app' unloaded\n");
    node.fails("ps", 4, "'app' not loaded; the node has no jobs");
}

#[test]
fn the_sentences_of_gaffer_0_5() {
    let node = Node::new("web: sleep 1000\nworker: sleep 1001\n");
    let address = node.address.clone();
    node.says("load", &format!("==> 'app' has been loaded in {address}\n"));
    node.says("load", "'web' already loaded\n'worker' already loaded\n");
    node.says("apps", "app\n");
    node.says("reload web", "job 'web' reloaded\n");
    node.says("reload", "==> app 'app' reloaded\n");
    node.says("ps:stop web", "'web' stopped\n");
    node.says("ps:stop", "job 'web' stopped\njob 'worker' stopped\n==> all jobs in 'app' stopped\n");
    node.says("ps:start web", "'web' started\n");
    node.says("ps:start --no-input", "job 'web' started\njob 'worker' started\n==> all jobs in 'app' started\n");
    let pid = node.pids("app.web", 1)[0];
    let info = node.run("ps:info web").expect(0).quietly().text();
    for line in ["active: true", "running: 1", "num_processes: 1", &format!("pids: {pid}")] {
        assert!(info.lines().any(|l| l == line), "{line}: {info}");
    }
    let info = node.run(&format!("ps:info {pid}")).expect(0).quietly().text();
    for line in [&format!("pid: {pid}")[..], "name: app.web", "cmd: sleep", "state: running", "redirect_input: false"] {
        assert!(info.lines().any(|l| l == line), "{line}: {info}");
    }
    node.says(&format!("ps:kill {pid} CONT"), &format!("'CONT' sent to '{pid}'\n"));
    node.says("ps:kill web CONT", "'CONT' sent to 'web'\n");
    let text = node.run("commit web").expect(0).quietly().text();
    let number = text.strip_prefix("'app.web': new process ").and_then(|rest| rest.strip_suffix(" launched\n"));
    assert!(number.is_some_and(|n| n.parse::<u64>().is_ok_and(|n| n > pid)), "{text}");
    node.says("ps:scale web+1", "Scaling web processes... done, now running 2\n");
    node.says(&format!("stop {pid}"), &format!("'{pid}' stopped\n"));
    node.says("unload web", "job 'web' unloaded\n");
    node.says("unload", "==> app 'app' unloaded\n");
}
