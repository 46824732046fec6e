//! The node's side: an app that tells lookup servers what its manager has.
//!
//! ```no_run
//! use gaffer::Manager;
//! use gaffer::lookup::Announcer;
//! use gaffer::lookup::announcer::Settings;
//!
//! let mut manager = Manager::new()?;
//! let settings = Settings::new("https://10.0.0.7:5000").server("https://10.0.0.1:5010").server("https://10.0.0.2:5010");
//! manager.add_app(Announcer::new(settings, |notice| eprintln!("{notice}"))?);
//! manager.run()?;
//! # Ok::<(), gaffer::Error>(())
//! ```
//!
//! Each server has a connection of its own and knows nothing of the others. After each (re)connection the node identifies itself and registers everything
//! it has; then it tells what changes: a job when it is loaded and unloaded, a process when it was started, and when it is told to
//! end or has ended. The processes of a job are withdrawn before the job. Committed processes, which are one run outside of a job's count, are
//! not announced.
//!
//! A connection that is lost, or cannot be made, is made again after a pause, which is random between a half and the whole of 0.25 s, 0.5 s and so on up
//! to [5 s](MAX_PAUSE); a connection that is not made within 4 s has failed. The node pings every [15 s](Settings::ping_interval); a server that leaves three
//! pings without an answer is lost, and so is one that owes an answer and says nothing for 7.5 s: after a cut, TCP alone could wait for as long as the cut
//! was before it tries again. By all this a server knows the truth within 10 s after the way to it is open again. As each connection shows what the
//! one before it has [shown](crate::proto::lookup::Instance), the server does not have to miss that one first, and its listeners hear what differs alone: connections
//! on which a server was silent are closed once it knows the next one.
//!
//! Servers at `https` must show a certificate for the name they are asked by, which an authority in [`Settings::tls`] has signed; where they ask for one
//! too, the node shows its own. A server that asks for a key is shown [`Settings::key`], by whatever way it is reached: see
//! [`overheard`] for those where others could listen.
//!
//! It lives in the manager's loop and never blocks. Only where an address has a name that is neither a number nor `localhost`, a thread asks for its
//! addresses before each connection, and ends; there is one for each server at most. Where the resolver fails, or says nothing for 1 s, the addresses that it
//! gave last are tried.
//!
//! To change the settings of one that runs, send it new [`Settings`] as [mail](crate::manager::Cx::mail): connections to servers that stay are not touched,
//! unless the node itself is called otherwise or has another key. Files of TLS are read again and hold for the next connection; what was not
//! connected is tried at once.

mod address;
mod link;
mod model;
mod resolver;
mod wire;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use address::Address;
use link::{Link, Outcome};
use model::Model;

#[cfg(feature = "etcd")]
pub(in crate::lookup) use link::pause;

use crate::event_loop::{Readiness, SourceId, TimerId};
use crate::lookup::registry::PING_INTERVAL;
use crate::manager::{App, Cx};
use crate::process::{Event, What};
use crate::proto::lookup::{NodeInfo, Request, VERSION};
use crate::sys::socket;
#[cfg(feature = "tls")]
use crate::tls;
use crate::{Error, ErrorKind, Result};

/// The longest pause between two tries of one server.
pub const MAX_PAUSE: Duration = Duration::from_secs(5);

/// How long the resolver may take, where it is known what a name meant last.
const RESOLVER: Duration = Duration::from_secs(1);

/// How long TCP may take to connect: it asks again after 1 and 3 s (RFC 6298, 5), and after a cut the next try is better soon.
const CONNECT: Duration = Duration::from_secs(4);

/// How long the handshakes may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// So long a server may say nothing while it owes an answer.
const ANSWER: Duration = Duration::from_millis(7500);

/// Servers are not pinged more often.
const MIN_PING_INTERVAL: Duration = Duration::from_millis(100);

/// Bytes that may wait for one server; beyond it the connection is given up, and made again.
const MAX_UNSENT: usize = 16 << 20;

/// Who the node is, and whom it tells.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// The name of the node. Default: the name of the host.
    pub name: Option<String>,
    /// The address at which clients reach the node.
    pub origin: String,
    /// The lookup servers: `http://HOST:PORT`, `https://HOST:PORT` (or `ws`, `wss`) or `unix:/PATH`. One that is named twice counts once.
    /// Default: none.
    pub servers: Vec<String>,
    /// The key to show them. Default: none.
    pub key: Option<String>,
    /// How often they are asked for a sign of life, at least 0.1 s; after three without one they are lost. No longer than the servers
    /// expect it. Default: 15 s.
    pub ping_interval: Duration,
    /// Whom to believe that it is the server, and the certificate to show it. Default: the authorities of the system, and none.
    #[cfg(feature = "tls")]
    pub tls: tls::Files,
}

