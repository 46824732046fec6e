//! The HTTP server, from outside: plain sockets, and curl where it is there.

mod access;
mod feeds;
mod http;
mod limits;
mod listen;
mod node;
mod websocket;
