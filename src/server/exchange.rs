//! From a request to its answer.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;

use super::HttpServer;
use super::call::{Call, FeedSpec, Peer, Refusal, Reply, Request};
use super::conn::{Conn, Mode};
use super::feeds::Feed;
use super::guard::{Guard, Needs, no_key};
use super::later::Later;
use super::revoked::Permit;
use super::route::Params;
use crate::access::{Right, Who};
use crate::controller::Scope;
use crate::controller::shapes::hide_env;
use crate::manager::Cx;
use crate::proto::h1::{
    Body, CONTINUE, EntityTag, Event, Exchange, FixedField, Framing, Method, Query, RequestHead, ResponseHead,
    if_none_match, path_segments,
};

/// The `Server` field.
const SERVER: FixedField = FixedField::new(concat!("Server: gaffer/", env!("CARGO_PKG_VERSION"), "\r\n"));

const JSON: FixedField = FixedField::new("Content-Type: application/json; charset=utf-8\r\n");
const TEXT: FixedField = FixedField::new("Content-Type: text/plain; charset=utf-8\r\n");

/// The content of an answer.
struct Content {
    status: u16,
    media_type: MediaType,
    body: Vec<u8>,
    /// Whether it has an `ETag`, and what `Cache-Control` says.
    etag: bool,
    cache: Option<&'static str>,
    headers: Vec<(&'static str, String)>,
}

enum MediaType {
    None,
    /// The whole field.
    Fixed(FixedField),
    Other(String),
}

impl Content {
    const fn new(status: u16, media_type: MediaType, body: Vec<u8>) -> Self {
        Self { status, media_type, body, etag: true, cache: None, headers: Vec::new() }
    }

    fn json(status: u16, value: &Value) -> Self {
        Self::json_text(status, serde_json::to_vec(value).expect("a value has text for keys"))
    }

    const fn json_text(status: u16, text: Vec<u8>) -> Self {
        Self::new(status, MediaType::Fixed(JSON), text)
    }
}

impl From<&Refusal> for Content {
    fn from(refusal: &Refusal) -> Self {
        Self { headers: refusal.headers.clone(), ..Self::json(refusal.status, &refusal.to_json()) }
    }
}

impl HttpServer {
    /// Takes up the next part of a request; whether to go on.
    pub(super) fn consume_http(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, bytes: &[u8], used: &mut usize) -> bool {
        let fed = conn.decoder.feed(bytes);
        *used += fed.used;
        match fed.event {
            Event::More => {
                if conn.decoder.take_continue() {
                    conn.out.extend_from_slice(CONTINUE);
                }
                return false;
            }
            Event::Head(head) if matches!(head.framing(), Framing::Empty | Framing::Length(0)) => {
                self.clock_in(conn);
                // Nothing comes of it any more, so it need not be kept: its end is due.
                let end = conn.decoder.feed(&[]);
                debug_assert!(matches!(end.event, Event::End(_)), "a request without content is over with its head");
                self.request(cx, conn, Request { head, body: Vec::new(), peer: conn.peer.clone() });
                return fed.used < bytes.len();
            }
            Event::Head(head) => self.head(cx, conn, head),
            Event::Body(piece) => conn.body.extend_from_slice(piece),
            Event::End(_) => {
                if let Some(head) = conn.head.take() {
                    let body = mem::take(&mut conn.body);
                    self.request(cx, conn, Request { head: *head, body, peer: conn.peer.clone() });
                }
            }
            Event::Refused(refusal) => self.refuse_connection(cx, conn, &refusal.into()),
        }
        true
    }

    /// What can be refused is refused before its content comes.
    fn head(&mut self, cx: &Cx<'_>, conn: &mut Conn, head: RequestHead) {
        self.clock_in(conn);
        match self.check(cx, conn, &head) {
            Ok(Some(limit)) => conn.decoder.set_body_limit(limit as u64),
            Ok(None) => {}
            Err(refusal) => {
                // The content is not read, so nothing can follow it.
                conn.decoder.close();
                self.counters.requests += 1;
                self.write(cx, conn, Some(&head), head.exchange().close(), (&refusal).into());
                return;
            }
        }
        conn.head = Some(Box::new(head));
    }

