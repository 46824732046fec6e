//! What a handler is given, and what it answers.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::guard::Guard;
use super::later::Later;
use super::metrics::Metrics;
use super::route::Params;
use super::socket::{Message, SocketOut};
use super::sockjs::Services;
use super::streamed::Streamed;
use crate::Error;
use crate::access::{Right, Who};
use crate::controller::{self, Scope};
use crate::manager::{Cx, Target};
use crate::process::Pid;
use crate::proto::h1::{self, Query, RequestHead};

/// One request, lent to its handler with everything it may use.
///
/// Handlers run in the loop and must not block.
#[derive(Debug)]
pub struct Call<'a, 'cx> {
    /// The manager.
    pub cx: &'a mut Cx<'cx>,
    /// The request, complete.
    pub request: &'a Request,
    /// What the route's pattern has matched.
    pub params: Params<'a>,
    /// What the server has counted.
    pub counters: Counters,
    /// What it has learnt of jobs from their events.
    pub metrics: &'a Metrics,
    /// What the embedder has [given](super::HttpServer::provide) to the handlers.
    pub provided: &'a Provided,
    /// Who asks; [`Who::Trusted`] where nobody is asked for a key.
    pub who: &'a Who,
    pub(super) guard: Option<&'a Guard>,
    pub(super) query: Query<'a>,
    pub(super) sockjs: &'a Services,
    pub(super) later: Later,
}

/// Values that a server hands to its handlers, one of each type: handles of other apps.
#[derive(Default)]
pub struct Provided(HashMap<TypeId, Box<dyn Any + Send>>);

impl Provided {
    /// The value of this type.
    #[must_use]
    pub fn get<T: Any + Send>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref()
    }

    pub(super) fn insert<T: Any + Send>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Box::new(value));
    }
}

impl fmt::Debug for Provided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.0.len())
    }
}

impl Call<'_, '_> {
    /// The value of a parameter of the route, decoded; empty if the pattern has none of this name.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).unwrap_or("")
    }

    /// The value of a parameter of the query, decoded: the last one, if it is there several times.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name)
    }

    /// Where the answer goes if it is given [`Reply::Later`].
    #[must_use]
    pub const fn later(&self) -> Later {
        self.later
    }

    /// Whether whoever asks may do what needs `right` on `on`, beside what the route [needs](super::Route::needs).
    ///
    /// # Errors
    ///
    /// 401 without a key, 403 with one that has not the right.
    pub fn check(&self, right: Right, on: &Scope) -> Result<(), Refusal> {
        self.guard.map_or(Ok(()), |guard| guard.check(self.who, right, on))
    }

    /// The content as JSON.
    ///
    /// # Errors
    ///
    /// 400 `bad_request` with the line and column at which it is not JSON.
    pub fn json(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(&self.request.body)
            .map_err(|e| Refusal::new(400, "bad_request", format!("the content is not JSON: {e}")))
    }

    /// The content as text.
    ///
    /// # Errors
    ///
    /// 400 `bad_request` if it is not UTF-8.
    pub fn text(&self) -> Result<&str, Refusal> {
        std::str::from_utf8(&self.request.body)
            .map_err(|e| Refusal::new(400, "bad_request", format!("the content is not UTF-8: {e}")))
    }
}

/// What a server has counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections that are open now.
    pub connections: u64,
    /// Connections taken, those turned away with 503 included.
    pub accepted: u64,
    /// Requests answered, refused ones included.
    pub requests: u64,
    /// Events, samples and pieces of output that feeds did not get because their client was too slow.
    pub dropped: u64,
    /// Connections that broke by TLS: a side was not trusted, nothing could be agreed upon, or not in time.
    pub tls_failed: u64,
}

/// A request whose content is complete; its length is bounded by the route.
#[derive(Debug)]
pub struct Request {
    /// Method, target and fields.
    pub head: RequestHead,
    /// The content; empty if there was none.
    pub body: Vec<u8>,
    /// Who sent it.
    pub peer: Peer,
}

/// The other side of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// By TCP.
    Tcp(SocketAddr),
    /// By a unix socket; the numbers where the system tells them.
    Unix {
        /// The user.
        uid: Option<u32>,
        /// The process.
        pid: Option<i32>,
    },
}

