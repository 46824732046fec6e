//! Webhooks, with somebody real at the other end.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use gaffer::Manager;
use gaffer::manager::Handle;
use gaffer::process::{JobConfig, Restart, Scale, Signal};
use gaffer::webhooks::{Hooks, Notice, Settings, WebHooks};

use super::receiver::{Answer, Post, Receiver};
use super::reload::http;
use super::util::{Folder, Gafferd, eventually, ini, run};

/// A manager with webhooks on a thread.
struct Node {
    handle: Handle,
    hooks: Hooks,
    notices: Arc<Mutex<Vec<Notice>>>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    fn new(settings: Settings, hooks: &[(&str, &str)]) -> Self {
        let notices = Arc::<Mutex<Vec<Notice>>>::default();
        let told = Arc::clone(&notices);
        let webhooks = WebHooks::with_listener(settings, move |notice| told.lock().unwrap().push(notice.clone()));
        let handle_of_hooks = webhooks.hooks();
        for (event, url) in hooks {
            handle_of_hooks.register(event, url).expect("a good hook");
        }
        let mut manager = Manager::new().expect("a manager");
        manager.add_app(webhooks);
        let handle = manager.handle();
        let thread = thread::spawn(move || manager.run().expect("a sane poller"));
        Self { handle, hooks: handle_of_hooks, notices, thread: Some(thread) }
    }

    fn load(&self, name: &str, cmd: &str) {
        let job = JobConfig::new(name, cmd).expect("a name").restart(Restart::Never);
        self.handle.call(move |cx| cx.load(job, true).map(drop)).expect("it runs").expect("it loads");
    }

    /// So many events called `update`, each with another number of processes.
    fn updates(&self, job: &'static str, n: u32) {
        for n in 2..=n + 1 {
            self.handle.call(move |cx| cx.scale(job, Scale::To(n))).expect("it runs").expect("it scales");
        }
    }

    fn notices(&self) -> Vec<Notice> {
        self.notices.lock().unwrap().clone()
    }

    /// How long its end took.
    fn end(&mut self) -> Duration {
        let start = Instant::now();
        self.handle.call(|cx| cx.stop_now()).expect("it runs");
        self.thread.take().expect("ends once").join().expect("it ends well");
        start.elapsed()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.thread.is_some() && !thread::panicking() {
            self.end();
        }
    }
}

fn quick() -> Settings {
    Settings::default().pause(Duration::from_millis(10)).max_pause(Duration::from_millis(50))
}

#[test]
fn all_events_in_order_and_signed() {
    let receiver = Receiver::always(Answer::Status(200));
    let mut node = Node::new(quick().secret("schlüssel"), &[(".", &receiver.url("/hook?x=1"))]);
    node.load("web", "true");
    receiver.events(4);
    node.handle.call(|cx| cx.unload("web")).expect("it runs").expect("loaded");
    // What happens last is posted before the manager ends.
    node.end();
    let events = receiver.events(0);
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    assert_eq!(events[..4], ["create", "start", "spawn", "exit"], "{events:?}");
    assert_eq!(events.last(), Some(&"delete"), "{events:?}");
    let counters = node.hooks.counters();
    assert_eq!((counters.sent, counters.queued), (events.len() as u64, 0));
    for post in receiver.posts() {
        assert_eq!(post.path, "/hook?x=1");
        assert_eq!(post.fields["content-type"], "application/json");
        assert_eq!(post.fields["x-gaffer-event"], post.event());
        assert_eq!(post.json()["name"], "default.web");
    }
    let exit = &receiver.posts()[3];
    assert_eq!((exit.json()["exit_code"].as_i64(), exit.json()["topic"].as_str()), (Some(0), Some("exit")));
    check_signature("schlüssel", exit);
}

