//! Static binaries in a root folder that has nothing else: no `/dev`, no `/proc`, no shell, no C library.
//!
//! Where they are is said by `GAFFER_STATIC`; else they are looked for where
//! `cargo build --release --bins --target x86_64-unknown-linux-musl` leaves them.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gaffer::process::Signal;

use super::util::{Folder, Gafferd, alive, eventually};

/// Users and groups that only this root folder knows.
const PASSWD: &str = "root:x:0:0::/:/none\nsvc:x:4242:4343::/:/none\napi:x:4444:4444::/:/none\n";
const GROUP: &str = "root:x:0:\nsvc:x:4343:\nextra:x:4545:svc\nadmins:x:4646:\n";

const CONFIG: &str = "\
[gaffer]
bind = unix:/run/api.sock
mode = 0660
owner = api:admins
[job:child]
cmd = /gafferd --bind unix:/run/child.sock
uid = svc
redirect_output = out, err
[job:other]
cmd = /gafferd --bind unix:/run/other.sock
uid = svc
gid = admins
";

fn skip(why: &str) {
    eprintln!("SKIPPED: an_empty_root: {why}");
}

fn binaries() -> Option<PathBuf> {
    let build = Path::new(env!("CARGO_BIN_EXE_gafferd")).ancestors().nth(2)?;
    let usual = || build.join("x86_64-unknown-linux-musl/release");
    let folder = std::env::var_os("GAFFER_STATIC").map_or_else(usual, PathBuf::from);
    folder.join("gafferd").exists().then_some(folder)
}

/// Whether an ELF file of 64 bits asks for an interpreter (elf(5), `PT_INTERP`): the dynamic linker.
fn has_interpreter(file: &[u8]) -> bool {
    let number = |at: usize, len: usize| {
        file[at..at + len].iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    assert_eq!(&file[..5], b"\x7fELF\x02");
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).any(|n| number(table + n * size, 4) == 3)
}

fn ask(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it takes it");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// The numbers on a line of `/proc/PID/status`.
fn status(os_pid: i32, name: &str) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{os_pid}/status")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("a line");
    line.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

#[test]
fn an_empty_root() {
    let Some(binaries) = binaries() else {
        return skip("there are no static binaries (GAFFER_STATIC names their folder)");
    };
    let root = Folder::new();
    if chown(&root.0, Some(0), Some(0)).is_err() || fs::metadata(&root.0).expect("a folder").uid() != 0 {
        return skip("only root may change the root folder");
    }
    for binary in ["gafferd", "gafferctl", "gaffer"] {
        let file = fs::read(binaries.join(binary)).expect(binary);
        assert!(!has_interpreter(&file), "{binary} is not static");
        fs::write(root.path(binary), file).expect("write");
        fs::set_permissions(root.path(binary), fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    for folder in ["etc", "run"] {
        fs::create_dir(root.path(folder)).expect("a folder");
    }
    // Users of their own make sockets here.
    fs::set_permissions(root.path("run"), fs::Permissions::from_mode(0o1777)).expect("a mode");
    root.write("etc/passwd", PASSWD);
    root.write("etc/group", GROUP);
    root.write("gaffer.ini", CONFIG);
    let chroot = |program: &str| {
        let mut command = Command::new("chroot");
        command.arg(&root.0).arg(program).stdin(Stdio::null()).env_remove("NOTIFY_SOCKET");
        command
    };

    let mut command = chroot("/gafferd");
    command.args(["-c", "/gaffer.ini"]);
    let mut gafferd = Gafferd::spawn(command);
    gafferd.line("ready: 2 jobs, 2 processes wanted; listening on unix:/run/api.sock");
    let pids = [gafferd.os_pid("child.1", 0), gafferd.os_pid("other.1", 0)];

    // Names of the endpoint's owner and of the jobs' users.
    let api = root.path("run/api.sock");
    let socket = fs::metadata(&api).expect("a socket");
    assert!(socket.file_type().is_socket());
    assert_eq!((socket.uid(), socket.gid(), socket.mode() & 0o777), (4444, 4646, 0o660));
    assert_eq!((status(pids[0], "Uid"), status(pids[0], "Gid")), (vec![4242; 4], vec![4343; 4]));
    assert_eq!(status(pids[0], "Groups"), [4343, 4545]);
    assert_eq!((status(pids[1], "Uid"), status(pids[1], "Gid")), (vec![4242; 4], vec![4646; 4]));

    for (request, status, text) in [
        ("GET /ping", 200, "OK"),
        ("GET /status/child", 200, "\"running\":1"),
        ("GET /1", 200, "\"uid\":\"svc\""),
        ("GET /metrics", 200, "gaffer_job_processes{job=\"default.child\"} 1\n"),
        // It says so, where the system does not tell.
        ("GET /stats", 501, "there is no /proc"),
    ] {
        let answer = ask(&api, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(text), "{request}: {answer}");
    }
    // The child answers too, and so do the other tools.
    eventually("the child's socket", || root.path("run/child.sock").exists().then_some(()));
    let output = chroot("/gafferctl").args(["--connect", "unix:/run/child.sock", "status"]).output().expect("chroot");
    assert!(output.status.success() && output.stdout.starts_with(b"NAME"), "{output:?}");
    let output = chroot("/gaffer").arg("--version").output().expect("chroot");
    assert!(output.status.success(), "{output:?}");

    gafferd.signal(Signal::TERM);
    assert_eq!(gafferd.end(), 0, "{:#?}", gafferd.log());
    assert!(!pids.into_iter().any(alive));
    let left = fs::read_dir(root.path("run")).expect("a folder").count();
    assert_eq!(left, 0, "all sockets are gone");
    assert_eq!(fs::read_dir(&root.0).expect("a folder").count(), 6, "nothing was left behind");
}
