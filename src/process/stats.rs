//! What a running process uses.

use std::time::{Duration, Instant, SystemTime};

use super::OsPid;

/// What a process uses at one moment, and its children likewise.
///
/// What the system keeps from us is `None`; the original calls it `"N/A"`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProcessStats {
    /// The system's number.
    pub os_pid: OsPid,
    /// When this was measured.
    pub at: Instant,
    /// When the process was started, to the hundredth of a second.
    pub started: SystemTime,
    /// Its name: the program's file name, at most 15 bytes, unless it has given itself another.
    pub name: String,
    /// The command line; empty for a zombie.
    pub cmdline: Vec<String>,
    /// The user it runs as: the name, or the number where there is none.
    pub username: String,
    /// Resident memory, in bytes.
    pub rss: u64,
    /// Virtual memory, in bytes.
    pub vms: u64,
    /// Resident memory as a part of the machine's, in percent.
    pub mem: f64,
    /// Processor time used so far, in user and kernel mode.
    pub cpu_time: Duration,
    /// Processor time used since the sample before, in percent of one processor; `None` in the first one.
    pub cpu: Option<f64>,
    /// The scheduling priority, -20 to 19.
    pub nice: i32,
    /// How many threads it has.
    pub num_threads: u32,
    /// How many open descriptors it has.
    pub num_fds: Option<u32>,
    /// The processes it has started, and they in turn.
    pub children: Vec<ProcessStats>,
}

impl ProcessStats {
    /// Whether both are samples of one process: a number may be given to another later.
    #[must_use]
    pub fn is_same_process(&self, other: &Self) -> bool {
        // The start is computed from two clocks, so it wavers by some microseconds.
        let apart = self.started.duration_since(other.started).unwrap_or_else(|e| e.duration());
        self.os_pid == other.os_pid && apart < Duration::from_secs(1)
    }

    /// Sets [`cpu`](Self::cpu), here and in the children, from the sample before.
    ///
    /// Of a process that the earlier sample does not know, `cpu` stays as it is.
    pub fn since(&mut self, before: &Self) {
        if !self.is_same_process(before) {
            return;
        }
        let elapsed = self.at.saturating_duration_since(before.at).as_secs_f64();
        if elapsed > 0.0 {
            let used = self.cpu_time.saturating_sub(before.cpu_time).as_secs_f64();
            self.cpu = Some(round(100.0 * used / elapsed));
        }
        for child in &mut self.children {
            if let Some(before) = before.children.iter().find(|other| child.is_same_process(other)) {
                child.since(before);
            }
        }
    }

    /// Resident memory as people read it: `12M`.
    #[must_use]
    pub fn mem_info1(&self) -> String {
        human_bytes(self.rss)
    }

    /// Virtual memory as people read it: `1G`.
    #[must_use]
    pub fn mem_info2(&self) -> String {
        human_bytes(self.vms)
    }

    /// Processor time as minutes, seconds and hundredths: `0:03.25`.
    #[must_use]
    pub fn ctime(&self) -> String {
        let seconds = self.cpu_time.as_secs();
        format!("{}:{:02}.{:02}", seconds / 60, seconds % 60, self.cpu_time.subsec_millis() / 10)
    }
}

/// To one decimal, as percentages are shown.
pub(crate) fn round(percent: f64) -> f64 {
    (percent * 10.0).round() / 10.0
}

/// Whole K, M, G … of 1024, rounded down; below 1024 bytes `B`.
pub(crate) fn human_bytes(bytes: u64) -> String {
    match bytes.checked_ilog2().unwrap_or(0) / 10 {
        0 => format!("{bytes}B"),
        power => format!("{}{}", bytes >> (10 * power), char::from(b"KMGTPE"[power as usize - 1])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_people_read_them() {
        let cases = [(0, "0B"), (1023, "1023B"), (1024, "1K"), (1536, "1K"), (1 << 20, "1M"), (u64::MAX, "15E")];
        for (bytes, text) in cases {
            assert_eq!(human_bytes(bytes), text);
        }
    }

    fn sample(at: Instant, os_pid: i32, started: SystemTime, cpu_ms: u64) -> ProcessStats {
        ProcessStats {
            os_pid: OsPid(os_pid),
            at,
            started,
            name: String::new(),
            cmdline: Vec::new(),
            username: String::new(),
            rss: 3 << 20,
            vms: 5 << 30,
            mem: 0.0,
            cpu_time: Duration::from_millis(cpu_ms),
            cpu: None,
            nice: 0,
            num_threads: 1,
            num_fds: None,
            children: Vec::new(),
        }
    }

    #[test]
    fn human_forms() {
        let now = (Instant::now(), SystemTime::now());
        let mut stats = sample(now.0, 7, now.1, 61_057);
        assert_eq!((stats.mem_info1(), stats.mem_info2(), stats.ctime()), ("3M".into(), "5G".into(), "1:01.05".into()));
        stats.cpu_time = Duration::from_secs(3 * 3600);
        assert_eq!(stats.ctime(), "180:00.00");
    }

    #[test]
    fn cpu_since_the_sample_before() {
        let (at, started) = (Instant::now(), SystemTime::now());
        let mut before = sample(at, 7, started, 1000);
        before.children.push(sample(at, 8, started, 500));
        let later = at + Duration::from_secs(2);
        let mut stats = sample(later, 7, started, 2000);
        stats.children.push(sample(later, 9, started, 10));
        stats.children.push(sample(later, 8, started + Duration::from_micros(3), 1501));
        stats.since(&before);
        assert_eq!(stats.cpu, Some(50.0));
        assert_eq!(stats.children[0].cpu, None, "it is new");
        assert_eq!(stats.children[1].cpu, Some(50.1));

        let mut reused = sample(later, 7, started + Duration::from_secs(60), 2000);
        reused.since(&before);
        assert_eq!(reused.cpu, None, "another process with the same number");
    }
}
