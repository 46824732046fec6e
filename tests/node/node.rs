//! A gafferd, and the folder of an application beside it.

use std::fs::{self, File};
use std::process::Command;

use gaffer::client::Server;
use gaffer::process::Signal;

use crate::support::{Done, Room, Running, Terminal, until};

/// A node with nothing loaded, and an application called `app`. When it is dropped the node is stopped, and nothing may be
/// left of it.
pub(crate) struct Node {
    gafferd: Option<Running>,
    pub(crate) room: Room,
    pub(crate) address: String,
}

impl Node {
    /// Beside a folder with this Procfile.
    pub(crate) fn new(procfile: &str) -> Self {
        Self::beside(Room::new(procfile))
    }

    pub(crate) fn beside(room: Room) -> Self {
        Self::with(room, &[])
    }

    /// The same with more options.
    pub(crate) fn with(room: Room, options: &[&str]) -> Self {
        let address = format!("unix:{}", room.path("node.sock").display());
        let mut command = room.command(env!("CARGO_BIN_EXE_gafferd"));
        command.args(["--bind", &address]).args(options).env("OF_THE_NODE", "yes");
        // Programs that a test brings along.
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", room.path("bin").display()));
        let node = Self { gafferd: Some(Running::spawn(command)), room, address };
        until(|| node.server().ping().is_ok(), || node.dump());
        node
    }

    fn dump(&self) -> String {
        self.gafferd.as_ref().map(Running::dump).unwrap_or_default()
    }

    pub(crate) fn server(&self) -> Server {
        Server::new(&self.address).expect("an address")
    }

    /// `gaffer` with words that have blanks between them.
    pub(crate) fn gaffer(&self, line: &str) -> Command {
        let mut command = self.room.gaffer(line);
        command.env("GAFFER_ENDPOINT", &self.address);
        command
    }

    pub(crate) fn start(&self, line: &str) -> Running {
        Running::spawn(self.gaffer(line))
    }

    pub(crate) fn run(&self, line: &str) -> Done {
        self.start(line).end()
    }

    pub(crate) fn on_terminal(&self, line: &str) -> Terminal {
        self.room.on_terminal(&self.gaffer(line))
    }

    /// With these bytes on its standard input.
    pub(crate) fn run_with(&self, line: &str, input: &[u8]) -> Done {
        fs::write(self.room.path("input"), input).expect("a file");
        let mut command = self.gaffer(line);
        command.stdin(File::open(self.room.path("input")).expect("a file"));
        Running::spawn(command).end()
    }

    /// It ends well and says this, and nothing else.
    #[track_caller]
    pub(crate) fn says(&self, line: &str, out: &str) {
        let done = self.run(line).expect(0).quietly();
        assert_eq!(done.text(), out, "{line}");
    }

    /// It ends with this code, and says this on standard error, in one line, and nothing else.
    #[track_caller]
    pub(crate) fn fails(&self, line: &str, code: i32, err: &str) {
        let done = self.run(line).expect(code).complains(&format!("gaffer: {err}"));
        assert_eq!(done.err.lines().count(), 1, "{line}: {done}");
    }

    /// Ends the node.
    #[track_caller]
    pub(crate) fn end(&mut self) {
        if let Some(gafferd) = self.gafferd.take() {
            gafferd.stop(Signal::TERM).expect(0);
        }
    }

    /// What is in a file of the folder, once `enough` is true of it.
    #[track_caller]
    pub(crate) fn file(&self, name: &str, enough: impl Fn(&str) -> bool) -> String {
        let read = || fs::read_to_string(self.room.path(name)).unwrap_or_default();
        until(|| enough(&read()), || format!("{name}: {:?}\n{}", read(), self.dump()));
        read()
    }

    /// The numbers of the processes of a job, once there are so many that run.
    #[track_caller]
    pub(crate) fn pids(&self, job: &str, n: usize) -> Vec<u64> {
        let job = self.server().job(job).expect("a name");
        let runs = |pid: &gaffer::process::Pid| self.server().process(*pid).active().unwrap_or(false);
        let running = || job.info().map(|info| info.kept().iter().copied().filter(runs).collect::<Vec<_>>());
        until(|| running().is_ok_and(|pids| pids.len() == n), || format!("{:?}\n{}", job.info(), self.dump()));
        running().expect("it is there").iter().map(|pid| pid.0).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end();
        }
    }
}
