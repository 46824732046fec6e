#![allow(clippy::print_stderr)] // A test that is skipped says so.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::process::{Exit, Signal};
use crate::sys::{limits, stdio, tty, users};

/// `/bin/sh -c script`, with a `PATH`.
fn sh(script: &str) -> SpawnPlan<'static> {
    let mut plan = SpawnPlan::new(["/bin/sh", "-c", script]);
    plan.env = vec![("PATH".into(), DEFAULT_PATH.into())];
    plan
}

fn spawn(plan: &SpawnPlan<'_>) -> Result<Spawned, SpawnError> {
    Spawner::new().expect("a spawner").spawn(plan)
}

#[track_caller]
fn run(plan: &SpawnPlan<'_>) -> Exit {
    spawn(plan).expect("spawn").exit.reap()
}

#[track_caller]
fn fails(plan: &SpawnPlan<'_>, step: Step, message: &str) {
    let error = spawn(plan).expect_err("must fail");
    assert_eq!((error.step(), error.to_string().as_str()), (step, message));
}

/// What the program wrote to standard output; it must exit with 0.
#[track_caller]
fn output(plan: &SpawnPlan<'_>) -> String {
    let (read, write) = stdio::pipe().expect("pipe");
    let mut plan = plan.clone();
    plan.fds.resize(plan.fds.len().max(3), ChildFd::Null);
    plan.fds[1] = ChildFd::Fd(write.as_fd());
    let spawned = spawn(&plan).expect("spawn");
    drop(write);
    let mut text = String::new();
    File::from(read).read_to_string(&mut text).expect("text");
    assert_eq!(spawned.exit.reap(), Exit::Code(0), "{text}");
    text
}

