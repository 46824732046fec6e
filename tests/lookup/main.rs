//! Lookup servers and nodes as they are run.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod cluster;
#[path = "../common/daemon.rs"]
mod daemon;
mod etcd;
mod etcd_access;
mod failover;
mod links;
mod lost;
mod names;
mod node;
mod outage;
#[cfg(feature = "tls")]
#[path = "../pki/mod.rs"]
mod pki;
#[path = "../common/place.rs"]
mod place;
#[cfg(feature = "tls")]
mod secure;
mod service;
mod tool;
mod util;
