//! The nine security defects of the original, one test each: what it did wrong is tried, and does not work.
//!
//! | | the original | here |
//! |---|---|---|
//! | 1 | after the key, the next message of a channel made its client almighty | each message is judged by that key |
//! | 2 | a refused command was done all the same | it is not |
//! | 3 | `/<pid>/channel/<stream>` asked for no right, and went on after a bad key | both rights, and the end |
//! | 4 | whoever made users or keys could become an administrator | nobody gives what it has not |
//! | 5 | hashes of passwords and whole environments were shown | neither |
//! | 6 | the host of an endpoint was ignored: everything listened on all interfaces | it listens there, and a public one needs protection |
//! | 7 | every origin was echoed with credentials, preflights needed a key | none by default, and preflights are free |
//! | 8 | PBKDF2 with SHA-1, unasked plugins' sites with what they have, 500 for a `:` in a password | argon2id, sites have files only, 200 |
//! | 9 | uid, gid and detach were accepted and never applied | they are, or the job is refused |

use std::net::TcpStream;

use gaffer::access::Who;
use gaffer::process::{Exit, JobConfig, Pid, Restart, UserRef};
use gaffer::proto::frame::{Frame, Kind};
use gaffer::proto::ws::{CloseCode, Event};
use gaffer::server::{Config, HttpServer};
use serde_json::{Value, json};

use crate::keys::Guarded;
use crate::node::{Node, PATIENCE};
use crate::wsclient::Ws;

/// Kinds of keys.
const ADMIN: usize = 0;
const READER_OF_A: usize = 7;
const MAKER_OF_KEYS: usize = 8;
const MAKER_OF_USERS: usize = 9;
const POWERLESS: usize = 10;

#[test]
fn defect_1_a_message_after_the_key_makes_nobody_almighty() {
    let node = Guarded::new();
    let mut ws = Ws::new(&node.node, "/channel/websocket");
    ws.text(&format!("AUTH:{}", node.keys[POWERLESS].0));
    for _ in 0..3 {
        for (name, args) in
            [("jobs", json!([])), ("load", json!([{"name": "x", "cmd": "true"}])), ("unload", json!(["a"]))]
        {
            assert_eq!(ws.command(name, args)["error"]["errno"], 403, "{name}");
        }
        let answer = ws.say("SUB", json!({"topic": "EVENTS"}));
        assert_eq!(answer["event"], "gaffer:subscription_error");
    }
    assert!(node.node.handle.call(|cx| cx.is_loaded("a") && !cx.is_loaded("x")).expect("it runs"));
}

#[test]
fn defect_2_a_refused_command_is_not_done() {
    let node = Guarded::new();
    let mut ws = Ws::with_key(&node.node, "/channel/websocket", &node.keys[READER_OF_A].0);
    let before = node.node.handle.call(|cx| cx.process(Pid(1)).map(|p| p.os_pid)).expect("it runs").expect("there");
    for (name, args) in [
        ("unload", json!(["a"])),
        ("scale", json!(["a", 5])),
        ("kill", json!([1, 9])),
        ("stop_process", json!([1])),
        ("stop_job", json!(["a"])),
        ("send", json!([1, "x\n"])),
        ("commit", json!(["a"])),
    ] {
        assert_eq!(ws.command(name, args)["error"]["errno"], 403, "{name}");
    }
    // What a command does is done before the answer to the next one.
    let info = ws.command("info", json!(["a"]));
    assert_eq!((&info["result"]["info"]["numprocesses"], &info["result"]["info"]["running"]), (&json!(1), &json!(1)));
    let after = node.node.handle.call(|cx| cx.process(Pid(1)).map(|p| p.os_pid)).expect("it runs").expect("there");
    assert_eq!(before, after);
}

