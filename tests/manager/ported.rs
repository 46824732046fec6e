//! The original's tests of its manager, process and channel, one for one and under their names
//! (`test_manager.py`, `test_process.py`, `test_channel.py` of 0.5.2).

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gaffer::manager::{App, Commit, Cx, Target};
use gaffer::process::{Channel, Exit, Flapping, JobConfig, JobState, OsPid, Pid, Scale, Signal, What};
use gaffer::{ErrorKind, Result};

use crate::watch::{DEADLINE, Running, Scratch, Watch, dummy, sh, sleeper};

#[test]
fn manager_simple() {
    struct Note(Arc<Mutex<Vec<String>>>);
    impl App for Note {
        fn start(&mut self, cx: &mut Cx<'_>) -> Result<()> {
            self.0.lock().expect("notes").push(format!("started, stopping: {}", cx.is_stopping()));
            cx.stop();
            Ok(())
        }
        fn stop(&mut self, cx: &mut Cx<'_>) {
            self.0.lock().expect("notes").push(format!("stopped, stopping: {}", cx.is_stopping()));
        }
    }
    let notes = Arc::default();
    let mut w = Watch::new();
    w.manager.add_app(Note(Arc::clone(&notes)));
    w.manager.run().expect("run");
    assert_eq!(*notes.lock().expect("notes"), ["started, stopping: false", "stopped, stopping: true"]);
}

#[test]
fn manager_simple_job() {
    let mut w = Watch::new();
    let config = JobConfig::new("dummy", "sleep").expect("job").arg("1000").cwd("/");
    w.manager.load(config.clone(), false).expect("load");
    let info = w.manager.info("dummy").expect("info");
    assert_eq!((info.name.as_str(), info.numprocesses, info.running), ("default.dummy", 1, 0));
    assert_eq!((info.state, &*info.config), (JobState::Stopped, &config));
    w.manager.unload("dummy").expect("unload");
    assert_eq!(w.manager.info("dummy").expect_err("gone").kind(), ErrorKind::NotFound);
    w.finish();
}

#[test]
fn manager_start_stop_job() {
    let mut w = Watch::new();
    w.start(sleeper("dummy"));
    assert_eq!(w.manager.info("dummy").expect("info").running, 1);
    w.running("dummy", 1);
    w.manager.stop_job("dummy").expect("stop");
    assert_eq!(w.manager.info("dummy").expect("info").running, 0);
    assert!(w.manager.is_loaded("dummy"));
    w.manager.start_job("dummy").expect("start");
    w.running("dummy", 1);
    w.finish();
}

#[test]
fn manager_start_multiple() {
    let mut w = Watch::new();
    w.start(sleeper("dummy").numprocesses(2));
    w.running("dummy", 2);
    assert_eq!(w.manager.info("dummy").expect("info").running, 2);
    w.finish();
}

#[test]
fn manager_scalein() {
    let mut w = Watch::new();
    w.start(sleeper("dummy"));
    for (by, to) in [(1, 2), (1, 3), (3, 6)] {
        assert_eq!(w.manager.scale("dummy", Scale::By(by)).expect("scale"), to);
        w.running("dummy", to as usize);
    }
    w.finish();
}

#[test]
fn manager_scaleout() {
    let mut w = Watch::new();
    w.start(sleeper("dummy").numprocesses(4));
    w.running("dummy", 4);
    for (by, to) in [(-1, 3), (-2, 1)] {
        assert_eq!(w.manager.scale("dummy", Scale::By(by)).expect("scale"), to);
        assert_eq!(w.manager.info("dummy").expect("info").running, to);
    }
    // The oldest go first.
    assert_eq!(w.manager.pids("dummy").expect("pids"), [Pid(4)]);
    w.until("three exits", |w| w.exits().len() == 3);
    w.finish();
}

#[test]
fn manager_numprocesses() {
    let mut w = Watch::new();
    w.start(sleeper("dummy").numprocesses(2));
    w.running("dummy", 2);
    assert_eq!(w.manager.scale("dummy", "=0".parse().expect("scale")).expect("scale"), 0);
    w.until("nobody is left", |w| w.exits().len() == 2);
    assert_eq!(w.manager.info("dummy").expect("info").processes, []);
    w.finish();
}

#[test]
fn manager_process_id() {
    let mut w = Watch::new();
    w.start(sleeper("a").numprocesses(2));
    w.start(sleeper("b").numprocesses(2));
    let all = [1, 2, 3, 4].map(Pid);
    assert_eq!(w.manager.list(), all);
    let mut walked = Vec::new();
    w.manager.walk(|job| walked.extend(job.processes));
    assert_eq!(walked, all);
    assert_eq!(w.manager.pids("b").expect("pids"), all[2..]);
    w.finish();
}

