//! The operating system's side of the processes: carries out what the table decides, and reports
//! back what became of it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::fchown;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::inlets::{Inlet, STDIN};
use super::streams::{self, Stream, StreamOrigin};
use super::{Cx, Owner, Supervisor, launch};
use crate::event_loop::{Interest, Source};
use crate::process::{Exit, JobConfig, OsPid, Pid, Signal, Stdio, What};
use crate::sys::signal::{Groups, group_exists};
use crate::sys::{ChildFd, ExitWatch, Group, SpawnPlan, Spawned, Spawner, Terminal};
use crate::sys::{clock, group_alive, signal_group, signal_process, stdio, tty, users};
use crate::table::Action;
use crate::{Error, ErrorKind, Result};

/// Spawns before the others have their turn, so that five hundred programs that start do not keep
/// everybody else waiting.
pub(super) const MAX_SPAWNS: usize = 32;

/// The first pause before a process group that has outlived its leader is looked at again; it
/// doubles up to [`LINGER_MAX`].
const LINGER_FIRST: Duration = Duration::from_millis(1);
const LINGER_MAX: Duration = Duration::from_millis(100);

/// How long after SIGKILL a process group may still be seen. What the kernel cannot end by then
/// (a process in an uninterruptible sleep) is not waited for.
const KILL_LIMIT: Duration = Duration::from_secs(2);

/// Labels that are shared.
const MAX_LABELS: usize = 8;

/// The children by our number.
#[derive(Debug, Default)]
pub(super) struct Children {
    map: BTreeMap<Pid, Box<Child>>,
    spawner: Option<Spawner>,
    /// The first labels of streams.
    labels: Vec<Arc<str>>,
    /// Looked through once in a turn at most.
    groups: Groups,
    /// The limits of open files that children get back, if ours were raised.
    nofile: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Child {
    os_pid: OsPid,
    started: SystemTime,
    /// When the machine was booted, by the same clock.
    booted: SystemTime,
    detach: bool,
    /// Until it is reaped.
    watch: Option<Source<ExitWatch>>,
    /// Kept in their places until all have ended.
    streams: Vec<Option<Stream>>,
    /// Whether it has a terminal of its own.
    tty: bool,
    /// The terminal, once nobody writes to it any more. To close it hangs up, and would kill a program
    /// that has closed its output and is about to end well; so it stays until the process has ended.
    terminal: Option<Box<Stream>>,
    inlets: Vec<Inlet>,
    group: GroupState,
}

/// What is known of a child's process group.
#[derive(Clone, Copy, Debug, PartialEq)]
enum GroupState {
    /// The leader lives, or is not reaped, so the group's number is ours.
    Led { killed: Option<Instant> },
    /// The leader is reaped, and members may be left. The pause was taken before the last look; zero if there
    /// was none. `seen` is the member that was found in it.
    Lingering { pause: Duration, killed: Option<Instant>, seen: Option<OsPid> },
    /// Nobody is left.
    Gone,
}

impl Children {
    /// By the clock as it is now, should somebody have set it.
    pub(super) fn started(&self, pid: Pid) -> Option<SystemTime> {
        self.map.get(&pid).map(|child| clock::as_now(child.started, child.booted, clock::booted()))
    }

    pub(super) fn streams_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.map.values_mut().flat_map(|child| child.streams.iter_mut().flatten())
    }

    pub(super) fn streams_of(&self, pid: Pid) -> impl Iterator<Item = &Stream> {
        self.map.get(&pid).into_iter().flat_map(|child| child.streams.iter().flatten())
    }

    #[cfg(feature = "server")]
    pub(super) fn streams_of_mut(&mut self, pid: Pid) -> impl Iterator<Item = &mut Stream> {
        self.map.get_mut(&pid).into_iter().flat_map(|child| child.streams.iter_mut().flatten())
    }

    pub(super) fn stream_count(&self, pid: Pid) -> usize {
        self.map.get(&pid).map_or(0, |child| child.streams.len())
    }

    pub(super) fn stream_mut(&mut self, pid: Pid, index: usize) -> Option<&mut Stream> {
        self.map.get_mut(&pid)?.streams.get_mut(index)?.as_mut()
    }

    pub(super) fn pids_with_streams(&self) -> Vec<Pid> {
        self.map.iter().filter(|(_, child)| child.streams.iter().any(Option::is_some)).map(|(&pid, _)| pid).collect()
    }

    pub(super) fn close_stream(&mut self, pid: Pid, index: usize) {
        if let Some(child) = self.map.get_mut(&pid) {
            let ended = child.streams[index].take();
            if let (Some(mut terminal), true) = (ended, child.tty && child.watch.is_some()) {
                terminal.silence();
                child.terminal = Some(Box::new(terminal));
            }
            self.forget_if_over(pid);
        }
    }

