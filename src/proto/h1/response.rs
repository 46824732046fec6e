//! Answers, as bytes.

use super::block::is_token;
use super::{EntityTag, Exchange, FixedField, HttpDate, Version};
use crate::{Error, ErrorKind, Result};

/// The interim answer that asks for the content (RFC 9110 section 15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The fields that [`ResponseHead::encode`] writes.
pub(super) const OURS: [&str; 5] = ["connection", "content-length", "transfer-encoding", "trailer", "date"];

/// The content of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// So many bytes.
    Length(u64),
    /// Nobody knows yet: in chunks, or up to the end of the connection where HTTP/1.0 is spoken.
    Stream,
}

/// The status and the fields of an answer.
///
/// The fields that frame the message (`Connection`, `Content-Length`, `Transfer-Encoding`, `Trailer`) and
/// `Date` are written by [`encode`](Self::encode) and cannot be given here, so they cannot contradict it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    status: u16,
    /// Lines, each with its CRLF.
    fields: Vec<u8>,
}

impl ResponseHead {
    /// An answer with this status, 100 to 999, and no field.
    ///
    /// # Panics
    ///
    /// If the status is not of three digits.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        assert!(status >= 100 && status <= 999, "a status has three digits");
        Self { status, fields: Vec::new() }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Adds a field, after those of the same name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a name that is no token or is written by [`encode`](Self::encode), and for a value with a control
    /// character: whoever could put a CR or LF into one could write an answer of their own (RFC 9110 section 5.5).
    pub fn field(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<&mut Self> {
        if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
            return Err(Error::new(ErrorKind::Invalid, format!("field {name} is written by the encoder")));
        }
        self.make_room();
        write_field(name, value.as_ref(), &mut self.fields)?;
        Ok(self)
    }

    /// For the fields of most answers.
    fn make_room(&mut self) {
        if self.fields.capacity() == 0 {
            self.fields = Vec::with_capacity(256);
        }
    }

    /// Adds a field that was checked before.
    #[must_use]
    pub fn fixed(mut self, field: FixedField) -> Self {
        self.make_room();
        self.fields.extend_from_slice(field.as_str().as_bytes());
        self
    }

    /// Adds an `ETag`.
    #[must_use]
    pub fn tagged(mut self, tag: &EntityTag) -> Self {
        self.make_room();
        self.fields.extend_from_slice(b"ETag: ");
        self.fields.extend_from_slice(tag.as_bytes());
        self.fields.extend_from_slice(b"\r\n");
        self
    }

    /// The same by value, for fields that are known to be right.
    ///
    /// # Panics
    ///
    /// Where [`field`](Self::field) returns an error.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.field(name, value).expect("a fixed field is valid");
        self
    }

    /// Appends the head to `out` and returns the writer of the content.
    ///
    /// There is no content in the answer to a `HEAD` and with the statuses 1xx, 204 and 304; what the writer is given then is
    /// dropped. `Content-Length` still tells what a `GET` would have had, save with 1xx and 204 (RFC 9110 section 8.6)
    /// and 304, where it could be mistaken. An answer with 101 says `Connection: upgrade`.
    pub fn encode(&self, exchange: Exchange, body: Body, date: &HttpDate, out: &mut Vec<u8>) -> BodyWriter {
        let bodiless = matches!(self.status, 100..=199 | 204 | 304);
        let chunked = body == Body::Stream && exchange.version == Version::Http11;
        // RFC 9112 section 6.3: what has neither length nor chunks ends with the connection.
        let keep_alive = exchange.keep_alive && (bodiless || exchange.head || chunked || body != Body::Stream);

        out.reserve(128 + self.fields.len());
        if self.status == 200 {
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\nDate: ");
        } else {
            out.extend_from_slice(b"HTTP/1.1 ");
            decimal(u64::from(self.status), out);
            out.push(b' ');
            out.extend_from_slice(reason(self.status).as_bytes());
            out.extend_from_slice(b"\r\nDate: ");
        }
        out.extend_from_slice(date.as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.fields);
        match body {
            _ if bodiless => {}
            Body::Length(length) => {
                out.extend_from_slice(b"Content-Length: ");
                decimal(length, out);
                out.extend_from_slice(b"\r\n");
            }
            // RFC 9112 section 6.1: never to a request of HTTP/1.0.
            Body::Stream if chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            Body::Stream => {}
        }
        if self.status == 101 {
            out.extend_from_slice(b"Connection: upgrade\r\n");
        } else if !keep_alive {
            out.extend_from_slice(b"Connection: close\r\n");
        } else if exchange.version == Version::Http10 {
            out.extend_from_slice(b"Connection: keep-alive\r\n");
        }
        out.extend_from_slice(b"\r\n");
        let form = match body {
            _ if bodiless || exchange.head => Form::Dropped,
            Body::Length(left) => Form::Length(left),
            Body::Stream if chunked => Form::Chunked,
            Body::Stream => Form::UntilClose,
        };
        BodyWriter { form, keep_alive }
    }
}

