//! Log files against the pipeline that a shell makes: 1 GiB of lines from a child into a file.
//!
//! `cargo bench --bench logs`; each figure stands beside `child | cat > file`, measured in turn in the same run, on
//! the same file system: that of `GAFFER_BENCH_DIR`, or of the temporary folder. It takes 1 GiB there, for a while.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gaffer::Manager;
use gaffer::process::{JobConfig, LogFormat, Restart};

/// This program is its own child: it writes lines.
const CHILD: &str = "GAFFER_BENCH_CHILD";

const BYTES: usize = 1 << 30;
const ROUNDS: usize = 5;

fn main() {
    if env::var_os(CHILD).is_some() {
        return write_lines();
    }
    let folder = env::var_os("GAFFER_BENCH_DIR").map_or_else(env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("gaffer-logs-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    println!(
        "{:42} {:>12} {:>12} {:>8} {:>8} {:>13}",
        "1 GiB of lines into a file", "cat > file", "gaffer", "ratio", "target", "longest turn"
    );
    let job = |file: &Path| job().stdout_logfile(file).logfile_maxbytes(0);
    compare(&folder, "raw, not rotated", BYTES, ">= 0.7", &job);
    compare(&folder, "raw, rotated every 50 MiB", BYTES, "-", &|file| {
        job(file).logfile_maxbytes(50 << 20).logfile_backups(100)
    });
    compare(&folder, "raw, rotated, the oldest of 4 deleted", BYTES, "-", &|file| {
        job(file).logfile_maxbytes(50 << 20).logfile_backups(4)
    });
    compare(&folder, "prefix (a quarter of it)", BYTES / 4, "-", &|file| job(file).log_format(LogFormat::Prefix));
    compare(&folder, "json (a quarter of it)", BYTES / 4, "-", &|file| job(file).log_format(LogFormat::Json));
    fs::remove_dir_all(&folder).unwrap();
}

fn write_lines() {
    let bytes: usize = env::var(CHILD).unwrap().parse().unwrap();
    let line = "2026-11-21 12:00:00 INFO request 4711 took 17 ms and was answered with 200\n";
    let block = line.repeat(64 * 1024 / line.len());
    let mut out = std::io::stdout().lock();
    for _ in 0..bytes / block.len() {
        out.write_all(block.as_bytes()).unwrap();
    }
}

fn job() -> JobConfig {
    let program = env::current_exe().unwrap();
    JobConfig::new("lines", format!("'{}'", program.display())).unwrap().restart(Restart::Never)
}

fn compare(folder: &Path, what: &str, bytes: usize, target: &str, job: &dyn Fn(&Path) -> JobConfig) {
    let (mut bare, mut ours, mut turns) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(timed(folder, |file| by_cat(file, bytes)));
        ours.push(timed(folder, |file| turns.push(by_gaffer(job(file).env(CHILD, bytes.to_string())))));
    }
    turns.sort();
    let turn = turns[turns.len() / 2].as_secs_f64() * 1e3;
    let mib = bytes as f64 / f64::from(1 << 20);
    let [bare, ours] = [bare, ours].map(|mut seconds: Vec<f64>| {
        seconds.sort_by(f64::total_cmp);
        mib / seconds[seconds.len() / 2]
    });
    println!("{what:42} {bare:>6.0} MiB/s {ours:>6.0} MiB/s {:>8.2} {target:>8} {turn:>10.1} ms", ours / bare);
}

fn timed(folder: &Path, f: impl FnOnce(&Path)) -> f64 {
    let start = Instant::now();
    f(&folder.join("log"));
    let seconds = start.elapsed().as_secs_f64();
    for entry in fs::read_dir(folder).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    seconds
}

fn by_cat(file: &Path, bytes: usize) {
    let mut child = Command::new(env::current_exe().unwrap());
    let mut child = child.env(CHILD, bytes.to_string()).stdout(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdout.take().unwrap();
    let cat = Command::new("cat").stdin(stdin).stdout(File::create(file).unwrap()).status().unwrap();
    assert!(cat.success() && child.wait().unwrap().success());
}

/// For how long its loop served nobody else at most: not all of it was given to us, as the child needs a processor too.
fn by_gaffer(job: JobConfig) -> Duration {
    let mut manager = Manager::new().unwrap();
    manager.load(job, true).unwrap();
    manager.cx().once("exit", |cx, _, _| cx.stop());
    while manager.turn(Some(Duration::from_secs(1))).unwrap() == gaffer::manager::Status::Running {}
    manager.turn_times().longest()
}