/// With another implementation.
#[allow(clippy::print_stderr)]
fn check_signature(secret: &str, post: &Post) {
    let program = "import hashlib, hmac, sys; key = sys.argv[1].encode(); \
                   print('sha256=' + hmac.new(key, sys.stdin.buffer.read(), hashlib.sha256).hexdigest())";
    let mut command = Command::new("python3");
    command.args(["-c", program, secret]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut python) = command.spawn() else {
        return eprintln!("SKIPPED: there is no python3 to check the signature with");
    };
    python.stdin.take().expect("a pipe").write_all(post.body.as_bytes()).expect("it reads");
    let output = python.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), post.fields["x-gaffer-signature"]);
}

#[test]
fn the_patterns_of_both_generations() {
    let receiver = Receiver::always(Answer::Status(204));
    let patterns = [
        "create",
        "start",
        "update",
        "stop",
        "delete",
        "load",
        "unload",
        "proc.dummy",
        "proc.dummy.create",
        "job.default.dummy",
        "job.default.dummy.load",
        "proc.*.spawn",
        "stop_process",
        "exit.",
    ];
    let urls: Vec<String> = patterns.iter().map(|pattern| receiver.url(&format!("/{pattern}"))).collect();
    let hooks: Vec<(&str, &str)> = patterns.iter().zip(&urls).map(|(pattern, url)| (*pattern, url.as_str())).collect();
    let mut node = Node::new(quick(), &hooks);
    node.load("dummy", "sleep 1000");
    node.updates("dummy", 1);
    // They count as running before the system has started them.
    eventually("two processes", || {
        let started = |cx: &mut gaffer::manager::Cx<'_>| {
            let pids = cx.pids("dummy").unwrap_or_default();
            pids.iter().filter(|pid| cx.process(**pid).is_ok_and(|process| process.os_pid.is_some())).count()
        };
        node.handle.call(started).ok().filter(|n| *n == 2)
    });
    node.handle.call(|cx| cx.unload("dummy")).expect("it runs").expect("loaded");
    node.end();
    let mut got: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for post in receiver.posts() {
        got.entry(post.path.clone()).or_default().push(post.event());
    }
    let of = |path: &str| got.get(path).map(|events| events.join(" ")).unwrap_or_default();
    for event in ["create", "start", "stop", "delete", "load", "unload"] {
        assert_eq!(of(&format!("/{event}")), event, "{got:?}");
    }
    assert_eq!(of("/proc.dummy.create"), "create");
    assert_eq!(of("/job.default.dummy.load"), "load");
    assert_eq!(of("/proc.*.spawn"), "spawn spawn");
    assert_eq!(of("/stop_process"), "stop_process stop_process");
    assert!(of("/proc.dummy").starts_with("create start ") && of("/proc.dummy").contains("delete"), "{got:?}");
    assert!(of("/job.default.dummy").starts_with("load start "), "{got:?}");
    assert_eq!(of("/exit."), "exit exit");
}

#[test]
fn a_url_that_fails_is_tried_again_and_holds_nobody_up() {
    let mut tries = 0;
    let bad = Receiver::new(move |_| {
        tries += 1;
        [Answer::Status(500), Answer::Close, Answer::Status(200)][(tries - 1) % 3]
    });
    let good = Receiver::always(Answer::Status(200));
    let mut node = Node::new(quick(), &[("update", &bad.url("/")), ("update", &good.url("/"))]);
    node.load("idle", "sleep 1000");
    node.updates("idle", 5);
    bad.events(15);
    node.end();
    let numbers = |receiver: &Receiver| -> Vec<u64> {
        receiver.posts().iter().map(|post| post.json()["numprocesses"].as_u64().expect("a number")).collect()
    };
    let want: Vec<u64> = numbers(&good);
    assert_eq!(want.len(), 5, "{want:?}");
    let thrice: Vec<u64> = want.iter().flat_map(|n| [*n; 3]).collect();
    assert_eq!(numbers(&bad), thrice, "each three times, in order");
    let counters = node.hooks.counters();
    assert_eq!((counters.sent, counters.retried, counters.failed), (10, 10, 0));
}

