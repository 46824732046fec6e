//! The children that a gafferd has left, because it was killed or they are detached: the next one with the same pid file
//! names them.
//!
//! Nobody can adopt a process, but whoever starts the same programs again ought to know that the old ones are there and
//! hold their ports. So beside the pid file stands `<pidfile>.children`: a line for each process that was started, and one for
//! each that has ended. An end in good order removes it, unless a detached one lives on.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::mem::replace;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gaffer::log::Log;
use gaffer::manager::{App, Cx};
use gaffer::process::{Event, OsPid, Pid, What};
use gaffer::sys::stats::began;
use gaffer::{Error, Result};

/// When the file is longer it is written anew, with what lives; after that when it has doubled.
const MAX_BYTES: u64 = 64 << 10;

/// So many are named, the others counted.
const MAX_NAMED: usize = 10;

/// What a file may have to be read; ours cannot get near it.
const MAX_READ: u64 = 16 << 20;

/// Keeps the file.
#[derive(Debug)]
pub(crate) struct Survivors {
    path: PathBuf,
    file: File,
    log: Log,
    /// The lines of those that an earlier gafferd has left.
    left: Vec<Record>,
    written: u64,
    limit: u64,
    /// The last write has failed, which was told.
    failing: bool,
}

/// A process, and when the kernel says it began: the same number later is another one's.
#[derive(Clone, Debug, PartialEq)]
struct Record {
    os_pid: OsPid,
    start: u64,
    name: String,
}

impl Survivors {
    /// Names those of the last gafferd that still run, and begins a file of our own. None where the system does not tell
    /// when a process began, or no file can be made: that is said, and keeps nothing from running.
    pub(crate) fn open(pidfile: &Path, log: &Log) -> Option<Self> {
        let mut path = pidfile.as_os_str().to_owned();
        path.push(".children");
        let path = PathBuf::from(path);
        let boot = boot()?;
        let text = read(&path).unwrap_or_default();
        let mut left = records(&text, &boot);
        left.retain(Record::is_alive);
        for Record { os_pid, name, .. } in left.iter().take(MAX_NAMED) {
            log.warning(format_args!(
                "{name} (pid {os_pid}) of an earlier gafferd still runs, and nobody watches it; \
                 it may hold a port or a file. To end it: kill -- -{os_pid}"
            ));
        }
        if left.len() > MAX_NAMED {
            log.warning(format_args!("and {} more, all in {}", left.len() - MAX_NAMED, path.display()));
        }
        let made = create(&path).and_then(|file| {
            let (path, log) = (path.clone(), log.clone());
            let mut survivors = Self { path, file, log, left, written: 0, limit: MAX_BYTES, failing: false };
            survivors.begin(&boot, &[]).map(|()| survivors)
        });
        made.map_err(|e| log.warning(Error::io(format!("cannot make '{}'", path.display()), e))).ok()
    }

    /// The head, those that were left, and these.
    fn begin(&mut self, boot: &str, live: &[Record]) -> io::Result<()> {
        let mut text = format!("boot {boot}\n");
        self.left.iter().chain(live).for_each(|record| text.push_str(&record.line()));
        self.limit = MAX_BYTES.max(2 * text.len() as u64);
        self.written = 0;
        self.put(&text)
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        self.written += text.len() as u64;
        self.file.write_all(text.as_bytes())
    }

    fn note(&mut self, cx: &Cx<'_>, text: &str) {
        let mut outcome = self.put(text);
        if outcome.is_ok() && self.written > self.limit {
            outcome = create(&self.path).and_then(|file| {
                self.file = file;
                let pids = cx.list().into_iter().chain(cx.ending());
                let live: Vec<Record> = pids.filter_map(|pid| Record::of(cx, pid)).collect();
                self.begin(&boot().unwrap_or_default(), &live)
            });
        }
        // Once for a row of failures: a name may be missing then, if we are killed as well.
        match outcome {
            Err(e) if !replace(&mut self.failing, true) => {
                self.log.warning(Error::io(format!("cannot write '{}'", self.path.display()), e));
            }
            outcome => self.failing = outcome.is_err(),
        }
    }
}

