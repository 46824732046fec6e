//! Control, watch and launch applications and jobs.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "console")]
pub mod console;
mod error;
pub mod process;
pub mod proto;
#[cfg(feature = "cli")]
pub mod suggest;
mod sys;

pub use error::{Error, ErrorKind, Result};
