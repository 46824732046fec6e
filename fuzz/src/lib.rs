//! The properties that the fuzz targets check, one module each with a `run(data: &[u8])` that panics where
//! the property does not hold. `tests/fuzz_corpora.rs` replays the corpora with them on stable.

pub mod dotenv;
pub mod events;
pub mod frame;
pub mod gafferd_config;
pub mod h1_chunked;
pub mod h1_request;
pub mod ini;
pub mod lines;
pub mod procfile;
pub mod sockjs;
pub mod sse;
pub mod table;
pub mod words;
pub mod ws;
