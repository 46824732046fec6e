//! A manager under observation, and what several tests need.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use gaffer::manager::{Flow, Handle, Status, StreamData, StreamOrigin, StreamSelector};
use gaffer::process::{Event, Exit, JobConfig, OsPid, Pid, Signal, What};
use gaffer::sys;
use gaffer::{Manager, Result};

/// How long a condition may take on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// What a test may ask about afterwards.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    Event(String, Arc<Event>),
    Bytes(StreamOrigin, Vec<u8>),
    End(StreamOrigin),
}

/// A manager whose every event, and where asked for output, is written down. It is turned by
/// [`until`](Watch::until).
pub(crate) struct Watch {
    pub(crate) manager: Manager,
    log: Arc<Mutex<Vec<(Duration, Seen)>>>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let mut manager = Manager::new().expect("a manager");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (notes, began) = (Arc::clone(&log), Instant::now());
        manager.cx().on(".", move |_, topic, event| {
            notes.lock().expect("log").push((began.elapsed(), Seen::Event(topic.to_owned(), Arc::clone(event))));
        });
        Self { manager, log }
    }

    /// Writes output down, too.
    pub(crate) fn with_output() -> Self {
        let mut watch = Self::new();
        let (notes, began) = (Arc::clone(&watch.log), Instant::now());
        watch.manager.cx().tap(StreamSelector::all(), move |_, chunk| {
            let seen = match chunk.data {
                StreamData::Bytes(bytes) => Seen::Bytes(chunk.origin.clone(), bytes.to_vec()),
                StreamData::End => Seen::End(chunk.origin.clone()),
            };
            notes.lock().expect("log").push((began.elapsed(), seen));
            Flow::Continue
        });
        watch
    }

    /// Loads and starts.
    #[track_caller]
    pub(crate) fn start(&mut self, config: JobConfig) {
        self.manager.load(config, true).expect("load");
    }

    /// Turns until the condition holds; panics with everything it saw if it does not in time.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !holds(self) {
            let _ = self.manager.turn(Some(Duration::from_millis(20))).expect("turn");
            assert!(Instant::now() < deadline, "waited in vain for: {what}\n{}", self.dump());
        }
    }

    /// Turns for so long, and once more when the time is over: a thread that had to wait for its processor has seen what was
    /// due meanwhile. Only to show that something does *not* happen.
    pub(crate) fn idle(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let _ = self.manager.turn(Some(left)).expect("turn");
            if left.is_zero() {
                return;
            }
        }
    }

    /// Stops the manager and turns until it has ended.
    #[track_caller]
    pub(crate) fn finish(&mut self) {
        self.manager.stop();
        let deadline = Instant::now() + DEADLINE;
        while self.manager.turn(Some(Duration::from_millis(20))).expect("turn") == Status::Running {
            assert!(Instant::now() < deadline, "the manager does not stop\n{}", self.dump());
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log.lock().expect("log").iter().map(|(_, seen)| seen.clone()).collect()
    }

    pub(crate) fn forget(&self) {
        self.log.lock().expect("log").clear();
    }

    /// Topics in the order of their delivery.
    pub(crate) fn topics(&self) -> Vec<String> {
        let topic = |seen| if let Seen::Event(topic, _) = seen { Some(topic) } else { None };
        self.seen().into_iter().filter_map(topic).collect()
    }

    /// Events in the order of their delivery, each once.
    pub(crate) fn events(&self) -> Vec<Arc<Event>> {
        let event = |seen| match seen {
            Seen::Event(topic, event) if topic == event.what.name() => Some(event),
            _ => None,
        };
        self.seen().into_iter().filter_map(event).collect()
    }

    /// Names of events in the order of their delivery, each once.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.events().iter().map(|event| event.what.name()).collect()
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.names().into_iter().filter(|seen| *seen == name).count()
    }

    pub(crate) fn exits(&self) -> Vec<(Pid, Exit)> {
        let exit = |event: &Arc<Event>| match &event.what {
            What::Exit { pid, exit, .. } => Some((*pid, exit.clone())),
            _ => None,
        };
        self.events().iter().filter_map(exit).collect()
    }

    /// Faults, as `source: reason`.
    pub(crate) fn faults(&self) -> Vec<String> {
        let fault = |event: &Arc<Event>| match &event.what {
            What::Fault { source, reason } => Some(format!("{source}: {reason}")),
            _ => None,
        };
        self.events().iter().filter_map(fault).collect()
    }

    /// What came from streams of this label.
    pub(crate) fn bytes(&self, label: &str) -> Vec<u8> {
        let piece = |seen| match seen {
            Seen::Bytes(origin, bytes) if &*origin.label == label => Some(bytes),
            _ => None,
        };
        self.seen().into_iter().filter_map(piece).flatten().collect()
    }

    pub(crate) fn text(&self, label: &str) -> String {
        String::from_utf8_lossy(&self.bytes(label)).into_owned()
    }

    /// The system's numbers of a job's processes that run.
    pub(crate) fn os_pids(&self, job: &str) -> Vec<OsPid> {
        let pids = self.manager.pids(job).unwrap_or_default();
        pids.into_iter().filter_map(|pid| self.manager.process(pid).ok()?.os_pid).collect()
    }

    #[track_caller]
    pub(crate) fn running(&mut self, job: &str, n: usize) {
        self.until(&format!("{n} processes of {job}"), |w| w.os_pids(job).len() == n);
    }

    pub(crate) fn dump(&self) -> String {
        let mut text = format!("{:#?}\n", *self.manager);
        let log = self.log.lock().expect("log");
        text += &format!("{} notes, the last of them:\n", log.len());
        for (at, seen) in &log[log.len().saturating_sub(100)..] {
            let line = match seen {
                Seen::Event(topic, event) => format!("{topic}: {:?}", event.what),
                Seen::Bytes(origin, bytes) => {
                    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
                    format!("{} {} wrote {} bytes: {shown:?}", origin.pid, origin.label, bytes.len())
                }
                Seen::End(origin) => format!("{} {} ends", origin.pid, origin.label),
            };
            text += &format!("{:>8.3} {line}\n", at.as_secs_f64());
        }
        text
    }
}

