//! The HTTP server, from outside: plain sockets, and curl where it is there.

// A test that is skipped says so.
#![allow(clippy::print_stderr)]

mod access;
mod channel;
mod defects;
#[path = "../common/descriptors.rs"]
mod descriptors;
mod feeds;
mod http;
mod iochannel;
mod keys;
mod later;
mod limits;
mod listen;
mod logs;
mod node;
#[path = "../common/place.rs"]
mod place;
// What these tests have no use for, those of the daemon have.
#[allow(dead_code)]
#[cfg(feature = "tls")]
#[path = "../pki/mod.rs"]
mod pki;
mod revoked;
mod rubbish;
mod sockjs;
mod stats;
#[cfg(feature = "tls")]
mod tls;
mod websocket;
mod wsclient;
