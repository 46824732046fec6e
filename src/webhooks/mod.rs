//! Webhooks: events posted to URLs, as an [`App`].
//!
//! ```no_run
//! use gaffer::Manager;
//! use gaffer::webhooks::{Settings, WebHooks};
//!
//! let webhooks = WebHooks::new(Settings::default().secret("of both sides"));
//! webhooks.hooks().register("exit", "http://127.0.0.1:8080/hook")?;
//! let mut manager = Manager::new()?;
//! manager.add_app(webhooks);
//! manager.run()?;
//! # Ok::<(), gaffer::Error>(())
//! ```
//!
//! # What is posted
//!
//! `POST`, with the event's payload as JSON, as feeds and channels have it. `Content-Type: application/json`,
//! `X-Gaffer-Event: exit`, the name of the event, and with a [secret](Settings::secret) `X-Gaffer-Signature: sha256=…`,
//! the HMAC-SHA256 of the content by that secret. A URL gets an event once, also if several of its patterns match or the
//! event has several names that do; `topic` in the payload is the first of these. Any status of 200 to 299 is success;
//! a redirection is not followed, and is none.
//!
//! # Order, tries, bounds
//!
//! Events of a URL go one after the other, in order, each up to [`tries`](Settings::tries) times; the next one waits until
//! the one before has arrived or was given up. A try that fails is followed by a [pause](Settings::pause) of that URL alone, which doubles
//! as long as tries fail. A try whose answer is lost may have arrived: an event can come twice. What waits for a URL is
//! [bounded](Settings::queue): the oldest is dropped, and counted.
//!
//! # One thread
//!
//! All URLs share one thread, which makes one post at a time and takes the URL that is due longest: no URL can starve
//! another. A URL whose server does not answer holds the others up for one [timeout](Settings::timeout) at a time, and then pauses, for up to
//! [a minute](Settings::max_pause). The manager's loop never waits for a post; at the manager's [end](App::stop) it waits for up
//! to [`stop_timeout`](Settings::stop_timeout) until all is posted that can be.

#![forbid(unsafe_code)]

mod check;
mod settings;
mod state;
mod worker;

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub use check::{check_event, check_url};
pub use settings::Settings;

use state::State;

use crate::manager::{App, Cx};
use crate::process::Event;
use crate::{Error, ErrorKind, Result};

/// Posts events to URLs. See the [module](self).
pub struct WebHooks(Hooks);

/// The hooks of a [`WebHooks`], for any thread: cheap to clone.
#[derive(Clone)]
pub struct Hooks(Arc<Shared>);

/// A hook's number; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HookId(pub u64);

/// A hook, and how its URL fares.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hook {
    /// Its number.
    pub id: HookId,
    /// The pattern of the events.
    pub event: String,
    /// Where they go.
    pub url: String,
    /// What was posted there, by all hooks of this URL.
    pub counters: Counters,
    /// Why the last try failed; `None` if it did not.
    pub last_error: Option<String>,
}

/// What became of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Posted, with success.
    pub sent: u64,
    /// Given up after all tries.
    pub failed: u64,
    /// Dropped because too many waited, or because their URL is not hooked any more.
    pub dropped: u64,
    /// Tries that failed and were followed by another one.
    pub retried: u64,
    /// Waiting, or on their way, now.
    pub queued: u64,
}

impl Counters {
    fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.failed += other.failed;
        self.dropped += other.dropped;
        self.retried += other.retried;
        self.queued += other.queued;
    }
}

/// Something that whoever runs this should know. URLs are without user and query, which may hold secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// An event was given up.
    GaveUp {
        /// Where it should have gone.
        url: String,
        /// Its name.
        event: &'static str,
        /// How often it was tried.
        tries: u32,
        /// Why the last try failed.
        why: String,
    },
    /// Events begin to be dropped.
    Overflow {
        /// Of this URL.
        url: String,
        /// So many wait.
        queue: usize,
    },
    /// A URL answers again.
    Recovered {
        /// The URL.
        url: String,
        /// So many events were given up or dropped meanwhile.
        lost: u64,
    },
    /// The manager has ended before these were posted.
    Left {
        /// How many.
        posts: u64,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |n: u64| if n == 1 { "" } else { "s" };
        match self {
            Self::GaveUp { url, event, tries, why } => {
                write!(
                    f,
                    "webhook {url}: gave the event {event} up after {tries} tr{}: ",
                    if *tries == 1 { "y" } else { "ies" }
                )?;
                f.write_str(why)
            }
            Self::Overflow { url, queue } => {
                write!(f, "webhook {url}: {queue} events wait, the oldest are dropped from now on")
            }
            Self::Recovered { url, lost } => {
                write!(f, "webhook {url} answers again; {lost} event{} were lost", s(*lost))
            }
            Self::Left { posts } => write!(f, "webhooks: {posts} post{} were left undone", s(*posts)),
        }
    }
}

type Listener = Box<dyn Fn(&Notice) + Send + Sync>;

/// What the loop, the worker and all handles share. The lock is held for moments only, never during a post.
struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
    agent: ureq::Agent,
    listener: Option<Listener>,
}

struct Inner {
    state: State,
    stage: Stage,
}

