//! Which events come, in which order, under which topics.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use gaffer::manager::{Commit, Emitter};
use gaffer::process::{Event, Exit, Flapping, JobConfig, JobState, Pid, Restart, Scale, Signal, What};

use crate::watch::{Watch, sh, sleeper};

#[test]
fn each_under_its_own_name_then_under_its_jobs() {
    let mut w = Watch::new();
    w.start(sleeper("dummy"));
    w.start(sleeper("shop.web"));
    w.running("shop.web", 1);
    w.finish();
    let mut expected = Vec::new();
    for event in w.events() {
        let name = event.what.name();
        expected.push(name.to_owned());
        expected.push(format!("proc.{}.{name}", event.job.as_ref().expect("a job").short()));
    }
    assert_eq!(w.topics(), expected, "{}", w.dump());
    assert!(expected.contains(&"proc.shop.web.spawn".to_owned()));
}

#[test]
fn the_old_names_only_for_those_who_ask() {
    let mut w = Watch::new();
    let topics: Arc<Mutex<Vec<String>>> = Arc::default();
    for pattern in ["load", "unload", "stop_process", "job.default.dummy", "job", "proc.1", "*.default.dummy.exit"] {
        let notes = Arc::clone(&topics);
        w.manager.cx().on(pattern, move |_, topic, _| {
            notes.lock().expect("notes").push(format!("{pattern} {topic}"));
        });
    }
    w.start(sleeper("dummy"));
    w.running("dummy", 1);
    w.manager.unload("dummy").expect("unload");
    w.until("its exit", |w| w.exits().len() == 1);
    let expected = [
        "load load",
        "job job.default.dummy.load",
        "job.default.dummy job.default.dummy.load",
        "job job.default.dummy.start",
        "job.default.dummy job.default.dummy.start",
        "job job.default.dummy.spawn",
        "job.default.dummy job.default.dummy.spawn",
        "proc.1 proc.1.spawn",
        "job job.default.dummy.stop",
        "job.default.dummy job.default.dummy.stop",
        "stop_process stop_process",
        "job job.default.dummy.stop_process",
        "job.default.dummy job.default.dummy.stop_process",
        "proc.1 proc.1.stop_process",
        "unload unload",
        "job job.default.dummy.unload",
        "job.default.dummy job.default.dummy.unload",
        "job job.default.dummy.exit",
        "job.default.dummy job.default.dummy.exit",
        "proc.1 proc.1.exit",
    ];
    assert_eq!(*topics.lock().expect("notes"), expected, "{}", w.dump());
    assert!(!w.topics().iter().any(|topic| topic.starts_with("job.") || topic == "load"), "{}", w.dump());
    w.finish();
}

/// The names of events since the last call.
#[track_caller]
fn next(w: &mut Watch, last: &str, n: usize) -> String {
    w.until(&format!("{n} of {last}"), |w| w.count(last) == n);
    let names = w.names().join(" ");
    w.forget();
    names
}

#[test]
fn the_order_of_each_command() {
    let mut w = Watch::new();
    w.start(sleeper("a"));
    assert_eq!(next(&mut w, "spawn", 1), "create start spawn");
    w.manager.scale("a", Scale::By(1)).expect("scale");
    assert_eq!(next(&mut w, "spawn", 1), "update spawn");
    w.manager.scale("a", Scale::By(-1)).expect("scale");
    assert_eq!(next(&mut w, "exit", 1), "update reap exit");
    w.manager.reload("a").expect("reload");
    assert_eq!(next(&mut w, "spawn", 1), "stop_pid exit spawn");
    w.manager.update(sleeper("a").numprocesses(2), false).expect("update");
    assert_eq!(next(&mut w, "spawn", 2), "update stop_pid spawn exit spawn");
    w.manager.restart_job("a").expect("restart");
    assert_eq!(next(&mut w, "exit", 2), "restart spawn spawn reap reap exit exit");
    let pid = w.manager.commit("a", Commit::default()).expect("commit");
    assert_eq!(next(&mut w, "spawn", 1), "spawn");
    w.manager.kill(pid, Signal::USR1).expect("kill");
    assert_eq!(next(&mut w, "exit", 1), "kill exit");
    w.manager.killall("a", Signal::CONT).expect("killall");
    assert_eq!(next(&mut w, "kill", 3), "kill kill kill");
    let first = w.manager.pids("a").expect("pids")[0];
    w.manager.stop_process(first).expect("stop");
    assert_eq!(next(&mut w, "spawn", 1), "stop_pid exit spawn");
    w.manager.stopall("a").expect("stopall");
    assert_eq!(next(&mut w, "spawn", 2).split(' ').filter(|name| *name == "stop_pid").count(), 2);
    w.until("both live", |w| w.os_pids("a").len() == 2);
    w.forget();
    w.manager.stop_job("a").expect("stop");
    assert_eq!(next(&mut w, "exit", 2), "stop stop_pid stop_pid exit exit");
    w.manager.start_job("a").expect("start");
    assert_eq!(next(&mut w, "spawn", 2), "start spawn spawn");
    w.manager.unload("a").expect("unload");
    assert_eq!(next(&mut w, "exit", 2), "stop stop_pid stop_pid delete exit exit");
    w.finish();
}

