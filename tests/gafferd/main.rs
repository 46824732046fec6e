//! gafferd as it is run.
#![allow(clippy::unwrap_used)]

mod background;
mod life;
mod manager;
mod reload;
mod util;
