//! The registry that lookup servers share.

use gaffer::config::LookupdConfig;
use gaffer::log::Log;
use gaffer::lookup::etcd::{Etcd, Notice, Settings};
use gaffer::lookup::server::Directory;
use gaffer::{Error, ErrorKind, Manager, Result};

/// Reads where it is; `None` is the memory of this process. The text is not repeated where it may have a password in it.
pub(crate) fn read(text: &str) -> Result<Option<Settings>> {
    if text == "memory" {
        return Ok(None);
    }
    let settings: Settings =
        text.parse().map_err(|e: Error| Error::new(ErrorKind::Invalid, format!("{e}, or memory")))?;
    if settings.tls && !cfg!(feature = "tls") {
        return Err(Error::new(ErrorKind::Unsupported, "registry etcds://…: this build has no TLS; use etcd://"));
    }
    Ok(Some(settings))
}

/// The files for TLS towards etcd; `None` where there is none.
#[cfg(feature = "tls")]
pub(crate) fn tls(config: &LookupdConfig) -> Result<Option<gaffer::tls::Client>> {
    if !config.registry.as_ref().is_some_and(|url| url.starts_with("etcds://")) {
        return Ok(None);
    }
    let mut files = gaffer::tls::Files::default();
    files.cacert.clone_from(&config.etcd.cacert);
    files.certfile.clone_from(&config.etcd.certfile);
    files.keyfile.clone_from(&config.etcd.keyfile);
    gaffer::tls::Client::load(&files).map(Some)
}

#[cfg(not(feature = "tls"))]
pub(crate) fn tls(_: &LookupdConfig) -> Result<()> {
    Ok(())
}

/// Shares the directory as the configuration says. After the server, so that at the end it goes first, and what is registered stays until its
/// nodes have found another one.
///
/// # Errors
///
/// As for [`read`] and [`tls`].
pub(crate) fn share(config: &LookupdConfig, directory: &Directory, manager: &mut Manager, log: &Log) -> Result<()> {
    let Some(settings) = read(config.registry.as_deref().unwrap_or("memory"))? else { return Ok(()) };
    let log = log.clone();
    let listener = move |notice: Notice| match notice {
        Notice::Away { .. } => log.error(notice),
        notice => log.info(notice),
    };
    let app = Etcd::new(settings.ttl(config.registry_ttl), directory, manager.handle(), listener);
    #[cfg(feature = "tls")]
    let app = match tls(config)? {
        Some(tls) => app.tls(tls),
        None => app,
    };
    manager.add_app(app);
    Ok(())
}
