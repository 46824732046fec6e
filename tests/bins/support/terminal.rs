//! A program on a terminal of its own, and the person before it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gaffer::process::{Exit, OsPid, Signal};
use gaffer::sys::spawn::Terminal as Control;
use gaffer::sys::{ChildFd, ExitWatch, Group, SpawnPlan, Spawner, stdio, tty};

use super::{Done, SOON, Said};

/// A program that runs on a terminal. When it is dropped it is killed.
pub(crate) struct Terminal {
    /// Taken when it is reaped.
    exit: Option<ExitWatch>,
    pid: OsPid,
    keys: File,
    slave: OwnedFd,
    screen: Said,
    unplugged: Arc<AtomicBool>,
    since: Instant,
}

impl Terminal {
    #[track_caller]
    pub(super) fn spawn(command: &Command) -> Self {
        let pty = tty::open_pty().expect("a terminal");
        let args = [command.get_program()].into_iter().chain(command.get_args());
        let mut plan = SpawnPlan::new(args.map(OsString::from));
        plan.env = command.get_envs().filter_map(|(k, v)| Some((k.into(), v?.into()))).collect();
        plan.cwd = command.get_current_dir().map(Into::into);
        plan.group = Group::Session;
        plan.terminal = Control::Control(0);
        plan.fds = vec![ChildFd::Fd(pty.slave.as_fd()); 3];
        let spawned = Spawner::new().expect("a spawner").spawn(&plan).expect("it can be started");

        stdio::set_nonblocking(&pty.master).expect("flags");
        let unplugged = Arc::new(AtomicBool::new(false));
        let master = File::from(pty.master);
        let keys = master.try_clone().expect("a duplicate");
        let screen = Said::by(Screen { master, unplugged: Arc::clone(&unplugged) });
        let slave = pty.slave;
        Self { exit: Some(spawned.exit), pid: spawned.os_pid, keys, slave, screen, unplugged, since: Instant::now() }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid.0
    }

    pub(crate) fn text(&self) -> String {
        self.screen.text()
    }

    /// Presses keys.
    #[track_caller]
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes it");
        self.since = Instant::now();
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) {
        let found = self.screen.wait(|bytes| String::from_utf8_lossy(bytes).contains(text));
        assert!(found, "`{text}` is missing\n{}", self.text());
    }

    /// Waits for `text` after what is on the screen when `act` begins.
    #[track_caller]
    pub(crate) fn wait_for_after(&mut self, text: &str, act: impl FnOnce(&mut Self)) {
        let before = self.screen.bytes().len();
        act(self);
        let found = self.screen.wait(|bytes| String::from_utf8_lossy(&bytes[before..]).contains(text));
        assert!(found, "`{text}` is missing\n{}", self.text());
    }

    /// The modes of the terminal, as `stty -g` writes them.
    pub(crate) fn modes(&self) -> String {
        let slave = self.slave.try_clone().expect("a duplicate");
        let answer = Command::new("stty").arg("-g").stdin(Stdio::from(slave)).output().expect("stty runs");
        String::from_utf8(answer.stdout).expect("numbers")
    }

    /// The terminal goes away.
    pub(crate) fn unplug(&mut self) {
        self.keys = File::open("/dev/null").expect("/dev/null");
        self.unplugged.store(true, Ordering::SeqCst);
        self.screen.wait_for_end();
        self.since = Instant::now();
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Done {
        let deadline = Instant::now() + SOON;
        let watch = self.exit.take().expect("it is not reaped yet");
        while watch.peek().expect("it is ours").is_none() {
            if Instant::now() >= deadline {
                self.exit = Some(watch);
                panic!("it does not end\n{}", self.text());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let took = self.since.elapsed();
        let exit = watch.reap();
        assert!(!matches!(exit, Exit::Lost), "nobody else reaps it");
        // What it wrote last is on its way through the terminal.
        self.unplugged.store(true, Ordering::SeqCst);
        self.screen.wait_for_end();
        Done { code: exit.shell_code(), out: self.screen.bytes(), err: String::new(), took }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.unplugged.store(true, Ordering::SeqCst);
        if let Some(watch) = self.exit.take() {
            // It may have ended.
            let _ = gaffer::sys::signal_process(self.pid, Signal::KILL);
            let _ = watch.reap();
        }
    }
}

/// Reads what the screen shows, until it is unplugged and everything was read.
struct Screen {
    master: File,
    unplugged: Arc<AtomicBool>,
}

impl Read for Screen {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut last = false;
        loop {
            let unplugged = self.unplugged.load(Ordering::SeqCst);
            match self.master.read(buffer) {
                // What was written last may be on its way, so it is asked for once more.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && !last => {
                    last = unplugged;
                    std::thread::sleep(Duration::from_millis(5));
                }
                read => return read,
            }
        }
    }
}