#[test]
fn defect_3_streams_of_a_process_ask_for_both_rights_and_end_after_a_bad_key() {
    let node = Guarded::new();
    let message = |body: &str| {
        let mut wire = Vec::new();
        Frame::new(Kind::Message, "1", body.as_bytes()).encode(&mut wire);
        String::from_utf8(wire).expect("text")
    };
    let reader = format!("AUTH:{}", node.keys[READER_OF_A].0);
    for (path, first) in [
        ("/1/channel/out?mode=2", reader.as_str()),
        ("/1/channel/out", reader.as_str()),
        ("/2/channel/out?mode=1", reader.as_str()),
        ("/1/channel/out?mode=1", "AUTH:nonsense"),
    ] {
        let mut ws = Ws::new(&node.node, path);
        ws.text(&message(first));
        // What comes after a bad key is heard by nobody.
        ws.text(&message("echo\n"));
        assert!(matches!(ws.next(), Some(Event::Text(text)) if text.starts_with("V1 error ")), "{path}");
        assert_eq!(ws.close_code(), Some(CloseCode::POLICY), "{path} {first}");
    }
    let mut ws = Ws::new(&node.node, "/1/channel/out?mode=1");
    ws.text(&message(&reader));
    assert!(matches!(ws.next(), Some(Event::Text(text)) if text.ends_with("\0OK")));
    ws.text(&message("echo\n"));
    assert!(matches!(ws.next(), Some(Event::Text(text)) if text.contains("403")), "it reads only");
}

#[test]
fn defect_4_nobody_becomes_more_than_it_is() {
    let node = Guarded::new();
    // A maker of users does not get an administrator's key by a new password, nor makes or becomes one.
    let (admin, reader) = (node.keys[ADMIN].1.as_str(), node.keys[3].1.as_str());
    for (method, path, body) in [
        ("PUT", "/users/root/password", json!({"password": "mine"})),
        ("PUT", "/users/root", json!({"username": "root", "password": "mine"})),
        ("PUT", "/users/bob/key", json!({"key": admin})),
        ("PUT", "/users/bob/key", json!({"key": reader})),
        ("DELETE", "/users/root", json!({})),
        ("POST", "/users", json!({"username": "eve", "password": "x", "user_type": 0})),
        ("POST", "/users", json!({"username": "eve", "password": "x", "key": admin})),
    ] {
        assert_eq!(node.with(MAKER_OF_USERS, method, path, &body.to_string()).status, 403, "{method} {path} {body}");
    }
    assert!(node.access.login("root", "secret", "here").is_ok() && node.access.login("root", "mine", "there").is_err());
    // A maker of keys gives none of these rights, nor takes or sees a key that has them.
    for right in
        [json!({"manage": ["*"]}), json!({"admin": true}), json!({"read": ["default.a"]}), json!({"create_user": true})]
    {
        let body = json!({"permissions": right}).to_string();
        assert_eq!(node.with(MAKER_OF_KEYS, "POST", "/keys", &body).status, 403, "{right}");
    }
    let body = json!({"parent": admin}).to_string();
    assert_eq!(node.with(MAKER_OF_KEYS, "POST", "/keys", &body).status, 403);
    for method in ["GET", "HEAD", "DELETE"] {
        assert_eq!(node.with(MAKER_OF_KEYS, method, &format!("/keys/{reader}"), "").status, 403, "{method}");
    }
    assert!(node.access.identify(&node.keys[3].0).is_ok());
}

#[test]
fn defect_5_neither_hashes_nor_environments_are_shown() {
    let node = Guarded::new();
    let users = ["/users/root", "/users?include_user=true", "/keys?include_keys=true"];
    for text in users.map(|path| node.with(ADMIN, "GET", path, "").text()) {
        let text = text.to_ascii_lowercase();
        assert!(!["argon2", "hash", "salt", "password", "sha256"].iter().any(|word| text.contains(word)), "{text}");
    }
    // Not even who manages a job sees the daemon's environment, only the job's own; who reads it sees neither.
    let job = JobConfig::new("inherits", "sleep 1000").expect("valid").env("SECRET", "hidden").os_env(true);
    node.node.handle.call(move |cx| cx.load(job, true).map(drop)).expect("it runs").expect("it loads");
    let inherited = std::env::var("PATH").expect("tests have one");
    for path in ["/jobs/default/inherits", "/3", "/processes/inherits"] {
        let managed = node.with(1, "GET", path, "");
        assert!(managed.status == 200 && managed.text().contains("hidden"), "{path}");
        assert!(!managed.text().contains(&inherited), "{path}");
        assert!(!node.with(3, "GET", path, "").text().contains("hidden"), "{path}");
    }
}