#[test]
fn what_cannot_be_posted_is_given_up_and_told() {
    // Nobody listens at the first port.
    let refused = "http://user:secret@127.0.0.1:1/hook?token=secret";
    let moved = Receiver::always(Answer::Status(302));
    let node = Node::new(quick().tries(2), &[("create", refused), ("create", &moved.url("/"))]);
    node.load("idle", "sleep 1000");
    eventually("both to be given up", || (node.hooks.counters().failed == 2).then_some(()));
    eventually("both to be told", || (node.notices().len() == 2).then_some(()));
    assert_eq!(moved.events(2).len(), 2);
    let notices: Vec<String> = node.notices().iter().map(ToString::to_string).collect();
    let all = notices.join("\n");
    assert!(
        all.contains("http://127.0.0.1:1/hook: gave the event create up after 2 tries: Connection refused"),
        "{all}"
    );
    assert!(all.contains("the answer was 302"), "{all}");
    assert!(!all.contains("secret"), "{all}");
    let errors: Vec<_> = node.hooks.list().into_iter().map(|hook| hook.last_error).collect();
    assert!(errors.iter().all(Option::is_some), "{errors:?}");
    moved.answer(Answer::Status(200));
    node.load("other", "sleep 1000");
    let recovered = |notice: &Notice| matches!(notice, Notice::Recovered { lost: 1, .. });
    eventually("the other to answer again", || node.notices().iter().any(recovered).then_some(()));
}

#[test]
fn a_silent_server_costs_the_others_little_and_the_loop_nothing() {
    let silent = Receiver::always(Answer::Silence);
    let good = Receiver::always(Answer::Status(200));
    let settings = quick().timeout(Duration::from_millis(200)).queue(3);
    let node = Node::new(settings, &[("update", &silent.url("/")), (".", &good.url("/"))]);
    node.load("idle", "sleep 1000");
    let start = Instant::now();
    node.updates("idle", 10);
    assert!(start.elapsed() < Duration::from_secs(5), "the loop does not wait");
    eventually("the oldest to be dropped", || (node.hooks.counters().dropped > 0).then_some(()));
    eventually("a word about that", || {
        node.notices().iter().any(|notice| matches!(notice, Notice::Overflow { queue: 3, .. })).then_some(())
    });
    eventually("a try to be too late", || {
        let hooks = node.hooks.list();
        hooks.iter().any(|hook| hook.last_error.as_deref() == Some("no answer within 0.2 s")).then_some(())
    });
    node.load("last", "sleep 1000");
    eventually("the last event to arrive", || {
        good.posts().iter().any(|post| post.json()["name"] == "default.last").then_some(())
    });
}

#[test]
fn the_end_waits_for_so_long_and_says_what_is_left() {
    let silent = Receiver::always(Answer::Silence);
    let settings = quick().stop_timeout(Duration::from_millis(300));
    let mut node = Node::new(settings, &[("create", &silent.url("/"))]);
    node.load("a", "sleep 1000");
    node.load("b", "sleep 1000");
    silent.events(1);
    let took = node.end();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(8), "{took:?}");
    assert_eq!(node.notices(), [Notice::Left { posts: 2 }]);
    assert!(node.hooks.register("exit", &silent.url("/")).is_err(), "it has ended");
}

