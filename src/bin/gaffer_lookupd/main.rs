//! The lookup server: nodes tell it what they have, clients ask it who has what.

#![forbid(unsafe_code)]

mod args;
mod registry;

use std::process::ExitCode;
use std::time::Duration;

use gaffer::cli::{self, Asked, Code, Failure};
use gaffer::log::{Log, LogLevel};
use gaffer::lookup::server::{self, Directory};
use gaffer::manager::Cx;
use gaffer::process::Signal;
use gaffer::server::{Answered, Config, Endpoint};
use gaffer::signals::{SigHandler, SignalAction};
use gaffer::sys::daemon::{self, Side};
use gaffer::sys::{Pidfile, limits, title};
use gaffer::{Error, Manager, Result};

use args::Args;

const NAME: &str = "gaffer_lookupd";

fn main() -> ExitCode {
    cli::main(NAME, |args| match args::command().parse(args)? {
        Asked::Print(text) => cli::print(text).map(|()| Code::Ok),
        Asked::Run(args) if args.daemon => background(args),
        Asked::Run(args) => Running::start(args).and_then(Running::run).map(|()| Code::Ok).map_err(failed),
    })
}

/// Whatever it is, it is 1: scripts of service managers know no other.
fn failed(error: Error) -> Failure {
    Failure::new(Code::Failed, error.to_string())
}

fn background(args: Args) -> std::result::Result<Code, Failure> {
    match daemon::daemonize().map_err(|e| failed(Error::io("cannot go to the background", e)))? {
        Side::Caller(waiting) => waiting.outcome().map(|()| Code::Ok).map_err(|why| Failure::new(Code::Failed, why)),
        Side::Daemon(report) => match Running::start(args) {
            Ok(running) => {
                report.ready();
                running.run().map(|()| Code::Ok).map_err(failed)
            }
            Err(e) => {
                report.failed(&e.to_string());
                Err(Failure::new(Code::Failed, ""))
            }
        },
    }
}

/// One at work.
struct Running {
    manager: Manager,
    log: Log,
    pidfile: Option<Pidfile>,
}

impl Running {
    /// Opens and binds everything, or fails and leaves nothing behind.
    fn start(args: Args) -> Result<Self> {
        let pidfile = args.pidfile.as_ref().map(Pidfile::create).transpose()?;
        let level = if args.verbose { LogLevel::Debug } else { args.log_level.unwrap_or(LogLevel::Info) };
        let format = args.log_format.unwrap_or_default();
        let log = match &args.error_log {
            Some(path) if path.as_os_str() != "-" => Log::file(path, args.daemon, level, format)?,
            _ => Log::stderr(level, format),
        };
        if let Err(e) = title::set(NAME) {
            log.warning(format_args!("cannot set the process's name: {e}"));
        }
        if let Err(e) = limits::raise_nofile() {
            log.warning(format_args!("cannot raise the number of open files: {e}"));
        }
        let directory = Directory::default();
        let mut http = server::bind(config(&args)?, &directory)?;
        if args.verbose {
            let log = log.clone();
            http.on_answer(move |answered: &Answered<'_>| log.record(LogLevel::Debug, answered, Default::default()));
        }
        let addresses: Vec<String> = http.local_addrs().iter().map(ToString::to_string).collect();
        let mut manager = Manager::new()?;
        manager.add_app(http);
        registry::share(&args.registry, &directory, &mut manager, &log)?;
        let mut signals = SigHandler::new().on(Signal::HUP, SignalAction::Call(Box::new(|_, _| {})));
        let reopened = log.clone();
        let reopen = move |_: &mut Cx<'_>, _| match reopened.reopen() {
            Ok(()) => reopened.info("the log was opened again"),
            Err(e) => reopened.error(format_args!("{e}; going on in the old one")),
        };
        signals = signals.on(Signal::USR1, SignalAction::Call(Box::new(reopen)));
        for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
            let log = log.clone();
            let stop = move |cx: &mut Cx<'_>, signal| {
                log.info(format_args!("stopping on {signal}"));
                cx.stop();
            };
            signals = signals.on(signal, SignalAction::Call(Box::new(stop)));
        }
        manager.add_app(signals);
        // The apps start, and with them the signals.
        let _ = manager.turn(Some(Duration::ZERO))?;
        log.info(format_args!("ready: listening on {}", addresses.join(", ")));
        Ok(Self { manager, log, pidfile })
    }

    fn run(mut self) -> Result<()> {
        self.manager.run()?;
        self.log.info("stopped");
        drop(self.manager);
        drop(self.pidfile);
        Ok(())
    }
}

fn config(args: &Args) -> Result<Config> {
    let mut config = Config::default().insecure(args.insecure).backlog(i32::from(args.backlog.unwrap_or(128)));
    let binds = if args.bind.is_empty() { vec![server::DEFAULT_BIND.parse()?] } else { args.bind.clone() };
    for address in binds {
        config = config.endpoint(Endpoint::from(address));
    }
    config.allow_hosts.clone_from(&args.allow_hosts);
    config.allow_origins.clone_from(&args.allow_origins);
    Ok(config)
}
