//! Figures as JSON: spec section 6; and events, as all send them.

use std::time::SystemTime;

use serde_json::{Value, json};

pub use crate::process::json::{event_json, exit_json, unix_time};

use crate::manager::Sample;
use crate::process::ProcessStats;
use crate::words;

/// The figures of one process.
#[must_use]
pub fn stats_json(sample: &Sample) -> Value {
    let mut value = figures(&sample.stats);
    value["pid"] = sample.pid.0.into();
    // As 0.4 calls it.
    value["id"] = sample.pid.0.into();
    value["name"] = sample.name.as_str().into();
    value
}

fn figures(stats: &ProcessStats) -> Value {
    json!({
        "os_pid": stats.os_pid.0,
        "mem_info1": stats.mem_info1(),
        "mem_info2": stats.mem_info2(),
        "rss": stats.rss,
        "vms": stats.vms,
        "cpu": cpu(stats),
        "mem": stats.mem,
        "ctime": stats.ctime(),
        "username": stats.username,
        "nice": stats.nice,
        "cmdline": cmdline(stats),
        "num_threads": stats.num_threads,
        "num_fds": stats.num_fds,
        "create_time": unix_time(stats.started),
        "children": stats.children.iter().map(figures).collect::<Vec<_>>(),
    })
}

/// Percent of one processor since the sample before; of the first sample the average since the start, as `ps` has it.
pub(crate) fn cpu(stats: &ProcessStats) -> f64 {
    let average = || {
        let age = SystemTime::now().duration_since(stats.started).map_or(0.0, |age| age.as_secs_f64());
        if age > 0.0 { (1000.0 * stats.cpu_time.as_secs_f64() / age).round() / 10.0 } else { 0.0 }
    };
    stats.cpu.unwrap_or_else(average)
}

/// One text, as 0.4 has it and a shell would read it; a zombie has only its name left.
fn cmdline(stats: &ProcessStats) -> String {
    if stats.cmdline.is_empty() { stats.name.clone() } else { words::join(&stats.cmdline) }
}
