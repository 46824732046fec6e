//! TLS of the endpoints, if this build has it.

use gaffer::config::GafferdConfig;
use gaffer::config::gafferd::{Endpoint, Ssl};

/// Whether whoever reaches this endpoint is asked who it is, and cannot be listened to: then it may be public.
pub(crate) fn is_guarded(config: &GafferdConfig, endpoint: &Endpoint) -> bool {
    config.require_key && is_secure(&endpoint.ssl)
}

pub(crate) const fn is_secure(ssl: &Ssl) -> bool {
    ssl.certfile.is_some()
}

/// Whether the one can become the other without closing.
pub(crate) fn is_same_place(one: &Endpoint, other: &Endpoint) -> bool {
    is_but_for_ssl(one, other) && is_secure(&one.ssl) == is_secure(&other.ssl)
}

/// Whether they differ in their certificates at most.
pub(crate) fn is_but_for_ssl(one: &Endpoint, other: &Endpoint) -> bool {
    let mut there = one.clone();
    there.ssl.clone_from(&other.ssl);
    there == *other
}

#[cfg(feature = "tls")]
mod tls {
    use gaffer::config::gafferd::Ssl;
    use gaffer::tls::{Files, Server};
    use gaffer::{Result, server};

    /// That of an endpoint.
    #[derive(Clone, Debug)]
    pub(crate) struct Tls(Option<Server>);

    impl Tls {
        pub(crate) fn load(ssl: &Ssl) -> Result<Self> {
            super::is_secure(ssl).then(|| Server::load(&files(ssl))).transpose().map(Self)
        }

        /// Reads the files, which may be others now. Whether there is TLS stays as it is.
        pub(crate) fn reload(&self, ssl: &Ssl) -> Result<()> {
            self.0.as_ref().map_or(Ok(()), |tls| tls.reload(&files(ssl)))
        }

        pub(crate) fn warnings(&self) -> Vec<String> {
            self.0.as_ref().map(Server::warnings).unwrap_or_default()
        }

        pub(crate) fn apply(&self, settings: server::Config) -> server::Config {
            match self.0.clone() {
                Some(tls) => settings.tls(tls),
                None => settings,
            }
        }
    }

    fn files(ssl: &Ssl) -> Files {
        let mut files = Files::default();
        files.certfile.clone_from(&ssl.certfile);
        files.keyfile.clone_from(&ssl.keyfile);
        files.cacert.clone_from(&ssl.cacert);
        files
    }
}

#[cfg(not(feature = "tls"))]
mod tls {
    use gaffer::config::gafferd::Ssl;
    use gaffer::{Error, ErrorKind, Result, server};

    /// There is none.
    #[derive(Clone, Debug)]
    pub(crate) struct Tls;

    impl Tls {
        pub(crate) fn load(ssl: &Ssl) -> Result<Self> {
            if super::is_secure(ssl) {
                return Err(Error::new(ErrorKind::Unsupported, "certfile is set, but this build has no TLS"));
            }
            Ok(Self)
        }

        pub(crate) fn reload(&self, _: &Ssl) -> Result<()> {
            Ok(())
        }

        pub(crate) const fn warnings(&self) -> Vec<String> {
            Vec::new()
        }

        pub(crate) fn apply(&self, settings: server::Config) -> server::Config {
            settings
        }
    }
}

pub(crate) use tls::Tls;
