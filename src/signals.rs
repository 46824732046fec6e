//! Signals of the operating system as an application of the manager.

use std::fmt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::FORBIDDEN;
use signal_hook::flag;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use crate::event_loop::{Interest, Readiness, Source, SourceId};
use crate::manager::{App, Cx};
use crate::process::{ProcessState, Signal};
use crate::{Error, ErrorKind, Result, sys};

/// What a signal makes the manager do.
#[non_exhaustive]
pub enum SignalAction {
    /// Stop gracefully; the second such signal kills what is left.
    Stop,
    /// Restart the apps and every active job, new processes first.
    Restart,
    /// Ctrl-Z: suspend the children, then this program, until SIGCONT comes, which goes on to the
    /// children.
    Suspend,
    /// Anything else.
    Call(Box<dyn FnMut(&mut Cx<'_>, Signal) + Send>),
}

impl fmt::Debug for SignalAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stop => "Stop",
            Self::Restart => "Restart",
            Self::Suspend => "Suspend",
            Self::Call(_) => "Call",
        })
    }
}

/// An app that acts on signals.
///
/// [`SigHandler::default`] stops on SIGTERM, SIGINT and SIGQUIT and restarts on SIGHUP. Children are
/// not affected: they start with default dispositions whatever is handled here.
///
/// Where SIGHUP would stop the manager and is ignored when that starts, it stays ignored: whoever
/// uses nohup(1) wants it so.
///
/// The handlers of a program are its own: a library that embeds a manager leaves this to `main`.
pub struct SigHandler {
    actions: Vec<(Signal, SignalAction)>,
    delivery: Option<SignalDelivery<UnixStream, SignalOnly>>,
    /// True once signals are to have their default effect again.
    ended: Option<Arc<AtomicBool>>,
    /// Wakes the loop: a duplicate of the delivery's reading end.
    source: Option<Source<UnixStream>>,
    stops: u32,
}

impl SigHandler {
    /// A handler of no signal yet.
    #[must_use]
    pub fn new() -> Self {
        Self { actions: Vec::new(), delivery: None, ended: None, source: None, stops: 0 }
    }

    /// Acts on `signal`, in place of what was set for it before. SIGKILL and SIGSTOP, and the faults SIGILL,
    /// SIGFPE and SIGSEGV, cannot be handled: then the app does not start, and a `fault` event says so.
    #[must_use]
    pub fn on(mut self, signal: Signal, action: SignalAction) -> Self {
        self.actions.retain(|(known, _)| *known != signal);
        if matches!(action, SignalAction::Suspend) {
            self.actions.retain(|(known, _)| *known != Signal::CONT);
            self.actions.push((Signal::CONT, SignalAction::Call(Box::new(|cx, signal| cx.signal_groups(signal)))));
        }
        self.actions.push((signal, action));
        self
    }

    /// Once the manager has ended, the signals that stop it have their default effect again, for a
    /// program that ends then, too: a Ctrl-C ends it at once while it waits for the reader of its
    /// last words.
    ///
    /// An app that is stopped after this one (those that were added before it) is within its reach.
    /// Without this, such signals have no effect then.
    #[must_use]
    pub fn default_at_end(mut self) -> Self {
        self.ended = Some(Arc::default());
        self
    }

    fn act(&mut self, cx: &mut Cx<'_>, signal: Signal) {
        let Some((_, action)) = self.actions.iter_mut().find(|(known, _)| *known == signal) else { return };
        match action {
            SignalAction::Stop => {
                self.stops += 1;
                if self.stops == 1 { cx.stop() } else { cx.stop_now() }
            }
            SignalAction::Restart => {
                // A manager that is stopping already has nothing to restart.
                let _ = cx.restart();
            }
            SignalAction::Suspend => {
                cx.signal_groups(Signal::TSTP);
                stop_sessions(cx);
                sys::signal::suspend_self();
            }
            SignalAction::Call(f) => f(cx, signal),
        }
    }
}

/// Stops the processes that lead a session of their own. Their groups are orphaned, which is where SIGTSTP stops
/// nobody (POSIX.1-2017, System Interfaces, 2.4.3).
fn stop_sessions(cx: &Cx<'_>) {
    let processes = cx.list().into_iter().chain(cx.ending()).filter_map(|pid| cx.process(pid).ok());
    // Of one that has ended the number may be another's.
    let leaders = processes.filter(|p| p.state != ProcessState::Exited && (p.config.tty || p.config.detach));
    for os_pid in leaders.filter_map(|process| process.os_pid) {
        // One that has gone does not keep it from the others.
        let _ = sys::signal_group(os_pid, Signal::STOP);
    }
}

impl Default for SigHandler {
    fn default() -> Self {
        [Signal::TERM, Signal::INT, Signal::QUIT]
            .into_iter()
            .fold(Self::new(), |handler, signal| handler.on(signal, SignalAction::Stop))
            .on(Signal::HUP, SignalAction::Restart)
    }
}

impl App for SigHandler {
    fn name(&self) -> &str {
        "signals"
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        if let Some((signal, _)) = self.actions.iter().find(|(signal, _)| FORBIDDEN.contains(&signal.number())) {
            return Err(Error::new(ErrorKind::Invalid, format!("{signal} cannot be handled")));
        }
        let pipe = UnixStream::pair().and_then(|(read, write)| Ok((read.try_clone()?, read, write)));
        let (wake, read, write) = pipe.map_err(|e| Error::io("cannot make a pipe for signals", e))?;
        let nohup = |(signal, action): &(Signal, SignalAction)| {
            *signal == Signal::HUP && matches!(action, SignalAction::Stop) && sys::signal::is_ignored(*signal)
        };
        self.actions.retain(|action| !nohup(action));
        let signals = self.actions.iter().map(|(signal, _)| signal.number());
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, signals);
        self.delivery = Some(delivery.map_err(|e| Error::io("cannot handle signals", e))?);
        self.source = Some(cx.register(wake, Interest::READ)?);
        let stops = self.actions.iter().filter(|(_, action)| matches!(action, SignalAction::Stop));
        if let Some(ended) = &self.ended {
            for (signal, _) in stops {
                flag::register_conditional_default(signal.number(), Arc::clone(ended))
                    .map_err(|e| Error::io(format!("cannot handle {signal}"), e))?;
            }
        }
        Ok(())
    }

    fn ready(&mut self, cx: &mut Cx<'_>, _: SourceId, _: Readiness) {
        let Some(delivery) = &mut self.delivery else { return };
        let pending: Vec<_> = delivery.pending().collect();
        for signal in pending.into_iter().filter_map(|number| Signal::new(number).ok()) {
            self.act(cx, signal);
        }
    }

    fn stop(&mut self, _: &mut Cx<'_>) {
        if let Some(ended) = &self.ended {
            ended.store(true, Ordering::SeqCst);
        }
    }
}

impl fmt::Debug for SigHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.actions.iter().map(|(signal, action)| (signal, action))).finish()
    }
}
