//! Whom a client believes.

use std::fmt;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use super::files::{authorities, identity};
use super::{ALPN, Files, provider};
use crate::{Error, ErrorKind, Result};

/// The authorities that a client believes, and the certificate that it shows where it is asked for one.
#[derive(Clone)]
pub struct Client {
    // Without a client there is nobody who asks.
    #[cfg_attr(not(any(feature = "client", feature = "webhooks", feature = "lookup")), allow(dead_code))]
    pub(super) config: Arc<ClientConfig>,
}

impl Client {
    /// Reads the files; without a `cacert`, what the system has.
    ///
    /// # Errors
    ///
    /// A file cannot be read, is not PEM or lacks what it is for, the key is not that of the certificate, or the system knows no authority.
    pub fn load(files: &Files) -> Result<Self> {
        let unusable = |e: rustls::Error| Error::new(ErrorKind::Invalid, format!("TLS: {e}"));
        let roots = match &files.cacert {
            Some(path) => authorities(path)?,
            None => system()?,
        };
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(unusable)?.with_root_certificates(roots);
        let mut config = match identity(files)? {
            Some(identity) => builder.with_client_auth_cert(identity.chain, identity.key).map_err(unusable)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { config: Arc::new(config) })
    }
}

/// The authorities of the system; one that is malformed is as good as none.
fn system() -> Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|e| format!(" ({e})")).unwrap_or_default();
        let what = format!(
            "TLS: this system has no certificates of authorities{why}; name a file of them: `cacert`, or SSL_CERT_FILE"
        );
        return Err(Error::new(ErrorKind::NotFound, what));
    }
    Ok(roots)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
