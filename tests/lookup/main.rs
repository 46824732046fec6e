//! Lookup servers and nodes as they are run.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod failover;
mod node;
mod service;
mod tool;
mod util;