    /// Whether a request may be made and there is somebody to answer it; the limit of its content.
    fn check(&self, cx: &Cx<'_>, conn: &Conn, head: &RequestHead) -> Result<Option<usize>, Refusal> {
        self.check_access(conn, head)?;
        if let Some(limit) = self.sockjs.body_limit(head.path()) {
            return Ok(limit);
        }
        if head.method() == Method::Options {
            return Ok(None);
        }
        let path = path_segments(head.path())?;
        let found = self.router.find(head.method(), &path)?;
        if found.needs.is_early() {
            let params = self.router.params(found, &path);
            admit(self.guard.as_ref(), cx, found.needs, &params, (head, &conn.peer, &[]))?;
        }
        Ok(found.body_limit)
    }

    pub(super) fn check_access(&self, conn: &Conn, head: &RequestHead) -> Result<(), Refusal> {
        // No browser reaches a unix socket, and clients of one have no host to name.
        if matches!(conn.peer, super::Peer::Tcp(_)) {
            self.access.check_host(head)?;
        }
        self.access.check_origin(head)?;
        match &self.gate {
            Some(gate) if head.method() != Method::Options => gate(head, &conn.peer),
            _ => Ok(()),
        }
    }

    fn request(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, request: Request) {
        self.counters.requests += 1;
        if self.sockjs_request(cx, conn, &request) {
            return;
        }
        let number = self.requests.next();
        let reply = match self.check_access(conn, &request.head) {
            Ok(()) if request.head.method() == Method::Options => self.options(&request.head),
            Ok(()) => self.call(cx, &request, number),
            Err(refusal) => Err(refusal),
        };
        conn.permit = self.permit.take();
        self.respond(cx, conn, number, request.head, reply);
    }

    /// Does what a reply says.
    pub(super) fn respond(
        &mut self,
        cx: &mut Cx<'_>,
        conn: &mut Conn,
        number: u64,
        head: RequestHead,
        reply: Result<Reply, Refusal>,
    ) {
        let content = match reply {
            Ok(Reply::Json(status, value)) => Content::json(status, &value),
            Ok(Reply::JsonText(status, text)) => Content::json_text(status, text),
            Ok(Reply::Private(status, value, headers)) => {
                Content { etag: false, cache: Some("no-store"), headers, ..Content::json(status, &value) }
            }
            Ok(Reply::Text(status, text)) => Content::new(status, MediaType::Fixed(TEXT), text.into_bytes()),
            Ok(Reply::Bytes { status, content_type, body, cache }) => Content {
                etag: cache,
                cache: Some(if cache { "no-cache" } else { "no-store" }),
                ..Content::new(status, MediaType::Other(content_type), body)
            },
            Ok(Reply::Empty(status)) => Content::new(status, MediaType::None, Vec::new()),
            Ok(Reply::Streamed(streamed)) => return self.start_streamed(cx, conn, &head, streamed),
            Ok(Reply::Feed(spec)) => return self.start_feed(cx, conn, &head, spec),
            Ok(Reply::WebSocket(socket)) => match self.upgrade(cx, conn, &head, socket, None) {
                Ok(()) => return,
                Err(refusal) => (&refusal).into(),
            },
            Ok(Reply::Later(give_up)) => return self.wait(conn, number, head, give_up),
            Err(refusal) => (&refusal).into(),
        };
        self.write(cx, conn, Some(&head), head.exchange(), content);
    }

    fn options(&self, head: &RequestHead) -> Result<Reply, Refusal> {
        if head.path() == "*" {
            return Ok(Reply::Empty(204));
        }
        let path = path_segments(head.path())?;
        match self.router.allowed(&path) {
            Some(_) => Ok(Reply::Empty(204)),
            None => Err(Refusal::not_found(format!("there is nothing at /{}", path.join("/")))),
        }
    }

