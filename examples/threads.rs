//! The manager on one thread, used from others through a `Handle`.
//!
//! `cargo run --example threads`

#![allow(clippy::print_stdout)]

use std::thread;
use std::time::Duration;

use gaffer::manager::{OutputLimit, Piece, StreamSelector};
use gaffer::process::{JobConfig, Pid, Scale};
use gaffer::{Error, ErrorKind, Manager};

fn main() -> gaffer::Result<()> {
    let mut manager = Manager::new()?;
    let handle = manager.handle();
    let supervisor = thread::spawn(move || manager.run());

    // Every operation is a closure that runs in the loop; its answer comes back here.
    let spawned = handle.subscribe("spawn", 100)?;
    handle.call(|m| m.load(JobConfig::new("idle", "sleep 1000")?, true))??;
    let wanted = handle.call(|m| m.scale("idle", Scale::By(2)))??;
    let next = || {
        let timeout = |_| Error::new(ErrorKind::TimedOut, "no process was started");
        spawned.recv_timeout(Duration::from_secs(10)).map_err(timeout)
    };
    for _ in 0..wanted {
        let event = next()?;
        println!("{}: {:?}", event.topic, event.payload.what.os_pid());
    }

    // Output comes here too; `Wait` makes the program wait where this thread is slow.
    let output = handle.output(StreamSelector::all(), OutputLimit::Wait(64 * 1024))?;
    handle.call(|m| m.load(JobConfig::new("echo", "cat")?.redirect_output(["out"]).redirect_input(true), true))??;
    // Once it is started it can be written to.
    let pid: Pid = next()?.payload.what.pid().expect("a process was started");
    handle.call(move |m| m.send(pid, None, b"through a pipe and back\n"))??;
    if let Some(Piece::Bytes(origin, bytes)) = output.recv_timeout(Duration::from_secs(10)) {
        print!("{}: {}", origin.name, String::from_utf8_lossy(&bytes));
    }

    handle.stop()?;
    supervisor.join().expect("the loop does not panic")
}
