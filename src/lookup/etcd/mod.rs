//! Lookup servers that share what they know, through an etcd cluster (3.4 or newer, by its JSON gateway).
//!
//! ```no_run
//! use gaffer::Manager;
//! use gaffer::lookup::etcd::{Etcd, Settings};
//! use gaffer::lookup::server::{self, Directory};
//! use gaffer::server::Config;
//!
//! let directory = Directory::default();
//! let http = server::bind(Config::default().endpoint("127.0.0.1:5010".parse()?), &directory)?;
//! let mut manager = Manager::new()?;
//! manager.add_app(http);
//! let settings: Settings = "etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379".parse()?;
//! // After the server: at the end it goes first, and leaves what is registered as it is.
//! let handle = manager.handle();
//! manager.add_app(Etcd::new(settings, &directory, handle, |notice| eprintln!("{notice}")));
//! manager.run()?;
//! # Ok::<(), gaffer::Error>(())
//! ```
//!
//! Each server writes what the nodes that are connected to it tell, and reads what the others have written; it answers for all, and tells its listeners
//! what changes anywhere. Nodes may be connected to one of the servers, or to several.
//!
//! # Layout
//!
//! | key | value |
//! |---|---|
//! | `PREFIX/1/nodes/NODE/LEASE.N` | `{"name", "origin", "version"}`: a registration |
//! | `PREFIX/1/nodes/NODE/LEASE.N/jobs/SESSION.LABEL` | `{"job"}`: it has this job |
//! | `PREFIX/1/nodes/NODE/LEASE.N/jobs/SESSION.LABEL/PID` | `{"job", "pid"}`: that job has this process |
//!
//! `PREFIX` is `/gaffer/lookup` unless the URL says otherwise. `NODE` is `name@origin`, with `%XX` for bytes other than letters, digits and `._~:@+-[]`. `LEASE` is
//! the lease of the server that the node is connected to, in 16 hexadecimal digits, and `N` the number of the connection there. All keys of a server have
//! its lease.
//!
//! A registration is of one connection, and only one server writes its keys. A node that is connected to several servers is registered several times; whoever
//! reads takes all registrations of a name and an origin as one node, which has what any of them says. So one of its servers can die, and its
//! keys with it, while nothing changes for those who ask or listen; with keys that servers shared, the death of one would take away what the others still
//! know, and each would need to know when the last one is gone.
//!
//! # Leases
//!
//! A server has one lease for all it writes, with a [time to live](Settings::ttl) of 15 s, and keeps it three times as often: a thousand nodes are one request in 5 s,
//! not a thousand. A lease for each node would tell no more: when a connection ends, or its node misses its pings, the server deletes that
//! registration at once. What a server that was killed has left ends with its lease. That has a node enough time to be connected again somewhere, and then it was
//! never missing. A server that is *stopped* leaves its keys to their lease as well, for the same reason.
//!
//! Where it is not certain what has become of a write, the server takes a new lease, writes all that it knows under that one, and revokes the old one then: late
//! effects of old writes are under the old lease and go with it. It does the same when more changes have waited than [may](Settings::queue), when the lease was lost,
//! and, once in a time to live at most, when somebody else has deleted its keys.
//!
//! # When etcd is away
//!
//! Answers never wait for etcd: they come from memory, and what nodes tell a server it knows at once. Members are tried in turn; if none answers, again and again after
//! a pause as [announcers](super::announcer) make it. A server that has just started answers 503 until it has read all keys once, or found that etcd is away. Answers that may be stale have `"stale": true`, and `/healthz` shows the [`Status`].
//! Reading goes on at the revision after the last one that was read. If etcd does not have it any more, or was put back from a copy, all keys are read again, and
//! listeners are told what the difference is; the same is done every [10 min](Settings::reread), in case that something was missed.
//!
//! etcd compacts its history only if it is told to: run it with `--auto-compaction-retention=1h`.
//!
//! # Users
//!
//! Where etcd asks for users, a server shows [a name and a password](Settings::login) and gets a token for them, which it shows with each request. When that has ended, or
//! users were changed, it gets another one; a password that is refused then is [read again](Etcd::password). The user needs to read and write the keys of the prefix:
//!
//! ```text
//! etcdctl role add lookup
//! etcdctl role grant-permission lookup readwrite --prefix=true /gaffer/lookup/
//! etcdctl user add lookup && etcdctl user grant-role lookup lookup
//! ```
//!
//! # Threads
//!
//! One writes, one reads, since a stream of changes blocks. What was read is handed to the manager's loop; where that does not keep up, reading waits.

