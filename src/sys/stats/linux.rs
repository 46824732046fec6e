//! Linux: `/proc`, read with one open for each file and into buffers that are kept.

use std::collections::HashMap;
use std::ffi::{CStr, c_int};
use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

use crate::process::stats::round;
use crate::process::{OsPid, ProcessStats};
use crate::sys::{clock, cvt, retry, users};

/// How much of a command line is read, in bytes; the rest is left out.
const CMDLINE: usize = 4096;
/// How deep children of children are followed.
const DEPTH: usize = 32;
/// How long the name of a file in `/proc` can get here.
const PATH: usize = 32;

/// A look through the processes of the system, and samples of those that were seen.
///
/// Every process of the system is looked at (some microseconds for each), because that is how Linux tells
/// who is whose child. [`begin`](Self::begin) and [`advance`](Self::advance) do it in slices;
/// [`restart`](Self::restart) does it again with the same buffers.
pub struct Snapshot {
    scan: Scan,
    done: bool,
    /// By number, once done.
    seen: Vec<Seen>,
    /// Parent and index in `seen`, sorted, once done.
    children: Vec<(i32, u32)>,
    machine: Machine,
    names: Vec<(u32, String)>,
    /// What was read beside, by index in `seen`.
    details: HashMap<usize, Details>,
    buffer: Vec<u8>,
}

/// What files other than `stat` say.
#[derive(Clone)]
struct Details {
    cmdline: Vec<String>,
    username: String,
    num_fds: Option<u32>,
}

impl Snapshot {
    /// Looks through all processes.
    ///
    /// # Errors
    ///
    /// The operating system's, if `/proc` cannot be read.
    pub fn new() -> io::Result<Self> {
        let mut snapshot = Self::begin()?;
        while !snapshot.advance(Instant::now() + Duration::from_secs(1))? {}
        Ok(snapshot)
    }

    /// Starts a look through all processes.
    ///
    /// # Errors
    ///
    /// The operating system's, if `/proc` cannot be opened.
    pub fn begin() -> io::Result<Self> {
        Ok(Self {
            scan: Scan::new(32 * 1024)?,
            done: false,
            seen: Vec::new(),
            children: Vec::new(),
            machine: Machine::ask()?,
            names: Vec::new(),
            details: HashMap::new(),
            buffer: vec![0; CMDLINE],
        })
    }

    /// Looks at one process only, whose sample has no children then.
    ///
    /// # Errors
    ///
    /// The operating system's, if the process cannot be looked at, e.g. because it is gone.
    pub fn only(os_pid: OsPid) -> io::Result<Self> {
        let mut snapshot = Self::begin()?;
        let n = snapshot.scan.read(os_pid.0, "/stat", &mut snapshot.buffer)?;
        snapshot.seen.extend(Seen::parse(os_pid.0, &snapshot.buffer[..n]));
        snapshot.done = true;
        Ok(snapshot)
    }

    /// Forgets what was seen and starts again.
    ///
    /// # Errors
    ///
    /// The operating system's, if `/proc` cannot be read.
    pub fn restart(&mut self) -> io::Result<()> {
        self.machine = Machine::ask()?;
        self.done = false;
        self.seen.clear();
        self.children.clear();
        self.details.clear();
        self.scan.rewind()
    }

    /// Goes on looking until the deadline; whether all processes have been seen.
    ///
    /// Looks at one process at least, so repeated calls come to an end.
    ///
    /// # Errors
    ///
    /// The operating system's, if `/proc` cannot be read.
    pub fn advance(&mut self, deadline: Instant) -> io::Result<bool> {
        while !self.done {
            let Some(seen) = self.scan.next()? else {
                self.seen.sort_unstable_by_key(|seen| seen.pid);
                self.seen.dedup_by_key(|seen| seen.pid);
                self.children.extend(self.seen.iter().zip(0..).map(|(seen, i)| (seen.ppid, i)));
                self.children.sort_unstable();
                self.done = true;
                break;
            };
            let late = seen.at >= deadline;
            self.seen.push(seen);
            if late {
                break;
            }
        }
        Ok(self.done)
    }

