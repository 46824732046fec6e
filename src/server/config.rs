//! Where a server listens, and its bounds.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::config::Address;
use crate::proto::{h1, ws};
use crate::{Error, Result};

/// One place to listen at.
#[derive(Debug)]
#[non_exhaustive]
pub enum Endpoint {
    /// TCP at this host, a name or an address, and this port; 0 lets the system choose one.
    Tcp {
        /// Without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A socket in the file system. One that nobody serves any more is replaced.
    Unix {
        /// Where.
        path: PathBuf,
        /// The permissions of the file; with none for others or the group, only this user and root are served.
        mode: u32,
    },
    /// A listening socket that was handed over, TCP or unix. It is not unlinked.
    Inherited(OwnedFd),
}

impl Endpoint {
    /// TCP.
    #[must_use]
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        Self::Tcp { host: host.into(), port }
    }

    /// A unix socket of mode 0600.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::Unix { path: path.into(), mode: 0o600 }
    }
}

impl From<Address> for Endpoint {
    fn from(address: Address) -> Self {
        match address {
            Address::Tcp { host, port } => Self::Tcp { host, port },
            Address::Unix(path) => Self::unix(path),
        }
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    /// As [`Address`] is written: `127.0.0.1:5000`, `[::1]:5000`, `unix:/run/gafferd.sock`.
    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Address::into)
    }
}

/// The settings of a server.
///
/// ```
/// use gaffer::server::Config;
/// use std::time::Duration;
///
/// let config = Config::default().endpoint("127.0.0.1:0".parse()?).max_connections(100).idle_timeout(Duration::from_secs(5));
/// assert_eq!(config.unsent, 16 << 20);
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where it listens. Default: nowhere.
    pub endpoints: Vec<Endpoint>,
    /// Whether it may listen at addresses that are not loopback, where nobody is asked for a key. Default: false.
    pub insecure: bool,
    /// TLS of its TCP endpoints; unix sockets have none. Default: none.
    #[cfg(feature = "tls")]
    pub tls: Option<crate::tls::Server>,
    /// Origins whose pages may use the server, as browsers write them (`http://host:port`), or `*`. Default: the server's
    /// own only.
    pub allow_origins: Vec<String>,
    /// Names by which it may be addressed, beside loopback names, addresses and the hosts of its endpoints. Default: none.
    pub allow_hosts: Vec<String>,
    /// Bounds of requests, each with the status of what is beyond it.
    pub limits: h1::Limits,
    /// Bounds of what websocket clients send; beyond them 1009. Default: 1 MiB a frame and a message.
    pub websocket: ws::Limits,
    /// Connections that are served at a time; others get 503, and beyond 64 of those nothing. Default: 1024.
    pub max_connections: usize,
    /// Connections that may wait to be accepted. Default: 1024, of which the system may take less.
    pub backlog: i32,
    /// From the first byte of a head to its end; beyond it 408. Likewise for a TLS handshake; beyond it the connection is cut. Default: 10 s.
    pub head_timeout: Duration,
    /// From a head to the end of its content; beyond it 408. Default: 60 s.
    pub body_timeout: Duration,
    /// How long an answer that is given [later](super::Later) may take; beyond it 504. Default: 60 s.
    pub answer_timeout: Duration,
    /// How long a connection without a request stays open. Default: 60 s.
    pub idle_timeout: Duration,
    /// How long a client with unsent data may take none of it; beyond it, it is cut. Default: 60 s.
    pub stall_timeout: Duration,
    /// How long a websocket is silent before it is asked for a sign of life (a ping), and how long the answer may take. Default: 60 s.
    pub ping_interval: Duration,
    /// Bytes that may wait for one client. Beyond it a feed of events or figures leaves some out and says how many (`gap`); raw output,
    /// which has no place to say so, and websockets are cut. Default: 16 MiB.
    pub unsent: usize,
    /// Events that are kept for clients that come back with a `Last-Event-ID`. Default: 1024.
    pub history: usize,
    /// How long clients of server-sent events wait before they come back. Default: 2 s.
    pub retry: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            insecure: false,
            #[cfg(feature = "tls")]
            tls: None,
            allow_origins: Vec::new(),
            allow_hosts: Vec::new(),
            limits: h1::Limits::default(),
            websocket: ws::Limits::default().max_frame(1 << 20).max_message(1 << 20),
            max_connections: 1024,
            backlog: 1024,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(60),
            ping_interval: Duration::from_secs(60),
            unsent: 16 << 20,
            history: 1024,
            retry: Duration::from_secs(2),
        }
    }
}

impl Config {
    /// Adds an [endpoint](field@Self::endpoints).
    #[must_use]
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// Sets [`tls`](field@Self::tls).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: crate::tls::Server) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Adds an origin to [`allow_origins`](field@Self::allow_origins).
    #[must_use]
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.allow_origins.push(origin.into());
        self
    }

    /// Adds a name to [`allow_hosts`](field@Self::allow_hosts).
    #[must_use]
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.allow_hosts.push(host.into());
        self
    }
}

setters! {
    Config {
        insecure: bool,
        limits: h1::Limits,
        websocket: ws::Limits,
        max_connections: usize,
        backlog: i32,
        head_timeout: Duration,
        body_timeout: Duration,
        answer_timeout: Duration,
        idle_timeout: Duration,
        stall_timeout: Duration,
        ping_interval: Duration,
        unsent: usize,
        history: usize,
        retry: Duration,
    }
}
