//! The registry that lookup servers share.

use gaffer::log::Log;
use gaffer::lookup::etcd::{Etcd, Notice};
use gaffer::lookup::server::Directory;
use gaffer::{Error, ErrorKind, Manager, Result};

use crate::args::Registry;

/// Shares the directory as the arguments say.
///
/// # Errors
///
/// Files are given to a registry that has no use for them, or cannot be used.
pub(crate) fn share(args: &Registry, directory: &Directory, manager: &mut Manager, log: &Log) -> Result<()> {
    let Registry { etcd, ttl, cacert, cert, key } = args;
    let files = [("--etcd-cacert", cacert), ("--etcd-cert", cert), ("--etcd-key", key)];
    let tls = etcd.as_ref().is_some_and(|settings| settings.tls);
    if let Some((option, _)) = files.iter().find(|(_, file)| file.is_some() && !tls) {
        return Err(Error::new(ErrorKind::Invalid, format!("{option} is for --registry etcds://… only")));
    }
    let Some(mut settings) = etcd.clone() else {
        return match ttl {
            Some(_) => Err(Error::new(ErrorKind::Invalid, "--registry-ttl is for --registry etcd://… only")),
            None => Ok(()),
        };
    };
    if let Some(ttl) = ttl {
        settings = settings.ttl(*ttl);
    }
    let notices = log.clone();
    let listener = move |notice: Notice| match notice {
        Notice::Away { .. } => notices.error(notice),
        notice => notices.info(notice),
    };
    let app = Etcd::new(settings, directory, manager.handle(), listener);
    #[cfg(feature = "tls")]
    let app = if tls {
        let mut files = gaffer::tls::Files::default();
        files.cacert.clone_from(cacert);
        files.certfile.clone_from(cert);
        files.keyfile.clone_from(key);
        app.tls(gaffer::tls::Client::load(&files)?)
    } else {
        app
    };
    #[cfg(not(feature = "tls"))]
    if tls {
        return Err(Error::new(ErrorKind::Unsupported, "--registry etcds://…: this build has no TLS; use etcd://"));
    }
    manager.add_app(app);
    Ok(())
}
