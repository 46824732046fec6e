//! `gaffer load`: what runs on the node is what the Procfile means.

use serde_json::Value;

use crate::node::Node;
use crate::support::Room;

const TELL: &str = "echo $PORT $PS $A ${OF_THE_NODE} $(pwd) >> told; exec sleep 1000";

#[test]
fn as_start_runs_them_here() {
    let procfile = format!("web: {TELL}\nclock: sleep 1000\nworker: {TELL}\n");
    let room = Room::new(&procfile).file(".env", "A=env\nPORT=7000\nGAFFER_REDIRECT_INPUT=worker\n");
    let dir = room.dir().to_owned();
    let node = Node::beside(room);
    node.run("load -c web=3 -c clock=0 --wait").expect(0).quietly();
    let line = |port: u16, ps: &str| format!("{port} {ps} env yes {dir}");
    let told = node.file("told", |text| text.lines().count() == 4);
    let mut told: Vec<&str> = told.lines().collect();
    told.sort_unstable();
    let want = [line(7000, "web.1"), line(7001, "web.2"), line(7002, "web.3"), line(7200, "worker.1")];
    assert_eq!(told, want);
    // One more has a number and a port of its own.
    node.says("scale web+1 --wait", "Scaling web processes... done, now running 4\n");
    assert!(node.file("told", |text| text.lines().count() == 5).ends_with(&format!("{}\n", line(7003, "web.4"))));

    let config = |job: &str| node.server().job(job).and_then(|job| job.config()).expect("it is loaded");
    let (web, clock) = (config("app.web"), config("app.clock"));
    assert_eq!((&web["shell"], &clock["shell"]), (&Value::Bool(true), &Value::Null), "a plain command needs no shell");
    assert_eq!(web["redirect_output"], serde_json::json!(["out", "err"]));
    assert_eq!((&clock["cwd"], &clock["numprocesses"]), (&Value::from(dir.as_str()), &Value::from(0)));
    assert_eq!((&web["redirect_input"], &config("app.worker")["redirect_input"]), (&Value::Null, &Value::Bool(true)));
}

#[test]
fn the_application_the_port_and_the_folder() {
    let room = Room::empty().file("shop/Procfile", "web: sleep 1000\n").file("shop/x.env", "A=x\nGAFFER_UID=65534\n");
    let node = Node::beside(room);
    node.fails("load", 1, "procfile or job file is missing");
    node.fails("load -f nowhere/Procfile", 1, "cannot read nowhere/Procfile: No such file");
    node.says("load -d shop -p 6000 --nostart", &format!("==> 'shop' has been loaded in {}\n", node.address));
    node.says("load -f shop/Procfile --app blog --nostart -q", "");
    node.says("apps", "shop\nblog\n");
    node.says("apps --json", "{\"apps\":[\"shop\",\"blog\"]}\n");
    let info = node.server().job("shop.web").and_then(|job| job.info()).expect("it is loaded");
    assert_eq!((info.config["port"].as_u64(), info.status.is_active(), info.processes.len()), (Some(6000), false, 0));
    assert_eq!(info.config["cwd"], node.room.path("shop").display().to_string(), "it is absolute");
    node.run("load -d shop --app user -e shop/x.env -p 7000 --nostart").expect(0).quietly();
    let config = node.server().job("user.web").and_then(|job| job.config()).expect("it is loaded");
    assert_eq!((config["uid"].as_u64(), config["env"]["A"].as_str()), (Some(65534), Some("x")));
    node.fails("load -d shop --app a.b", 2, "invalid session name \"a.b\"");
    node.fails(
        "load -d shop -c wbe=2",
        2,
        "concurrency wbe=2: the Procfile has no process type `wbe`; did you mean `web`?",
    );
}

impl Node {
    /// Like `fails`, but the help is suggested or more is said.
    #[track_caller]
    fn complains(&self, line: &str, code: i32, err: &str) {
        self.run(line).expect(code).complains(&format!("gaffer: {err}"));
    }
}

