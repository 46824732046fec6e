//! The HTTP server: an [`App`] of the manager, on its thread.
//!
//! [`HttpServer::bind`] binds all endpoints, so that errors are known before anything starts; added to a manager, it serves. What it serves are
//! [routes](HttpServer::routes), a table, and [closures](HttpServer::route) of the embedder.
//!
//! ```no_run
//! use gaffer::Manager;
//! use gaffer::server::{Config, HttpServer, Reply};
//!
//! let mut server = HttpServer::bind(Config::default().endpoint("127.0.0.1:5000".parse()?))?;
//! server.route("GET", "/hello/:name", |call| Ok(Reply::Text(200, format!("hello, {}", call.param("name")))))?;
//! let mut manager = Manager::new()?;
//! manager.add_app(server);
//! manager.run()?;
//! # Ok::<(), gaffer::Error>(())
//! ```
//!
//! # One connection
//!
//! ```text
//!  accepted ─▶ Http ──── an answer that goes on ───▶ Feed ──┐ its source has ended
//!     │         │ ▲ ▲                                       │
//!     │         │ │ └───────────────────────────────────────┘
//!     │         │ ├── an answer that comes later ─▶ Waiting ─▶ the answer, or 504
//!     │         │ └ keep-alive
//!     │         ├──── a content that is read as it goes ──▶ Outgoing (and back)
//!     │         ├──────── upgrade ─────────────────▶ Socket ─┐ goodbye
//!     │ 503     │ close, refused, too late                   │
//!     ▼         ▼                                            ▼
//!   Closing ◀───┴────────────────────────────────────────────┘
//!     │ all is sent
//!     ▼
//!   Linger ─▶ gone: the client has closed, or two seconds later
//! ```
//!
//! A request below a prefix of [SockJS](sockjs) may also become `Sockjs`: a response that carries a session for a while, as a feed does its source.
//!
//! # Bounds
//!
//! A client that is slow, stalled or malicious costs itself only. All bounds are in [`Config`]: those of requests have a status each; what waits for a
//! client, and how long, is limited; requests that were sent ahead are not looked at while 64 KiB of answers are unsent. Connections have no tick: one timer
//! waits for the earliest deadline of all, so that a server whose clients are silent makes no system call before it.
//!
//! # Errors
//!
//! Every error, the parser's included, is `{"error": word, "reason": sentence, "errno": status}` ([`Refusal`]).

#![forbid(unsafe_code)]

mod accept;
mod answered;
pub mod api;
mod call;
mod channel;
mod config;
mod conn;
pub mod console_site;
mod exchange;
mod feeds;
mod guard;
mod handshakes;
mod hosts;
mod later;
mod listen;
mod lock;
mod logs;
pub mod metrics;
pub(crate) mod openmetrics;
mod redact;
mod revoked;
mod route;
mod secure;
pub mod site;
mod socket;
mod sockets;
pub mod sockjs;
mod streamed;
mod subscriptions;
mod turn;

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What the original calls [`HttpServer`].
pub use self::HttpServer as HttpHandler;
pub use crate::controller::json;
pub use answered::Answered;
pub use call::{Call, Counters, FeedMode, FeedSource, FeedSpec, Peer, Provided, Refusal, Reply, Request, Socket};
pub use channel::{channel_socket, guarded_channel};
pub use config::{Config, Endpoint};
#[cfg(feature = "lookup")]
pub(crate) use guard::no_key;
pub use guard::{Audit, Guard, Needs, key_of};
pub use handshakes::FailedHandshake;
pub use later::Later;
pub use listen::LocalAddr;
pub use route::{Handler, Params, Route, delete, get, post, put};
pub use secure::Tls;
pub use socket::{Message, SocketAddress, SocketOut};
pub use streamed::Streamed;

use conn::Conn;
use feeds::History;
use hosts::Access;
use later::{Answer, Requests};
use listen::Listener;
use metrics::Metrics;
use revoked::{KeysChanged, KeysWatch, Permit};
use route::Router;
use socket::{Place, SocketMail};
use sockjs::Services;

