//! Applications.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gaffer::event_loop::{Interest, Readiness, Source, SourceId, TimerId};
use gaffer::manager::{App, AppId, Cx, Flow, StreamChunk, StreamData, StreamSelector, TapId};
use gaffer::process::{Event, Pid, Restart, Signal};
use gaffer::{Error, ErrorKind, Result};

use crate::watch::{Watch, sh, sleeper};

type Notes = Arc<Mutex<Vec<String>>>;

fn notes(notes: &Notes) -> Vec<String> {
    notes.lock().expect("notes").clone()
}

/// An app that writes down what it is told, and panics or fails where it is asked to.
struct Tell {
    name: &'static str,
    notes: Notes,
    /// The method that panics.
    panics: &'static str,
    fails: bool,
    socket: Option<UnixStream>,
    source: Option<Source<UnixStream>>,
    tap: Option<StreamSelector>,
    events: bool,
    /// Told when it goes.
    _guard: Arc<()>,
}

impl Tell {
    fn new(name: &'static str, notes: &Notes) -> Self {
        Self {
            name,
            notes: Arc::clone(notes),
            panics: "",
            fails: false,
            socket: None,
            source: None,
            tap: None,
            events: false,
            _guard: Arc::default(),
        }
    }

    fn tell(&self, what: &str) {
        self.notes.lock().expect("notes").push(format!("{} {what}", self.name));
        if !self.panics.is_empty() && what.starts_with(self.panics) {
            panic!("{what}");
        }
    }
}

impl App for Tell {
    fn name(&self) -> &str {
        self.name
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        if let Some(socket) = self.socket.take() {
            self.source = Some(cx.register(socket, Interest::READ)?);
        }
        if let Some(which) = self.tap.take() {
            cx.tap_to_app(which);
        }
        self.tell("start");
        if self.fails {
            return Err(Error::new(ErrorKind::Conflict, "the address is in use"));
        }
        cx.set_timer(Instant::now() + Duration::from_millis(5));
        Ok(())
    }

    fn ready(&mut self, _: &mut Cx<'_>, id: SourceId, ready: Readiness) {
        let source = self.source.take().expect("its source");
        assert!(source.id() == id && ready.is_readable());
        self.tell("ready");
    }

    fn timeout(&mut self, _: &mut Cx<'_>, _: TimerId) {
        self.tell("timeout");
    }

    fn output(&mut self, _: &mut Cx<'_>, _: TapId, chunk: &StreamChunk<'_>) -> Flow {
        match chunk.data {
            StreamData::Bytes(bytes) => self.tell(&format!("output {}", String::from_utf8_lossy(bytes).trim())),
            StreamData::End => self.tell("output end"),
        }
        Flow::Pause
    }

    fn event(&mut self, _: &mut Cx<'_>, event: &Arc<Event>) {
        if self.events {
            self.tell(&format!("event {}", event.what.name()));
        }
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        assert!(cx.list().is_empty() && cx.ending().is_empty(), "the children are gone");
        self.tell("stop");
    }

    fn restart(&mut self, cx: &mut Cx<'_>) {
        let started = cx.list().into_iter().filter(|pid| cx.process(*pid).is_ok_and(|p| p.os_pid.is_some()));
        assert!(started.count() <= 1, "before the new processes");
        self.tell("restart");
    }
}

#[test]
fn a_whole_life() {
    let mut w = Watch::new();
    let seen = Notes::default();
    let (ours, mut theirs) = UnixStream::pair().expect("sockets");
    theirs.write_all(b"x").expect("write");
    let mut first = Tell::new("a", &seen);
    first.socket = Some(ours);
    first.events = true;
    w.manager.add_app(first);
    w.manager.add_app(Tell::new("b", &seen));
    assert!(notes(&seen).is_empty(), "they start with the first turn");
    w.until("the timers", |_| notes(&seen).iter().filter(|note| note.ends_with("timeout")).count() == 2);
    assert_eq!(notes(&seen)[..2], ["a start", "b start"]);
    assert!(notes(&seen).contains(&"a ready".to_owned()) && !notes(&seen).contains(&"b ready".to_owned()));
    w.start(sleeper("job"));
    w.running("job", 1);
    seen.lock().expect("notes").clear();
    w.manager.restart().expect("restart");
    w.until("the old one is gone", |w| w.exits().len() == 1);
    w.finish();
    let expected = [
        "a restart",
        "b restart",
        "a event restart",
        "a event spawn",
        "a event reap",
        "a event exit",
        "a event stop",
        "a event stop_pid",
        "a event exit",
        "b stop",
        "a stop",
    ];
    assert_eq!(notes(&seen), expected, "{}", w.dump());
}

