//! Configuration files: text in, values out.
//!
//! The parsers are pure: they read no file, no environment and no clock, so they take the text and the name that their
//! messages begin with. Only the functions called `load` open files.
#![forbid(unsafe_code)]

#[cfg(feature = "config")]
mod address;
#[cfg(feature = "procfile")]
mod application;
#[cfg(feature = "config")]
mod client;
#[cfg(feature = "procfile")]
mod concurrency;
#[cfg(feature = "procfile")]
pub mod dotenv;
#[cfg(all(feature = "procfile", feature = "config"))]
pub mod export;
mod files;
#[cfg(feature = "config")]
mod foreign;
#[cfg(feature = "config")]
pub mod gafferd;
#[cfg(feature = "config")]
pub mod ini;
#[cfg(feature = "config")]
mod interpolate;
#[cfg(feature = "config")]
mod job;
#[cfg(feature = "config")]
mod keys;
#[cfg(feature = "config")]
mod lookupd;
#[cfg(feature = "config")]
mod places;
#[cfg(feature = "config")]
mod plan;
#[cfg(feature = "procfile")]
mod procfile;
#[cfg(feature = "config")]
mod secrets;
#[cfg(feature = "config")]
mod shown;

#[cfg(feature = "config")]
pub use address::Address;
#[cfg(feature = "procfile")]
pub use application::{Application, Options};
#[cfg(feature = "config")]
pub use client::{ClientConfig, KnownNode};
#[cfg(feature = "procfile")]
pub use concurrency::Concurrency;
#[cfg(feature = "procfile")]
pub use dotenv::{Dotenv, Expand};
pub use files::MAX_FILE;
#[cfg(feature = "config")]
pub use gafferd::GafferdConfig;
#[cfg(feature = "config")]
pub(crate) use job::parse_name;
#[cfg(feature = "config")]
pub(crate) use job::write_job;
#[cfg(feature = "config")]
pub use job::{Job, job_from_json, job_to_json};
#[cfg(feature = "config")]
pub use lookupd::LookupdConfig;
#[cfg(feature = "config")]
pub use plan::Plan;
#[cfg(feature = "procfile")]
pub use procfile::{Entry, Procfile};
#[cfg(feature = "config")]
pub use secrets::{MAX_KEY, MAX_KEYS, MAX_PASSWORD, MIN_KEY, SharedKey, load_keys, load_password};

use crate::{Error, ErrorKind};

/// So many warnings are kept for a file; the last one says how many more there were.
#[cfg(feature = "procfile")]
pub const MAX_WARNINGS: usize = 50;

/// A place in a text. Its column is counted when somebody wants to read it: lines can be long, and places many.
#[derive(Clone, Copy)]
struct Position<'a> {
    /// From 1.
    line: usize,
    /// What stands before it in its line.
    before: &'a str,
}

impl Position<'_> {
    /// In characters, from 1.
    fn column(self) -> usize {
        self.before.chars().count() + 1
    }
}

/// Where the messages of a parser say they come from.
#[derive(Clone, Copy)]
struct Origin<'a>(&'a str);

impl Origin<'_> {
    fn message(self, at: Position<'_>, what: &str) -> String {
        format!("{}:{}:{}: {what}", self.0, at.line, at.column())
    }

    fn error(self, at: Position<'_>, what: &str) -> Error {
        Error::new(ErrorKind::Invalid, self.message(at, what))
    }
}

/// The warnings of one file, at most [`MAX_WARNINGS`] of them.
#[cfg(feature = "procfile")]
struct Warnings<'a> {
    origin: Origin<'a>,
    kept: Vec<String>,
    more: usize,
}

#[cfg(feature = "procfile")]
impl<'a> Warnings<'a> {
    fn new(origin: Origin<'a>) -> Self {
        Self { origin, kept: Vec::new(), more: 0 }
    }

    fn push(&mut self, at: Position<'_>, what: &str) {
        if self.kept.len() < MAX_WARNINGS {
            self.kept.push(self.origin.message(at, what));
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.kept.push(format!("{}: {} more warnings", self.origin.0, self.more));
        }
        self.kept
    }
}

/// The text after a byte order mark, if it begins with one.
fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(feature = "procfile")]
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}
