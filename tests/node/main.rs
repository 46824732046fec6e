//! `gaffer` against a real node: what each command says, on both outputs, and the code it ends with.
#![allow(clippy::print_stderr)]
#![cfg(target_os = "linux")]

mod change;
mod documented;
mod endpoint;
mod keys;
mod library;
mod load;
mod node;
mod ports;
mod ps;
mod sockets;
mod streams;
// What these tests have no use for, those of the tool alone have.
#[allow(dead_code, unused_imports)]
#[path = "../bins/support/mod.rs"]
mod support;
