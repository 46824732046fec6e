//! gafferd as others speak to it: curl, Python's websockets, node's ws and eventsource, a browser, and clients that mean harm.
//!
//! What these need beside curl is installed by `.ci/tools`. A test whose tool is not there says so on standard error, or
//! fails if `GAFFER_NET_REQUIRE` is set.
#![allow(clippy::print_stderr)]
#![allow(clippy::unwrap_used)]

mod access;
mod browser;
mod clients;
mod console;
#[path = "../common/daemon.rs"]
mod daemon;
mod documented;
mod feeds;
mod jobs;
#[path = "../common/place.rs"]
mod place;
mod processes;
mod soak;
mod sockjs;
mod stalled;
mod util;
mod wire;
