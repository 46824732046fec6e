//! The manager with real processes.
//!
//! Every test waits for conditions with a deadline and says what it saw when one does not come. What
//! holds for the whole process (descriptors, threads, `SIGCHLD`) is tested in `tests/host.rs`, where
//! the cases run one after the other.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests say what they saw")]

mod apps;
mod chaos;
mod closures;
#[path = "../common/descriptors.rs"]
mod descriptors;
mod events;
mod handle;
mod input;
mod log_disposal;
mod log_faults;
mod log_rotation;
mod logs;
mod monitor;
mod output;
#[path = "../common/place.rs"]
mod place;
mod ported;
mod start;
mod stop;
mod supervise;
mod watch;
