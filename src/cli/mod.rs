//! What the command line tools share: one grammar, one way to fail, one set of exit codes.
//!
//! A [`Command`] is a table of [`Opt`]s, each with the function that stores it into a plain struct.
//! The table is what the command line is parsed by and what `--help` is written from, so the two
//! cannot disagree. Parsing has no effect beside its result. A [`Program`] is several commands.
//!
//! The grammar is that of GNU: `--option value`, `--option=value`, `-o value`, `-ovalue`, `-o=value`,
//! clusters of short switches (`-qv`), options before, between and after the words, `--` before
//! words that begin with a dash. `-h`, `--help` and `--version` are everywhere. Where a command has
//! sub-commands, their options may also stand before the sub-command's name.
//!
//! Tools that talk to a node also share its options ([`node`]), how they name jobs ([`names`]), how they wait
//! ([`wait`]) and how they show tables ([`table`]) and output (`logs`). Daemons share how they begin ([`daemon`]).

#![forbid(unsafe_code)]

mod code;
mod color;
mod command;
#[cfg(feature = "log")]
pub mod daemon;
#[cfg(all(feature = "client", feature = "config"))]
pub mod definitions;
mod duration;
mod help;
#[cfg(all(feature = "client", feature = "config", feature = "console"))]
pub mod logs;
#[cfg(all(feature = "client", feature = "config"))]
pub mod names;
#[cfg(all(feature = "client", feature = "config"))]
pub mod node;
mod opt;
mod output;
mod program;
mod prompt;
mod secret;
#[cfg(all(feature = "client", feature = "config"))]
pub mod standing;
pub mod table;
#[cfg(all(feature = "client", feature = "config"))]
mod trust;
#[cfg(all(feature = "client", feature = "config"))]
pub mod wait;

pub use code::{Code, Failure};
pub use color::ColorChoice;
pub use command::{Asked, Command};
pub use duration::parse_duration;
pub use opt::{Opt, Value};
pub use output::{complain, end_with_reader, main, print};
pub use program::Program;
pub use prompt::confirm;
pub use secret::{password_of, user_name};
#[cfg(all(feature = "client", feature = "config"))]
pub use trust::TrustedNodes;
