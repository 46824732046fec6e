//! Control, watch and launch applications and jobs.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "procfile")]
pub mod config;
mod error;
pub mod process;
pub mod substitute;
pub mod suggest;
pub mod words;

pub use error::{Error, ErrorKind, Result};