    /// Reads ahead what [`sample`](Self::sample) tells of a process and its children beyond what was seen, until the
    /// deadline; whether that is all of it.
    ///
    /// Reads of one process at least, so repeated calls come to an end. Of no use before all have been seen.
    pub fn prepare(&mut self, os_pid: OsPid, deadline: Instant) -> bool {
        let mut family: Vec<_> = self.find(os_pid).map(|index| (index, DEPTH)).into_iter().collect();
        while let Some((index, depth)) = family.pop() {
            if !self.details.contains_key(&index) {
                let details = self.read_details(self.seen[index].pid);
                self.details.insert(index, details);
                if Instant::now() >= deadline {
                    return false;
                }
            }
            if depth > 0 {
                family.extend(self.children_of(index).map(|child| (child, depth - 1)));
            }
        }
        true
    }

    /// What a process used when it was looked at, and its children; `None` if it was not seen, or only part
    /// of the processes has been looked at yet.
    ///
    /// Costs some microseconds for each process in the answer that was not [prepared](Self::prepare). Children are
    /// followed 32 levels deep, and 4096 bytes of each command line are read.
    pub fn sample(&mut self, os_pid: OsPid) -> Option<ProcessStats> {
        let index = self.find(os_pid)?;
        Some(self.stats(index, DEPTH))
    }

    fn find(&self, os_pid: OsPid) -> Option<usize> {
        if !self.done {
            return None;
        }
        self.seen.binary_search_by_key(&os_pid.0, |seen| seen.pid).ok()
    }

    /// The children, as indices in `seen`.
    fn children_of(&self, index: usize) -> impl Iterator<Item = usize> + use<'_> {
        let Seen { pid, start, .. } = self.seen[index];
        let from = self.children.partition_point(|(parent, _)| *parent < pid);
        let to = self.children.partition_point(|(parent, _)| *parent <= pid);
        let children = self.children[from..to].iter().map(|(_, child)| *child as usize);
        // The processes were not looked at in one moment: an older "child" is the child of another
        // process that had the number before.
        children.filter(move |child| self.seen[*child].start >= start)
    }

    fn stats(&mut self, index: usize, depth: usize) -> ProcessStats {
        let mut children = Vec::new();
        if depth > 0 {
            let indices: Vec<_> = self.children_of(index).collect();
            children.extend(indices.into_iter().map(|child| self.stats(child, depth - 1)));
        }
        let pid = self.seen[index].pid;
        let Details { cmdline, username, num_fds } = match self.details.get(&index) {
            Some(details) => details.clone(),
            None => self.read_details(pid),
        };
        let (seen, machine) = (&self.seen[index], &self.machine);
        let rss = seen.rss * machine.page;
        ProcessStats {
            os_pid: OsPid(pid),
            at: seen.at,
            started: machine.booted + machine.time(seen.start),
            name: String::from_utf8_lossy(&seen.name[..seen.name_len]).into_owned(),
            rss,
            vms: seen.vms,
            mem: round(100.0 * rss as f64 / machine.memory as f64),
            cpu_time: machine.time(seen.cpu),
            cpu: None,
            nice: seen.nice,
            num_threads: seen.threads,
            cmdline,
            username,
            num_fds,
            children,
        }
    }

    fn read_details(&mut self, pid: i32) -> Details {
        Details { cmdline: self.cmdline(pid), username: self.username(pid), num_fds: self.num_fds(pid) }
    }

    fn cmdline(&mut self, pid: i32) -> Vec<String> {
        let n = self.scan.read(pid, "/cmdline", &mut self.buffer).unwrap_or(0);
        let mut line = &self.buffer[..n];
        while let [rest @ .., 0] = line {
            line = rest;
        }
        if line.is_empty() {
            return Vec::new();
        }
        line.split(|b| *b == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect()
    }

    fn username(&mut self, pid: i32) -> String {
        // The folder, unlike the files in it, belongs to the effective user of any process.
        let Some(uid) = self.scan.stat(pid, "").map(|stat| stat.st_uid) else {
            return String::new();
        };
        if let Some((_, name)) = self.names.iter().find(|(known, _)| *known == uid) {
            return name.clone();
        }
        let name = users::user_name(uid).unwrap_or_else(|| uid.to_string());
        self.names.push((uid, name.clone()));
        name
    }

    fn num_fds(&mut self, pid: i32) -> Option<u32> {
        // Linux 6.2: the size of this folder is the number of descriptors (proc_pid_fd(5)). Before, it is 0.
        match self.scan.stat(pid, "/fd").map(|stat| stat.st_size) {
            Some(0) | None => {}
            Some(n) => return u32::try_from(n).ok(),
        }
        self.count_fds(pid)
    }

    fn count_fds(&mut self, pid: i32) -> Option<u32> {
        let dir = self.scan.open(pid, "/fd", libc::O_DIRECTORY).ok()?;
        let mut n = 0;
        loop {
            let filled = getdents(&dir, &mut self.buffer).ok()?;
            if filled == 0 {
                // Without `.` and `..`.
                return Some(u32::saturating_sub(n, 2));
            }
            n += Names(&self.buffer[..filled]).count() as u32;
        }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("seen", &self.seen.len()).field("done", &self.done).finish_non_exhaustive()
    }
}

