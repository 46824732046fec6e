//! Supervision inside a Rust program: a job that crashes, its output line by line, its events.
//!
//! `cargo run --example embed`

#![allow(clippy::print_stdout)]

use std::time::Duration;

use gaffer::Manager;
use gaffer::manager::{Flow, StreamSelector};
use gaffer::process::{Backoff, JobConfig, What};

fn main() -> gaffer::Result<()> {
    let mut manager = Manager::new()?;

    let job = JobConfig::new("worker", "sh -c 'echo working as $$0; exit 3' worker")?
        .redirect_output(["out"])
        .backoff(Backoff::new(Duration::from_millis(10), Duration::from_millis(50)));
    manager.load(job, true)?;

    let mut cx = manager.cx();
    cx.tap_lines(StreamSelector::all(), 64 * 1024, |_, origin, line| {
        println!("{} says: {}", origin.name, String::from_utf8_lossy(line.bytes));
        Flow::Continue
    });

    let mut exits = 0;
    cx.on("exit", move |cx, topic, event| {
        if let What::Exit { pid, exit, .. } = &event.what {
            println!("{topic}: process {pid} ended with {exit}");
        }
        exits += 1;
        if exits == 3 {
            cx.stop();
        }
    });

    manager.run()
}
