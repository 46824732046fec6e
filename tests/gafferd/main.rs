//! gafferd as it is run.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod access_log;
mod background;
mod console_site;
#[path = "../common/daemon.rs"]
mod daemon;
mod empty_root;
mod keys;
mod life;
mod logs;
mod manager;
#[cfg(all(feature = "tls", feature = "gaffer", feature = "gafferctl"))]
#[path = "../pki/mod.rs"]
mod pki;
#[path = "../common/place.rs"]
mod place;
mod plugins;
mod receiver;
mod reload;
mod sites;
mod surroundings;
mod survivors;
#[cfg(all(feature = "tls", feature = "gaffer", feature = "gafferctl"))]
mod tls;
mod util;
mod webhooks;
