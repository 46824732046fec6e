//! The client and `gafferctl`: against a node that says what the test wants, and against the real one.

mod client;
mod faults;
mod feeds;
mod node;
#[path = "../common/place.rs"]
mod place;
#[cfg(feature = "server")]
mod real;
mod tool;
mod words;
