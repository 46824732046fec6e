//! The node's side: an app that tells lookup servers what its manager has.
//!
//! ```no_run
//! use gaffer::Manager;
//! use gaffer::lookup::Announcer;
//! use gaffer::lookup::announcer::Settings;
//!
//! let mut manager = Manager::new()?;
//! let settings = Settings::new("http://10.0.0.7:5000").server("http://10.0.0.1:5010").server("http://10.0.0.2:5010");
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
//! to [5 s](MAX_PAUSE). The node pings every 15 s; a server that leaves three pings without an answer is lost.
//!
//! It lives in the manager's loop and never blocks. Only where an address has a name that is neither a number nor `localhost`, a thread asks for its
//! addresses before each connection, and ends.
//!
//! To change the settings of one that runs, send it new [`Settings`] as [mail](crate::manager::Cx::mail): connections to servers that stay are not touched,
//! unless the node itself is called otherwise.

mod address;
mod link;
mod model;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use address::Address;
use link::{Link, Outcome};
use model::Model;

#[cfg(feature = "etcd")]
pub(in crate::lookup) use link::pause;

use crate::Result;
use crate::event_loop::{Readiness, SourceId, TimerId};
use crate::manager::{App, Cx};
use crate::process::{Event, What};
use crate::proto::lookup::{NodeInfo, Request, VERSION};
use crate::sys::socket;

/// The longest pause between two tries of one server.
pub const MAX_PAUSE: Duration = Duration::from_secs(5);

/// How long a connection, and the answer to its handshake, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes that may wait for one server; beyond it the connection is given up, and made again.
const MAX_UNSENT: usize = 16 << 20;

/// Who the node is, and whom it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// The name of the node. Default: the name of the host.
    pub name: Option<String>,
    /// The address at which clients reach the node.
    pub origin: String,
    /// The lookup servers: `http://HOST:PORT` or `unix:/PATH`. One that is named twice counts once. Default: none.
    pub servers: Vec<String>,
}

impl Settings {
    /// A node that is reached at `origin`, and tells nobody yet.
    #[must_use]
    pub fn new(origin: impl Into<String>) -> Self {
        Self { name: None, origin: origin.into(), servers: Vec::new() }
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
}

/// Checks the address of a lookup server.
///
/// # Errors
///
/// It is malformed, or is `https`, for which there is no TLS yet ([`Unsupported`](crate::ErrorKind::Unsupported)).
pub fn check_address(text: &str) -> Result<()> {
    Address::parse(text).map(drop)
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
    /// The address of a server is malformed.
    pub fn new(settings: Settings, listener: impl FnMut(Notice) + Send + 'static) -> Result<Self> {
        let node = identity(&settings);
        let links = links(&settings)?.map(|(text, address)| Link::new(text, address)).collect();
        Ok(Self { node, model: Model::default(), links, listener: Box::new(listener) })
    }

    /// Does what the difference is.
    fn follow(&mut self, cx: &mut Cx<'_>, settings: &Settings) -> Result<()> {
        let wanted: Vec<_> = links(settings)?.collect();
        let node = identity(settings);
        let renamed = node != self.node;
        self.node = node;
        let stays = |link: &Link| !renamed && wanted.iter().any(|(text, _)| *text == link.text);
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.links).into_iter().partition(stays);
        gone.into_iter().for_each(|mut link| link.close(cx));
        self.links = kept;
        for (text, address) in wanted {
            if !self.links.iter().any(|link| link.text == text) {
                let mut link = Link::new(text, address);
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
fn links(settings: &Settings) -> Result<impl Iterator<Item = (String, Address)> + use<>> {
    let mut links: Vec<(String, Address)> = Vec::new();
    for text in &settings.servers {
        let address = Address::parse(text)?;
        if !links.iter().any(|(_, known)| *known == address) {
            links.push((text.clone(), address));
        }
    }
    Ok(links.into_iter())
}

impl App for Announcer {
    fn name(&self) -> &str {
        "lookup announcer"
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        self.model = Model::read(cx);
        for link in &mut self.links {
            link.connect(cx, &mut self.listener);
        }
        Ok(())
    }

    fn ready(&mut self, cx: &mut Cx<'_>, id: SourceId, _: Readiness) {
        let Some(link) = self.links.iter_mut().find(|link| link.has_source(id)) else { return };
        if let Outcome::Identified = link.ready(cx, &self.node, &mut self.listener) {
            (self.listener)(Notice::Registered { address: link.text.clone() });
            link.send(cx, self.model.register(), &mut self.listener);
        }
    }

    fn timeout(&mut self, cx: &mut Cx<'_>, id: TimerId) {
        if let Some(link) = self.links.iter_mut().find(|link| link.has_timer(id)) {
            link.timeout(cx, &mut self.listener);
        }
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Arc<Event>) {
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
