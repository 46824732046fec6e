use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use super::*;
use crate::process::Exit;
use crate::sys::spawn::{ChildFd, DEFAULT_PATH, SpawnPlan, Spawner};
use crate::sys::stdio;

fn own(snapshot: &mut Snapshot) -> ProcessStats {
    snapshot.sample(OsPid(std::process::id() as i32)).expect("this process")
}

#[test]
fn this_process() {
    let stats = own(&mut Snapshot::new().expect("a snapshot"));
    assert!(stats.rss > 100_000 && stats.vms >= stats.rss, "{stats:?}");
    assert!(stats.mem < 100.0 && stats.cpu.is_none());
    assert!(stats.num_threads >= 1 && stats.num_fds.expect("ours") >= 3);
    let args: Vec<_> = std::env::args().collect();
    assert_eq!(stats.cmdline, args);
    // SAFETY: reads a number.
    let uid = unsafe { libc::geteuid() };
    assert_eq!(stats.username, users::user_name(uid).unwrap_or_else(|| uid.to_string()));
    let age = SystemTime::now().duration_since(stats.started).unwrap_or_default();
    assert!(age < Duration::from_secs(3600), "{age:?}");
    assert_eq!(stats.nice, {
        // SAFETY: reads a number.
        unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
    });
}

#[test]
fn children_of_children() {
    let (read, write) = stdio::pipe().expect("pipe");
    let (heard, said) = stdio::pipe().expect("pipe");
    let mut plan = SpawnPlan::new(["/bin/sh", "-c", "sh -c 'echo; read line'; exit 0"]);
    plan.env = vec![("PATH".into(), DEFAULT_PATH.into())];
    plan.fds = vec![ChildFd::Fd(read.as_fd()), ChildFd::Fd(said.as_fd())];
    let spawned = Spawner::new().expect("spawner").spawn(&plan).expect("spawn");
    File::from(heard).read_exact(&mut [0]).expect("it is there");
    let mut snapshot = Snapshot::new().expect("a snapshot");
    let stats = snapshot.sample(spawned.os_pid).expect("the child");
    assert_eq!(stats.name, "sh");
    assert_eq!(stats.num_fds, Some(3));
    let [inner] = &stats.children[..] else { panic!("{stats:?}") };
    assert_eq!(inner.cmdline, ["sh", "-c", "echo; read line"]);
    assert!(own(&mut snapshot).children.iter().any(|child| child.os_pid == spawned.os_pid));

    File::from(write).write_all(b"\n").expect("write");
    assert_eq!(spawned.exit.reap(), Exit::Code(0));
    snapshot.restart().expect("again");
    assert_eq!(snapshot.sample(spawned.os_pid), None, "not looked yet");
    while !snapshot.advance(Instant::now() + Duration::from_secs(1)).expect("look") {}
    assert_eq!(snapshot.sample(spawned.os_pid), None, "gone");
}

#[test]
fn in_slices() {
    let mut snapshot = Snapshot::begin().expect("a snapshot");
    let mut slices = 1;
    while !snapshot.advance(Instant::now()).expect("look") {
        slices += 1;
    }
    assert!(slices > snapshot.seen.len(), "a deadline that has passed is one process a slice");
    let own = OsPid(std::process::id() as i32);
    let mut slices = 1;
    while !snapshot.prepare(own, Instant::now()) {
        slices += 1;
    }
    assert_eq!(slices, snapshot.details.len() + 1, "likewise");
    let stats = snapshot.sample(own).expect("this process");
    assert_eq!(stats.os_pid, own);
    assert!(snapshot.details.len() > stats.children.len());
}

#[test]
fn one_process_alone() {
    let own = OsPid(std::process::id() as i32);
    let stats = Snapshot::only(own).expect("a look").sample(own).expect("this process");
    assert_eq!((stats.os_pid, stats.children.len()), (own, 0));
    assert!(Snapshot::only(OsPid(i32::MAX)).is_err());
}

#[test]
fn descriptors_are_counted_on_old_kernels_too() {
    let mut snapshot = Snapshot::new().expect("a snapshot");
    let spawned = Spawner::new().expect("spawner").spawn(&SpawnPlan::new(["/bin/sleep", "60"])).expect("spawn");
    // exec lets the parent go on (execve(2), vfork(2)) a moment before it closes descriptors.
    let deadline = Instant::now() + Duration::from_secs(10);
    while snapshot.count_fds(spawned.os_pid.0) != Some(3) {
        assert!(Instant::now() < deadline, "{:?}", snapshot.count_fds(spawned.os_pid.0));
        std::thread::yield_now();
    }
    assert_eq!(snapshot.num_fds(spawned.os_pid.0), Some(3));
    // SAFETY: our own child.
    unsafe { libc::kill(spawned.os_pid.0, libc::SIGKILL) };
    let _ = spawned.exit.reap();
}

#[test]
fn odd_names() {
    let line = b"12 (a) (b c) S 1 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 39 19 1 0 99 4096 2 18446744073709551615 0\n";
    let seen = Seen::parse(12, line).expect("a line");
    assert_eq!(&seen.name[..seen.name_len], b"a) (b c");
    assert_eq!((seen.ppid, seen.group, seen.state, seen.cpu, seen.nice, seen.threads), (1, 12, b'S', 11, 19, 1));
    assert_eq!((seen.start, seen.vms, seen.rss), (99, 4096, 2));
    for bad in [&b""[..], b"12", b"12 (", b"12 ()", b"12 () ", b") ("] {
        assert!(Seen::parse(12, bad).is_none());
    }
}

#[test]
fn what_does_not_know_us_is_no_proc() {
    let folder = std::ffi::CString::new(std::env::temp_dir().into_os_string().into_encoded_bytes()).expect("a path");
    for (path, why) in [(folder.as_c_str(), "does not know this process"), (c"/nonexistent", "there is no /proc")] {
        let e = Scan::of(path, 0).err().expect("nothing to look through");
        assert_eq!(e.kind(), io::ErrorKind::Unsupported);
        assert!(e.to_string().contains(why), "{e}");
    }
    assert!(Scan::of(c"/proc", 0).is_ok());
}
