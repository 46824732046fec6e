//! From a request below a prefix to its answer.

use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde_json::json;

use super::access::{ancestors, check};
use super::answer::Answer;
use super::path::{Place, Transport};
use super::websocket;
use crate::manager::Cx;
use crate::proto::h1::{BodyWriter, EntityTag, Method, Query, RequestHead, if_none_match, is_media_type};
use crate::proto::sockjs::{Callback, ChunkingTest, Framing, ParseError, parse_messages};
use crate::server::HttpServer;
use crate::server::call::{Refusal, Request, Socket};
use crate::server::conn::{Conn, Mode};

const GREETING: &str = "Welcome to SockJS!\n";

const NO_CALLBACK: &str = "\"callback\" parameter required";
const BAD_CALLBACK: &str = "invalid \"callback\" parameter";

/// The page of iframe transports, before and after the URL of the script.
const IFRAME: [&str; 2] = [
    r#"<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script>
    document.domain = document.domain;
    _sockjs_onload = function(){SockJS.bootstrap_iframe();};
  </script>
  <script src=""#,
    r#""></script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>
"#,
];

/// A response that is open.
pub(in crate::server) struct Held {
    /// `None` once it has ended.
    pub(super) writer: Option<BodyWriter>,
    pub(super) what: Carried,
}

/// What it carries.
pub(super) enum Carried {
    /// The session of this number.
    Session(u64),
    Chunking(ChunkingTest),
}

impl Held {
    /// Appends a piece of the content.
    pub(super) fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if let Some(writer) = &mut self.writer {
            // It has no length that could be exceeded.
            let _ = writer.write(bytes, out);
        }
    }

    /// The pause before the next piece; a session has a clock of its own.
    pub(in crate::server) fn pause(&self) -> Option<Duration> {
        match &self.what {
            Carried::Session(_) => None,
            Carried::Chunking(test) => test.pause(),
        }
    }
}

impl HttpServer {
    /// Answers a request that is for a service; false if it is for none.
    pub(in crate::server) fn sockjs_request(&mut self, cx: &mut Cx<'_>, conn: &mut Conn, request: &Request) -> bool {
        let Some((service, rest)) = self.sockjs.find(request.head.path()) else { return false };
        let place = Place::parse(rest);
        let cookie = matches!(place, Some(Place::Session(..))) && self.sockjs.services[service].config.cookie;
        let answer = match self.sockjs_place(cx, conn, service, place, request) {
            Ok(Some(answer)) => answer,
            Ok(None) => return true,
            Err(refusal) => refusal.into(),
        };
        let exchange = request.head.exchange();
        self.sockjs_answer(cx, conn, (&request.head, exchange), cookie, answer);
        true
    }

    /// The answer; `None` if the connection has become something that goes on.
    fn sockjs_place(
        &mut self,
        cx: &mut Cx<'_>,
        conn: &mut Conn,
        service: usize,
        place: Option<Place>,
        request: &Request,
    ) -> Result<Option<Answer>, Refusal> {
        let head = &request.head;
        self.check_access(conn, head)?;
        if let Some(guard) = &self.guard {
            // Without a key the handler asks; with one that is not known there is nothing to ask.
            guard.who(head, &conn.peer)?;
        }
        let place = place.ok_or_else(|| Refusal::not_found(format!("there is nothing at {}", head.path())))?;
        if !matches!(place, Place::Greeting | Place::Iframe) {
            check(&self.access, head)?;
        }
        let method = place.method();
        match head.method() {
            Method::Options => return Ok(Some(Answer::options(method))),
            // A session must not begin with a HEAD, and there is nothing else to say of it.
            Method::Head if method == Method::Get && matches!(place, Place::Session(..)) => {
                return Ok(Some(Answer::empty(200).not_cached()));
            }
            Method::Head if method == Method::Get => {}
            asked if asked == method => {}
            _ => return Ok(Some(Answer::empty(405).field("Allow", format!("OPTIONS, {method}")))),
        }
        match place {
            Place::Greeting => Ok(Some(Answer::text(200, GREETING))),
            Place::Info => Ok(Some(self.sockjs_info(service))),
            Place::Iframe => Ok(Some(self.sockjs_iframe(service, head))),
            Place::ChunkingTest => {
                self.sockjs_chunking(cx, conn, head);
                Ok(None)
            }
            Place::RawWebSocket => self.sockjs_websocket(cx, conn, service, request, None),
            Place::Session(name, transport) => self.sockjs_session(cx, conn, service, (name, transport), request),
        }
    }

    fn sockjs_info(&self, service: usize) -> Answer {
        let config = &self.sockjs.services[service].config;
        // SipHash with a key from the system: nobody can tell the next from those before.
        let entropy = RandomState::new().hash_one(self.counters.requests) as u32;
        let info = json!({
            "websocket": config.websocket,
            "cookie_needed": config.cookie,
            // The protocol's constant, which no client looks at.
            "origins": ["*:*"],
            "entropy": entropy,
        });
        Answer::new(200, "application/json; charset=UTF-8", info.to_string()).not_cached()
    }

    fn sockjs_iframe(&self, service: usize, head: &RequestHead) -> Answer {
        let page = IFRAME.join(&self.sockjs.services[service].config.client_url);
        let tag = EntityTag::of(page.as_bytes());
        let tag = tag.as_str();
        let same = !if_none_match(head.headers().all("if-none-match"), Some(tag));
        let answer = if same { Answer::empty(304) } else { Answer::new(200, "text/html; charset=UTF-8", page) };
        let answer = answer.cached().field("ETag", tag);
        match ancestors(&self.access) {
            Some(policy) => answer.field("Content-Security-Policy", policy),
            None => answer,
        }
    }

