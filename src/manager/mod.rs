//! The manager: the process table, the event loop and the event emitter, put to work.
//!
//! A [`Manager`] keeps the processes of its jobs alive. It runs on one thread, wakes only when
//! something happens, and lends its state for one call at a time: to [`App`]s as a [`Cx`], to
//! closures as a `Cx`, to other threads through a [`Handle`].
//!
//! # One turn
//!
//! 1. wait until a source is ready, a timer expires, or a handle calls;
//! 2. route each readiness to its owner: an app, a closure, an output stream, an exit watch;
//! 3. run the calls that handles have sent, up to a budget;
//! 4. let the [table](crate::table) act on what time it is;
//! 5. carry out the table's actions (spawn, signal, reap), up to a budget;
//! 6. publish what happened: to every app, then to the subscribers.
//!
//! Steps 5 and 6 repeat while they give each other work, a bounded number of times; what is left
//! has its next turn at once.

mod aliases;
mod app;
mod children;
mod closures;
mod cx;
mod handle;
mod inlets;
mod launch;
mod logs;
mod monitor;
mod output;
mod rest;
mod sampling;
mod streams;
mod supervisor;
mod survey;
mod topics;
mod turns;

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::Result;
use crate::event_loop::{EventLoop, Ready, TimerId};
use crate::events::EventEmitter;
use crate::process::{Event, Pid, What};
use crate::table::ProcessTable;

pub use crate::table::Commit;
pub use app::{App, AppId};
pub use closures::ClosureId;
pub use cx::Cx;
pub use handle::Handle;
pub use inlets::Taken;
pub use monitor::{MonitorId, Sample, Target};
pub use output::{Output, OutputLimit, Piece};
pub use streams::{Flow, StreamChunk, StreamData, StreamOrigin, StreamSelector, TapId};
pub use supervisor::Supervisor;
pub use survey::SurveyId;
pub use turns::TurnTimes;

use app::Apps;
use handle::Calls;
use rest::Rest;

/// The emitter of a manager: listeners get the event and, through [`Cx::on`], the whole context.
pub type Emitter = EventEmitter<Arc<Event>, Supervisor>;

/// Calls of handles that are run in one turn.
const MAX_CALLS_A_TURN: usize = 256;

/// Events that are published before what they have caused is carried out.
const MAX_EVENTS_A_ROUND: usize = 64;

/// Rounds of acting and publishing in one turn.
const MAX_ROUNDS: usize = 16;

/// Whom a source or timer of the loop belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Registered from where nobody can be called back.
    Nobody,
    App(AppId),
    Closure(ClosureId),
    /// The exit watch of a process.
    Exit(Pid),
    /// The process group of an ended process has members left; look again.
    Linger(Pid),
    /// An output stream of a process, by its place among them.
    Stream(Pid, u32),
    /// An input stream of a process, likewise.
    Inlet(Pid, u32),
    /// The next sample of a monitor is due.
    Monitor(MonitorId),
    /// A log that was behind can take more.
    Log(logs::SinkId),
    /// The manager may have come to rest.
    Rest,
}

/// Whether a manager goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Status {
    /// It has more to do; turn again.
    Running,
    /// It was stopped, its last child is gone, and its apps are stopped. Handles are told so, receivers and
    /// outputs on other threads end when they are empty.
    Stopped,
}

/// Keeps processes alive.
///
/// Dereferences to [`Supervisor`], which has the operations. Dropping a manager kills what is left
/// of its children, except detached ones.
///
/// ```
/// use gaffer::Manager;
/// use gaffer::process::{JobConfig, Restart};
///
/// let mut manager = Manager::new()?;
/// manager.load(JobConfig::new("hello", "echo hello")?.restart(Restart::Never), true)?;
/// manager.cx().once("exit", |cx, _, event| {
///     println!("it has ended: {:?}", event.what);
///     cx.stop();
/// });
/// manager.run()?;
/// # Ok::<(), gaffer::Error>(())
/// ```
pub struct Manager {
    supervisor: Supervisor,
    events: Emitter,
    ready: Vec<Ready<Owner>>,
    topic: String,
    started: bool,
    stopped: bool,
    /// Listeners that panicked in this turn. Shared because the emitter is busy when it tells.
    panics: Arc<Mutex<Vec<(String, String)>>>,
    rest: Option<Rest>,
}

