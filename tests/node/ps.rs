//! `gaffer ps`.

use gaffer::process::Signal;
use serde_json::Value;

use crate::node::Node;

#[test]
fn as_json() {
    let node = Node::new("web: sleep 1000\nworker: sleep 1001\n");
    node.run("load --wait -q").expect(0).quietly();
    node.run("stop --wait worker -q").expect(0).quietly();
    let pid = node.pids("app.web", 1)[0];
    let view: Value = serde_json::from_str(&node.run("ps --json").expect(0).quietly().text()).expect("JSON");
    let (web, worker) = (&view["jobs"][0], &view["jobs"][1]);
    assert_eq!((&web["name"], &web["state"], &web["cmd"]), (&"app.web".into(), &"active".into(), &"sleep 1000".into()));
    let process = &web["processes"][0];
    assert_eq!((process["pid"].as_u64(), &process["once"]), (Some(pid), &Value::Bool(false)));
    assert!(process["uptime"].as_f64().is_some_and(|s| s < 600.0) && process["rss"].as_u64() > Some(0), "{process}");
    assert_eq!(
        (&worker["state"], &worker["numprocesses"], &worker["running"]),
        (&"stopped".into(), &1.into(), &0.into())
    );
    node.run("ps").expect(0).says("=== worker: `sleep 1001` (stopped)\nTotal CPU: 0.00 Total MEM: 0.00\n\n");
    node.run("ps --color always").expect(0).says("\x1b[36m=== worker: `sleep 1001`\x1b[0m (\x1b[31mstopped\x1b[0m)");
}

#[test]
fn several_applications() {
    let node = Node::new("web: sleep 1000\n");
    node.says("ps --all", "");
    node.run("load --app a -q").expect(0).quietly();
    node.run("load --app b -p 6000 -q").expect(0).quietly();
    for line in ["ps --all", "ps a b"] {
        let text = node.run(line).expect(0).quietly().text();
        let heads: Vec<&str> = text.lines().filter(|line| line.starts_with("===")).collect();
        assert_eq!(heads, ["=== a.web: `sleep 1000`", "=== b.web: `sleep 1000`"], "{line}: {text}");
    }
    node.run("ps b").expect(0).says("=== web: ");
    node.run("commit a.web -q").expect(0).quietly();
    let pid = node.server().pids().expect("pids").last().expect("one").0;
    node.run("ps --app a").expect(0).says(&format!("web.{pid}: ")).says(" (once)\n");
}

#[test]
fn again_and_again() {
    let node = Node::new("web: sleep 1000\n");
    node.run("load -q").expect(0).quietly();
    let running = node.start("ps --watch --interval 0.1");
    let heads = |text: &str| text.matches("=== web: `sleep 1000`\nTotal CPU: ").count();
    running.wait_until("three looks", |text| heads(text) >= 3 && text.contains("\n\n=== web"));
    assert!(!running.text().contains('\x1b'), "no terminal, no escapes");
    // That the application goes does not end it.
    node.run("scale web=3 -q").expect(0).quietly();
    running.wait_until("three processes", |text| {
        text.rsplit("=== web").next().is_some_and(|last| last.matches("up for").count() == 3)
    });
    node.run("unload --wait -q").expect(0).quietly();
    node.run("load -q -c web=2").expect(0).quietly();
    running.wait_until("it is back", |text| {
        text.rsplit("=== web").next().is_some_and(|last| last.matches("up for").count() == 2)
    });
    running.stop(Signal::INT).expect(130);

    let running = node.start("ps --watch --json --interval 0.1");
    running.wait_until("two lines", |text| text.lines().count() >= 2);
    let text = running.text();
    let first: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first["jobs"][0]["name"], "app.web");
    running.stop(Signal::INT).expect(130);
}

#[test]
fn in_place_at_a_terminal() {
    let node = Node::new("web: sleep 1000\n");
    node.run("load -q").expect(0).quietly();
    let mut terminal = node.on_terminal("ps --watch --interval 0.1");
    terminal.wait_for("\x1b[2J\x1b[H\x1b[36m=== web: `sleep 1000`\x1b[0m\x1b[K\r\n");
    terminal.wait_for("\x1b[J\x1b[H\x1b[36m=== web");
    terminal.press("\x03");
    terminal.end().expect(130);
}

#[test]
fn the_end_of_the_node() {
    let mut node = Node::new("web: sleep 1000\n");
    node.run("load -q").expect(0).quietly();
    let running = node.start("ps --watch --interval 0.1");
    running.wait_for("=== web");
    node.end();
    let done = running.end().expect(69);
    assert!(done.err.contains("is gafferd running?"), "{done}");
}
