//! Control, watch and launch applications and jobs.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
pub mod process;
pub mod table;

pub use error::{Error, ErrorKind, Result};
