//! Wire formats as machines: bytes in, values out; no sockets, no clocks, bounded memory.

#![forbid(unsafe_code)]

pub mod lines;
#[cfg(feature = "server")]
pub mod sse;
#[cfg(feature = "server")]
pub mod ws;
