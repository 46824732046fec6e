//! Requests and answers.

use std::io;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use ureq::Agent;
use ureq::config::Config;
use ureq::http::{Method, Request, Response};
#[cfg(feature = "tls")]
use ureq::unversioned::transport::Connector as _;
use ureq::unversioned::transport::TcpConnector;

use super::address::Address;
use super::answer;
use super::unix::{NoResolver, PlainResolver, UnixConnector};
#[cfg(feature = "tls")]
use crate::tls::TlsConnector;
use crate::{Error, ErrorKind, Result};

/// The longest answer that is read; a node with 10 000 jobs needs some 2 MiB.
const MAX_ANSWER: u64 = 64 << 20;

/// The way to a node.
#[derive(Clone, Debug)]
pub(super) struct Http {
    agent: Agent,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::Client>,
    pub(super) address: Address,
    pub(super) api_key: Option<String>,
    /// Name and password, encoded.
    basic: Option<String>,
    pub(super) timeout: Duration,
    pub(super) heartbeat: Duration,
}

/// The content of a request.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    None,
    Json(&'a Value),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl Http {
    pub(super) fn new(address: Address) -> Self {
        let agent = match &address {
            #[cfg(feature = "tls")]
            Address::Http(_) => tls_agent(TlsConnector::default()),
            #[cfg(not(feature = "tls"))]
            Address::Http(_) => Agent::with_parts(config(), TcpConnector::default(), PlainResolver),
            Address::Unix(path) => Agent::with_parts(config(), UnixConnector(path.clone()), NoResolver),
        };
        let (timeout, heartbeat) = (Duration::from_secs(10), Duration::from_secs(20));
        Self {
            agent,
            #[cfg(feature = "tls")]
            tls: None,
            address,
            api_key: None,
            basic: None,
            timeout,
            heartbeat,
        }
    }

    #[cfg(feature = "tls")]
    pub(super) fn set_tls(&mut self, tls: crate::tls::Client) {
        if self.address.is_tls() {
            self.agent = tls_agent(tls.clone().into());
            self.tls = Some(tls);
        }
    }

    /// What was given, or what the system has.
    #[cfg(feature = "tls")]
    pub(super) fn tls(&self) -> Result<crate::tls::Client> {
        self.tls.clone().map_or_else(|| crate::tls::Client::load(&crate::tls::Files::default()), Ok)
    }

    /// When an answer to what is asked now is late; a time-out of more than a year is one of a year.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout.min(Duration::from_secs(365 * 86_400))
    }

    pub(super) fn get(&self, path: &str) -> Result<Value> {
        self.json(Method::GET, path, Content::None)
    }

    pub(super) fn post(&self, path: &str, content: Content<'_>) -> Result<Value> {
        self.json(Method::POST, path, content)
    }

    pub(super) fn put(&self, path: &str, content: &Value) -> Result<Value> {
        self.json(Method::PUT, path, Content::Json(content))
    }

    pub(super) fn delete(&self, path: &str) -> Result<Value> {
        self.json(Method::DELETE, path, Content::None)
    }

    /// The content of a good answer, as text.
    pub(super) fn text(&self, path: &str) -> Result<String> {
        let bytes = self.call(Method::GET, path, Content::None)?;
        String::from_utf8(bytes).map_err(|_| self.strange(path, "text"))
    }

    /// A request with a name and a password (RFC 7617) instead of the key.
    pub(super) fn login(&self, method: Method, path: &str, name: &str, password: &str) -> Result<Value> {
        let mut http = self.clone();
        http.api_key = None;
        http.basic = Some(STANDARD.encode(format!("{name}:{password}")));
        http.json(method, path, Content::None)
    }

    fn json(&self, method: Method, path: &str, content: Content<'_>) -> Result<Value> {
        let bytes = self.call(method, path, content)?;
        serde_json::from_slice(&bytes).map_err(|_| self.strange(path, "JSON"))
    }

    /// The error for an answer that no node gives.
    pub(super) fn strange(&self, path: &str, expected: &str) -> Error {
        let what = format!("{}{path}: the answer is not the {expected} of a gaffer node", self.address);
        Error::new(ErrorKind::Invalid, what)
    }

    fn call(&self, method: Method, path: &str, content: Content<'_>) -> Result<Vec<u8>> {
        let response = self.send(method, path, content, None)?;
        let status = response.status().as_u16();
        let body =
            response.into_body().into_with_config().limit(MAX_ANSWER).read_to_vec().map_err(|e| self.failed(e))?;
        if (200..300).contains(&status) { Ok(body) } else { Err(answer::refusal(status, path, &body)) }
    }

    /// Opens a feed. Each read of it fails after `silence`, if that is given.
    pub(super) fn feed(
        &self,
        path: &str,
        last_id: &str,
        silence: Option<Duration>,
    ) -> Result<ureq::BodyReader<'static>> {
        let feed = Feed { last_id, silence };
        let response = self.send(Method::GET, path, Content::None, Some(feed))?;
        let status = response.status().as_u16();
        let body = response.into_body().into_with_config();
        if (200..300).contains(&status) {
            return Ok(body.limit(u64::MAX).reader());
        }
        let body = body.limit(MAX_ANSWER).read_to_vec().map_err(|e| self.failed(e))?;
        Err(answer::refusal(status, path, &body))
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        content: Content<'_>,
        feed: Option<Feed<'_>>,
    ) -> Result<Response<ureq::Body>> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.address.base()));
        if let Some(key) = &self.api_key {
            request = request.header("X-Api-Key", key);
        }
        if let Some(basic) = &self.basic {
            request = request.header("Authorization", format!("Basic {basic}"));
        }
        if let Some(feed) = feed.as_ref().filter(|feed| !feed.last_id.is_empty()) {
            request = request.header("Last-Event-ID", feed.last_id);
        }
        let (media_type, bytes) = match content {
            Content::None => ("", Vec::new()),
            Content::Json(value) => ("application/json", value.to_string().into_bytes()),
            Content::Text(text) => ("text/plain; charset=utf-8", text.as_bytes().to_vec()),
            Content::Bytes(bytes) => ("application/octet-stream", bytes.to_vec()),
        };
        if !media_type.is_empty() {
            request = request.header("Content-Type", media_type);
        }
        let needs_body = request.method_ref().is_some_and(|method| [Method::POST, Method::PUT].contains(method));
        let sent = if needs_body { self.run(request.body(bytes), feed) } else { self.run(request.body(()), feed) };
        sent?.map_err(|e| self.failed(e))
    }

    fn run<B: ureq::AsSendBody>(
        &self,
        request: ureq::http::Result<Request<B>>,
        feed: Option<Feed<'_>>,
    ) -> Result<Result<Response<ureq::Body>, ureq::Error>> {
        // The address was checked and paths are encoded; what is left is the key.
        let request = request.map_err(|e| {
            Error::new(ErrorKind::Invalid, format!("the request cannot be sent ({e}); is the API key right?"))
        })?;
        let scope = self.agent.configure_request(request);
        let request = match feed {
            None => scope.timeout_global(Some(self.timeout)).build(),
            Some(feed) => scope
                .timeout_connect(Some(self.timeout))
                .timeout_send_request(Some(self.timeout))
                .timeout_recv_response(Some(self.timeout))
                .timeout_per_read(feed.silence)
                .build(),
        };
        Ok(self.agent.run(request))
    }

    /// What has happened to a request that got no answer.
    fn failed(&self, error: ureq::Error) -> Error {
        let unreachable =
            |why: String| Error::new(ErrorKind::Unreachable, format!("cannot reach {}: {why}", self.address));
        match error {
            ureq::Error::Timeout(_) => self.timed_out(),
            ureq::Error::HostNotFound => unreachable("the host is not known".to_owned()),
            ureq::Error::Io(e) => self.broken(e),
            ureq::Error::BodyExceedsLimit(limit) => {
                Error::new(ErrorKind::Invalid, format!("{}: an answer of more than {limit} bytes", self.address))
            }
            ureq::Error::Protocol(e) => {
                Error::new(ErrorKind::Invalid, format!("{}: not an HTTP server? {e}", self.address))
            }
            other => unreachable(other.to_string()),
        }
    }

    /// What has happened to a connection.
    pub(super) fn broken(&self, error: io::Error) -> Error {
        match error.kind() {
            _ if is_timeout(&error) => self.timed_out(),
            // Of a socket's file.
            io::ErrorKind::PermissionDenied => Error::io(format!("cannot connect to {}", self.address), error),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                let what = format!("{} has closed the connection", self.address);
                Error::new(ErrorKind::Unreachable, what)
            }
            _ => Error::new(ErrorKind::Unreachable, format!("cannot reach {}: {}", self.address, words(&error))),
        }
    }

    pub(super) fn timed_out(&self) -> Error {
        let what = format!("{} has not answered within {} s", self.address, self.timeout.as_secs_f64());
        Error::new(ErrorKind::TimedOut, what)
    }
}

/// Whether a read took too long. The body's reader has ureq's own error inside of the system's.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    matches!(inner, Some(ureq::Error::Timeout(_))) || error.kind() == io::ErrorKind::TimedOut
}

/// A proxy of the environment is for the web, not for a node; a redirection would be none of a node's.
fn config() -> Config {
    Config::builder()
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(concat!("gaffer/", env!("CARGO_PKG_VERSION")))
        .build()
}

#[cfg(feature = "tls")]
fn tls_agent(tls: TlsConnector) -> Agent {
    Agent::with_parts(config(), TcpConnector::default().chain(tls), PlainResolver)
}

/// The system's words without its number, or what TLS has against the other side.
fn words(error: &io::Error) -> String {
    #[cfg(feature = "tls")]
    if let Some(words) = crate::tls::explain(error) {
        return words;
    }
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// What sets a feed's request apart.
struct Feed<'a> {
    last_id: &'a str,
    silence: Option<Duration>,
}
