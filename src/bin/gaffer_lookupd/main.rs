//! The lookup server: nodes tell it what they have, clients ask it who has what.

#![forbid(unsafe_code)]

mod args;
mod control;
mod registry;

use std::process::ExitCode;
use std::time::Duration;

use gaffer::cli::{self, Asked, Code, Failure, daemon};
use gaffer::config::{Address, LookupdConfig};
use gaffer::log::{Log, LogLevel, Ration};
use gaffer::lookup::announcer;
use gaffer::lookup::registry::Limits;
use gaffer::lookup::server::{self, Directory, Doors};
use gaffer::manager::Cx;
use gaffer::process::Signal;
use gaffer::server::{Answered, Config, Endpoint, LocalAddr, Tls};
use gaffer::signals::{SigHandler, SignalAction};
use gaffer::sys::Pidfile;
use gaffer::{Manager, Result};

use args::{Args, protection};
use control::Control;

const NAME: &str = "gaffer_lookupd";

fn main() -> ExitCode {
    cli::main(NAME, |args| match args::command().parse(args)? {
        Asked::Print(text) => cli::print(text).map(|()| Code::Ok),
        Asked::Run(args) => {
            let config = args.load().map_err(daemon::failed)?;
            if args.check {
                return check(&config);
            }
            daemon::run(config.daemonize, (args, config), Running::start, Running::run)
        }
    })
}

/// `gaffer_lookupd --check`.
fn check(config: &LookupdConfig) -> std::result::Result<Code, Failure> {
    let tls = Tls::load(&config.ssl).map_err(daemon::failed)?;
    control::keys(config).map_err(daemon::failed)?;
    registry::login(config).map_err(daemon::failed)?;
    registry::tls(config).map_err(daemon::failed)?;
    let bind: Vec<String> = config.bind.iter().map(ToString::to_string).collect();
    let tls_words = match (config.ssl.is_secure(), &config.ssl.cacert) {
        (false, _) => "",
        (true, None) => ", TLS",
        (true, Some(_)) => ", TLS, clients with a certificate",
    };
    let mut text = format!("listens at {}{tls_words}\n{}\n", bind.join(", "), control::who(config));
    for warning in tls.warnings() {
        text += &format!("warning: {warning}\n");
    }
    cli::print(text).map(|()| Code::Ok)
}

/// One at work.
struct Running {
    manager: Manager,
    log: Log,
    pidfile: Option<Pidfile>,
}

impl Running {
    /// Opens and binds everything, or fails and leaves nothing behind.
    fn start((args, config): (Args, LookupdConfig)) -> Result<Self> {
        let pidfile = config.pidfile.as_ref().map(Pidfile::create).transpose()?;
        let log = daemon::open_log(config.error_log.as_deref(), config.daemonize, config.log_level, config.log_format)?;
        daemon::settle(NAME, &log);
        let tls = Tls::load(&config.ssl)?;
        let doors = Doors::new(control::keys(&config)?);
        let mut limits = Limits::default();
        limits.ping_interval = config.ping_interval;
        let directory = Directory::new(limits);
        let mut http = server::bind_guarded(settings(&args, &config, &tls), &directory, &doors)?;
        let (answers, mut ration) = (log.clone(), Ration::default());
        http.on_answer(move |answered: &Answered<'_>| match answered.status {
            401 | 403 => ration.warn(&answers, format_args!("refused: {answered}")),
            _ => answers.record(LogLevel::Debug, answered, Default::default()),
        });
        let (handshakes, mut ration) = (log.clone(), Ration::default());
        http.on_failed_handshake(move |failed| ration.warn(&handshakes, failed));
        let secure = config.ssl.is_secure();
        let shown = |address: &LocalAddr| match address {
            LocalAddr::Tcp(_) if secure => format!("{address} (TLS)"),
            _ => address.to_string(),
        };
        let addresses: Vec<String> = http.local_addrs().iter().map(shown).collect();
        let mut manager = Manager::new()?;
        manager.add_app(http);
        registry::share(&config, &directory, &mut manager, &log)?;
        manager.add_app(signals(&log, Control::new(args, config, log.clone(), tls, doors)));
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

fn signals(log: &Log, mut control: Control) -> SigHandler {
    control.warn();
    let reopened = log.clone();
    let mut signals = SigHandler::new()
        .on(Signal::HUP, SignalAction::Call(Box::new(move |_, _| control.reload())))
        .on(Signal::USR1, SignalAction::Call(Box::new(move |_, _| daemon::reopen([&reopened], &reopened))));
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let log = log.clone();
        let stop = move |cx: &mut Cx<'_>, signal| {
            log.info(format_args!("stopping on {signal}"));
            cx.stop();
        };
        signals = signals.on(signal, SignalAction::Call(Box::new(stop)));
    }
    signals
}

fn settings(args: &Args, config: &LookupdConfig, tls: &Tls) -> Config {
    let insecure = args.insecure || protection(config).is_whole();
    let mut settings =
        tls.apply(Config::default()).insecure(insecure).backlog(i32::try_from(config.backlog).unwrap_or(i32::MAX));
    for address in &config.bind {
        settings = settings.endpoint(Endpoint::from(address.clone()));
    }
    settings.allow_hosts.clone_from(&config.allow_hosts);
    // Where all interfaces are meant, clients come by the name of this machine.
    settings.allow_hosts.extend(config.bind.iter().any(Address::is_any).then(announcer::host_name));
    settings.allow_origins.clone_from(&config.allow_origins);
    settings
}
