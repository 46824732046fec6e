//! Control, watch and launch applications and jobs.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
pub mod event_loop;
pub mod process;

pub use error::{Error, ErrorKind, Result};
