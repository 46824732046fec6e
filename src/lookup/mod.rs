//! Which node has which job: nodes announce themselves to lookup servers, and clients ask those.
//!
//! ```text
//!  node a ──┐ websocket /ws          ┌── GET /nodes /sessions /jobs /findJob /findSession
//!  node b ──┼──────────▶ lookup server ◀── client
//!  node c ──┘                        └── SockJS /lookup: what changes
//! ```
//!
//! - The [`Registry`] is what a lookup server knows. It is pure: the time is an argument and events are values.
//! - [`server`] serves it over HTTP.
//! - The [`Announcer`] is the node's side, an [`App`](crate::manager::App) of its manager.
//!
//! Lookup servers know nothing of each other and keep nothing, unless they share what they know through etcd (module `etcd`, feature `etcd`): each node tells all of them everything, again after each reconnection, and a client
//! that asks several takes the union. So one that is lost costs nothing, and one that starts is complete as soon as the nodes have
//! found it, within some [seconds](announcer::MAX_PAUSE).

#![forbid(unsafe_code)]

pub mod announcer;
#[cfg(feature = "etcd")]
pub mod etcd;
pub mod registry;
pub mod server;

pub use announcer::Announcer;
pub use registry::Registry;