use crate::Result;
use crate::access::Right;
use crate::event_loop::{Interest, Readiness, Source, SourceId, SourceMap, TimerId};
use crate::manager::{App, Cx, Flow, StreamChunk, TapId};
use crate::process::Event;
use crate::proto::h1::{HttpDate, RequestHead};

/// The server. See the [module](self).
pub struct HttpServer {
    config: Config,
    access: Access,
    router: Router,
    /// Bound, not registered yet.
    bound: Vec<Listener>,
    listeners: Vec<Source<Listener>>,
    addresses: Vec<LocalAddr>,
    connections: SourceMap<Box<Conn>>,
    requests: Requests,
    counters: Counters,
    metrics: Metrics,
    provided: Provided,
    history: History,
    sockjs: Services,
    observer: Option<answered::Observer>,
    handshakes: Option<handshakes::Observer>,
    /// Asks for keys.
    guard: Option<Guard>,
    /// Looks at each request before anybody else.
    gate: Option<Gate>,
    /// Tells when these have changed, from the start on.
    keys: Option<KeysWatch>,
    /// That of the request that was answered last, until its connection has it.
    permit: Option<Box<Permit>>,
    /// Feeds of events, in the order in which they came.
    event_feeds: Vec<SourceId>,
    taps: HashMap<TapId, SourceId>,
    /// Connections with something to send, and whether the mail that has it sent is on its way.
    dirty: Vec<SourceId>,
    flush_mailed: bool,
    timer: Option<(TimerId, Instant)>,
    /// No connection is taken before.
    paused: Option<Instant>,
    buffer: Vec<u8>,
    /// The `Date` of answers, and until when.
    date: Option<(HttpDate, Instant)>,
}

/// See [`HttpServer::screen`].
type Gate = Box<dyn Fn(&RequestHead, &Peer) -> Result<(), Refusal> + Send>;

/// A letter to itself: what is dirty is to be flushed.
struct Flush;

