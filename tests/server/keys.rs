//! Who may do what: every route with every kind of key, and the security defects of the original.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use gaffer::access::{Access, NewUser, Permissions, Who};
use gaffer::process::{JobConfig, Pid};
use gaffer::proto::frame::{Frame, Kind};
use gaffer::proto::ws::{CloseCode, Event};
use gaffer::server::api::ROUTES;
use gaffer::server::{Config, Guard, HttpServer, Needs, guarded_channel, sockjs};
use serde_json::{Value, json};

use crate::node::{Answer, Node, PATIENCE};
use crate::wsclient::Ws;

pub(crate) const KINDS: [&str; 11] = [
    r#"{"admin": true}"#,
    r#"{"manage": ["*"]}"#,
    r#"{"write": ["*"]}"#,
    r#"{"read": ["*"]}"#,
    r#"{"manage": ["default"]}"#,
    r#"{"manage": ["default.a"]}"#,
    r#"{"write": ["default.a"]}"#,
    r#"{"read": ["default.a"]}"#,
    r#"{"create_key": true}"#,
    r#"{"create_user": true}"#,
    "{}",
];

/// A node that asks for keys, with the processes 1 of `a` and 2 of `b`.
pub(crate) struct Guarded {
    pub(crate) node: Node,
    pub(crate) access: Access,
    /// One of each kind, and their ids.
    pub(crate) keys: Vec<(String, String)>,
    pub(crate) audit: Arc<Mutex<Vec<String>>>,
    pub(crate) folder: PathBuf,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Guarded {
    pub(crate) fn new() -> Self {
        Self::serving(|_| ())
    }

    /// The same with more than the API.
    pub(crate) fn serving(and: impl FnOnce(&mut HttpServer)) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("gaffer-keys-{}-{n}", std::process::id()));
        let access = Access::open(folder.join("access.json")).expect("nothing there");
        let key = |rights: &str| {
            let rights: Value = serde_json::from_str(rights).expect("JSON");
            let rights = Permissions::from_json(&rights).expect("rights");
            let new = access.create_key(&Who::Trusted, rights, "", None).expect("a key");
            (new.key, new.id)
        };
        let keys: Vec<_> = KINDS.into_iter().map(key).collect();
        access.create_user(&Who::Trusted, "bob", "b:o:b", NewUser::new(1, Some(keys[10].1.clone()))).expect("bob");
        access.create_user(&Who::Trusted, "root", "secret", NewUser::new(0, Some(keys[0].1.clone()))).expect("root");
        let audit = Arc::<Mutex<Vec<String>>>::default();
        let lines = audit.clone();
        let guard = Guard::new(access.clone()).on_audit(move |line| lines.lock().expect("fine").push(line.to_string()));
        let node = Node::serving(Config::default(), |server| {
            server.routes(ROUTES).expect("valid routes");
            let channel = guard.clone();
            let factory = move |request: &gaffer::server::Request| guarded_channel(&channel, request);
            server.sockjs("/channel", sockjs::Config::default(), factory).expect("a service");
            server.guard(guard);
            and(server);
        });
        for name in ["a", "b"] {
            let job = JobConfig::new(name, "cat").expect("valid").env("SECRET", "hidden");
            let job = job.redirect_input(true).redirect_output(["out"]);
            node.handle.call(move |cx| cx.load(job, true).map(drop)).expect("it runs").expect("it loads");
        }
        let start = Instant::now();
        let started = || node.handle.call(|cx| (1..3).all(|n| cx.process(Pid(n)).is_ok_and(|p| p.os_pid.is_some())));
        while !started().expect("it runs") {
            assert!(start.elapsed() < PATIENCE, "they do not start");
        }
        Self { node, access, keys, audit, folder }
    }

    pub(crate) fn ask(&self, method: &str, path: &str, fields: &str, body: &str) -> Answer {
        let mut client = self.node.connect();
        let length = body.len();
        client.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
        ));
        client.answer_to(method)
    }

    pub(crate) fn with(&self, kind: usize, method: &str, path: &str, body: &str) -> Answer {
        self.ask(method, path, &format!("X-Api-Key: {}\r\n", self.keys[kind].0), body)
    }
}

