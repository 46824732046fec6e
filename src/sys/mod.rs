//! The operating system: starting programs, noticing their ends, signals, users, pipes, limits and `/proc`.
//!
//! The low level of the crate. It has no policy and knows no jobs: everything here is done because the
//! caller said so, once, at once. Most programs want the manager instead, which decides what is to be
//! done and calls this; what is public here serves those who need a single careful spawn.
//!
//! Nothing in here touches the disposition of a signal of this process, waits for a process it did not
//! start, or changes the environment, the working directory or the umask of this process; except [`daemon`],
//! [`notify::take`] and [`subreaper`], which are there for that and meant for a `main`.

#[cfg(feature = "server")]
pub(crate) mod beneath;
mod child;
pub(crate) mod clock;
pub mod daemon;
pub mod exit;
mod fork;
#[cfg(feature = "server")]
pub(crate) mod holder;
pub mod limits;
#[cfg(feature = "access")]
pub(crate) mod lock;
pub mod notify;
mod null;
pub mod pidfile;
mod resident;
pub mod signal;
#[cfg(any(feature = "server", feature = "client"))]
pub(crate) mod socket;
pub mod spawn;
pub(crate) mod splice;
pub mod stats;
pub mod stdio;
pub mod subreaper;
pub mod title;
pub mod tty;
pub mod users;
pub(crate) mod writable;

pub use exit::ExitWatch;
pub use pidfile::Pidfile;
pub use resident::give_back;
pub use signal::{Sent, group_alive, signal_group, signal_process};
pub use spawn::{ChildFd, Group, SpawnError, SpawnPlan, Spawned, Spawner, Step, Terminal};
pub use users::Credentials;

use std::io;

/// The value of a libc call, or the error it left in `errno`.
fn cvt(value: libc::c_int) -> io::Result<libc::c_int> {
    if value == -1 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

/// Calls again as long as a signal handler of the host interrupts.
fn retry(mut call: impl FnMut() -> libc::c_int) -> io::Result<libc::c_int> {
    loop {
        match cvt(call()) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
