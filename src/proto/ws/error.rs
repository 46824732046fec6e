//! What a peer can do wrong, and the close code each of it has.

use std::fmt;

use super::CloseCode;
use crate::ErrorKind;

/// How a peer broke the protocol or a limit. The connection is over; the section of RFC 6455 that
/// says so is given with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit without an extension that gives it a meaning (5.2).
    ReservedBits,
    /// An opcode that is not defined: 3-7 or 11-15 (5.2).
    UnknownOpcode(u8),
    /// A frame from a client that is not masked (5.1).
    Unmasked,
    /// A frame from a server that is masked (5.1).
    Masked,
    /// A ping, pong or close in fragments (5.5).
    FragmentedControl,
    /// A ping, pong or close of more than 125 bytes (5.5).
    ControlTooLong,
    /// A length in more bytes than it needs (5.2).
    LengthNotMinimal,
    /// A length of 64 bits with the highest bit set (5.2).
    LengthOverflow,
    /// A continuation of nothing (5.4).
    UnexpectedContinuation,
    /// A new message before the end of the one that came in fragments (5.4).
    UnfinishedMessage,
    /// A close frame of one byte (5.5.1).
    CloseTooShort,
    /// A close code that may not be sent (7.4).
    CloseCode(u16),
    /// A close reason that is not UTF-8 (5.5.1).
    CloseReason,
    /// Text that is not UTF-8 (8.1).
    InvalidUtf8,
    /// A frame over [`Limits::max_frame`](super::Limits::max_frame).
    FrameTooBig,
    /// A message over [`Limits::max_message`](super::Limits::max_message).
    MessageTooBig,
}

impl ProtocolError {
    /// The code that the peer is told.
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::CloseReason => CloseCode::INVALID_PAYLOAD,
            Self::FrameTooBig | Self::MessageTooBig => CloseCode::TOO_BIG,
            Self::ReservedBits
            | Self::UnknownOpcode(_)
            | Self::Unmasked
            | Self::Masked
            | Self::FragmentedControl
            | Self::ControlTooLong
            | Self::LengthNotMinimal
            | Self::LengthOverflow
            | Self::UnexpectedContinuation
            | Self::UnfinishedMessage
            | Self::CloseTooShort
            | Self::CloseCode(_) => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// The reason that the peer is told beside the code.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::ReservedBits => "reserved bits are set",
            Self::UnknownOpcode(_) => "unknown opcode",
            Self::Unmasked => "frames of a client must be masked",
            Self::Masked => "frames of a server must not be masked",
            Self::FragmentedControl => "control frame in fragments",
            Self::ControlTooLong => "control frame of more than 125 bytes",
            Self::LengthNotMinimal => "length in more bytes than it needs",
            Self::LengthOverflow => "length of more than 63 bits",
            Self::UnexpectedContinuation => "continuation without a message",
            Self::UnfinishedMessage => "new message before the end of the last",
            Self::CloseTooShort => "close frame of one byte",
            Self::CloseCode(_) => "invalid close code",
            Self::CloseReason => "close reason is not UTF-8",
            Self::InvalidUtf8 => "text is not UTF-8",
            Self::FrameTooBig => "frame over the limit",
            Self::MessageTooBig => "message over the limit",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())?;
        match self {
            Self::UnknownOpcode(opcode) => write!(f, " {opcode}"),
            Self::CloseCode(code) => write!(f, " {code}"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for ProtocolError {}

impl From<ProtocolError> for crate::Error {
    fn from(error: ProtocolError) -> Self {
        Self::new(ErrorKind::Invalid, format!("websocket: {error}"))
    }
}
