//! A blocking client for a node: what the HTTP API offers, as methods.
//!
//! ```
//! # #[cfg(feature = "server")] include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/client/example.rs"));
//! # #[cfg(feature = "server")] fn main() -> Result<(), Box<dyn std::error::Error>> { let node = Node::start()?; let address = node.address();
//! use gaffer::client::Server;
//! use serde_json::json;
//!
//! let server = Server::new(address)?; // or unix:/run/gafferd.sock
//! let exits = server.watch("proc.web.exit")?;
//! let web = server.load(&json!({"name": "web", "cmd": "sh -c 'exit 3'", "restart": "never"}), None, true, false)?;
//! for event in exits {
//!     assert_eq!(event?.fields["exit_code"], 3);
//!     break;
//! }
//! web.scale("=2")?;
//! assert_eq!(server.get_job("web")?.numprocesses()?, 2);
//! # Ok(()) }
//! # #[cfg(not(feature = "server"))] fn main() {}
//! ```
//!
//! A [`Server`] is an address and a pool of idle connections; nothing is sent before the first call, and no thread is
//! started. [`Job`] and [`Process`] are names with the way to their node, so they are cheap, and what they are called for may have gone
//! meanwhile. Feeds ([`Events`], [`Samples`], [`Output`]) are iterators over a connection of their own, which ends when they are dropped.
//! [`Socket`] has commands and topics over one connection, [`IoChannel`] the input and output of a process. Everything here is `Send`; what is
//! shared (`Server`, `Job`, `Process`, `Socket`, `Channel`, `IoChannel`) is `Sync` too.
//!
//! Waiting has its bounds: [`timeout`](Server::timeout) for connecting and for each answer, three [heartbeats](Server::heartbeat) for a
//! node that should say something. Without a bound are only the look-up of a host's name, which has those of the system, and connecting to a
//! unix socket whose owner accepts nothing and whose queue is full.
//!
//! # The original's names
//!
//! | gaffer.httpclient | here |
//! |---|---|
//! | `Server`, `Job`, `Process` | the same; `ProcessId` is [`Process`] |
//! | `GafferSocket`: `subscribe`, `unsubscribe`, `send_command` | [`Socket`] |
//! | `GafferCommand`: `done`, `result`, `error`, `add_done_callback` | [`Pending`]: `is_done`, `wait` |
//! | `Channel`: `bind(event, f)`, `bind_all(f)` | [`Channel`], an iterator; [`Event::event`] says which |
//! | `IOChannel`: `start_read`, `write` | [`IoChannel`]: an iterator and `io::Read`, `send` and `io::Write` |
//! | 0.4 `Server::get_watcher`, `EventsourceClient` | [`Server::watch`] |
//! | `Keys(server)`, `Users(server)`, `Server.authenticate` | [`Server::keys`], [`Server::users`], [`Server::authenticate`] |
//! | `LookupServer`: `lookup()` gives a channel | [`LookupServer`]: [`lookup`](LookupServer::lookup) gives an iterator of events |
//!
//! # Errors
//!
//! What a node refuses comes as [`Error`](crate::Error) with the node's own words and this [kind](crate::ErrorKind):
//!
//! | kind | when |
//! |---|---|
//! | `NotFound` | 404: no such job, session, process or stream |
//! | `Conflict` | 409: the name is taken |
//! | `Invalid` | 400 and other statuses that blame the request; an answer that is none of a gaffer node's |
//! | `Forbidden` | 401, 403, 421; a socket file whose permissions forbid it |
//! | `Closed` | 410: the process or its stream has ended |
//! | `Stopping`, `Full` | 503: the node ends, or has reached a bound |
//! | `Unsupported` | 501; `https` in a build without the feature `tls` |
//! | `TimedOut` | 408, 504; no answer within [`timeout`](Server::timeout); a feed without a sign of life |
//! | `Unreachable` | nobody listens there, its name is unknown, or the connection was lost |
//! | `Io` | 500: something failed in the node |
#![forbid(unsafe_code)]

mod address;
mod answer;
mod attach;
mod channel;
mod feed;
mod http;
mod inbox;
mod io_channel;
mod job;
mod keys;
mod legacy;
mod link;
mod logs;
mod lookup;
mod lookup_events;
mod process;
mod reach;
mod server;
mod socket;
mod stream;
mod unix;
mod values;

pub use crate::controller::{CommandError, Topic};
pub use attach::{attach_at, attached_socket};
pub use channel::Channel;
pub use feed::{Events, Output, Samples};
pub use io_channel::{IoChannel, Mode};
pub use job::Job;
pub use keys::{Keys, NewKey, Users};
pub use logs::{LogOutput, LogPiece, LogQuery, Logs};
pub use lookup::{LookupJob, LookupNode, LookupServer, LookupServers, LookupSession, LookupSource, Merged};
pub use lookup_events::{LookupEvent, LookupEvents};
pub use process::Process;
pub use server::Server;
pub use socket::{MAX_QUEUE, Pending, Socket};
pub use values::{Event, JobInfo, JobStatus, ProcessInfo};

/// Where a lookup server listens by default.
pub const DEFAULT_LOOKUP: &str = "http://127.0.0.1:5010";

/// Where a node listens by default.
pub const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:5000";