impl HttpServer {
    /// Binds every endpoint of the configuration.
    ///
    /// # Errors
    ///
    /// An address that is in use ([`Conflict`](crate::ErrorKind::Conflict)), is not loopback
    /// ([`Forbidden`](crate::ErrorKind::Forbidden), unless [`insecure`](Config::insecure)), or that the system refuses. Nothing stays bound then.
    pub fn bind(mut config: Config) -> Result<Self> {
        let mut access = Access::new(mem::take(&mut config.allow_hosts), mem::take(&mut config.allow_origins));
        let mut bound = Vec::new();
        for endpoint in mem::take(&mut config.endpoints) {
            let listener = Listener::bind(endpoint, config.insecure, config.backlog)?;
            if let Some(host) = &listener.host {
                access.add_host(host);
            }
            bound.push(listener);
        }
        let addresses = bound.iter().map(|listener| listener.address.clone()).collect();
        let run = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis() as u64);
        let history = History::new(run, config.history);
        Ok(Self {
            config,
            access,
            router: Router::default(),
            bound,
            listeners: Vec::new(),
            addresses,
            connections: SourceMap::default(),
            requests: Requests::default(),
            counters: Counters::default(),
            metrics: Metrics::default(),
            provided: Provided::default(),
            history,
            sockjs: Services::default(),
            observer: None,
            handshakes: None,
            guard: None,
            gate: None,
            keys: None,
            permit: None,
            event_feeds: Vec::new(),
            taps: HashMap::new(),
            dirty: Vec::new(),
            flush_mailed: false,
            timer: None,
            paused: None,
            buffer: Vec::new(),
            date: None,
        })
    }

    /// Where it listens, in the order of the configuration.
    #[must_use]
    pub fn local_addrs(&self) -> &[LocalAddr] {
        &self.addresses
    }

    /// Adds a route that a closure answers. It takes the place of one of the same method and pattern.
    ///
    /// In a pattern, `:name` is one segment (`:pid` one of decimal digits), and `*name` at its end is the rest of the path. Literal segments are preferred. A `GET` answers `HEAD` too.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for a pattern that is none, and for the methods `HEAD` and `OPTIONS`, which the server answers.
    pub fn route(
        &mut self,
        method: &str,
        pattern: &str,
        handler: impl FnMut(&mut Call<'_, '_>) -> Result<Reply, Refusal> + Send + 'static,
    ) -> Result<()> {
        self.route_for(Needs::Node(Right::Manage), method, pattern, handler)
    }

    /// The same for others than those who may manage all of the node, where keys are asked for.
    ///
    /// # Errors
    ///
    /// As [`route`](Self::route).
    pub fn route_for(
        &mut self,
        needs: Needs,
        method: &str,
        pattern: &str,
        handler: impl FnMut(&mut Call<'_, '_>) -> Result<Reply, Refusal> + Send + 'static,
    ) -> Result<()> {
        self.router.add(method, pattern, Box::new(handler), None, needs)
    }

    /// Asks for a key, wherever a route [needs](Route::needs) one. What is served by [`sockjs`](Self::sockjs) asks itself, as
    /// [`guarded_channel`] does. Preflights of browsers need no key, which they could not send.
    ///
    /// What goes on after its request ends with the key, or with the right, that it was asked for by: a feed with an event `error` (raw output
    /// breaks off), a websocket with 1008, a session of SockJS with 3403, and an [`Audit`] tells it. That is within the turn of the change, or,
    /// where another process has changed the file, with the next request with a key or the next event a second later.
    pub fn guard(&mut self, guard: Guard) {
        self.guard = Some(guard);
    }

    /// Has `f` look at the head of each request, whatever it is for, before anything else is told: what it refuses is refused. Preflights of
    /// browsers, which cannot send a key, are not shown to it. It runs in the loop and must not block.
    pub fn screen(&mut self, f: impl Fn(&RequestHead, &Peer) -> Result<(), Refusal> + Send + 'static) {
        self.gate = Some(Box::new(f));
    }

    /// Gives the handlers a value, as [`Call::provided`]: the handle of another app. It takes the place of one of the same type.
    pub fn provide<T: Any + Send>(&mut self, value: T) {
        self.provided.insert(value);
    }

    /// Adds a table of routes.
    ///
    /// # Errors
    ///
    /// As [`route`](Self::route).
    pub fn routes(&mut self, routes: &[Route]) -> Result<()> {
        routes.iter().try_for_each(|route| {
            self.router.add(route.method, route.pattern, Box::new(route.handler), route.body_limit, route.needs)
        })
    }

    /// Serves [SockJS](sockjs) under a prefix, `/channel` say: `factory` makes the handler of each new session and of each plain websocket. It goes before routes below the prefix.
    ///
    /// ```
    /// use gaffer::manager::Cx;
    /// use gaffer::server::{Config, HttpServer, Message, Socket, SocketOut, sockjs};
    ///
    /// struct Echo;
    ///
    /// impl Socket for Echo {
    ///     fn message(&mut self, _: &mut Cx<'_>, message: Message, out: &mut SocketOut<'_>) {
    ///         out.send(message);
    ///     }
    /// }
    ///
    /// let mut server = HttpServer::bind(Config::default())?;
    /// server.sockjs("/echo", sockjs::Config::default(), |_| Box::new(Echo))?;
    /// # Ok::<(), gaffer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for a prefix that is no path of plain segments and for settings that make no sense,
    /// [`Conflict`](crate::ErrorKind::Conflict) if that prefix is served already.
    pub fn sockjs(
        &mut self,
        prefix: &str,
        config: sockjs::Config,
        factory: impl FnMut(&Request) -> Box<dyn Socket> + Send + 'static,
    ) -> Result<()> {
        self.sockjs.add(prefix, config, Box::new(factory))
    }

    /// The timer rings no later than at `at`. Deadlines move on with each request, so it may ring for one that has; it is then set anew.
    fn wake_at(&mut self, cx: &mut Cx<'_>, at: Instant) {
        if let Some((id, earlier)) = self.timer {
            if earlier <= at {
                return;
            }
            cx.cancel_timer(id);
        }
        self.timer = Some((cx.set_timer(at), at));
    }

    /// The `Date` of an answer. The clock is looked at again when its second is over.
    fn date(&mut self, cx: &Cx<'_>) -> HttpDate {
        if let Some((date, _)) = self.date.filter(|(_, until)| cx.now() < *until) {
            return date;
        }
        let now = SystemTime::now();
        let passed = now.duration_since(UNIX_EPOCH).map_or(0, |passed| passed.subsec_nanos());
        let date = HttpDate::new(now);
        self.date = Some((date, cx.now() + Duration::from_nanos(1_000_000_000 - u64::from(passed))));
        date
    }

    /// Has a connection flushed at the end of this round, together with all others that get something in it.
    fn mark_dirty(&mut self, cx: &mut Cx<'_>, id: SourceId) {
        self.dirty.push(id);
        if !mem::replace(&mut self.flush_mailed, true) {
            if let Some(us) = cx.app_id() {
                cx.mail(us, Flush);
            }
        }
    }
}