    pub(super) fn inlet_mut(&mut self, pid: Pid, label: &str) -> Option<&mut Inlet> {
        self.map.get_mut(&pid)?.inlets.iter_mut().find(|inlet| &*inlet.label == label)
    }

    pub(super) fn inlet_at(&mut self, pid: Pid, index: usize) -> Option<&mut Inlet> {
        self.map.get_mut(&pid)?.inlets.get_mut(index)
    }

    /// A label that is shared where it can be: hundreds of programs have the same.
    fn label(&mut self, label: &str) -> Arc<str> {
        if let Some(known) = self.labels.iter().find(|known| &***known == label) {
            return Arc::clone(known);
        }
        let new: Arc<str> = label.into();
        if self.labels.len() < MAX_LABELS {
            self.labels.push(Arc::clone(&new));
        }
        new
    }

    /// A child is kept until its group is gone and its output has ended.
    fn forget_if_over(&mut self, pid: Pid) {
        let over = |child: &Child| child.group == GroupState::Gone && child.streams.iter().all(Option::is_none);
        if self.map.get(&pid).is_some_and(|child| over(child)) {
            self.map.remove(&pid);
        }
    }

    /// Time passes: what was known of process groups is out of date.
    pub(super) fn forget_groups(&mut self) {
        self.groups.forget();
    }

    /// Kills and reaps what is left, except detached children: the manager goes away.
    pub(super) fn kill_all(&mut self) {
        for child in self.map.values().filter(|child| !child.detach && child.group != GroupState::Gone) {
            if child.watch.is_some() || group_alive(child.os_pid) {
                // Whoever has gone meanwhile needs no signal, and there is nobody left to tell.
                let _ = signal_group(child.os_pid, Signal::KILL);
            }
        }
        for (_, mut child) in std::mem::take(&mut self.map) {
            if let (false, Some(watch)) = (child.detach, child.watch.take()) {
                let _ = watch.into_inner().reap();
            }
        }
    }
}

impl Supervisor {
    /// Children get these limits of open files, soft and hard, in place of the manager's own.
    ///
    /// A program that raises its own soft limit with [`raise_nofile`](crate::sys::limits::raise_nofile)
    /// passes what that returned, for the sake of children that still use `select`.
    pub fn set_child_nofile(&mut self, limits: (u64, u64)) {
        self.children.nofile = Some(limits);
    }

    /// Sends a signal to the process group of every child, as a terminal does on Ctrl-Z: no events,
    /// no change of what is wanted.
    pub fn signal_groups(&mut self, signal: Signal) {
        for child in self.children.map.values() {
            if matches!(child.group, GroupState::Led { .. }) || group_alive(child.os_pid) {
                // One that has gone, or has another owner by now, does not keep it from the others.
                let _ = signal_group(child.os_pid, signal);
            }
        }
    }

    /// Carries out what the table has decided, as long as there are `spawns` left; false if that was
    /// nothing.
    ///
    /// Spawns wait until the events so far are published: who hears of an exit may stop the job, or
    /// everything, before the replacement is there.
    pub(super) fn act(&mut self, spawns: &mut usize) -> bool {
        let mut any = false;
        let unheard = self.table.has_events();
        while *spawns > 0 && !(unheard && self.table.only_spawns_left()) {
            let Some(action) = self.table.next_action() else { break };
            any = true;
            match action {
                Action::Spawn { pid, instance, config, env, .. } => {
                    *spawns -= 1;
                    let outcome = self.start(pid, instance, &config, &env);
                    let now = Instant::now();
                    match outcome {
                        Ok(os_pid) => self.table.spawned(pid, os_pid, now),
                        Err(e) => self.table.spawn_failed(pid, e.to_string(), now),
                    }
                }
                Action::Signal { pid, os_pid, signal, group, cont } => self.signal(pid, os_pid, signal, group, cont),
                Action::Reap { pid, .. } => self.reap(pid),
            }
        }
        any
    }

