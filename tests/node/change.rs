//! `unload`, `reload`, `ps:start`, `stop`, `restart`, `scale`, `kill`, `commit`.

use serde_json::{Value, json};

use crate::node::Node;
use crate::support::{Room, until};

#[test]
fn only_the_application_that_is_meant() {
    let node = Node::new("web: sleep 1000\nworker: sleep 1001\n");
    node.run("load --wait -q").expect(0).quietly();
    node.run("load --wait -q --app other -p 6000").expect(0).quietly();
    let other = node.pids("other.web", 1);
    node.says("stop --wait", "job 'web' stopped\njob 'worker' stopped\n==> all jobs in 'app' stopped\n");
    node.pids("app.web", 0);
    node.says("ps:start --wait --app .", "job 'web' started\njob 'worker' started\n==> all jobs in 'app' started\n");
    node.says("restart --wait", "job 'web' restarted\njob 'worker' restarted\n==> all jobs in 'app' restarted\n");
    node.says("reload --wait", "==> app 'app' reloaded\n");
    node.says("unload --wait", "==> app 'app' unloaded\n");
    assert_eq!(node.pids("other.web", 1), other, "nobody has touched it");
    node.says("stop other.web other/worker", "'other.web' stopped\n'other.worker' stopped\n");
    node.says("ps:start w* --app other", "'web' started\n'worker' started\n");
    let answer: Value = serde_json::from_str(&node.run("unload --app other --json").expect(0).text()).expect("JSON");
    assert_eq!(answer, json!({"ok": true, "jobs": ["other.web", "other.worker"], "pids": []}));
    node.says("apps", "");
}

#[test]
fn what_is_not_there() {
    let node = Node::new("web: sleep 1000\n");
    node.fails("unload", 4, "'app' not found");
    node.fails("ps", 4, "'app' not loaded; the node has no jobs");
    node.run("load -q").expect(0).quietly();
    for command in ["unload", "reload", "ps:start", "stop", "restart"] {
        node.fails(&format!("{command} wbe"), 4, "'wbe' not found in 'app'; did you mean `web`?");
        node.fails(&format!("{command} --app ap"), 4, "'ap' not found; did you mean `app`?");
        node.fails(&format!("{command} --app blog web"), 4, "'web' not found in 'blog'");
        node.fails(&format!("{command} x*"), 4, "no job matches `app.x*`");
        node.fails(&format!("{command} a.b.c"), 2, "invalid job name");
    }
    node.fails("stop --app blog app", 4, "'app' not found in 'blog'; there is an application 'app': --app app");
    for (line, code, err) in [
        ("stop 99", 4, "process '99' not found"),
        ("unload 99", 2, "99 is a process: only jobs can be unloaded"),
        ("scale nope=2", 4, "'nope' not found in 'app'"),
        ("kill nope HUP", 4, "'nope' not found in 'app'"),
        ("kill 99 HUP", 4, "process '99' not found"),
        ("commit nope", 4, "'nope' not found in 'app'"),
        ("ps:info nope", 4, "job 'nope' not found"),
        ("ps:info 9", 4, "process '9' not found"),
        ("ps blog", 4, "'blog' not loaded; there is app (--app or --all)"),
    ] {
        node.fails(line, code, err);
    }
    // Whoever fails does not keep the others away.
    let done = node.run("stop nope web").expect(4);
    assert_eq!((done.text().as_str(), done.err.lines().count()), ("'web' stopped\n", 1), "{done}");
    for (line, err) in [
        ("scale", "NAME=N is missing"),
        ("scale web", "how many of `web`?"),
        ("scale web=1 worker", "invalid value `worker`"),
        ("kill web SIGNOPE", "invalid value `SIGNOPE`"),
        ("unload --wait=running web", "what is unloaded will not run"),
        ("unload --from-file x.json web", "NAME and --from-file exclude each other"),
        ("commit", "NAME is missing"),
        ("stop --no-inptu", "unknown option `--no-inptu`; did you mean `--no-input`?"),
    ] {
        node.run(line).expect(2).complains(&format!("gaffer: {err}"));
    }
}

#[test]
fn stopped_jobs_are_not_restarted() {
    let node = Node::new("web: sleep 1000\nworker: sleep 1001\n");
    node.run("load --wait -q").expect(0).quietly();
    node.run("stop --wait web -q").expect(0).quietly();
    for command in ["restart", "reload"] {
        node.fails(&format!("{command} web"), 3, "'web' is stopped, and stays so: ps:start starts it");
    }
    node.says("restart --wait", "job 'worker' restarted\n==> all jobs in 'app' restarted\n");
    node.says("reload --wait", "==> app 'app' reloaded\n");
    node.pids("app.web", 0);
}

