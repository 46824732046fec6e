//! A program that runs.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use gaffer::process::Signal;

use super::{Done, SOON, Said, send};

/// A program that runs. When it is dropped it is killed.
pub(crate) struct Running {
    child: Child,
    out: Said,
    err: Said,
    since: Instant,
}

impl Running {
    /// Starts it, and reads both its outputs; a standard output that was set to something else stays that.
    #[track_caller]
    pub(crate) fn spawn(mut command: Command) -> Self {
        let (mut running, out) = Self::unread(&mut command, Stdio::piped());
        running.out = Said::by(out.expect("piped"));
        running
    }

    /// Starts it with this standard output, which nobody reads yet.
    #[track_caller]
    pub(crate) fn unread(command: &mut Command, out: Stdio) -> (Self, Option<ChildStdout>) {
        let mut child = command.stdout(out).stderr(Stdio::piped()).spawn().expect("it can be started");
        let (out, err) = (child.stdout.take(), child.stderr.take().expect("piped"));
        // Nothing is said on what is not read.
        let nothing = Said::by(std::io::empty());
        (Self { child, out: nothing, err: Said::by(err), since: Instant::now() }, out)
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a number of a process")
    }

    /// Standard output so far.
    pub(crate) fn text(&self) -> String {
        self.out.text()
    }

    /// Everything so far, for messages.
    pub(crate) fn dump(&self) -> String {
        format!("-- standard output\n{}\n-- standard error\n{}", self.out.text(), self.err.text())
    }

    /// Waits until standard output contains `text`.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) {
        let found = self.out.wait(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()));
        assert!(found, "`{text}` is missing\n{}", self.dump());
    }

    /// Waits until all of standard output is as it should be.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, mut is_so: impl FnMut(&str) -> bool) {
        let found = self.out.wait(|bytes| is_so(&String::from_utf8_lossy(bytes)));
        assert!(found, "{what}: not so\n{}", self.dump());
    }

    /// Sends a signal to it alone.
    #[track_caller]
    pub(crate) fn signal(&mut self, signal: Signal) {
        send(self.pid(), signal);
        self.since = Instant::now();
    }

    /// Sends a signal and waits for the end.
    #[track_caller]
    pub(crate) fn stop(mut self, signal: Signal) -> Done {
        self.signal(signal);
        self.end()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is ours").is_some()
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Done {
        let deadline = Instant::now() + SOON;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end\n{}", self.dump());
            std::thread::sleep(Duration::from_millis(2));
        };
        let took = self.since.elapsed();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().expect("it has ended"));
        assert!(self.out.wait_for_end() && self.err.wait_for_end(), "somebody holds its output\n{}", self.dump());
        Done { code, out: self.out.bytes(), err: self.err.text(), took }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