    fn call(&mut self, cx: &mut Cx<'_>, request: &Request, number: u64) -> Result<Reply, Refusal> {
        let path = path_segments(request.head.path())?;
        let found = self.router.find(request.head.method(), &path)?;
        let query = request.head.query().map_or_else(|| Ok(Query::default()), Query::parse)?;
        let guard = self.guard.as_ref();
        let (handler, params) = self.router.open(found, &path);
        let who = admit(guard, cx, found.needs, &params, (&request.head, &request.peer, &request.body))?;
        let needed = guard.and_then(|_| found.needs.resolve(cx, &params, &[]));
        let hides = guard.is_some_and(|guard| {
            let on = needed.as_ref().map_or(&Scope::Node, |(_, on)| on);
            guard.check(&who, Right::Manage, on).is_err()
        });
        let later = Later { server: cx.app_id(), number };
        let (metrics, provided, sockjs) = (&self.metrics, &self.provided, &self.sockjs);
        let counters = self.counters;
        let mut call =
            Call { cx, request, params, counters, metrics, provided, who: &who, guard, query, sockjs, later };
        let mut reply = catch_unwind(AssertUnwindSafe(|| handler(&mut call))).unwrap_or_else(|_| {
            let reason = format!("the handler of {} {} panicked", request.head.method(), request.head.path());
            Err(Refusal::new(500, "internal_error", reason))
        });
        if let Some(guard) = guard {
            audit(guard, &who, request, &reply);
            self.permit = Permit::new(&who, needed.filter(|_| found.needs.is_early()), request, &reply);
        }
        if hides {
            hide_environments(&mut reply);
        }
        reply
    }

    /// Writes an answer that is complete.
    fn write(
        &mut self,
        cx: &Cx<'_>,
        conn: &mut Conn,
        head: Option<&RequestHead>,
        exchange: Exchange,
        content: Content,
    ) {
        let mut status = content.status;
        let mut etag = None;
        if let (200, true, Some(head)) = (status, content.etag, head) {
            if matches!(head.method(), Method::Get | Method::Head) {
                let tag = EntityTag::of(&content.body);
                let mut known = head.headers().all("if-none-match").peekable();
                if known.peek().is_some() && !if_none_match(known, Some(tag.as_str())) {
                    status = 304;
                }
                etag = Some(tag);
            }
        }
        self.tell_answer(conn, head, status);
        let mut response = self.response(status, head);
        // A handler's value with a control character in it is left out, not sent.
        match &content.media_type {
            _ if status == 304 => {}
            MediaType::None => {}
            MediaType::Fixed(line) => response = response.fixed(*line),
            MediaType::Other(media_type) => drop(response.field("Content-Type", media_type)),
        }
        if let Some(tag) = &etag {
            response = response.tagged(tag);
        }
        let mut field = |name: &str, value: &str| drop(response.field(name, value));
        if let Some(cache) = content.cache {
            field("Cache-Control", cache);
        }
        for (name, value) in &content.headers {
            field(name, value);
        }
        if let (Some(head), 204) = (head.filter(|head| head.method() == Method::Options), status) {
            let path = path_segments(head.path()).unwrap_or_default();
            let allowed = self.router.allowed(&path);
            field("Allow", allowed.as_deref().unwrap_or("DELETE, GET, HEAD, OPTIONS, POST, PUT"));
        }
        let date = self.date(cx);
        let mut body = response.encode(exchange, Body::Length(content.body.len() as u64), &date, &mut conn.out);
        body.write(&content.body, &mut conn.out).expect("the length is that of the body");
        if !body.finish(&mut conn.out).expect("the length is that of the body") {
            conn.mode = Mode::Closing;
        }
    }

