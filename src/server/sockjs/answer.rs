//! Answers with the fields that the protocol wants.

use std::time::{Duration, SystemTime};

use crate::manager::Cx;
use crate::proto::h1::{Body, BodyWriter, Exchange, HttpDate, Method, RequestHead, ResponseHead};
use crate::server::HttpServer;
use crate::server::call::Refusal;
use crate::server::conn::{Conn, Mode};
use crate::server::hosts::{Access, Origin};

/// For what is read with GET, and for POST too, whose answers some browsers have kept.
const NOT_CACHED: &str = "no-store, no-cache, must-revalidate, max-age=0";

/// For what stays the same: a year.
const CACHED: &str = "public, max-age=31536000";

/// The cookie of balancers.
const COOKIE: &str = "JSESSIONID";

/// The longest value of it that is sent back.
const MAX_COOKIE: usize = 256;

/// A complete answer.
pub(super) struct Answer {
    pub(super) status: u16,
    media_type: Option<&'static str>,
    body: Vec<u8>,
    fields: Vec<(&'static str, String)>,
}

impl Answer {
    pub(super) fn new(status: u16, media_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, media_type: Some(media_type), body: body.into(), fields: Vec::new() }
    }

    pub(super) fn text(status: u16, text: &str) -> Self {
        Self::new(status, "text/plain; charset=UTF-8", text)
    }

    pub(super) fn empty(status: u16) -> Self {
        Self { status, media_type: None, body: Vec::new(), fields: Vec::new() }
    }

    pub(super) fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    pub(super) fn not_cached(self) -> Self {
        self.field("Cache-Control", NOT_CACHED)
    }

    pub(super) fn cached(self) -> Self {
        let expires = HttpDate::new(SystemTime::now() + Duration::from_secs(31_536_000));
        self.field("Cache-Control", CACHED).field("Expires", expires.as_str())
    }

    /// The answer to an OPTIONS of something that is used with this method.
    pub(super) fn options(method: Method) -> Self {
        let methods = format!("OPTIONS, {method}");
        let answer = Self::empty(204).cached().field("Access-Control-Max-Age", "31536000");
        answer.field("Allow", methods.clone()).field("Access-Control-Allow-Methods", methods)
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let body = refusal.to_json().to_string();
        let answer = Self::new(refusal.status, "application/json; charset=utf-8", body);
        Self { fields: refusal.headers, ..answer }.not_cached()
    }
}

/// Lets the browser show the answer to an allowed page, cookies included.
fn cors(access: &Access, head: &RequestHead, response: &mut ResponseHead) {
    let mut field = |name: &str, value: &str| {
        // It was a field before, or is fixed; one that is neither would be left out.
        let _ = response.field(name, value);
    };
    field("Vary", "Origin");
    let origin = head.headers().text("origin").unwrap_or("null");
    match access.origin(head) {
        Origin::Any if origin == "null" => field("Access-Control-Allow-Origin", "*"),
        Origin::Any | Origin::Allowed(_) => {
            field("Access-Control-Allow-Origin", origin);
            field("Access-Control-Allow-Credentials", "true");
        }
        Origin::Own | Origin::Foreign(_) => return,
    }
    if let Some(names) = head.headers().text("access-control-request-headers").filter(|names| !names.is_empty()) {
        field("Access-Control-Allow-Headers", names);
    }
}

/// What the client has as its cookie, if it can be sent back.
fn cookie(head: &RequestHead) -> &str {
    let good = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b',' | b';' | b'\\');
    let pairs = head.headers().all("cookie").filter_map(|value| std::str::from_utf8(value).ok());
    let mut values = pairs.flat_map(|pairs| pairs.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let ours = values.find(|(name, value)| *name == COOKIE && value.len() <= MAX_COOKIE && value.bytes().all(good));
    ours.map_or("dummy", |(_, value)| value)
}

impl HttpServer {
    /// The start of an answer to a page.
    fn sockjs_head(&self, status: u16, head: &RequestHead, with_cookie: bool) -> ResponseHead {
        let mut response = self.response(status, None);
        cors(&self.access, head, &mut response);
        response = response.with("X-Content-Type-Options", "nosniff");
        if with_cookie {
            let _ = response.field("Set-Cookie", format!("{COOKIE}={}; Path=/", cookie(head)));
        }
        response
    }

    pub(super) fn sockjs_answer(
        &mut self,
        cx: &Cx<'_>,
        conn: &mut Conn,
        (head, exchange): (&RequestHead, Exchange),
        with_cookie: bool,
        answer: Answer,
    ) {
        self.tell_answer(conn, Some(head), answer.status);
        let mut response = self.sockjs_head(answer.status, head, with_cookie);
        if let Some(media_type) = answer.media_type {
            let _ = response.field("Content-Type", media_type);
        }
        for (name, value) in &answer.fields {
            let _ = response.field(name, value);
        }
        let date = self.date(cx);
        let mut body = response.encode(exchange, Body::Length(answer.body.len() as u64), &date, &mut conn.out);
        body.write(&answer.body, &mut conn.out).expect("the length is that of the body");
        if !body.finish(&mut conn.out).expect("the length is that of the body") {
            conn.mode = Mode::Closing;
        }
    }

    /// Begins an answer that goes on.
    pub(super) fn sockjs_stream(
        &mut self,
        cx: &Cx<'_>,
        conn: &mut Conn,
        head: &RequestHead,
        with_cookie: bool,
        fields: &[(&'static str, &str)],
    ) -> BodyWriter {
        self.tell_answer(conn, Some(head), 200);
        let mut response = self.sockjs_head(200, head, with_cookie).with("Cache-Control", NOT_CACHED);
        // For proxies that would wait for more before they hand it on.
        response = response.with("X-Accel-Buffering", "no");
        for (name, value) in fields {
            let _ = response.field(name, value);
        }
        let date = self.date(cx);
        response.encode(head.exchange(), Body::Stream, &date, &mut conn.out)
    }
}