impl Settings {
    /// A node that is reached at `origin`, and tells nobody yet.
    #[must_use]
    pub fn new(origin: impl Into<String>) -> Self {
        Self {
            name: None,
            origin: origin.into(),
            servers: Vec::new(),
            key: None,
            ping_interval: PING_INTERVAL,
            #[cfg(feature = "tls")]
            tls: tls::Files::default(),
        }
    }

    /// Sets the [`name`](field@Self::name).
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds one of the [`servers`](field@Self::servers).
    #[must_use]
    pub fn server(mut self, address: impl Into<String>) -> Self {
        self.servers.push(address.into());
        self
    }

    /// Sets the [`key`](field@Self::key).
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the [`ping_interval`](field@Self::ping_interval).
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = interval;
        self
    }

    /// Sets the files of [`tls`](field@Self::tls).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, files: tls::Files) -> Self {
        self.tls = files;
        self
    }

    /// Whether an [`Announcer`] can run with them. It reads the files of TLS.
    ///
    /// # Errors
    ///
    /// The address of a server is malformed, or is `https` in a build without TLS ([`Unsupported`](ErrorKind::Unsupported)); the key has characters
    /// that cannot be sent; a file of TLS is [unusable](crate::tls::Client::load).
    pub fn check(&self) -> Result<()> {
        Terms::new(self, &links(self)?).map(drop)
    }
}

/// Without the key.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Settings");
        f.field("name", &self.name).field("origin", &self.origin).field("servers", &self.servers);
        f.field("key", &self.key.as_ref().map(|_| "…")).field("ping_interval", &self.ping_interval);
        f.finish_non_exhaustive()
    }
}

/// Checks the address of a lookup server.
///
/// # Errors
///
/// It is malformed, or is `https` in a build without TLS ([`Unsupported`](ErrorKind::Unsupported)).
pub fn check_address(text: &str) -> Result<()> {
    Address::parse(text).map(drop)
}

/// Whether others could listen to what is said to the server at this address, a key say: it is neither `https` nor on this machine.
#[must_use]
pub fn overheard(text: &str) -> bool {
    Address::parse(text).is_ok_and(|address| address.is_overheard())
}

/// How servers are spoken to.
#[derive(Clone, Debug)]
struct Terms {
    key: Option<String>,
    ping_interval: Duration,
    #[cfg(feature = "tls")]
    files: tls::Files,
    /// What is in the files, or what the system has; `None` if nobody needs it.
    #[cfg(feature = "tls")]
    tls: Option<tls::Client>,
}

/// What is in the files may differ all the same.
impl PartialEq for Terms {
    fn eq(&self, other: &Self) -> bool {
        #[cfg(feature = "tls")]
        if self.files != other.files {
            return false;
        }
        (&self.key, self.ping_interval) == (&other.key, other.ping_interval)
    }
}

impl Terms {
    fn new(settings: &Settings, links: &[(String, Address)]) -> Result<Self> {
        if settings.key.as_ref().is_some_and(|key| key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic())) {
            let what = "the key for lookup servers: expected visible ASCII characters without blanks";
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        #[cfg(feature = "tls")]
        let is_needed = settings.tls != tls::Files::default() || links.iter().any(|(_, address)| address.is_tls());
        #[cfg(not(feature = "tls"))]
        let _ = links;
        Ok(Self {
            key: settings.key.clone(),
            ping_interval: settings.ping_interval.max(MIN_PING_INTERVAL),
            #[cfg(feature = "tls")]
            files: settings.tls.clone(),
            #[cfg(feature = "tls")]
            tls: is_needed.then(|| tls::Client::load(&settings.tls)).transpose()?,
        })
    }
}

/// The name of this machine, as it calls itself; `localhost` if it has none.
#[must_use]
pub fn host_name() -> String {
    socket::host_name().ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

/// Something that whoever runs this should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A server knows this node and all that it has.
    Registered {
        /// Its address.
        address: String,
    },
    /// A server is lost, or was not reached. Said once, however often it is tried again.
    Lost {
        /// Its address.
        address: String,
        /// What happened.
        why: String,
    },
    /// New settings cannot be used; the old ones stay.
    Unusable {
        /// What is wrong with them.
        why: String,
    },
    /// A server has refused to register something. Said once for each connection.
    Refused {
        /// Its address.
        address: String,
        /// What it said.
        reason: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered { address } => write!(f, "lookup {address}: this node is registered"),
            Self::Lost { address, why } => write!(f, "lookup {address}: {why}; trying again"),
            Self::Unusable { why } => write!(f, "lookup: {why}; the servers stay as they were"),
            Self::Refused { address, reason } => write!(f, "lookup {address}: it refuses a registration: {reason}"),
        }
    }
}

