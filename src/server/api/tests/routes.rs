//! What each route does.

use std::time::Duration;

use serde_json::json;

use super::{Node, SLEEP, ok};
use crate::manager::Target;
use crate::process::Pid;
use crate::server::{FeedMode, FeedSource, FeedSpec, Reply};

#[test]
fn the_server_itself() {
    let mut node = Node::new();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(node.json("GET /", "", 200), json!({"welcome": "gaffer", "version": version}));
    assert_eq!(node.json("GET /version", "", 200), json!({"name": "gaffer", "version": version}));
    assert_eq!(node.text("GET /ping"), "OK");
    assert_eq!(node.json("GET /healthz", "", 200), json!({"status": "ok"}));
    assert_eq!(node.json("GET /readyz", "", 200), json!({"ready": true, "total": 0, "jobs": []}));
    assert_eq!(node.json("GET /openapi.json", "", 200), node.document);
    assert_eq!(node.json("GET /pids", "", 200), json!({"pids": []}));
    assert_eq!(node.json("GET /sessions", "", 200), json!({"sessions": []}));
    assert_eq!(node.json("GET /jobs", "", 200), json!({"jobs": []}));
    assert_eq!(node.json("GET /jobs?details", "", 200), json!({"jobs": []}));
    assert_eq!(node.json("GET /status", "", 200), json!({"jobs": []}));
    for list in ["/processes", "/groups", "/stats"] {
        assert_eq!(node.json(&format!("GET {list}"), "", 200), json!([]), "{list}");
    }
}

