//! `--wait`: until what was asked is so.

use std::thread;
use std::time::{Duration, Instant};

use super::node::failure;
use super::table::state_name;
use super::{Code, Command, Failure, Opt};
use crate::ErrorKind;
use crate::client::{Job, JobInfo, Server};
use crate::process::{JobState, Pid, ProcessState};

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State {
    /// As many processes as wanted run, and those of before have gone if they were replaced.
    Running,
    /// No process is left, nor one that was told to end before.
    Stopped,
}

/// The value of `--wait`: nothing, or a state.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wait {
    asked: bool,
    state: Option<State>,
}

/// How long to wait where nobody says otherwise: longer than the graceful time-out of 30 s.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Between two looks: short at first, as most jobs are quick.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// Gives a command `--wait`.
pub fn option<T: AsMut<Wait>>(command: Command<T>) -> Command<T> {
    let wait = Opt::maybe("wait", "STATE", "Wait until it is so, at most --timeout: running or stopped.");
    command.option(wait, |a: &mut T, v| {
        let state = v.read(|text| match text {
            "" => Ok(None),
            "running" => Ok(Some(State::Running)),
            "stopped" => Ok(Some(State::Stopped)),
            _ => Err("expected running or stopped"),
        })?;
        *a.as_mut() = Wait { asked: true, state };
        Ok(())
    })
}

impl Wait {
    /// Whether, and for which state; `natural` is that of the command.
    #[must_use]
    pub fn state(self, natural: State) -> Option<State> {
        self.asked.then(|| self.state.unwrap_or(natural))
    }

    /// Whether to wait at all.
    #[must_use]
    pub const fn is_asked(self) -> bool {
        self.asked
    }
}

/// The end of the time to wait, counted from now: `timeout`, or 60 s.
#[must_use]
pub fn deadline(timeout: Option<Duration>) -> Instant {
    // Ten years are as good as what cannot be added.
    Instant::now()
        .checked_add(timeout.unwrap_or(TIMEOUT))
        .unwrap_or_else(|| Instant::now() + Duration::from_secs(315_360_000))
}

/// The processes that a job has now, those on the way out included; none if it is not there.
///
/// # Errors
///
/// The node does not answer.
pub fn before(job: &Job) -> Result<Vec<Pid>, Failure> {
    Ok(info(job)?.map(all).unwrap_or_default())
}

/// Those of them that will have gone when the job is restarted.
///
/// # Errors
///
/// The node does not answer.
pub fn before_restart(job: &Job) -> Result<Vec<Pid>, Failure> {
    Ok(info(job)?.map(replaced).unwrap_or_default())
}

fn info(job: &Job) -> Result<Option<JobInfo>, Failure> {
    match job.info() {
        Ok(info) => Ok(Some(info)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failure(e)),
    }
}

/// All processes of a job, those on the way out included.
#[must_use]
pub fn all(info: JobInfo) -> Vec<Pid> {
    let mut pids = info.processes;
    pids.extend(info.status.ending);
    pids
}

/// Those that will have gone when the job is restarted: what was committed is not replaced.
#[must_use]
pub fn replaced(info: JobInfo) -> Vec<Pid> {
    let mut pids = info.kept().to_vec();
    pids.extend(info.status.ending);
    pids
}

/// Waits until the job is in that state and the `old` processes have gone.
///
/// # Errors
///
/// [`Code::TimedOut`] with what was waited for in vain; the job is stopped and will not run; the node does not answer.
pub fn job(server: &Server, job: &Job, state: State, mut old: Vec<Pid>, deadline: Instant) -> Result<(), Failure> {
    poll(deadline, || {
        // Before the numbers are read: a process that ends between the two would count as running.
        let wait = remaining(server, &mut old)?;
        if wait.is_some() {
            return Ok(wait);
        }
        let status = match (job.status(), state) {
            (Ok(status), _) => status,
            (Err(e), State::Stopped) if e.kind() == ErrorKind::NotFound => return Ok(None),
            (Err(e), _) => return Err(failure(e)),
        };
        let (running, wanted) = (status.running, status.numprocesses);
        let name = status.name.short();
        match state {
            State::Stopped if status.is_active() || running > 0 => {
                Ok(Some(format!("`{name}` is {}, {running} of its processes run", state_name(status.state))))
            }
            State::Stopped => Ok(status.ending.first().map(|pid| format!("process {pid} of `{name}` has not ended"))),
            State::Running if status.state == JobState::Stopped => {
                Err(Failure::new(Code::Failed, format!("`{name}` is stopped, so it will not run")))
            }
            State::Running if !status.is_active() || running < wanted => {
                Ok(Some(format!("`{name}` is {}, {running} of {wanted} processes run", state_name(status.state))))
            }
            State::Running => starting(server, job, wanted),
        }
    })
}