/// The process groups, each with one who runs in it, or `None` where there are but zombies; `None` if `/proc`
/// cannot be read.
pub(crate) fn groups() -> Option<HashMap<OsPid, Option<OsPid>>> {
    let mut scan = Scan::new(32 * 1024).ok()?;
    let mut groups = HashMap::new();
    while let Some(seen) = scan.next().ok()? {
        let member = groups.entry(OsPid(seen.group)).or_default();
        if seen.runs() {
            *member = Some(OsPid(seen.pid));
        }
    }
    Some(groups)
}

/// Whether this process runs and is a member of the group.
pub(crate) fn is_member(os_pid: OsPid, group: OsPid) -> bool {
    look(os_pid).is_some_and(|seen| seen.runs() && seen.group == group.0)
}

/// Whether this process has ended, and its parent has not noticed yet.
pub(crate) fn is_zombie(os_pid: OsPid) -> bool {
    look(os_pid).is_some_and(|seen| !seen.runs())
}

/// When a process that runs began, in ticks of the kernel's clock: with its number this names one process of all since
/// the machine was booted. `None` if there is none, it has ended, or the system does not tell.
#[must_use]
pub fn began(os_pid: OsPid) -> Option<u64> {
    look(os_pid).filter(Seen::runs).map(|seen| seen.start)
}

fn look(os_pid: OsPid) -> Option<Seen> {
    let mut line = [0; 1024];
    let n = Scan::new(0).and_then(|scan| scan.read(os_pid.0, "/stat", &mut line)).ok()?;
    Seen::parse(os_pid.0, &line[..n])
}

/// What is the same for all processes.
struct Machine {
    /// Bytes.
    page: u64,
    /// Bytes.
    memory: u64,
    /// Ticks of the clock in a second.
    hertz: u64,
    booted: SystemTime,
}

impl Machine {
    fn ask() -> io::Result<Self> {
        // SAFETY: numbers only; all zeroes is valid, and the calls fill it in.
        unsafe {
            let mut info: libc::sysinfo = mem::zeroed();
            cvt(libc::sysinfo(&mut info))?;
            Ok(Self {
                page: libc::sysconf(libc::_SC_PAGESIZE).max(1) as u64,
                memory: (info.totalram as u64 * u64::from(info.mem_unit)).max(1),
                hertz: libc::sysconf(libc::_SC_CLK_TCK).max(1) as u64,
                booted: clock::booted(),
            })
        }
    }

