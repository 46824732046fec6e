//! Frames of the channel to one process: `V1 <type> <id>`, a NUL, and a body.
//!
//! One frame is one message of whatever carries it, so there is nothing to wait for: it is whole or it is none. The head ends at the first
//! NUL; the body may have others.
//!
//! ```
//! use gaffer::proto::frame::{Frame, Kind};
//!
//! let frame = Frame::decode(b"V1 message 7f\0a line\n")?;
//! assert_eq!((frame.kind, frame.id, frame.body), (Kind::Message, "7f", &b"a line\n"[..]));
//! let mut out = Vec::new();
//! Frame::new(Kind::Response, frame.id, b"OK").encode(&mut out);
//! assert_eq!(out, b"V1 response 7f\0OK");
//! # Ok::<(), gaffer::proto::frame::FrameError>(())
//! ```

use std::fmt;

/// The longest id: 128 bytes.
pub const MAX_ID: usize = 128;

const VERSION: &str = "V1";

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Input of a process, or output.
    Message,
    /// The message of this id was taken.
    Response,
    /// It was not, or something else is wrong.
    Error,
}

/// A frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub kind: Kind,
    /// The sender's name for it: 1 to [`MAX_ID`] visible ASCII characters.
    pub id: &'a str,
    /// The rest.
    pub body: &'a [u8],
}

/// Why a message is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// There is no NUL, or none where a head could end.
    NoHead,
    /// The head is not three words with a blank between each.
    Head,
    /// It is of another version.
    Version,
    /// The type is unknown.
    Kind,
    /// The id is empty, too long, or has something else than visible ASCII.
    Id,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Response => "response",
            Self::Error => "error",
        }
    }
}

impl<'a> Frame<'a> {
    /// A frame.
    ///
    /// # Panics
    ///
    /// If the id cannot be one: those of frames that were read can, and numbers.
    #[must_use]
    pub fn new(kind: Kind, id: &'a str, body: &'a [u8]) -> Self {
        assert!(is_id(id), "{id:?} is no id of a frame");
        Self { kind, id, body }
    }

    /// Reads a frame.
    ///
    /// # Errors
    ///
    /// See [`FrameError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, FrameError> {
        // "V1 response " and the id: what is longer is not looked through.
        let within = &bytes[..bytes.len().min(VERSION.len() + 1 + "response".len() + 1 + MAX_ID + 1)];
        let end = within.iter().position(|&b| b == 0).ok_or(FrameError::NoHead)?;
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| FrameError::Head)?;
        let mut words = head.splitn(3, ' ');
        let (Some(version), Some(kind), Some(id)) = (words.next(), words.next(), words.next()) else {
            return Err(FrameError::Head);
        };
        if version != VERSION {
            return Err(FrameError::Version);
        }
        let known = [Kind::Message, Kind::Response, Kind::Error];
        let kind = known.into_iter().find(|known| known.as_str() == kind).ok_or(FrameError::Kind)?;
        if !is_id(id) {
            return Err(FrameError::Id);
        }
        Ok(Self { kind, id, body: &bytes[end + 1..] })
    }

    /// Writes it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(VERSION.len() + self.kind.as_str().len() + self.id.len() + self.body.len() + 3);
        for part in [VERSION, " ", self.kind.as_str(), " ", self.id, "\0"] {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(self.body);
    }
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHead => "no NUL ends the head; expected `V1 message ID`, a NUL and a body",
            Self::Head => "the head is not `V1 message ID`",
            Self::Version => "the version is not V1",
            Self::Kind => "the type is not message, response or error",
            Self::Id => "the id is not 1 to 128 visible ASCII characters",
        })
    }
}

impl std::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_by_hand() {
        fn frame(bytes: &[u8]) -> Result<Frame<'_>, FrameError> {
            Frame::decode(bytes)
        }
        let good = Frame::new(Kind::Message, "a", b"b\0c");
        assert_eq!(frame(b"V1 message a\0b\0c"), Ok(good));
        assert_eq!(frame(b"V1 error gaffer_error\0").expect("right").body, b"");
        let cases: &[(&[u8], FrameError)] = &[
            (b"", FrameError::NoHead),
            (b"V1 message a", FrameError::NoHead),
            (b"\0", FrameError::Head),
            (b"V1 message\0x", FrameError::Head),
            (b"V1 \xff a\0x", FrameError::Head),
            (b"V2 message a\0", FrameError::Version),
            (b"v1 message a\0", FrameError::Version),
            (b"V1  message a\0", FrameError::Kind),
            (b"V1 Message a\0", FrameError::Kind),
            (b"V1 message \0", FrameError::Id),
            (b"V1 message a b\0", FrameError::Id),
            (b"V1 message \xc3\xa9\0", FrameError::Id),
        ];
        for (bytes, error) in cases {
            assert_eq!(frame(bytes), Err(*error), "{bytes:?}");
        }
        let id = "x".repeat(MAX_ID);
        assert_eq!(frame(format!("V1 response {id}\0").as_bytes()).expect("the longest").id, id);
        assert_eq!(frame(format!("V1 message {id}x\0").as_bytes()), Err(FrameError::Id));
        assert_eq!(frame(format!("V1 message {}\0", "x".repeat(1000)).as_bytes()), Err(FrameError::NoHead));
    }

    /// What is written is read, whatever the body; what is read is written the same.
    #[test]
    fn round_trip() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
        };
        for _ in 0..2000 {
            let kind = [Kind::Message, Kind::Response, Kind::Error][(next() % 3) as usize];
            let id: String = (0..=next() % 40).map(|_| char::from(b'!' + (next() % 94) as u8)).collect();
            let body: Vec<u8> = (0..next() % 64).map(|_| (next() % 4 * 85) as u8).collect();
            let (frame, mut wire) = (Frame::new(kind, &id, &body), Vec::new());
            frame.encode(&mut wire);
            assert_eq!(Frame::decode(&wire), Ok(frame));
            // Damaged ones are refused or mean something else, and are written as they were.
            let at = next() as usize % wire.len();
            wire[at] ^= 1 << (next() % 8);
            if let Ok(other) = Frame::decode(&wire) {
                let mut again = Vec::new();
                other.encode(&mut again);
                assert_eq!(again, wire);
            }
        }
    }
}
