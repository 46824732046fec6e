//! gafferd as it is run.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod access_log;
mod background;
mod console_site;
mod empty_root;
mod keys;
mod life;
mod logs;
mod manager;
mod plugins;
mod receiver;
mod reload;
mod sites;
mod util;
mod webhooks;
