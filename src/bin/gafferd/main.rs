//! The daemon: keeps the programs of a configuration alive, and serves the HTTP API.

#![forbid(unsafe_code)]

mod access;
mod args;
mod check;
mod control;
mod endpoints;
mod lookup;
mod plugins;
mod remembered;
mod secure;
mod server;
mod survivors;
mod webhooks;

use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use gaffer::cli::daemon::{self, failed};
use gaffer::cli::{self, Asked, Code, ColorChoice, Failure};
use gaffer::config::GafferdConfig;
use gaffer::config::gafferd::{AccessLog, Console};
use gaffer::console::{ConsoleOutput, Options, Verbosity};
use gaffer::history::History;
use gaffer::log::{Log, LogLevel, Logger};
use gaffer::manager::Cx;
use gaffer::process::Signal;
use gaffer::reaper::{Look, Orphan, Reaper};
use gaffer::server::site::Sites;
use gaffer::signals::{SigHandler, SignalAction};
use gaffer::sys::notify::{self, Passed};
use gaffer::sys::{Pidfile, give_back};
use gaffer::{Error, Manager, Result};

use args::Args;
use control::{Control, Guests, Message};
use endpoints::Endpoints;
use remembered::Remembered;
use server::Surroundings;
use survivors::Survivors;

/// After so long without anything to do, memory that is not needed for that is given back.
const QUIET: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    // First of all: it changes the environment, and takes descriptors that others could be given.
    let passed = notify::take();
    cli::main("gafferd", |args| match args::command().parse(args)? {
        Asked::Print(text) => cli::print(text).map(|()| Code::Ok),
        Asked::Run(args) => {
            if args.json && !args.list_admins {
                return Err(Failure::usage("--json is for --list-admins"));
            }
            let config = args.load().map_err(failed)?;
            if args.create_admin_user {
                return access::create_admin(&args, &config).map_err(failed);
            }
            if args.list_admins {
                return access::list_admins(&args, &config).map_err(failed);
            }
            if args.check {
                return check::check(&args, &config);
            }
            check::preflight(&config).map_err(failed)?;
            let passed = passed.map_err(|e| failed(Error::io("the service manager's variables", e)))?;
            let background = config.daemonize;
            let start = |passed| Running::start(args, config, passed);
            daemon::run(background, passed, start, Running::run)
        }
    })
}

/// A daemon at work. The manager goes before the pid file does: until then somebody is alive.
struct Running {
    manager: Manager,
    log: Log,
    pidfile: Option<Pidfile>,
}

impl Running {
    /// Opens, binds and loads everything, or fails and leaves nothing behind.
    fn start(args: Args, mut config: GafferdConfig, passed: Passed) -> Result<Self> {
        let pidfile = config.pidfile.as_ref().map(Pidfile::create).transpose()?;
        let log = daemon::open_log(config.error_log.as_deref(), config.daemonize, config.log_level, config.log_format)?;
        let mut manager = Manager::new()?;
        if let Some(before) = daemon::settle("gafferd", &log) {
            manager.set_child_nofile(before);
        }
        if let Some(survivors) = config.pidfile.as_deref().and_then(|pidfile| Survivors::open(pidfile, &log)) {
            manager.add_app(survivors);
        }
        let access_log = match &config.access_log {
            AccessLog::Off => None,
            AccessLog::Log => Some(log.clone()),
            AccessLog::File(path) => Some(Log::file(path, false, LogLevel::Info, config.log_format)?),
        };
        // Apps end in reverse order: what waits is posted when nobody asks any more.
        let webhooks = webhooks::open(&config, &log)?;
        let plugins = plugins::open(plugins::read(&config)?, &log);
        let (hooks, sites) = (webhooks.hooks(), Sites::new(config.plugins_dir.clone()));
        server::show_console(&sites, config.web_console);
        let history = History::new(server::kept(&config));
        manager.add_app(history.recorder());
        let guard = access::guard(&args, &config, &log)?;
        let around = Surroundings {
            guard,
            insecure: args.insecure,
            access_log,
            log: log.clone(),
            hooks: hooks.clone(),
            history,
            sites: sites.clone(),
            invalid_lines: plugins.invalid_lines(),
        };
        manager.add_app(webhooks);
        let endpoints = Endpoints::open(&mut manager, &config, around, passed.listeners)?;
        endpoints.warn(&log);
        if config.console != Console::Off {
            manager.add_app(console(config.console)?.on_failure(console_lost(&config, &log)));
        }
        // On a terminal the console says it all already.
        if config.console == Console::Off || config.error_log.is_some() {
            manager.add_app(Logger::new(log.clone()));
        }
        let reaper = if args.subreaper || std::process::id() == 1 {
            let log = log.clone();
            let say = move |orphan| match orphan {
                Orphan::Reaped(os_pid) => log.line(LogLevel::Debug, format_args!("reaped the orphan {os_pid}")),
                Orphan::Fault(what) => log.error(what),
                _ => {}
            };
            Some(manager.add_app(Reaper::new(say)?))
        } else {
            None
        };
        let plugins = manager.add_app(plugins);
        let announcer = manager.add_app(lookup::open(&config, &endpoints, &log)?);
        let jobs = Remembered::new(std::mem::take(&mut config.jobs));
        let guests = Guests { hooks, sites, plugins, announcer };
        let control = manager.add_app(Control::new(
            args,
            (config, jobs.clone()),
            log.clone(),
            passed.notifier,
            endpoints,
            guests,
        ));
        let mut signals = SigHandler::new()
            .on(Signal::HUP, SignalAction::Call(Box::new(move |cx, _| cx.mail(control, Message::Reload))))
            .on(Signal::USR1, SignalAction::Call(Box::new(move |cx, _| cx.mail(control, Message::Reopen))));
        for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
            let stop = move |cx: &mut Cx<'_>, signal| cx.mail(control, Message::Stop(signal));
            signals = signals.on(signal, SignalAction::Call(Box::new(stop)));
        }
        if let Some(reaper) = reaper {
            // Only here: elsewhere nobody needs to be woken by it.
            signals = signals.on("CHLD".parse()?, SignalAction::Call(Box::new(move |cx, _| cx.mail(reaper, Look))));
        }
        manager.add_app(signals);
        manager.on_rest(QUIET, give_back);
        for (config, start) in jobs.iter() {
            manager.load(Arc::clone(config), start)?;
        }
        drop(jobs);
        // The apps start, and with them the signals; from now on everything is as it shall be.
        let _ = manager.turn(Some(Duration::ZERO))?;
        manager.cx().mail(control, Message::Ready);
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

/// A daemon goes on when nobody reads its console, or the disk is full it goes to: what that would say, the log says from then on.
fn console_lost(config: &GafferdConfig, log: &Log) -> impl FnOnce(&mut Cx<'_>, &Error) + Send + 'static {
    let (log, is_silent) = (log.clone(), config.error_log.is_none());
    move |cx, error| {
        log.error(format_args!("standard output: {error}; going on without the console"));
        if is_silent {
            cx.add_app(Logger::new(log));
        }
    }
}

fn console(what: Console) -> Result<ConsoleOutput> {
    let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(|e| Error::io("standard output", e))?;
    let options = Options::default().color(ColorChoice::Auto.for_stdout()).verbosity(Verbosity::Verbose);
    Ok(ConsoleOutput::new(options, stdout).show_output(what == Console::Output))
}
