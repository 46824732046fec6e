use serde_json::{Map, Value, json};

use super::Node;
use crate::controller::{Access, COMMANDS, Scope, command, required, run};

fn map(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

/// Each command of the table once, as the original's controller is used.
#[test]
fn every_command() {
    let mut node = Node::new();
    let ok = json!({"ok": true});
    let cat = json!({"name": "cat", "cmd": "cat", "redirect_input": true, "redirect_output": ["out"], "custom_streams": ["ctl"]});
    let mut done = Vec::new();
    let mut node_run = |node: &mut Node, name: &'static str, args: Value| {
        done.push(name);
        node.run(name, args)
    };
    assert_eq!(node_run(&mut node, "load", json!([cat, null, {"A": "1"}])), ok);
    assert_eq!(node_run(&mut node, "load", json!([{"name": "web", "cmd": "sleep 1000", "start": false}, "shop"])), ok);
    node.wait(|node| node.manager.process(crate::process::Pid(1)).ok()?.os_pid);
    assert_eq!(node_run(&mut node, "sessions", json!([])), json!({"sessions": ["default", "shop"]}));
    assert_eq!(node_run(&mut node, "jobs", json!([])), json!({"jobs": ["default.cat", "shop.web"]}));
    assert_eq!(node_run(&mut node, "jobs", json!(["shop"])), json!({"sessionid": "shop", "jobs": ["shop.web"]}));
    assert_eq!(node_run(&mut node, "pids", json!([])), json!({"pids": [1]}));
    assert_eq!(node_run(&mut node, "pids", json!(["shop:web"])), json!({"name": "shop.web", "pids": []}));
    assert_eq!(node_run(&mut node, "scale", json!(["shop/web", "=2"])), json!({"numprocesses": 2}));
    assert_eq!(node_run(&mut node, "ttin", json!(["shop.web"])), json!({"numprocesses": 3}));
    assert_eq!(node_run(&mut node, "ttou", json!(["shop.web", 2])), json!({"numprocesses": 1}));
    assert_eq!(node_run(&mut node, "start_job", json!(["web", "shop"])), ok);
    assert_eq!(node_run(&mut node, "info", json!(["shop.web"]))["info"]["active"], true);
    assert_eq!(node_run(&mut node, "status", json!(["shop.web"]))["status"]["numprocesses"], 1);
    assert_eq!(node_run(&mut node, "stats", json!(["cat"]))["stats"]["stats"][0]["pid"], 1);
    assert_eq!(node_run(&mut node, "process_info", json!([1]))["info"]["env"], json!({"A": "1"}));
    assert_eq!(node_run(&mut node, "process_info", json!(["1"]))["info"]["pid"], 1);
    assert_eq!(node_run(&mut node, "process_stats", json!([1]))["stats"]["pid"], 1);
    node.subscribe("STREAM:1");
    assert_eq!(node_run(&mut node, "send", json!([1, "hel"])), ok);
    assert_eq!(node_run(&mut node, "send", json!([1, ["lo\n", "there\n"], "stdin"])), ok);
    let mut text = String::new();
    node.event(|data| {
        text += data["data"].as_str().expect("text");
        text == "hello\nthere\n"
    });
    assert_eq!(node_run(&mut node, "send", json!([1, "x", "ctl"])), ok);
    assert_eq!(node_run(&mut node, "commit", json!(["cat", 0.5, {"B": "2"}])), json!({"ok": true, "pid": 3}));
    node.wait(|node| node.manager.process(crate::process::Pid(3)).ok()?.os_pid);
    assert_eq!(node_run(&mut node, "kill", json!([3, "term"])), ok);
    assert_eq!(node_run(&mut node, "killall", json!(["cat", 0])), ok);
    assert_eq!(node_run(&mut node, "close_input", json!([1])), ok);
    // It ends by itself and is replaced.
    node.wait(|node| node.manager.process(crate::process::Pid(1)).is_err().then_some(()));
    let newest = |node: &mut Node| {
        node.wait(|node| {
            let pid = *node.manager.pids("cat").ok()?.first()?;
            node.manager.process(pid).ok()?.os_pid.map(|_| pid.0)
        })
    };
    let pid = newest(&mut node);
    assert_eq!(node_run(&mut node, "stop_process", json!([pid])), ok);
    assert_eq!(node_run(&mut node, "stopall", json!(["cat"])), ok);
    assert_eq!(node_run(&mut node, "reload", json!(["cat"])), ok);
    assert_eq!(node_run(&mut node, "restart_job", json!(["cat"])), ok);
    assert_eq!(node_run(&mut node, "update", json!([{"name": "shop.web", "cmd": "sleep 999", "numprocesses": 2}])), ok);
    assert_eq!(node_run(&mut node, "info", json!(["shop.web"]))["info"]["numprocesses"], 2);
    assert_eq!(node_run(&mut node, "restart", json!([])), ok);
    assert_eq!(node_run(&mut node, "stop_job", json!(["cat"])), ok);
    for name in ["stop_session", "start_session", "restart_session", "remove_session"] {
        assert_eq!(node_run(&mut node, name, json!(["shop"])), ok);
    }
    assert_eq!(node_run(&mut node, "unload", json!(["default.cat"])), ok);
    assert_eq!(node.run("jobs", json!([])), json!({"jobs": []}));
    for command in COMMANDS {
        assert!(done.contains(&command.name), "{} was not tried", command.name);
    }
}

