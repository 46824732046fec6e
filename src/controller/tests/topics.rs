use serde_json::{Value, json};

use super::Node;
use crate::controller::{Session, Subscriptions, hub::Hub};
use crate::process::Pid;

const SLEEP: &str = "sleep 1000";

fn sleeper(name: &str) -> Value {
    json!([{"name": name, "cmd": SLEEP}])
}

#[test]
fn messages_that_are_none() {
    let mut node = Node::new();
    let cases = [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("[]", "invalid_json"),
        ("3", "invalid_json"),
        ("{}", "event_missing"),
        (r#"{"event": 1}"#, "event_missing"),
        (r#"{"event": "SUB"}"#, "data_missing"),
        (r#"{"event": "CMD", "data": []}"#, "data_missing"),
        (r#"{"event": "SUB", "data": {}}"#, "topic_missing"),
        (r#"{"event": "UNSUB", "data": {"topic": 1}}"#, "topic_missing"),
        (r#"{"event": "CMD", "data": {"identity": 1}}"#, "cmd_name_missing"),
        (r#"{"event": "CMD", "data": {"name": "jobs"}}"#, "cmd_identity_missing"),
        (r#"{"event": "sub", "data": {}}"#, "unknown_cmd"),
    ];
    for (text, reason) in cases {
        let answer = node.say_text(text).expect("an answer");
        assert_eq!(
            (&answer["event"], &answer["data"]["error"]),
            (&json!("gaffer:error"), &json!("invalid_msg")),
            "{text}"
        );
        assert_eq!(answer["data"]["reason"], reason, "{text}");
        assert!(answer["data"]["message"].is_string(), "{text}");
    }
    for silent in [
        r#"{"event": "NOP"}"#,
        r#"{"event": "NOP", "data": null}"#,
        "AUTH:secret",
        r#"{"event": "AUTH", "data": {"key": "k"}}"#,
    ] {
        assert_eq!(node.say_text(silent), None, "{silent}");
    }
    let command = |args: Value, kwargs: Value| json!({"event": "CMD", "data": {"identity": {"my": [1]}, "name": "jobs", "args": args, "kwargs": kwargs}});
    let want = json!({"event": "gaffer:command_success", "data": {"id": {"my": [1]}, "result": {"jobs": []}}});
    assert_eq!(node.say(&command(json!([]), json!({}))), Some(want.clone()));
    assert_eq!(node.say(&command(json!(null), json!(null))), Some(want));
    for (args, kwargs) in [(json!({}), json!({})), (json!([]), json!([]))] {
        let answer = node.say(&command(args, kwargs)).expect("an answer");
        assert_eq!(answer["event"], "gaffer:command_error");
        assert_eq!((&answer["data"]["error"]["errno"], &answer["data"]["id"]), (&json!(400), &json!({"my": [1]})));
    }
}

#[test]
fn subscriptions_that_are_none() {
    let mut node = Node::new();
    node.run("load", json!([{"name": "web", "cmd": SLEEP}]));
    let cases = [
        ("SUB", "NOPE", "invalid_topic"),
        ("SUB", "STREAM:web", "invalid_topic"),
        ("SUB", "PROCESS:99", "not_found"),
        ("SUB", "STATS:99", "not_found"),
        ("SUB", "STATS:nope", "not_found"),
        ("SUB", "STREAM:99", "not_found"),
        ("SUB", "STREAM:1", "stream_not_found"),
        ("SUB", "STREAM:1.out", "stream_not_found"),
        ("UNSUB", "EVENTS", "not_subscribed"),
        ("UNSUB", "NOPE", "invalid_topic"),
    ];
    for (event, topic, reason) in cases {
        let answer = node.say(&json!({"event": event, "data": {"topic": topic}})).expect("an answer");
        assert_eq!(answer["event"], "gaffer:subscription_error", "{topic}");
        assert_eq!((&answer["topic"], &answer["data"]["topic"]), (&json!(topic), &json!(topic)));
        assert_eq!(answer["data"]["reason"], reason, "{topic}: {answer}");
    }
    for interval in [json!(0.01), json!("1"), json!(1e9), json!(-1)] {
        let message = json!({"event": "SUB", "data": {"topic": "STATS:web", "interval": interval}});
        assert_eq!(node.say(&message).expect("an answer")["data"]["reason"], "invalid_interval", "{interval}");
    }
    assert_eq!(node.listeners(), (0, 0, 0));
}

/// Names keep their case, later processes come too, and each topic is what the client wrote.
#[test]
fn every_topic() {
    let mut node = Node::new();
    for topic in ["EVENTS", "events:spawn", "EVENTS:job.default.Web", "job:Web", "PROCESS:Web"] {
        node.subscribe(topic);
    }
    node.run("load", sleeper("Web"));
    let mut seen = Vec::new();
    node.event(|data| {
        assert!(data["time"].is_f64(), "{data}");
        assert_eq!(data["name"], "default.Web");
        seen.push(format!("{} {}", data["topic"].as_str().expect("text"), data["event"].as_str().expect("text")));
        seen.len() == 16
    });
    let of = |topic: &str| {
        let prefix = format!("{topic} ");
        seen.iter().filter_map(|line| line.strip_prefix(&*prefix)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of("EVENTS"), "create proc.Web.create start proc.Web.start spawn proc.Web.spawn");
    assert_eq!(of("events:spawn"), "spawn");
    let published = ["load", "start", "spawn"].map(|event| format!("job.default.Web.{event}")).join(" ");
    assert_eq!(of("EVENTS:job.default.Web"), published);
    assert_eq!(of("job:Web"), "load start spawn");
    assert_eq!(of("PROCESS:Web"), "create start spawn");
}

#[test]
fn events_of_a_process_and_of_later_ones() {
    let mut node = Node::new();
    node.run("load", sleeper("web"));
    node.run("load", json!([{"name": "web.x", "cmd": SLEEP}]));
    node.wait(|node| node.manager.process(Pid(1)).ok()?.os_pid);
    node.subscribe("PROCESS:1");
    node.subscribe("PROCESS:web");
    node.run("scale", json!(["web", 1]));
    node.run("scale", json!(["web.x", 1]));
    node.run("stop_process", json!([1]));
    let mut seen = Vec::new();
    node.event(|data| {
        seen.push(format!("{} {}", data["topic"].as_str().expect("text"), data["event"].as_str().expect("text")));
        assert_eq!(data["name"], "default.web", "not the session `web`: {data}");
        data["topic"] == "PROCESS:1" && data["event"] == "exit"
    });
    assert!(
        seen.contains(&"PROCESS:web update".to_owned()) && seen.contains(&"PROCESS:web spawn".to_owned()),
        "{seen:?}"
    );
    let of_one: Vec<_> = seen.iter().filter_map(|line| line.strip_prefix("PROCESS:1 ")).collect();
    assert_eq!(of_one, ["stop_process", "exit"]);
}

#[test]
fn figures_follow_later_processes_and_end() {
    let mut node = Node::new();
    node.run("load", sleeper("web"));
    node.wait(|node| node.manager.process(Pid(1)).ok()?.os_pid);
    assert_eq!(node.listeners().2, 0);
    let fast = |topic: &str| json!({"event": "SUB", "data": {"topic": topic, "interval": 0.1}});
    node.say(&fast("STATS:web"));
    node.say(&fast("STATS:1"));
    assert_eq!(node.listeners().2, 2);
    node.event(|data| data["topic"] == "STATS:1" && data["event"] == "stat" && data["rss"].as_u64() > Some(0));
    node.run("scale", json!(["web", 1]));
    node.event(|data| data["topic"] == "STATS:web" && data["pid"] == 2);
    // Nothing is sampled of a process that has ended.
    node.run("stop_process", json!([1]));
    node.wait(|node| (node.listeners().2 == 1).then_some(()));
    node.event(|data| data["topic"] == "STATS:web" && data["pid"] == 3);
    node.unsubscribe("STATS:1");
    node.unsubscribe("STATS:web");
    assert_eq!(node.listeners(), (0, 0, 0));
}

#[test]
fn output_with_its_end() {
    let mut node = Node::new();
    let cmd = "read go; printf 'a\\342\\202'; read go; printf '\\254\\377b'; echo err >&2";
    let job = json!({"name": "sh", "cmd": cmd, "shell": true, "redirect_input": true, "redirect_output": ["Out", "Err"], "restart": "never"});
    node.run("load", json!([job]));
    node.wait(|node| node.manager.process(Pid(1)).ok()?.os_pid);
    node.subscribe("STREAM:1");
    node.subscribe("STREAM:1.Err");
    node.run("send", json!([1, "go\n"]));
    let first = node.event(|data| data["topic"] == "STREAM:1");
    assert_eq!((&first["event"], &first["label"], &first["data"]), (&json!("Out"), &json!("Out"), &json!("a")));
    assert_eq!((&first["name"], &first["pid"]), (&json!("default.sh"), &json!(1)));
    node.run("send", json!([1, "go\n"]));
    let (mut out, mut err, mut ends) = (String::new(), String::new(), 0);
    node.event(|data| {
        let text = data["data"].as_str().expect("text");
        if data["topic"] == "STREAM:1" {
            out += text
        } else {
            err += text
        }
        ends += usize::from(data["end"] == true);
        ends == 2
    });
    assert_eq!((&*out, &*err), ("€\u{fffd}b", "err\n"));
}

#[test]
fn twice_is_counted_and_everything_ends() {
    let mut node = Node::new();
    node.run("load", json!([{"name": "web", "cmd": SLEEP, "redirect_output": ["out"]}]));
    node.wait(|node| node.manager.process(Pid(1)).ok()?.os_pid);
    for topic in ["JOB:web", "job:default.web", "EVENTS", "STATS:web", "STATS", "STREAM:1", "STREAM:1.out", "PROCESS:1"]
    {
        node.subscribe(topic);
    }
    assert_eq!(node.session.subscriptions().len(), 7, "two spellings of one job");
    let all = node.listeners();
    assert_eq!((all.0, all.2), (3, 2));
    node.unsubscribe("JOB:web");
    node.run("scale", json!(["web", 1]));
    let mut updates = 0;
    node.event(|data| {
        updates += usize::from(data["topic"] == "JOB:web" && data["event"] == "update");
        data["topic"] == "JOB:web" && data["event"] == "spawn"
    });
    assert_eq!(updates, 1, "subscribed twice, it comes once");
    node.unsubscribe("JOB:default/web");
    assert_eq!(node.listeners().0, 2);
    assert_eq!(
        node.say(&json!({"event": "UNSUB", "data": {"topic": "JOB:web"}})).expect("an answer")["event"],
        "gaffer:subscription_error"
    );

    // Another client shares what there is, and its end leaves ours.
    let before = node.listeners();
    let mut other = Session::new(|_| {});
    let sub = json!({"event": "SUB", "data": {"topic": "EVENTS"}}).to_string();
    other.message(&mut node.manager.cx(), &sub, &mut |_| {});
    assert_eq!(node.listeners(), before, "one subscription for both");
    other.close(&mut node.manager.cx());
    assert_eq!(node.listeners(), before);
    node.session.close(&mut node.manager.cx());
    assert_eq!(node.listeners(), (0, 0, 0));
    assert_eq!(node.manager.cx().shared::<Hub>().size(), (0, 0));
}

/// Somebody who goes without a word is found when something comes for it.
#[test]
fn a_dropped_client_ends_by_itself() {
    let mut node = Node::new();
    node.subscribe("EVENTS:create");
    let mut other = Subscriptions::new(|_| {});
    for topic in ["EVENTS", "JOB:web", "STATS"] {
        other.subscribe(&mut node.manager.cx(), topic, None).expect("right");
    }
    assert_eq!(node.listeners(), (3, 0, 1));
    drop(other);
    node.run("load", sleeper("web"));
    node.event(|data| data["event"] == "create");
    node.wait(|node| (node.listeners() == (1, 0, 0)).then_some(()));
    assert_eq!(node.manager.cx().shared::<Hub>().size(), (1, 1));
}

/// What is sampled is answered when it is known; who has gone by then gets nothing.
#[test]
fn later_answers() {
    let mut node = Node::new();
    node.run("load", sleeper("web"));
    node.wait(|node| node.manager.process(Pid(1)).ok()?.os_pid);
    let ask = |id: u32, name: &str, arg: Value| json!({"event": "CMD", "data": {"identity": id, "name": name, "args": [arg]}});
    assert_eq!(node.say(&ask(1, "stats", json!("web"))), None);
    assert_eq!(node.say(&ask(2, "process_stats", json!(1))), None);
    let mut answers = Vec::new();
    node.wait(|node| {
        answers.extend(
            node.session.next(&mut node.manager.cx()).map(|text| serde_json::from_str::<Value>(&text).expect("JSON")),
        );
        (answers.len() == 2).then_some(())
    });
    answers.sort_by_key(|answer| answer["data"]["id"].as_u64());
    assert!(answers.iter().all(|answer| answer["event"] == "gaffer:command_success"), "{answers:?}");
    assert_eq!(answers[0]["data"]["result"]["stats"]["stats"][0]["pid"], 1);
    assert_eq!(answers[1]["data"]["result"]["stats"]["pid"], 1);
    // Errors too: they come by the same way.
    assert_eq!(node.say(&ask(3, "process_stats", json!(99))), None);
    let text = node.wait(|node| node.session.next(&mut node.manager.cx()));
    assert!(text.contains("not_found") && text.contains("command_error"), "{text}");

    for id in 0..64 {
        assert_eq!(node.say(&ask(id, "stats", json!("web"))), None);
    }
    let refused = node.say(&ask(64, "stats", json!("web"))).expect("an answer");
    assert_eq!(refused["data"]["error"]["reason"], "full");
    node.session.close(&mut node.manager.cx());
    node.wait(|node| (node.manager.surveys() == 0).then_some(()));
    assert_eq!(node.manager.cx().shared::<Hub>().size(), (0, 0));
    assert_eq!(node.session.next(&mut node.manager.cx()), None);
}

#[test]
fn bounds() {
    let mut node = Node::new();
    node.session = Session::with(Subscriptions::new(|_| {}).max_topics(2).max_queue(1000));
    node.subscribe("EVENTS:update");
    node.subscribe("JOB:a");
    let answer = node.say(&json!({"event": "SUB", "data": {"topic": "JOB:b"}})).expect("an answer");
    assert_eq!(answer["data"]["reason"], "full");
    node.run("load", json!([{"name": "web", "cmd": SLEEP, "start": false}]));
    for _ in 0..50 {
        node.run("scale", json!(["web", 1]));
    }
    let _ = node.manager.turn(Some(std::time::Duration::ZERO)).expect("a turn");
    let mut updates = 0;
    let dropped = node.wait(|node| {
        let text = node.session.next(&mut node.manager.cx())?;
        let message: Value = serde_json::from_str(&text).expect("JSON");
        updates += usize::from(message["event"] == "gaffer:event");
        message["data"]["dropped"].as_u64()
    });
    assert!(updates > 2 && updates as u64 + dropped == 50, "{updates} came, {dropped} did not");
}
