//! Passwords, as they are kept: argon2id (RFC 9106) with a salt of their own.

use argon2::{Algorithm, Argon2, Params, Version};
use serde_json::{Value, json};

use super::secret::{from_hex, hex, random, same};
use crate::{Error, ErrorKind, Result};

/// Memory in KiB, passes and lanes: the second choice of OWASP's password storage cheat sheet, 19 MiB.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);

/// The most a file may ask for: it must not be able to take the machine down.
const MAX_COST: (u32, u32, u32) = (256 * 1024, 16, 4);

/// Bytes a password may have.
pub const MAX_PASSWORD: usize = 1024;

/// What a password is checked against.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Hashed {
    cost: (u32, u32, u32),
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Hashed {
    /// Takes some 20 ms and 19 MiB: not for the loop.
    pub(super) fn new(password: &str) -> Result<Self> {
        if password.is_empty() || password.len() > MAX_PASSWORD {
            let what = format!("password: expected 1 to {MAX_PASSWORD} bytes, found {}", password.len());
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        let salt = random::<16>()?.to_vec();
        let hash = derive(password, &salt, COST)?;
        Ok(Self { cost: COST, salt, hash })
    }

    /// One that no password has, for users who are not there: they take as long as others.
    pub(super) fn nobodys() -> Self {
        Self { cost: COST, salt: vec![0; 16], hash: Vec::new() }
    }

    /// Takes as long.
    pub(super) fn verify(&self, password: &str) -> bool {
        password.len() <= MAX_PASSWORD
            && derive(password, &self.salt, self.cost).is_ok_and(|hash| same(&hash, &self.hash))
    }

    pub(super) fn to_json(&self) -> Value {
        let (memory, passes, lanes) = self.cost;
        json!({
            "argon2id": {"m": memory, "t": passes, "p": lanes}, "salt": hex(&self.salt), "hash": hex(&self.hash),
        })
    }

    pub(super) fn from_json(value: &Value) -> Option<Self> {
        let number = |name: &str| value.get("argon2id")?.get(name)?.as_u64()?.try_into().ok();
        let bytes = |name: &str| from_hex(value.get(name)?.as_str()?);
        let cost = (number("m")?, number("t")?, number("p")?);
        let fits = cost.0 <= MAX_COST.0 && cost.1 <= MAX_COST.1 && cost.2 <= MAX_COST.2;
        let (salt, hash) = (bytes("salt")?, bytes("hash")?);
        (fits && salt.len() >= 8 && hash.len() == 32).then_some(Self { cost, salt, hash })
    }
}

fn derive(password: &str, salt: &[u8], (memory, passes, lanes): (u32, u32, u32)) -> Result<Vec<u8>> {
    let failed = |e: argon2::Error| Error::new(ErrorKind::Invalid, format!("argon2: {e}"));
    let params = Params::new(memory, passes, lanes, Some(32)).map_err(failed)?;
    let mut hash = vec![0; 32];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password.as_bytes(), salt, &mut hash).map_err(failed)?;
    Ok(hash)
}
