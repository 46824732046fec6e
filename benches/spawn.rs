//! Starting `/bin/true` 500 times: ours, bare `posix_spawn`, and `std::process::Command`, in a small parent
//! and in one that has touched 200 MiB.
//!
//! The rounds are interleaved; the medians are compared with bare `posix_spawn`, whose time is the base.

#![allow(clippy::print_stdout)]

use std::ffi::CString;
use std::process::{Command, Stdio};
use std::ptr;
use std::time::{Duration, Instant};

use gaffer::process::Exit;
use gaffer::sys::{SpawnPlan, Spawner};

const SPAWNS: usize = 500;
const PROGRAM: &str = "/bin/true";

/// Time until exec, and until the child is reaped.
type Times = (Duration, Duration);

type Contender<'a> = (&'static str, Vec<Times>, Box<dyn FnMut() -> Times + 'a>);

fn main() {
    let mut spawner = Spawner::new().expect("a spawner");
    println!("{SPAWNS} x {PROGRAM}, medians; ratios against bare posix_spawn");
    round(&mut spawner, "small parent");
    let memory = vec![1u8; 200 << 20];
    round(&mut spawner, "200 MiB parent");
    assert_eq!(memory[memory.len() / 2], 1);
}

fn round(spawner: &mut Spawner, parent: &str) {
    let plan = SpawnPlan::new([PROGRAM]);
    let program = CString::new(PROGRAM).expect("no NUL");
    let mut contenders: [Contender<'_>; 3] = [
        ("posix_spawn", Vec::new(), Box::new(|| bare(&program))),
        ("gaffer", Vec::new(), Box::new(|| ours(spawner, &plan))),
        ("Command", Vec::new(), Box::new(command)),
    ];
    for _ in 0..SPAWNS {
        for (_, times, run) in &mut contenders {
            times.push(run());
        }
    }
    let median = |times: &[Times], pick: fn(&Times) -> Duration| {
        let mut times: Vec<f64> = times.iter().map(|t| pick(t).as_secs_f64() * 1e6).collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let base = (median(&contenders[0].1, |t| t.0), median(&contenders[0].1, |t| t.1));
    println!("{parent}:");
    for (name, times, _) in &contenders {
        let (started, reaped) = (median(times, |t| t.0), median(times, |t| t.1));
        println!(
            "  {name:12} exec'ed {started:7.1} us ({:.2}x)   reaped {reaped:7.1} us ({:.2}x)",
            started / base.0,
            reaped / base.1
        );
    }
}

fn ours(spawner: &mut Spawner, plan: &SpawnPlan<'_>) -> Times {
    let start = Instant::now();
    let spawned = spawner.spawn(plan).expect("spawn");
    let started = start.elapsed();
    assert_eq!(spawned.exit.reap(), Exit::Code(0));
    (started, start.elapsed())
}

fn bare(program: &CString) -> Times {
    let argv = [program.as_ptr().cast_mut(), ptr::null_mut()];
    let envp = [ptr::null_mut()];
    let start = Instant::now();
    let mut pid = 0;
    // SAFETY: strings and arrays ended by NUL and null; no actions, no attributes.
    let result = unsafe {
        libc::posix_spawn(&mut pid, program.as_ptr(), ptr::null(), ptr::null(), argv.as_ptr(), envp.as_ptr())
    };
    let started = start.elapsed();
    assert_eq!(result, 0);
    let mut status = -1;
    // SAFETY: waits for the child just made.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(status, 0);
    (started, start.elapsed())
}

fn command() -> Times {
    let start = Instant::now();
    let mut command = Command::new(PROGRAM);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("spawn");
    let started = start.elapsed();
    assert!(child.wait().expect("wait").success());
    (started, start.elapsed())
}