mod api;
mod gateway;
mod keys;
mod link;
mod replica;
mod settings;
mod watcher;
mod writer;

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub(in crate::lookup) use link::Link;
pub use link::Status;
pub use settings::{Login, Settings};

use api::KeyEvent;
use gateway::{Gateway, Password};
use keys::Layout;
use link::{Side, Work};
use watcher::Watcher;
use writer::Writer;

use super::registry::Registration;
use super::server::Directory;
use crate::manager::{App, Cx, Handle};
use crate::{Error, Result};

/// Something that whoever runs this should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// Reading and writing go well for the first time.
    Ready {
        /// The cluster.
        url: String,
        /// The member that answers.
        member: String,
    },
    /// No member answers, or all refuse. Said once, however often it is tried again.
    Away {
        /// The cluster.
        url: String,
        /// What the last one said.
        why: String,
    },
    /// All is well again.
    Back {
        /// The cluster.
        url: String,
        /// The member that answers.
        member: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { url, member } => write!(f, "registry {url}: in use, by {member}"),
            Self::Away { url, why } => {
                write!(f, "registry {url} is away: {why}; answers are what was known, and what nodes tell waits")
            }
            Self::Back { url, member } => write!(f, "registry {url}: back, by {member}"),
        }
    }
}

/// Shares a [`Directory`] with other servers. See the [module](self).
pub struct Etcd {
    shared: Arc<Shared>,
    settings: Settings,
    agent: ureq::Agent,
    password: Option<Password>,
}

/// What the loop and the two threads share.
struct Shared {
    directory: Directory,
    handle: Handle,
    listener: Box<dyn Fn(Notice) + Send + Sync>,
}

impl Etcd {
    /// What nodes tell this directory is shared from the manager's start on. `listener` is called by both threads and must not block.
    ///
    /// `handle` is that of the manager this app is added to.
    #[must_use]
    pub fn new(
        settings: Settings,
        directory: &Directory,
        handle: Handle,
        listener: impl Fn(Notice) + Send + Sync + 'static,
    ) -> Self {
        directory.share(Link::new(&settings));
        let shared = Arc::new(Shared { directory: directory.clone(), handle, listener: Box::new(listener) });
        #[cfg(feature = "tls")]
        let agent = gateway::agent(None);
        #[cfg(not(feature = "tls"))]
        let agent = gateway::agent();
        Self { shared, settings, agent, password: None }
    }

    /// Where the password is read again when etcd refuses the last one: once for each try, which are seconds apart. `read` is called by both threads.
    /// What it says when it fails is told with etcd's refusal. Default: the password of the [settings](Settings::login), for good.
    #[must_use]
    pub fn password(mut self, read: impl Fn() -> Result<String> + Send + Sync + 'static) -> Self {
        self.password = Some(Password(Arc::new(read)));
        self
    }

    /// Whom it believes, and which certificate it shows, where the URL is `etcds`. Default: the system's authorities, and none.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: crate::tls::Client) -> Self {
        self.agent = gateway::agent(Some(tls));
        self
    }
}

impl App for Etcd {
    fn name(&self) -> &str {
        "registry in etcd"
    }

