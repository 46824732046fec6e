//! gafferd as it is run.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod background;
mod life;
mod logs;
mod manager;
mod reload;
mod util;
