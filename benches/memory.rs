//! What `gafferd` and `gaffer start` take with 500 idle programs, and where: the proportional set size
//! (PSS) of every mapping, from `/proc/PID/smaps`.
//!
//! `cargo bench --bench memory`; `GAFFER_BIN=FOLDER` measures the binaries of another build, an argument
//! gives another number of programs. The bound is 4 MiB for 500.
#![allow(clippy::print_stdout, clippy::unwrap_used)]
#![cfg_attr(not(target_os = "linux"), allow(unused))]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

const PROGRAMS: usize = 500;
const MAX_KIB: u64 = 4096;
const PATIENCE: Duration = Duration::from_secs(60);
/// Whoever has not changed for so long is idle.
const QUIET: Duration = Duration::from_secs(2);

fn main() {
    let programs = env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(PROGRAMS);
    let folder = env::temp_dir().join(format!("gaffer-memory-{}", process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (mut ini, mut procfile) = (format!("[gaffer]\nbind = unix:{}/socket\n", folder.display()), String::new());
    for n in 0..programs {
        write!(ini, "\n[process:p{n:03}]\ncmd = sleep 1000\nnumprocesses = 1\ngraceful_timeout = 1\n").unwrap();
        writeln!(procfile, "p{n:03}: sleep 1000").unwrap();
    }
    fs::write(folder.join("gaffer.ini"), ini).unwrap();
    fs::write(folder.join("Procfile"), procfile).unwrap();

    let mut table = BTreeMap::new();
    let runs = [("gafferd", vec!["-c", "gaffer.ini"]), ("gaffer", vec!["start"])];
    for (column, (name, args)) in runs.iter().enumerate() {
        for (part, kib) in measure(&binary(name), args, &folder, programs) {
            table.entry(part).or_insert([0; 2])[column] = kib;
        }
    }
    let _ = fs::remove_dir_all(&folder);
    println!("{:28} {:>10} {:>14}", format!("KiB with {programs} programs"), "gafferd", "gaffer start");
    let mut total = [0; 2];
    for (part, kib) in &table {
        println!("{part:28} {:>10} {:>14}", kib[0], kib[1]);
        total = [total[0] + kib[0], total[1] + kib[1]];
    }
    println!("{:28} {:>10} {:>14}", "PSS", total[0], total[1]);
    if programs == PROGRAMS {
        let verdict = |kib: u64| if kib <= MAX_KIB { "met" } else { "MISSED" };
        println!("{:28} {:>10} {:>14}", format!("at most {MAX_KIB}"), verdict(total[0]), verdict(total[1]));
    }
}

fn binary(name: &str) -> PathBuf {
    let own = if name == "gafferd" { env!("CARGO_BIN_EXE_gafferd") } else { env!("CARGO_BIN_EXE_gaffer") };
    env::var_os("GAFFER_BIN").map_or_else(|| own.into(), |folder| Path::new(&folder).join(name))
}

/// A supervisor that is asked to end, whatever happens.
struct Supervisor(Child);

impl Drop for Supervisor {
    fn drop(&mut self) {
        let pid = self.0.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.0.wait();
    }
}

/// KiB by part, once all programs run and nothing changes any more.
fn measure(binary: &Path, args: &[&str], folder: &Path, programs: usize) -> BTreeMap<&'static str, u64> {
    let mut command = Command::new(binary);
    command.args(args).current_dir(folder).env("XDG_RUNTIME_DIR", folder);
    let quiet = || Stdio::from(fs::File::create(folder.join("output")).unwrap());
    let supervisor = Supervisor(command.stdin(Stdio::null()).stdout(quiet()).stderr(quiet()).spawn().unwrap());
    let pid = supervisor.0.id();
    let deadline = Instant::now() + PATIENCE;
    let (mut since, mut last) = (Instant::now(), None);
    while since.elapsed() < QUIET {
        let output = fs::read_to_string(folder.join("output")).unwrap_or_default();
        assert!(Instant::now() < deadline, "{} of {programs} programs run\n{output}", sleeping(pid));
        let now = (sleeping(pid), switches(pid));
        if now.0 < programs || last != Some(now) {
            (since, last) = (Instant::now(), Some(now));
        }
        thread::sleep(Duration::from_millis(100));
    }
    parts(pid, binary)
}

/// How many children have become the program.
fn sleeping(pid: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let is_program = |pid: &&str| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n");
    children.map(|pids| pids.split_whitespace().filter(is_program).count()).sum()
}

/// How often its threads went to sleep.
fn switches(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let status = tasks.map(|task| fs::read_to_string(task.path().join("status")).unwrap_or_default());
    let count = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    status.map(count).sum()
}

fn parts(pid: u32, binary: &Path) -> BTreeMap<&'static str, u64> {
    let binary = binary.canonicalize().unwrap().display().to_string();
    let text = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let (mut parts, mut part) = (BTreeMap::new(), "");
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match (words.next().unwrap_or(""), words.next().unwrap_or("")) {
            ("Pss:", kib) => *parts.entry(part).or_default() += kib.parse::<u64>().unwrap(),
            (first, rights) if !first.ends_with(':') => {
                let path = words.nth(3).unwrap_or("");
                part = match (path, rights) {
                    (path, "r-xp") if path == binary => "1 text",
                    (path, "r--p") if path == binary && is_relocated(line, &text) => "3 relocated data",
                    (path, "r--p") if path == binary => "2 read-only data",
                    (path, _) if path == binary => "4 data",
                    ("[heap]", _) => "5 heap",
                    ("[stack]", _) => "6 stack",
                    ("", _) => "7 anonymous, threads",
                    _ => "8 shared libraries",
                };
            }
            _ => {}
        }
    }
    parts
}

/// Whether the mapping that begins with this line has pages of its own: the dynamic linker wrote to it before it
/// was sealed.
fn is_relocated(head: &str, smaps: &str) -> bool {
    let rest = smaps.split_once(head).map_or("", |(_, rest)| rest);
    let own = rest.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    own.is_some_and(|kib| !kib.trim().starts_with("0 "))
}