    fn start(&mut self, _: &mut Cx<'_>) -> Result<()> {
        let layout = Layout::new(&self.settings.prefix);
        // A member that hangs must not cost the lease.
        let mut quick = self.settings.clone();
        quick.timeout = quick.timeout.min(quick.ttl / 3);
        let writes = Gateway::new(&quick, self.agent.clone(), self.password.clone());
        let writer = Writer::new(Arc::clone(&self.shared), writes, layout.clone(), self.settings.ttl);
        let reads = Gateway::new(&self.settings, self.agent.clone(), self.password.clone());
        let watcher = Watcher::new(Arc::clone(&self.shared), reads, layout, self.settings.reread);
        let failed = |e| Error::io("cannot start a thread of the registry", e);
        thread::Builder::new().name("etcd writer".to_owned()).spawn(move || writer.run()).map_err(failed)?;
        thread::Builder::new().name("etcd watcher".to_owned()).spawn(move || watcher.run()).map_err(failed)?;
        Ok(())
    }

    fn stop(&mut self, _: &mut Cx<'_>) {
        self.shared.close();
        self.agent.clone().shutdown();
    }
}

/// The threads end, also if the app was removed.
impl Drop for Etcd {
    fn drop(&mut self) {
        self.shared.close();
        self.agent.clone().shutdown();
    }
}

impl Shared {
    /// Calls `f` with what is shared, and tells what it says.
    fn with<R>(&self, f: impl FnOnce(&mut Link) -> R) -> Option<R> {
        self.directory.state().link.as_mut().map(f)
    }

    fn close(&self) {
        self.with(|link| link.closed = true);
        self.directory.changed().notify_all();
    }

    fn is_closed(&self) -> bool {
        self.with(|link| link.closed).unwrap_or(true)
    }

    /// Waits for something to write, until `due` at most.
    fn wait(&self, due: Instant, patience: Instant, n: usize) -> Work {
        let mut state = self.directory.state();
        loop {
            let now = Instant::now();
            let Some(link) = state.link.as_mut() else { return Work::Changes(Vec::new()) };
            if let Some(work) = link.work(n, now, patience) {
                return work;
            }
            if now >= due {
                return Work::Changes(Vec::new());
            }
            let until = if link.is_missing() { due.min(patience) } else { due };
            let rest = until.saturating_duration_since(now);
            state = self.directory.changed().wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for so long, or until the end.
    fn pause(&self, time: Duration) {
        let end = Instant::now() + time;
        let mut state = self.directory.state();
        while state.link.as_ref().is_some_and(|link| !link.closed) {
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return;
            }
            state = self.directory.changed().wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// There is a new lease; returns all that is to be written under it.
    fn begin(&self, lease: i64) -> Vec<Registration> {
        let mut state = self.directory.state();
        if let Some(link) = &mut state.link {
            link.begin(lease);
        }
        state.registry.connected()
    }

    fn queued(&self, n: usize) {
        self.with(|link| link.queued(n));
    }

    fn miss(&self) {
        self.with(Link::miss);
        self.directory.changed().notify_all();
    }

    fn unfollow(&self, why: &str) {
        self.with(|link| link.unfollow(why));
    }

    fn fares(&self, side: Side, outcome: std::result::Result<&str, &str>) {
        // At the end connections are cut, which is nobody's fault.
        let notice = self.with(|link| if link.closed { None } else { link.fares(side, outcome) }).flatten();
        if let Some(notice) = notice {
            (self.listener)(notice);
        }
    }

    /// The loop takes up what has happened.
    fn take_up(&self, told: Vec<KeyEvent>) -> Result<()> {
        let directory = self.directory.clone();
        self.handle.post(move |cx| {
            let missing = directory.change(cx, |state, events| {
                let link = state.link.as_mut()?;
                let missing = link.replica.follow(&mut state.registry, told, events);
                missing.then(|| link.miss())
            });
            if missing.is_some() {
                directory.changed().notify_all();
            }
        })
    }

    /// The loop takes up all that there is.
    fn replace(&self, keys: Vec<(String, Vec<u8>)>) -> Result<()> {
        let directory = self.directory.clone();
        self.handle.post(move |cx| {
            directory.change(cx, |state, events| {
                if let Some(link) = &mut state.link {
                    link.replica.replace(&mut state.registry, &keys, events);
                    link.read();
                }
            });
        })
    }
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd").field("settings", &self.settings).finish_non_exhaustive()
    }
}
