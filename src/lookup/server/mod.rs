//! A lookup server: the [`Registry`] over HTTP.
//!
//! ```no_run
//! use gaffer::Manager;
//! use gaffer::lookup::server::{self, Directory};
//! use gaffer::server::Config;
//!
//! let directory = Directory::default();
//! let http = server::bind(Config::default().endpoint("127.0.0.1:5010".parse()?), &directory)?;
//! let mut manager = Manager::new()?;
//! manager.add_app(http);
//! manager.run()?;
//! # Ok::<(), gaffer::Error>(())
//! ```
//!
//! # Routes
//!
//! | route | answer |
//! |---|---|
//! | `GET /` | `{"welcome": "gaffer-lookupd", "version"}` |
//! | `GET /ping` | `OK` |
//! | `GET /healthz` | `{"status": "ok", "registry": {"kind": "memory"}}`; of a registry in etcd, how it fares |
//! | `GET /metrics` | OpenMetrics text: nodes, their jobs and processes, connections, listeners, what was refused, and how the registry fares |
//! | `GET /version` | `{"name": "gaffer-lookupd", "version"}` |
//! | `GET /nodes` | `{"nodes": [{"name", "origin", "version"}]}` |
//! | `GET /sessions`, `/sessions/NODE` | `{"nb_sessions", "sessions": [{"sessionid", "jobs": {"s.j": [source]}}]}` of all nodes, or of those of this name |
//! | `GET /jobs` | `{"nb_jobs", "jobs": [{"name": "s.j", "sources": [source]}]}` |
//! | `GET /findJob?name=s.j` | `{"sources": [source]}`, none for an unknown job |
//! | `GET /findSession?sessionid=s` | as `/jobs`, of one session |
//! | `GET /ws` | the [protocol of nodes](crate::proto::lookup), by websocket |
//! | `/lookup` | SockJS, and `/lookup/websocket` without it: an object for each [event](crate::proto::lookup::Event) |
//!
//! A source is `{"name": NODE, "pids": [N], "node_info": {"name", "origin", "version"}}`. Committed processes are not among the pids: nodes
//! announce those that they keep alive. A node that says nothing for three times 15 s is gone.
//!
//! Servers can share one registry in etcd (feature `etcd`). As long as one does not follow what others write there, its answers
//! have `"stale": true`.
//!
//! Where [`Keys`] are set, `/ws` needs one of those of the nodes, and everything but `/`, `/ping` and `/version` one of those or of the readers: in `X-Api-Key`, or
//! as `Authorization: Bearer`. The way there is [TLS](Config::tls)'s affair.
//!
//! Names of hosts and origins of pages are checked as those of a node are, see [`Config`].

mod doors;
mod events;
mod metrics;
mod node;
mod routes;

use std::collections::BTreeMap;
use std::fmt;
#[cfg(feature = "etcd")]
use std::sync::Condvar;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use doors::{Doors, Keys};
pub use routes::ROUTES;

use doors::Wants;
use serde_json::{Value, json};

#[cfg(feature = "etcd")]
use super::etcd::{Link, Status};
use super::registry::{Limits, NodeId, Registry};
use crate::Result;
use crate::manager::Cx;
use crate::proto::lookup::{Event, MAX_MESSAGE};
use crate::proto::ws;
use crate::server::{Config, HttpServer, SocketAddress, sockjs};

/// Where a lookup server listens by default.
pub const DEFAULT_BIND: &str = "127.0.0.1:5010";

