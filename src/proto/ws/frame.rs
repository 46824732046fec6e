//! Frames, RFC 6455 section 5.2.

use super::{Fed, ProtocolError, Role, mask};

/// The most a control frame carries (section 5.5).
pub const MAX_CONTROL: usize = 125;

/// The longest header: two bytes, a length of eight, a mask of four.
const MAX_HEADER: usize = 14;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// More of the message that came before.
    Continuation = 0x0,
    /// The first or only frame of a text message.
    Text = 0x1,
    /// The first or only frame of a binary message.
    Binary = 0x2,
    /// The first half of goodbye, or the second.
    Close = 0x8,
    /// Asks for a pong with the same payload.
    Ping = 0x9,
    /// The answer to a ping, or a sign of life nobody asked for.
    Pong = 0xA,
}

impl Opcode {
    /// The opcode of that number, if it is defined.
    #[must_use]
    pub const fn new(opcode: u8) -> Option<Self> {
        Some(match opcode {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Whether frames of this kind may come between the fragments of a message.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// What stands before the payload of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether this frame is the last of its message.
    pub fin: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// What the payload is masked with.
    pub mask: Option<[u8; 4]>,
    /// The bytes of payload.
    pub len: u64,
}

impl Header {
    /// Appends the header; the payload, masked where there is a mask, has to follow it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        out.push(u8::from(self.fin) << 7 | self.opcode as u8);
        if self.len <= 125 {
            out.push(masked | self.len as u8);
        } else if let Ok(len) = u16::try_from(self.len) {
            out.push(masked | 126);
            out.extend_from_slice(&len.to_be_bytes());
        } else {
            out.push(masked | 127);
            out.extend_from_slice(&self.len.to_be_bytes());
        }
        out.extend_from_slice(self.mask.as_ref().map_or(&[], |mask| &mask[..]));
    }
}

/// Appends a whole frame.
///
/// The pieces of a message are [`Opcode::Text`] or [`Opcode::Binary`] first, then
/// [`Opcode::Continuation`], with `fin` on the last. What is written is what is asked for, be it
/// right or wrong; [`Connection`](super::Connection) sends right ones only.
///
/// ```
/// use gaffer::proto::ws::frame::{self, Opcode};
///
/// // The examples of section 5.7.
/// let mut out = Vec::new();
/// frame::write(true, Opcode::Text, None, b"Hello", &mut out);
/// assert_eq!(out, b"\x81\x05Hello");
///
/// out.clear();
/// frame::write(true, Opcode::Text, Some([0x37, 0xfa, 0x21, 0x3d]), b"Hello", &mut out);
/// assert_eq!(out, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
/// ```
pub fn write(fin: bool, opcode: Opcode, mask: Option<[u8; 4]>, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(MAX_HEADER + payload.len());
    Header { fin, opcode, mask, len: payload.len() as u64 }.write(out);
    let begin = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = mask {
        mask::apply(key, 0, &mut out[begin..]);
    }
}

/// Reads headers; the payload between them is its user's.
///
/// A wrong first byte is refused before there is a second, a wrong length before there is a mask.
#[derive(Clone, Debug)]
pub struct HeaderDecoder {
    role: Role,
    max_frame: usize,
    bytes: [u8; MAX_HEADER],
    len: u8,
    /// How many bytes there must be for the next judgement.
    want: u8,
    failed: Option<ProtocolError>,
}

enum Step {
    Want(usize),
    Done(Header),
}

impl HeaderDecoder {
    /// A decoder of what the peer of `role` sends, which refuses data frames of more than `max_frame` bytes.
    #[must_use]
    pub const fn new(role: Role, max_frame: usize) -> Self {
        Self { role, max_frame, bytes: [0; MAX_HEADER], len: 0, want: 1, failed: None }
    }

    /// Takes bytes up to the end of a header.
    ///
    /// # Errors
    ///
    /// Reserved bits, unknown opcodes, the wrong side masked, control frames in fragments or over
    /// 125 bytes, lengths that are not minimal or over the limit. An error stays: all later calls
    /// give it again and take everything.
    pub fn feed(&mut self, bytes: &[u8]) -> Fed<Header> {
        if let Some(error) = self.failed {
            return Fed { used: bytes.len(), out: Err(error) };
        }
        let mut used = 0;
        loop {
            let (have, want) = (usize::from(self.len), usize::from(self.want));
            let piece = &bytes[used..bytes.len().min(used + want - have)];
            self.bytes[have..have + piece.len()].copy_from_slice(piece);
            self.len += piece.len() as u8;
            used += piece.len();
            if self.len < self.want {
                return Fed { used, out: Ok(None) };
            }
            match self.look() {
                Ok(Step::Want(want)) => self.want = want as u8,
                Ok(Step::Done(header)) => {
                    (self.len, self.want) = (0, 1);
                    return Fed { used, out: Ok(Some(header)) };
                }
                Err(error) => {
                    self.failed = Some(error);
                    return Fed { used, out: Err(error) };
                }
            }
        }
    }

    /// Judges what is there: the first byte, the second, the whole length, everything.
    fn look(&self) -> Result<Step, ProtocolError> {
        let len = usize::from(self.len);
        let fin = self.bytes[0] & 0x80 != 0;
        if self.bytes[0] & 0x70 != 0 {
            return Err(ProtocolError::ReservedBits);
        }
        let opcode = self.bytes[0] & 0x0F;
        let opcode = Opcode::new(opcode).ok_or(ProtocolError::UnknownOpcode(opcode))?;
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }
        if len == 1 {
            return Ok(Step::Want(2));
        }

        let masked = self.bytes[1] & 0x80 != 0;
        match self.role {
            Role::Server if !masked => return Err(ProtocolError::Unmasked),
            Role::Client if masked => return Err(ProtocolError::Masked),
            _ => {}
        }
        let short = self.bytes[1] & 0x7F;
        if opcode.is_control() && usize::from(short) > MAX_CONTROL {
            return Err(ProtocolError::ControlTooLong);
        }
        let end = match short {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        if len < end {
            return Ok(Step::Want(end));
        }
        let length = match short {
            126 | 127 => self.bytes[2..end].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
            _ => u64::from(short),
        };
        // "the minimal number of bytes MUST be used to encode the length" and, of 64 bits, "the
        // most significant bit MUST be 0".
        if (short == 126 && length <= 125) || (short == 127 && length <= 0xFFFF) {
            return Err(ProtocolError::LengthNotMinimal);
        }
        if length >> 63 != 0 {
            return Err(ProtocolError::LengthOverflow);
        }
        if !opcode.is_control() && length > self.max_frame as u64 {
            return Err(ProtocolError::FrameTooBig);
        }
        let mask = match (masked, self.bytes[end..len].try_into()) {
            (false, _) => None,
            (true, Ok(mask)) => Some(mask),
            (true, Err(_)) => return Ok(Step::Want(end + 4)),
        };
        Ok(Step::Done(Header { fin, opcode, mask, len: length }))
    }
}
