//! Whatever is asked, by whomever: never a 500, never a panic, never somebody else's secret.

use std::collections::HashSet;

use gaffer::access::{Permissions, Who};
use gaffer::server::api::ROUTES;
use serde_json::{Value, json};

use crate::keys::{Guarded, KINDS};
use crate::node::Answer;

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "X-Y"];

/// Of a path, a query, or a member.
const WORDS: &[&str] = &[
    "a",
    "b",
    "default",
    "default.a",
    "default:b",
    "shop",
    "shop.web",
    "1",
    "2",
    "3",
    "999",
    "-1",
    "0",
    "0x1",
    "1.5",
    "",
    "99999999999999999999999",
    "18446744073709551615",
    "true",
    "false",
    "self",
    "bob",
    "root",
    "nobody",
    "out",
    "err",
    "stdin",
    "ttin",
    "exit",
    ".",
    "..",
    "%2e%2e",
    "%00",
    "%",
    "%zz",
    "%ff",
    "%2f",
    "a%20b",
    "%C3%A9",
    "*",
    "a*",
    "proc",
    "TERM",
    "sigkill",
    "9",
    "64",
    "65",
    "continuous",
    "eventsource",
    "longpoll",
    "normal",
    "a.b.c",
    "a:b:c",
    "admin",
    "__proto__",
    "<script>",
    "'",
    "\"",
    "\\",
    "{}",
    "[]",
    "console",
    "NaN",
    "1e400",
    "\u{1f511}",
];

/// Of a query.
const NAMES: &[&str] = &[
    "feed",
    "heartbeat",
    "interval",
    "mode",
    "job",
    "pid",
    "label",
    "stderr",
    "n",
    "since",
    "running",
    "include_keys",
    "include_user",
    "api_key",
    "",
    "x",
];

/// Of an object in a content.
const MEMBERS: &[&str] = &[
    "name",
    "cmd",
    "args",
    "numprocesses",
    "start",
    "env",
    "flapping",
    "redirect_output",
    "redirect_input",
    "shell",
    "custom_streams",
    "uid",
    "gid",
    "detach",
    "cwd",
    "graceful_timeout",
    "stop_signal",
    "restart",
    "backoff",
    "os_env",
    "scale",
    "signal",
    "permissions",
    "label",
    "parent",
    "key",
    "username",
    "user_type",
    "password",
    "event",
    "url",
    "x",
];

/// What may run: nothing that does anything.
const COMMANDS: &[&str] =
    &["true", "cat", "sleep 1000", "/nonexistent/program", "", "'", "$NO_SUCH", "true $HOME", "\0"];

fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(12) {
        0 => Value::Null,
        1 => random.one_in(2).into(),
        // Few processes, whatever it is the number of.
        2 => json!(random.below(4)),
        3 => json!(-(random.below(9) as i64)),
        4 => json!(random.below(4) as f64 / 4.0),
        5 => random.pick(&["=1", "+1", "-1", "1", "=x", "++1", "=-1", "+", "é"]).into(),
        6 if depth > 0 => (0..random.below(4)).map(|_| value(random, depth - 1)).collect(),
        7 if depth > 0 => object(random, depth - 1),
        8 => json!({"read": ["*"], "manage": [random.pick(WORDS)], "admin": random.one_in(2)}),
        9 => json!({"attempts": 1, "window": 1, "retry_in": random.below(3), "max_retry": 1}),
        _ => random.pick(WORDS).into(),
    }
}

fn object(random: &mut Random, depth: usize) -> Value {
    let mut members = serde_json::Map::new();
    for _ in 0..random.below(6) {
        let name = random.pick(MEMBERS);
        let value = match name {
            "cmd" => random.pick(COMMANDS).into(),
            // What is left of a command, and where it would write.
            "args" | "cwd" => random.pick(&["/nonexistent", ""]).into(),
            // A hash takes its time here.
            "password" if !random.one_in(8) => value(random, 0).as_str().map_or(json!(1), |_| json!("")),
            _ => value(random, depth),
        };
        members.insert(name.to_owned(), value);
    }
    members.into()
}

fn body(random: &mut Random) -> String {
    match random.below(8) {
        0 => String::new(),
        1 => random.pick(WORDS).to_owned(),
        2 => "[".repeat(random.below(300)),
        3 => random.pick(&["0", "1", "2", "\"1\"", "null", "[]", "{", "\u{0}", "{\"scale\": 1e999}"]).to_owned(),
        4 => {
            let name = random.pick(WORDS);
            json!({"name": name, "cmd": random.pick(COMMANDS), "start": random.one_in(2)}).to_string()
        }
        _ => object(random, 2).to_string(),
    }
}