#[test]
fn flapping_says_when_it_tries_again_and_gives_up() {
    let mut w = Watch::new();
    let rule = Flapping::new(2, Duration::from_secs(2), Duration::from_millis(30), 2);
    w.start(sh("bad", "exit 7").flapping(rule));
    w.until("it is given up", |w| w.count("stop") == 1);
    let names = w.names().join(" ");
    assert_eq!(names, "create start spawn exit spawn exit flap spawn exit flap spawn exit flap stop", "{}", w.dump());
    let flaps: Vec<What> =
        w.events().iter().map(|event| event.what.clone()).filter(|what| what.name() == "flap").collect();
    let next = Some(Duration::from_millis(30));
    assert_eq!(
        flaps,
        [What::Flap { retry: 1, next }, What::Flap { retry: 2, next }, What::Flap { retry: 0, next: None }]
    );
    assert_eq!(w.manager.info("bad").expect("info").state, JobState::Stopped);
    assert!(w.exits().iter().all(|(_, exit)| *exit == Exit::Code(7)));
    w.finish();
}

#[test]
fn stopping_goes_backwards() {
    let mut w = Watch::new();
    for name in ["a", "b", "c"] {
        w.start(sleeper(name));
        w.running(name, 1);
    }
    w.forget();
    w.finish();
    let told: Vec<_> = w
        .events()
        .iter()
        .filter(|event| event.what.name() == "stop_pid")
        .map(|event| event.job.as_ref().expect("a job").label().to_owned())
        .collect();
    assert_eq!(told, ["c", "b", "a"], "{}", w.dump());
    assert_eq!(w.exits().len(), 3);
}

/// A big job must not overflow the queue by itself: nobody was slow.
#[test]
fn many_events_at_once_are_not_lost() {
    let mut w = Watch::new();
    w.start(sh("job", "exit 0").restart(Restart::Never));
    w.until("the exit", |w| w.exits().len() == 1);
    w.forget();
    for _ in 0..Emitter::MAX_SIZE {
        w.manager.killall("job", Signal::USR1).expect("killall");
    }
    w.until("all are told", |w| w.count("kill") >= Emitter::MAX_SIZE);
    assert_eq!(w.count("overflow"), 0);
    w.finish();
}

#[test]
fn an_overflow_is_told_with_its_count() {
    let mut w = Watch::new();
    let mut left = 1;
    w.manager.cx().on("create", move |cx, _, _| {
        left -= 1;
        for _ in 0..Emitter::MAX_SIZE + 123 {
            if left == 0 {
                let what = What::Fault { source: "test".to_owned(), reason: String::new() };
                cx.events().publish("noise", Arc::new(Event::new(SystemTime::now(), None, what)));
            }
        }
    });
    w.manager.load(sleeper("a"), false).expect("load");
    w.until("the overflow", |w| w.count("overflow") > 0);
    let dropped: Vec<u64> = w
        .events()
        .iter()
        .filter_map(|event| if let What::Overflow { dropped } = event.what { Some(dropped) } else { None })
        .collect();
    // `proc.a.create` may have stood in the queue.
    let noise = w.topics().iter().filter(|topic| *topic == "noise").count() as u64;
    let total = Emitter::MAX_SIZE as u64 + 123 + u64::from(!w.topics().contains(&"proc.a.create".to_owned()));
    assert_eq!(noise + dropped.iter().sum::<u64>(), total, "{dropped:?}");
    w.finish();
}

#[test]
fn an_event_of_another_thread_wakes_the_loop() {
    let mut w = Watch::new();
    let publisher = w.manager.cx().events().publisher();
    w.manager.cx().once("hello", |cx, _, _| cx.stop());
    w.idle(Duration::from_millis(5));
    let thread = std::thread::spawn(move || {
        let what = What::Fault { source: "test".to_owned(), reason: String::new() };
        publisher.publish("hello", Arc::new(Event::new(SystemTime::now(), None, what))).expect("publish");
    });
    // One turn without an end: only a wake ends it.
    let after = w.manager.cx().after(crate::watch::DEADLINE, |cx| cx.stop_now());
    w.manager.run().expect("run");
    assert!(w.manager.cx().remove(after), "it was the deadline");
    thread.join().expect("publish");
}

#[test]
fn a_receiver_is_told_what_it_missed() {
    let mut w = Watch::new();
    let receiver = w.manager.cx().subscribe("kill", 10);
    w.start(sleeper("a"));
    w.running("a", 1);
    for _ in 0..100 {
        w.manager.kill(Pid(1), Signal::CONT).expect("kill");
    }
    w.until("all are told", |w| w.count("kill") == 100);
    let first = receiver.try_recv().expect("an event");
    assert_eq!(first.missed, 90);
    assert_eq!(std::iter::from_fn(|| receiver.try_recv().ok()).count(), 9);
    w.finish();
}

#[test]
fn times_are_of_now_and_do_not_go_back() {
    let before = SystemTime::now();
    let mut w = Watch::new();
    w.start(JobConfig::new("a", "true").expect("job").restart(Restart::Never));
    w.until("its exit", |w| w.exits().len() == 1);
    let times: Vec<_> = w.events().iter().map(|event| event.time).collect();
    assert!(times[0] >= before && times.windows(2).all(|pair| pair[0] <= pair[1]), "{times:?}");
    w.finish();
}
