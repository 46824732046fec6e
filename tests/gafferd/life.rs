//! From start to stop, and what is said meanwhile.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use gaffer::process::Signal;

use super::util::{Folder, Gafferd, alive, eventually, ini, run};

#[test]
fn starts_and_stops() {
    let folder = Folder::new();
    folder.write("gafferd.ini", &ini("[job:a]\ncmd = sleep 1000\nnumprocesses = 2\n[job:s:b]\ncmd = sleep 1000\n"));
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        // The folder will do.
        let mut gafferd = Gafferd::start(&folder.0, &[]);
        let ready = gafferd.line("ready: 2 jobs, 3 processes wanted; listening on 127.0.0.1:");
        assert!(!ready.ends_with(":0"), "{ready}");
        let pids = [gafferd.os_pid("a.1", 0), gafferd.os_pid("a.2", 0), gafferd.os_pid("s.b.1", 0)];
        assert!(pids.into_iter().all(alive));
        gafferd.signal(signal);
        assert_eq!(gafferd.end(), 0);
        assert!(!pids.into_iter().any(alive));
        gafferd.line(&format!("stopping on {signal}: asking 3 processes to end"));
        gafferd.line("[INFO] stopped");
        // Nothing is said twice.
        let log = gafferd.log();
        for process in ["a.1", "a.2", "s.b.1"] {
            for what in ["has started", "has ended"] {
                let is = |line: &&String| line.contains(&format!(" {process} (pid ")) && line.contains(what);
                assert_eq!(log.iter().filter(is).count(), 1, "{process} {what}: {log:#?}");
            }
        }
    }
}

#[test]
fn a_second_signal_kills() {
    let folder = Folder::new();
    let job = "[job:deaf]\nshell = true\ncmd = trap '' TERM; echo >up; while :; do sleep 1; done\n";
    let config = folder.write("c.ini", &ini(&format!("{job}cwd = %(here)s\n")));
    let mut gafferd = Gafferd::start(&config, &[]);
    let pid = gafferd.os_pid("deaf.1", 0);
    eventually("its trap", || folder.path("up").exists().then_some(()));
    gafferd.signal(Signal::TERM);
    gafferd.line("SIGKILL follows in 30 s");
    gafferd.signal(Signal::TERM);
    assert_eq!(gafferd.end(), 0);
    gafferd.line(&format!("killing on SIGTERM: waiting for deaf.1 (pid {pid})"));
    gafferd.line(&format!("deaf.1 (pid {pid}) has ended: SIGKILL, after"));
    assert!(!alive(pid));
}

#[test]
fn lines_say_what_happens_next() {
    let folder = Folder::new();
    let jobs = "[job:crash]\ncmd = sh -c 'exit 3'\nbackoff = 0.3, 0.3\n\
                [job:nope]\ncmd = /no/such/program\nflapping = 1, 10, 0.1, 1\n\
                [job:once]\ncmd = true\nrestart = never\n";
    let mut gafferd = Gafferd::start(&folder.write("c.ini", &ini(jobs)), &[]);
    // How long it lived and what is left of the pause depend on the machine.
    let ended = |gafferd: &mut Gafferd, how: &str, next: &str| {
        let said = |line: &&String| line.contains(&format!(") has ended: {how}, after ")) && line.contains(next);
        eventually(next, || gafferd.log().iter().find(said).cloned());
    };
    ended(&mut gafferd, "code 3", "; respawn at once");
    ended(&mut gafferd, "code 3", "; respawn in 0.");
    let line = gafferd.line(" nope cannot be started: ");
    assert!(line.contains("[ERROR]") && line.contains("/no/such/program"), "{line}");
    gafferd.line("[WARNING] job nope crashes too often: try 1 in 0.1 s");
    gafferd.line("[ERROR] job nope crashes too often and is given up");
    let line = gafferd.line("once.1 (pid ");
    assert!(line.contains("[INFO]"), "{line}");
    ended(&mut gafferd, "code 0", "; it is not replaced, as its job wants");
    gafferd.stop();
}

