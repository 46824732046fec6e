//! What can change while it runs: certificates, keys, and what is logged.

use std::path::PathBuf;

use gaffer::Result;
use gaffer::access::SharedKeys;
use gaffer::config::{LookupdConfig, load_keys};
use gaffer::log::Log;
use gaffer::lookup::server::{Doors, Keys};
use gaffer::server::Tls;

use crate::args::Args;
use crate::registry;

/// The keys in the files of a configuration.
pub(crate) fn keys(config: &LookupdConfig) -> Result<Keys> {
    let load = |path: &PathBuf| load_keys(path).map(SharedKeys::new);
    let Some(nodes) = config.key_file.as_ref().map(load).transpose()? else { return Ok(Keys::default()) };
    let readers = config.read_key_file.as_ref().map(load).transpose()?.unwrap_or_default();
    Ok(Keys::new(nodes).readers(readers).anonymous_read(config.anonymous_read))
}

/// Who may do what, in a sentence.
pub(crate) fn who(config: &LookupdConfig) -> &'static str {
    match (&config.key_file, &config.read_key_file) {
        (None, _) => "whoever reaches it may register and read",
        (Some(_), None) if config.anonymous_read => "nodes register by a key, whoever reaches it may read",
        (Some(_), None) => "nodes register by a key, and those who have it may read",
        (Some(_), Some(_)) => "nodes register by a key, and those who have it or one of the readers' may read",
    }
}

/// Follows the configuration.
#[derive(Debug)]
pub(crate) struct Control {
    args: Args,
    /// As it was at the start, but what could be changed since.
    config: LookupdConfig,
    log: Log,
    tls: Tls,
    doors: Doors,
}

impl Control {
    pub(crate) const fn new(args: Args, config: LookupdConfig, log: Log, tls: Tls, doors: Doors) -> Self {
        Self { args, config, log, tls, doors }
    }

    /// Logs what is wrong with the certificate.
    pub(crate) fn warn(&self) {
        for warning in self.tls.warnings() {
            self.log.warning(warning);
        }
    }

    pub(crate) fn reload(&mut self) {
        match self.try_reload() {
            Ok(()) => self.log.info(format_args!("reloaded: {}", who(&self.config))),
            Err(e) => self.log.error(format_args!("reload refused, everything stays as it was: {e}")),
        }
    }

    /// Changes nothing if something cannot be read.
    fn try_reload(&mut self) -> Result<()> {
        let new = self.args.load()?;
        let keys = keys(&new)?;
        // It is read again when etcd refuses the old one; that it can be is better known now.
        registry::login(&new)?;
        let old = &self.config;
        // Whether there is TLS, and whether it is public, is decided at the start.
        let keeps_tls = old.ssl.is_secure() == new.ssl.is_secure();
        if keeps_tls {
            self.tls.reload(&new.ssl)?;
        }
        let keeps_keys = old.key_file.is_some() == new.key_file.is_some();
        if keeps_keys {
            self.doors.set(keys);
        }
        let shared = |of: &LookupdConfig| {
            let login = (of.registry_user.clone(), of.registry_password_file.clone());
            (of.registry.clone(), of.registry_ttl, of.etcd.clone(), login)
        };
        for (key, changed) in [
            ("certfile", !keeps_tls),
            ("key_file", !keeps_keys),
            ("bind", old.bind != new.bind),
            ("backlog", old.backlog != new.backlog),
            ("ping_interval", old.ping_interval != new.ping_interval),
            ("registry", shared(old) != shared(&new)),
            ("allow_hosts", old.allow_hosts != new.allow_hosts),
            ("allow_origins", old.allow_origins != new.allow_origins),
            ("daemonize", old.daemonize != new.daemonize),
            ("pidfile", old.pidfile != new.pidfile),
            ("error_log", old.error_log != new.error_log),
        ] {
            if changed {
                self.log.warning(format_args!("{key} has changed, which takes effect at the next start only"));
            }
        }
        self.log.set(new.log_level, new.log_format);
        self.warn();
        let config = &mut self.config;
        if keeps_tls {
            config.ssl = new.ssl;
        }
        if keeps_keys {
            config.key_file = new.key_file;
            config.read_key_file = new.read_key_file;
            config.anonymous_read = new.anonymous_read;
        }
        (config.log_level, config.log_format) = (new.log_level, new.log_format);
        Ok(())
    }
}
