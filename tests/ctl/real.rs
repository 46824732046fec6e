//! The tool against the real node.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gaffer::Manager;
use gaffer::client::Server;
use gaffer::manager::Handle;
use gaffer::server::{Config, Endpoint, HttpServer, api};

use crate::node::socket_path;
use crate::tool::{Ran, command, run, run_with};

struct Real {
    address: String,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
    socket: PathBuf,
}

impl Real {
    fn new() -> Self {
        let socket = socket_path();
        let config = Config::default().endpoint(Endpoint::unix(&socket));
        let mut server = HttpServer::bind(config).expect("a free path");
        server.routes(api::ROUTES).expect("the routes are right");
        let mut manager = Manager::new().expect("a manager");
        manager.add_app(server);
        let handle = manager.handle();
        let thread = std::thread::spawn(move || manager.run().expect("a sane poller"));
        Self { address: format!("unix:{}", socket.display()), handle, thread: Some(thread), socket }
    }

    fn run(&self, line: &str) -> Ran {
        run(&self.address, line)
    }

    /// Until the tool says so.
    #[track_caller]
    fn until(&self, line: &str, code: i32, out: &str) {
        let start = Instant::now();
        loop {
            let ran = self.run(line);
            if (ran.code, ran.out.as_str()) == (code, out) {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(90), "{line}: {ran:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.handle.call(|m| m.stop_now());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
        assert!(!self.socket.exists() || std::thread::panicking(), "the socket is gone");
    }
}

#[test]
fn a_log_that_cannot_be_written_is_told() {
    let node = Real::new();
    let job = r#"{"name": "web", "cmd": "sh -c 'echo lost; exec sleep 1000'", "stdout_logfile": "/dev/full"}"#;
    run_with(command(&node.address, "load_process -"), job).says("ok\n");
    node.run("start web").says("ok\n");
    let start = Instant::now();
    let told = loop {
        let told = node.run("status").out;
        if told.contains("lost") {
            break told;
        }
        assert!(start.elapsed() < Duration::from_secs(90), "{told}");
        std::thread::sleep(Duration::from_millis(10));
    };
    let fault = told.lines().last().expect("lines");
    assert!(
        fault.starts_with("web: log /dev/full fails: ") && fault.ends_with("; 5 bytes of output are lost"),
        "{told}"
    );
    assert!(fault.contains("No space left on device"), "{told}");
    let listed = node.run("status web --json").json();
    let log = &listed["jobs"][0]["failing_logs"][0];
    assert_eq!((&log["path"], &log["dropped"]), (&"/dev/full".into(), &5.into()), "{listed}");
}

#[test]
fn the_life_of_a_job() {
    let node = Real::new();
    node.run("status").says("NAME  STATE  RUNNING  WANTED  UP  RESTARTS  LAST EXIT\n");
    node.run("add_process --graceful-timeout 5 web sleep 1000").says("ok\n");
    node.run("add_process web sleep 1000").fails(1, &["web"]);
    let stopped = node.run("status web");
    assert_eq!((stopped.code, stopped.out.as_str()), (3, "stopped\n"));
    node.run("start web --wait").says("ok\n");
    node.run("status web").says("active\n");
    node.run("pids web").says("1\n");
    node.run("add web 2 --wait").says("3\n");
    node.run("running web").says("3\n");
    node.run("sub web").says("2\n");
    node.run("numprocesses web").says("2\n");
    node.run("pids web --json").says("{\"pids\":[2,3]}\n");
    node.run("kill web TERM --wait=running").says("ok\n");
    node.run("pids web").says("4\n5\n");
    node.run("stop 4 --wait").says("ok\n");
    node.until("pids web", 0, "5\n6\n");
    node.run("restart web --wait").says("ok\n");
    assert_eq!(node.run("pids web").out.lines().count(), 2);
    node.run("update_process -n 1 --env A=b --wait web").says("ok\n");
    let definition = node.run("get_process web --json").json();
    assert_eq!((&definition["env"]["A"], &definition["cmd"]), (&"b".into(), &"sleep".into()));
    let pid = node.run("pids web").out.trim().to_owned();
    let process = node.run(&format!("get_process {pid} --json")).json();
    assert_eq!((&process["state"], &process["name"]), (&"running".into(), &"default.web".into()));
    let stats = node.run("stats web --json").json();
    assert_eq!(stats["jobs"][0]["stats"][0]["pid"].to_string(), pid);
    node.run("stop web --wait").says("ok\n");
    node.run("running web").says("0\n");
    node.run("start wbe").fails(4, &["no such job `wbe`; did you mean `web`?"]);
    node.run("del_process w*").says("ok\n");
    node.run("processes").says("");
    node.run("kill 99 TERM").fails(4, &["99"]);
}

#[test]
fn files_groups_and_patterns() {
    let node = Real::new();
    let jobs = r#"[{"name":"shop:a","cmd":"sleep 1000","start":true},{"name":"shop:b","cmd":"sleep 1000"},
                   {"name":"c","cmd":"sleep","args":["1000"],"numprocesses":2}]"#;
    run_with(command(&node.address, "load_process -"), jobs).says("ok\n");
    node.run("groups").says("shop\ndefault\n");
    node.run("groups shop").says("shop:a\nshop:b\n");
    node.run("groups start shop --wait").says("ok\n");
    node.run("status shop.* --json");
    assert_eq!(node.run("status shop.*").code, 0);
    node.run("group_restart shop --wait").says("ok\n");
    node.run("start * --wait").says("ok\n");
    assert_eq!(node.run("processes --running").out.lines().count(), 4);
    node.run("group_stop s* --wait").says("ok\n");
    // How long they run already is another matter.
    let status: Vec<String> = node.run("status").out.lines().map(|line| line.chars().take(32).collect()).collect();
    let want = [
        "NAME    STATE    RUNNING  WANTED",
        "shop.a  stopped        0       1",
        "shop.b  stopped        0       1",
        "c       active         2       2",
    ];
    assert_eq!(status, want);
    node.run("groups remove shop").says("ok\n");
    node.run("groups shop").fails(4, &["shop"]);
    node.run("get_process c --json");
    // What is printed can be loaded.
    let definition = node.run("get_process c").out;
    run_with(command(&node.address, "load_process --replace --start --wait -"), &definition).says("ok\n");
}

#[test]
fn watching() {
    let node = Real::new();
    let mut watch = command(&node.address, "watch proc.dummy")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool");
    let mut lines = BufReader::new(watch.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    // Whether it listens already shows when something arrives.
    let (mut first, start) = (None, Instant::now());
    let (sender, receiver) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || lines.try_for_each(|line| sender.send(line)));
    while first.is_none() {
        node.run("add_process --start dummy sleep 1000").says("ok\n");
        node.run("del_process dummy --wait").says("ok\n");
        first = receiver.recv_timeout(Duration::from_millis(50)).ok();
        assert!(start.elapsed() < Duration::from_secs(90), "nothing came");
    }
    node.run("add_process --start dummy sleep 1000").says("ok\n");
    let want = "dummy | proc.dummy.spawn dummy";
    let found = receiver.iter().find(|line| line.split_once(' ').is_some_and(|(_, text)| text == want));
    assert!(found.is_some());
    // The node ends, and with it the feed.
    node.handle.call(|m| m.stop_now()).expect("it runs");
    assert_eq!(watch.wait().expect("an end").code(), Some(69));
    // The receiver is still there, so it has sent everything.
    reader.join().expect("a reader").expect("all was sent");
}

/// As in `gafferctl watch | head -1`: whoever waits for that does not wait for another event.
#[test]
fn what_follows_ends_with_its_reader() {
    let node = Real::new();
    for line in ["watch", "logs -f", "stats --watch --interval 1000"] {
        let mut tool = command(&node.address, line).stdout(Stdio::piped()).spawn().expect("the tool");
        drop(tool.stdout.take());
        let start = Instant::now();
        let ended = loop {
            if let Some(status) = tool.try_wait().expect("it is a child") {
                break status;
            }
            if start.elapsed() > Duration::from_secs(90) {
                tool.kill().expect("it runs");
                panic!("{line}: it goes on");
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(ended.code(), Some(0), "{line}");
    }
}

/// The sessions of the documentation; the times and the order of the sessions are ours.
#[test]
fn watching_as_documented() {
    let node = Real::new();
    for (pattern, want) in [
        ("", &["exit dummy", "proc.dummy.exit dummy", "spawn dummy", "proc.dummy.spawn dummy"][..]),
        (" proc.dummy", &["proc.dummy.exit dummy", "proc.dummy.spawn dummy"]),
        (" proc.dummy.spawn", &["proc.dummy.spawn dummy"]),
    ] {
        let mut watch =
            command(&node.address, &format!("watch{pattern}")).stdout(Stdio::piped()).spawn().expect("the tool");
        let mut lines = BufReader::new(watch.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        // It ends by itself, again and again.
        node.run("add_process --start dummy sleep 0.3").says("ok\n");
        // What is said before it ends for the first time is about its start.
        let mut said = lines.by_ref().map(|line| {
            let (time, text) = line.split_once(' ').expect("a time");
            assert!(time.len() == 8 && time.bytes().all(|b| b.is_ascii_digit() || b == b':'), "{line}");
            text.strip_prefix("dummy | ").unwrap_or_else(|| panic!("{line}")).to_owned()
        });
        let first = said.by_ref().find(|text| text == want[0]).expect("it goes on");
        let two_rounds: Vec<String> = std::iter::once(first).chain(said).take(2 * want.len()).collect();
        assert_eq!(two_rounds, [want, want].concat(), "{pattern}");
        watch.kill().expect("it runs");
        watch.wait().expect("it is a child");
        node.run("del_process dummy --wait").says("ok\n");
    }
}

#[test]
fn output_and_input() {
    let node = Real::new();
    node.run("add_process --redirect-output out --redirect-input --start echo cat").says("ok\n");
    let server = Server::new(&node.address).expect("an address");
    let pid = server.job("echo").and_then(|job| job.pids()).expect("it runs")[0];
    let mut output = server.stream(pid, "out").expect("a feed");
    server.process(pid).send(b"hello\n\xff").expect("sent");
    let mut got = Vec::new();
    while got.len() < 7 {
        got.extend(output.next().expect("more").expect("bytes"));
    }
    assert_eq!(got, b"hello\n\xff");
    let mut samples = server.stats_feed(Some("echo"), Duration::from_millis(100)).expect("a feed");
    let sample = samples.next().expect("a sample").expect("a good one");
    assert_eq!((&sample["name"], sample["pid"].as_u64()), (&"default.echo".into(), Some(pid.0)));
    server.unload("echo").expect("told");
    assert!(output.all(|piece| piece.is_ok()), "the feed ends with the process");
}

#[test]
fn logs_of_a_job_whose_output_goes_nowhere() {
    let node = Real::new();
    node.run("add_process quiet sleep 1000").says("ok\n");
    node.run("add_process --redirect-output out loud sleep 1000").says("ok\n");
    let told = "gafferctl: 'quiet' has neither redirect_output nor stdout_logfile: what it writes is not kept\n";
    for (line, said) in [("logs quiet", told), ("logs loud", ""), ("logs", "")] {
        let ran = node.run(line);
        // The server of this test keeps no history, which it says.
        let about = ran.err.lines().filter(|line| line.contains("is not kept")).map(|line| format!("{line}\n"));
        assert_eq!(about.collect::<String>(), said, "{ran:?}");
    }
}

/// What was told to end and has not is still waited for, by whoever asks later too.
#[test]
fn processes_on_the_way_out() {
    let node = Real::new();
    let folder = socket_path().with_extension("d");
    std::fs::create_dir(&folder).expect("a folder");
    let folder = folder.to_str().expect("text").to_owned();
    let until_it_is_there = |file: &str| {
        let start = Instant::now();
        while !PathBuf::from(format!("{folder}/{file}")).exists() {
            assert!(start.elapsed() < Duration::from_secs(90), "waiting for {file}");
            std::thread::yield_now();
        }
    };
    // It ends when it may, whatever it is told.
    let script = format!(
        "trap '' TERM; n=$(($(cat {folder}/n 2>/dev/null || echo 0) + 1)); echo $n >{folder}/n; : >{folder}/ready$n; \
         until [ -e {folder}/go ]; do sleep 0.05; done"
    );
    let job = serde_json::json!({"name": "slow", "cmd": script, "shell": true, "graceful_timeout": 600});
    run_with(command(&node.address, "load_process --start -"), &job.to_string()).says("ok\n");
    until_it_is_there("ready1");
    node.run("restart slow").says("ok\n");
    until_it_is_there("ready2");
    node.until("pids slow", 0, "2\n");
    let status = node.run("status slow --json").json()["jobs"][0].clone();
    let figures = ["active", "ending", "running", "state", "health", "restarts"].map(|key| &status[key]);
    let want = serde_json::json!([true, [1], 1, "active", "active", 0]);
    assert_eq!(figures.to_vec(), want.as_array().expect("a list").iter().collect::<Vec<_>>());
    node.run("restart slow --wait --timeout 2").fails(124, &["process"]);
    until_it_is_there("ready3");
    node.run("stop slow").says("ok\n");
    let status = node.run("status slow --json");
    assert_eq!((status.code, &status.json()["jobs"][0]["ending"]), (3, &serde_json::json!([1, 2, 3])));
    assert_eq!(node.run("get_process 3 --json").json()["state"], "stopping");
    node.run("stop slow --wait --timeout 2").fails(124, &["process", "has not ended"]);
    node.run("stop slow --wait=stopped --timeout 2").fails(124, &["process", "has not ended"]);
    node.run("group_stop default --wait --timeout 2").fails(124, &["process", "has not ended"]);
    node.run("del_process slow --wait --timeout 2").fails(124, &["process", "has not ended"]);
    run_with(command(&node.address, "load_process -"), &job.to_string()).says("ok\n");
    node.run("stop slow --wait").says("ok\n");
    std::fs::write(format!("{folder}/go"), "").expect("a file");
    node.run("start slow").says("ok\n");
    node.run("stop slow --wait").says("ok\n");
    assert_eq!(node.run("status slow --json").json()["jobs"][0]["ending"], serde_json::json!([]));
    std::fs::remove_dir_all(folder).expect("nobody uses it");
}

/// Whoever looks at three in the morning sees which job is the trouble, and how its processes end.
#[test]
fn what_crashes_is_seen() {
    let node = Real::new();
    let jobs = r#"[{"name":"web","cmd":"sleep 1000","start":true},
                   {"name":"bad","cmd":"sh","args":["-c","exit 7"],"start":true,"backoff":0.01},
                   {"name":"gone","cmd":"/nonexistent/program","start":true,"backoff":0.01},
                   {"name":"enough","cmd":"kill -9 $$","shell":true,"start":true,
                    "flapping":{"attempts":1,"window":60,"retry_in":0.01,"max_retry":1}},
                   {"name":"job","cmd":"true","restart":"never","start":true}]"#;
    run_with(command(&node.address, "load_process -"), jobs).says("ok\n");
    for (name, state) in [("bad", "crash loop"), ("gone", "crash loop"), ("enough", "gave up")] {
        node.until(&format!("status {name}"), 3, &format!("{state}\n"));
    }
    node.until("status job", 0, "finished\n");
    node.until("status web", 0, "active\n");
    let all = node.run("status --json").json();
    let [web, bad, gone, enough, job] = std::array::from_fn(|nth| all["jobs"][nth].clone());
    assert_eq!((&web["restarts"], &web["last_exit"]), (&0.into(), &serde_json::Value::Null));
    assert!(web["uptime"].as_f64().is_some_and(|up| (0.0..3600.0).contains(&up)), "{web}");
    assert_eq!(
        (&bad["active"], &bad["state"], &bad["last_exit"]["exit_code"]),
        (&true.into(), &"active".into(), &7.into())
    );
    assert!(bad["restarts"].as_u64() >= Some(2) && gone["restarts"].as_u64() >= Some(2), "{bad} {gone}");
    assert!(gone["last_exit"]["reason"].as_str().is_some_and(|reason| reason.contains("/nonexistent")), "{gone}");
    assert_eq!((&enough["restarts"], &enough["last_exit"]["term_signal"]), (&1.into(), &9.into()));
    assert_eq!((&job["restarts"], &job["last_exit"]["exit_code"]), (&0.into(), &0.into()));
    let table = node.run("status").out;
    for (name, end) in [("bad", "code 7, "), ("gone", "not started, "), ("enough", "SIGKILL, "), ("job", "code 0, ")] {
        let row = table.lines().find(|line| line.starts_with(&format!("{name} "))).expect("a row");
        assert!(row.contains(end) && row.ends_with(" ago") && row.len() <= 80, "{table}");
    }
    // Whoever acts begins anew.
    node.run("stop enough").says("ok\n");
    let stopped = node.run("status enough");
    assert_eq!((stopped.code, stopped.out.as_str()), (3, "stopped\n"));
    node.run("update_process bad sleep 1000").says("ok\n");
    node.until("status bad", 0, "active\n");
}