#[test]
fn manager_restart_process() {
    let mut w = Watch::new();
    w.start(sleeper("dummy").numprocesses(3));
    w.running("dummy", 3);
    let old = w.os_pids("dummy");
    w.manager.reload("dummy").expect("reload");
    w.running("dummy", 3);
    let new = w.os_pids("dummy");
    assert!(old.iter().all(|pid| !new.contains(pid)), "{old:?} {new:?}");
    w.finish();
}

#[test]
fn manager_restart_manager() {
    let mut w = Watch::new();
    w.start(sleeper("a"));
    w.start(sleeper("b").numprocesses(2));
    w.running("b", 2);
    let old = [w.os_pids("a"), w.os_pids("b")].concat();
    w.manager.restart().expect("restart");
    w.until("new processes alone", |w| {
        let new = [w.os_pids("a"), w.os_pids("b")].concat();
        new.len() == 3 && old.iter().all(|pid| !new.contains(pid)) && w.manager.ending().is_empty()
    });
    w.finish();
}

#[test]
fn manager_send_signal() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    w.start(dummy("dummy", &scratch.file("log")));
    w.until("it has started", |_| scratch.text("log") == "START");
    w.manager.send_signal("dummy", "hup").expect("signal");
    w.until("it got the signal", |_| scratch.text("log") == "STARTHUP");
    assert_eq!(w.manager.send_signal("dmmy", "HUP").expect_err("unknown").kind(), ErrorKind::NotFound);
    assert_eq!(w.manager.send_signal("dummy", "HOP").expect_err("unknown").kind(), ErrorKind::Invalid);
    w.manager.stop_job("dummy").expect("stop");
    w.until("it has ended", |w| w.exits().len() == 1);
    assert_eq!(scratch.text("log"), "STARTHUPQUITSTOP");
    w.finish();
}

#[test]
fn manager_flapping() {
    let mut w = Watch::new();
    let rule = Flapping::new(1, Duration::from_secs(1), Duration::from_millis(100), 1);
    w.start(sh("crashing", "exit 1").flapping(rule));
    w.start(sleeper("steady"));
    w.until("it is given up", |w| w.manager.info("crashing").expect("info").state == JobState::Stopped);
    assert_eq!(w.manager.info("steady").expect("info").state, JobState::Active);
    let flaps = |w: &Watch| {
        let flap = |what: &What| if let What::Flap { retry, next } = what { Some((*retry, *next)) } else { None };
        w.events().iter().filter_map(|event| flap(&event.what)).collect::<Vec<_>>()
    };
    w.until("both flaps were told", |w| flaps(w).len() == 2);
    assert_eq!(flaps(&w), [(1, Some(Duration::from_millis(100))), (0, None)]);
    w.finish();
}

#[test]
fn manager_events() {
    let mut w = Watch::new();
    w.start(sleeper("dummy"));
    w.running("dummy", 1);
    w.manager.scale("dummy", Scale::By(1)).expect("scale");
    w.running("dummy", 2);
    w.manager.stop_job("dummy").expect("stop");
    w.manager.unload("dummy").expect("unload");
    w.until("both exits", |w| w.exits().len() == 2);
    let names = w.names();
    let expected =
        ["create", "start", "spawn", "update", "spawn", "stop", "stop_pid", "stop_pid", "delete", "exit", "exit"];
    assert_eq!(names, expected, "{}", w.dump());
    w.finish();
}

#[test]
fn manager_process_events() {
    let mut w = Watch::new();
    let topics = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&topics);
    w.manager.cx().on("job.default.dummy", move |_, topic, _| notes.lock().expect("notes").push(topic.to_owned()));
    w.start(sleeper("dummy"));
    w.running("dummy", 1);
    w.manager.stop_job("dummy").expect("stop");
    w.until("its exit", |w| w.exits().len() == 1);
    let expected = ["load", "start", "spawn", "stop", "stop_process", "exit"];
    assert_eq!(*topics.lock().expect("notes"), expected.map(|name| format!("job.default.dummy.{name}")));
    w.finish();
}

