//! The registry that lookup servers share.

use gaffer::config::{LookupdConfig, load_password};
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

/// The name and the password to show etcd; `None` where nobody is to be known.
///
/// # Errors
///
/// As for [`load_password`].
pub(crate) fn login(config: &LookupdConfig) -> Result<Option<(String, String)>> {
    let (Some(user), Some(file)) = (&config.registry_user, &config.registry_password_file) else { return Ok(None) };
    Ok(Some((user.clone(), load_password(file)?)))
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
/// As for [`read`], [`login`] and [`tls`].
pub(crate) fn share(config: &LookupdConfig, directory: &Directory, manager: &mut Manager, log: &Log) -> Result<()> {
    let Some(settings) = read(config.registry.as_deref().unwrap_or("memory"))? else { return Ok(()) };
    let settings = match login(config)? {
        Some((user, password)) => {
            if settings.is_overheard() {
                log.warning(format_args!(
                    "registry {settings}: whoever is on the way there can read the password; use etcds"
                ));
            }
            settings.login(user, password)
        }
        None => settings,
    };
    let log = log.clone();
    let listener = move |notice: Notice| match notice {
        Notice::Away { .. } => log.error(notice),
        notice => log.info(notice),
    };
    let app = Etcd::new(settings.ttl(config.registry_ttl), directory, manager.handle(), listener);
    let app = match config.registry_password_file.clone() {
        Some(file) => app.password(move || load_password(&file)),
        None => app,
    };
    #[cfg(feature = "tls")]
    let app = match tls(config)? {
        Some(tls) => app.tls(tls),
        None => app,
    };
    manager.add_app(app);
    Ok(())
}