/// A folder of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gaffer-spawn-{}-{name}", std::process::id()));
        fs::create_dir(&path).expect("a new folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
        Self(path)
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        // Written by a child: were it open for writing here, a test that forks at this moment could hold it
        // open, and exec would say ETXTBSY.
        let mut plan = sh(r#"printf %s "$1" > "$2" && chmod "$3" "$2""#);
        plan.argv.extend(["sh".into(), text.into(), path.clone().into(), format!("{mode:o}").into()]);
        assert_eq!(run(&plan), Exit::Code(0));
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn is_root() -> bool {
    Credentials::current().uid == 0
}

#[test]
fn exits_as_they_were() {
    assert_eq!(run(&sh("exit 0")), Exit::Code(0));
    assert_eq!(run(&sh("exit 255")), Exit::Code(255));
    assert_eq!(run(&sh("kill -9 $$")), Exit::Signal { signal: Signal::KILL, core: false });
    assert_eq!(run(&sh("ulimit -c 0; kill -QUIT $$")), Exit::Signal { signal: Signal::QUIT, core: false });
    assert_eq!(run(&sh("kill -TERM $$")).signal(), Some(Signal::TERM));
}

#[test]
fn a_core_dump_is_told() {
    let folder = Folder::new("core");
    let mut plan = sh("ulimit -c unlimited; kill -SEGV $$");
    plan.cwd = Some(folder.0.clone());
    let exit = run(&plan);
    let dumped = fs::read_dir(&folder.0).expect("folder").count() > 0;
    match exit {
        Exit::Signal { core, .. } if core || !dumped => {
            if !core {
                eprintln!("skipped: this system dumps no cores");
            }
        }
        other => panic!("{other:?}, dumped: {dumped}"),
    }
}

#[test]
fn peek_leaves_it_unreaped() {
    let spawned = spawn(&sh("exit 3")).expect("spawn");
    let mut poll = libc::pollfd { fd: spawned.exit.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd.
    assert_eq!(unsafe { libc::poll(&mut poll, 1, 10_000) }, 1, "readable when it has ended");
    for _ in 0..2 {
        assert_eq!(spawned.exit.peek().expect("peek"), Some(Exit::Code(3)));
    }
    // SAFETY: signal 0 only asks.
    assert_eq!(unsafe { libc::kill(spawned.os_pid.0, 0) }, 0, "still a zombie");
    assert_eq!(spawned.exit.reap(), Exit::Code(3));
}

#[test]
fn peek_of_a_running_child() {
    let (read, write) = stdio::pipe().expect("pipe");
    let mut plan = sh("read line; exit 4");
    plan.fds = vec![ChildFd::Fd(read.as_fd())];
    let spawned = spawn(&plan).expect("spawn");
    assert_eq!(spawned.exit.peek().expect("peek"), None);
    File::from(write).write_all(b"\n").expect("write");
    assert_eq!(spawned.exit.reap(), Exit::Code(4));
}

#[test]
fn failures_name_their_step() {
    let folder = Folder::new("failures");
    let mut plan = sh(":");
    plan.cwd = Some("/nope".into());
    fails(&plan, Step::Chdir, "chdir to '/nope': No such file or directory (os error 2)");
    plan.cwd = Some("/dev/null".into());
    fails(&plan, Step::Chdir, "chdir to '/dev/null': Not a directory (os error 20)");

    let missing = "No such file or directory (os error 2)";
    fails(&SpawnPlan::new(["./x"]), Step::Exec, &format!("exec './x': {missing}"));
    fails(&SpawnPlan::new(["no-such-program"]), Step::Exec, &format!("exec 'no-such-program': {missing}"));
    fails(&SpawnPlan::new([""]), Step::Exec, &format!("exec '': {missing}"));
    fails(&SpawnPlan::new(Vec::<OsString>::new()), Step::Exec, &format!("exec '': {missing}"));
    fails(&SpawnPlan::new(["/dev/null/x"]), Step::Exec, "exec '/dev/null/x': Not a directory (os error 20)");

    folder.file("x", "exit 0", 0o644);
    let mut plan = SpawnPlan::new(["./x"]);
    plan.cwd = Some(folder.0.clone());
    fails(&plan, Step::Exec, "exec './x': Permission denied (os error 13)");
    folder.file("x", "#!/no/such/shell\n", 0o755);
    fails(&plan, Step::Exec, &format!("exec './x': {missing}; the file exists, its interpreter does not"));

    let mut plan = sh("a\0b");
    fails(&plan, Step::Prepare, "prepare '/bin/sh': NUL byte in an argument, variable or path");
    plan = sh(":");
    plan.nofile = Some((20, 10));
    fails(&plan, Step::Limits, "setrlimit RLIMIT_NOFILE 20 10: Invalid argument (os error 22)");
    plan = sh(":");
    plan.terminal = Terminal::Foreground(0);
    let error = spawn(&plan).expect_err("no terminal");
    assert_eq!((error.step(), error.raw_os_error()), (Step::Terminal, Some(libc::ENOTTY)));
}

#[test]
fn a_script_without_a_first_line() {
    let folder = Folder::new("script");
    folder.file("script", "echo \"$1 and $2\"", 0o755);
    let mut plan = SpawnPlan::new(["script", "this", "that"]);
    plan.env = vec![("PATH".into(), format!("/nope:{}", folder.0.display()).into())];
    assert_eq!(output(&plan), "this and that\n");
}

#[test]
fn searches_the_path_of_the_child() {
    let folder = Folder::new("path");
    for (dir, mode) in [("denied", 0o644), ("first", 0o755), ("second", 0o755)] {
        fs::create_dir(folder.0.join(dir)).expect("folder");
        folder.file(&format!("{dir}/prog"), &format!("#!/bin/sh\necho {dir} $0"), mode);
    }
    let prog = |path: &str| {
        let mut plan = SpawnPlan::new(["prog"]);
        plan.env = vec![("PATH".into(), path.into())];
        plan.cwd = Some(folder.0.clone());
        plan
    };
    let base = folder.0.display();
    assert_eq!(
        output(&prog(&format!("/nope:{base}/denied:{base}/first:{base}/second"))),
        format!("first {base}/first/prog\n")
    );
    assert_eq!(output(&prog("second")), "second second/prog\n", "relative to the child's directory");
    fails(&prog("denied:nope"), Step::Exec, "exec 'prog': Permission denied (os error 13)");
    fails(&prog("nope"), Step::Exec, "exec 'prog': No such file or directory (os error 2)");

    // Without PATH in its environment, the default.
    let mut plan = SpawnPlan::new(["sh", "-c", "echo $0"]);
    assert_eq!(output(&plan), "sh\n");
    plan.program = Some("/bin/sh".into());
    plan.argv[0] = "other".into();
    assert_eq!(output(&plan), "other\n");
}

#[test]
fn environment_and_directory() {
    let mut plan = SpawnPlan::new(["/usr/bin/env"]);
    plan.env = vec![("A".into(), "1=2".into()), ("B".into(), OsString::new())];
    assert_eq!(output(&plan), "A=1=2\nB=\n");
    let mut plan = sh("pwd -P");
    plan.cwd = Some("/".into());
    assert_eq!(output(&plan), "/\n");
}

#[test]
fn umask_and_limit() {
    let mut plan = sh("umask; ulimit -Sn; ulimit -Hn");
    let (_, hard) = limits::nofile().expect("limit");
    plan.umask = Some(0o027);
    plan.nofile = Some((100, hard));
    assert_eq!(output(&plan), format!("0027\n100\n{hard}\n"));
}

/// Group and session of a child made with `group`, and its pid.
#[cfg(target_os = "linux")]
#[track_caller]
fn leads(group: Group) -> [i32; 3] {
    let mut plan = SpawnPlan::new(["cat", "/proc/self/stat"]);
    plan.group = group;
    let line = output(&plan);
    let pid = line.split(' ').next().expect("pid").parse().expect("a number");
    // After the name: state, parent, group, session.
    let fields = line.rsplit(')').next().expect("fields").split_whitespace().skip(2);
    let mut numbers = fields.map(|field| field.parse().expect("a number"));
    let mut number = || numbers.next().expect("a field");
    [pid, number(), number()]
}

#[cfg(target_os = "linux")]
#[test]
fn groups_and_sessions() {
    // SAFETY: these read numbers.
    let (group, session) = unsafe { (libc::getpgrp(), libc::getsid(0)) };
    let [pid, pgrp, sid] = leads(Group::Own);
    assert_eq!((pgrp, sid), (pid, session));
    let [pid, pgrp, sid] = leads(Group::Session);
    assert_eq!((pgrp, sid), (pid, pid));
    let [_, pgrp, sid] = leads(Group::Inherit);
    assert_eq!((pgrp, sid), (group, session));
}

#[test]
fn becomes_another_user() {
    if !is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let plan = |credentials| {
        let mut plan = sh("id -u; id -g; id -G; awk '/^(Uid|Gid):/ {print $2, $3, $4}' /proc/self/status");
        plan.credentials = credentials;
        plan
    };
    let numbers = plan(Some(Credentials::new(12_345, 23_456, vec![23_456, 7])));
    assert_eq!(output(&numbers).lines().take(3).collect::<Vec<_>>(), ["12345", "23456", "23456 7"]);
    #[cfg(target_os = "linux")]
    {
        assert!(output(&numbers).ends_with("12345 12345 12345\n23456 23456 23456\n"));
        // SAFETY: asks for a number.
        assert_eq!(unsafe { libc::prctl(libc::PR_GET_DUMPABLE) }, 1, "the child's change of user is not ours");
    }
    let nobody = users::resolve(Some(&"nobody".into()), None).expect("nobody").expect("credentials");
    let (uid, gid) = (nobody.uid, nobody.gid);
    assert!(uid != 0 && gid != 0);
    assert!(output(&plan(Some(nobody.clone()))).starts_with(&format!("{uid}\n{gid}\n{gid}\n")));
    // With the rights of that user, so a directory of root's alone is closed to it.
    let folder = Folder::new("user");
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o700)).expect("permissions");
    let mut denied = plan(Some(nobody));
    denied.cwd = Some(folder.0.clone());
    let error = spawn(&denied).expect_err("must fail");
    assert_eq!((error.step(), error.raw_os_error()), (Step::Chdir, Some(libc::EACCES)));
}

#[test]
fn cannot_become_root() {
    let me = Credentials::current();
    if is_root() {
        eprintln!("skipped: root may become anybody");
        return;
    }
    let mut plan = sh(":");
    plan.credentials = Some(Credentials::new(0, me.gid, me.groups.clone()));
    let error = spawn(&plan).expect_err("must fail");
    assert_eq!((error.step(), error.raw_os_error()), (Step::Uid, Some(libc::EPERM)));
    // The same user again is no change, whatever groups it has now.
    plan.credentials = Some(Credentials::new(me.uid, me.gid, vec![me.gid]));
    assert_eq!(run(&plan), Exit::Code(0));
}

/// A file that holds `text`, read from its start, without `FD_CLOEXEC`, on a number of its own choice.
fn open_file(folder: &Folder, text: &str) -> OwnedFd {
    let file = File::open(folder.file(text, text, 0o644)).expect("open");
    // SAFETY: flags only.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) };
    file.into()
}

/// Descriptors and what they hold.
const LIST: &str = "for fd in 3 4 5; do cat /dev/fd/$fd 2>/dev/null || echo -; done; ls /proc/self/fd";

#[cfg(target_os = "linux")]
#[test]
fn exactly_the_given_descriptors() {
    let folder = Folder::new("fds");
    let [a, b, c] = ["a", "b", "c"].map(|text| open_file(&folder, &format!("{text}\n").replace('\n', "")));
    let given = |fds: &[&OwnedFd]| {
        let mut plan = sh(LIST);
        plan.fds = vec![ChildFd::Null; 3];
        plan.fds.extend(fds.iter().map(|fd| ChildFd::Fd(fd.as_fd())));
        output(&plan).split_whitespace().collect::<String>()
    };
    // `ls` has one more: the folder it reads.
    assert_eq!(given(&[]), "---0123");
    assert_eq!(given(&[&a]), "a--01234");
    assert_eq!(given(&[&b, &a]), "ba-012345");
    assert_eq!(given(&[&a, &a, &c]), "aac0123456");
}

/// Moves that need care: the sources stand on the very numbers that are targets.
#[cfg(target_os = "linux")]
#[test]
fn overlapping_descriptors() {
    // In a child, where the numbers are ours to choose.
    let mut plan = SpawnPlan::new([std::env::current_exe().expect("a path").into_os_string()]);
    plan.argv.extend(["--exact", "sys::spawn::tests::overlapping_inner", "--ignored", "--nocapture"].map(Into::into));
    let text = output(&plan);
    assert!(text.contains("1 passed"), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by overlapping_descriptors, in a process of its own"]
fn overlapping_inner() {
    let folder = Folder::new("overlap");
    let files = ["a", "b", "c"].map(|text| open_file(&folder, text));
    let mut spawner = Spawner::new().expect("a spawner");
    let base = 20;
    for (file, fd) in files.iter().zip(base..) {
        // SAFETY: nothing else in this process uses these numbers.
        unsafe { assert_eq!(libc::dup3(file.as_raw_fd(), fd, libc::O_CLOEXEC), fd) };
    }
    // SAFETY: they are open until the process ends.
    let [a, b, c] = [base, base + 1, base + 2].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
    for (order, want) in
        [([a, b, c], "abc"), ([b, a, c], "bac"), ([c, a, b], "cab"), ([b, b, b], "bbb"), ([c, c, a], "cca")]
    {
        let (read, write) = stdio::pipe().expect("pipe");
        let mut plan = sh("cat /dev/fd/20 /dev/fd/21 /dev/fd/22; ls /proc/self/fd | wc -l");
        plan.fds = vec![ChildFd::Null, ChildFd::Fd(write.as_fd())];
        plan.fds.resize(base as usize, ChildFd::Null);
        plan.fds.extend(order.map(ChildFd::Fd));
        let spawned = spawner.spawn(&plan).expect("spawn");
        drop(write);
        let mut text = String::new();
        File::from(read).read_to_string(&mut text).expect("text");
        assert_eq!(spawned.exit.reap(), Exit::Code(0));
        // `ls` has one more: the folder it reads.
        assert!(text.starts_with(want) && text.ends_with("24\n"), "{want}: {text}");
    }

    // A closed one is /dev/null, never missing.
    // SAFETY: only asks.
    let closed = (3..=9).rev().find(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } == -1).expect("a free number");
    let mut plan = sh(&format!("echo x >&{closed} && readlink /proc/self/fd/{closed}"));
    plan.fds = vec![ChildFd::Null; closed as usize];
    plan.fds.push(ChildFd::Inherit);
    assert_eq!(output(&plan), "/dev/null\n");
}

#[test]
fn inherited_descriptors() {
    let mut plan = sh("echo one; echo two >&2");
    let (read, write) = stdio::pipe().expect("pipe");
    plan.fds = vec![ChildFd::Null, ChildFd::Fd(write.as_fd()), ChildFd::Fd(write.as_fd())];
    assert_eq!(run(&plan), Exit::Code(0));
    drop(plan);
    drop(write);
    let mut text = String::new();
    File::from(read).read_to_string(&mut text).expect("text");
    assert_eq!(text, "one\ntwo\n");
}

#[cfg(target_os = "linux")]
#[test]
fn descriptors_are_found_without_close_range() {
    let file = File::open("/dev/null").expect("open");
    // SAFETY: numbers only; the copy is closed again.
    unsafe {
        // Three digits, and within what a process may have anywhere.
        let fd = libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 200);
        assert!(fd >= 200 && libc::fcntl(fd, libc::F_GETFD) == 0);
        let dir = File::open("/proc/self/fd").expect("open");
        assert!(crate::sys::child::mark_listed(dir.as_raw_fd(), fd));
        assert_eq!(libc::fcntl(fd, libc::F_GETFD), libc::FD_CLOEXEC);
        libc::close(fd);
    }
}

#[test]
fn a_terminal_of_its_own() {
    let pty = tty::open_pty().expect("a terminal");
    let mut plan = sh("exec 3</dev/tty && tty && ps -o tty= -p $$ >/dev/null && stty size; echo end");
    plan.group = Group::Session;
    plan.terminal = Terminal::Control(0);
    plan.fds = vec![ChildFd::Fd(pty.slave.as_fd()); 3];
    let size = libc::winsize { ws_row: 7, ws_col: 33, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: points to a window size.
    unsafe { libc::ioctl(pty.slave.as_raw_fd(), libc::TIOCSWINSZ as _, &size) };
    let other = tty::open_pty().expect("a terminal");
    tty::copy_window_size(pty.slave.as_fd(), other.slave.as_fd()).expect("copy");
    let spawned = spawn(&plan).expect("spawn");
    drop(plan);
    drop(pty.slave);
    let mut text = Vec::new();
    let mut buffer = [0; 256];
    while let stdio::Moved::Bytes(n) = stdio::read(pty.master.as_fd(), &mut buffer).expect("read") {
        text.extend_from_slice(&buffer[..n]);
    }
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("7 33") && text.contains("end"), "{text}");
    assert_eq!(spawned.exit.reap(), Exit::Code(0));
    assert!(Path::new("/dev/tty").exists());
}