#[test]
fn a_job_from_load_to_unload() {
    let mut node = Node::new();
    assert_eq!(node.json("POST /jobs/shop", SLEEP, 200), ok());
    node.settle("shop.web", 1);
    assert_eq!(node.json("GET /sessions", "", 200), json!({"sessions": ["shop"]}));
    assert_eq!(node.json("GET /jobs", "", 200), json!({"jobs": ["shop.web"]}));
    assert_eq!(node.json("GET /jobs/shop", "", 200), json!({"sessionid": "shop", "jobs": ["shop.web"]}));
    let web = node.json("GET /jobs/shop/web", "", 200);
    assert_eq!(node.json("GET /jobs?details=true", "", 200), json!({"jobs": [web]}));
    assert_eq!(node.json("GET /jobs?details=0", "", 200), json!({"jobs": ["shop.web"]}));
    node.refused("GET /jobs?details=all", "", 400);
    let started = node.json("GET /1", "", 200)["create_time"].clone();
    assert_eq!(
        node.json("GET /jobs/shop/web", "", 200),
        json!({
            "name": "shop.web", "active": true, "state": "active", "health": "active", "running": 1, "running_out": 0,
            "numprocesses": 1, "max_processes": 1, "restarts": 0, "last_exit": null, "started": started,
            "processes": [1], "ending": [], "logs": [],
            "config": {"name": "web", "session": "shop", "cmd": "sleep 1000", "numprocesses": 1},
        })
    );
    assert_eq!(node.text("GET /jobs/shop/web/state"), "1");
    assert_eq!(node.json("GET /readyz", "", 200)["ready"], true);

    // A number adds, a text may set.
    let scale = "POST /jobs/shop/web/numprocesses";
    let numprocesses = |n: u32| json!({"numprocesses": n});
    assert_eq!(node.json(scale, r#"{"scale": 3}"#, 200), numprocesses(4));
    assert_eq!(node.json(scale, r#"{"scale": -3}"#, 200), numprocesses(1));
    assert_eq!(node.json(scale, r#"{"scale": -9}"#, 200), numprocesses(0));
    assert_eq!(node.json(scale, r#"{"scale": "2"}"#, 200), numprocesses(2));
    assert_eq!(node.json(scale, r#"{"scale": "+1"}"#, 200), numprocesses(3));
    assert_eq!(node.json("GET /jobs/shop/web/numprocesses", "", 200), numprocesses(3));
    node.settle("shop.web", 3);
    assert_eq!(node.json("GET /jobs/shop/web/pids", "", 200)["pids"].as_array().expect("a list").len(), 3);
    let stats = node.json("GET /jobs/shop/web/stats", "", 200);
    assert_eq!((&stats["name"], stats["stats"].as_array().expect("a list").len()), (&json!("shop.web"), 3));
    assert!(stats["mem"].is_number() && stats["stats"][0]["cmdline"] == "sleep 1000", "{stats}");

    assert_eq!(node.json("POST /jobs/shop/web/state", "0", 202), ok());
    node.settle("shop.web", 0);
    assert_eq!(node.text("GET /jobs/shop/web/state"), "0");
    let stats = node.json("GET /jobs/shop/web/stats", "", 200);
    let aggregates = ["mem", "max_mem", "min_mem", "cpu", "max_cpu", "min_cpu"];
    assert!(aggregates.iter().all(|name| stats[name].is_null()), "{stats}");
    assert_eq!(node.json("GET /readyz", "", 200)["ready"], true, "it is stopped because somebody said so");
    assert_eq!(node.json("POST /jobs/shop/web/state", "1\n", 202), ok());
    node.settle("shop.web", 1);
    let before = node.json("GET /jobs/shop/web/pids", "", 200);
    assert_eq!(node.json("POST /jobs/shop/web/state", "2", 202), ok());
    node.settle("shop.web", 1);
    assert_ne!(node.json("GET /jobs/shop/web/pids", "", 200), before);

    let update = r#"{"cmd": "sleep 2000", "numprocesses": 2, "env": {"SECRET": "x"}}"#;
    assert_eq!(node.json("PUT /jobs/shop/web", update, 201), ok());
    node.settle("shop.web", 2);
    assert_eq!(node.json("GET /jobs/shop/web", "", 200)["config"]["cmd"], "sleep 2000");
    assert_eq!(node.json("PUT /jobs/shop/web", r#"{"name": "web", "cmd": "sleep 3", "start": false}"#, 201), ok());

    assert_eq!(node.json("DELETE /jobs/shop/web", "", 200), ok());
    assert_eq!(node.json("GET /sessions", "", 200), json!({"sessions": []}), "a session exists while it has a job");
    node.refused("GET /jobs/shop/web", "", 404);
}

#[test]
fn a_job_is_loaded_and_not_started() {
    let mut node = Node::new();
    let job = r#"{"name": "web", "cmd": "sleep 1000", "start": false}"#;
    assert_eq!(node.json("POST /jobs/default", job, 200), ok());
    let info = node.json("GET /jobs/default/web", "", 200);
    assert_eq!((&info["active"], &info["state"]), (&json!(false), &json!("stopped")));
    assert_eq!(
        node.json("GET /status/web", "", 200),
        json!({"name": "default.web", "active": false, "state": "stopped", "health": "stopped", "running": 0,
            "numprocesses": 1, "max_processes": 1, "restarts": 0, "last_exit": null, "started": null, "ending": [],
            "failing_logs": []})
    );
    let commit = r#"{"graceful_timeout": 0.5, "env": {"A": "b", "N": 1}}"#;
    assert_eq!(node.json("POST /jobs/default/web/commit", commit, 200), json!({"pid": 1}));
    assert_eq!(node.json("POST /jobs/default/web/commit", "", 200), json!({"pid": 2}));
    node.settle("web", 2);
    let info = node.json("GET /jobs/default/web", "", 200);
    assert_eq!((&info["running"], &info["running_out"]), (&json!(2), &json!(2)));
    assert_eq!(node.text("GET /jobs/default/web/state"), "1", "committed processes count");
    assert_eq!(node.json("GET /jobs/default/web/pids", "", 200), json!({"pids": []}));
    assert_eq!(node.json("GET /pids", "", 200), json!({"pids": [1, 2]}));
    assert_eq!(node.json("GET /1", "", 200)["commited"], true);
}

#[test]
fn processes_by_number() {
    let mut node = Node::new();
    let job = r#"{"name": "web", "cmd": "sleep 1000", "env": {"A": "b"}, "redirect_output": ["out"]}"#;
    node.json("POST /jobs/default", job, 200);
    node.settle("web", 1);
    let info = node.json("GET /1", "", 200);
    assert_eq!((&info["cmd"], &info["args"]), (&json!("sleep"), &json!(["1000"])));
    assert_eq!(info["env"], json!({"A": "b"}), "the job's own, nothing of the server's");
    assert!(info["create_time"].as_f64().expect("a time") > 1e9 && info["os_pid"].is_number(), "{info}");
    let stats = node.json("GET /1/stats", "", 200);
    assert_eq!((&stats["stats"]["pid"], &stats["stats"]["os_pid"]), (&json!(1), &info["os_pid"]));
    for signal in [r#"{"signal": 0}"#, r#"{"signal": "cont"}"#] {
        assert_eq!(node.json("POST /1/signal", signal, 202), ok());
        assert_eq!(node.json("POST /jobs/default/web/signal", signal, 202), ok());
    }
    assert_eq!(node.json("DELETE /1", "", 202), ok());
    let next = node.wait(|m| m.pids("web").expect("loaded").first().copied().filter(|pid| pid.0 > 1));
    assert_eq!(next, Pid(2), "it is replaced");
    node.wait(|m| m.ending().is_empty().then_some(()));
    node.refused("GET /1", "", 404);
}

#[test]
fn the_older_generation() {
    let mut node = Node::new();
    assert_eq!(node.json("POST /processes", SLEEP, 200), ok());
    assert_eq!(node.json("POST /processes", r#"{"name": "shop:db", "cmd": "sleep 1000"}"#, 200), ok());
    node.settle("web", 1);
    node.settle("shop.db", 1);
    assert_eq!(node.json("GET /processes", "", 200), json!(["web", "shop:db"]));
    assert_eq!(node.json("GET /processes?running=false", "", 200), json!(["web", "shop:db"]));
    for query in ["true", "1"] {
        assert_eq!(node.json(&format!("GET /processes?running={query}"), "", 200), json!([1, 2]));
    }
    let db = json!({"name": "shop:db", "group": "shop", "cmd": "sleep 1000", "numprocesses": 1});
    for name in ["shop:db", "shop.db", "shop%2Fdb", "2"] {
        assert_eq!(node.json(&format!("GET /processes/{name}"), "", 200), db, "{name}");
    }
    // What was read can be written.
    assert_eq!(node.json("PUT /processes/shop:db", &db.to_string(), 200), ok());
    assert_eq!(node.json("PUT /processes/web", r#"{"cmd": "sleep 1001"}"#, 200), ok());
    assert_eq!(node.json("PUT /processes/web", r#"{"cmd": "sleep 1002", "group": "default"}"#, 200), ok());
    node.settle("web", 1);
    node.settle("shop.db", 1);
    assert_eq!(node.json("GET /processes/web", "", 200)["cmd"], "sleep 1002");

    let scaled = |n: u32| json!({"ok": true, "numprocesses": n});
    assert_eq!(node.json("POST /processes/web/_add", "", 200), scaled(2));
    assert_eq!(node.json("POST /processes/web/_add/3", "", 200), scaled(5));
    assert_eq!(node.json("POST /processes/web/_sub/4", "", 200), scaled(1));
    assert_eq!(node.json("POST /processes/web/_sub", "", 200), scaled(0));
    assert_eq!(node.json("POST /processes/web/_sub", "", 200), scaled(0), "never below");
    assert_eq!(node.json("POST /processes/web/_start", "", 200), ok());
    node.settle("web", 1);
    let pids = node.json("GET /processes/web/_pids", "", 200);
    let pid = pids["pids"][0].as_u64().expect("a number");
    assert_eq!(pids, json!({"ok": true, "pids": [pid]}));
    assert_eq!(node.json(&format!("GET /processes/{pid}/_pids"), "", 200), pids);
    for signal in ["18", "cont", "SIGCONT"] {
        assert_eq!(node.json(&format!("POST /processes/web/_signal/{signal}"), "", 200), ok());
        assert_eq!(node.json(&format!("POST /processes/{pid}/_signal/{signal}"), "", 200), ok());
    }
    assert_eq!(node.json("POST /processes/web/_signal", r#"{"signal": 18}"#, 200), ok());
    assert_eq!(node.json("POST /processes/web/_restart", "", 200), ok());
    node.settle("web", 1);
    let pid = node.json("GET /processes/web/_pids", "", 200)["pids"][0].as_u64().expect("a number");
    assert_eq!(node.json(&format!("POST /processes/{pid}/_stop"), "", 200), ok());
    node.wait(|m| m.pids("web").expect("loaded").first().filter(|p| p.0 > pid).map(drop));
    assert_eq!(node.json("POST /processes/web/_stop", "", 200), ok());
    node.settle("web", 0);
    assert_eq!(node.json("DELETE /processes/web", "", 200), ok());
    assert_eq!(node.json("GET /processes", "", 200), json!(["shop:db"]));
}

#[test]
fn groups() {
    let mut node = Node::new();
    for job in ["shop:a", "shop:b", "c"] {
        node.json("POST /processes", &json!({"name": job, "cmd": "sleep 1000"}).to_string(), 200);
    }
    node.settle("shop.b", 1);
    assert_eq!(node.json("GET /groups", "", 200), json!(["shop", "default"]));
    assert_eq!(node.json("GET /groups/shop", "", 200), json!(["shop:a", "shop:b"]));
    assert_eq!(node.json("POST /groups/shop/_stop", "", 200), ok());
    node.settle("shop.a", 0);
    let active = |node: &mut Node| -> Vec<bool> {
        let all = node.json("GET /status", "", 200);
        all["jobs"].as_array().expect("a list").iter().map(|job| job["active"] == true).collect()
    };
    assert_eq!(active(&mut node), [false, false, true]);
    assert_eq!(node.json("POST /groups/shop/_start", "", 200), ok());
    assert_eq!(node.json("POST /groups/shop/_restart", "", 200), ok());
    assert_eq!(active(&mut node), [true, true, true]);
    assert_eq!(node.json("DELETE /groups/shop", "", 200), ok());
    assert_eq!(node.json("GET /processes", "", 200), json!(["c"]));
}

#[track_caller]
fn feed(node: &mut Node, line: &str) -> FeedSpec {
    match node.ask(line, "") {
        Ok(Reply::Feed(spec)) => spec,
        other => panic!("{line}: expected a feed, got {other:?}"),
    }
}

#[test]
fn feeds() {
    let mut node = Node::new();
    let job = json!({"name": "web", "cmd": "sleep 1000", "redirect_output": ["out"], "custom_streams": ["ctl"]});
    node.json("POST /processes", &job.to_string(), 200);
    node.settle("web", 1);
    let minute = Some(Duration::from_secs(60));
    let events = |pattern: &str| FeedSource::Events { pattern: pattern.to_owned() };
    let cases = [
        ("/watch", events("."), FeedMode::LongPoll, minute),
        ("/watch?feed=eventsource&heartbeat=false", events("."), FeedMode::EventSource, None),
        ("/watch/exit?heartbeat=2.5", events("exit"), FeedMode::LongPoll, Some(Duration::from_millis(2500))),
        ("/watch/proc/web/exit?feed=continuous", events("proc.web.exit"), FeedMode::Continuous, minute),
        ("/watch/proc/shop:web?heartbeat=true", events("proc.shop.web"), FeedMode::LongPoll, minute),
        ("/streams/1/out", FeedSource::Stream { pid: Pid(1), label: "out".to_owned() }, FeedMode::LongPoll, minute),
        (
            "/streams/1/ctl?feed=continuous",
            FeedSource::Stream { pid: Pid(1), label: "ctl".to_owned() },
            FeedMode::Continuous,
            minute,
        ),
        (
            "/stats?feed=eventsource",
            FeedSource::Stats { target: Target::All, interval: Duration::from_secs(1) },
            FeedMode::EventSource,
            minute,
        ),
        (
            "/stats/web?feed=continuous&interval=0.1",
            FeedSource::Stats {
                target: Target::Job("web".parse().expect("a name")),
                interval: Duration::from_millis(100),
            },
            FeedMode::Continuous,
            minute,
        ),
        (
            "/stats/web/1?feed=longpoll&interval=10",
            FeedSource::Stats { target: Target::Process(Pid(1)), interval: Duration::from_secs(10) },
            FeedMode::LongPoll,
            minute,
        ),
    ];
    for (target, source, mode, heartbeat) in cases {
        assert_eq!(feed(&mut node, &format!("GET {target}")), FeedSpec { source, mode, heartbeat }, "{target}");
    }
}

#[test]
fn figures_of_the_older_generation() {
    let mut node = Node::new();
    node.json("POST /processes", SLEEP, 200);
    node.settle("web", 1);
    let all = node.json("GET /stats", "", 200);
    assert_eq!((&all[0]["name"], &all[0]["stats"][0]["id"]), (&json!("default.web"), &json!(1)));
    let one = node.json("GET /stats/web?feed=normal", "", 200);
    assert_eq!(one["stats"][0]["pid"], 1);
    let process = node.json("GET /stats/web/1", "", 200);
    assert_eq!((&process["id"], &process["name"]), (&json!(1), &json!("default.web")));
}

#[test]
fn input() {
    let mut node = Node::new();
    let job = r#"{"name": "cat", "cmd": "cat", "redirect_input": true, "redirect_output": ["out"]}"#;
    node.json("POST /processes", job, 200);
    node.settle("cat", 1);
    for label in ["stdin", "ttin"] {
        assert_eq!(node.json(&format!("POST /streams/1/{label}"), "hello\n", 200), ok());
    }
}

#[test]
fn what_is_not_as_wanted_is_listed() {
    let mut node = Node::new();
    let job = json!({"name": "bad", "cmd": "false", "flapping": {"attempts": 1, "window": 60, "max_retry": 0}});
    node.json("POST /processes", &job.to_string(), 200);
    node.json("POST /processes", SLEEP, 200);
    node.settle("web", 1);
    node.wait(|m| (m.info("bad").expect("loaded").state == crate::process::JobState::Stopped).then_some(()));
    let answer = node.json("GET /readyz", "", 503);
    let reason = "1 of 2 jobs not running as wanted: bad (given up: it crashed too often)";
    assert_eq!((&answer["error"], &answer["reason"]), (&json!("not_ready"), &json!(reason)));
    assert_eq!(answer["jobs"][0]["name"], "default.bad");
    node.json("POST /processes/bad/_stop", "", 200);

    let job = json!({"name": "once", "cmd": "true", "restart": "never"});
    node.json("POST /processes", &job.to_string(), 200);
    node.settle("once", 0);
    node.json("DELETE /processes/bad", "", 200);
    assert_eq!(node.json("GET /readyz", "", 200)["total"], 2, "what has ended for good is not missed");
    node.manager.stop();
    assert_eq!(node.json("GET /readyz", "", 503)["reason"], "the manager is stopping");
}

#[cfg(feature = "webhooks")]
#[test]
fn webhooks() {
    use crate::webhooks::{Settings, WebHooks};
    let mut node = Node::new();
    let hook = r#"{"event": "proc.web", "url": "http://127.0.0.1:1/x"}"#;
    for (line, body) in [("GET /webhooks", ""), ("POST /webhooks", hook), ("DELETE /webhooks/1", "")] {
        assert_eq!(node.refused(line, body, 501).error, "unsupported");
    }
    let webhooks = WebHooks::new(Settings::default());
    node.provided.insert(webhooks.hooks());
    assert_eq!(node.json("GET /webhooks", "", 200), json!({"webhooks": []}));
    let id = node.json("POST /webhooks", hook, 200)["id"].clone();
    assert_eq!(node.json("POST /webhooks", hook, 200)["id"], id, "the same again");
    let want = json!([{
        "id": id, "event": "proc.web", "url": "http://127.0.0.1:1/x", "queued": 0, "sent": 0, "failed": 0, "dropped": 0,
        "retried": 0, "error": null,
    }]);
    assert_eq!(node.json("GET /webhooks", "", 200)["webhooks"], want);
    for (body, why) in [
        ("[]", "JSON object"),
        (r#"{"event": "exit"}"#, "`url`"),
        (r#"{"event": 1, "url": "http://a/"}"#, "event: expected a text"),
        (r#"{"event": "exti", "url": "http://a/"}"#, "did you mean `exit`?"),
        (r#"{"event": "exit", "url": "ftp://a/"}"#, "its scheme is ftp"),
        (r#"{"event": "exit", "url": "http://a/", "secert": "x"}"#, "there is no `secert` here"),
    ] {
        let refusal = node.refused("POST /webhooks", body, 400);
        assert!(refusal.reason.contains(why), "{refusal:?}");
    }
    if !cfg!(feature = "tls") {
        let https = r#"{"event": "exit", "url": "https://a/"}"#;
        assert!(node.refused("POST /webhooks", https, 501).reason.contains("TLS"));
    }
    assert!(node.text("GET /metrics").contains("gaffer_webhook_sent_total 0\n"));
    assert_eq!(node.json(&format!("DELETE /webhooks/{id}"), "", 200), ok());
    for line in [format!("DELETE /webhooks/{id}"), "DELETE /webhooks/x".to_owned()] {
        assert_eq!(node.refused(&line, "", 404).error, "not_found");
    }
}