/// A manager on a thread of its own; it is stopped and waited for when this is dropped.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Running {
    pub(crate) fn new() -> Self {
        let mut manager = Manager::new().expect("a manager");
        let handle = manager.handle();
        let thread = thread::spawn(move || manager.run());
        // From here on the manager knows its thread.
        handle.call(|_| ()).expect("it runs");
        Self { handle, thread: Some(thread) }
    }

    #[track_caller]
    pub(crate) fn start(&self, config: JobConfig) {
        self.handle.call(|m| m.load(config, true)).expect("call").expect("load");
    }

    /// Asks the manager until the condition holds.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, holds: fn(&gaffer::manager::Cx<'_>) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !self.handle.call(move |m| holds(m)).expect("call") {
            assert!(Instant::now() < deadline, "waited in vain for: {what}\n{}", self.dump());
            thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn dump(&self) -> String {
        self.handle.call(|m| format!("{m:#?}")).unwrap_or_else(|e| e.to_string())
    }

    /// Waits for the end of the loop's thread.
    #[track_caller]
    pub(crate) fn join(mut self) {
        self.end();
    }

    #[track_caller]
    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let deadline = Instant::now() + DEADLINE;
        while !thread.is_finished() {
            if Instant::now() > deadline {
                eprintln!("the manager does not stop\n{}", self.dump());
                std::process::abort();
            }
            thread::sleep(Duration::from_millis(1));
        }
        thread.join().expect("the loop does not panic").expect("the loop does not fail");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have stopped already.
        let _ = self.handle.call(|m| m.stop_now());
        if !thread::panicking() {
            self.end();
        }
    }
}

/// A job that runs a script of the shell.
#[track_caller]
pub(crate) fn sh(name: &str, script: &str) -> JobConfig {
    JobConfig::new(name, script).expect("a name").shell(true)
}

/// A job that does nothing until it is told to end.
#[track_caller]
pub(crate) fn sleeper(name: &str) -> JobConfig {
    JobConfig::new(name, "sleep 1000").expect("a name")
}

/// The program that the original's tests supervise: it writes START, HUP for every SIGHUP, and on
/// SIGTERM QUIT and STOP into the file.
pub(crate) fn dummy(name: &str, file: &Path) -> JobConfig {
    // Whoever has read START may send a signal at once, so that comes last.
    let script = "go=1; trap 'printf HUP >> $F' HUP; trap 'go=; printf QUIT >> $F' TERM; printf START >> $F
        while [ $go ]; do sleep 0.01; done; printf STOP >> $F";
    sh(name, script).env("F", file.display().to_string())
}

/// A file or folder of this test alone, which goes when it ends.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = crate::place::place().join(format!("gaffer-manager-{}-{n}", std::process::id()));
        std::fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What the file says; nothing if it is not there.
    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// The numbers in the file, one a line.
    pub(crate) fn pids(&self, name: &str) -> Vec<OsPid> {
        self.text(name).lines().filter_map(|line| line.trim().parse().ok()).map(OsPid).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The state of a process (proc_pid_stat(5)); none once it is gone.
fn state(os_pid: OsPid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{os_pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next())
}

/// Whether a process runs; a zombie does not.
pub(crate) fn alive(os_pid: OsPid) -> bool {
    !matches!(state(os_pid), None | Some('Z' | 'X'))
}

/// Whether a process waits for something that is not the processor.
pub(crate) fn sleeps(os_pid: OsPid) -> bool {
    state(os_pid) == Some('S')
}

#[track_caller]
pub(crate) fn signal(os_pid: OsPid, signal: Signal) {
    let _ = sys::signal_process(os_pid, signal).expect("kill");
}

/// Waits, without a manager.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// What this thread has used of a processor: a busy machine does not change it.
pub(crate) fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place is valid for the call.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
