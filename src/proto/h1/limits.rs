//! What a request may be, and what is said to one that may not.

use std::fmt;

/// The bounds of a request. Each is checked before memory is reserved for what would exceed it.
///
/// ```
/// use gaffer::proto::h1::Limits;
/// let limits = Limits::default().head(8 * 1024).body(64 * 1024);
/// assert_eq!(limits.headers, 100);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of the request line and the header fields together; beyond it 431. Default 16 KiB.
    pub head: usize,
    /// Bytes of the request target; beyond it 414. Default 8 KiB (RFC 9112 section 3 asks for 8000 at least).
    pub target: usize,
    /// Header fields; beyond it 431. Default 100.
    pub headers: usize,
    /// Bytes of content, without what chunks add to it; beyond it 413. Default 1 MiB.
    pub body: u64,
    /// Bytes of the line that announces a chunk, extensions included; beyond it 400. Default 256.
    pub chunk_line: usize,
    /// Bytes of all chunk extensions of one body; beyond it 400. Default 4 KiB.
    pub chunk_extensions: usize,
    /// Bytes of the trailer section; beyond it 431. Default 4 KiB.
    pub trailers: usize,
    /// Fields of the trailer section; beyond it 431. Default 32.
    pub trailer_fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 16 * 1024,
            target: 8 * 1024,
            headers: 100,
            body: 1024 * 1024,
            chunk_line: 256,
            chunk_extensions: 4 * 1024,
            trailers: 4 * 1024,
            trailer_fields: 32,
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        impl Limits {
            $($(#[$doc])* #[must_use] pub const fn $name(mut self, $name: $type) -> Self {
                self.$name = $name;
                self
            })*
        }
    };
}

setters! {
    /// Sets [`head`](field@Self::head), in bytes.
    head: usize,
    /// Sets [`target`](field@Self::target), in bytes.
    target: usize,
    /// Sets [`headers`](field@Self::headers), a number of fields.
    headers: usize,
    /// Sets [`body`](field@Self::body), in bytes.
    body: u64,
    /// Sets [`chunk_line`](field@Self::chunk_line), in bytes.
    chunk_line: usize,
    /// Sets [`chunk_extensions`](field@Self::chunk_extensions), in bytes.
    chunk_extensions: usize,
    /// Sets [`trailers`](field@Self::trailers), in bytes.
    trailers: usize,
    /// Sets [`trailer_fields`](field@Self::trailer_fields), a number of fields.
    trailer_fields: usize,
}

/// Why a request is not taken. The answer has the [`status`](Self::status) and the connection closes
/// after it: where the next request would start cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// 400: it is not HTTP/1.1, or could be read in two ways; the text says what is wrong.
    BadRequest(&'static str),
    /// 408: for the caller, who has the clock.
    TimedOut,
    /// 411: for the caller, whose route wants a length. A request that tells none has no content.
    LengthRequired,
    /// 413: the content is longer than [`Limits::body`].
    BodyTooLarge,
    /// 414: the target is longer than [`Limits::target`].
    TargetTooLong,
    /// 417: something other than `100-continue` was expected.
    ExpectationFailed,
    /// 431: more than [`Limits::head`], [`Limits::headers`] or the like of the trailers.
    HeadTooLarge,
    /// 501: a method or a transfer coding this server does not know; the text says which of the two.
    NotImplemented(&'static str),
    /// 505: neither HTTP/1.0 nor HTTP/1.1.
    VersionNotSupported,
}

impl Refusal {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest(_) => 400,
            Self::TimedOut => 408,
            Self::LengthRequired => 411,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::ExpectationFailed => 417,
            Self::HeadTooLarge => 431,
            Self::NotImplemented(_) => 501,
            Self::VersionNotSupported => 505,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadRequest(what) | Self::NotImplemented(what) => what,
            Self::TimedOut => "the request took too long to arrive",
            Self::LengthRequired => "the content needs a Content-Length or chunks",
            Self::BodyTooLarge => "the content is too large",
            Self::TargetTooLong => "the request target is too long",
            Self::ExpectationFailed => "only 100-continue can be expected",
            Self::HeadTooLarge => "the header or trailer fields are too many or too large",
            Self::VersionNotSupported => "only HTTP/1.0 and HTTP/1.1 are spoken here",
        })
    }
}

impl std::error::Error for Refusal {}
