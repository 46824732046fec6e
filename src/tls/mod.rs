//! TLS for what serves and for what asks: versions 1.2 and 1.3, by rustls with ring.
//!
//! | who | certificate | whom it trusts |
//! |---|---|---|
//! | [`Server`] | `certfile` and `keyfile` | clients need none; with `cacert` each needs one that an authority in there has signed |
//! | [`Client`] | `certfile` and `keyfile`, if the server asks for one | the authorities in `cacert` alone, else those of the system |
//!
//! All files are PEM. The authorities of the system are those of OpenSSL: `SSL_CERT_FILE` and `SSL_CERT_DIR` name others. A server's certificate must be
//! valid, and for the name or the address it was asked by; there is no way to say that this does not matter.
//!
//! There is no renegotiation, no compression and no early data; the only protocol that is spoken inside is HTTP/1.1 (ALPN `http/1.1`).

#![forbid(unsafe_code)]

mod client;
#[cfg(any(feature = "client", feature = "webhooks", feature = "etcd"))]
mod connector;
#[cfg(any(feature = "client", feature = "webhooks", feature = "lookup", feature = "server"))]
mod explain;
mod files;
mod server;
#[cfg(any(feature = "server", feature = "client"))]
mod session;
mod validity;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use client::Client;
pub use server::Server;

#[cfg(any(feature = "client", feature = "webhooks", feature = "etcd"))]
pub(crate) use connector::TlsConnector;
#[cfg(any(feature = "client", feature = "webhooks", feature = "lookup"))]
pub(crate) use explain::explain;
#[cfg(feature = "server")]
pub(crate) use explain::explain_client;
#[cfg(any(feature = "server", feature = "client"))]
pub(crate) use session::Session;

/// The files of a side; PEM.
///
/// ```
/// use gaffer::tls::{Client, Files};
///
/// let files = Files::default().cacert("/nonexistent/ca.pem");
/// let e = Client::load(&files).unwrap_err();
/// assert!(e.to_string().contains("/nonexistent/ca.pem"), "{e}");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Files {
    /// The certificate, and after it those that lead to an authority. Default: none.
    pub certfile: Option<PathBuf>,
    /// Its private key: PKCS #8, PKCS #1 or SEC 1, not encrypted. Default: it is in the `certfile`.
    pub keyfile: Option<PathBuf>,
    /// The authorities. Default: see the [module](self).
    pub cacert: Option<PathBuf>,
}

impl Files {
    /// Sets [`certfile`](field@Self::certfile).
    #[must_use]
    pub fn certfile(mut self, path: impl Into<PathBuf>) -> Self {
        self.certfile = Some(path.into());
        self
    }

    /// Sets [`keyfile`](field@Self::keyfile).
    #[must_use]
    pub fn keyfile(mut self, path: impl Into<PathBuf>) -> Self {
        self.keyfile = Some(path.into());
        self
    }

    /// Sets [`cacert`](field@Self::cacert).
    #[must_use]
    pub fn cacert(mut self, path: impl Into<PathBuf>) -> Self {
        self.cacert = Some(path.into());
        self
    }
}

/// The algorithms, chosen here and not by whatever else is in the program.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The protocol inside (RFC 7301).
const ALPN: &[u8] = b"http/1.1";

const fn assert_shared<T: Clone + Send + Sync>() {}
const _: () = assert_shared::<Server>();
const _: () = assert_shared::<Client>();