#[test]
fn manager_process_exit_event() {
    let mut w = Watch::new();
    w.start(sleeper("dummy"));
    w.running("dummy", 1);
    let os = w.os_pids("dummy")[0];
    w.manager.stop_job("dummy").expect("stop");
    w.until("its exit", |w| w.count("exit") > 0);
    w.idle(Duration::from_millis(20));
    let exits: Vec<_> = w.events().into_iter().filter(|event| event.what.name() == "exit").collect();
    let [event] = &exits[..] else { panic!("{}", w.dump()) };
    assert_eq!(event.job.as_ref().expect("a job").as_str(), "default.dummy");
    let exit = Exit::Signal { signal: Signal::TERM, core: false };
    assert_eq!(event.what, What::Exit { pid: Pid(1), os_pid: Some(os), instance: 1, exit, once: false });
    w.finish();
}

#[test]
fn manager_process_stats() {
    let mut w = Watch::new();
    w.start(sleeper("dummy"));
    w.running("dummy", 1);
    let stats = w.manager.stats(&Target::Job("dummy".parse().expect("name"))).expect("stats");
    let [sample] = &stats[..] else { panic!("{stats:?}") };
    assert_eq!((sample.name.as_str(), sample.pid), ("default.dummy", Pid(1)));
    assert_eq!(sample.stats.os_pid, w.os_pids("dummy")[0]);
    w.finish();
}

#[test]
fn manager_processes_stats() {
    let mut w = Watch::new();
    let names = |w: &Watch| {
        let stats = w.manager.stats(&Target::All).expect("stats");
        stats.iter().map(|sample| sample.name.label().to_owned()).collect::<Vec<_>>()
    };
    w.start(sleeper("a"));
    w.running("a", 1);
    assert_eq!(names(&w), ["a"]);
    w.start(sleeper("b"));
    w.running("b", 1);
    assert_eq!(names(&w), ["a", "b"]);
    w.finish();
}

#[test]
fn manager_monitor() {
    let mut w = Watch::new();
    w.start(sleeper("dummy"));
    w.running("dummy", 1);
    let samples = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&samples);
    let target = Target::Job("dummy".parse().expect("name"));
    w.manager.cx().monitor(target, Duration::from_millis(100), move |_, sample| {
        notes.lock().expect("notes").push((sample.stats.os_pid, sample.stats.cpu));
    });
    w.until("two samples", |_| samples.lock().expect("notes").len() >= 2);
    let samples = samples.lock().expect("notes").clone();
    let os_pid = w.os_pids("dummy")[0];
    assert!(samples.iter().all(|(pid, _)| *pid == os_pid), "{samples:?}");
    assert!(samples[0].1.is_none() && samples[1].1.is_some(), "{samples:?}");
    w.finish();
}

#[test]
fn manager_priority() {
    let mut w = Watch::new();
    for name in ["c", "a", "b"] {
        w.start(sleeper(name));
    }
    w.until("all spawns", |w| w.count("spawn") == 3);
    let spawns = w.events().into_iter().filter(|event| event.what.name() == "spawn");
    let order: Vec<_> = spawns.map(|event| event.job.as_ref().expect("a job").label().to_owned()).collect();
    assert_eq!(order, ["c", "a", "b"]);
    w.finish();
}

