//! Wire formats as machines: bytes in, values out; no sockets, no clocks, bounded memory.

#![forbid(unsafe_code)]

#[cfg(any(feature = "server", feature = "client"))]
pub mod frame;
#[cfg(feature = "server")]
pub mod h1;
pub mod lines;
#[cfg(feature = "server")]
pub mod sockjs;
#[cfg(any(feature = "server", feature = "client"))]
pub mod sse;
#[cfg(any(feature = "server", feature = "client"))]
pub mod ws;
