mod files;
mod foreign;
mod jobs;

use super::*;
use crate::config::MAX_FILE;
use crate::process::{Flapping, JobConfig, Restart, Signal, UserRef};
use crate::words::tests::Rng;
use serde_json::json;

fn environment(name: &str) -> Option<String> {
    [("HOME", "/home/g"), ("EMPTY", "")].iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
}

/// Reads the first of some files; the others are there to be included. A path that ends with a slash is a folder.
fn read_files(files: &[(&str, &str)]) -> Result<GafferdConfig> {
    let missing = |path: &Path| {
        Error::io(format!("cannot read {}", path.display()), std::io::Error::from_raw_os_error(libc::ENOENT))
    };
    let read = |path: &Path| {
        let found = files.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| missing(path))
    };
    let list_dir = |path: &Path| {
        let below = files.iter().filter_map(|(name, _)| Path::new(name).strip_prefix(path).ok());
        let mut names: Vec<(String, bool)> = below
            .filter_map(|rest| Some((rest.iter().next()?.to_str()?.to_owned(), rest.iter().count() > 1)))
            .collect();
        // Not in order.
        names.sort_by(|a, b| b.cmp(a));
        names.dedup();
        if names.is_empty() { Err(missing(path)) } else { Ok(names) }
    };
    let sources =
        Sources { read: &read, list_dir: &list_dir, environment: &environment, current_dir: Path::new("/cwd") };
    GafferdConfig::read(Path::new(files[0].0), &sources)
}

fn read(text: &str) -> Result<GafferdConfig> {
    read_files(&[("g.ini", text)])
}

fn default() -> GafferdConfig {
    GafferdConfig { files: vec!["g.ini".into()], ..GafferdConfig::default() }
}

/// Both texts say `want`, and so does what is written of it.
#[track_caller]
fn both(ini: &str, json: &Value, want: &GafferdConfig) {
    // Each has its jobs at places of its own.
    let read = |text: &str| GafferdConfig { places: want.places.clone(), ..read(text).expect(text) };
    assert_eq!(&read(ini), want, "{ini}");
    let json = json.to_string();
    assert_eq!(&read(&json), want, "{json}");
    let written = want.to_json().to_string();
    assert_eq!(&read(&written), want, "{written}");
}

#[track_caller]
fn fails(text: &str, want: &str) {
    let e = read(text).expect_err(want);
    assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::Invalid, want), "{text}");
}