/// Writes the content of one answer.
#[derive(Debug)]
#[must_use = "chunks need an end, and whether the connection stays open is written here"]
pub struct BodyWriter {
    form: Form,
    keep_alive: bool,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Dropped,
    Length(u64),
    Chunked,
    UntilClose,
}

impl BodyWriter {
    /// Appends a piece of the content to `out`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if more is given than the length that was announced; nothing is written then.
    pub fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        match &mut self.form {
            Form::Dropped => {}
            Form::UntilClose => out.extend_from_slice(bytes),
            Form::Length(left) => {
                *left = left
                    .checked_sub(bytes.len() as u64)
                    .ok_or_else(|| Error::new(ErrorKind::Invalid, "the content is longer than its Content-Length"))?;
                out.extend_from_slice(bytes);
            }
            Form::Chunked => {
                // A chunk of no bytes would be the last.
                if !bytes.is_empty() {
                    out.reserve(bytes.len() + 20);
                    hexadecimal(bytes.len() as u64, out);
                    out.extend_from_slice(b"\r\n");
                    out.extend_from_slice(bytes);
                    out.extend_from_slice(b"\r\n");
                }
            }
        }
        Ok(())
    }

    /// Ends the content and says whether the connection stays open.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if less was given than the length that was announced: the connection must be closed, so
    /// that the client sees the answer was cut.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<bool> {
        match self.form {
            Form::Length(left @ 1..) => {
                let message = format!("the content is {left} bytes shorter than its Content-Length");
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            Form::Chunked => out.extend_from_slice(b"0\r\n\r\n"),
            _ => {}
        }
        Ok(self.keep_alive)
    }

    /// Whether the connection stays open after the answer.
    #[must_use]
    pub const fn keep_alive(&self) -> bool {
        self.keep_alive
    }
}

fn write_field(name: &str, value: &[u8], out: &mut Vec<u8>) -> Result<()> {
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(Error::new(ErrorKind::Invalid, format!("field name {name:?} is not a token")));
    }
    if !value.iter().all(|&b| b >= b' ' && b != 0x7f || b == b'\t') {
        return Err(Error::new(ErrorKind::Invalid, format!("the value of field {name} has a control character")));
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn decimal(n: u64, out: &mut Vec<u8>) {
    digits::<10>(n, out);
}

fn hexadecimal(n: u64, out: &mut Vec<u8>) {
    digits::<16>(n, out);
}

/// The base is known when this is compiled, so that nothing is divided.
fn digits<const BASE: u64>(mut n: u64, out: &mut Vec<u8>) {
    let mut buffer = [0; 20];
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b"0123456789abcdef"[(n % BASE) as usize];
        n /= BASE;
        if n == 0 {
            break out.extend_from_slice(&buffer[at..]);
        }
    }
}