#[test]
fn errors_of_commands() {
    let mut node = Node::new();
    node.run("load", json!([{"name": "cat", "cmd": "sleep 1000", "start": false}]));
    let cases = [
        ("nope", json!([]), (404, "command_not_found")),
        ("jobs", json!(["nope"]), (404, "not_found")),
        ("jobs", json!([1]), (400, "bad_command")),
        ("pids", json!(["nope"]), (404, "not_found")),
        ("load", json!([]), (400, "config_missing")),
        ("load", json!([[]]), (400, "invalid_config")),
        ("load", json!([{"name": "x"}]), (400, "invalid_config")),
        ("load", json!([{"name": "x", "cmd": "$NO_SUCH_VARIABLE"}]), (400, "invalid_config")),
        ("load", json!([{"name": "x", "cmd": "true"}, null, []]), (400, "invalid_config")),
        ("load", json!([{"name": "x", "cmd": "true"}, "a b"]), (400, "invalid_config")),
        ("load", json!([{"name": "cat", "cmd": "true"}]), (409, "process_conflict")),
        ("unload", json!(["nope"]), (404, "not_found")),
        ("unload", json!(["s.cat", "t"]), (400, "bad_command")),
        ("reload", json!(["nope"]), (404, "not_found")),
        ("update", json!([]), (400, "config_missing")),
        ("update", json!([{"name": "nope", "cmd": "true"}]), (404, "not_found")),
        ("start_job", json!([]), (400, "bad_command")),
        ("stop_job", json!([3]), (400, "bad_command")),
        ("scale", json!(["cat"]), (400, "bad_command")),
        ("scale", json!(["cat", 1.5]), (400, "bad_command")),
        ("scale", json!(["cat", "+x"]), (400, "bad_command")),
        ("ttin", json!(["cat", -1]), (400, "bad_command")),
        ("info", json!(["nope"]), (404, "not_found")),
        ("info", json!(["cat", 1]), (400, "bad_command")),
        ("stats", json!(["nope"]), (404, "not_found")),
        ("killall", json!(["cat", "NOPE"]), (400, "bad_command")),
        ("commit", json!(["cat", "soon"]), (400, "bad_command")),
        ("process_info", json!([99]), (404, "not_found")),
        ("process_info", json!(["x"]), (400, "bad_command")),
        ("process_stats", json!([99]), (404, "not_found")),
        ("stop_process", json!([99]), (404, "not_found")),
        ("kill", json!([99, "TERM"]), (404, "not_found")),
        ("kill", json!([99]), (400, "bad_command")),
        ("send", json!([99, "x"]), (404, "not_found")),
        ("send", json!([99, {}]), (400, "bad_command")),
        ("close_input", json!([99]), (404, "not_found")),
        ("start_session", json!(["nope"]), (404, "not_found")),
    ];
    for (name, args, (errno, reason)) in cases {
        assert_eq!(node.fails(name, args.clone()), (errno, reason.to_owned()), "{name} {args}");
    }
    assert_eq!(node.run("start_job", json!(["cat"])), json!({"ok": true}));
    node.wait(|node| node.manager.process(crate::process::Pid(1)).ok()?.os_pid);
    assert_eq!(node.fails("send", json!([1, "x"])), (403, "forbidden".to_owned()));
    assert_eq!(node.fails("send", json!([1, "x", "nope"])), (404, "stream_not_found".to_owned()));
    node.manager.stop();
    assert_eq!(node.fails("load", json!([{"name": "x", "cmd": "true"}])), (503, "stopping".to_owned()));
}

