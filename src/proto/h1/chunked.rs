//! Content in chunks: RFC 9112 section 7.1.

use super::block::{Block, Bounds};
use super::{Event, Fed, Headers, Limits, Refusal, parse};

/// The decoder of one body in chunks.
///
/// It copies nothing but an unfinished trailer section; extensions are passed over. A
/// [`Decoder`](super::Decoder) has one inside.
///
/// ```
/// use gaffer::proto::h1::{Chunked, Event, Limits};
///
/// let mut chunked = Chunked::new(&Limits::default());
/// let input = b"5;why=not\r\nhello\r\n0\r\nDigest: x\r\n\r\nGET /";
/// let fed = chunked.feed(input);
/// assert_eq!(fed.event, Event::Body(b"hello"));
/// let rest = &input[fed.used..];
/// let fed = chunked.feed(rest);
/// assert!(matches!(fed.event, Event::End(trailers) if trailers.text("digest") == Some("x")));
/// assert_eq!(&rest[fed.used..], b"GET /");
/// ```
#[derive(Debug)]
pub struct Chunked {
    limits: Limits,
    /// Content announced so far, in bytes.
    announced: u64,
    /// Bytes of extensions so far.
    extensions: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// In the digits of a size; `line` bytes of its line have come.
    Size {
        size: u64,
        digits: u8,
        line: usize,
    },
    /// After the `;`.
    Extension {
        size: u64,
        line: usize,
    },
    /// After the CR of the size line.
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    /// After the content of a chunk.
    DataCr,
    DataLf,
    Trailers(Block),
    /// Ended, or refused.
    Over(Option<Refusal>),
}

const SIZE: State = State::Size { size: 0, digits: 0, line: 0 };

/// The digits of the largest size there can be; leading zeros count.
const MAX_DIGITS: u8 = 16;

impl Chunked {
    /// A decoder at the start of a body.
    #[must_use]
    pub const fn new(limits: &Limits) -> Self {
        Self { limits: *limits, announced: 0, extensions: 0, state: SIZE }
    }

    /// Takes bytes up to the next event: a piece of content, the end with the trailers, or a refusal.
    /// After the end nothing is taken any more.
    pub fn feed<'a>(&mut self, bytes: &'a [u8]) -> Fed<'a> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match &mut self.state {
                State::Data { left } => {
                    let piece = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    *left -= piece as u64;
                    if *left == 0 {
                        self.state = State::DataCr;
                    }
                    return Fed { used: at + piece, event: Event::Body(&bytes[at..at + piece]) };
                }
                State::Trailers(block) => {
                    let bounds =
                        Bounds { bytes: self.limits.trailers, lines: self.limits.trailer_fields, target: None };
                    let (used, found) = block.feed(&bytes[at..], bounds);
                    at += used;
                    match found.and_then(|whole| whole.map(parse::trailers).transpose()) {
                        Ok(None) => {}
                        Ok(Some(trailers)) => return self.end(at, trailers),
                        Err(refusal) => return self.refuse(at, refusal),
                    }
                }
                State::Over(_) => break,
                _ => {
                    at += 1;
                    if let Err(refusal) = self.step(byte) {
                        return self.refuse(at, refusal);
                    }
                }
            }
        }
        let event = match self.state {
            State::Over(Some(refusal)) => Event::Refused(refusal),
            _ => Event::More,
        };
        Fed { used: at, event }
    }

    /// One byte of what stands between the content of chunks.
    fn step(&mut self, byte: u8) -> Result<(), Refusal> {
        self.state = match (&self.state, byte) {
            (&State::Size { size, digits, line }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                // 7.1: "recipients MUST anticipate potentially large hexadecimal numerals and prevent
                // parsing errors due to integer conversion overflows".
                if digits == MAX_DIGITS {
                    return Err(Refusal::BadRequest("a chunk size has too many digits"));
                }
                let digit = (byte as char).to_digit(16).unwrap_or_default();
                State::Size { size: size << 4 | u64::from(digit), digits: digits + 1, line: line + 1 }
            }
            (&State::Size { size, digits: 1.., .. } | &State::Extension { size, .. }, b'\r') => State::SizeEnd { size },
            (&State::Size { size, digits: 1.., line }, b';') => self.extension(size, line)?,
            // No sign, no `0x`, no blank, and a size of at least one digit.
            (State::Size { .. }, _) => return Err(Refusal::BadRequest("a chunk size is not a hexadecimal number")),
            // 7.1.1: an extension that is not known is ignored. A bare LF in one ends the line for some
            // and not for others.
            (&State::Extension { size, line }, b'\t' | b' '..=b'~' | 0x80..) => self.extension(size, line)?,
            (State::Extension { .. }, _) => {
                return Err(Refusal::BadRequest("a chunk extension has a control character"));
            }
            (&State::SizeEnd { size: 0 }, b'\n') => State::Trailers(Block::default()),
            (&State::SizeEnd { size }, b'\n') => {
                self.announced = self.announced.checked_add(size).ok_or(Refusal::BodyTooLarge)?;
                if self.announced > self.limits.body {
                    return Err(Refusal::BodyTooLarge);
                }
                State::Data { left: size }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => SIZE,
            (State::SizeEnd { .. }, _) => return Err(Refusal::BadRequest("a chunk size does not end in CRLF")),
            _ => return Err(Refusal::BadRequest("a chunk does not end in CRLF")),
        };
        Ok(())
    }

    /// One more byte of an extension: many small chunks with long extensions are work for nothing.
    fn extension(&mut self, size: u64, line: usize) -> Result<State, Refusal> {
        self.extensions += 1;
        if line >= self.limits.chunk_line || self.extensions > self.limits.chunk_extensions {
            return Err(Refusal::BadRequest("the chunk extensions are too long"));
        }
        Ok(State::Extension { size, line: line + 1 })
    }

    /// The bound of the content, for what is announced from now on.
    pub(super) fn set_body_limit(&mut self, bytes: u64) {
        self.limits.body = bytes;
    }

    pub(super) const fn started(&self) -> bool {
        !matches!(self.state, State::Size { line: 0, .. }) || self.announced > 0
    }

    fn end<'a>(&mut self, used: usize, trailers: Headers) -> Fed<'a> {
        self.state = State::Over(None);
        Fed { used, event: Event::End(trailers) }
    }

    fn refuse<'a>(&mut self, used: usize, refusal: Refusal) -> Fed<'a> {
        self.state = State::Over(Some(refusal));
        Fed { used, event: Event::Refused(refusal) }
    }
}