#[test]
fn added_in_a_callback() {
    let mut w = Watch::new();
    let seen = Notes::default();
    let app = Tell::new("late", &seen);
    w.manager.cx().once("create", move |cx, _, _| {
        cx.add_app(app);
    });
    w.manager.load(sleeper("a"), false).expect("load");
    let _ = w.manager.turn(Some(Duration::ZERO)).expect("turn");
    assert_eq!(notes(&seen), ["late start"], "within the turn");
    w.finish();
    assert_eq!(notes(&seen), ["late start", "late stop"]);
}

#[test]
fn one_that_cannot_start_is_dropped_and_told() {
    let mut w = Watch::new();
    let seen = Notes::default();
    let mut app = Tell::new("server", &seen);
    app.fails = true;
    let alive = Arc::downgrade(&app._guard);
    w.manager.add_app(app);
    w.manager.add_app(Tell::new("other", &seen));
    w.start(sleeper("a"));
    w.running("a", 1);
    assert_eq!(w.faults(), ["server: the address is in use"]);
    assert!(alive.upgrade().is_none());
    w.finish();
    assert_eq!(notes(&seen).into_iter().filter(|note| note.ends_with("stop")).collect::<Vec<_>>(), ["other stop"]);
}

#[test]
fn one_that_panics_is_dropped_with_all_it_has() {
    for method in ["start", "ready", "timeout", "output", "event", "stop", "restart"] {
        let mut w = Watch::with_output();
        let seen = Notes::default();
        let (ours, mut theirs) = UnixStream::pair().expect("sockets");
        theirs.write_all(b"x").expect("write");
        let mut app = Tell::new("bad", &seen);
        app.socket = Some(ours);
        app.panics = method;
        app.events = method == "event";
        app.tap = (method == "output").then(StreamSelector::all);
        let alive = Arc::downgrade(&app._guard);
        w.manager.add_app(app);
        w.manager.add_app(Tell::new("good", &seen));
        w.start(sh("a", "echo 1; sleep 0.02; echo 2; exec sleep 1000").redirect_output(["out"]));
        w.until("its output goes on", |w| w.text("out") == "1\n2\n");
        w.manager.restart().expect("restart");
        w.until("the restart", |w| w.exits().len() == 1);
        w.until("the good one goes on", |_| notes(&seen).contains(&"good timeout".to_owned()));
        w.finish();
        assert!(alive.upgrade().is_none(), "{method}");
        let faults = w.faults();
        assert_eq!(faults.len(), 1, "{method}: {faults:?}");
        assert!(faults[0].starts_with("bad: it panicked and was dropped: "), "{faults:?}");
        // The loop forgets sources that have ended when it turns; what it does not turn for is gone with it.
        assert!(notes(&seen).contains(&"good stop".to_owned()));
    }
}