#[test]
fn arguments_by_name() {
    let mut node = Node::new();
    let mut keyed = |name, args: Value, kwargs: Value| {
        run(&mut node.manager.cx(), name, args.as_array().expect("a list"), &map(kwargs))
    };
    let config = json!({"name": "web", "cmd": "sleep 1000", "env": {"A": 1, "B": "x"}});
    let load = json!({"config": config, "sessionid": "shop", "start": false, "env": {"A": "2"}});
    assert_eq!(keyed("add_process", json!([]), load).expect("right"), json!({"ok": true}));
    let info = keyed("get_process", json!([]), json!({"job": "shop.web"})).expect("right");
    assert_eq!(
        (&info["info"]["config"]["env"], &info["info"]["active"]),
        (&json!({"A": "2", "B": "x"}), &json!(false))
    );
    assert_eq!(keyed("scale", json!(["shop.web"]), json!({"n": 1})).expect("right"), json!({"numprocesses": 2}));
    assert_eq!(keyed("unload", json!(["web"]), json!({"session": "shop"})).expect("right"), json!({"ok": true}));
    let twice = keyed("info", json!(["web"]), json!({"name": "web"})).expect_err("wrong");
    assert!(twice.message.contains("given twice"), "{twice}");
    let unknown = keyed("commit", json!(["web"]), json!({"gracefull_timeout": 1})).expect_err("wrong");
    assert!(unknown.message.contains("graceful_timeout"), "{unknown}");
}

#[test]
fn what_one_must_be_allowed() {
    let mut node = Node::new();
    node.run("load", json!([{"name": "shop.web", "cmd": "sleep 1000"}]));
    let scope = |name: &str| match name.split_once('.') {
        None if name.is_empty() => Scope::Node,
        None => Scope::Session(name.to_owned()),
        Some(_) => Scope::Job(name.parse().expect("a name")),
    };
    let cases = [
        ("sessions", json!([]), Access::Manage, ""),
        ("jobs", json!([]), Access::Manage, ""),
        ("jobs", json!(["shop"]), Access::Manage, "shop"),
        ("pids", json!([]), Access::Read, ""),
        ("info", json!(["web"]), Access::Read, "default.web"),
        ("unload", json!(["web", "shop"]), Access::Manage, "shop.web"),
        ("load", json!([{"name": "x", "cmd": "y"}, "shop"]), Access::Manage, "shop"),
        ("update", json!([{"name": "shop.x", "cmd": "y"}]), Access::Manage, "shop.x"),
        ("send", json!([1, "x"]), Access::Write, "shop.web"),
        ("kill", json!([99, 1]), Access::Manage, ""),
        ("remove_group", json!(["shop"]), Access::Manage, "shop"),
    ];
    for (name, args, access, about) in cases {
        let list = args.as_array().expect("a list");
        let found = required(&node.manager.cx(), name, list, &Map::new()).expect("right");
        assert_eq!(found, (access, scope(about)), "{name} {args}");
    }
    assert!(Access::Manage > Access::Write && Access::Write > Access::Read);
}

#[test]
fn names_are_unique_and_documented() {
    let mut names: Vec<&str> = COMMANDS.iter().flat_map(|c| c.aliases.iter().chain([&c.name])).copied().collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all, "a name stands for two commands");
    for name in names {
        let command = command(name).expect("known");
        assert!(!command.doc.is_empty() && !command.usage().is_empty());
        let last_required = command.params.iter().rposition(|param| param.required).map_or(0, |i| i + 1);
        assert!(command.params[..last_required].iter().all(|param| param.required), "{name}: a hole");
    }
    let usage = ["scale name n", "jobs [sessionid]"].map(str::to_owned);
    assert_eq!(usage, [command("scale").expect("known").usage(), command("jobs").expect("known").usage()]);
}