/// An answer.
pub enum Reply {
    /// A status and JSON.
    Json(u16, Value),
    /// The same, written already.
    JsonText(u16, Vec<u8>),
    /// A status, JSON that nobody may keep, and fields of the answer.
    Private(u16, Value, Vec<(&'static str, String)>),
    /// A status and `text/plain; charset=utf-8`.
    Text(u16, String),
    /// A status and bytes.
    Bytes {
        /// The status.
        status: u16,
        /// Their media type.
        content_type: String,
        /// The bytes.
        body: Vec<u8>,
        /// Whether clients may keep them, asking each time whether they are still good (`no-cache` with an `ETag`), or must
        /// not (`no-store`).
        cache: bool,
    },
    /// A content that is read as the client takes it.
    Streamed(Streamed),
    /// A status and no content.
    Empty(u16),
    /// The connection becomes a feed, for as long as both sides want it.
    Feed(FeedSpec),
    /// The connection becomes a websocket: 101, and then messages. A request that is no upgrade gets the status that
    /// says so.
    WebSocket(Box<dyn Socket>),
    /// The answer comes [later](Later). The closure is called, once, if nobody waits for it any more.
    Later(Box<dyn FnOnce(&mut Cx<'_>) + Send>),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(status, value) => write!(f, "Json({status}, {value})"),
            // It may be a secret.
            Self::Private(status, ..) => write!(f, "Private({status})"),
            Self::JsonText(status, text) => write!(f, "JsonText({status}, {})", String::from_utf8_lossy(text)),
            Self::Text(status, text) => write!(f, "Text({status}, {text:?})"),
            Self::Bytes { status, content_type, body, .. } => {
                write!(f, "Bytes({status}, {content_type}, {} bytes)", body.len())
            }
            Self::Streamed(streamed) => streamed.fmt(f),
            Self::Empty(status) => write!(f, "Empty({status})"),
            Self::Feed(spec) => spec.fmt(f),
            Self::WebSocket(_) => f.write_str("WebSocket"),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

/// What a feed brings, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedSpec {
    /// What it brings.
    pub source: FeedSource,
    /// How.
    pub mode: FeedMode,
    /// A sign of life after so long a silence; none if `None`.
    pub heartbeat: Option<Duration>,
}

/// What a feed brings.
#[derive(Clone, Debug, PartialEq)]
pub enum FeedSource {
    /// Events whose topic matches, as JSON. Ends with the connection.
    Events {
        /// As [`Cx::on`] takes it: `.`, `exit`, `proc.web`.
        pattern: String,
    },
    /// Output of a process, as it comes. Ends when the process and this stream of it have ended.
    Stream {
        /// The process.
        pid: Pid,
        /// The stream's label.
        label: String,
    },
    /// Lines of output of many streams, as JSON: what a [`History`](crate::history::History) that was
    /// [given](super::HttpServer::provide) has of them, then what comes. Ends with the connection, or if only one process
    /// is meant when that and its streams have ended.
    Logs(Box<crate::history::Query>),
    /// What processes use, as JSON, one object for each process and interval. Ends with the process, or when the job is unloaded.
    Stats {
        /// Whose.
        target: Target,
        /// Time between two samples, at least 0.1 s.
        interval: Duration,
    },
}

/// How a feed brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedMode {
    /// One JSON object a line, or the raw output.
    Continuous,
    /// One event, sample or piece of output, and then the end.
    LongPoll,
    /// Server-sent events.
    EventSource,
}

/// One client, as a handler sees it: on a websocket, or in a session of [SockJS](super::sockjs), whose way changes from request to request while the handler and its
/// [address](SocketOut::address) stay.
///
/// Its methods run in the loop and must not block. One that panics loses its connection (1011), nothing else.
#[allow(unused_variables)]
pub trait Socket: Send {
    /// The subprotocols it speaks; the first one of the client's list that is among them is chosen. Default: none.
    fn protocols(&self) -> &'static [&'static str] {
        &[]
    }

    /// The handshake is done, or the session begins.
    fn open(&mut self, cx: &mut Cx<'_>, out: &mut SocketOut<'_>) {}

    /// A message has come.
    fn message(&mut self, cx: &mut Cx<'_>, message: Message, out: &mut SocketOut<'_>);

    /// What a closure of its own has sent to its [address](SocketOut::address), in the order of sending.
    fn mail(&mut self, cx: &mut Cx<'_>, message: Box<dyn Any + Send>, out: &mut SocketOut<'_>) {}

    /// The client, which was behind, has taken so much that less than a quarter of the bound is unsent. Called once after
    /// each [`SocketOut::wait_for_room`].
    fn room(&mut self, cx: &mut Cx<'_>, out: &mut SocketOut<'_>) {}

    /// Keys or rights have changed, where [somebody asks](super::HttpServer::guard) for them: who is not allowed any more is to be
    /// [sent away](SocketOut::refuse). A client whose key, in its request, was what the route [needs](super::Route::needs) has been sent away
    /// already where that does not hold any more.
    fn recheck(&mut self, cx: &mut Cx<'_>, out: &mut SocketOut<'_>) {}

    /// The connection or session is gone: end what was subscribed. Called once, whatever ended it.
    fn close(&mut self, cx: &mut Cx<'_>) {}
}

/// Why a request is not done: a status, and the one shape all errors have,
/// `{"error": word, "reason": sentence, "errno": status}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// For programs.
    pub error: Cow<'static, str>,
    /// For people.
    pub reason: String,
    /// Fields that go with it, such as `Allow`.
    pub headers: Vec<(&'static str, String)>,
}

impl Refusal {
    /// A refusal without fields.
    #[must_use]
    pub fn new(status: u16, error: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> Self {
        Self { status, error: error.into(), reason: reason.into(), headers: Vec::new() }
    }

    /// 400 `bad_request`.
    #[must_use]
    pub fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(400, "bad_request", reason)
    }

    /// 404 `not_found`.
    #[must_use]
    pub fn not_found(reason: impl Into<String>) -> Self {
        Self::new(404, "not_found", reason)
    }

    /// The same with one field more.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The content of the answer.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "error": &*self.error, "reason": self.reason, "errno": self.status })
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let (status, word) = controller::status(error.kind());
        Self::new(status, word, error.to_string())
    }
}

impl From<h1::Refusal> for Refusal {
    fn from(refusal: h1::Refusal) -> Self {
        let word = match refusal.status() {
            408 => "request_timeout",
            411 => "length_required",
            413 => "content_too_large",
            414 => "uri_too_long",
            417 => "expectation_failed",
            431 => "header_fields_too_large",
            501 => "not_implemented",
            505 => "version_not_supported",
            _ => "bad_request",
        };
        Self::new(refusal.status(), word, refusal.to_string())
    }
}