/// The reason phrase of a status (RFC 9110 section 15 and the IANA registry); empty for one that has none.
#[must_use]
pub const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn exchange(version: Version, head: bool, keep_alive: bool) -> Exchange {
        Exchange { version, head, keep_alive }
    }

    fn encode(status: u16, exchange: Exchange, body: Body, pieces: &[&str]) -> (String, bool) {
        let mut out = Vec::new();
        let mut writer = ResponseHead::new(status).with("X-A", "1").encode(
            exchange,
            body,
            &HttpDate::new(SystemTime::UNIX_EPOCH),
            &mut out,
        );
        for piece in pieces {
            writer.write(piece.as_bytes(), &mut out).expect("as announced");
        }
        let keep_alive = writer.finish(&mut out).expect("as announced");
        let text = String::from_utf8(out).expect("text");
        (text.replace("Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n", ""), keep_alive)
    }

    #[test]
    fn framing() {
        use Body::{Length, Stream};
        use Version::{Http10, Http11};
        let cases = [
            (
                200,
                exchange(Http11, false, true),
                Length(2),
                "HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nhi",
                true,
            ),
            (
                200,
                exchange(Http11, false, false),
                Length(2),
                "HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
                false,
            ),
            (
                200,
                exchange(Http11, true, true),
                Length(2),
                "HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 2\r\n\r\n",
                true,
            ),
            (
                200,
                exchange(Http10, false, true),
                Length(2),
                "HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi",
                true,
            ),
            (
                200,
                exchange(Http11, false, true),
                Stream,
                "HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
                true,
            ),
            (
                200,
                exchange(Http11, true, true),
                Stream,
                "HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                true,
            ),
            (
                200,
                exchange(Http10, false, true),
                Stream,
                "HTTP/1.1 200 OK\r\nX-A: 1\r\nConnection: close\r\n\r\nhi",
                false,
            ),
            (204, exchange(Http11, false, true), Length(0), "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", true),
            (304, exchange(Http11, false, true), Length(2), "HTTP/1.1 304 Not Modified\r\nX-A: 1\r\n\r\n", true),
            (
                304,
                exchange(Http10, false, true),
                Stream,
                "HTTP/1.1 304 Not Modified\r\nX-A: 1\r\nConnection: keep-alive\r\n\r\n",
                true,
            ),
            (
                101,
                exchange(Http11, false, true),
                Stream,
                "HTTP/1.1 101 Switching Protocols\r\nX-A: 1\r\nConnection: upgrade\r\n\r\n",
                true,
            ),
            (
                299,
                exchange(Http11, false, true),
                Length(2),
                "HTTP/1.1 299 \r\nX-A: 1\r\nContent-Length: 2\r\n\r\nhi",
                true,
            ),
        ];
        for (status, exchange, body, want, keep_alive) in cases {
            let pieces: &[&str] = if status == 204 { &[] } else { &["hi", ""] };
            let got = encode(status, exchange, body, pieces);
            assert_eq!(got, (want.to_string(), keep_alive), "{status} {exchange:?} {body:?}");
        }
    }

    #[test]
    fn nobody_writes_a_head_through_a_value() {
        let mut head = ResponseHead::new(200);
        for value in ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b", "\x7f", "\x1b[2J"] {
            assert_eq!(head.field("X", value).expect_err(value).kind(), ErrorKind::Invalid);
        }
        for name in ["", "a b", "a:", "a\r\n", "é", "Date", "content-length", "Transfer-Encoding", "connection"] {
            assert_eq!(head.field(name, "x").expect_err(name).kind(), ErrorKind::Invalid, "{name}");
        }
        assert_eq!(head, ResponseHead::new(200), "nothing of a refused field stays");
        head.field("X-Tab", "a\tb é").expect("blanks and obs-text are allowed");
    }

    #[test]
    fn a_length_is_kept() {
        let (date, mut out) = (HttpDate::new(SystemTime::UNIX_EPOCH), Vec::new());
        let mut writer = ResponseHead::new(200).encode(Exchange::REFUSED, Body::Length(3), &date, &mut out);
        let before = out.len();
        writer.write(b"ab", &mut out).expect("two of three");
        assert!(writer.write(b"cd", &mut out).is_err());
        assert_eq!(&out[before..], b"ab");
        assert!(writer.finish(&mut out).is_err(), "one is missing");
    }

    #[test]
    fn sizes_are_hexadecimal() {
        let (date, mut out) = (HttpDate::new(SystemTime::UNIX_EPOCH), Vec::new());
        let mut writer = ResponseHead::new(200).encode(
            Exchange { keep_alive: true, ..Exchange::REFUSED },
            Body::Stream,
            &date,
            &mut out,
        );
        out.clear();
        writer.write(&[b'x'; 0x1a2b], &mut out).expect("any length");
        assert!(out.starts_with(b"1a2b\r\nxx"));
    }
}