/// The registry that the routes share, and those who listen to its events. Clones are the same one.
#[derive(Clone, Default)]
pub struct Directory(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    /// There is something to share with other servers, or nothing any more.
    #[cfg(feature = "etcd")]
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(in crate::lookup) struct State {
    pub(in crate::lookup) registry: Registry,
    listeners: Vec<SocketAddress>,
    /// Those of nodes.
    sockets: BTreeMap<NodeId, SocketAddress>,
    counts: metrics::Counts,
    /// The way to other servers.
    #[cfg(feature = "etcd")]
    pub(in crate::lookup) link: Option<Link>,
}

impl Directory {
    /// An empty one with these bounds.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let directory = Self::default();
        directory.lock().registry = Registry::new(limits);
        directory
    }

    /// Calls `f` with the registry.
    pub fn read<R>(&self, f: impl FnOnce(&Registry) -> R) -> R {
        f(&self.lock().registry)
    }

    /// Whether answers may lack what other servers know.
    fn is_stale(&self) -> bool {
        #[cfg(feature = "etcd")]
        return self.lock().link.as_ref().is_some_and(Link::is_stale);
        #[cfg(not(feature = "etcd"))]
        false
    }

    /// For `/metrics`.
    fn figures(&self) -> metrics::Figures {
        let state = self.lock();
        metrics::Figures {
            totals: state.registry.totals(),
            listeners: state.listeners.len(),
            counts: state.counts.clone(),
            #[cfg(feature = "etcd")]
            registry: state.link.as_ref().map(Link::status),
        }
    }

    /// Where the registry is, and how that fares.
    fn health(&self) -> Value {
        #[cfg(feature = "etcd")]
        if let Some(status) = self.status() {
            return status.to_json();
        }
        json!({"kind": "memory"})
    }

    /// Whether it knows nothing yet of what other servers know.
    fn is_blank(&self) -> bool {
        #[cfg(feature = "etcd")]
        return self.lock().link.as_ref().is_some_and(Link::is_blank);
        #[cfg(not(feature = "etcd"))]
        false
    }

    /// How the registry is shared with other servers; `None` if it is not.
    #[cfg(feature = "etcd")]
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.lock().link.as_ref().map(Link::status)
    }

    /// Calls `f` with all there is and a list for events, and tells those to the listeners. What nodes have told goes to other servers.
    pub(in crate::lookup) fn change<R>(&self, cx: &mut Cx<'_>, f: impl FnOnce(&mut State, &mut Vec<Event>) -> R) -> R {
        let mut events = Vec::new();
        let mut state = self.lock();
        let answer = f(&mut state, &mut events);
        for event in events.iter().filter(|_| !state.listeners.is_empty()) {
            let text: Arc<str> = event.to_json().to_string().into();
            for listener in &state.listeners {
                listener.send(cx, Arc::clone(&text));
            }
        }
        #[cfg(feature = "etcd")]
        if let State { link: Some(link), registry, .. } = &mut *state {
            let changes = registry.take_changes();
            if !changes.is_empty() {
                link.offer(changes);
                self.0.changed.notify_all();
            }
        }
        answer
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Only the loop's thread writes, and a handler that panicked has closed its connection.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "etcd")]
impl Directory {
    /// What nodes tell goes this way from now on.
    pub(in crate::lookup) fn share(&self, link: Link) {
        let mut state = self.lock();
        state.registry.keep_changes();
        state.link = Some(link);
    }

    pub(in crate::lookup) fn state(&self) -> MutexGuard<'_, State> {
        self.lock()
    }

    pub(in crate::lookup) fn changed(&self) -> &Condvar {
        &self.0.changed
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Directory")
            .field("nodes", &state.registry.nodes().count())
            .field("listeners", &state.listeners.len())
            .finish()
    }
}

/// A lookup server at the endpoints of the configuration; its websockets take messages of up to 64 KiB.
///
/// # Errors
///
/// As for [`HttpServer::bind`].
pub fn bind(config: Config, directory: &Directory) -> Result<HttpServer> {
    bind_guarded(config, directory, &Doors::default())
}

/// The same for those alone who have a key for what they want.
///
/// # Errors
///
/// As for [`HttpServer::bind`].
pub fn bind_guarded(config: Config, directory: &Directory, doors: &Doors) -> Result<HttpServer> {
    let limits = ws::Limits::default().max_frame(MAX_MESSAGE).max_message(MAX_MESSAGE);
    let mut server = HttpServer::bind(config.websocket(limits))?;
    server.provide(directory.clone());
    server.provide(doors.clone());
    server.routes(ROUTES)?;
    let (directory, keys) = (directory.clone(), doors.clone());
    server.sockjs("/lookup", sockjs::Config::default(), move |request| {
        events::listener(directory.clone(), keys.admit(&request.head, Wants::Read).ok())
    })?;
    let doors = doors.clone();
    server.screen(move |head, _| match doors::is_open(head.path()) {
        true => Ok(()),
        false => doors.admit(head, Wants::Read).map(drop),
    });
    Ok(server)
}
