//! The manager inside a loop that is not ours: here plain poll(2), elsewhere glib, mio or tokio.
//!
//! `cargo run --example own_loop`

#![allow(clippy::print_stdout)]

use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use gaffer::Manager;
use gaffer::manager::Status;
use gaffer::process::{JobConfig, Restart};

fn main() -> gaffer::Result<()> {
    let mut manager = Manager::new()?;
    manager.load(JobConfig::new("nap", "sleep 0.2")?.restart(Restart::Never), true)?;
    manager.cx().once("exit", |cx, topic, _| {
        println!("{topic}");
        cx.stop();
    });

    loop {
        // Whatever was asked of the manager since the last turn is carried out in this one.
        if manager.turn(Some(Duration::ZERO))? == Status::Stopped {
            return Ok(());
        }
        wait(&manager);
        println!("the host's loop has its turn");
    }
}

/// Waits until the manager has something to do. A host has descriptors of its own in the list.
fn wait(manager: &Manager) {
    let timeout = manager.next_deadline().map_or(-1, |at| {
        let left = at.saturating_duration_since(Instant::now());
        i32::try_from(left.as_millis()).unwrap_or(i32::MAX).saturating_add(1)
    });
    let mut fds = [libc::pollfd { fd: manager.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 }];
    // SAFETY: one valid entry.
    unsafe { libc::poll(fds.as_mut_ptr(), 1, timeout) };
}
