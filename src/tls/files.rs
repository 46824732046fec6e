//! What is in the files, and what is wrong with them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Files, provider, validity};
use crate::{Error, ErrorKind, Result};

/// The longest file; the authorities of a whole system need 250 kB.
const MAX: u64 = 8 << 20;

/// A certificate with what leads to its authority, and its key, which fits.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// What is no error, but will be one for others.
    pub(super) warnings: Vec<String>,
}

/// `None` where there is no certificate.
pub(super) fn identity(files: &Files) -> Result<Option<Identity>> {
    let Some(certfile) = &files.certfile else {
        return match &files.keyfile {
            Some(key) => Err(invalid(key, "a key without a `certfile`")),
            None => Ok(None),
        };
    };
    let keyfile = files.keyfile.as_ref().unwrap_or(certfile);
    let chain = certificates(certfile)?;
    let key = key(keyfile)?;
    let fits = rustls::sign::CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider());
    fits.map_err(|e| match e {
        rustls::Error::InconsistentKeys(_) => {
            invalid(keyfile, &format!("the key is not that of the certificate in '{}'", certfile.display()))
        }
        rustls::Error::InvalidCertificate(_) => invalid(certfile, "the first certificate is malformed"),
        other => invalid(keyfile, &format!("the key cannot be used: {other}")),
    })?;
    let warnings = chain.iter().filter_map(|certificate| validity::warning(certificate, certfile)).collect();
    Ok(Some(Identity { chain, key, warnings }))
}

/// The authorities in a file.
pub(super) fn authorities(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates(path)?.into_iter().enumerate() {
        roots
            .add(certificate)
            .map_err(|e| invalid(path, &format!("certificate {} is no authority's: {e}", index + 1)))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    let found = found.map_err(|e| malformed(path, &e))?;
    if found.is_empty() {
        return Err(invalid(path, "there is no certificate in it; expected PEM (`-----BEGIN CERTIFICATE-----`)"));
    }
    Ok(found)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|e| match e {
        pem::Error::NoItemsFound if contains(&text, b"ENCRYPTED") => {
            invalid(path, "the key is encrypted, and there is nobody to ask for the pass phrase")
        }
        pem::Error::NoItemsFound => {
            invalid(path, "there is no private key in it; expected PEM (`-----BEGIN PRIVATE KEY-----`)")
        }
        other => malformed(path, &other),
    })
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

fn malformed(path: &Path, error: &pem::Error) -> Error {
    match error {
        pem::Error::MissingSectionEnd { .. } => invalid(path, "it ends in the middle of a section (no `-----END`)"),
        pem::Error::Base64Decode(_) => invalid(path, "malformed PEM: what is between the lines is not base64"),
        other => invalid(path, &format!("malformed PEM: {other}")),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let cannot = |e| Error::io(format!("TLS: cannot read '{}'", path.display()), e);
    let mut text = Vec::new();
    File::open(path).map_err(cannot)?.take(MAX + 1).read_to_end(&mut text).map_err(cannot)?;
    if text.len() as u64 > MAX {
        return Err(invalid(path, &format!("it has more than {MAX} bytes")));
    }
    Ok(text)
}

pub(super) fn invalid(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("TLS: '{}': {what}", path.display()))
}