/// The app. See the [module](self).
pub struct Announcer {
    node: NodeInfo,
    model: Model,
    links: Vec<Link>,
    listener: Box<dyn FnMut(Notice) + Send>,
}

impl Announcer {
    /// An announcer that says what happens to `listener`, which must not block.
    ///
    /// # Errors
    ///
    /// As [`Settings::check`].
    pub fn new(settings: Settings, listener: impl FnMut(Notice) + Send + 'static) -> Result<Self> {
        let node = identity(&settings);
        let links = links(&settings)?;
        let terms = Terms::new(&settings, &links)?;
        let links = links.into_iter().map(|(text, address)| Link::new(text, address, terms.clone())).collect();
        Ok(Self { node, model: Model::default(), links, listener: Box::new(listener) })
    }

    /// Does what the difference is.
    fn follow(&mut self, cx: &mut Cx<'_>, settings: &Settings) -> Result<()> {
        let wanted = links(settings)?;
        let terms = Terms::new(settings, &wanted)?;
        let node = identity(settings);
        let renamed = node != self.node;
        self.node = node;
        let stays = |link: &Link| !renamed && wanted.iter().any(|(text, _)| *text == link.text);
        let had_none = self.links.is_empty();
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.links).into_iter().partition(stays);
        gone.into_iter().for_each(|mut link| link.close(cx));
        self.links = kept;
        for link in &mut self.links {
            link.follow(cx, &terms, &mut self.listener);
        }
        // Without a server nobody asks what is here, and it is not kept.
        match (had_none, wanted.is_empty()) {
            (_, true) => self.model = Model::default(),
            (true, false) => self.model = Model::read(cx),
            (false, false) => {}
        }
        for (text, address) in wanted {
            if !self.links.iter().any(|link| link.text == text) {
                let mut link = Link::new(text, address, terms.clone());
                link.connect(cx, &mut self.listener);
                self.links.push(link);
            }
        }
        Ok(())
    }

    fn tell(&mut self, cx: &mut Cx<'_>, requests: &[Request]) {
        if requests.is_empty() {
            return;
        }
        for link in self.links.iter_mut().filter(|link| link.is_registered()) {
            link.send(cx, requests.iter().cloned(), &mut self.listener);
        }
    }
}

fn identity(settings: &Settings) -> NodeInfo {
    let name = settings.name.clone().unwrap_or_else(host_name);
    NodeInfo { name, origin: settings.origin.clone(), version: VERSION.to_owned() }
}

/// The servers, each once.
fn links(settings: &Settings) -> Result<Vec<(String, Address)>> {
    let mut links: Vec<(String, Address)> = Vec::new();
    for text in &settings.servers {
        let address = Address::parse(text)?;
        if !links.iter().any(|(_, known)| *known == address) {
            links.push((text.clone(), address));
        }
    }
    Ok(links)
}

impl App for Announcer {
    fn name(&self) -> &str {
        "lookup announcer"
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        if !self.links.is_empty() {
            self.model = Model::read(cx);
        }
        for link in &mut self.links {
            link.connect(cx, &mut self.listener);
        }
        Ok(())
    }

    fn ready(&mut self, cx: &mut Cx<'_>, id: SourceId, _: Readiness) {
        let Some(link) = self.links.iter_mut().find(|link| link.has_source(id)) else { return };
        if let Outcome::Identified = link.ready(cx, id, &self.node, &mut self.listener) {
            (self.listener)(Notice::Registered { address: link.text.clone() });
            // By the ping the server knows that this was all.
            link.send(cx, self.model.register().chain([Request::Ping]), &mut self.listener);
        }
    }

    fn timeout(&mut self, cx: &mut Cx<'_>, id: TimerId) {
        if let Some(link) = self.links.iter_mut().find(|link| link.has_timer(id)) {
            link.timeout(cx, &mut self.listener);
        }
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Arc<Event>) {
        if self.links.is_empty() {
            return;
        }
        let requests = match event.what {
            // Some were missed: what is true now is asked for.
            What::Overflow { .. } => {
                let new = Model::read(cx);
                let requests = self.model.difference(&new);
                self.model = new;
                requests
            }
            _ => self.model.apply(event, |pid| cx.process(pid).is_ok_and(|process| !process.once)),
        };
        self.tell(cx, &requests);
    }

    fn mail(&mut self, cx: &mut Cx<'_>, message: Box<dyn Any + Send>) {
        let Ok(settings) = message.downcast::<Settings>() else { return };
        if let Err(e) = self.follow(cx, &settings) {
            (self.listener)(Notice::Unusable { why: e.to_string() });
        }
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        self.links.iter_mut().for_each(|link| link.close(cx));
    }
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcer").field("node", &self.node).field("links", &self.links).finish_non_exhaustive()
    }
}
