//! The HTTP server, from outside: plain sockets, and curl where it is there.

// A test that is skipped says so.
#![allow(clippy::print_stderr)]

mod access;
mod channel;
mod feeds;
mod http;
mod iochannel;
mod keys;
mod later;
mod limits;
mod listen;
mod logs;
mod node;
mod sockjs;
mod stats;
mod websocket;
mod wsclient;