    /// The start of every answer.
    pub(super) fn response(&self, status: u16, head: Option<&RequestHead>) -> ResponseHead {
        let status = if (100..=999).contains(&status) { status } else { 500 };
        let mut response = ResponseHead::new(status).fixed(SERVER);
        if let Some(head) = head {
            self.access.describe(head, &mut response);
        }
        response
    }

    /// Answers what could not be read, or came too late, and closes.
    pub(super) fn refuse_connection(&mut self, cx: &Cx<'_>, conn: &mut Conn, refusal: &Refusal) {
        self.counters.requests += 1;
        conn.decoder.close();
        let head = conn.head.take();
        conn.body = Vec::new();
        let exchange = head.as_ref().map_or(Exchange::REFUSED, |head| head.exchange().close());
        self.write(cx, conn, head.as_deref(), exchange, refusal.into());
        conn.mode = Mode::Closing;
    }

    fn start_feed(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, head: &RequestHead, spec: FeedSpec) {
        self.tell_answer(conn, Some(head), 200);
        let mut response = self.response(200, Some(head));
        response = response.with("Content-Type", Feed::media_type(&spec)).with("Cache-Control", "no-cache");
        // For proxies that would wait for more before they hand it on.
        response = response.with("X-Accel-Buffering", "no");
        let date = self.date(cx);
        let writer = response.encode(head.exchange(), Body::Stream, &date, &mut conn.out);
        if head.method() == Method::Head {
            if !writer.keep_alive() {
                conn.mode = Mode::Closing;
            }
            return;
        }
        let mut feed = Box::new(Feed::new(spec, writer));
        self.subscribe(cx, conn, &mut feed, head);
        conn.mode = Mode::Feed(feed);
        self.end_feed_if_over(cx, conn);
    }
}

/// Who asks, if that may be. The right comes before anything is said about whether something is there.
fn admit(
    guard: Option<&Guard>,
    cx: &Cx<'_>,
    needs: Needs,
    params: &Params<'_>,
    (head, peer, body): (&RequestHead, &Peer, &[u8]),
) -> Result<Who, Refusal> {
    let Some(guard) = guard else { return Ok(Who::Trusted) };
    if needs == Needs::Nothing {
        return Ok(Who::Nobody);
    }
    let mut who = Who::Nobody;
    let outcome = guard.who(head, peer).and_then(|found| {
        who = found;
        match needs.resolve(cx, params, body) {
            Some((right, on)) => guard.check(&who, right, &on),
            None if needs == Needs::Key && who == Who::Nobody => Err(no_key()),
            None => Ok(()),
        }
    });
    if let Err(refusal) = &outcome {
        guard.audit(&who, &what(head), peer, Some(&refusal.reason));
    }
    outcome.map(|()| who)
}

/// What was asked for, without the query.
pub(super) fn what(head: &RequestHead) -> String {
    format!("{} {}", head.method(), head.path())
}

/// What a handler has refused for lack of a right, and what has changed something. What is answered later tells it itself.
fn audit(guard: &Guard, who: &Who, request: &Request, reply: &Result<Reply, Refusal>) {
    let head = &request.head;
    match reply {
        Err(refusal) if matches!(refusal.status, 401 | 403) => {
            guard.audit(who, &what(head), &request.peer, Some(&refusal.reason));
        }
        Ok(Reply::Later(_)) | Err(_) => {}
        Ok(reply) if matches!(reply, Reply::WebSocket(_)) || !matches!(head.method(), Method::Get | Method::Head) => {
            guard.audit(who, &what(head), &request.peer, None);
        }
        Ok(_) => {}
    }
}

/// Environments often have secrets in them.
fn hide_environments(reply: &mut Result<Reply, Refusal>) {
    match reply {
        Ok(Reply::Json(_, value)) => hide_env(value),
        Ok(Reply::JsonText(status, text)) => {
            let mut value = serde_json::from_slice(text).unwrap_or(Value::Null);
            hide_env(&mut value);
            *reply = Ok(Reply::Json(*status, value));
        }
        _ => {}
    }
}
