//! Control, watch and launch applications and jobs.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
pub mod events;
pub mod process;

pub use error::{Error, ErrorKind, Result};
