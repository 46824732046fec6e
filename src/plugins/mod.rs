//! Plugins.
#![forbid(unsafe_code)]
mod manifest;
pub use manifest::Manifest;