    fn sockjs_chunking(&mut self, cx: &Cx<'_>, conn: &mut Conn, head: &RequestHead) {
        let fields = [("Content-Type", "application/javascript; charset=UTF-8")];
        let writer = self.sockjs_stream(cx, conn, head, false, &fields);
        let what = Carried::Chunking(ChunkingTest::default());
        conn.mode = Mode::Sockjs(Box::new(Held { writer: Some(writer), what }));
        Self::sockjs_next_chunk(conn);
    }

    /// The pause of a chunking test is over.
    pub(in crate::server) fn sockjs_next_chunk(conn: &mut Conn) {
        let Mode::Sockjs(held) = &mut conn.mode else { return };
        let Carried::Chunking(test) = &mut held.what else { return };
        let mut piece = Vec::new();
        test.write(&mut piece);
        let over = test.pause().is_none();
        held.write(&piece, &mut conn.out);
        if over {
            Self::sockjs_finish(conn);
        }
    }

    /// Ends the response; the connection takes up its next request.
    pub(super) fn sockjs_finish(conn: &mut Conn) {
        let Mode::Sockjs(held) = mem::replace(&mut conn.mode, Mode::Http) else { return };
        let keep_alive = held.writer.is_some_and(|writer| writer.finish(&mut conn.out).unwrap_or(false));
        if !keep_alive {
            conn.mode = Mode::Closing;
        }
    }

    fn sockjs_websocket(
        &mut self,
        cx: &mut Cx<'_>,
        conn: &mut Conn,
        service: usize,
        request: &Request,
        heartbeat: Option<Duration>,
    ) -> Result<Option<Answer>, Refusal> {
        if !self.sockjs.services[service].config.websocket {
            return Err(Refusal::not_found("websockets are switched off here"));
        }
        // The plain one is no matter of the protocol, so what is wrong with it is said as everywhere.
        if let (Some(_), Err(words)) = (heartbeat, websocket::check(&request.head)) {
            return Ok(Some(Answer::text(400, words)));
        }
        let socket = self.sockjs_handler(service, request)?;
        self.upgrade(cx, conn, &request.head, socket, heartbeat).map(|()| None)
    }

    pub(super) fn sockjs_handler(&mut self, service: usize, request: &Request) -> Result<Box<dyn Socket>, Refusal> {
        let factory = &mut self.sockjs.services[service].factory;
        catch_unwind(AssertUnwindSafe(|| factory(request)))
            .map_err(|_| Refusal::new(500, "internal_error", "the maker of handlers panicked"))
    }

    fn sockjs_session(
        &mut self,
        cx: &mut Cx<'_>,
        conn: &mut Conn,
        service: usize,
        (name, transport): (String, Transport),
        request: &Request,
    ) -> Result<Option<Answer>, Refusal> {
        let head = &request.head;
        let framing = match transport {
            Transport::WebSocket => {
                let heartbeat = self.sockjs.services[service].config.heartbeat;
                return self.sockjs_websocket(cx, conn, service, request, Some(heartbeat));
            }
            Transport::XhrSend | Transport::JsonpSend => {
                let messages = match payload(request, transport == Transport::JsonpSend) {
                    Ok(messages) => messages,
                    Err(e) => return Ok(Some(Answer::text(500, &e.to_string()).not_cached())),
                };
                if !self.sockjs_receive(cx, service, name, messages) {
                    return Err(Refusal::not_found("there is no such session"));
                }
                // Konqueror did strange things on a 204; Firefox took an answer without a type for XML.
                let answer = match transport {
                    Transport::JsonpSend => Answer::text(200, "ok"),
                    _ => Answer::text(204, ""),
                };
                return Ok(Some(answer.not_cached()));
            }
            Transport::Xhr => Framing::Xhr,
            Transport::XhrStreaming => Framing::XhrStreaming,
            Transport::EventSource => Framing::EventSource,
            Transport::HtmlFile | Transport::Jsonp => {
                let query = Query::parse(head.query().unwrap_or(""))?;
                let refused = |words| Ok(Some(Answer::text(500, words).not_cached()));
                let Some(callback) = query.get("c").filter(|name| !name.is_empty()) else {
                    return refused(NO_CALLBACK);
                };
                let Some(callback) = Callback::new(callback) else { return refused(BAD_CALLBACK) };
                if transport == Transport::Jsonp { Framing::Jsonp(callback) } else { Framing::HtmlFile(callback) }
            }
        };
        self.sockjs_attach(cx, conn, service, (name, framing), request)?;
        Ok(None)
    }
}

/// The messages in the content of a request. A form has them in `d`.
fn payload(request: &Request, may_be_form: bool) -> Result<Vec<String>, ParseError> {
    let is_form = |value: &[u8]| is_media_type(value, "application/x-www-form-urlencoded");
    if !may_be_form || !request.head.headers().get("content-type").is_some_and(is_form) {
        return parse_messages(&request.body);
    }
    let form = std::str::from_utf8(&request.body).map_err(|_| ParseError::Broken)?;
    let form = Query::parse(form).map_err(|_| ParseError::Broken)?;
    parse_messages(form.get("d").unwrap_or("").as_bytes())
}