impl Manager {
    /// A manager with nothing to do yet.
    ///
    /// # Errors
    ///
    /// The system refuses a poller.
    pub fn new() -> Result<Self> {
        let io = EventLoop::new()?;
        let calls = Calls::new(io.waker());
        let mut events = Emitter::new();
        let waker = io.waker();
        events.set_waker(Arc::new(move || waker.wake()));
        let panics = Arc::new(Mutex::new(Vec::new()));
        let report = Arc::clone(&panics);
        events.on_panic(move |delivery, panic| {
            // A listener that panics at its own fault would go on for ever; the panic hook has told.
            if matches!(delivery.payload.what, What::Fault { .. }) {
                return;
            }
            let message = format!("listener of '{}'", delivery.topic);
            report.lock().unwrap_or_else(|e| e.into_inner()).push((message, panic_message(&*panic)));
        });
        Ok(Self {
            supervisor: Supervisor {
                io,
                table: ProcessTable::new(),
                children: Default::default(),
                logs: Default::default(),
                taps: Default::default(),
                closures: Default::default(),
                monitors: Default::default(),
                surveys: Default::default(),
                sampling: Default::default(),
                turns: Default::default(),
                calls,
                apps: Apps::default(),
                notices: Vec::new(),
                restart_apps: false,
                mail: VecDeque::new(),
                shared: Default::default(),
            },
            events,
            ready: Vec::new(),
            topic: String::new(),
            started: false,
            stopped: false,
            panics,
            rest: None,
        })
    }

