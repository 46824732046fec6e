//! Lookup servers and nodes as they are run.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod cluster;
mod etcd;
mod failover;
mod node;
#[cfg(feature = "tls")]
#[path = "../pki/mod.rs"]
#[allow(dead_code)]
mod pki;
mod service;
mod tool;
mod util;
