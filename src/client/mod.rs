//! A blocking client for a node: what the HTTP API offers, as methods.
//!
//! ```no_run
//! use gaffer::client::Server;
//!
//! let node = Server::new("unix:/run/gafferd.sock")?;
//! let web = node.get_job("web")?;
//! web.scale("+1")?;
//! for event in node.watch("proc.web.exit")? {
//!     println!("{:?}", event?.fields["exit_code"]);
//! }
//! # Ok::<(), gaffer::Error>(())
//! ```
//!
//! A [`Server`] is an address and a pool of idle connections; nothing is sent before the first call, and no thread is
//! started. [`Job`] and [`Process`] are names with the way to their node, so they are cheap, and what they are called for may have gone
//! meanwhile. Feeds ([`Events`], [`Samples`], [`Output`]) are iterators over a connection of their own, which ends when they are dropped.
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
mod feed;
mod http;
mod job;
mod legacy;
mod logs;
mod process;
mod server;
mod unix;
mod values;

pub use attach::{attach_at, attached_socket};
pub use feed::{Events, Output, Samples};
pub use job::Job;
pub use logs::{LogOutput, LogPiece, LogQuery, Logs};
pub use process::Process;
pub use server::Server;
pub use values::{Event, JobInfo, JobStatus, ProcessInfo};

/// Where a node listens by default.
pub const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:5000";