    fn time(&self, ticks: u64) -> Duration {
        Duration::from_millis(ticks / self.hertz * 1000 + ticks % self.hertz * 1000 / self.hertz)
    }
}

/// What `/proc/PID/stat` says (proc_pid_stat(5)).
#[derive(Clone)]
struct Seen {
    pid: i32,
    ppid: i32,
    group: i32,
    state: u8,
    nice: i32,
    threads: u32,
    /// Ticks, in user and kernel mode.
    cpu: u64,
    /// Ticks since the machine was booted.
    start: u64,
    /// Bytes.
    vms: u64,
    /// Pages.
    rss: u64,
    at: Instant,
    name: [u8; 64],
    name_len: usize,
}

impl Seen {
    fn runs(&self) -> bool {
        // A process whose first thread has ended looks like a zombie while its other threads run.
        !matches!(self.state, b'Z' | b'X' | b'x') || self.threads > 1
    }

    fn parse(pid: i32, line: &[u8]) -> Option<Self> {
        // The name stands in brackets and may itself have brackets and blanks.
        let open = line.iter().position(|b| *b == b'(')?;
        let close = line.iter().rposition(|b| *b == b')')?;
        let mut name = [0; 64];
        let text = line.get(open + 1..close)?;
        let name_len = text.len().min(name.len());
        name[..name_len].copy_from_slice(&text[..name_len]);

        let mut fields = line[close + 1..].split(|b| b.is_ascii_whitespace()).filter(|field| !field.is_empty());
        let state = *fields.next()?.first()?;
        // Field 4 of the manual page is number 0 of these.
        let mut numbers = [0i64; 21];
        for (number, field) in numbers.iter_mut().zip(fields) {
            // Fields past i64 are addresses and limits, which we do not read.
            *number = std::str::from_utf8(field).ok()?.parse().unwrap_or(0);
        }
        let unsigned = |n: usize| u64::try_from(numbers[n - 4]).unwrap_or(0);
        Some(Self {
            pid,
            ppid: numbers[0] as i32,
            group: numbers[1] as i32,
            state,
            cpu: unsigned(14) + unsigned(15),
            nice: numbers[19 - 4] as i32,
            threads: unsigned(20) as u32,
            start: unsigned(22),
            vms: unsigned(23),
            rss: unsigned(24),
            at: Instant::now(),
            name,
            name_len,
        })
    }
}

/// A walk through the processes.
struct Scan {
    proc: OwnedFd,
    entries: Vec<u8>,
    /// What is left to read of `entries`.
    from: usize,
    to: usize,
}

impl Scan {
    fn new(buffer: usize) -> io::Result<Self> {
        Self::of(c"/proc", buffer)
    }

    fn of(path: &CStr, buffer: usize) -> io::Result<Self> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
        let opened = retry(|| {
            // SAFETY: a path ended by NUL.
            unsafe { libc::open(path.as_ptr(), flags) }
        });
        let fd = opened.map_err(|e| match e.kind() {
            // A chroot, for instance: asking again is of no use.
            io::ErrorKind::NotFound => io::Error::new(io::ErrorKind::Unsupported, "there is no /proc"),
            _ => e,
        })?;
        // SAFETY: opened just now, for us.
        let proc = unsafe { OwnedFd::from_raw_fd(fd) };
        // What is mounted there may be nothing, or count the processes of another namespace, where our numbers mean others.
        if own_number(&proc) != Some(std::process::id()) {
            let what = "/proc does not know this process: it is not mounted, or that of another PID namespace";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        Ok(Self { proc, entries: vec![0; buffer], from: 0, to: 0 })
    }