/// Waits until these processes have gone.
///
/// # Errors
///
/// [`Code::TimedOut`] with the one that has not ended; the node does not answer.
pub fn gone(server: &Server, mut old: Vec<Pid>, deadline: Instant) -> Result<(), Failure> {
    poll(deadline, || remaining(server, &mut old))
}

/// Looks again and again until there is nothing to wait for; `look` says what there is.
fn poll(deadline: Instant, mut look: impl FnMut() -> Result<Option<String>, Failure>) -> Result<(), Failure> {
    let mut pause = PAUSE.0;
    loop {
        let Some(wait) = look()? else { return Ok(()) };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::new(Code::TimedOut, format!("the time is over: {wait} (--timeout gives it longer)")));
        }
        thread::sleep(pause.min(left));
        pause = (pause * 3 / 2).min(PAUSE.1);
    }
}

/// Forgets those that have gone.
fn remaining(server: &Server, old: &mut Vec<Pid>) -> Result<Option<String>, Failure> {
    while let Some(pid) = old.last() {
        match server.process(*pid).info() {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                old.pop();
            }
            Err(e) => return Err(failure(e)),
            Ok(info) => {
                let os_pid = info.os_pid.map(|os_pid| format!(" (os pid {os_pid})")).unwrap_or_default();
                return Ok(Some(format!("process {pid}{os_pid} has not ended")));
            }
        }
    }
    Ok(None)
}

/// A process counts as running from the moment it is to be started, and committed ones count as well.
fn starting(server: &Server, job: &Job, wanted: u32) -> Result<Option<String>, Failure> {
    let pids = job.pids().map_err(failure)?;
    if pids.len() < wanted as usize {
        return Ok(Some(format!("`{}`: {} of {wanted} processes run", job.name().short(), pids.len())));
    }
    for pid in pids {
        match server.process(pid).info() {
            Ok(info) if info.state == ProcessState::Running => {}
            Ok(_) => return Ok(Some(format!("process {pid} does not run yet"))),
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Some(format!("process {pid} has ended"))),
            Err(e) => return Err(failure(e)),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Asked;

    #[derive(Debug, Default, PartialEq)]
    struct Only(Wait);

    impl AsMut<Wait> for Only {
        fn as_mut(&mut self) -> &mut Wait {
            &mut self.0
        }
    }

    #[test]
    fn flags() {
        for (line, want) in [
            ("", None),
            ("--wait", Some(State::Stopped)),
            ("--wait=running", Some(State::Running)),
            ("--wait=stopped", Some(State::Stopped)),
        ] {
            let args = line.split_whitespace().map(Into::into);
            let Ok(Asked::Run(Only(wait))) = option(Command::<Only>::new("x", "")).parse(args) else {
                panic!("{line}")
            };
            assert_eq!((wait.state(State::Stopped), wait.is_asked()), (want, want.is_some()), "{line}");
        }
        assert!(option(Command::<Only>::new("x", "")).parse(["--wait=gone".into()]).is_err());
    }

    #[test]
    fn polling_ends() {
        let mut left = 3;
        let look = || {
            left -= 1;
            Ok((left > 0).then(|| "x".to_owned()))
        };
        poll(deadline(None), look).expect("it becomes so");
        let failure = poll(Instant::now(), || Ok(Some("`web` is stopped".to_owned()))).expect_err("it does not");
        assert_eq!(failure.code(), Code::TimedOut);
        assert!(failure.to_string().contains("`web` is stopped"), "{failure}");
        assert!(deadline(Some(Duration::MAX)) > Instant::now());
    }
}
