//! What the tests share.

mod done;
#[path = "../../common/place.rs"]
mod place;
mod room;
mod running;
mod said;
mod terminal;

use std::path::Path;
use std::time::{Duration, Instant};

use gaffer::process::{OsPid, Signal};
use gaffer::sys::{Sent, signal_process};

pub(crate) use done::Done;
pub(crate) use room::Room;
pub(crate) use running::Running;
pub(crate) use said::Said;
pub(crate) use terminal::Terminal;

/// How long a condition may take on a machine that has other things to do.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// Waits until it is so, and panics with what `state` says if it does not become so.
#[track_caller]
pub(crate) fn until(mut is_so: impl FnMut() -> bool, state: impl FnOnce() -> String) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not become so:\n{}", state());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What must be quick has ten tries: other people use this machine, too, and what is slow by itself is so each time.
#[track_caller]
pub(crate) fn quick(limit: Duration, mut took: impl FnMut() -> Duration) {
    let times: Vec<Duration> = std::iter::repeat_with(&mut took).take(10).take_while(|time| *time >= limit).collect();
    assert!(times.len() < 10, "it should take less than {limit:?}, and took {times:?}");
}

/// Sends a signal to one process that lives.
#[track_caller]
pub(crate) fn send(pid: i32, signal: Signal) {
    assert_eq!(signal_process(OsPid(pid), signal).expect("it is ours"), Sent::Sent, "{pid} is gone");
}

/// The state letter of a process in `/proc/PID/stat`; `-` once it is gone.
pub(crate) fn state(pid: i32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('-')
}

/// How often the threads of a process have gone to sleep.
pub(crate) fn switches(pid: i32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
    tasks.map(|task| figure(&task.expect("a thread").path(), "voluntary_ctxt_switches")).sum()
}

/// The processor time that a process has had, in hundredths of a second.
#[track_caller]
pub(crate) fn busy(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let rest = stat.rsplit_once(") ").expect("a state").1;
    // proc_pid_stat(5): utime and stime are the 14th and 15th.
    rest.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

/// A figure of `/proc/PID/status` in KiB.
#[track_caller]
pub(crate) fn memory(pid: i32, name: &str) -> u64 {
    figure(Path::new(&format!("/proc/{pid}")), name)
}

#[track_caller]
fn figure(of: &Path, name: &str) -> u64 {
    let status = std::fs::read_to_string(of.join("status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("the kernel tells it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The system's numbers of the processes called `name`, as the lines of `spawn` in `text` tell them.
pub(crate) fn spawned(text: &str, name: &str) -> Vec<i32> {
    let of_name = text.lines().filter(|line| line.split_whitespace().any(|word| word == name));
    of_name.filter_map(|line| line.split_once("| spawn process with pid ")?.1.parse().ok()).collect()
}
