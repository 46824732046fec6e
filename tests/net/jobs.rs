//! The routes of 0.5, by curl.

use std::collections::HashSet;

use serde_json::json;

use crate::util::{Node, eventually, ok};

const SLEEP: &str = r#"{"name": "web", "cmd": "sleep 1000"}"#;

#[test]
fn the_server_itself() {
    let node = Node::new("");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(node.json("GET /", "", 200), json!({"welcome": "gaffer", "version": version}));
    assert_eq!(node.json("GET /version", "", 200), json!({"name": "gaffer", "version": version}));
    let ping = node.ask("GET /ping", "");
    assert_eq!((ping.status, ping.text().as_str()), (200, "OK"));
    assert_eq!(ping.field("content-type"), Some("text/plain; charset=utf-8"));
    assert!(ping.field("date").is_some());
    assert_eq!(node.json("GET /healthz", "", 200)["status"], "ok");
    assert_eq!(node.json("GET /readyz", "", 200)["ready"], true);
    assert_eq!(node.json("GET /openapi.json", "", 200)["openapi"].as_str().map(|v| &v[..3]), Some("3.1"));
    let metrics = node.ask("GET /metrics", "");
    assert!(metrics.field("content-type").is_some_and(|t| t.starts_with("application/openmetrics-text")));
    assert!(metrics.text().ends_with("# EOF\n"));
    for (path, empty) in [("/pids", json!({"pids": []})), ("/sessions", json!({"sessions": []}))] {
        assert_eq!(node.json(&format!("GET {path}"), "", 200), empty);
    }
    assert_eq!(node.json("GET /jobs", "", 200), json!({"jobs": []}));
}