/// A stream that it had paused is not paused for ever.
#[test]
fn one_that_goes_lets_its_streams_go_on() {
    for panics in [false, true] {
        let mut w = Watch::with_output();
        let seen = Notes::default();
        let mut app = Tell::new("pauser", &seen);
        app.tap = Some(StreamSelector::all());
        app.panics = if panics { "event kill" } else { "" };
        app.events = true;
        let id = w.manager.add_app(app);
        let script = "echo 1; read go; head -c 1000000 /dev/zero; exec sleep 1000";
        w.start(sh("a", script).redirect_output(["out"]).redirect_input(true));
        w.until("it pauses", |_| notes(&seen).contains(&"pauser output 1".to_owned()));
        w.manager.send(Pid(1), None, b"go\n").expect("it reads");
        w.idle(Duration::from_millis(200));
        assert_eq!(w.text("out"), "1\n");
        if panics {
            w.manager.kill(Pid(1), Signal::CONT).expect("kill");
        } else {
            assert!(w.manager.remove_app(id) && !w.manager.remove_app(id));
        }
        w.until("it goes on", |w| w.bytes("out").len() == 1_000_002);
        assert!(format!("{:?}", *w.manager).matches("StreamSelector").count() == 1, "its subscription is gone");
        w.finish();
    }
}

#[test]
fn output_comes_to_the_app_that_asks() {
    let mut w = Watch::new();
    let seen = Notes::default();
    let mut app = Tell::new("a", &seen);
    app.tap = Some(StreamSelector::job("default.x".parse().expect("name")));
    w.manager.add_app(app);
    w.manager.add_app(Tell::new("b", &seen));
    w.start(sh("x", "echo words").redirect_output(["out"]).restart(Restart::Never));
    w.start(sh("y", "echo other").redirect_output(["out"]).restart(Restart::Never));
    w.until("both exits", |w| w.exits().len() == 2);
    w.finish();
    let output: Vec<_> = notes(&seen).into_iter().filter(|note| note.contains("output")).collect();
    assert_eq!(output, ["a output words", "a output end"]);
}

/// An app that removes itself or others while it is told of an event.
struct Remover {
    ids: Arc<Mutex<Vec<AppId>>>,
}

impl App for Remover {
    fn start(&mut self, _: &mut Cx<'_>) -> Result<()> {
        Ok(())
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Arc<Event>) {
        if event.what.name() == "create" {
            for id in self.ids.lock().expect("ids").drain(..) {
                cx.remove_app(id);
            }
        }
    }
}

#[test]
fn removing_one_hides_no_event_from_the_others() {
    let mut w = Watch::new();
    let seen = Notes::default();
    let ids: Arc<Mutex<Vec<AppId>>> = Arc::default();
    let teller = |name| {
        let mut app = Tell::new(name, &seen);
        app.events = true;
        app
    };
    w.manager.add_app(teller("a"));
    let own = w.manager.add_app(Remover { ids: Arc::clone(&ids) });
    w.manager.add_app(teller("b"));
    let gone = w.manager.add_app(teller("gone"));
    w.manager.add_app(teller("c"));
    ids.lock().expect("ids").extend([own, gone]);
    w.idle(Duration::from_millis(1));
    w.manager.load(sleeper("x"), false).expect("load");
    w.until("the event", |w| w.count("create") == 1);
    let events: Vec<_> = notes(&seen).into_iter().filter(|note| note.contains("event")).collect();
    assert_eq!(events, ["a event create", "b event create", "c event create"]);
    w.finish();
}

/// An app that answers every event with another one.
struct Echo;

impl App for Echo {
    fn start(&mut self, _: &mut Cx<'_>) -> Result<()> {
        Ok(())
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Arc<Event>) {
        if event.what.name() == "kill" && !cx.is_stopping() {
            cx.killall("x", Signal::CONT).expect("killall");
        }
    }
}

#[test]
fn one_that_answers_every_event_keeps_nobody_waiting() {
    let mut w = Watch::new();
    w.manager.add_app(Echo);
    w.manager.load(sleeper("x"), false).expect("load");
    w.manager.killall("x", Signal::CONT).expect("killall");
    let stop = w.manager.handle();
    // It answers before the handle is used, and goes on meanwhile.
    w.until("some answers", |w| w.count("kill") > 10);
    let thread = std::thread::spawn(move || stop.stop());
    let deadline = Instant::now() + crate::watch::DEADLINE;
    // `finish` would stop it from here; the handle must be heard.
    while w.manager.turn(None).expect("turn") == gaffer::manager::Status::Running {
        w.forget();
        assert!(Instant::now() < deadline);
    }
    thread.join().expect("thread").expect("stop");
}
