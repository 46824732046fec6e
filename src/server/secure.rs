//! TLS of a server as a configuration has it, also in builds that have none.

#[cfg(feature = "tls")]
mod tls {
    use super::super::Config;
    use crate::Result;
    use crate::config::gafferd::Ssl;
    use crate::tls::{Files, Server};

    /// The TLS that files make, if there are any.
    #[derive(Clone, Debug)]
    pub struct Tls(Option<Server>);

    impl Tls {
        /// Reads the files; none where there is no `certfile`.
        ///
        /// # Errors
        ///
        /// As [`Server::load`], and in a build without TLS [`Unsupported`](crate::ErrorKind::Unsupported) where there are files.
        pub fn load(ssl: &Ssl) -> Result<Self> {
            ssl.is_secure().then(|| Server::load(&Files::from(ssl))).transpose().map(Self)
        }

        /// Reads the files, which may be others now. Whether there is TLS stays as it is.
        ///
        /// # Errors
        ///
        /// As [`Server::reload`].
        pub fn reload(&self, ssl: &Ssl) -> Result<()> {
            self.0.as_ref().map_or(Ok(()), |tls| tls.reload(&Files::from(ssl)))
        }

        /// What is wrong with the certificate for others, see [`Server::warnings`].
        #[must_use]
        pub fn warnings(&self) -> Vec<String> {
            self.0.as_ref().map(Server::warnings).unwrap_or_default()
        }

        /// A configuration with it.
        #[must_use]
        pub fn apply(&self, config: Config) -> Config {
            match self.0.clone() {
                Some(tls) => config.tls(tls),
                None => config,
            }
        }
    }
}

#[cfg(not(feature = "tls"))]
mod tls {
    use super::super::Config;
    use crate::config::gafferd::Ssl;
    use crate::{Error, ErrorKind, Result};

    /// There is none.
    #[derive(Clone, Debug)]
    pub struct Tls;

    impl Tls {
        /// Refuses files.
        ///
        /// # Errors
        ///
        /// [`Unsupported`](ErrorKind::Unsupported) where there is a `certfile`.
        pub fn load(ssl: &Ssl) -> Result<Self> {
            if ssl.is_secure() {
                return Err(Error::new(ErrorKind::Unsupported, "certfile is set, but this build has no TLS"));
            }
            Ok(Self)
        }

        /// Does nothing.
        ///
        /// # Errors
        ///
        /// None.
        pub fn reload(&self, _: &Ssl) -> Result<()> {
            Ok(())
        }

        /// None.
        #[must_use]
        pub const fn warnings(&self) -> Vec<String> {
            Vec::new()
        }

        /// The configuration itself.
        #[must_use]
        pub fn apply(&self, config: Config) -> Config {
            config
        }
    }
}

pub use tls::Tls;
