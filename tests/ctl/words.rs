//! What the commands ask, and what they print.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::node::{Asked, Node, Said, ok, refused};
use crate::tool::{command, run, run_with};

const STATUS: &str = r#"[
 {"name":"default.web1","active":true,"state":"active","running":2,"numprocesses":2,"max_processes":2,"ending":[7],
  "health":"crash loop","restarts":41,"started":1.5,"last_exit":{"exit_code":null,"term_signal":9,"core":false,"reason":null,"time":2.0}},
 {"name":"default.web2","active":false,"state":"flapping","running":0,"numprocesses":1,"max_processes":1},
 {"name":"shop.db","active":false,"state":"stopped","running":0,"numprocesses":1,"max_processes":1}]"#;

const JOB: &str = r#"{"name":"default.web","active":true,"state":"active","running":1,"running_out":0,"numprocesses":1,
 "max_processes":1,"processes":[1],"config":{"name":"web","cmd":"sleep","args":["1"],"numprocesses":1,"env":{"A":"1"}}}"#;

/// A node with three jobs.
fn answer(asked: &Asked) -> Said {
    let json = |text: &str| Said::Json(200, text.to_owned());
    match asked.line.as_str() {
        "GET /status" => json(STATUS),
        "GET /status/default.web1" => json(r#"{"active":true,"running":2,"numprocesses":2,"max_processes":2}"#),
        "GET /status/shop.db" => json(r#"{"active":false,"running":0,"max_processes":3}"#),
        "GET /jobs" => json(r#"{"jobs":["default.web1","default.web2","shop.db"]}"#),
        "GET /jobs/default/web" => json(JOB),
        "GET /processes" => json(r#"["web1","web2","shop:db"]"#),
        "GET /processes/default.web1" => json(r#"{"name":"web1","cmd":"sleep 1"}"#),
        "GET /pids" => json(r#"{"pids":[1,2,3]}"#),
        "GET /jobs/default/web1/pids" => json(r#"{"pids":[1,2]}"#),
        "GET /jobs/default/web2/pids" => json(r#"{"pids":[3]}"#),
        "GET /1" => json(r#"{"pid":1,"os_pid":77,"name":"default.web1","state":"running","commited":false,"cmd":"x"}"#),
        "GET /groups" => json(r#"["default","shop"]"#),
        "GET /groups/shop" => json(r#"["shop:db"]"#),
        "GET /stats" | "GET /jobs/default/web1/stats" => {
            let job = r#"{"name":"default.web1","stats":[{"pid":1,"os_pid":77,"cpu":null,"mem":0.1,"mem_info1":"3M","ctime":"0:00.01","cmdline":["sleep","1"]}],"mem":0.1}"#;
            json(&if asked.line == "GET /stats" { format!("[{job}]") } else { job.to_owned() })
        }
        line if line.ends_with("/numprocesses") => json(r#"{"numprocesses":4}"#),
        line if line.contains("nope") => refused(404, "not_found", "no job default.nope"),
        line if line.starts_with("GET /status") => refused(404, "not_found", "no such job"),
        _ => ok(),
    }
}

#[test]
fn status() {
    let node = Node::new(answer);
    let table = run(&node.address, "status").out;
    // So long ago that it is the same tomorrow, but not in the next test.
    let days = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs() / 86_400;
    let want = format!(
        "NAME     STATE       RUNNING  WANTED      UP  RESTARTS  LAST EXIT\n\
         web1     crash loop        2       2  {days}d        41  SIGKILL, {days}d ago\n\
         web2     flapping          0       1       -         -  -\n\
         shop.db  stopped           0       1       -         -  -\n"
    );
    assert_eq!(table, want);
    assert!(table.lines().all(|line| line.len() <= 80), "{table}");
    assert_eq!(node.lines(), ["GET /status"], "one request");
    run(&node.address, "status web1").says("active\n");
    let ran = run(&node.address, "status shop:db");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (3, "stopped\n", ""));
    assert_eq!(run(&node.address, "status web*").code, 3, "one of them flaps");
    run(&node.address, "status x*").fails(4, &["no job matches `x*`"]);
    run(&node.address, "status web1 nope").fails(4, &["no such job `nope`"]);
    run(&node.address, "status web").fails(4, &["no such job `web`; did you mean `web1`?"]);
    let mut json = run(&node.address, "status --json web1 shop.db").json();
    let want = serde_json::json!({"jobs": [
        {"name": "default.web1", "active": true, "state": "active", "health": "crash loop", "running": 2,
            "numprocesses": 2, "restarts": 41, "ending": [7], "failing_logs": [],
            "last_exit": {"exit_code": null, "term_signal": 9, "core": false, "reason": null, "time": 2.0}},
        {"name": "shop.db", "active": false, "state": "stopped", "health": "stopped", "running": 0, "numprocesses": 1,
            "restarts": null, "last_exit": null, "uptime": null, "ending": [], "failing_logs": []},
    ]});
    let up = json["jobs"][0].as_object_mut().and_then(|job| job.remove("uptime"));
    assert!(up.as_ref().and_then(serde_json::Value::as_f64).is_some_and(|up| up > 1e9), "{up:?}");
    assert_eq!(json, want);
    assert_eq!(run(&node.address, "status web?").code, 3, "it crashes all the time");
    let colors = run(&node.address, "status --color always").out;
    for text in ["\x1b[31mcrash loop\x1b[0m", "\x1b[33mflapping\x1b[0m", "\x1b[31mstopped\x1b[0m"] {
        assert!(colors.contains(text), "{colors:?}");
    }
    // The shape that has a name around the list.
    let other = Node::unix(|_| Said::Json(200, format!(r#"{{"jobs":{STATUS}}}"#)));
    assert_eq!(run(&other.address, "status --json").json()["jobs"].as_array().map(Vec::len), Some(3));
}

#[test]
fn lists() {
    let node = Node::unix(answer);
    run(&node.address, "processes").says("web1\nweb2\nshop:db\n");
    run(&node.address, "processes --running").says("1\n2\n3\n");
    run(&node.address, "processes --running --json").says("{\"pids\":[1,2,3]}\n");
    run(&node.address, "processes --json").says("{\"processes\":[\"web1\",\"web2\",\"shop:db\"]}\n");
    run(&node.address, "pids").says("1\n2\n3\n");
    run(&node.address, "pids web*").says("1\n2\n3\n");
    run(&node.address, "pids web1 --json").says("{\"pids\":[1,2]}\n");
    run(&node.address, "groups").says("default\nshop\n");
    run(&node.address, "groups --json").says("{\"groups\":[\"default\",\"shop\"]}\n");
    run(&node.address, "groups shop").says("shop:db\n");
    run(&node.address, "running web1").says("2\n");
    run(&node.address, "numprocesses shop.db").says("3\n");
    run(&node.address, "running web1 shop.db").says("web1 2\nshop.db 0\n");
    run(&node.address, "get_process 1 --json").says(
        "{\"cmd\":\"x\",\"commited\":false,\"name\":\"default.web1\",\"os_pid\":77,\"pid\":1,\"state\":\"running\"}\n",
    );
    run(&node.address, "get_process web1").says("{\n  \"cmd\": \"sleep 1\",\n  \"name\": \"web1\"\n}\n");
    let stats =
        "NAME  PID  OS-PID  CPU%  MEM%  RSS     TIME  COMMAND\nweb1    1      77     -   0.1   3M  0:00.01  sleep 1\n";
    run(&node.address, "stats").says(stats);
    run(&node.address, "stats web1").says(stats);
    assert_eq!(run(&node.address, "stats --json").json()["jobs"][0]["mem"], 0.1);
}

#[track_caller]
fn asks(line: &str, says: &str, want: &[(&str, &str)]) {
    let node = Node::new(answer);
    run(&node.address, line).says(says);
    let requests = node.requests();
    let asked: Vec<(&str, &str)> = requests.iter().map(|r| (r.line.as_str(), r.body.as_str())).collect();
    assert_eq!(asked, want, "{line}");
}

#[test]
fn changes() {
    asks("start web", "ok\n", &[("POST /jobs/default/web/state", "1")]);
    asks("stop shop.db", "ok\n", &[("POST /jobs/shop/db/state", "0")]);
    asks("stop 12", "ok\n", &[("DELETE /12", "")]);
    asks("restart web", "ok\n", &[("POST /processes/default.web/_restart", "")]);
    let both = [("GET /jobs", ""), ("POST /jobs/default/web1/state", "1"), ("POST /jobs/default/web2/state", "1")];
    asks("start web*", "ok\n", &both);
    asks("add web", "4\n", &[("POST /jobs/default/web/numprocesses", r#"{"scale":"+1"}"#)]);
    asks("sub web 3", "4\n", &[("POST /jobs/default/web/numprocesses", r#"{"scale":"-3"}"#)]);
    asks("kill web HUP", "ok\n", &[("POST /jobs/default/web/signal", r#"{"signal":1}"#)]);
    asks("kill 12 9", "ok\n", &[("POST /12/signal", r#"{"signal":9}"#)]);
    asks("del_process web", "ok\n", &[("DELETE /jobs/default/web", "")]);
    asks("group_start shop", "ok\n", &[("POST /groups/shop/_start", "")]);
    asks("groups stop shop", "ok\n", &[("POST /groups/shop/_stop", "")]);
    asks("groups restart s*", "ok\n", &[("GET /groups", ""), ("POST /groups/shop/_restart", "")]);
    asks("group_remove shop", "ok\n", &[("DELETE /groups/shop", "")]);
    asks("group_stop a/b", "ok\n", &[("POST /groups/a%2Fb/_stop", "")]);
}

#[test]
fn definitions() {
    asks(
        "add_process --start -n 2 --env A=1 shop.web sleep -x 5",
        "ok\n",
        &[(
            "POST /jobs/shop",
            r#"{"args":["-x","5"],"cmd":"sleep","env":{"A":"1"},"name":"web","numprocesses":2,"start":true}"#,
        )],
    );
    asks("add_process web sleep", "ok\n", &[("POST /jobs/default", r#"{"cmd":"sleep","name":"web","start":false}"#)]);
    let merged = r#"{"args":["1"],"cmd":"sleep","env":{"A":"1","B":"2"},"name":"web","numprocesses":3,"start":false}"#;
    let line = "update_process -n 3 --env B=2 web";
    asks(line, "ok\n", &[("GET /jobs/default/web", ""), ("PUT /jobs/default/web", merged)]);
}

#[test]
fn files() {
    let node = Node::new(answer);
    let load = |line: &str, input: &str| run_with(command(&node.address, line), input);
    load("load_process -", r#"{"name":"a","cmd":"x"}"#).says("ok\n");
    load("load_process --start -", r#"[{"name":"a","cmd":"x"},{"name":"s:b","cmd":"y","start":true}]"#).says("ok\n");
    load("load_process - --json", r#"{"jobs":[{"name":"c","group":"g","cmd":"x"}]}"#)
        .says("{\"jobs\":[\"g.c\"],\"ok\":true,\"pids\":[]}\n");
    let asked: Vec<String> = node.requests().iter().map(|asked| format!("{} {}", asked.line, asked.body)).collect();
    assert_eq!(
        asked,
        [
            r#"POST /jobs/default {"cmd":"x","name":"a","start":false}"#,
            r#"POST /jobs/default {"cmd":"x","name":"a","start":true}"#,
            r#"POST /jobs/s {"cmd":"y","name":"b","start":true}"#,
            r#"POST /jobs/g {"cmd":"x","name":"c","start":false}"#,
        ]
    );
    load("load_process -", "{").fails(1, &["cannot read standard input: it is not JSON"]);
    load("load_process /nonexistent", "").fails(1, &["cannot read /nonexistent: No such file"]);

    let taken = Node::new(|asked| match asked.line.as_str() {
        "POST /jobs/default" => refused(409, "conflict", "job 'default.a' is loaded"),
        _ => ok(),
    });
    let load = |line: &str| run_with(command(&taken.address, line), r#"{"name":"a","cmd":"x"}"#);
    load("load_process -").fails(1, &["job 'default.a' is loaded"]);
    load("load_process --replace -").says("ok\n");
    assert_eq!(taken.lines().last().map(String::as_str), Some("PUT /jobs/default/a"));
}

#[test]
fn one_that_fails_does_not_stop_the_others() {
    let node = Node::new(answer);
    let ran = run(&node.address, "stop nope web2 --json");
    assert_eq!((ran.code, ran.json()), (4, serde_json::json!({"ok": false, "jobs": ["default.web2"], "pids": []})));
    assert!(ran.err.contains("no such job `nope`"), "{ran:?}");
}

#[test]
fn waiting() {
    // It runs from the third question on.
    let asked = AtomicU32::new(0);
    let node = Node::new(move |request| match request.line.as_str() {
        "GET /status/default.web" => {
            let running = u32::from(asked.fetch_add(1, Ordering::Relaxed) > 1);
            Said::Json(200, format!(r#"{{"active":true,"running":{running},"numprocesses":1}}"#))
        }
        "GET /jobs/default/web/pids" => Said::Json(200, r#"{"pids":[1]}"#.to_owned()),
        _ => answer(request),
    });
    run(&node.address, "start web --wait").says("ok\n");
    run(&node.address, "stop web --wait --timeout 1").fails(124, &["the time is over", "process", "--timeout"]);
    let stopped = Node::new(|request| match request.line.as_str() {
        "GET /status/default.web" => Said::Json(200, r#"{"active":false,"running":0,"numprocesses":1}"#.to_owned()),
        "GET /1" => refused(404, "not_found", "gone"),
        _ => answer(request),
    });
    run(&stopped.address, "stop web --wait").says("ok\n");
    run(&stopped.address, "kill 1 TERM --wait").says("ok\n");
    run(&stopped.address, "add web --wait").fails(1, &["is stopped, so it will not run"]);
}
