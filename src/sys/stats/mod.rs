//! What processes use: one look through the system, then a sample of any process in it.
//!
//! ```no_run
//! use gaffer::process::OsPid;
//! use gaffer::sys::stats::Snapshot;
//!
//! let mut snapshot = Snapshot::new()?;
//! let stats = snapshot.sample(OsPid(1));
//! # Ok::<(), std::io::Error>(())
//! ```

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub use linux::{Snapshot, began};
#[cfg(target_os = "linux")]
pub(super) use linux::{groups, is_member, is_zombie};
#[cfg(not(target_os = "linux"))]
pub use other::{Snapshot, began};
#[cfg(not(target_os = "linux"))]
pub(super) use other::{groups, is_member, is_zombie};