#[test]
fn json_lines() {
    let folder = Folder::new();
    let config = folder.write("c.ini", &ini("log_format = json\n[job:s:a]\ncmd = sh -c 'exit 3'\nrestart = never\n"));
    let mut gafferd = Gafferd::spawn({
        let mut command = super::util::command(&["--log-level", "debug"]);
        command.arg(config);
        command
    });
    let line = gafferd.line(r#""event":"exit""#);
    gafferd.stop();
    let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(value["job"], "s.a");
    assert_eq!(value["level"], "warning");
    assert_eq!(value["exit_code"], 3);
    assert_eq!(value["pid"], gafferd.child.id());
    assert!(value["os_pid"].as_i64().is_some_and(|pid| pid > 1) && value["time"].is_f64());
    for line in gafferd.log() {
        serde_json::from_str::<serde_json::Value>(&line).expect("JSON");
    }
}

#[test]
fn levels_filter() {
    let folder = Folder::new();
    let config = folder.write("c.ini", &ini("[job:a]\ncmd = sh -c 'exit 3'\nrestart = never\n"));
    let mut command = super::util::command(&["--log-level=warning", "-c"]);
    command.arg(config);
    let mut gafferd = Gafferd::spawn(command);
    gafferd.line("[WARNING] a.1");
    gafferd.stop();
    let log = gafferd.log();
    assert_eq!(log.len(), 1, "{log:#?}");
    // 2026-11-21 03:12:07 [4711] [WARNING] …
    let shape: String = log[0].chars().take(20).map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(shape, "9999-99-99 99:99:99 ");
    assert!(log[0][20..].starts_with(&format!("[{}] [WARNING] ", gafferd.child.id())), "{log:#?}");
}

#[test]
fn the_console_shows_events_and_output() {
    let folder = Folder::new();
    let job = "[job:a]\ncmd = sh -c 'echo hello; exit 3'\nrestart = never\nredirect_output = out\n";
    let config = folder.write("c.ini", &ini(job));
    for (option, shows) in [("-v", false), ("-vv", true)] {
        let out = fs::File::create(folder.path("out")).expect("a file");
        let err = fs::File::create(folder.path("err")).expect("a file");
        let mut command = super::util::command(&[option, "-c"]);
        let mut child = command.arg(&config).stdout(out).stderr(err).spawn().expect("gafferd");
        let pid = i32::try_from(child.id()).expect("a pid");
        let text = eventually("the exit", || Some(folder.read("out")).filter(|text| text.contains("(code 3)")));
        super::util::signal(pid, Signal::TERM);
        assert!(child.wait().expect("it ends").success());
        assert!(text.contains("a.1 | spawn process with pid"), "{text}");
        assert_eq!(folder.read("out").contains("a.1 | hello"), shows, "{option}: {text}");
        // The console has said it, so the log does not.
        assert!(!folder.read("err").contains("has ended"), "{}", folder.read("err"));
    }
}

/// That nobody reads standard output any more, or its disk is full, is no reason to stop what is supervised.
#[test]
fn it_goes_on_without_its_console() {
    let folder = Folder::new();
    let job = "[job:a]\ncmd = sh -c 'echo hello; exit 3'\nredirect_output = out\n";
    let config = folder.write("c.ini", &ini(job));
    let unread = gaffer::sys::stdio::pipe().expect("a pipe").1;
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    for (stdout, why) in [(Some(Stdio::from(unread)), "Broken pipe"), (full.ok().map(Stdio::from), "No space left")] {
        let Some(stdout) = stdout else { continue };
        let mut command = super::util::command(&["-vv", "-c"]);
        command.arg(&config);
        let mut gafferd = Gafferd::spawn_onto(command, stdout);
        let line = gafferd.line("going on without the console");
        assert!(line.contains("[ERROR] standard output: ") && line.contains(why), "{line}");
        // What the console would tell, the log tells now.
        gafferd.nth_line("a.1 (pid ", 2);
        gafferd.stop();
    }
}

#[test]
fn the_log_is_opened_again() {
    let folder = Folder::new();
    let config = folder.write("c.ini", &ini("[job:a]\ncmd = sleep 1000\n"));
    let log = folder.path("log");
    let mut command = super::util::command(&["-c"]);
    command.arg(config).arg("--error-log").arg(&log);
    let mut gafferd = Gafferd::spawn(command);
    eventually("ready", || folder.read("log").contains("ready: ").then_some(()));
    fs::rename(&log, folder.path("log.1")).expect("rename");
    gafferd.signal(Signal::USR1);
    eventually("the new log", || folder.read("log").contains("the log was opened again").then_some(()));
    gafferd.stop();
    assert!(folder.read("log").contains("stopping on SIGTERM"));
    assert!(!folder.read("log.1").contains("stopping on SIGTERM"));
    assert!(gafferd.log().is_empty(), "{:?}", gafferd.log());
}

/// What would keep it from starting keeps a deploy from going on.
#[test]
fn check_fails_where_the_start_would() {
    let folder = Folder::new();
    let config = folder.write_text("c.ini", &ini(""));
    let lost = folder.text("lost/x");
    folder.write("access.json", "{\"x");
    for (args, want) in [
        (&["--require-key"][..], "access.json"),
        (&["--pidfile", &lost], "lost' "),
        (&["--error-log", &lost], "lost"),
        (&["--access-log", &lost], "lost"),
    ] {
        let args = [&["-c", config.as_str()], args].concat();
        let (code, out, err) = run(&[&args[..], &["--check"]].concat());
        assert!(code == 1 && out.is_empty() && err.contains(want), "{args:?}: {out}{err}");
        let (code, _, err) = run(&args);
        assert!(code == 1 && err.contains("lost") != err.contains("access.json"), "{args:?}: {err}");
    }
    assert_eq!(run(&["-c", &config, "--check"]).0, 0);
}

#[test]
fn check_says_what_would_run() {
    let folder = Folder::new();
    let jobs = "[job:a]\ncmd = echo 'x y' $WHO\nnumprocesses = 2\nenv.WHO = me\n[job:s:b]\ncmd = true\nstart = no\n";
    let config = folder.write("c.ini", &ini(jobs));
    let path = config.to_str().expect("UTF-8");
    let (code, out, err) = run(&["--check", path]);
    let want = format!(
        "file {path}\nendpoint gaffer: 127.0.0.1:0\njob a: 2 processes: echo 'x y' me\njob s.b: 1 process, not started: true\n"
    );
    assert_eq!((code, out.as_str(), err.as_str()), (0, want.as_str(), ""));

    folder.write("c.ini", &ini("[job:a]\ncmd = true\nuid = no-such-user\n[job:b]\ncmd = echo $NO_SUCH_VARIABLE\n"));
    let (code, out, err) = run(&["--check", path]);
    assert_eq!((code, out.as_str()), (1, ""));
    let lines: Vec<&str> = err.lines().collect();
    assert!(lines[0].starts_with(&format!("gafferd: {path}:3:2: job 'default.a': ")) && err.contains("no-such-user"));
    let fault = "cmd: in \"$NO_SUCH_VARIABLE\": column 1: the variable NO_SUCH_VARIABLE is not set ($$ is a plain $)";
    assert_eq!(lines[1..], [format!("{path}:6:2: job 'default.b': {fault}")], "{err}");
    // The same without --check: nothing of it is started.
    let (code, _, err) = run(&[path]);
    assert!(code == 1 && err.contains("no-such-user") && !err.contains("has started"), "{err}");

    folder.write("c.ini", &ini("[job:a]\ncommand = true\n"));
    let (code, _, err) = run(&["--check", path]);
    assert!(code == 1 && err.starts_with(&format!("gafferd: {path}:4:1: [job:a] has no key `command`")), "{err}");
    assert_eq!(run(&["--no-such-option"]).0, 2);
}

#[test]
fn the_example_runs() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gaffer.ini");
    let mut gafferd = Gafferd::start(&example, &["--bind", "127.0.0.1:0"]);
    gafferd.os_pid("respawn.2", 0);
    gafferd.line("[WARNING] job unlucky crashes too often: try 1 in 7 s");
    gafferd.stop();
}