#[test]
fn manager_sessions() {
    let mut w = Watch::new();
    for name in ["ga.a", "ga.b", "gb.a"] {
        w.manager.load(sleeper(name), false).expect("load");
    }
    assert_eq!(w.manager.sessions(), ["ga", "gb"]);
    let jobs = |w: &Watch, session| {
        let jobs = w.manager.jobs_of(session).expect("jobs");
        jobs.iter().map(|name| name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(jobs(&w, "ga"), ["ga.a", "ga.b"]);
    w.manager.start_session("ga").expect("start");
    w.running("ga.b", 1);
    assert_eq!((w.os_pids("ga.a").len(), w.os_pids("gb.a").len()), (1, 0));
    w.manager.stop_session("ga").expect("stop");
    w.until("both have ended", |w| w.exits().len() == 2);
    w.manager.unload("ga.a").expect("unload");
    assert_eq!(jobs(&w, "ga"), ["ga.b"]);
    w.manager.remove_session("ga").expect("remove");
    assert_eq!(w.manager.sessions(), ["gb"]);
    assert_eq!(w.manager.jobs_of("ga").expect_err("gone").kind(), ErrorKind::NotFound);
    w.finish();
}

#[test]
fn manager_process_commit() {
    let mut w = Watch::with_output();
    let job = sh("dummy", "echo value=$VALUE; exec sleep 1000").redirect_output(["out"]).numprocesses(0);
    w.start(job);
    let mut commit = Commit::default();
    commit.env.insert("VALUE".to_owned(), "x".to_owned());
    let pid = w.manager.commit("dummy", commit).expect("commit");
    assert_eq!(pid, Pid(1));
    w.until("it says its variable", |w| w.text("out") == "value=x\n");
    let info = w.manager.info("dummy").expect("info");
    assert_eq!((info.running, info.running_out, info.numprocesses), (1, 1, 0));
    let os_pid = w.manager.process(pid).expect("process").os_pid;
    w.manager.stop_process(pid).expect("stop");
    w.until("its exit", |w| w.exits().len() == 1);
    let exit = w.events().pop().expect("an event");
    let how = Exit::Signal { signal: Signal::TERM, core: false };
    assert_eq!(exit.what, What::Exit { pid, os_pid, instance: 1, exit: how, once: true });
    w.finish();
}

#[test]
fn process_simple() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    w.start(dummy("dummy", &scratch.file("log")));
    w.until("it has started", |_| scratch.text("log") == "START");
    let process = w.manager.process(Pid(1)).expect("process");
    assert_eq!((process.name.label(), process.instance, process.once), ("dummy", 1, false));
    assert!(process.started.expect("started").elapsed().expect("in the past") < DEADLINE);
    w.manager.stop_job("dummy").expect("stop");
    w.until("it has ended", |w| w.exits() == [(Pid(1), Exit::Code(0))]);
    assert_eq!(scratch.text("log"), "STARTQUITSTOP");
    w.finish();
}

#[test]
fn process_signal() {
    let scratch = Scratch::new();
    let mut w = Watch::new();
    w.start(dummy("dummy", &scratch.file("log")));
    w.until("it has started", |_| scratch.text("log") == "START");
    w.manager.kill(Pid(1), Signal::HUP).expect("kill");
    w.until("it got the signal", |_| scratch.text("log") == "STARTHUP");
    w.manager.stop_process(Pid(1)).expect("stop");
    w.until("it has ended", |_| scratch.text("log").starts_with("STARTHUPQUITSTOP"));
    w.finish();
}

#[test]
fn process_info() {
    let mut w = Watch::new();
    w.start(sleeper("dummy"));
    w.running("dummy", 1);
    let process = w.manager.process(Pid(1)).expect("process");
    assert_eq!((process.pid, process.config.cmd.as_str()), (Pid(1), "sleep 1000"));
    assert!(process.os_pid.is_some());
    assert_eq!(w.manager.process(Pid(9)).expect_err("none").kind(), ErrorKind::NotFound);
    w.finish();
}

#[test]
fn process_stats() {
    let mut w = Watch::new();
    w.start(sleeper("dummy"));
    w.running("dummy", 1);
    let stats = |w: &Watch| w.manager.stats(&Target::Process(Pid(1))).expect("stats").remove(0).stats;
    // exec lets the parent go on a moment before the new image is complete.
    w.until("the command line", |w| stats(w).cmdline == ["sleep", "1000"]);
    w.until("memory in use", |w| stats(w).rss > 0);
    w.until("three descriptors", |w| stats(w).num_fds == Some(3));
    assert_eq!(w.manager.stats(&Target::Process(Pid(9))).expect_err("none").kind(), ErrorKind::NotFound);
    w.finish();
}

#[test]
fn process_stat_events_refcount() {
    let mut w = Watch::new();
    w.start(sleeper("dummy"));
    w.running("dummy", 1);
    assert_eq!(w.manager.next_deadline(), None, "nothing is sampled");
    let counts = Arc::new(Mutex::new([0, 0]));
    let monitors = [0, 1].map(|i| {
        let counts = Arc::clone(&counts);
        w.manager.cx().monitor(Target::All, Duration::from_millis(100), move |_, _| {
            counts.lock().expect("counts")[i] += 1;
        })
    });
    w.until("both get samples", |_| counts.lock().expect("counts").iter().all(|n| *n >= 2));
    assert!(w.manager.unmonitor(monitors[0]));
    assert!(!w.manager.unmonitor(monitors[0]));
    let before = *counts.lock().expect("counts");
    w.until("the other goes on", |_| counts.lock().expect("counts")[1] >= before[1] + 2);
    assert_eq!(counts.lock().expect("counts")[0], before[0]);
    assert!(w.manager.next_deadline().is_some());
    assert!(w.manager.unmonitor(monitors[1]));
    assert_eq!(w.manager.next_deadline(), None, "nothing is sampled");
    w.finish();
}

#[test]
fn process_redirect_output() {
    let mut w = Watch::with_output();
    w.start(sh("echo", "echo one; echo two >&2; exec sleep 1000").redirect_output(["stdout", "stderr"]));
    w.until("both", |w| w.text("stdout") == "one\n" && w.text("stderr") == "two\n");
    let os_pid = w.os_pids("echo")[0];
    for seen in w.seen() {
        if let crate::watch::Seen::Bytes(origin, _) = seen {
            assert_eq!((origin.name.as_str(), origin.pid, origin.os_pid), ("default.echo", Pid(1), os_pid));
        }
    }
    w.finish();
}

#[test]
fn process_redirect_input() {
    let mut w = Watch::with_output();
    w.start(JobConfig::new("echo", "cat").expect("job").redirect_input(true).redirect_output(["out"]));
    for line in ["ECHO\n", "ECHO\n"] {
        let _ = w.manager.turn(Some(Duration::ZERO)).expect("turn");
        w.manager.send(Pid(1), None, line.as_bytes()).expect("send");
    }
    w.until("the echo", |w| w.text("out") == "ECHO\nECHO\n");
    w.finish();
}

#[test]
fn process_custom_stream() {
    let mut w = Watch::with_output();
    w.start(sh("echo", "exec cat <&3 >&3").custom_stream("ctrl"));
    let _ = w.manager.turn(Some(Duration::ZERO)).expect("turn");
    w.manager.send(Pid(1), Some("ctrl"), b"hello\n").expect("send");
    w.until("the echo", |w| w.text("ctrl") == "hello\n");
    let fds: Vec<_> = w
        .seen()
        .iter()
        .filter_map(|seen| if let crate::watch::Seen::Bytes(o, _) = seen { Some(o.fd) } else { None })
        .collect();
    assert_eq!(fds, [3]);
    w.finish();
}

#[test]
fn process_custom_channel() {
    let (mut ours, theirs) = UnixStream::pair().expect("sockets");
    let mut w = Watch::new();
    let mut config = sh("echo", "exec cat <&3 >&3");
    config.custom_channels.push(Channel(Arc::new(OwnedFd::from(theirs))));
    w.start(config);
    w.running("echo", 1);
    ours.write_all(b"hello").expect("write");
    ours.set_read_timeout(Some(crate::watch::DEADLINE)).expect("timeout");
    let mut answer = [0; 5];
    ours.read_exact(&mut answer).expect("the echo");
    assert_eq!(&answer, b"hello");
    w.finish();
}

#[test]
fn process_substitute_env() {
    let mut w = Watch::with_output();
    let job = JobConfig::new("a", "printf %s:%s $NULL_PATH").expect("job").arg("<${NULL_PATH}>");
    w.start(job.env("NULL_PATH", "/dev/null").redirect_output(["out"]));
    w.until("both are replaced", |w| w.text("out").starts_with("/dev/null:</dev/null>"));
    w.finish();
}

#[test]
fn channel_basic() {
    let running = Running::new();
    let events = running.handle.subscribe(".", 100).expect("subscribe");
    running.start(sleeper("dummy"));
    let first = events.recv_timeout(crate::watch::DEADLINE).expect("an event");
    assert_eq!((first.topic.as_str(), &first.payload.what), ("create", &What::Create));
    drop(running);
    let rest: Vec<String> = events.iter().map(|event| event.topic).collect();
    assert!(rest.contains(&"proc.dummy.exit".to_owned()), "{rest:?}");
}

#[test]
fn channel_process_events() {
    let running = Running::new();
    let events = running.handle.subscribe("proc.dummy", 100).expect("subscribe");
    running.start(sleeper("other"));
    running.start(sleeper("dummy"));
    for name in ["create", "start", "spawn"] {
        let event = events.recv_timeout(crate::watch::DEADLINE).expect("an event");
        assert_eq!(event.topic, format!("proc.dummy.{name}"));
    }
}

#[test]
fn channel_stats() {
    let running = Running::new();
    running.start(sleeper("dummy"));
    let (sender, samples) = std::sync::mpsc::channel();
    let target = Target::Job("dummy".parse().expect("name"));
    let monitor = move |m: &mut Cx<'_>| {
        m.monitor(target, Duration::from_millis(100), move |_, sample| {
            let _ = sender.send((sample.pid, sample.stats.os_pid));
        })
    };
    running.handle.call(monitor).expect("call");
    let (pid, os_pid): (Pid, OsPid) = samples.recv_timeout(crate::watch::DEADLINE).expect("a sample");
    assert_eq!(pid, Pid(1));
    assert!(crate::watch::alive(os_pid));
}