    /// Starts a process and registers everything that it may tell.
    fn start(
        &mut self,
        pid: Pid,
        instance: u32,
        config: &Arc<JobConfig>,
        extra: &BTreeMap<String, String>,
    ) -> Result<OsPid> {
        let launch = launch::resolve(config, instance, extra)?;
        let ours = |e| Error::io("cannot make a pipe", e);
        let mut readers: Vec<(&str, i32, OwnedFd)> = Vec::new();
        let mut writers: Vec<(Arc<str>, OwnedFd)> = Vec::new();
        // The children's ends; they close here once the child has them.
        let mut theirs: Vec<(OwnedFd, Vec<i32>)> = Vec::new();
        if config.tty {
            let outlet = config.outlets().swap_remove(0);
            let mut children = outlet.fds.to_vec();
            let pty = open_terminal().map_err(|e| Error::io("cannot open a terminal", e))?;
            if config.redirect_input {
                writers.push((STDIN.into(), pty.master.try_clone().map_err(ours)?));
                children.push(0);
            }
            readers.push((outlet.label, children[0], pty.master));
            theirs.push((pty.slave, children));
        } else if config.redirect_input {
            let pipe = stdio::input_pipe().map_err(ours)?;
            writers.push((STDIN.into(), pipe.ours));
            theirs.push((pipe.child, vec![0]));
        }
        for outlet in config.outlets().into_iter().filter(|_| !config.tty) {
            let pipe = stdio::output_pipe().map_err(ours)?;
            readers.push((outlet.label, outlet.fds[0], pipe.ours));
            theirs.push((pipe.child, outlet.fds.to_vec()));
        }
        for (label, child) in config.custom_streams.iter().zip(3..) {
            let pair = stdio::socket_pair().map_err(ours)?;
            writers.push((label.as_str().into(), pair.ours.try_clone().map_err(ours)?));
            readers.push((label, child, pair.ours));
            theirs.push((pair.child, vec![child]));
        }

        let other = match config.stdio {
            Stdio::Inherit => ChildFd::Inherit,
            Stdio::Null => ChildFd::Null,
        };
        let mut fds = vec![other; 3 + config.custom_streams.len()];
        for (fd, children) in &theirs {
            for &child in children {
                fds[child as usize] = ChildFd::Fd(fd.as_fd());
            }
        }
        fds.extend(config.custom_channels.iter().map(|channel| ChildFd::Fd(channel.0.as_fd())));

        let mut plan = SpawnPlan::new(launch.argv);
        plan.env = launch.env.into_iter().collect();
        plan.cwd = config.cwd.clone();
        plan.credentials = users::resolve(config.uid.as_ref(), config.gid.as_ref())?;
        if let Some(to) = &plan.credentials {
            for (fd, _) in &theirs {
                // So that it may open `/dev/stdout`. One that does not is not hurt where this fails.
                let _ = fchown(fd, Some(to.uid), Some(to.gid));
            }
        }
        plan.umask = config.umask;
        plan.group = if config.detach || config.tty { Group::Session } else { Group::Own };
        if config.tty {
            plan.terminal = Terminal::Control(1);
        }
        plan.fds = fds;
        plan.nofile = self.children.nofile;
        let spawner = match &mut self.children.spawner {
            Some(spawner) => spawner,
            none => none.insert(Spawner::new().map_err(|e| Error::io("cannot start programs", e))?),
        };
        let Spawned { os_pid, exit, .. } =
            spawner.spawn(&plan).map_err(|e| Error::new(ErrorKind::Io, e.to_string()))?;
        match self.adopt(pid, os_pid, instance, config, exit, readers, writers) {
            Ok(mut child) => {
                for stream in child.streams.iter_mut().flatten() {
                    match self.logs.attach(&mut self.io, config, &stream.origin) {
                        Ok(log) => stream.log = log.map(Box::new),
                        Err(e) => {
                            let source = format!("stream '{}' of process {pid}", stream.origin.label);
                            self.notices.push(What::Fault { source, reason: format!("it has no log: {e}") });
                        }
                    }
                }
                self.children.map.insert(pid, Box::new(child));
                Ok(os_pid)
            }
            Err((exit, e)) => {
                // It runs, and nobody could hear of it: rather not.
                let _ = signal_group(os_pid, Signal::KILL);
                let _ = exit.reap();
                Err(e)
            }
        }
    }

    /// Carries out a signal. A group whose leader is reaped is asked for first: its number is free
    /// to be used again once the last member has gone.
    fn signal(&mut self, pid: Pid, os_pid: OsPid, signal: Signal, group: bool, cont: bool) {
        let Children { map, groups, .. } = &mut self.children;
        let Some(child) = map.get_mut(&pid) else { return };
        let there = match &mut child.group {
            GroupState::Led { .. } => true,
            GroupState::Lingering { seen, .. } => group && groups.alive(os_pid, seen),
            GroupState::Gone => false,
        };
        if !there {
            return;
        }
        let send = |signal| if group { signal_group(os_pid, signal) } else { signal_process(os_pid, signal) };
        // Gone is an outcome. EPERM (a child that changed its user) is told, and nothing else can be
        // done about it.
        let failed = send(signal).err();
        if cont {
            let _ = send(Signal::CONT);
        }
        if signal == Signal::KILL && group {
            match &mut child.group {
                GroupState::Led { killed } | GroupState::Lingering { killed, .. } => {
                    killed.get_or_insert_with(Instant::now);
                }
                GroupState::Gone => {}
            }
        }
        if let Some(e) = failed {
            self.fault(&format!("{signal} to process {pid} ({os_pid})"), &e.to_string());
        }
    }

