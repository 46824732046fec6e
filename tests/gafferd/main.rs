//! gafferd as it is run.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod access_log;
mod background;
mod empty_root;
mod life;
mod logs;
mod manager;
mod receiver;
mod reload;
mod util;
mod webhooks;