fn address(text: &str) -> Address {
    text.parse().expect(text)
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

#[test]
fn nothing_is_a_configuration() {
    for text in [
        "",
        "# nothing\n",
        "[gaffer]",
        "{}",
        "{\"gaffer\": {}}",
        "\u{feff}{\"jobs\": []}",
        "[gaffer]\nHTTP_Endpoints =\n",
    ] {
        assert_eq!(read(text).expect(text), default(), "{text}");
    }
    assert_eq!(GafferdConfig::default().to_json(), json!({}));
    let endpoint = &GafferdConfig::default().endpoints[0];
    assert_eq!(
        (endpoint.bind[0].to_string().as_str(), endpoint.backlog, endpoint.mode),
        ("127.0.0.1:5000", 128, 0o600)
    );
}

/// A key of `[gaffer]` in both formats.
#[track_caller]
fn gaffer(key: &str, text: &str, value: Value, change: impl Fn(&mut GafferdConfig)) {
    let mut want = default();
    change(&mut want);
    both(&format!("[gaffer]\n{key} = {text}\n"), &json!({"gaffer": {key: value}}), &want);
}

#[test]
fn every_key_of_gaffer() {
    gaffer("bind", "[::1]:80, unix:/run/g", json!(["[::1]:80", "unix:/run/g"]), |c| {
        c.endpoints = vec![Endpoint::new("gaffer", [address("[::1]:80"), address("unix:/run/g")])];
    });
    gaffer("backlog", "7", json!(7), |c| c.endpoints[0].backlog = 7);
    gaffer("mode", "0660", json!("0660"), |c| c.endpoints[0].mode = 0o660);
    gaffer("owner", "www:33", json!("www:33"), |c| {
        (c.endpoints[0].owner, c.endpoints[0].group) = (Some("www".into()), Some(UserRef::Id(33)));
    });
    gaffer("owner", ":www", json!(":www"), |c| c.endpoints[0].group = Some("www".into()));
    gaffer("owner", "5", json!(5), |c| c.endpoints[0].owner = Some(UserRef::Id(5)));
    gaffer("plugins_dir", "/p", json!("/p"), |c| c.plugins_dir = Some("/p".into()));
    gaffer("plugin_dir", "/p", json!("/p"), |c| c.plugins_dir = Some("/p".into()));
    gaffer("lookupd_address", "http://a:1 http://b:1 http://a:1", json!(["http://a:1", "http://b:1"]), |c| {
        c.lookupd_addresses = strings(&["http://a:1", "http://b:1"]);
    });
    gaffer("lookupd_address1", "https://a", json!("https://a"), |c| c.lookupd_addresses = strings(&["https://a"]));
    gaffer("lookupd_address", "ws://a wss://a:1", json!(["ws://a", "wss://a:1"]), |c| {
        c.lookupd_addresses = strings(&["http://a", "https://a:1"]);
    });
    let key = "0123456789abcdef";
    gaffer("lookup_key", key, json!(key), |c| c.lookup_key = Some(SharedKey::new(key).expect("a key")));
    gaffer("lookup_key_file", "/k", json!("/k"), |c| c.lookup_key_file = Some("/k".into()));
    gaffer("lookup_ping_interval", "2.5", json!(2.5), |c| c.lookup_ping_interval = Duration::from_millis(2500));
    gaffer("broadcast_address", "http://h:1", json!("http://h:1"), |c| c.broadcast_address = Some("http://h:1".into()));
    gaffer("daemonize", "yes", json!(true), |c| c.daemonize = true);
    gaffer("pidfile", "/run/p", json!("/run/p"), |c| c.pidfile = Some("/run/p".into()));
    gaffer("error_log", "/log", json!("/log"), |c| c.error_log = Some("/log".into()));
    gaffer("error_log", "-", json!("-"), |_| {});
    gaffer("access_log", "/log", json!("/log"), |c| c.access_log = AccessLog::File("/log".into()));
    gaffer("access_log", "-", json!("-"), |c| c.access_log = AccessLog::Log);
    gaffer("access_log", "", json!(""), |_| {});
    gaffer("log_level", "debug", json!("debug"), |c| c.log_level = LogLevel::Debug);
    gaffer("log_format", "json", json!("json"), |c| c.log_format = LogFormat::Json);
    gaffer("console", "events", json!("events"), |c| c.console = Console::Events);
    gaffer("web_console", "no", json!(false), |c| c.web_console = false);
    gaffer("console", "false", json!(false), |c| c.web_console = false);
    gaffer("console", "true", json!(true), |_| {});
    gaffer("console", "off", json!("off"), |_| {});
    gaffer("require_key", "On", json!(true), |c| c.require_key = true);
    gaffer("allow_origins", "*", json!(["*"]), |c| c.allow_origins = strings(&["*"]));
    gaffer("allow_hosts", "a, b", json!(["a", "b"]), |c| c.allow_hosts = strings(&["a", "b"]));
    gaffer("log_history", "1 MiB", json!(1 << 20), |c| c.log_history = 1 << 20);
    gaffer("log_history", "0", json!(0), |c| c.log_history = 0);
    gaffer("log_history_total", "1 MiB", json!(1 << 20), |c| c.log_history_total = 1 << 20);
    // With `http_endpoints`, `include` and `include_dir`, which have tests of their own.
    assert_eq!(tables::GAFFER.len(), 27);
    let e = read("[gaffer]\nlookup_key = secret\n").expect_err("too short").to_string();
    assert!(
        e.contains("g.ini:2:14: lookup_key: a key has 16 to 256 characters, not 6") && !e.contains("secret"),
        "{e}"
    );
    let shown = format!("{:?}", read(&format!("[gaffer]\nlookup_key = {key}\n")).expect("a key"));
    assert!(!shown.contains(key), "{shown}");
    assert_eq!(
        read("[gaffer]\nDaemonize = true\nLookupd_Address_B = http://b\nlookupd_addressA: http://a")
            .expect("case")
            .lookupd_addresses,
        ["http://b", "http://a"]
    );
}

#[test]
fn endpoints() {
    let mut public = Endpoint::new("public", [address("0.0.0.0:80"), address("[::]:80")]);
    (public.backlog, public.mode, public.owner) = (9, 0o666, Some("www".into()));
    public.ssl = Ssl { certfile: Some("c".into()), keyfile: Some("k".into()), cacert: Some("a".into()) };
    let mut local = Endpoint::new("local", [address("unix:/run/g")]);
    local.backlog = 5;
    let text = "[endpoint:public]\nbind = 0.0.0.0:80,[::]:80\nbacklog = 9\nmode = 666\nowner = www\ncertfile = c\nkeyfile = k\nca_certs = a\n\
         [endpoint:local]\nbind = unix:/run/g\n";
    let json = json!({
        "gaffer": {"backlog": 5, "http_endpoints": ["public", "local"]},
        "endpoints": {
            "local": {"bind": "unix:/run/g"},
            "public": {"bind": ["0.0.0.0:80", "[::]:80"], "backlog": 9, "mode": "0666", "owner": "www",
                "certfile": "c", "keyfile": "k", "cacert": "a"},
        }
    });
    let want = GafferdConfig { endpoints: vec![public.clone(), local.clone()], ..default() };
    both(&format!("[gaffer]\nbacklog = 5\nhttp_endpoints = public, local\n{text}"), &json, &want);
    // All where none is named; only those that are named; each once.
    assert_eq!(read(&format!("[gaffer]\nbacklog = 5\n{text}")).expect("all").endpoints, [public, local.clone()]);
    assert_eq!(
        read(&format!("[gaffer]\nbacklog=5\nhttp_endpoints = local local\n{text}")).expect("one").endpoints,
        [local]
    );
    // That of [gaffer] comes first, and `[ssl]` is for those who have none.
    let config = read(&format!("{text}[gaffer]\nbind = localhost:1\n[ssl]\ncertfile = s\n")).expect("three");
    let shown: Vec<_> = config.endpoints.iter().map(|e| (e.name.as_str(), e.ssl.certfile.clone(), e.backlog)).collect();
    let [s, c] = ["s", "c"].map(|file| Some(PathBuf::from(file)));
    assert_eq!(shown, [("gaffer", s.clone(), 128), ("public", c, 9), ("local", s, 128)]);
    let written = config.to_json().to_string();
    assert_eq!(read(&written).expect(&written), config);
    assert_eq!(tables::ENDPOINT.len(), 7);

    for (text, want) in [
        (
            "[gaffer]\nhttp_endpoints = pubic\n[endpoint:public]\nbind = a:1",
            "g.ini:2:1: http_endpoints: there is no endpoint `pubic`; did you mean `public`?",
        ),
        ("[endpoint:x]\nbacklog = 1", "g.ini:1:2: [endpoint:x] has no `bind`"),
        (
            "[endpoint:a b]\nbind = a:1",
            "g.ini:1:2: invalid endpoint name \"a b\": expected characters of A-Z a-z 0-9 _ + . -",
        ),
        ("[endpoint:x]\nbind = a:1\nkeyfile = k", "g.ini:1:2: [endpoint:x] has no `certfile`"),
        ("[endpoint:x]\nbind = a:1\nport = 1", "g.ini:3:1: [endpoint:x] has no key `port`"),
        (
            "[gaffer]\nbind = a:1\n[endpoint:gaffer]\nbind = b:1",
            "g.ini:3:2: the endpoint of [gaffer] has this name: choose another",
        ),
        ("{\"endpoints\": {\"x\": {}}}", "g.ini:1:21: endpoints.x has no `bind`"),
        ("{\"endpoints\": []}", "g.ini:1:15: endpoints: expected an object, found a list"),
    ] {
        fails(text, want);
    }
}

#[test]
fn the_other_sections() {
    let mut want = default();
    want.limits = Limits {
        head: 1,
        headers: 2,
        body: 3 << 20,
        connections: 4,
        head_timeout: Duration::from_millis(500),
        idle_timeout: Duration::from_secs(6),
        unsent: 7 << 10,
    };
    let ini = "[limits]\nhead = 1\nheaders=2\nbody= 3 MiB\nconnections=4\nhead_timeout=.5\nidle_timeout=6.\nunsent=7k";
    let limits = json!({"head": 1, "headers": 2, "body": "3M", "connections": 4, "head_timeout": 0.5, "idle_timeout": 6, "unsent": 7168});
    both(ini, &json!({"limits": limits}), &want);
    assert_eq!(tables::LIMITS.len(), 7);

    let mut want = default();
    want.auth = Auth { auth_dbname: Some("a".into()), keys_dbname: Some("k".into()), trust_uid: vec![0, 1000] };
    let ini =
        "[auth]\nauth_dbname = a\nkeys_dbname = k\ntrust_uid = 0, 1000\nauth_backend = default\nkeys_backend = default";
    let auth = json!({"auth_dbname": "a", "keys_dbname": "k", "trust_uid": ["0", "1000"], "auth_backend": "default", "keys_backend": "default"});
    both(ini, &json!({"auth": auth}), &want);
    assert_eq!(tables::AUTH.len(), 5);

    let ssl = Ssl { certfile: Some("c".into()), keyfile: Some("k".into()), cacert: Some("a".into()) };
    let mut want = default();
    want.lookup_ssl = ssl.clone();
    let text = "certfile = c\nkeyfile = k\ncacert = a\n";
    let json = json!({"certfile": "c", "keyfile": "k", "cacert": "a"});
    both(&format!("[lookup_ssl]\n{text}"), &json!({"lookup_ssl": json}), &want);
    (want.ssl, want.lookup_ssl) = (ssl.clone(), Ssl { cacert: Some("a".into()), ..Ssl::default() });
    want.endpoints[0].ssl = ssl;
    both(&format!("[ssl]\n{text}[lookup_ssl]\ncacert=a"), &json!({"ssl": json, "lookup_ssl": {"cacert": "a"}}), &want);
    assert_eq!(tables::SSL.len(), 3);

    let mut want = default();
    let settings = vec![("Key".to_owned(), "a\nb".to_owned()), ("n".to_owned(), "[1,2]".to_owned())];
    want.plugins = vec![PluginSettings { name: "dummy".to_owned(), settings }];
    both(
        "[plugin:dummy]\nKey = a\n  b\nn = [1,2]",
        &json!({"plugins": {"dummy": {"Key": "a\nb", "n": [1, 2]}}}),
        &want,
    );

    for (text, want) in [
        ("[auth]\nauth_backend = ldap", "g.ini:2:16: auth_backend: expected default, found \"ldap\""),
        ("[ssl]\nkeyfile = k", "g.ini:1:2: [ssl] has no `certfile`"),
        (
            "[limits]\nhead = 0",
            "g.ini:2:8: head: expected a number of bytes such as 16384, 16 KiB or 1 MiB, found \"0\"",
        ),
        (
            "[limits]\nbody = 1 XB",
            "g.ini:2:8: body: expected a number of bytes such as 16384, 16 KiB or 1 MiB, found \"1 XB\"",
        ),
        (
            "[limits]\nidle_timeout = 0",
            "g.ini:2:16: idle_timeout: expected a number of seconds, more than 0, found \"0\"",
        ),
        ("[limits]\nheads = 0", "g.ini:2:1: [limits] has no key `heads`; did you mean `head`?"),
    ] {
        fails(text, want);
    }
}

#[test]
fn webhooks() {
    let mut want = default();
    let hook = |event: &str, urls: &[&str]| Webhook { event: event.to_owned(), urls: strings(urls) };
    want.webhooks = Webhooks {
        hooks: vec![hook(".", &["http://a/all"]), hook("proc.Web.exit", &["http://a,b/x", "https://c"])],
        secret: Some("se cret".to_owned()),
        tries: 5,
        timeout: Duration::from_millis(2500),
        pause: Duration::from_millis(500),
        max_pause: Duration::from_secs(20),
        queue: 9,
        max_hooks: 0,
        stop_timeout: Duration::ZERO,
    };
    let ini = "[webhooks]\n. = http://a/all\nproc.Web.exit = http://a,b/x https://c\n  http://a,b/x\nsecret = se cret\ntries = 5\ntimeout = 2.5\nqueue = 9\n\
        pause = .5\nmax_pause = 20\nmax_hooks = 0\nstop_timeout = 0";
    let json = json!({".": "http://a/all", "proc.Web.exit": ["http://a,b/x", "https://c"], "secret": "se cret", "tries": 5,
        "timeout": 2.5, "queue": 9, "pause": 0.5, "max_pause": 20, "max_hooks": 0, "stop_timeout": 0});
    both(ini, &json!({"webhooks": json}), &want);
    assert_eq!(tables::WEBHOOKS.len(), 8);
    assert!(!format!("{:?}", read(ini).expect("read")).contains("se cret"));

    for (text, want) in [
        ("[webhooks]\nexits = http://a", "g.ini:2:1: there is no event `exits`; did you mean `exit`?"),
        ("[webhooks]\nsecrets = x", "g.ini:2:1: there is no event `secrets`; did you mean `secret`?"),
        ("[webhooks]\nexit = http://a you", "g.ini:2:8: exit: expected http://HOST… or https://HOST…, found \"you\""),
        ("[webhooks]\nexit = ftp://a", "g.ini:2:8: exit: expected http://HOST… or https://HOST…, found \"ftp://a\""),
        ("[webhooks]\nexit = http://", "g.ini:2:8: exit: expected http://HOST… or https://HOST…, found \"http://\""),
        ("[webhooks]\nexit =", "g.ini:2:7: exit: expected a URL, found nothing"),
        ("{\"webhooks\": {\"exit\": 3}}", "g.ini:1:23: webhooks.exit: expected a list of URLs, found 3"),
        ("{\"webhooks\": {\"exit\": [3]}}", "g.ini:1:23: webhooks.exit[0]: expected text, found 3"),
        ("[webhooks]\ntries = 0", "g.ini:2:9: tries: expected a number from 1 to 100, found 0"),
        ("[webhooks]\npause = 0", "g.ini:2:9: pause: expected a number of seconds, more than 0, found \"0\""),
        ("[webhooks]\npauses = 1", "g.ini:2:1: there is no event `pauses`; did you mean `pause`?"),
        ("[webhooks]\nmax_pause = .5", "g.ini:2:1: webhooks: max_pause (0.5 s) is shorter than pause (1 s)"),
        ("[webhooks]\npause = 61", "g.ini:2:1: webhooks: max_pause (60 s) is shorter than pause (61 s)"),
        ("[webhooks]\nstop_timeout = soon", "g.ini:2:16: stop_timeout: expected a number of seconds, found \"soon\""),
    ] {
        fails(text, want);
    }
}

#[test]
fn faults_have_a_place_and_a_reason() {
    for (text, want) in [
        ("[gafer]\n", "g.ini:1:2: there is no section [gafer]; did you mean `gaffer`?"),
        ("[ gaffer ]\n", "g.ini:1:2: there is no section [ gaffer ]; did you mean `gaffer`?"),
        ("[proces:web]\n", "g.ini:1:2: there is no section [proces:web]; did you mean `process:web`?"),
        ("[DEFAULT]\n", "g.ini:1:2: there is no section [DEFAULT]"),
        ("[watcher:web]\n", "g.ini:1:2: there is no section [watcher:web]; it is [job:NAME] here"),
        ("[gaffer]\nbnid = x", "g.ini:2:1: [gaffer] has no key `bnid`; did you mean `bind`?"),
        (
            "[gaffer]\nbind = 5000",
            "g.ini:2:8: bind: invalid address \"5000\": expected HOST:PORT, [IPV6]:PORT or unix:PATH",
        ),
        ("[gaffer]\nbind =", "g.ini:2:7: bind: expected HOST:PORT, [IPV6]:PORT or unix:PATH, found nothing"),
        ("[gaffer]\nbacklog = many", "g.ini:2:11: backlog: expected a whole number, found \"many\""),
        ("[gaffer]\nbacklog = 0", "g.ini:2:11: backlog: expected a number from 1 to 65535, found 0"),
        ("[gaffer]\nmode = rw", "g.ini:2:8: mode: expected octal digits up to \"777\", as text, found \"rw\""),
        (
            "[gaffer]\ndaemonize = ja",
            "g.ini:2:13: daemonize: expected true or false (or yes, no, on, off, 1, 0), found \"ja\"",
        ),
        (
            "[gaffer]\ndaemonize = true ; really",
            "g.ini:2:13: daemonize: expected true or false (or yes, no, on, off, 1, 0), found \"true ; really\"; a comment stands on a line of its own",
        ),
        (
            "[gaffer]\nlog_level = loud",
            "g.ini:2:13: log_level: expected critical, error, warning, info or debug, found \"loud\"",
        ),
        (
            "[gaffer]\nbroadcast_address = h:1",
            "g.ini:2:21: broadcast_address: expected http://HOST… or https://HOST…, found \"h:1\"",
        ),
        (
            "[gaffer]\nlookupd_address = h:1",
            "g.ini:2:19: lookupd_address: expected http://HOST… or https://HOST…, found \"h:1\"",
        ),
        (
            "[gaffer]\nplugin_dir=a\nplugins_dir=b",
            "g.ini:3:1: the key `plugins_dir` is given twice: line 2 has it already",
        ),
        (
            "[gaffer]\npidfile = ${NOPE}",
            "g.ini:2:11: pidfile: the variable NOPE is not set in the environment of gafferd",
        ),
        ("[gaffer]\npidfile = 5%", "g.ini:2:11: pidfile: expected %(name)s, or %% for a percent sign"),
        ("[gaffer]\nx", "g.ini:2:1: expected `key = value`, a [section] or a comment, found \"x\""),
        ("{\"gafer\": {}}", "g.ini:1:2: a configuration has no key `gafer`; did you mean `gaffer`?"),
        ("{\n \"gaffer\": 3}", "g.ini:2:12: gaffer: expected an object, found 3"),
        ("{\"gaffer\": {\n  \"bnid\": 3}}", "g.ini:2:3: gaffer has no key `bnid`; did you mean `bind`?"),
        ("{\"gaffer\": {\n  \"bind\": [3]}}", "g.ini:2:11: gaffer.bind[0]: expected text, found 3"),
        ("{\"gaffer\": {\n  \"daemonize\": 1}}", "g.ini:2:16: gaffer.daemonize: expected true or false, found 1"),
        (
            "{\"gaffer\": {\n  \"daemonize\": true,\n  \"daemonize\": true}}",
            "g.ini:3:3: the key \"daemonize\" is given twice: line 2 has it already",
        ),
        ("{\"gaffer\": {\n  \"daemonize\": yes}}", "g.ini:2:16: expected value"),
        ("{\"gaffer\": ", "g.ini:1:11: EOF while parsing a value"),
        ("{} x", "g.ini:1:4: trailing characters"),
    ] {
        fails(text, want);
    }
}

#[test]
fn jobs_have_places() {
    let config = read("[process:a]\ncmd = x\n\n[process:s:b]\ncmd = x\n").expect("two jobs");
    let places: Vec<_> = config.places.iter().map(|(name, place)| (name.as_str(), place.as_str())).collect();
    assert_eq!(places, [("default.a", "g.ini:1:2"), ("s.b", "g.ini:4:2")]);
}

#[test]
fn survives_anything_and_writes_back() {
    let pieces = &[
        "[gaffer]\n",
        "[process:a]\n",
        "[process:a]\ncmd = y\n",
        "[job:s.b]\n",
        "[job:s.b]\ncmd=z\n",
        "[env:a]\n",
        "[webhooks]\n",
        "[limits]\n",
        "[ssl]\n",
        "[endpoint:e]\n",
        "[plugin:p]\n",
        "cmd = x\n",
        "cmd = %(here)s ${A}\n",
        "bind = a:1\n",
        "bind = unix:/x\n",
        "exit = http://a\n",
        "head = 1k\n",
        "certfile = c\n",
        "flapping = 2, 1., 7.\n",
        "priority = 3\n",
        "env.A = %(cmd)s\n",
        "x = ${HOME}\n",
        " more\n",
        "uid = 0\n",
        "=",
        "\n",
        "é",
        "\0",
        "include = g.ini\n",
        "{",
        "}",
        "\"jobs\":",
        "[",
        "]",
    ];
    let mut good = 0;
    for seed in 0..100_000 {
        let mut rng = Rng(seed);
        let text = if seed % 8 == 0 { rng.garbage(48) } else { rng.text(pieces, 6) };
        let Ok(mut config) = read(&text) else { continue };
        good += usize::from(!config.jobs.is_empty());
        let mut again = read(&config.to_json().to_string()).expect("what was read can be written");
        // JSON objects have no order.
        config.webhooks.hooks.sort_by(|a, b| a.event.cmp(&b.event));
        again.webhooks.hooks.sort_by(|a, b| a.event.cmp(&b.event));
        config.plugins.iter_mut().for_each(|plugin| plugin.settings.sort());
        assert!(config.places.keys().eq(again.places.keys()), "seed {seed}: {text:?}");
        config.places.clone_from(&again.places);
        assert_eq!(again, config, "seed {seed}: {text:?}");
    }
    assert!(good > 1000, "only {good} texts had a job");
}