fn target(random: &mut Random, keys: &[(String, String)]) -> String {
    let route = ROUTES[random.below(ROUTES.len())];
    let word = |random: &mut Random| match random.below(30) {
        0 => keys[random.below(keys.len())].0.clone(),
        1 => keys[random.below(keys.len())].1.clone(),
        2 => "x".repeat(random.below(3000)),
        _ => random.pick(WORDS).to_owned(),
    };
    let mut path = String::new();
    for segment in route.pattern.split('/').skip(1) {
        path.push('/');
        path += &match segment.strip_prefix([':', '*']) {
            Some("pid") if !random.one_in(4) => random.pick(&["1", "2", "3", "7", "99999999999999999999"]).to_owned(),
            // Few processes more.
            Some("n") => random.pick(&["0", "1", "-1", "x", "1.5", "99999999999999999999999"]).to_owned(),
            Some("name" | "session") if !random.one_in(3) => random.pick(&["a", "b", "default", "shop"]).to_owned(),
            Some(_) => word(random),
            None if random.one_in(40) => word(random),
            None => segment.to_owned(),
        };
    }
    if random.one_in(12) {
        path = format!(
            "/channel/{}/{}/{}",
            word(random),
            word(random),
            random.pick(&["xhr", "jsonp", "xhr_send", "websocket"])
        );
    }
    for n in 0..random.below(3) {
        path += if n == 0 { "?" } else { "&" };
        path += random.pick(NAMES);
        path += random.pick(&["=", "", "=="]);
        path += &word(random);
    }
    path.retain(|c| c != ' ');
    path
}

/// Reads the answer; of what goes on, the head alone.
fn ask(node: &Guarded, request: &str, method: &str) -> Answer {
    let mut client = node.node.connect();
    client.send(request);
    let head = client.head();
    if head.status == 101 || head.field("transfer-encoding").is_some() || matches!(method, "HEAD") {
        return head;
    }
    let length: usize = head.field("content-length").map_or(0, |text| text.parse().expect("a number"));
    while client.input.len() < length && client.more() {}
    Answer { body: std::mem::take(&mut client.input), ..head }
}

#[test]
fn nothing_is_a_500_and_nothing_tells_a_secret() {
    let seed = std::env::var("GAFFER_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64)
    });
    eprintln!("GAFFER_SEED={seed}");
    let mut random = Random(seed);
    let mut node = Guarded::new();
    let file = std::fs::read_to_string(node.folder.join("access.json")).expect("a file");
    let mut secrets: HashSet<String> = node.keys.iter().map(|(key, _)| key.clone()).collect();
    // Hashes and salts: what has more hexadecimal digits than an id.
    secrets.extend(file.split('"').filter(|word| word.len() >= 32).map(str::to_owned));
    let mut seen = HashSet::new();
    for n in 0..1500 {
        let kind = random.below(KINDS.len() + 2);
        if let Some((_, id)) = node.keys.get(kind).filter(|(_, id)| !node.access.is_somebody(&Who::Key(id.clone()))) {
            // It was removed, which is fine; there shall be one that is good.
            let id = id.clone();
            let rights = serde_json::from_str(KINDS[kind]).map(|value: Value| Permissions::from_json(&value));
            let new = node.access.create_key(&Who::Trusted, rights.expect("JSON").expect("rights"), "", None);
            let new = new.unwrap_or_else(|e| panic!("{id}: {e}"));
            secrets.insert(new.key.clone());
            node.keys[kind] = (new.key, new.id);
        }
        let (method, target, body) = (random.pick(METHODS), target(&mut random, &node.keys), body(&mut random));
        // The route's own method is the one that gets far.
        let path = target.split('?').next().unwrap_or_default();
        let own = ROUTES.iter().find(|route| {
            let mut pairs = route.pattern.split('/').zip(path.split('/'));
            route.pattern.split('/').count() == path.split('/').count()
                && pairs.all(|(pattern, segment)| pattern.starts_with(':') || pattern == segment)
        });
        let method = own.filter(|_| !random.one_in(4)).map_or(method, |route| route.method);
        let mut fields = match node.keys.get(kind) {
            Some((key, _)) if random.one_in(2) => format!("Authorization: Bearer {key}\r\n"),
            Some((key, _)) => format!("X-Api-Key: {key}\r\n"),
            None if kind == KINDS.len() => String::new(),
            None => {
                random.pick(&["X-Api-Key: nonsense\r\n", "X-Api-Key: é\r\n", "Authorization: Basic !\r\n"]).to_owned()
            }
        };
        if random.one_in(10) {
            fields += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
        }
        let length = body.len();
        let request =
            format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {length}\r\n\r\n{body}");
        let answer = ask(&node, &request, method);
        let about = || format!("seed {seed}, request {n}:\n{request}\n\n{}{}", answer.head, answer.text());
        seen.insert(answer.status);
        // SockJS says so what is no payload and no callback.
        let is_sockjs =
            path.starts_with("/channel/") && answer.field("content-type").is_some_and(|t| t.starts_with("text/plain"));
        assert!(answer.status != 500 || is_sockjs, "{}", about());
        let all = format!("{}{}", answer.head, answer.text());
        for secret in &secrets {
            // What somebody has written into a URL comes back to that one.
            let is_told = all.contains(secret.as_str()) && !target.contains(secret.as_str());
            assert!(!is_told, "{secret}: {}", about());
        }
        assert!(!all.contains("hidden") || matches!(kind, 0 | 1 | 4 | 5), "an environment: {}", about());
        if let Some(key) =
            serde_json::from_slice::<Value>(&answer.body).ok().and_then(|v| v["api_key"].as_str().map(str::to_owned))
        {
            secrets.insert(key);
        }
    }
    // It got somewhere, and the node is well.
    for status in [200, 400, 401, 403, 404, 405] {
        assert!(seen.contains(&status), "seed {seed}: no {status} in {seen:?}");
    }
    assert_eq!(node.ask("GET", "/ping", "", "").text(), "OK");
    let lines = node.audit.lock().expect("fine");
    assert!(!lines.iter().any(|line| secrets.iter().any(|secret| line.contains(secret.as_str()))), "seed {seed}");
}
