//! The HTTP server as an application of the manager.

#![forbid(unsafe_code)]

pub mod api;
mod call;
pub mod json;
pub mod metrics;
mod route;
mod socket;

pub use call::{Call, Counters, FeedMode, FeedSource, FeedSpec, Params, Peer, Refusal, Reply, Request, Socket};
pub use route::{Handler, Route, delete, get, post, put};
pub use socket::{Message, SocketAddress, SocketOut};