#[test]
fn children_get_the_old_limit_of_files() {
    let folder = Folder::new();
    let job = "[job:a]\nshell = yes\ncmd = ulimit -n >limit.new; mv limit.new limit; exec sleep 1000\ncwd = %(here)s\n";
    let mut gafferd = Gafferd::start(&folder.write("c.ini", &ini(job)), &[]);
    eventually("the limit", || folder.path("limit").exists().then_some(()));
    gafferd.stop();
    let ours = Command::new("sh").args(["-c", "ulimit -n"]).output().expect("sh");
    assert_eq!(folder.read("limit"), String::from_utf8_lossy(&ours.stdout));
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    use std::io::Read;

    let folder = Folder::new();
    let job = "[job:a]\nshell = yes\ncmd = echo >>count\nbackoff = 0\nnumprocesses = 4\ncwd = %(here)s\n";
    let mut command = super::util::command(&["-c"]);
    command.arg(folder.write("c.ini", &ini(job))).stderr(Stdio::piped());
    let mut child = command.spawn().expect("gafferd");
    // More than a pipe takes: two lines for each, of 60 bytes at least.
    eventually("a thousand starts", || (folder.read("count").len() > 1000).then_some(()));
    super::util::signal(i32::try_from(child.id()).expect("a pid"), Signal::TERM);
    let status = eventually("its end", || child.try_wait().expect("it is a child"));
    assert_eq!(status.code(), Some(0));
    let mut log = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut log).expect("UTF-8");
    assert!(log.contains("ready: 1 job") && !log.contains("stopped"), "{} bytes", log.len());
    assert!(log.ends_with('\n'), "whole lines only");
}
