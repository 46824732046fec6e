//! Close codes and what a close frame carries, RFC 6455 sections 5.5.1 and 7.4.

use std::fmt;

use super::ProtocolError;
use crate::{Error, ErrorKind, Result};

/// The longest reason, in bytes: a control frame has 125, the code takes two.
pub const MAX_REASON: usize = 123;

/// Why a connection is closed: a code that may stand in a close frame.
///
/// These are the codes of RFC 6455 and the registry of IANA (1000-1003, 1007-1014), those of
/// libraries (3000-3999) and of applications (4000-4999). 1004, 1005, 1006 and 1015 are for
/// programs to tell each other what happened, never for the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server goes down, or the page was left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a message of a type that is not taken here (binary where text is wanted).
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1007: what a message holds is not what its type says (text that is not UTF-8).
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: against a policy; where no other code fits.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message or frame over the limit.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: the client wanted an extension that the server did not take up. Only clients send it.
    pub const EXTENSION_WANTED: Self = Self(1010);
    /// 1011: the server met something it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: overloaded; try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got no good answer from upstream.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The code of that number, if a close frame may carry it.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a close frame says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Close {
    /// The code; `None` where the frame was empty (1005 in the terms of section 7.1.5).
    pub code: Option<CloseCode>,
    /// Words for a log, at most [`MAX_REASON`] bytes; often empty.
    pub reason: String,
}

impl Close {
    /// Reads the payload of a close frame.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, ProtocolError> {
        match payload {
            [] => Ok(Self::default()),
            [_] => Err(ProtocolError::CloseTooShort),
            [high, low, reason @ ..] => {
                let number = u16::from_be_bytes([*high, *low]);
                let code = CloseCode::new(number).ok_or(ProtocolError::CloseCode(number))?;
                let reason = std::str::from_utf8(reason).map_err(|_| ProtocolError::CloseReason)?;
                Ok(Self { code: Some(code), reason: reason.to_owned() })
            }
        }
    }
}

/// The payload of a close frame.
pub(super) fn payload(code: CloseCode, reason: &str) -> Result<Vec<u8>> {
    if reason.len() > MAX_REASON {
        let message = format!("close reason of {} bytes, the most is {MAX_REASON}", reason.len());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let mut payload = Vec::with_capacity(2 + reason.len());
    payload.extend_from_slice(&code.get().to_be_bytes());
    payload.extend_from_slice(reason.as_bytes());
    Ok(payload)
}