    fn rewind(&mut self) -> io::Result<()> {
        (self.from, self.to) = (0, 0);
        // SAFETY: plain numbers.
        let position = unsafe { libc::lseek(self.proc.as_raw_fd(), 0, libc::SEEK_SET) };
        if position == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn next(&mut self) -> io::Result<Option<Seen>> {
        let mut line = [0; 1024];
        loop {
            if self.from == self.to {
                (self.from, self.to) = (0, getdents(&self.proc, &mut self.entries)?);
                if self.to == 0 {
                    return Ok(None);
                }
            }
            let mut names = Names(&self.entries[self.from..self.to]);
            let pid = names.next().and_then(|name| std::str::from_utf8(name).ok()?.parse().ok());
            self.from = self.to - names.0.len();
            let Some(pid) = pid else { continue };
            let n = match self.read(pid, "/stat", &mut line) {
                Ok(n) => n,
                // Those that were left out would pass for ended.
                Err(e) if matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => {
                    return Err(e);
                }
                // It may have ended meanwhile, or be hidden (hidepid of proc(5)).
                Err(_) => continue,
            };
            if let Some(seen) = Seen::parse(pid, &line[..n]) {
                return Ok(Some(seen));
            }
        }
    }

    fn open(&self, pid: i32, file: &str, flags: c_int) -> io::Result<OwnedFd> {
        let mut path = [0; PATH];
        let path = name(&mut path, pid, file);
        let flags = libc::O_RDONLY | libc::O_CLOEXEC | flags;
        // SAFETY: a path ended by NUL; the descriptor is ours.
        unsafe { Ok(OwnedFd::from_raw_fd(retry(|| libc::openat(self.proc.as_raw_fd(), path.as_ptr(), flags))?)) }
    }

    /// Reads once: the kernel gives such a file whole, up to the size of the buffer.
    fn read(&self, pid: i32, file: &str, buffer: &mut [u8]) -> io::Result<usize> {
        let file = self.open(pid, file, 0)?;
        // SAFETY: at most the buffer's length is written.
        let n = retry(|| unsafe { libc::read(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) as c_int })?;
        Ok(n as usize)
    }

    fn stat(&self, pid: i32, file: &str) -> Option<libc::stat> {
        let mut path = [0; PATH];
        let path = name(&mut path, pid, file);
        // SAFETY: numbers only; all zeroes is valid.
        let mut stat: libc::stat = unsafe { mem::zeroed() };
        // SAFETY: a path ended by NUL, and room for the answer.
        cvt(unsafe { libc::fstatat(self.proc.as_raw_fd(), path.as_ptr(), &mut stat, 0) }).ok()?;
        Some(stat)
    }
}

/// The number of this process as this `/proc` counts (proc_self(5)).
fn own_number(proc: &OwnedFd) -> Option<u32> {
    let mut text = [0; PATH];
    // SAFETY: a constant path; at most the buffer's length is written.
    let n = unsafe { libc::readlinkat(proc.as_raw_fd(), c"self".as_ptr(), text.as_mut_ptr().cast(), text.len()) };
    let text = text.get(..usize::try_from(n).ok()?)?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `PID` and the file, without allocating.
fn name<'a>(path: &'a mut [u8; PATH], pid: i32, file: &str) -> &'a CStr {
    use std::io::Write;
    let mut rest = &mut path[..PATH - 1];
    write!(rest, "{pid}{file}").expect("a number and a short constant");
    CStr::from_bytes_until_nul(path).expect("the last byte stays zero")
}

/// Fills the buffer with entries of a folder; 0 at the end.
fn getdents(dir: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: at most the buffer's length is written.
    let n = unsafe { libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), buffer.as_mut_ptr(), buffer.len()) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// The names in a buffer of `struct linux_dirent64` (getdents(2)): ino 8, off 8, reclen 2, type 1, name.
struct Names<'a>(&'a [u8]);

impl<'a> Iterator for Names<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(u16::from_ne_bytes([*self.0.get(16)?, *self.0.get(17)?]));
        let entry = self.0.get(..length)?;
        self.0 = &self.0[length..];
        let name = entry.get(19..)?;
        Some(&name[..name.iter().position(|b| *b == 0).unwrap_or(name.len())])
    }
}

#[cfg(test)]
mod tests;