#[test]
fn reload_and_run_time() {
    let receiver = Receiver::new(|post| Answer::Status(if post.path == "/kept" { 503 } else { 200 }));
    let (gone, kept, new) = (receiver.url("/gone"), receiver.url("/kept"), receiver.url("/new"));
    let folder = Folder::new();
    let jobs = |hooks: &str| ini(&format!("[webhooks]\ntries = 100\n{hooks}\n[job:a]\ncmd = sleep 1000\n"));
    let config = folder.write("c.ini", &jobs(&format!("create = {gone} {kept}")));
    let mut gafferd = Gafferd::start(&config, &[]);
    let ready = gafferd.line("ready: ");
    let address = ready.rsplit(' ').next().expect("an address").to_owned();
    eventually("the first", || receiver.posts().iter().any(|post| post.path == "/kept").then_some(()));
    eventually("the first", || receiver.posts().iter().any(|post| post.path == "/gone").then_some(()));

    let mine = format!(r#"{{"event": "proc.mine", "url": "{}"}}"#, receiver.url("/mine"));
    let answer = http(&address, "POST", "/webhooks", &mine);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    folder.write("c.ini", &jobs(&format!("create = {kept}\nexit = {new}")));
    gafferd.signal(Signal::HUP);
    gafferd.line("reload: 1 kept");
    let list = http(&address, "GET", "/webhooks", "");
    assert!(
        list.contains("/kept") && list.contains("/new") && list.contains("/mine") && !list.contains("/gone"),
        "{list}"
    );
    let metrics = http(&address, "GET", "/metrics", "");
    assert!(metrics.contains("gaffer_webhook_queued 1\n"), "{metrics}");
    let answer = http(&address, "POST", "/jobs/default", r#"{"name": "mine", "cmd": "true", "restart": "never"}"#);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    eventually("the new ones", || {
        let posts = receiver.posts();
        let has = |path: &str, event: &str| posts.iter().any(|post| post.path == path && post.event() == event);
        (has("/new", "exit") && has("/mine", "exit")).then_some(())
    });
    // What waited before the reload is not lost.
    receiver.answer(Answer::Status(200));
    gafferd.line("/kept answers again; 0 events were lost");
    let posts = receiver.posts();
    let kept: Vec<_> =
        posts.iter().filter(|post| post.path == "/kept").map(|post| post.json()["name"].clone()).collect();
    assert!(kept.iter().any(|name| name == "default.a"), "{kept:?}");
    assert!(!posts.iter().any(|post| post.path == "/gone" && post.json()["name"] == "default.mine"));
    gafferd.stop();
}

#[test]
fn reload_changes_how_posts_are_made() {
    let receiver = Receiver::new(|_| Answer::Status(503));
    let folder = Folder::new();
    let text = |settings: &str| {
        let url = receiver.url("/hook");
        ini(&format!("[webhooks]\ntries = 100\ncreate = {url}\n{settings}\n[job:a]\ncmd = sleep 1000\n"))
    };
    let config = folder.write("c.ini", &text("pause = 3600\nmax_pause = 3600"));
    let shown = config.display().to_string();
    let (code, out, err) = run(&["-c", &shown, "--check"]);
    let want = "webhooks 100 tries of 10 s, pauses of 3600 to 3600 s, 1000 wait for a URL, 1000 more hooks, the end waits 5 s\n";
    assert!(code == 0 && out.contains(want), "{out}{err}");
    let mut gafferd = Gafferd::start(&config, &[]);
    eventually("the first try", || (!receiver.posts().is_empty()).then_some(()));
    folder.write("c.ini", &text("pause = 0.01\nmax_pause = 0.001"));
    gafferd.signal(Signal::HUP);
    let line = gafferd.line("reload refused");
    assert!(line.contains("c.ini:7:1: webhooks: max_pause (0.001 s) is shorter than pause (0.01 s)"), "{line}");
    receiver.answer(Answer::Status(200));
    // Nobody waits for an hour any more.
    folder.write("c.ini", &text("pause = 0.01\nstop_timeout = 0"));
    gafferd.signal(Signal::HUP);
    gafferd.line("/hook answers again; 0 events were lost");
    gafferd.stop();
}

#[test]
fn what_cannot_work_is_refused_at_the_start() {
    let folder = Folder::new();
    let config = folder.write("c.ini", &ini("[webhooks]\nexit = https://127.0.0.1/x?token=1#y\n"));
    let (code, _, stderr) = run(&["-c", config.to_str().expect("UTF-8")]);
    assert_eq!(code, 1);
    assert!(
        stderr.contains("[webhooks] exit: the URL \"https://127.0.0.1/x\" cannot be posted to: a fragment"),
        "{stderr}"
    );
}