#[test]
fn a_job() {
    let node = Node::new("");
    assert_eq!(node.json("POST /jobs/shop", SLEEP, 200), ok());
    node.refused("POST /jobs/shop", SLEEP, 409, "conflict");
    let first = node.pids("shop.web", 1);
    assert_eq!(node.json("GET /sessions", "", 200), json!({"sessions": ["shop"]}));
    assert_eq!(node.json("GET /jobs", "", 200), json!({"jobs": ["shop.web"]}));
    assert_eq!(node.json("GET /jobs/shop", "", 200), json!({"sessionid": "shop", "jobs": ["shop.web"]}));
    let info = node.json("GET /jobs/shop/web", "", 200);
    assert_eq!((&info["name"], &info["running"], &info["active"]), (&json!("shop.web"), &json!(1), &json!(true)));
    assert_eq!(info["config"]["cmd"], "sleep 1000");
    assert_eq!(node.ask("GET /jobs/shop/web/state", "").text(), "1");

    // Scale, as the original's clients write it.
    let scale = "POST /jobs/shop/web/numprocesses";
    let numprocesses = |n: u32| json!({"numprocesses": n});
    assert_eq!(node.json(scale, r#"{"scale": 3}"#, 200), numprocesses(4));
    assert_eq!(node.json(scale, r#"{"scale": "-1"}"#, 200), numprocesses(3));
    assert_eq!(node.json(scale, r#"{"scale": "=2"}"#, 200), numprocesses(2));
    assert_eq!(node.json("GET /jobs/shop/web/numprocesses", "", 200), numprocesses(2));
    node.refused(scale, r#"{"scale": "x2"}"#, 400, "bad_request");
    let pids = node.pids("shop.web", 2);
    assert_eq!(node.json("GET /jobs/shop/web/pids", "", 200), json!({"pids": pids}));
    let stats = node.json("GET /jobs/shop/web/stats", "", 200);
    assert_eq!(stats["stats"].as_array().map(Vec::len), Some(2), "{stats}");

    // State: stop, start, reload.
    let state = "POST /jobs/shop/web/state";
    assert_eq!(node.json(state, "0", 202), ok());
    node.pids("shop.web", 0);
    assert_eq!(node.ask("GET /jobs/shop/web/state", "").text(), "0");
    assert_eq!(node.json(state, "1", 202), ok());
    let before = node.pids("shop.web", 1);
    assert_eq!(node.json(state, "2", 202), ok());
    eventually("other processes", || (node.pids("shop.web", 1) != before).then_some(()));
    node.refused(state, "\"1\"", 400, "bad_request");

    // One more, once.
    let pid =
        node.json("POST /jobs/shop/web/commit", r#"{"env": {"A": "b"}, "graceful_timeout": 1}"#, 200)["pid"].clone();
    let info = eventually("two processes", || {
        Some(node.json("GET /jobs/shop/web", "", 200)).filter(|info| info["running"] == 2)
    });
    assert_eq!(info["running_out"], 1);
    assert_eq!(node.json(&format!("GET /{pid}"), "", 200)["env"], json!({"A": "b"}));
    assert_ne!(json!(first[0]), pid);

    assert_eq!(node.json("DELETE /jobs/shop/web", "", 200), ok());
    node.refused("GET /jobs/shop/web", "", 404, "not_found");
    assert_eq!(node.json("GET /sessions", "", 200), json!({"sessions": []}));
    eventually("no process", || (node.json("GET /pids", "", 200) == json!({"pids": []})).then_some(()));
}

#[test]
fn an_update_touches_one_job() {
    let node = Node::new("[process:a]\ncmd = sleep 1000\n[process:b]\ncmd = sleep 1000\n");
    let (a, b) = (node.pids("a", 1), node.pids("b", 1));
    assert_eq!(node.json("PUT /jobs/default/a", r#"{"cmd": "sleep 2000", "numprocesses": 2}"#, 201), ok());
    let new = node.pids("a", 2);
    assert!(!new.contains(&a[0]), "{new:?}");
    assert_eq!(node.pids("b", 1), b, "the other one is as it was");
    assert_eq!(node.json(&format!("GET /{}", new[0]), "", 200)["args"], json!(["2000"]));
    node.refused("PUT /jobs/default/a", r#"{"name": "c", "cmd": "x"}"#, 400, "bad_request");
    node.refused("PUT /jobs/default/c", r#"{"cmd": "sleep 1"}"#, 404, "not_found");
}

#[test]
fn a_process() {
    let node = Node::new(
        "[process:web]\ncmd = sh -c 'trap \"echo hup\" HUP; echo up; while :; do sleep 0.05; done'\nredirect_output = out\n",
    );
    let pid = node.pids("web", 1)[0];
    let feed = node.feed(&format!("/streams/{pid}/out?feed=continuous"));
    // Its trap may not be set yet: a signal that ends it would end the feed as well, and the test with a reason.
    eventually("the shell is up", || {
        let os_pid = node.os_pid_of(pid)?;
        let status = std::fs::read_to_string(format!("/proc/{os_pid}/status")).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?.trim().to_owned();
        (u64::from_str_radix(&caught, 16).ok()? & 1 == 1).then_some(())
    });
    // One after the other: signals of one kind do not queue (signal(7)).
    for (n, path, signal) in [(1, format!("/{pid}"), json!("hup")), (2, "/jobs/default/web".into(), json!(1))] {
        let line = format!("POST {path}/signal");
        assert_eq!(node.json(&line, &json!({"signal": signal}).to_string(), 202), ok());
        eventually("the signal", || (feed.text().matches("hup\n").count() == n).then_some(()));
    }
    node.refused(&format!("POST /{pid}/signal"), r#"{"signal": "NOPE"}"#, 400, "bad_request");

    let stats = node.json(&format!("GET /{pid}/stats"), "", 200);
    assert!(stats["stats"]["rss"].as_u64().is_some_and(|rss| rss > 0), "{stats}");
    assert_eq!(node.json("GET /pids", "", 200), json!({"pids": [pid]}));
    assert_eq!(node.json(&format!("DELETE /{pid}"), "", 202), ok());
    eventually("another one", || (node.pids("web", 1)[0] != pid).then_some(()));
    node.refused("GET /99", "", 404, "not_found");
}

/// HEAD is what GET is without its content; a trailing slash means the same; what is not allowed is said.
#[test]
fn every_get_has_a_head_and_every_route_a_slash() {
    let node = Node::new("[process:web]\ncmd = sleep 1000\n");
    let pid = node.pids("web", 1)[0];
    let document = node.json("GET /openapi.json", "", 200);
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() > 30, "{}", paths.len());
    for (template, item) in paths {
        let path = template.replace("{session}", "default").replace("{group}", "default");
        let path = path.replace("{name}", "web").replace("{pid}", &pid.to_string()).replace("{label}", "out");
        let path = path.replace("{n}", "1").replace("{signal}", "0").replace("{pattern}", "exit");
        let methods: HashSet<String> = item
            .as_object()
            .expect("operations")
            .keys()
            .filter(|key| ["get", "post", "put", "delete"].contains(&key.as_str()))
            .map(|key| key.to_uppercase())
            .collect();
        // Feeds and sockets go on, there is no plugin with a site, and nobody is asked for a key; they have tests of their own.
        let apart = ["/watch", "streams/", "/_plugin/", "/channel", "/auth", "/keys", "/users"];
        let lasts = apart.iter().any(|part| path.contains(part));
        if methods.contains("GET") && !lasts {
            let get = node.ask(&format!("GET {path}"), "");
            assert_eq!(get.status, 200, "{path}: {}", get.text());
            let head = node.ask(&format!("HEAD {path}"), "");
            assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
            assert_eq!(head.field("content-type"), get.field("content-type"), "{path}");
            if path != "/" {
                assert_eq!(node.ask(&format!("GET {path}/"), "").status, 200, "{path}/");
            }
        }
        if path.starts_with("/channel") {
            // SockJS wants refusals to be empty; it has tests of its own.
            continue;
        }
        let refused = node.refused(&format!("PATCH {path}"), "", 405, "method_not_allowed");
        let allowed = refused.field("allow").expect("Allow");
        for method in &methods {
            assert!(allowed.split(", ").any(|allowed| allowed == method), "{path}: {method} is not in {allowed}");
        }
    }
    for path in ["/nope", "/jobs/a/b/c", "/processes/web/_nope", "/1/nope"] {
        node.refused(&format!("GET {path}"), "", 404, "not_found");
    }
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let node = Node::new("");
    let first = node.ask("GET /jobs", "");
    let etag = first.field("etag").expect("an ETag").to_owned();
    let second = node.curl(&["-H", &format!("If-None-Match: {etag}")], "/jobs");
    assert_eq!((second.status, second.body.len()), (304, 0));
    node.json("POST /jobs/default", SLEEP, 200);
    assert_eq!(node.curl(&["-H", &format!("If-None-Match: {etag}")], "/jobs").status, 200);
}
