//! gafferd as it is run.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod background;
mod life;
mod manager;
mod receiver;
mod reload;
mod util;
mod webhooks;
