//! The routes of 0.4, by curl.

use serde_json::json;

use crate::util::{Node, eventually, ok};

#[test]
fn a_template() {
    let node = Node::new("");
    assert_eq!(node.json("POST /processes", r#"{"name": "web", "cmd": "sleep 1000"}"#, 200), ok());
    node.refused("POST /processes", r#"{"name": "web", "cmd": "sleep 1000"}"#, 409, "conflict");
    node.refused("POST /processes", r#"{"name": "x"}"#, 400, "bad_request");
    node.refused("POST /processes", "{", 400, "bad_request");
    let pid = node.pids("web", 1)[0];
    assert_eq!(node.json("GET /processes", "", 200), json!(["web"]));
    for running in ["true", "1"] {
        assert_eq!(node.json(&format!("GET /processes?running={running}"), "", 200), json!([pid]));
    }
    assert_eq!(node.json("GET /processes/web", "", 200)["cmd"], "sleep 1000");
    assert_eq!(node.json(&format!("GET /processes/{pid}"), "", 200)["name"], "web", "the template, as ever");
    assert_eq!(node.json("GET /processes/web/_pids", "", 200), json!({"ok": true, "pids": [pid]}));
    let status = node.json("GET /status/web", "", 200);
    assert_eq!((&status["active"], &status["running"]), (&json!(true), &json!(1)));
    assert_eq!((&status["numprocesses"], &status["max_processes"]), (&json!(1), &json!(1)));
    assert_eq!(node.json("GET /status", "", 200)["jobs"][0]["name"], "default.web");

    let scaled = |n: u32| json!({"ok": true, "numprocesses": n});
    assert_eq!(node.json("POST /processes/web/_add", "", 200), scaled(2));
    assert_eq!(node.json("POST /processes/web/_add/3", "", 200), scaled(5));
    assert_eq!(node.json("POST /processes/web/_sub/4", "", 200), scaled(1));
    assert_eq!(node.json("POST /processes/web/_sub/9", "", 200), scaled(0), "never below");
    assert_eq!(node.json("POST /processes/web/_start", "", 200), ok());
    let before = node.pids("web", 1);
    assert_eq!(node.json("POST /processes/web/_restart", "", 200), ok());
    eventually("a restart", || (node.pids("web", 1) != before).then_some(()));
    for signal in ["18", "CONT", "sigcont"] {
        assert_eq!(node.json(&format!("POST /processes/web/_signal/{signal}"), "", 200), ok());
    }
    let pid = node.pids("web", 1)[0];
    assert_eq!(node.json(&format!("POST /processes/{pid}/_signal/kill"), "", 200), ok());
    eventually("another one", || (node.pids("web", 1)[0] != pid).then_some(()));
    let pid = node.pids("web", 1)[0];
    assert_eq!(node.json(&format!("POST /processes/{pid}/_stop"), "", 200), ok());
    eventually("another one", || (node.pids("web", 1)[0] != pid).then_some(()));

    assert_eq!(node.json("PUT /processes/web", r#"{"cmd": "sleep 2000"}"#, 200), ok());
    assert_eq!(node.json("GET /processes/web", "", 200)["cmd"], "sleep 2000");
    assert_eq!(node.json("POST /processes/web/_stop", "", 200), ok());
    node.pids("web", 0);
    assert_eq!(node.json("GET /status/web", "", 200)["active"], false);
    assert_eq!(node.json("DELETE /processes/web", "", 200), ok());
    node.refused("GET /processes/web", "", 404, "not_found");
}

#[test]
fn groups() {
    let node = Node::new(
        "[process:shop:a]\ncmd = sleep 1000\n[process:shop:b]\ncmd = sleep 1000\n[process:c]\ncmd = sleep 1000\n",
    );
    let (a, c) = (node.pids("shop.a", 1), node.pids("c", 1));
    node.pids("shop.b", 1);
    let groups = node.json("GET /groups", "", 200);
    assert!(groups.as_array().is_some_and(|g| g.len() == 2 && g.contains(&json!("shop"))), "{groups}");
    assert_eq!(node.json("GET /groups/shop", "", 200), json!(["shop:a", "shop:b"]));
    assert_eq!(node.json("POST /groups/shop/_restart", "", 200), ok());
    eventually("a restart", || (node.pids("shop.a", 1) != a).then_some(()));
    assert_eq!(node.json("POST /groups/shop/_stop", "", 200), ok());
    node.pids("shop.a", 0);
    node.pids("shop.b", 0);
    assert_eq!(node.json("POST /groups/shop/_start", "", 200), ok());
    node.pids("shop.b", 1);
    assert_eq!(node.json("DELETE /groups/shop", "", 200), ok());
    node.refused("GET /groups/shop", "", 404, "not_found");
    assert_eq!(node.pids("c", 1), c, "the others are as they were");
}

#[test]
fn stats() {
    let node = Node::new("[process:web]\ncmd = sleep 1000\n");
    let pid = node.pids("web", 1)[0];
    let all = node.json("GET /stats", "", 200);
    assert_eq!((&all[0]["name"], &all[0]["stats"][0]["id"]), (&json!("default.web"), &json!(pid)));
    let one = node.json("GET /stats/web", "", 200);
    assert_eq!(one["stats"][0]["cmdline"], "sleep 1000");
    assert_eq!(node.json(&format!("GET /stats/web/{pid}"), "", 200)["id"], pid);
    node.refused("GET /stats/nope", "", 404, "not_found");
    node.refused("GET /stats/web/99", "", 404, "not_found");

    let mut feed = node.feed(&format!("/stats/web/{pid}?feed=eventsource&interval=0.1"));
    eventually("three samples", || (feed.text().matches("event: stat\n").count() >= 3).then_some(()));
    node.json(&format!("DELETE /{pid}"), "", 202);
    assert_eq!(feed.end().status, 200, "it ends with the process");
}
