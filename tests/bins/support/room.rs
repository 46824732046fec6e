//! A folder, and everything that is started in it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gaffer::process::{OsPid, Signal};

use super::{Done, Running, SOON, Terminal};

/// The variable that everything started in a room has.
const MARK: &str = "GAFFER_ROOM";

/// How long a process that was killed may still be seen, on a machine that has other things to do.
const GOING: Duration = SOON;

/// A temporary folder with a Procfile. When it is dropped nothing may live that was started in it.
pub(crate) struct Room {
    dir: PathBuf,
    mark: String,
}

impl Room {
    /// A folder with this Procfile.
    pub(crate) fn new(procfile: &str) -> Self {
        Self::empty().file("Procfile", procfile)
    }

    /// A folder without one.
    pub(crate) fn empty() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = super::place::place().join(format!("gaffer-bins-{mark}")).join("app");
        fs::create_dir_all(&dir).expect("a temporary folder");
        // Programs that run as somebody else start there, whatever the umask of the tests is.
        for folder in [Some(&*dir), dir.parent()].into_iter().flatten() {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
        Self { dir: dir.canonicalize().expect("it was made just now"), mark }
    }

    /// Adds a file, and its folder if need be.
    pub(crate) fn file(self, name: &str, contents: impl AsRef<[u8]>) -> Self {
        let path = self.dir.join(name);
        fs::create_dir_all(path.parent().expect("it is in the room")).expect("a folder");
        fs::write(path, contents).expect("a file");
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn dir(&self) -> &str {
        self.dir.to_str().expect("temporary folders have plain names")
    }

    /// A command in the room: nothing in its environment but `PATH` and the mark, nothing on its standard input, and
    /// in a process group of its own.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env(MARK, &self.mark);
        command.env("XDG_RUNTIME_DIR", self.dir.parent().expect("made with a parent"));
        command.current_dir(&self.dir).stdin(Stdio::null()).process_group(0);
        command
    }

    /// `gaffer` with arguments that are words with blanks between them.
    pub(crate) fn gaffer(&self, args: &str) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_gaffer"));
        command.args(args.split_whitespace());
        command
    }

    /// `gaffer`, by a line of the shell that begins with `before` (`ulimit -n 64;`).
    pub(crate) fn shell(&self, before: &str, args: &str) -> Command {
        let mut command = self.command("/bin/sh");
        command.arg("-c").arg(format!("{before} exec {} {args}", env!("CARGO_BIN_EXE_gaffer")));
        command
    }

    /// Starts `gaffer`.
    #[track_caller]
    pub(crate) fn start(&self, args: &str) -> Running {
        Running::spawn(self.gaffer(args))
    }

    /// Runs `gaffer` to its end.
    #[track_caller]
    pub(crate) fn run(&self, args: &str) -> Done {
        self.start(args).end()
    }

    /// Starts a command on a terminal of its own.
    #[track_caller]
    pub(crate) fn on_terminal(&self, command: &Command) -> Terminal {
        Terminal::spawn(command)
    }

    /// What lives of all that was started here: the numbers and the command lines.
    pub(crate) fn living(&self) -> Vec<(i32, String)> {
        let mark = format!("{MARK}={}", self.mark);
        let pids =
            fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let marked = |pid: &i32| {
            // Those of others cannot be read, and those of zombies are empty.
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|b| *b == 0).any(|variable| variable == mark.as_bytes())
        };
        let cmdline = |pid| {
            let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&text).replace('\0', " ").trim().to_owned()
        };
        pids.filter(marked).map(|pid| (pid, cmdline(pid))).collect()
    }

    /// Panics if anything started here lives on.
    #[track_caller]
    pub(crate) fn assert_empty(&self) {
        let deadline = Instant::now() + GOING;
        let mut living = self.living();
        while !living.is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
            living = self.living();
        }
        assert!(living.is_empty(), "it should be gone: {living:?}");
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let left = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if !std::thread::panicking() {
                self.assert_empty();
            }
        }));
        for (pid, _) in self.living() {
            // It may have gone just now.
            let _ = gaffer::sys::signal_process(OsPid(pid), Signal::KILL);
        }
        let _ = fs::remove_dir_all(self.dir.parent().expect("made with a parent"));
        if let Err(panic) = left {
            std::panic::resume_unwind(panic);
        }
    }
}