    /// Takes the zombie away and looks whether it has left somebody in its group.
    fn reap(&mut self, pid: Pid) {
        let Some(child) = self.children.map.get_mut(&pid) else { return };
        if let Some(watch) = child.watch.take() {
            // The status was told when it was peeked at.
            let _ = watch.into_inner().reap();
        }
        child.terminal = None;
        for inlet in &mut child.inlets {
            inlet.hang_up();
        }
        if let GroupState::Led { killed } = child.group {
            child.group = GroupState::Lingering { pause: Duration::ZERO, killed, seen: None };
        }
        self.look_after_group(pid);
    }

    /// Looks whether a group without leader has members; tells the table once it has none.
    pub(super) fn look_after_group(&mut self, pid: Pid) {
        let Children { map, groups, .. } = &mut self.children;
        let Some(child) = map.get_mut(&pid) else { return };
        let GroupState::Lingering { pause, killed, mut seen } = child.group else { return };
        let now = Instant::now();
        // Those that end with their leader are gone a moment later. Only who stays is searched for, which takes
        // as long as the system has processes.
        let left = if pause.is_zero() { group_exists(child.os_pid) } else { groups.alive(child.os_pid, &mut seen) };
        if left && killed.is_none_or(|at| now < at + KILL_LIMIT) {
            let pause = (pause * 2).clamp(LINGER_FIRST, LINGER_MAX);
            child.group = GroupState::Lingering { pause, killed, seen };
            self.io.set_timer(now + pause, Owner::Linger(pid));
        } else {
            child.group = GroupState::Gone;
            self.children.forget_if_over(pid);
            self.table.gone(pid, now);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn adopt(
        &mut self,
        pid: Pid,
        os_pid: OsPid,
        instance: u32,
        config: &JobConfig,
        exit: ExitWatch,
        readers: Vec<(&str, i32, OwnedFd)>,
        writers: Vec<(Arc<str>, OwnedFd)>,
    ) -> Result<Child, (ExitWatch, Error)> {
        let job = self.table.job_of(pid).and_then(|job| self.table.name(job));
        let name = job.map_or_else(|| Arc::new(config.name.clone()), Arc::clone);
        let watch = self.io.register(exit, Interest::READ, Owner::Exit(pid)).map_err(|e| (e.fd, e.error))?;
        let mut child = Child {
            os_pid,
            started: SystemTime::now(),
            booted: clock::booted(),
            detach: config.detach,
            watch: None,
            streams: Vec::with_capacity(readers.len()),
            tty: config.tty,
            terminal: None,
            inlets: Vec::with_capacity(writers.len()),
            group: GroupState::Led { killed: None },
        };
        for (index, (label, fd, ours)) in readers.into_iter().enumerate() {
            let label = self.children.label(label);
            let origin = StreamOrigin { name: Arc::clone(&name), pid, os_pid, instance, label, fd };
            match self.open_stream(origin, ours, index) {
                Ok(stream) => child.streams.push(Some(stream)),
                Err(e) => return Err((watch.into_inner(), e)),
            }
        }
        for (index, (label, ours)) in writers.into_iter().enumerate() {
            match self.io.register(ours, Interest::NONE, Owner::Inlet(pid, index as u32)) {
                Ok(source) => child.inlets.push(Inlet::new(label, source)),
                Err(e) => return Err((watch.into_inner(), e.into())),
            }
        }
        child.watch = Some(watch);
        Ok(child)
    }
}

/// A terminal for a child: as wide as ours, if we have one.
fn open_terminal() -> io::Result<tty::Pty> {
    let pty = tty::open_pty()?;
    stdio::set_nonblocking(&pty.master)?;
    // Without a terminal of our own the child's has no size, which programs take for 80 columns.
    let _ = tty::copy_window_size(io::stdout().as_fd(), pty.slave.as_fd());
    Ok(pty)
}

/// An exit watch is ready: tells the table how the process ended, after what it has written.
///
/// The status is only looked at. Until the table has the process reaped, the zombie keeps its
/// number and that of its group from being used by somebody else, so signals go where they should.
pub(super) fn exited(cx: &mut Cx<'_>, pid: Pid) {
    let Some(watch) = cx.children.map.get_mut(&pid).and_then(|child| child.watch.as_mut()) else { return };
    let exit = match watch.get_ref().peek() {
        Ok(Some(exit)) => exit,
        Ok(None) => return,
        // Nothing more can be learned, and the watch would be ready for ever.
        Err(_) => Exit::Lost,
    };
    // It stays ready until it is reaped, which may wait for the table.
    let _ = watch.set_interest(Interest::NONE);
    streams::drain(cx, pid);
    cx.table.exited(pid, exit, Instant::now());
}
