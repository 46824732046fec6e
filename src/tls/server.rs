//! What a server shows.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, ServerConnection};

use super::files::{authorities, identity};
use super::{ALPN, Files, provider};
use crate::{Error, ErrorKind, Result};

/// The certificate of a server and whom it lets in. A clone is the same one: what is [loaded again](Self::reload) holds for all.
#[derive(Clone)]
pub struct Server {
    loaded: Arc<RwLock<Loaded>>,
}

struct Loaded {
    config: Arc<ServerConfig>,
    warnings: Vec<String>,
}

impl Server {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// There is no `certfile`, a file cannot be read, is not PEM or lacks what it is for, or the key is not that of the certificate. A certificate that
    /// has expired is no error but a [warning](Self::warnings): it is what the clients see to.
    pub fn load(files: &Files) -> Result<Self> {
        Ok(Self { loaded: Arc::new(RwLock::new(load(files)?)) })
    }

    /// Reads these files from now on: connections that come get what they say; those that are open go on as they are.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load); nothing changes then.
    pub fn reload(&self, files: &Files) -> Result<()> {
        let loaded = load(files)?;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }

    /// What is wrong with the certificate for others: it has expired, will within 14 days, or is not valid yet.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).warnings.clone()
    }

    // Without the server there is nobody to accept.
    #[cfg_attr(not(feature = "server"), allow(dead_code))]
    pub(super) fn connection(&self) -> io::Result<ServerConnection> {
        let config = Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner).config);
        ServerConnection::new(config).map_err(io::Error::other)
    }
}

fn load(files: &Files) -> Result<Loaded> {
    let Some(identity) = identity(files)? else {
        return Err(Error::new(ErrorKind::Invalid, "TLS: a server needs a `certfile`"));
    };
    let unusable = |e: rustls::Error| Error::new(ErrorKind::Invalid, format!("TLS: {e}"));
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(unusable)?;
    let builder = match &files.cacert {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
            builder.with_client_cert_verifier(verifier.map_err(|e| super::files::invalid(path, &e.to_string()))?)
        }
    };
    let mut config = builder.with_single_cert(identity.chain, identity.key).map_err(unusable)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Loaded { config: Arc::new(config), warnings: identity.warnings })
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("warnings", &self.warnings()).finish_non_exhaustive()
    }
}