#[test]
fn what_is_loaded_already() {
    let node = Node::new("web: sleep 1000\nworker: sleep 1001\n");
    node.run("load --wait").expect(0).quietly();
    let pids = [node.pids("app.web", 1), node.pids("app.worker", 1)];
    std::fs::write(node.room.path("Procfile"), "web: sleep 1000\nworker: sleep 1002\nnew: sleep 1003\n")
        .expect("a file");
    let done = node.run("load").expect(0);
    let loaded = format!("==> 'app' has been loaded in {}\n", node.address);
    assert_eq!(done.text(), format!("'web' already loaded\n'worker' already loaded\n{loaded}"));
    assert_eq!(done.err, "gaffer: 'worker' has another definition there; --replace gives it this one\n");
    assert_eq!([node.pids("app.web", 1), node.pids("app.worker", 1)], pids, "nothing is touched");
    let done = node.run("load --json --replace --wait").expect(0);
    let answer: Value = serde_json::from_str(&done.text()).expect("JSON");
    let want =
        serde_json::json!({"ok": true, "app": "app", "loaded": ["app.web", "app.worker", "app.new"], "already": []});
    assert_eq!(answer, want);
    assert_eq!(node.server().job("app.worker").and_then(|job| job.config()).expect("a job")["cmd"], "sleep 1002");
    node.run("scale new=0").expect(0).quietly();
    let done = node.run("load").expect(0).quietly();
    assert!(
        done.text().ends_with("'new' already loaded\n"),
        "another number of processes is no other definition: {done}"
    );
}

#[test]
fn files() {
    let two = r#"{"jobs": [{"name": "c1", "cmd": "sleep 1000"}, {"name": "b.c2", "cmd": "sleep", "args": ["1000"], "start": false}]}"#;
    let room = Room::empty().file("jobs.json", two).file("bad.json", r#"{"name": "c1"}"#).file("no.json", "{");
    let node = Node::beside(room.file("typo.json", r#"{"name": "c9", "cmd": "x", "numproceses": 2}"#));
    let loaded = format!("has been loaded in {}", node.address);
    node.says("load --app ta jobs.json", &format!("'ta.c1' {loaded}\n'b.c2' {loaded}\n'jobs.json' has been loaded\n"));
    node.says(
        "load --app ta jobs.json",
        "'ta.c1' already loaded\n'b.c2' already loaded\n'jobs.json' has been loaded\n",
    );
    node.pids("ta.c1", 1);
    node.pids("b.c2", 0);
    let done = node.run_with("load -", br#"[{"name": "c1", "session": "d", "cmd": "sleep 1000", "numprocesses": 2}]"#);
    assert_eq!(done.expect(0).quietly().text(), format!("'d.c1' {loaded}\n"));
    let done = node.run_with("load - --nostart --wait", b"").expect(2);
    assert!(done.err.contains("exclude each other"), "{done}");
    node.fails("load bad.json", 1, "invalid job config: expected `name` and `cmd`, found {\"name\":\"c1\"}");
    node.fails("load no.json", 1, "cannot read no.json: it is not JSON");
    node.fails("load typo.json", 1, "invalid job config: a job has no key `numproceses`; did you mean `numprocesses`?");
    node.fails("load none.json", 1, "cannot read none.json: No such file");
    node.complains("load -c web=2 jobs.json", 2, "--concurrency is for Procfiles");
    // One that is refused does not keep the others away.
    let done =
        node.run_with("load -", br#"[{"name": "e1", "cmd": "$NOPE"}, {"name": "e2", "cmd": "sleep 1000"}]"#).expect(1);
    assert_eq!(done.text(), format!("'default.e2' {loaded}\n"));
    assert!(done.err.contains("NOPE"), "{done}");
    node.says("unload --app ta --from-file jobs.json", "job 'c1' unloaded\njob 'b.c2' unloaded\n");
    node.fails("unload --from-file bad.json", 4, "'c1' not found in 'default'");
}