#[test]
fn defect_6_the_host_of_an_endpoint_is_where_it_listens() {
    let node = Node::api(Config::default());
    assert!(node.address.ip().is_loopback());
    // 127.0.0.2 is this machine too: what listens on all interfaces answers there.
    #[cfg(target_os = "linux")]
    assert!(TcpStream::connect(("127.0.0.2", node.address.port())).is_err());
    assert!(TcpStream::connect(node.address).is_ok());
    for public in ["0.0.0.0:0", "[::]:0"] {
        let Err(e) = HttpServer::bind(Config::default().endpoint(public.parse().expect("an address"))) else {
            panic!("{public} is bound without protection");
        };
        assert!(e.to_string().contains("refusing to listen at"), "{e}");
    }
}

#[test]
fn defect_7_pages_of_others_get_nothing_and_preflights_need_no_key() {
    let node = Guarded::new();
    let key = format!("X-Api-Key: {}\r\n", node.keys[ADMIN].0);
    let foreign = "Origin: http://evil.example\r\n";
    let read = node.ask("GET", "/jobs", &format!("{key}{foreign}"), "");
    for field in ["access-control-allow-origin", "access-control-allow-credentials"] {
        assert_eq!(read.field(field), None, "its browser keeps the answer back");
    }
    let changed = node.ask("POST", "/jobs/default/a/state", &format!("{key}{foreign}"), "0");
    assert_eq!((changed.status, changed.json()["error"].as_str()), (403, Some("forbidden_origin")));
    let preflight = "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-api-key\r\n";
    let answer = node.ask("OPTIONS", "/jobs/default/a", &format!("{foreign}{preflight}"), "");
    assert_eq!((answer.status, answer.field("access-control-allow-origin")), (204, None));
    // Who is allowed may send its key, by name and without credentials.
    let node = Node::api(Config::default().allow_origin("http://ui.example"));
    let mut client = node.connect();
    client.send(&format!(
        "OPTIONS /jobs/default/a HTTP/1.1\r\nHost: localhost\r\nOrigin: http://ui.example\r\n{preflight}\r\n"
    ));
    let answer = client.answer_to("OPTIONS");
    assert_eq!(answer.field("access-control-allow-origin"), Some("http://ui.example"));
    assert!(answer.field("access-control-allow-headers").is_some_and(|fields| fields.contains("X-Api-Key")));
    assert_eq!(answer.field("access-control-allow-credentials"), None);
}

