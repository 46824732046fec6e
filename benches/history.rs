//! What a history costs: the output of a program through a manager, with a recorder and without.
#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gaffer::Manager;
use gaffer::history::{History, Limits};
use gaffer::manager::{Flow, StreamData, StreamSelector};
use gaffer::process::{JobConfig, Restart};

const BYTES: u64 = 256 << 20;
const ROUNDS: usize = 3;

fn round(history: Option<&History>) -> Duration {
    let mut manager = Manager::new().expect("a manager");
    if let Some(history) = history {
        manager.add_app(history.recorder());
    }
    let seen = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&seen);
    manager.cx().tap(StreamSelector::all(), move |_, chunk| {
        if let StreamData::Bytes(bytes) = chunk.data {
            count.fetch_add(bytes.len() as u64, Relaxed);
        }
        Flow::Continue
    });
    let job = JobConfig::new("yes", format!("yes 0123456789abcdefghijklmnopqrstuvwxyz | head -c {BYTES}"));
    let job = job.expect("a name").shell(true).redirect_output(["out"]).restart(Restart::Never);
    let start = Instant::now();
    manager.load(job, true).expect("it loads");
    manager.cx().once("exit", |cx, _, _| cx.stop());
    manager.run().expect("it runs");
    assert_eq!(seen.load(Relaxed), BYTES);
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

fn main() {
    let history = History::new(Limits::default());
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(round(None));
        with.push(round(Some(&history)));
    }
    let (without, with) = (median(without), median(with));
    let rate = |seconds: f64| BYTES as f64 / seconds / f64::from(1 << 20);
    println!(
        "output of a program: {:.0} MiB/s without a history, {:.0} with one: {:.2}x",
        rate(without),
        rate(with),
        without / with
    );
}
