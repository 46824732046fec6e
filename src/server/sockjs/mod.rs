//! [SockJS](crate::proto::sockjs) as a service of the server: a prefix and a handler.
//!
//! [`HttpServer::sockjs`](super::HttpServer::sockjs) puts one under a prefix. Its handler is a [`Socket`], the same that could be served over a websocket: it learns
//! of no transport, its mail reaches it whether a request carries the session or none, and what it sends then waits.
//!
//! | below the prefix | |
//! |---|---|
//! | `/` | a greeting |
//! | `/info` | what the service can |
//! | `/iframe*.html` | the page by which pages of other origins use transports that know only their own |
//! | `/chunking_test` | pieces of a response, with pauses |
//! | `/websocket` | the handler over a plain websocket, without frames of SockJS |
//! | `/SERVER/SESSION/TRANSPORT` | `websocket xhr xhr_streaming xhr_send eventsource htmlfile jsonp jsonp_send` |
//!
//! # Who may use it
//!
//! All but the greeting and the iframe page is refused (403) to pages of an origin that is not [allowed](super::Config::allow_origins). Scripts, frames and forms of other
//! origins name no `Origin` when they read; for them `Referer` counts, and what says by `Sec-Fetch-Site` that it is of another site and does not say which is refused too.
//! The iframe page acts for whoever embeds it, with the rights of our own origin, so it tells browsers whom that may be (`frame-ancestors`). Allowed origins are echoed,
//! with credentials, as the protocol demands.
//!
//! A session belongs to who knows its name, which its client has drawn at random. That requests of one session come from one address is not asked for:
//! it would cut clients behind several proxies, and on this machine all addresses are one.
//!
//! # Where it differs from the protocol's text
//!
//! Websockets are those of RFC 6455 only, not the drafts before it. What a handler has sent before it closed a session is still delivered. The origin `null` and
//! requests without an origin get no wildcard with credentials, which browsers refuse anyway.

mod access;
mod answer;
mod config;
mod openapi;
mod path;
mod requests;
mod sessions;
mod websocket;

pub use config::Config;

pub(super) use requests::Held;
pub(super) use sessions::Live;
pub(super) use websocket::Framed;

use std::collections::HashMap;
use std::fmt;

use super::call::{Request, Socket};
use crate::proto::h1::percent_decode;
use crate::{Error, ErrorKind, Result};

/// Makes the handler of a new session.
type Factory = Box<dyn FnMut(&Request) -> Box<dyn Socket> + Send>;

/// One service.
struct Service {
    /// `/channel`.
    prefix: String,
    config: Config,
    factory: Factory,
}

/// All services of a server, and their sessions.
#[derive(Default)]
pub(super) struct Services {
    services: Vec<Service>,
    sessions: HashMap<u64, Live>,
    /// By service and name.
    names: HashMap<(usize, String), u64>,
    last: u64,
}

impl Services {
    pub(super) fn add(&mut self, prefix: &str, config: Config, factory: Factory) -> Result<()> {
        let invalid = |why: &str| Err(Error::new(ErrorKind::Invalid, format!("sockjs prefix '{prefix}': {why}")));
        let Some(rest) = prefix.strip_prefix('/') else { return invalid("it must start with a slash") };
        let plain = |segment: &str| {
            !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        if !rest.split('/').all(plain) {
            return invalid("its segments must be of letters, digits, '_', '-' and '.'");
        }
        config.check()?;
        if self.services.iter().any(|service| service.prefix == prefix) {
            return Err(Error::new(ErrorKind::Conflict, format!("sockjs prefix '{prefix}': it is served already")));
        }
        self.services.push(Service { prefix: prefix.to_owned(), config, factory });
        Ok(())
    }

    /// The service of a path, still percent-encoded, and what follows its prefix.
    fn find<'a>(&self, path: &'a str) -> Option<(usize, &'a str)> {
        let start = path.as_bytes().get(1).copied()?;
        self.services.iter().enumerate().find_map(|(index, service)| {
            // Nearly all requests are for something else, which mostly shows at once.
            if start != service.prefix.as_bytes()[1] && start != b'%' {
                return None;
            }
            let mut rest = path;
            for wanted in service.prefix[1..].split('/') {
                let after = rest.strip_prefix('/')?;
                let end = after.find('/').unwrap_or(after.len());
                if percent_decode(&after[..end]).ok()? != wanted {
                    return None;
                }
                rest = &after[end..];
            }
            Some((index, rest))
        })
    }

    /// The bytes a request's content may have, if a service answers it; `None` in it is the server's limit.
    pub(super) fn body_limit(&self, path: &str) -> Option<Option<usize>> {
        self.find(path).map(|(service, _)| self.services[service].config.body_limit)
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefixes: Vec<_> = self.services.iter().map(|service| &service.prefix).collect();
        f.debug_struct("Services").field("prefixes", &prefixes).field("sessions", &self.sessions.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Deaf;

    impl Socket for Deaf {
        fn message(
            &mut self,
            _: &mut crate::manager::Cx<'_>,
            _: super::super::Message,
            _: &mut super::super::SocketOut<'_>,
        ) {
        }
    }

    #[test]
    fn prefixes_are_whole_segments() {
        let mut services = Services::default();
        for prefix in ["/channel", "/a/b"] {
            services.add(prefix, Config::default(), Box::new(|_| Box::new(Deaf))).expect(prefix);
        }
        for (path, want) in [
            ("/channel", Some((0, ""))),
            ("/channel/", Some((0, "/"))),
            ("/%63hannel/x/y", Some((0, "/x/y"))),
            ("/channel//", Some((0, "//"))),
            ("/a/b/info", Some((1, "/info"))),
            ("/channels", None),
            ("/chan", None),
            ("/a", None),
            ("/1/channel", None),
            ("*", None),
        ] {
            assert_eq!(services.find(path), want, "{path}");
        }
    }

    #[test]
    fn bad_services_are_refused() {
        let mut services = Services::default();
        let mut add = |prefix: &str, config: Config| {
            services.add(prefix, config, Box::new(|_| Box::new(Deaf))).map_err(|e| e.kind())
        };
        assert_eq!(add("/x", Config::default()), Ok(()));
        assert_eq!(add("/x", Config::default()), Err(ErrorKind::Conflict));
        for prefix in ["x", "/", "/x/", "//x", "/:x", "/*x", "/x y", ""] {
            assert_eq!(add(prefix, Config::default()), Err(ErrorKind::Invalid), "{prefix}");
        }
        let zero = std::time::Duration::ZERO;
        assert_eq!(add("/y", Config::default().heartbeat(zero)), Err(ErrorKind::Invalid));
        assert_eq!(add("/y", Config::default().disconnect_delay(zero)), Err(ErrorKind::Invalid));
        assert_eq!(add("/y", Config::default().client_url("x\"><script>")), Err(ErrorKind::Invalid));
    }
}