#[test]
fn the_matrix() {
    let node = Guarded::new();
    let other = format!("/keys/{}", node.keys[7].1);
    // What each kind of key gets, in the order of `KINDS`.
    let rows: &[(&str, &str, &str, [u16; 11])] = &[
        ("GET", "/pids", "", [200, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        ("GET", "/sessions", "", [200, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        ("GET", "/jobs", "", [200, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        ("GET", "/jobs/default", "", [200, 200, 403, 403, 200, 403, 403, 403, 403, 403, 403]),
        ("GET", "/jobs/nosession", "", [404, 404, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        ("GET", "/jobs/default/a", "", [200, 200, 200, 200, 200, 200, 200, 200, 403, 403, 403]),
        ("HEAD", "/jobs/default/a", "", [200, 200, 200, 200, 200, 200, 200, 200, 403, 403, 403]),
        ("GET", "/jobs/default/b", "", [200, 200, 200, 200, 200, 403, 403, 403, 403, 403, 403]),
        ("GET", "/jobs/default/a/stats", "", [200, 200, 200, 200, 200, 200, 200, 200, 403, 403, 403]),
        ("GET", "/jobs/default/a/numprocesses", "", [200, 200, 200, 200, 200, 200, 200, 200, 403, 403, 403]),
        ("GET", "/jobs/default/a/pids", "", [200, 200, 200, 200, 200, 200, 200, 200, 403, 403, 403]),
        ("GET", "/jobs/default/a/state", "", [200, 200, 200, 200, 200, 200, 200, 200, 403, 403, 403]),
        (
            "POST",
            "/jobs/default/a/numprocesses",
            r#"{"scale":"=1"}"#,
            [200, 200, 403, 403, 200, 200, 403, 403, 403, 403, 403],
        ),
        ("POST", "/jobs/default/a/state", "1", [202, 202, 403, 403, 202, 202, 403, 403, 403, 403, 403]),
        ("POST", "/jobs/default/a/commit", "junk", [400, 400, 403, 403, 400, 403, 403, 403, 403, 403, 403]),
        (
            "POST",
            "/jobs/default/a/signal",
            r#"{"signal":"cont"}"#,
            [202, 202, 403, 403, 202, 202, 403, 403, 403, 403, 403],
        ),
        ("PUT", "/jobs/default/a", "junk", [400, 400, 403, 403, 400, 400, 403, 403, 403, 403, 403]),
        ("POST", "/jobs/default", "junk", [400, 400, 403, 403, 400, 403, 403, 403, 403, 403, 403]),
        ("DELETE", "/jobs/default/nope", "", [404, 404, 403, 403, 404, 403, 403, 403, 403, 403, 403]),
        ("GET", "/1", "", [200, 200, 200, 200, 200, 200, 200, 200, 403, 403, 403]),
        ("HEAD", "/1", "", [200, 200, 200, 200, 200, 200, 200, 200, 403, 403, 403]),
        ("GET", "/2", "", [200, 200, 200, 200, 200, 403, 403, 403, 403, 403, 403]),
        ("GET", "/1/stats", "", [200, 200, 200, 200, 200, 200, 200, 200, 403, 403, 403]),
        ("POST", "/1/signal", r#"{"signal":"cont"}"#, [202, 202, 403, 403, 202, 202, 403, 403, 403, 403, 403]),
        ("DELETE", "/999", "", [404, 404, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        ("GET", "/999", "", [404, 404, 404, 404, 403, 403, 403, 403, 403, 403, 403]),
        ("GET", "/processes", "", [200, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        ("GET", "/processes/a", "", [200, 200, 200, 200, 200, 200, 200, 200, 403, 403, 403]),
        ("GET", "/processes/2", "", [200, 200, 200, 200, 200, 403, 403, 403, 403, 403, 403]),
        ("POST", "/processes", "junk", [400, 400, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        ("POST", "/processes", r#"{"name":"a","cmd":"x"}"#, [409, 409, 403, 403, 409, 403, 403, 403, 403, 403, 403]),
        ("POST", "/processes/a/_start", "", [200, 200, 403, 403, 200, 200, 403, 403, 403, 403, 403]),
        ("GET", "/status", "", [200, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        ("GET", "/status/a", "", [200, 200, 200, 200, 200, 200, 200, 200, 403, 403, 403]),
        ("GET", "/groups/default", "", [200, 200, 403, 403, 200, 403, 403, 403, 403, 403, 403]),
        ("GET", "/stats", "", [200, 200, 200, 200, 403, 403, 403, 403, 403, 403, 403]),
        ("GET", "/stats/a", "", [200, 200, 200, 200, 200, 200, 200, 200, 403, 403, 403]),
        ("GET", "/metrics", "", [200, 200, 200, 200, 403, 403, 403, 403, 403, 403, 403]),
        ("POST", "/streams/1/stdin", "x", [200, 200, 200, 403, 200, 200, 200, 403, 403, 403, 403]),
        ("GET", "/wstreams/1", "", [426, 426, 426, 403, 426, 426, 426, 403, 403, 403, 403]),
        ("GET", "/keys", "", [200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        ("POST", "/keys", "junk", [400, 403, 403, 403, 403, 403, 403, 403, 400, 403, 403]),
        ("POST", "/keys", r#"{"permissions":{"admin":true}}"#, [200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        (
            "POST",
            "/keys",
            r#"{"permissions":{"manage":["*"]}}"#,
            [200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403],
        ),
        ("POST", "/keys", "{}", [200, 403, 403, 403, 403, 403, 403, 403, 200, 403, 403]),
        ("POST", "/keys", "[]", [400, 403, 403, 403, 403, 403, 403, 403, 400, 403, 403]),
        ("GET", &other, "", [200, 403, 403, 403, 403, 403, 403, 200, 403, 403, 403]),
        ("GET", "/keys/self", "", [200; 11]),
        ("HEAD", "/keys/self", "", [200; 11]),
        ("HEAD", "/keys/nope", "", [404, 403, 403, 403, 403, 403, 403, 403, 404, 403, 403]),
        ("DELETE", "/keys/nope", "", [404, 403, 403, 403, 403, 403, 403, 403, 404, 403, 403]),
        ("GET", "/users", "", [200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        ("GET", "/users?include_user=true", "", [200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        ("POST", "/users", "junk", [400, 403, 403, 403, 403, 403, 403, 403, 403, 400, 403]),
        (
            "POST",
            "/users",
            r#"{"username":"new","password":"p","user_type":0}"#,
            [200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403],
        ),
        ("GET", "/users/bob", "", [200, 403, 403, 403, 403, 403, 403, 403, 403, 200, 200]),
        ("HEAD", "/users/bob", "", [200, 403, 403, 403, 403, 403, 403, 403, 403, 200, 200]),
        ("GET", "/users/nobody", "", [404, 403, 403, 403, 403, 403, 403, 403, 403, 404, 403]),
        ("HEAD", "/users/nobody", "", [404, 403, 403, 403, 403, 403, 403, 403, 403, 404, 403]),
        ("PUT", "/users/bob", r#"{"x":1}"#, [400, 403, 403, 403, 403, 403, 403, 403, 403, 400, 400]),
        ("PUT", "/users/nobody", r#"{"password":"p"}"#, [404, 403, 403, 403, 403, 403, 403, 403, 403, 404, 403]),
        ("PUT", "/users/bob/password", r#"{"y":1}"#, [400, 403, 403, 403, 403, 403, 403, 403, 403, 400, 400]),
        ("PUT", "/users/bob/key", r#"{"y":1}"#, [400, 403, 403, 403, 403, 403, 403, 403, 403, 400, 400]),
        ("PUT", "/users/bob/key", "{", [400, 403, 403, 403, 403, 403, 403, 403, 403, 400, 400]),
        ("DELETE", "/users/nobody", "", [404, 403, 403, 403, 403, 403, 403, 403, 403, 404, 403]),
        ("GET", "/", "", [200; 11]),
        ("GET", "/version", "", [200; 11]),
        ("GET", "/ping", "", [200; 11]),
        ("GET", "/openapi.json", "", [200; 11]),
        ("GET", "/healthz", "", [200; 11]),
        ("GET", "/readyz", "", [200, 200, 200, 200, 403, 403, 403, 403, 403, 403, 403]),
        ("GET", "/channel/websocket", "", [426; 11]),
        ("GET", "/1/channel", "", [426, 426, 426, 403, 426, 426, 426, 403, 403, 403, 403]),
        ("GET", "/1/channel/out?mode=1", "", [426, 426, 426, 426, 426, 426, 426, 426, 403, 403, 403]),
        ("PUT", "/processes/a", "junk", [400, 400, 403, 403, 400, 400, 403, 403, 403, 403, 403]),
        ("DELETE", "/processes/nope", "", [404, 404, 403, 403, 404, 403, 403, 403, 403, 403, 403]),
        ("GET", "/processes/a/_pids", "", [200, 200, 200, 200, 200, 200, 200, 200, 403, 403, 403]),
        ("POST", "/processes/nope/_stop", "", [404, 404, 403, 403, 404, 403, 403, 403, 403, 403, 403]),
        ("POST", "/processes/nope/_restart", "", [404, 404, 403, 403, 404, 403, 403, 403, 403, 403, 403]),
        ("POST", "/processes/nope/_add", "", [404, 404, 403, 403, 404, 403, 403, 403, 403, 403, 403]),
        ("POST", "/processes/nope/_sub", "", [404, 404, 403, 403, 404, 403, 403, 403, 403, 403, 403]),
        ("POST", "/processes/a/_add/x", "", [400, 400, 403, 403, 400, 400, 403, 403, 403, 403, 403]),
        ("POST", "/processes/a/_sub/x", "", [400, 400, 403, 403, 400, 400, 403, 403, 403, 403, 403]),
        ("POST", "/processes/a/_signal", "junk", [400, 400, 403, 403, 400, 400, 403, 403, 403, 403, 403]),
        ("POST", "/processes/a/_signal/cont", "", [200, 200, 403, 403, 200, 200, 403, 403, 403, 403, 403]),
        ("GET", "/groups", "", [200, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        ("DELETE", "/groups/nosession", "", [404, 404, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        ("POST", "/groups/default/_start", "", [200, 200, 403, 403, 200, 403, 403, 403, 403, 403, 403]),
        ("POST", "/groups/nosession/_stop", "", [404, 404, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        ("POST", "/groups/nosession/_restart", "", [404, 404, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        ("GET", "/stats/a/1", "", [200, 200, 200, 200, 200, 200, 200, 200, 403, 403, 403]),
        // A feed that is none is refused to those who may have one.
        ("GET", "/watch?feed=x", "", [400, 400, 400, 400, 403, 403, 403, 403, 403, 403, 403]),
        ("GET", "/watch/exit?feed=x", "", [400, 400, 400, 400, 403, 403, 403, 403, 403, 403, 403]),
        ("GET", "/logs", "", [501, 501, 501, 501, 403, 403, 403, 403, 403, 403, 403]),
        ("GET", "/streams/1/out?feed=x", "", [400, 400, 400, 400, 400, 400, 400, 400, 403, 403, 403]),
        ("GET", "/auth", "", [401; 11]),
        ("GET", "/_plugin/x/y", "", [404; 11]),
        #[cfg(feature = "webhooks")]
        ("GET", "/webhooks", "", [501, 501, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        #[cfg(feature = "webhooks")]
        ("POST", "/webhooks", "junk", [501, 501, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
        #[cfg(feature = "webhooks")]
        ("DELETE", "/webhooks/1", "", [501, 501, 403, 403, 403, 403, 403, 403, 403, 403, 403]),
    ];
    for route in ROUTES {
        let has_row = rows.iter().any(|(method, path, ..)| *method == route.method && fits(route.pattern, path));
        assert!(has_row, "{route:?} has no row");
    }
    let mut wrong = Vec::new();
    for (method, path, body, wanted) in rows {
        for (kind, want) in wanted.iter().enumerate() {
            let got = node.with(kind, method, path, body).status;
            if got != *want {
                wrong.push(format!("{method} {path} {body} with {}: {got}, not {want}", KINDS[kind]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a path is one of a pattern.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut segments, mut words) = (path.split('?').next().unwrap_or_default().split('/'), pattern.split('/'));
    loop {
        match (words.next(), segments.next()) {
            (None, None) => return true,
            (Some(word), Some(_)) if word.starts_with('*') => return true,
            (Some(":pid"), Some(segment)) if segment.bytes().all(|b| b.is_ascii_digit()) => {}
            (Some(word), Some(_)) if word != ":pid" && word.starts_with(':') => {}
            (Some(word), Some(segment)) if word == segment => {}
            _ => return false,
        }
    }
}

#[test]
fn every_route_asks() {
    let node = Guarded::new();
    for route in ROUTES {
        let path: String = route
            .pattern
            .split('/')
            .skip(1)
            .map(|segment| match segment.strip_prefix([':', '*']) {
                Some("pid") => "/1".to_owned(),
                Some("session" | "group") => "/default".to_owned(),
                Some("name") => "/a".to_owned(),
                Some(_) => "/x".to_owned(),
                None => format!("/{segment}"),
            })
            .collect();
        // Bad on purpose: whoever is let in by mistake does no harm.
        let body = if route.method == "GET" { "" } else { "junk" };
        let nobody = node.ask(route.method, &path, "", body);
        let powerless = node.with(10, route.method, &path, body).status;
        let unknown = node.ask(route.method, &path, "X-Api-Key: 00000000000000000000000000000000\r\n", body).status;
        match route.needs {
            Needs::Nothing if path == "/auth" => assert_eq!((nobody.status, powerless, unknown), (401, 401, 401)),
            Needs::Nothing => assert_eq!((nobody.status, powerless, unknown), (200, 200, 200), "{route:?}"),
            Needs::Handler if path.starts_with("/_plugin") => {
                assert_eq!((nobody.status, powerless, unknown), (404, 404, 403), "there are no sites here");
            }
            Needs::Handler => assert_eq!((nobody.status, unknown), (426, 403), "{route:?}"),
            _ => {
                assert_eq!((nobody.status, unknown), (401, 403), "{route:?}");
                assert_eq!(nobody.field("www-authenticate"), Some("Bearer"), "{route:?}");
                assert!(powerless == 403 || route.needs == Needs::Key, "{route:?}: {powerless}");
            }
        }
        let error = nobody.json_or_null();
        assert!(nobody.status == 200 || error["errno"] == nobody.status, "{route:?}: {error}");
    }
}

impl Answer {
    fn json_or_null(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

#[test]
fn keys_come_in_two_fields_and_preflights_need_none() {
    let node = Guarded::new();
    let key = &node.keys[3].0;
    for fields in [format!("x-api-key: {key}\r\n"), format!("Authorization: bearer  {key}\r\n")] {
        assert_eq!(node.ask("GET", "/jobs/default/a", &fields, "").status, 200, "{fields}");
    }
    for fields in [format!("Authorization: Basic {key}\r\n"), "Authorization: Bearer\r\n".to_owned()] {
        assert_eq!(node.ask("GET", "/jobs/default/a", &fields, "").status, 401, "{fields}");
    }
    let preflight = "Origin: http://x.example\r\nAccess-Control-Request-Method: GET\r\n";
    assert_eq!(node.ask("OPTIONS", "/jobs/default/a", preflight, "").status, 204);
}

#[test]
fn environments_are_for_those_who_manage() {
    let node = Guarded::new();
    for path in ["/jobs/default/a", "/1", "/processes/a"] {
        assert!(node.with(5, "GET", path, "").text().contains("hidden"), "{path}");
        for kind in [2, 3, 6, 7] {
            assert!(!node.with(kind, "GET", path, "").text().contains("hidden"), "{path}");
        }
    }
}

#[test]
fn passwords_give_keys_and_guessing_takes_long() {
    let node = Guarded::new();
    let basic = |text: &str| {
        // `bob:b:o:b`, `root:wrong` and the like; base64 by hand would be a test of its own.
        let known =
            [("bob:b:o:b", "Ym9iOmI6bzpi"), ("root:wrong", "cm9vdDp3cm9uZw=="), ("root:secret", "cm9vdDpzZWNyZXQ=")];
        known
            .iter()
            .find(|(plain, _)| *plain == text)
            .map(|(_, coded)| format!("Authorization: Basic {coded}\r\n"))
            .expect("known")
    };
    let answer = node.ask("GET", "/auth", &basic("bob:b:o:b"), "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let key = answer.json()["api_key"].as_str().expect("a key").to_owned();
    assert_eq!(answer.field("x-api-key"), Some(&*key));
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    let own = node.ask("GET", "/users/bob", &format!("X-Api-Key: {key}\r\n"), "");
    assert_eq!(own.json(), json!({"username": "bob", "user_type": 1, "key": node.keys[10].1}));
    for fields in ["", "Authorization: Basic %%%\r\n", "Authorization: Basic Ym9i\r\n", "Authorization: Digest x\r\n"] {
        let answer = node.ask("GET", "/auth", fields, "");
        assert_eq!(answer.status, 401, "{fields}");
        assert!(answer.field("www-authenticate").is_some_and(|field| field.starts_with("Basic")));
    }
    let answers: Vec<u16> = (0..6).map(|_| node.ask("GET", "/auth", &basic("root:wrong"), "").status).collect();
    assert_eq!(answers, [401, 401, 401, 401, 401, 401]);
    let late = node.ask("GET", "/auth", &basic("root:secret"), "");
    assert_eq!((late.status, late.field("retry-after")), (429, Some("1")));
    let lines = node.audit.lock().expect("fine");
    assert!(lines.iter().any(|line| line.starts_with("refused nobody: login of root from 127.0.0.1")), "{lines:#?}");
}

#[test]
fn no_key_is_ever_shown_or_logged() {
    let node = Guarded::new();
    let created = node.with(0, "POST", "/keys", r#"{"permissions": {"read": ["*"]}, "label": "x", "key": "mine"}"#);
    let (key, id) = (created.json()["api_key"].clone(), created.json()["key"].clone());
    assert_eq!(created.field("location"), Some(&*format!("/keys/{}", id.as_str().expect("an id"))));
    let shown = [
        node.with(0, "GET", "/keys?include_keys=true", "").text(),
        node.with(0, "GET", "/keys/self?include_keys=true", "").text(),
        node.with(0, "GET", "/users?include_user=true", "").text(),
        node.audit.lock().expect("fine").join("\n"),
    ]
    .join("\n");
    assert!(shown.contains(id.as_str().expect("an id")));
    assert!(!shown.contains(key.as_str().expect("a key")), "{shown}");
    for (secret, _) in &node.keys {
        assert!(!shown.contains(secret.as_str()), "{shown}");
    }
    for word in ["hash", "salt", "argon2", "sha256", "password"] {
        assert!(!shown.contains(word), "{word}: {shown}");
    }
    // A key that is removed is no key any more, whoever holds it.
    let path = format!("/keys/{}", id.as_str().expect("an id"));
    let field = format!("X-Api-Key: {}\r\n", key.as_str().expect("a key"));
    assert_eq!(node.ask("GET", "/jobs/default/a", &field, "").status, 200);
    assert_eq!(node.with(0, "DELETE", &path, "").status, 200);
    assert_eq!(node.ask("GET", "/jobs/default/a", &field, "").status, 403);
    assert_eq!(node.with(0, "DELETE", &path, "").status, 404);
}

#[test]
fn without_require_key_there_are_neither_keys_nor_users() {
    let node = Node::api(Config::default());
    for path in ["/auth", "/keys", "/keys/x", "/users", "/users/x"] {
        let answer = node.ask("GET", path);
        assert_eq!((answer.status, answer.json()["error"].as_str()), (404, Some("not_found")), "{path}");
    }
}

#[test]
fn the_channel_asks_message_by_message() {
    let node = Guarded::new();
    let mut ws = Ws::new(&node.node, "/channel/websocket");
    // Defects 1 and 2 of the original: nothing before a key, nothing after a bad one, nothing after a weak one.
    let refused = |ws: &mut Ws, errno: u16| {
        for (name, args) in [
            ("jobs", json!([])),
            ("load", json!([{"name": "evil", "cmd": "true"}])),
            ("unload", json!(["a"])),
            ("kill", json!([1, 9])),
            ("kill", json!([999, 9])),
            ("send", json!([1, "x"])),
            ("fly", json!([])),
        ] {
            assert_eq!(ws.command(name, args)["error"]["errno"], errno, "{name}");
        }
        for topic in ["EVENTS", "JOB:a", "STATS", "STATS:1", "STREAM:1", "PROCESS:1", "STREAM:999", "X"] {
            let answer = ws.say("SUB", json!({"topic": topic}));
            assert_eq!(
                (&answer["event"], &answer["data"]["errno"]),
                (&json!("gaffer:subscription_error"), &json!(errno))
            );
        }
        assert!(!node.node.handle.call(|cx| cx.is_loaded("evil") || !cx.is_loaded("a")).expect("it runs"));
    };
    refused(&mut ws, 401);
    ws.text("AUTH:nonsense");
    assert_eq!(ws.json()["data"]["error"], "forbidden");
    refused(&mut ws, 401);
    ws.text(&format!("AUTH:{}", node.keys[10].0));
    refused(&mut ws, 403);
    // One that reads a job reads that one only, without its environment.
    let key = &node.keys[7].0;
    ws.text(&json!({"event": "AUTH", "data": {"key": key}}).to_string());
    let info = ws.command("info", json!(["a"]));
    assert_eq!((&info["result"]["info"]["name"], info.to_string().contains("hidden")), (&json!("default.a"), false));
    assert_eq!(ws.command("info", json!(["b"]))["error"]["errno"], 403);
    assert_eq!(ws.command("process_info", json!([2]))["error"]["errno"], 403);
    assert_eq!(ws.command("stop_process", json!([1]))["error"]["errno"], 403);
    ws.subscribe("JOB:a");
    ws.text(&format!("AUTH:{}", node.keys[4].0));
    assert!(ws.command("info", json!(["a"])).to_string().contains("hidden"));
    let job = json!({"name": "c", "cmd": "true", "start": false});
    assert_eq!(ws.command("load", json!([job]))["result"], json!({"ok": true}));
    let job = json!({"name": "shop.c", "cmd": "true", "start": false});
    assert_eq!(ws.command("load", json!([job]))["error"]["errno"], 403);
    let lines = node.audit.lock().expect("fine");
    assert!(lines.iter().any(|line| line.contains("allowed") && line.contains("load on default")), "{lines:#?}");
    assert!(!lines.iter().any(|line| node.keys.iter().any(|(key, _)| line.contains(key.as_str()))));
}

#[test]
fn sessions_of_sockjs_ask_too() {
    let node = Guarded::new();
    let say = |message: Value| {
        let body = json!([message.to_string()]).to_string();
        assert_eq!(node.ask("POST", "/channel/0/abcd/xhr_send", "", &body).status, 204);
        node.ask("POST", "/channel/0/abcd/xhr", "", "").text()
    };
    assert_eq!(node.ask("POST", "/channel/0/abcd/xhr", "", "").text(), "o\n");
    let unload = json!({"event": "CMD", "data": {"identity": 1, "name": "unload", "args": ["a"]}});
    assert!(say(unload.clone()).contains("401"));
    let key = json!(["AUTH:".to_owned() + &node.keys[7].0]).to_string();
    assert_eq!(node.ask("POST", "/channel/0/abcd/xhr_send", "", &key).status, 204);
    assert!(say(unload).contains("403"));
    assert!(node.node.handle.call(|cx| cx.is_loaded("a")).expect("it runs"));
    // One with a key in its request needs no message; a bad key has no session.
    let field = format!("X-Api-Key: {}\r\n", node.keys[0].0);
    assert_eq!(node.ask("POST", "/channel/0/admin/xhr", &field, "").status, 200);
    let jobs = json!([json!({"event": "CMD", "data": {"identity": 1, "name": "jobs"}}).to_string()]).to_string();
    assert_eq!(node.ask("POST", "/channel/0/admin/xhr_send", "", &jobs).status, 204);
    assert!(node.ask("POST", "/channel/0/admin/xhr", "", "").text().contains("default.a"));
    assert_eq!(node.ask("POST", "/channel/0/bad/xhr", "X-Api-Key: x\r\n", "").status, 403);
}

#[test]
fn streams_of_a_process_ask_too() {
    let node = Guarded::new();
    let message = |body: &str| {
        let mut wire = Vec::new();
        Frame::new(Kind::Message, "1", body.as_bytes()).encode(&mut wire);
        String::from_utf8(wire).expect("text")
    };
    let answer = |ws: &mut Ws| match ws.next() {
        Some(Event::Text(text)) => {
            let frame = Frame::decode(text.as_bytes()).expect("a frame");
            (frame.kind, String::from_utf8_lossy(frame.body).into_owned())
        }
        other => panic!("{other:?}"),
    };
    let (weak, other) = (&node.keys[7].0, &node.keys[10].0);
    // Reading is not writing, another's process is nobody's business, and no message is none.
    for (path, first, errno) in [
        ("/1/channel", "input\n".to_owned(), 401),
        ("/1/channel", format!("AUTH:{other}"), 403),
        ("/1/channel", format!("AUTH:{weak}"), 403),
        ("/1/channel/stdin?mode=2", format!("AUTH:{weak}"), 403),
        ("/2/channel?mode=1", format!("AUTH:{weak}"), 403),
        ("/999/channel?mode=1", format!("AUTH:{weak}"), 403),
        ("/1/channel", "AUTH:nonsense".to_owned(), 403),
    ] {
        let mut ws = Ws::new(&node.node, path);
        ws.text(&message(&first));
        let (kind, body) = answer(&mut ws);
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((kind, &body["errno"]), (Kind::Error, &json!(errno)), "{path} {first}");
        assert_eq!(ws.close_code(), Some(CloseCode::POLICY), "{path} {first}");
    }
    let mut ws = Ws::new(&node.node, "/1/channel");
    ws.text(&message(&format!("AUTH:{}", node.keys[6].0)));
    assert_eq!(answer(&mut ws), (Kind::Response, "OK".to_owned()));
    ws.text(&message("hello\n"));
    assert_eq!(answer(&mut ws), (Kind::Response, "OK".to_owned()));
    assert_eq!(answer(&mut ws), (Kind::Message, "hello\n".to_owned()));
}
