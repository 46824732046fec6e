//! `gaffer start`: a manager with a console, the signals of a terminal, and a rule when to end.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use gaffer::cli::{self, Code, Failure};
use gaffer::console::ConsoleOutput;
use gaffer::manager::{App, Cx};
use gaffer::process::{JobConfig, Restart, Signal};
use gaffer::reaper::{Look, Orphan, Reaper};
use gaffer::signals::{SigHandler, SignalAction};
use gaffer::suggest::hint;
use gaffer::sys::{give_back, limits, tty};
use gaffer::{Error, Manager};

use crate::app;
use crate::attach;
use crate::policy::ExitPolicy;
use crate::start::{ExitOn, Start};

/// After so long without anything to do, memory that is not needed for that is given back.
const QUIET: Duration = Duration::from_millis(500);

/// Runs the application until somebody or its own rule stops it.
pub(crate) fn start(start: &Start) -> Result<Code, Failure> {
    let (application, warnings) = start.app.load(false)?;
    for warning in warnings {
        cli::complain("gaffer", warning);
    }
    let mut jobs = app::jobs(&application, &start.concurrency, &start.names)?;
    check_names(start, &jobs)?;
    for job in &mut jobs {
        configure(start, job);
    }

    // Bound before anything starts, so that a second one of the same application says so at once.
    let api = attach::open(start, &application)?;
    // It is as long as the programs run, and hundreds of lines of a Procfile are not needed twice.
    drop(application);
    let mut manager = Manager::new()?;
    // Two pipes and a watch for each program are soon more than the usual 1024 descriptors. Where the
    // limit cannot be raised, a spawn will say so.
    if let Ok(before) = limits::raise_nofile() {
        manager.set_child_nofile(before);
    }
    let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(|e| Error::io("standard output", e))?;
    let mut console = ConsoleOutput::new(start.console(), stdout);
    for job in &jobs {
        for n in 1..=job.numprocesses {
            console = console.reserve(format!("{}.{n}", job.name.label()));
        }
    }
    let outcome = console.outcome();
    let policy = ExitPolicy::new(start.exit_on(), start.exit_code_from.clone());
    let verdict = policy.verdict();
    // They are stopped from the last to the first. The console waits for whoever reads our output, so
    // the terminal is in order before that, and a signal ends the waiting.
    manager.add_app(console);
    manager.add_app(policy);
    if let Some((recorder, server)) = api {
        manager.add_app(recorder);
        manager.add_app(server);
    }
    let mut signals = SigHandler::default().on(Signal::HUP, SignalAction::Stop).on(Signal::TSTP, SignalAction::Suspend);
    // In a container nobody else reaps what loses its parent there.
    if std::process::id() == 1 {
        let reaper = manager.add_app(Reaper::new(|orphan| {
            if let Orphan::Fault(what) = orphan {
                cli::complain("gaffer", what);
            }
        })?);
        signals = signals.on("CHLD".parse()?, SignalAction::Call(Box::new(move |cx, _| cx.mail(reaper, Look))));
    }
    manager.add_app(signals.default_at_end());
    manager.add_app(Terminal(tty::Modes::of_stdin()));
    manager.on_rest(QUIET, give_back);
    for job in jobs {
        manager.load(job, true)?;
    }

    manager.run()?;
    if let Some(fault) = verdict.fault() {
        return Err(Failure::new(Code::Failed, fault));
    }
    if let Some(error) = outcome.take() {
        return Err(error.into());
    }
    Ok(u8::try_from(verdict.code()).map_or(Code::Failed, |code| if code == 0 { Code::Ok } else { Code::Child(code) }))
}

/// Puts the modes of the terminal back when the last program has ended.
struct Terminal(Option<tty::Modes>);

impl Terminal {
    fn put_back(&mut self) {
        if let Some(modes) = self.0.take().filter(tty::Modes::in_foreground) {
            // A terminal that has gone needs no restoring.
            let _ = modes.restore();
        }
    }
}

impl App for Terminal {
    fn name(&self) -> &str {
        "terminal"
    }

    fn start(&mut self, _: &mut Cx<'_>) -> gaffer::Result<()> {
        Ok(())
    }

    fn stop(&mut self, _: &mut Cx<'_>) {
        self.put_back();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.put_back();
    }
}

/// What the command line says about every job.
fn configure(start: &Start, job: &mut JobConfig) {
    job.restart = match start.exit_on() {
        _ if !start.restart => Restart::Never,
        // What ends everything needs no successor, not even a short-lived one.
        Some(ExitOn::All | ExitOn::Any) => Restart::Never,
        Some(ExitOn::Name(name)) if name == job.name.label() => Restart::Never,
        Some(ExitOn::Failure) => Restart::OnSuccess,
        Some(ExitOn::Name(_)) | None => Restart::Always,
    };
    if start.flapping.is_some() {
        job.flapping = start.flapping;
    }
    job.tty = start.tty;
    if let Some(timeout) = start.timeout {
        job.graceful_timeout = timeout;
    }
}

/// Names in rules that no program has are mistakes: the rule would wait for ever.
fn check_names(start: &Start, jobs: &[JobConfig]) -> Result<(), Failure> {
    let exit_on = start.exit_on.as_ref().and_then(|rule| match rule {
        ExitOn::Name(name) => Some(("--exit-on", name)),
        _ => None,
    });
    let code_from = start.exit_code_from.as_ref().map(|name| ("--exit-code-from", name));
    for (option, name) in exit_on.into_iter().chain(code_from) {
        let known = || jobs.iter().filter(|job| job.numprocesses > 0).map(|job| job.name.label());
        if !known().any(|label| label == name) {
            let words: &[&str] = if option == "--exit-on" { &["any", "failure", "all"] } else { &[] };
            let hint = hint(name, known().chain(words.iter().copied()));
            return Err(Failure::usage(format!("{option}: no program `{name}` is started{hint}")));
        }
    }
    Ok(())
}