#[test]
fn waiting() {
    let node = Node::new("web: trap '' TERM; echo up > up; while :; do sleep 0.05; done\n");
    node.run("load --wait -q").expect(0).quietly();
    node.file("up", |text| text == "up\n");
    let done = node.run("stop web --wait --timeout 3").expect(124);
    assert!(done.err.contains("the time is over: process 1"), "{done}");
    node.run("ps").expect(0).says(" (stopped)\n").says("\nweb.1: ending\n");
    node.says("kill 1 KILL", "'KILL' sent to '1'\n");
    node.says("ps:stop web --wait", "'web' stopped\n");
    node.says("ps:start web --wait", "'web' started\n");
    let pid = node.pids("app.web", 1)[0];
    node.run("stop web -q").expect(0).quietly();
    node.says(&format!("kill {pid} KILL"), &format!("'KILL' sent to '{pid}'\n"));
}

#[test]
fn a_restart_leaves_what_was_committed() {
    let node = Node::new("web: sleep 1000\n");
    node.run("load --wait -q").expect(0).quietly();
    node.says("commit web", "'app.web': new process 2 launched\n");
    node.says("restart web --wait", "'web' restarted\n");
    node.says("reload web --wait", "job 'web' reloaded\n");
    let info = node.server().job("app.web").and_then(|job| job.info()).expect("it is loaded");
    assert_eq!((info.kept().len(), info.committed()), (1, &[gaffer::process::Pid(2)][..]));
}

#[test]
fn scaling() {
    let node = Node::new("my-web: sleep 1000\nworker: sleep 1001\n");
    node.run("load --wait -q").expect(0).quietly();
    node.says("scale my-web+2 --wait", "Scaling my-web processes... done, now running 3\n");
    node.pids("app.my-web", 3);
    node.says(
        "scale my-web-1 worker=0",
        "Scaling my-web processes... done, now running 2\nScaling worker processes... done, now running 0\n",
    );
    node.says("scale --json app.my-web=1", "{\"jobs\":[{\"name\":\"app.my-web\",\"numprocesses\":1}]}\n");
    node.says("scale worker-5", "Scaling worker processes... done, now running 0\n");
    let done = node.run("scale nope=1 worker=1").expect(4);
    assert_eq!(done.text(), "Scaling worker processes... done, now running 1\n");
}

#[test]
fn signals() {
    let program = "trap 'echo hup >> got' HUP; echo up >> up; while :; do sleep 0.05; done";
    let node = Node::new(&format!("web: {program}\n"));
    node.run("load -c web=2 -q").expect(0).quietly();
    node.file("up", |text| text == "up\nup\n");
    node.says("kill web HUP", "'HUP' sent to 'web'\n");
    node.file("got", |text| text == "hup\nhup\n");
    let pid = node.pids("app.web", 2)[1];
    node.says(&format!("kill {pid} sighup --no-input"), &format!("'sighup' sent to '{pid}'\n"));
    node.file("got", |text| text == "hup\nhup\nhup\n");
    node.says("kill --json w* 1", "{\"jobs\":[\"app.web\"],\"ok\":true,\"pids\":[]}\n");
    node.file("got", |text| text.lines().count() == 5);
}

#[test]
fn committed_processes_and_their_variables() {
    let room = Room::new("web: echo $A $B $PORT >> told; exec sleep 1000\n").file(".env", "A=old\n");
    let node = Node::beside(room);
    node.run("load -q").expect(0).quietly();
    node.file("told", |text| text == "old 5000\n");
    std::fs::write(node.room.path(".env"), "A=new\n").expect("a file");
    node.says("commit -p B=x=y web --graceful-timeout 5", "'app.web': new process 2 launched\n");
    node.file("told", |text| text == "old 5000\nnew x=y 5001\n");
    node.says("commit web --json", "{\"name\":\"app.web\",\"pid\":3}\n");
    node.file("told", |text| text.ends_with("new 5002\n"));
    // A job of another application has variables of its own.
    node.run("load --app other -p 7000 -q --nostart").expect(0).quietly();
    std::fs::write(node.room.path(".env"), "A=newest\n").expect("a file");
    node.run("commit other.web -q").expect(0).quietly();
    node.file("told", |text| text.lines().last().is_some_and(|line| line == "new 7000"));
}

#[test]
fn a_question_at_a_terminal() {
    let node = Node::new("web: sleep 1000\n");
    node.run("load -q").expect(0).quietly();
    let question = "Unload all jobs of 'app' [y]|n: ";
    let mut terminal = node.on_terminal("unload");
    terminal.wait_for(question);
    terminal.press("what\n");
    terminal.wait_for(&format!("please enter y or n.\r\n{question}"));
    terminal.press("n\n");
    terminal.end().expect(1);
    node.says("apps", "app\n");
    // Nobody is asked for jobs by their names.
    node.on_terminal("stop web").end().expect(0).says("'web' stopped");
    let mut terminal = node.on_terminal("unload");
    terminal.wait_for(question);
    terminal.press("\x04");
    let done = terminal.end().expect(1);
    assert!(done.text().contains("no answer: the input has ended"), "{done}");
    let mut terminal = node.on_terminal("unload");
    terminal.wait_for(question);
    terminal.press("\n");
    terminal.end().expect(0).says("==> app 'app' unloaded");
    node.run("load -q").expect(0).quietly();
    let done = node.on_terminal("unload --no-input").end().expect(0);
    assert_eq!(done.text(), "==> app 'app' unloaded\r\n");
    until(|| node.server().pids().is_ok_and(|pids| pids.is_empty()), String::new);
}