#[test]
fn defect_8_passwords_are_hashed_well_and_may_have_any_character() {
    let node = Guarded::new();
    let file = std::fs::read_to_string(node.folder.join("access.json")).expect("a file");
    let file: Value = serde_json::from_str(&file).expect("JSON");
    let stored = file["users"]["bob"]["password"].to_string();
    assert!(stored.to_ascii_lowercase().contains("argon2id"), "{stored}");
    assert!(!stored.contains("b:o:b") && !file.to_string().contains(&node.keys[ADMIN].0));
    // `bob:b:o:b` in base64, and what is no base64 or no text.
    assert_eq!(node.ask("GET", "/auth", "Authorization: Basic Ym9iOmI6bzpi\r\n", "").status, 200);
    for fields in ["Basic %%%", "Basic Ym9i=", "Basic /////w==", "Basic", "Basic \u{7f}"] {
        let status = node.ask("GET", "/auth", &format!("Authorization: {fields}\r\n"), "").status;
        assert!(matches!(status, 400 | 401), "{fields}: {status}");
    }
    // Whatever a password is, it is the one.
    for password in ["a:b:c", " x ", "p\u{e9}\u{1f511}", "\"\\"] {
        let body = json!({"username": "u", "password": password}).to_string();
        assert_eq!(node.with(ADMIN, "POST", "/users", &body).status, 200, "{password}");
        assert_eq!(node.with(ADMIN, "PUT", "/users/u/key", &json!({"key": node.keys[3].1}).to_string()).status, 200);
        assert!(node.access.login("u", password, "here").is_ok(), "{password}");
        node.access.remove_user(&Who::Trusted, "u").expect("it was there");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn defect_9_who_a_job_runs_as_is_applied_or_refused() {
    let node = Node::api(Config::default());
    let output = |job: JobConfig| -> Result<String, gaffer::Error> {
        let job = job.redirect_output(["out"]).redirect_input(true).restart(Restart::Never);
        let name = job.name.as_str().to_owned();
        node.handle.call(move |cx| cx.load(job, true).map(drop)).expect("it runs")?;
        let pid = node.handle.call(move |cx| cx.pids(&name)).expect("it runs").expect("loaded")[0];
        let mut feed = node.connect();
        feed.send(&format!("GET /streams/{pid}/out?feed=continuous HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(feed.head().status, 200);
        // It tells when it is listened to.
        node.handle.call(move |cx| cx.send(pid, None, b"go\n")).expect("it runs").expect("input");
        let start = std::time::Instant::now();
        let mut all = Vec::new();
        while let Some(piece) = feed.chunk() {
            all.extend(piece);
            assert!(start.elapsed() < PATIENCE);
            if all.ends_with(b".\n") {
                break;
            }
        }
        Ok(String::from_utf8(all).expect("text"))
    };
    // The session is the fourth word behind the name (proc(5)).
    let script = r"read go; id -u; id -g; id -G; read -r line </proc/$$/stat; set -- ${line##*) }; echo $$ $4; echo .";
    let tell = |name: &str| JobConfig::new(name, script).expect("valid").shell(true).cwd("/");
    let as_is = output(tell("as-is")).expect("it runs");
    // Somebody else than whoever runs this.
    let id = if as_is.starts_with("65534\n") { 65533 } else { 65534 };
    let other = tell("other").uid(UserRef::Id(id)).gid(UserRef::Id(id));
    if as_is.starts_with("0\n") {
        let text = output(other).expect("root may");
        assert!(text.starts_with(&format!("{id}\n{id}\n{id}\n")), "{text:?}");
    } else {
        // Nobody else may: no process of it ever runs.
        let _ = node.handle.call(|cx| cx.load(other.restart(Restart::Never), true)).expect("it runs").expect("loaded");
        let start = std::time::Instant::now();
        let exit = loop {
            let info = node.handle.call(|cx| cx.info("other")).expect("it runs").expect("it is loaded");
            if let Some(last) = info.last_exit {
                break last.exit;
            }
            assert!(start.elapsed() < PATIENCE, "{info:?}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        assert!(matches!(&exit, Exit::Failed(why) if why.contains("Operation not permitted")), "{exit:?}");
    }
    let e = node.handle.call(|cx| {
        cx.load(JobConfig::new("x", "true").expect("valid").uid(UserRef::Name("nobody-of-that-name".to_owned())), true)
    });
    assert!(e.expect("it runs").is_err());
    assert!(!node.handle.call(|cx| cx.is_loaded("x")).expect("it runs"), "nothing is left");
    // One that is detached leads a session of its own.
    for (name, detach) in [("detached", true), ("attached", false)] {
        let text = output(tell(name).detach(detach)).expect("it runs");
        let (pid, session) = text.lines().nth(3).and_then(|line| line.split_once(' ')).expect("two numbers");
        assert_eq!(pid == session, detach, "{text}");
    }
}