impl App for Survivors {
    fn name(&self) -> &str {
        "survivors"
    }

    fn start(&mut self, _: &mut Cx<'_>) -> Result<()> {
        Ok(())
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Arc<Event>) {
        match event.what {
            What::Spawn { pid, .. } => {
                // One that has ended already needs no line.
                if let Some(record) = Record::of(cx, pid) {
                    self.note(cx, &record.line());
                }
            }
            What::Exit { os_pid: Some(os_pid), .. } => self.note(cx, &format!("- {os_pid}\n")),
            _ => {}
        }
    }
}

impl Drop for Survivors {
    fn drop(&mut self) {
        // What was left before us, and who is detached, may be there for the next one to name.
        let text = read(&self.path).unwrap_or_default();
        let all = boot().map(|boot| records(&text, &boot)).unwrap_or_default();
        if !all.iter().any(Record::is_alive) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Record {
    /// That of a process which runs.
    fn of(cx: &Cx<'_>, pid: Pid) -> Option<Self> {
        let process = cx.process(pid).ok()?;
        let os_pid = process.os_pid?;
        Some(Self { os_pid, start: began(os_pid)?, name: format!("{}.{}", process.name.short(), process.instance) })
    }

    /// Whether it runs still.
    fn is_alive(&self) -> bool {
        began(self.os_pid) == Some(self.start)
    }

    fn line(&self) -> String {
        format!("+ {} {} {}\n", self.os_pid, self.start, self.name)
    }
}

/// What a file of this boot has and has not taken back; lines that make no sense are no processes.
fn records(text: &str, boot: &str) -> Vec<Record> {
    let mut lines = text.lines();
    if lines.next().and_then(|line| line.strip_prefix("boot ")) != Some(boot) {
        return Vec::new();
    }
    let mut found: HashMap<OsPid, (usize, Record)> = HashMap::new();
    for (nth, line) in lines.enumerate() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |word: &str| word.parse().ok().filter(|pid| *pid > 1).map(OsPid);
        match words[..] {
            ["+", pid, start, name] => {
                if let (Some(os_pid), Ok(start)) = (number(pid), start.parse()) {
                    found.insert(os_pid, (nth, Record { os_pid, start, name: name.to_owned() }));
                }
            }
            ["-", pid] => drop(number(pid).and_then(|os_pid| found.remove(&os_pid))),
            _ => {}
        }
    }
    let mut found: Vec<(usize, Record)> = found.into_values().collect();
    found.sort_by_key(|(nth, _)| *nth);
    found.into_iter().map(|(_, record)| record).collect()
}

fn read(path: &Path) -> io::Result<String> {
    let file = OpenOptions::new().read(true).open(path)?;
    io::read_to_string(io::Read::take(file, MAX_READ))
}

/// A new file; one that is there may be somebody else's link.
fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// After another boot all numbers are others'.
fn boot() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_is_not_left_and_another_boot_has_none() {
        let text = "boot b\n+ 10 5 web.1\n+ 11 5 shop.web.2\n- 10\n+ 12 6 a.1\n- 12\n+ 12 9 a.1\nrubbish\n+ x 1 y\n+ 1 1 y\n+ 13 7 cut";
        let record = |os_pid, start, name: &str| Record { os_pid: OsPid(os_pid), start, name: name.to_owned() };
        let want = [record(11, 5, "shop.web.2"), record(12, 9, "a.1"), record(13, 7, "cut")];
        assert_eq!(records(text, "b"), want);
        assert_eq!(records(text, "c"), []);
        assert_eq!(records("", "b"), []);
        let again: String = want.iter().map(Record::line).collect();
        assert_eq!(records(&format!("boot b\n{again}"), "b"), want);
    }
}