    /// The context of this manager, for what needs the emitter too: [`Cx::on`], [`Cx::every`],
    /// [`Cx::watch`], [`Cx::tap`].
    pub fn cx(&mut self) -> Cx<'_> {
        Cx { supervisor: &mut self.supervisor, events: &mut self.events, owner: Owner::Nobody }
    }

    /// Calls `then` in the loop when nothing has happened for `quiet`: no event, output, request or timer; once after
    /// each time that something has, at the latest after twice as long. One replaces the one before.
    ///
    /// A daemon can [give back](crate::sys::give_back) then what only its busy hours need. While nothing happens
    /// nobody is woken for it.
    pub fn on_rest(&mut self, quiet: Duration, then: impl FnMut() + Send + 'static) {
        self.rest = Some(Rest::new(quiet, Box::new(then)));
    }

    /// Runs until the manager was [stopped](Supervisor::stop) and its last child is gone.
    ///
    /// # Errors
    ///
    /// The poller fails, which no sane system does.
    pub fn run(&mut self) -> Result<()> {
        let mut status = self.turn(None)?;
        while status == Status::Running {
            // Nobody could ask for anything since the turn before.
            status = self.work(None, false)?;
        }
        Ok(())
    }

    /// Waits for at most `timeout` (`None`: until something happens), and does what is to be done.
    ///
    /// For programs that have a loop of their own: poll the manager's [descriptor](AsFd) for
    /// reading until [`next_deadline`](Supervisor::next_deadline), then call `turn` with a timeout of
    /// zero. Do so once more after using the manager from outside a turn: what you asked for is
    /// carried out in it.
    ///
    /// # Errors
    ///
    /// The poller fails, which no sane system does.
    pub fn turn(&mut self, timeout: Option<Duration>) -> Result<Status> {
        if self.stopped {
            return Ok(Status::Stopped);
        }
        self.supervisor.calls.set_home(Some(thread::current().id()));
        self.started = true;
        // What was asked for since the last turn. The caller may wait for just that, so a turn that has
        // done something does not wait for more.
        let did = self.settle();
        if self.finish_if_done() {
            return Ok(Status::Stopped);
        }
        self.work(timeout, did)
    }

    /// Waits, unless something was done or is left to do, and works.
    fn work(&mut self, timeout: Option<Duration>, did: bool) -> Result<Status> {
        let due = self.supervisor.table.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = match (timeout, due) {
            _ if did || self.has_work() => Some(Duration::ZERO),
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.supervisor.children.forget_groups();
        let mut ready = std::mem::take(&mut self.ready);
        let waited = self.supervisor.io.turn(timeout, &mut ready);
        let began = self.supervisor.io.now();
        if did || ready.iter().any(|what| !matches!(what, Ready::Timer { owner: Owner::Rest, .. })) {
            self.stir();
        }
        for what in ready.drain(..) {
            self.route(what);
        }
        self.ready = ready;
        waited?;

        let mut calls_left = true;
        for _ in 0..MAX_CALLS_A_TURN {
            let Some(call) = self.supervisor.calls.next() else {
                calls_left = false;
                break;
            };
            let mut cx = self.cx();
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| call(&mut cx))) {
                self.supervisor.fault("call of a handle", &panic_message(&*panic));
            }
        }
        sampling::work(&mut self.cx());
        if let Some(at) = self.supervisor.table.next_deadline() {
            let now = Instant::now();
            if at <= now {
                self.supervisor.table.handle_timeout(now);
            }
        }
        if self.settle() {
            self.stir();
        }
        self.supervisor.turns.add(began.elapsed());
        if self.finish_if_done() {
            return Ok(Status::Stopped);
        }
        if calls_left || self.has_work() {
            // What is left to do ends the next wait, also that of those who poll our descriptor.
            self.supervisor.io.waker().wake();
        }
        Ok(Status::Running)
    }

    /// Tells the owner of a source or timer.
    fn route(&mut self, what: Ready<Owner>) {
        match what {
            Ready::Source { id, owner, readiness } => match owner {
                Owner::App(app) => drop(self.cx().with_app(app, |app, cx| app.ready(cx, id, readiness))),
                Owner::Closure(closure) => closures::call(&mut self.cx(), closure, Some(readiness)),
                Owner::Exit(pid) => children::exited(&mut self.cx(), pid),
                Owner::Stream(pid, index) => streams::ready(&mut self.cx(), pid, index as usize),
                Owner::Inlet(pid, index) => self.supervisor.flush_inlet(pid, index as usize),
                Owner::Log(id) => streams::log_ready(&mut self.cx(), id),
                Owner::Nobody | Owner::Linger(_) | Owner::Monitor(_) | Owner::Rest => {}
            },
            Ready::Timer { id, owner } => match owner {
                Owner::App(app) => drop(self.cx().with_app(app, |app, cx| app.timeout(cx, id))),
                Owner::Closure(closure) => closures::call(&mut self.cx(), closure, None),
                Owner::Linger(pid) => self.supervisor.look_after_group(pid),
                Owner::Monitor(id) => self.supervisor.monitor_due(id),
                Owner::Rest => self.rest_due(id),
                Owner::Nobody | Owner::Exit(_) | Owner::Stream(..) | Owner::Inlet(..) | Owner::Log(_) => {}
            },
            Ready::Woken => streams::logs_have_room(&mut self.cx()),
        }
    }

    fn stir(&mut self) {
        if let Some(rest) = &mut self.rest {
            rest.stir(&mut self.supervisor.io);
        }
    }

    fn rest_due(&mut self, id: TimerId) {
        let Some(rest) = &mut self.rest else { return };
        let io = &mut self.supervisor.io;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| rest.due(io, id))) {
            self.rest = None;
            self.supervisor.fault("what is done at rest", &panic_message(&*panic));
        }
    }

    /// Acts and publishes until there is nothing left to do, or the rounds are over; false if there was
    /// nothing to do.
    fn settle(&mut self) -> bool {
        let mut did = false;
        let mut spawns = children::MAX_SPAWNS;
        for _ in 0..MAX_ROUNDS {
            self.sort_apps();
            let acted = self.supervisor.act(&mut spawns);
            if !(acted | self.publish() | self.deliver_mail()) {
                break;
            }
            did = true;
        }
        did
    }

    fn deliver_mail(&mut self) -> bool {
        let mut cx = self.cx();
        // What the apps send meanwhile has its turn in the next round.
        let mail = std::mem::take(&mut cx.mail);
        let any = !mail.is_empty();
        for (to, message) in mail {
            cx.with_app(to, |app, cx| app.mail(cx, message));
        }
        any
    }

    /// Whether something is to be done that no descriptor announces.
    fn has_work(&self) -> bool {
        self.supervisor.has_work() || !self.events.is_empty()
    }

    /// Starts the apps that are new, and tells all of a restart.
    fn sort_apps(&mut self) {
        let mut cx = self.cx();
        while let Some(id) = cx.apps.next_to_start() {
            let outcome = cx.with_app(id, |app, cx| app.start(cx).map_err(|e| (app.name().to_owned(), e)));
            if let Some(Err((name, e))) = outcome {
                cx.fault(&name, &e.to_string());
                cx.remove_app(id);
            }
        }
        if std::mem::take(&mut cx.restart_apps) {
            cx.each_app(|app, cx| app.restart(cx));
        }
    }

    /// Tells everybody what happened; false if nothing did.
    fn publish(&mut self) -> bool {
        let mut any = false;
        // A guest may answer each event with another one.
        for _ in 0..MAX_EVENTS_A_ROUND {
            let (job, what) = match self.supervisor.table.next_event() {
                Some((job, what)) => (Some(job), what),
                None if self.supervisor.notices.is_empty() => break,
                None => (None, self.supervisor.notices.remove(0)),
            };
            any = true;
            let event = Arc::new(Event::new(SystemTime::now(), job, what));
            self.cx().each_app(|app, cx| app.event(cx, &event));
            topics::publish(&mut self.events, &mut self.topic, &event);
            // At once: however many events there are, the queue does not overflow with our own.
            self.dispatch();
        }
        // What other threads have published.
        any | self.dispatch()
    }

    /// Delivers what was published; false if that was nothing.
    fn dispatch(&mut self) -> bool {
        let any = self.events.dispatch(&mut self.supervisor) > 0;
        for (listener, reason) in self.panics.lock().unwrap_or_else(|e| e.into_inner()).drain(..) {
            self.supervisor.fault(&listener, &reason);
        }
        match self.events.take_dropped() {
            0 => {}
            dropped => self.supervisor.notices.push(What::Overflow { dropped }),
        }
        any
    }

    /// Stops the apps once the last child is gone.
    fn finish_if_done(&mut self) -> bool {
        if !self.stopped && self.supervisor.table.is_finished() && !self.has_work() {
            let mut cx = self.cx();
            streams::drain_all(&mut cx);
            for id in cx.apps.ids().into_iter().rev() {
                cx.with_app(id, |app, cx| app.stop(cx));
            }
            // What the apps did last is published to those that listen from other threads.
            self.publish();
            // Whoever waits for us on another thread waits no longer, also if our host keeps us.
            self.events.close();
            self.supervisor.taps.close();
            self.supervisor.calls.close();
            self.stopped = true;
        }
        self.stopped
    }
}

impl Supervisor {
    fn has_work(&self) -> bool {
        self.table.has_output()
            || !self.mail.is_empty()
            || !self.notices.is_empty()
            || self.apps.has_new()
            || self.sampling.has_work()
    }
}

impl Deref for Manager {
    type Target = Supervisor;

    fn deref(&self) -> &Supervisor {
        &self.supervisor
    }
}

impl DerefMut for Manager {
    fn deref_mut(&mut self) -> &mut Supervisor {
        &mut self.supervisor
    }
}

impl AsFd for Manager {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.supervisor.io.as_fd()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.supervisor.children.kill_all();
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("supervisor", &self.supervisor).finish_non_exhaustive()
    }
}

/// What a panic said, as far as it said something.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it panicked").to_owned()
}

const fn assert_send<T: Send>() {}
const _: () = assert_send::<Manager>();