impl App for HttpServer {
    fn name(&self) -> &str {
        "http server"
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        for listener in self.bound.drain(..) {
            self.listeners.push(cx.register(listener, Interest::READ)?);
        }
        self.watch_keys(cx);
        Ok(())
    }

    fn ready(&mut self, cx: &mut Cx<'_>, id: SourceId, ready: Readiness) {
        if let Some(index) = self.listeners.iter().position(|listener| listener.id() == id) {
            return self.accept(cx, index);
        }
        // What is unsent is sent by `finish`.
        self.with(cx, id, |server, cx, conn| {
            if ready.is_writable() {
                conn.blocked = false;
            }
            if ready.is_readable() {
                server.read(cx, conn);
            }
        });
    }

    fn timeout(&mut self, cx: &mut Cx<'_>, id: TimerId) {
        if self.timer.is_none_or(|(ours, _)| ours != id) {
            return;
        }
        self.timer = None;
        let now = Instant::now();
        match self.paused {
            Some(until) if until <= now => self.resume(),
            Some(until) => self.wake_at(cx, until),
            None => {}
        }
        let due = |conn: &Conn| conn.deadline.is_some_and(|at| at <= now);
        let late: Vec<_> = self.connections.values().filter(|conn| due(conn)).map(|conn| conn.id()).collect();
        for id in late {
            self.with(cx, id, |server, cx, conn| server.too_late(cx, conn, now));
        }
        if let Some(next) = self.connections.values().filter_map(|conn| conn.deadline).min() {
            self.wake_at(cx, next);
        }
        self.session_timeouts(cx, now);
    }

    fn output(&mut self, cx: &mut Cx<'_>, tap: TapId, chunk: &StreamChunk<'_>) -> Flow {
        self.feed_output(cx, tap, chunk);
        // A child never waits for a client.
        Flow::Continue
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Arc<Event>) {
        self.metrics.observe(event);
        if self.guard.is_some() {
            self.look_at_keys(cx);
        }
        self.feed_event(cx, event);
    }

    fn mail(&mut self, cx: &mut Cx<'_>, message: Box<dyn Any + Send>) {
        let message = match message.downcast::<Flush>() {
            Ok(_) => {
                self.flush_mailed = false;
                for id in mem::take(&mut self.dirty) {
                    self.with(cx, id, |_, _, conn| conn.dirty = false);
                }
                return;
            }
            Err(message) => message,
        };
        let message = match message.downcast::<Answer>() {
            Ok(answer) => return self.answered(cx, *answer),
            Err(message) => message,
        };
        if message.is::<KeysChanged>() {
            return self.recheck(cx);
        }
        match message.downcast::<SocketMail>() {
            Ok(mail) => match mail.place {
                Place::Connection(id) => {
                    self.with(cx, id, |server, cx, conn| server.socket_mail(cx, conn, mail.message));
                }
                Place::Session(number) => self.session_mail(cx, number, mail.message),
            },
            Err(message) => self.feed_mail(cx, message),
        }
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        // Dropping a listener unlinks its socket.
        self.listeners.clear();
        self.bound.clear();
        if let Some((id, _)) = self.timer.take() {
            cx.cancel_timer(id);
        }
        // The manager does not turn again: what the client takes at once is what it gets.
        let now = Instant::now();
        for (_, mut conn) in mem::take(&mut self.connections) {
            self.say_goodbye(cx, &mut conn);
            conn.blocked = false;
            conn.flush(now);
            self.end(cx, *conn);
        }
        self.end_sessions(cx);
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer")
            .field("addresses", &self.addresses)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
