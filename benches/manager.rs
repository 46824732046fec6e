//! The manager and the `gaffer` tool against the bare system: starting 500 programs, replacing one that was
//! killed, and 1 GiB of lines through `gaffer start`.
//!
//! `cargo bench --bench manager`; each figure stands beside its base, measured in turn in the same run.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, ptr};

use gaffer::Manager;
use gaffer::process::{Backoff, JobConfig, What};

fn main() {
    println!("{:42} {:>12} {:>12} {:>8} {:>8}", "", "bare", "gaffer", "ratio", "target");
    start_500();
    replace_killed();
    flood();
}

fn report(what: &str, unit: &str, bare: f64, ours: f64, ratio: f64, target: &str) {
    println!("{what:42} {bare:>9.2} {unit} {ours:>9.2} {unit} {ratio:>8.2} {target:>8}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn timed(f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    start.elapsed().as_secs_f64() * 1e3
}

/// 500 programs: `Manager::load` until the last is executed, against a loop of posix_spawn(3), which
/// returns when the program is executed too.
fn start_500() {
    const N: u32 = 500;
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        let mut pids = Vec::new();
        bare.push(timed(|| pids.extend((0..N).map(|_| posix_spawn(&["/bin/sleep", "1000"])))));
        for pid in pids {
            end(pid);
        }

        let mut manager = Manager::new().unwrap();
        let started = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&started);
        manager.cx().on("spawn", move |_, _, _| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        ours.push(timed(|| {
            manager.load(JobConfig::new("sleep", "/bin/sleep 1000").unwrap().numprocesses(N), true).unwrap();
            while started.load(Ordering::Relaxed) < N as usize {
                let _ = manager.turn(Some(Duration::ZERO)).unwrap();
            }
        }));
        manager.stop();
        manager.run().unwrap();
    }
    let (bare, ours) = (median(bare), median(ours));
    report("start 500 programs", "ms", bare, ours, ours / bare, "<= 1.3");
}

/// From kill -9 to the replacement being executed, against kill, waitpid, fork and exec by hand.
fn replace_killed() {
    let mut manager = Manager::new().unwrap();
    let latest = Arc::new(AtomicI32::new(0));
    let store = Arc::clone(&latest);
    manager.cx().on("spawn", move |_, _, event| {
        if let What::Spawn { os_pid, .. } = event.what {
            store.store(os_pid.0, Ordering::Relaxed);
        }
    });
    let job = JobConfig::new("sleep", "/bin/sleep 1000").unwrap().backoff(Backoff::OFF);
    manager.load(job, true).unwrap();
    let wait = |manager: &mut Manager, old: i32| {
        let deadline = Instant::now() + Duration::from_secs(10);
        while latest.load(Ordering::Relaxed) == old {
            let _ = manager.turn(Some(Duration::from_secs(1))).unwrap();
            assert!(Instant::now() < deadline, "no replacement came");
        }
        latest.load(Ordering::Relaxed)
    };
    let mut current = wait(&mut manager, 0);
    let mut by_hand = fork_exec();

    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        bare.push(timed(|| {
            end(by_hand);
            by_hand = fork_exec();
        }));
        ours.push(timed(|| {
            kill(current);
            current = wait(&mut manager, current);
        }));
    }
    end(by_hand);
    manager.stop();
    manager.run().unwrap();
    let (bare, ours) = (median(bare), median(ours));
    report("kill -9 to replacement executed", "ms", bare, ours, ours / bare, "<= 1.5");
}

/// 1 GiB of lines of 100 bytes through `gaffer start`, against `cat`, from the same writer.
fn flood() {
    const PIECE: usize = 64 << 20;
    let folder = Folder::new();
    let mut file = File::create(folder.0.join("lines")).unwrap();
    let lines = [&[b'x'; 99][..], b"\n"].concat().repeat(PIECE / 100);
    file.write_all(&lines).unwrap();
    let writer = format!("cat {}", vec!["lines"; (1 << 30) / PIECE].join(" "));
    fs::write(folder.0.join("Procfile"), format!("flood: {writer}\n")).unwrap();
    let total = (lines.len() * ((1 << 30) / PIECE)) as f64 / f64::from(1 << 20);

    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        bare.push(
            total
                / timed(|| {
                    let mut pipe = Command::new("/bin/sh");
                    pipe.args(["-c", &format!("{writer} | cat")]).current_dir(&folder.0).stdout(Stdio::null());
                    assert!(pipe.status().unwrap().success());
                }),
        );
        ours.push(
            total
                / timed(|| {
                    let mut gaffer = Command::new(env!("CARGO_BIN_EXE_gaffer"));
                    gaffer.args(["start", "--exit-on", "all"]).current_dir(&folder.0).stdout(Stdio::null());
                    assert!(gaffer.status().unwrap().success());
                }),
        );
    }
    // MiB a millisecond are about GB/s.
    let (bare, ours) = (median(bare), median(ours));
    report("1 GiB of lines through `gaffer start` (cat)", "GB", bare, ours, ours / bare, ">= 0.5");
}

fn posix_spawn(argv: &[&str]) -> i32 {
    let argv: Vec<CString> = argv.iter().map(|word| CString::new(*word).unwrap()).collect();
    let mut pointers: Vec<_> = argv.iter().map(|word| word.as_ptr().cast_mut()).collect();
    pointers.push(ptr::null_mut());
    let mut pid = 0;
    // SAFETY: a null-terminated array of strings that live until the call returns.
    let result = unsafe {
        libc::posix_spawn(&mut pid, argv[0].as_ptr(), ptr::null(), ptr::null(), pointers.as_ptr(), environ())
    };
    assert_eq!(result, 0);
    pid
}

unsafe extern "C" {
    #[link_name = "environ"]
    static ENVIRON: *const *mut libc::c_char;
}

fn environ() -> *const *mut libc::c_char {
    // SAFETY: nobody in this program changes the environment.
    unsafe { ENVIRON }
}

/// fork(2) and execve(2) with the pipe that tells when the program is executed.
fn fork_exec() -> i32 {
    let argv = [c"/bin/sleep".as_ptr(), c"1000".as_ptr(), ptr::null()];
    let mut pipe = [0; 2];
    // SAFETY: plain system calls; the child does nothing but exec.
    unsafe {
        assert_eq!(libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC), 0);
        let pid = libc::fork();
        if pid == 0 {
            libc::execve(argv[0], argv.as_ptr(), environ().cast());
            libc::_exit(127);
        }
        libc::close(pipe[1]);
        let mut byte = 0_u8;
        assert_eq!(libc::read(pipe[0], ptr::from_mut(&mut byte).cast(), 1), 0);
        libc::close(pipe[0]);
        pid
    }
}

fn kill(pid: i32) {
    // SAFETY: a child of ours.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
}

fn end(pid: i32) {
    kill(pid);
    // SAFETY: a child of ours.
    assert_eq!(unsafe { libc::waitpid(pid, ptr::null_mut(), 0) }, pid);
}

/// A folder that goes with the bench, in memory where the system has such a place.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let shm = PathBuf::from("/dev/shm");
        let base = if shm.is_dir() { shm } else { env::temp_dir() };
        let folder = base.join(format!("gaffer-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
