//! Commands at random, with real processes: whatever is asked for, every spawn has one exit and nobody
//! survives.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use gaffer::ErrorKind;
use gaffer::manager::Commit;
use gaffer::process::{Backoff, JobConfig, Pid, Restart, Scale, Signal, What};

use crate::watch::{Watch, sh};

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

const NAMES: &[&str] = &["a", "b", "c", "s.a", "s.b"];

const SCRIPTS: &[&str] = &[
    "exit 0",
    "exit 3",
    "echo words; exec sleep 1000",
    "trap '' TERM; while :; do sleep 0.02; done",
    "sleep 1000 & echo $!; exit 1",
    "(trap '' TERM; sleep 1000) & wait",
    "head -c 100000 /dev/zero; sleep 0.02",
    "kill -9 $$",
    "kill -STOP $$",
    "exec /nope",
    "cat",
];

fn job(random: &mut Random, name: &str, marker: &str) -> JobConfig {
    let mut job = sh(name, random.one_of(SCRIPTS)).env("GAFFER_CHAOS", marker).redirect_input(true);
    if random.below(8) == 0 {
        job = JobConfig::new(name, "/nope/nope").expect("job");
    }
    job.redirect_output([["out", "err"], ["out", "out"]][random.below(2)])
        .numprocesses(random.below(4) as u32)
        .restart(random.one_of(&[Restart::Always, Restart::Always, Restart::OnFailure, Restart::Never]))
        .backoff(random.one_of(&[Backoff::OFF, Backoff::new(Duration::from_millis(5), Duration::from_millis(20))]))
        .graceful_timeout(Duration::from_millis(random.below(60) as u64))
}

fn step(w: &mut Watch, random: &mut Random, marker: &str) -> gaffer::Result<()> {
    let name = random.one_of(NAMES);
    let list = w.manager.list();
    let pid = if list.is_empty() { Pid(1) } else { list[random.below(list.len())] };
    let signals = [Signal::TERM, Signal::KILL, Signal::HUP, Signal::CONT, Signal::INT];
    let m = &mut w.manager;
    match random.below(18) {
        0..=3 => m.load(job(random, name, marker), random.below(4) > 0).map(drop),
        4 => m.unload(name),
        5 => m.start_job(name),
        6 => m.stop_job(name),
        7 => m.reload(name),
        8 => m.restart_job(name),
        9 => m.update(job(random, name, marker), random.below(2) == 0),
        10 => m.scale(name, Scale::By(random.below(5) as i64 - 2)).map(drop),
        11 => m.scale(name, Scale::To(random.below(4) as u32)).map(drop),
        12 => m.commit(name, Commit::default()).map(drop),
        13 => m.stop_process(pid),
        14 => m.kill(pid, random.one_of(&signals)),
        15 => m.killall(name, random.one_of(&signals)),
        16 => m.send(pid, None, b"words\n"),
        _ => m.stopall(name),
    }
}

#[test]
fn whatever_is_asked_for() {
    let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock");
    let seed = std::env::var("GAFFER_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(began.as_nanos() as u64);
    println!("GAFFER_SEED={seed}");
    let mut random = Random(seed);
    let marker = format!("{}-{seed}", std::process::id());
    let mut w = Watch::with_output();
    for _ in 0..400 {
        if let Err(e) = step(&mut w, &mut random, &marker) {
            let kinds = [ErrorKind::NotFound, ErrorKind::Conflict, ErrorKind::Closed];
            assert!(kinds.contains(&e.kind()), "seed {seed}: {e:?}\n{}", w.dump());
        }
        if random.below(3) > 0 {
            let wait = Duration::from_millis(random.below(8) as u64);
            let _ = w.manager.turn(Some(wait)).expect("turn");
        }
    }
    w.finish();
    w.idle(Duration::from_millis(1));

    // By process: 0 announced, 1 spawned, 2 ended.
    let mut processes: BTreeMap<Pid, u8> = BTreeMap::new();
    for event in w.events() {
        match &event.what {
            What::Spawn { pid, .. } => {
                assert_eq!(processes.insert(*pid, 1), None, "seed {seed}: {pid} spawned twice\n{}", w.dump());
            }
            What::Exit { pid, os_pid, .. } => {
                let before = processes.insert(*pid, 2);
                let expected = os_pid.map(|_| 1);
                assert_eq!(before, expected, "seed {seed}: the exit of {pid}\n{}", w.dump());
            }
            What::Fault { .. } | What::Overflow { .. } => panic!("seed {seed}\n{}", w.dump()),
            _ => {}
        }
    }
    let alive: Vec<_> = processes.iter().filter(|(_, state)| **state != 2).collect();
    assert!(alive.is_empty(), "seed {seed}: no exit of {alive:?}\n{}", w.dump());
    let state = format!("{:?}", *w.manager);
    assert!(state.contains("map: {}") && state.contains("processes: 0"), "seed {seed}: {state}");
    println!("{} processes", processes.len());

    let survivors = || {
        let wanted = format!("GAFFER_CHAOS={marker}");
        let pids = std::fs::read_dir("/proc").expect("/proc").flatten();
        let environ = |path: std::path::PathBuf| std::fs::read(path.join("environ")).unwrap_or_default();
        let found =
            pids.filter(|pid| environ(pid.path()).split(|byte| *byte == 0).any(|word| word == wanted.as_bytes()));
        found.map(|pid| pid.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    // Who was killed in a group may need a moment to be gone.
    let deadline = std::time::Instant::now() + crate::watch::DEADLINE;
    while !survivors().is_empty() {
        assert!(std::time::Instant::now() < deadline, "seed {seed}: {:?} live\n{}", survivors(), w.dump());
        std::thread::sleep(Duration::from_millis(5));
    }
}
