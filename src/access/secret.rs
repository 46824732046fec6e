//! Random bytes, digests, and comparisons that tell nothing by their time.

use std::fs::File;
use std::hint::black_box;
use std::io::Read;

use crate::{Error, Result};

/// Bytes from the system's generator.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut read = || File::open("/dev/urandom")?.read_exact(&mut bytes);
    read().map_err(|e| Error::io("random bytes from /dev/urandom", e))?;
    Ok(bytes)
}

/// SHA-256. A key has 128 random bits, so nothing slower is needed.
pub(super) fn digest(text: &str) -> [u8; 32] {
    hmac_sha256::Hash::hash(text.as_bytes())
}

/// Whether both are the same, in a time that depends on their lengths only.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && black_box(a.iter().zip(b).fold(0, |differs, (a, b)| black_box(differs | (a ^ b)))) == 0
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if text.len() % 2 != 0 {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}