/// Where the worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The app has not started.
    Idle,
    /// The app has; there is no thread before there is a hook.
    Started,
    Working,
    Ended,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, inner: MutexGuard<'a, Inner>, timeout: Option<Duration>) -> MutexGuard<'a, Inner> {
        match timeout {
            None => self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => self.changed.wait_timeout(inner, timeout).unwrap_or_else(PoisonError::into_inner).0,
        }
    }

    fn tell(&self, notice: &Notice) {
        if let Some(listener) = &self.listener {
            listener(notice);
        }
    }

    /// Starts the worker where there is something to work for.
    fn work(self: &Arc<Self>, inner: &mut Inner) -> Result<()> {
        if inner.stage == Stage::Started && inner.state.len() > 0 {
            let shared = Arc::clone(self);
            let worker = thread::Builder::new().name("webhooks".to_owned()).spawn(move || worker::run(&shared));
            worker.map_err(|e| Error::io("cannot start the thread of the webhooks", e))?;
            inner.stage = Stage::Working;
        }
        Ok(())
    }
}

impl WebHooks {
    /// Webhooks without a hook.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self::build(settings, None)
    }

    /// The same with somebody who is told what should be known: called by the worker and by the loop, so it must be quick.
    #[must_use]
    pub fn with_listener(settings: Settings, listener: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        Self::build(settings, Some(Box::new(listener)))
    }

    fn build(settings: Settings, listener: Option<Listener>) -> Self {
        let inner = Mutex::new(Inner { state: State::new(settings), stage: Stage::Idle });
        Self(Hooks(Arc::new(Shared { inner, changed: Condvar::new(), agent: worker::agent(), listener })))
    }

    /// Its hooks, to add and remove some at any time, from any thread.
    #[must_use]
    pub fn hooks(&self) -> Hooks {
        self.0.clone()
    }
}

impl Hooks {
    /// Posts the events that match `event` (`.` for all, `exit`, `proc.web`, `proc.*.exit`) to `url` from now on. What is
    /// registered already stays as it is.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) and [`Unsupported`](ErrorKind::Unsupported) as [`check_event`] and [`check_url`];
    /// [`Full`](ErrorKind::Full) beyond [`max_hooks`](Settings::max_hooks); [`Stopping`](ErrorKind::Stopping) once the manager has
    /// ended; [`Io`](ErrorKind::Io) if the system refuses a thread.
    pub fn register(&self, event: &str, url: &str) -> Result<HookId> {
        check_event(event)?;
        check_url(url)?;
        let mut inner = self.0.lock();
        if inner.stage == Stage::Ended || inner.state.is_closing() {
            return Err(Error::new(ErrorKind::Stopping, "the manager has stopped"));
        }
        let max = inner.state.settings.max_hooks;
        if inner.state.len() >= max && inner.state.find(event, url).is_none() {
            return Err(Error::new(ErrorKind::Full, format!("there are {max} webhooks, and that is all there may be")));
        }
        let id = inner.state.register(event, url, Instant::now());
        if let Err(e) = self.0.work(&mut inner) {
            inner.state.unregister(id);
            return Err(e);
        }
        Ok(id)
    }

    /// Removes a hook; false if there is none of this number. What waits for a URL whose last hook this was is dropped, and counted.
    pub fn unregister(&self, id: HookId) -> bool {
        self.0.lock().state.unregister(id)
    }

    /// The hook of this pattern and URL.
    #[must_use]
    pub fn find(&self, event: &str, url: &str) -> Option<HookId> {
        self.0.lock().state.find(event, url)
    }

    /// Takes other settings; what waits stays, up to the new bound, and no longer than the new pauses are.
    pub fn configure(&self, settings: Settings) {
        self.0.lock().state.configure(settings, Instant::now());
        self.0.changed.notify_all();
    }

    /// The hooks, in the order in which they came.
    #[must_use]
    pub fn list(&self) -> Vec<Hook> {
        self.0.lock().state.list()
    }

    /// What became of the events of all URLs, those that are not hooked any more included.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.lock().state.counters()
    }
}

impl App for WebHooks {
    fn name(&self) -> &str {
        "webhooks"
    }

    fn start(&mut self, _: &mut Cx<'_>) -> Result<()> {
        let shared = &self.0.0;
        let mut inner = shared.lock();
        inner.stage = Stage::Started;
        shared.work(&mut inner)
    }

    fn event(&mut self, _: &mut Cx<'_>, event: &Arc<Event>) {
        let shared = &self.0.0;
        let mut inner = shared.lock();
        if inner.state.len() == 0 {
            return;
        }
        let mut notices = Vec::new();
        let any = inner.state.offer(event, &mut notices);
        drop(inner);
        if any {
            shared.changed.notify_all();
        }
        notices.iter().for_each(|notice| shared.tell(notice));
    }

    fn stop(&mut self, _: &mut Cx<'_>) {
        let shared = &self.0.0;
        let mut inner = shared.lock();
        let end = Instant::now() + inner.state.settings.stop_timeout;
        inner.state.close(end);
        shared.changed.notify_all();
        while inner.stage == Stage::Working {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            inner = shared.wait(inner, Some(left));
        }
        let posts = inner.state.left();
        drop(inner);
        if posts > 0 {
            shared.tell(&Notice::Left { posts });
        }
    }
}

/// The worker ends, also if the app was removed. One post may be on its way; its connection is closed.
impl Drop for WebHooks {
    fn drop(&mut self) {
        let shared = &self.0.0;
        let mut inner = shared.lock();
        inner.state.close(Instant::now());
        if inner.stage != Stage::Working {
            inner.stage = Stage::Ended;
        }
        drop(inner);
        shared.changed.notify_all();
        shared.agent.clone().shutdown();
    }
}

impl fmt::Debug for WebHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.0.lock();
        f.debug_struct("Hooks").field("stage", &inner.stage).field("state", &inner.state).finish_non_exhaustive()
    }
}

const fn assert_send_sync<T: Send + Sync>() {}
const _: () = assert_send_sync::<Hooks>();
