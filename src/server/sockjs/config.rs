//! The settings of a service.

use std::time::Duration;

use crate::proto::sockjs::Settings;
use crate::{Error, ErrorKind, Result};

/// The settings of one SockJS service. Bytes that may wait for a client are bounded by [`Config::unsent`](field@crate::server::Config::unsent) of the
/// server; a session beyond it is closed with 1008 "Too far behind".
///
/// ```
/// use gaffer::server::sockjs::Config;
/// use std::time::Duration;
///
/// let config = Config::default().heartbeat(Duration::from_secs(10)).websocket(false);
/// assert_eq!(config.disconnect_delay, Duration::from_secs(5));
/// assert_eq!(config.response_limit, 128 << 10);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How long the way to a client is silent before it gets a sign of life; more than nothing. Default: 25 s.
    pub heartbeat: Duration,
    /// How long a session that no request carries is kept; more than nothing. Default: 5 s.
    pub disconnect_delay: Duration,
    /// Bytes after which a streaming response is ended, and the client asks again. Default: 128 KiB.
    pub response_limit: usize,
    /// Bytes that the content of one sending request may have; beyond it 413. Default: the server's limit (1 MiB).
    pub body_limit: Option<usize>,
    /// Sessions that may be at a time, those on websockets (which count as connections) apart; beyond it 503. Default: 1024.
    pub max_sessions: usize,
    /// Whether there are websockets, plain ones too; if not, they are 404, and clients use something else. Default: true.
    pub websocket: bool,
    /// Whether each answer of a session sets the cookie `JSESSIONID` (to what the client has, or to `dummy`), by which some balancers know which machine a session is on. Default: true, as
    /// the original had it.
    pub cookie: bool,
    /// Where the iframe page gets the client's script, a URL or an absolute path. It must be the version that the embedding page uses, and it runs with the rights
    /// of this server's own pages. Default: 1.6.1 at jsdelivr.net.
    pub client_url: String,
}

impl Default for Config {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            heartbeat: settings.heartbeat,
            disconnect_delay: settings.disconnect_delay,
            response_limit: settings.response_limit,
            body_limit: None,
            max_sessions: 1024,
            websocket: true,
            cookie: true,
            client_url: "https://cdn.jsdelivr.net/npm/sockjs-client@1.6.1/dist/sockjs.min.js".to_owned(),
        }
    }
}

impl Config {
    pub(super) fn check(&self) -> Result<()> {
        let invalid = |why: String| Err(Error::new(ErrorKind::Invalid, format!("sockjs: {why}")));
        for (name, duration) in [("heartbeat", self.heartbeat), ("disconnect_delay", self.disconnect_delay)] {
            if duration.is_zero() {
                return invalid(format!("{name} must be more than nothing"));
            }
        }
        let url = &self.client_url;
        let good = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'<' | b'>' | b'&');
        let absolute = ["http://", "https://", "/"].into_iter().any(|start| url.starts_with(start));
        if !absolute || !url.bytes().all(good) {
            return invalid(format!("client_url '{url}' is neither a URL nor an absolute path"));
        }
        Ok(())
    }

    pub(super) fn settings(&self, unsent: usize) -> Settings {
        Settings {
            heartbeat: self.heartbeat,
            disconnect_delay: self.disconnect_delay,
            response_limit: self.response_limit,
            unsent,
        }
    }

    /// Sets [`client_url`](field@Self::client_url).
    #[must_use]
    pub fn client_url(mut self, url: impl Into<String>) -> Self {
        self.client_url = url.into();
        self
    }

    /// Sets [`body_limit`](field@Self::body_limit).
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = Some(bytes);
        self
    }
}

setters! {
    Config {
        heartbeat: Duration,
        disconnect_delay: Duration,
        response_limit: usize,
        max_sessions: usize,
        websocket: bool,
        cookie: bool,
    }
}
