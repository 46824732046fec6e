//! A whole block of lines to a head or to trailers: httparse reads the grammar, this file checks what
//! it leaves open and what the fields mean for the framing.

use std::mem::MaybeUninit;
use std::net::Ipv6Addr;

use httparse::{EMPTY_HEADER, Error, Header, Status};

use super::block::{MAX_METHOD, Whole, is_token};
use super::fields::{Headers, Span, Text, tokens};
use super::head::Place;
use super::{Framing, Limits, Method, Refusal, RequestHead, Version};
use crate::proto::lines::find;

/// RFC 9110 section 9.1: a method that is not implemented is a 501.
pub(super) const METHOD: Refusal = Refusal::NotImplemented("the method is not known here");
const CODING: Refusal = Refusal::NotImplemented("no transfer coding but chunked is known here");

/// So many fields are read without memory of their own.
const STACK: usize = 32;

/// The head in a whole block.
pub(super) fn head(block: Whole, limits: &Limits) -> Result<RequestHead, Refusal> {
    let Whole { bytes, lines } = block;
    let fields = lines.saturating_sub(1);
    let text = Text::new(bytes);
    let bytes = text.as_bytes();
    let (mut stack, mut heap) = ([const { MaybeUninit::uninit() }; STACK], Vec::new());
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, room(fields, &mut stack, &mut heap, MaybeUninit::uninit)) {
        Ok(Status::Complete(n)) if n == bytes.len() => {}
        Ok(_) => return Err(Refusal::BadRequest("the head is malformed")),
        Err(error) => return Err(malformed(error, bytes)),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(Refusal::BadRequest("the head is malformed"));
    };
    if method.len() > MAX_METHOD {
        return Err(METHOD);
    }
    if target.len() > limits.target {
        return Err(Refusal::TargetTooLong);
    }
    let method = Method::from_name(method).ok_or(METHOD)?;
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };

    let meaning = Meaning::of(request.headers, version)?;
    let (path, query, authority) = split_target(target, method)?;
    // RFC 9112 section 3.2: a request of HTTP/1.1 without `Host` is a 400.
    if meaning.host.is_none() && version == Version::Http11 {
        return Err(Refusal::BadRequest("a Host field is needed"));
    }

    let within = |text: &str| Place::In(Span::of(text.as_bytes(), bytes));
    let target = within(target);
    let path = match path {
        Path::In(path) => within(path),
        Path::Root => Place::Root,
        Path::Server => Place::Server,
    };
    let query = query.map(within);
    // RFC 9112 section 3.2.2: the authority of an absolute target replaces the `Host` field.
    let host = authority.map(str::as_bytes).or(meaning.host).map(|host| Place::In(Span::of(host, bytes)));
    let Meaning { framing, keep_alive, upgrade, expects_continue, .. } = meaning;
    let fields = spans(request.headers, bytes);
    let headers = Headers { text, fields };
    Ok(RequestHead {
        headers,
        target,
        path,
        query,
        host,
        method,
        framing,
        version,
        keep_alive,
        upgrade,
        expects_continue,
    })
}

/// The fields of a whole trailer section, without those that mean something before the content only.
pub(super) fn trailers(block: Whole) -> Result<Headers, Refusal> {
    let Whole { bytes, lines } = block;
    if lines == 0 {
        return Ok(Headers::default());
    }
    let (mut stack, mut heap) = ([EMPTY_HEADER; STACK], Vec::new());
    let fields = match httparse::parse_headers(&bytes, room(lines, &mut stack, &mut heap, || EMPTY_HEADER)) {
        Ok(Status::Complete((n, headers))) if n == bytes.len() => {
            let allowed: Vec<_> = headers.iter().filter(|header| !forbidden(header.name)).copied().collect();
            spans(&allowed, &bytes)
        }
        _ => return Err(Refusal::BadRequest("a trailer field is malformed")),
    };
    Ok(Headers { text: Text::new(bytes), fields })
}

/// As many slots as there are lines, so that a small head costs no allocation and none is refused.
fn room<'s, T>(n: usize, stack: &'s mut [T; STACK], heap: &'s mut Vec<T>, empty: fn() -> T) -> &'s mut [T] {
    if n <= STACK {
        &mut stack[..n]
    } else {
        heap.resize_with(n, empty);
        heap
    }
}

fn spans(headers: &[Header<'_>], bytes: &[u8]) -> Vec<(Span, Span)> {
    headers.iter().map(|h| (Span::of(h.name.as_bytes(), bytes), Span::of(h.value, bytes))).collect()
}

/// RFC 9110 section 6.5.1: fields for framing, routing, modifiers, authentication and content format
/// cannot come after the content.
fn forbidden(name: &str) -> bool {
    const FORBIDDEN: [&str; 24] = [
        "accept-encoding",
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "max-forwards",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-api-key",
    ];
    FORBIDDEN.iter().any(|f| name.eq_ignore_ascii_case(f))
        || name.get(..6).is_some_and(|p| p.eq_ignore_ascii_case("proxy-"))
}

/// What httparse found wrong. It refuses control characters, bare CR, obs-fold (RFC 9112 section 5.2)
/// and blanks before the colon (section 5.1) as the wrong character in a name or a value.
fn malformed(error: Error, bytes: &[u8]) -> Refusal {
    match error {
        Error::Version if other_version(bytes) => Refusal::VersionNotSupported,
        Error::Version => Refusal::BadRequest("the request line does not end in a version"),
        Error::HeaderName => Refusal::BadRequest("a field name is not a token followed by a colon"),
        Error::HeaderValue => Refusal::BadRequest("a field value has a control character"),
        Error::NewLine => Refusal::BadRequest("a line does not end in CRLF"),
        Error::TooManyHeaders => Refusal::HeadTooLarge,
        _ => Refusal::BadRequest("the request line is malformed"),
    }
}

/// Whether the request line is well formed but for a version that is not ours: RFC 9112 section 2.3.
fn other_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|b| *b == b'\r').next().unwrap_or_default();
    let words: Vec<&[u8]> = line.splitn(4, |b| *b == b' ').collect();
    let [method, target, version] = words[..] else { return false };
    !method.is_empty()
        && method.iter().all(|&b| is_token(b))
        && !target.is_empty()
        && matches!(version, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])
}

/// What the fields of a head say about its message and its connection.
struct Meaning<'a> {
    host: Option<&'a [u8]>,
    framing: Framing,
    keep_alive: bool,
    upgrade: bool,
    expects_continue: bool,
}

impl<'a> Meaning<'a> {
    fn of(headers: &[Header<'a>], version: Version) -> Result<Self, Refusal> {
        let (mut host, mut length, mut codings) = (None, None, None);
        let (mut close, mut keep_alive, mut upgrade, mut has_upgrade) = (false, false, false, false);
        let mut expects_continue = false;
        for header in headers {
            let value = header.value;
            // The length tells most fields apart without a look at their letters.
            match header.name.len() {
                4 if header.name.eq_ignore_ascii_case("host") => {
                    // RFC 9112 section 3.2: more than one `Host`, or an invalid one, is a 400.
                    if host.is_some() {
                        return Err(Refusal::BadRequest("there is more than one Host field"));
                    }
                    host = Some(Some(value).filter(|host| host.is_empty() || is_authority(host)).ok_or(HOST)?);
                }
                14 if header.name.eq_ignore_ascii_case("content-length") => {
                    // RFC 9112 section 6.3 allows equal lengths to be taken for one. Who would need that?
                    if length.is_some() {
                        return Err(Refusal::BadRequest("there is more than one Content-Length field"));
                    }
                    length = Some(content_length(value)?);
                }
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                    codings.get_or_insert_with(Codings::default).add(value);
                }
                10 if header.name.eq_ignore_ascii_case("connection") => {
                    for option in tokens(value) {
                        close |= option.eq_ignore_ascii_case("close");
                        keep_alive |= option.eq_ignore_ascii_case("keep-alive");
                        upgrade |= option.eq_ignore_ascii_case("upgrade");
                    }
                }
                7 if header.name.eq_ignore_ascii_case("upgrade") => has_upgrade = true,
                6 if header.name.eq_ignore_ascii_case("expect") => {
                    // RFC 9110 section 10.1.1: any other expectation may be answered with 417.
                    if !value.eq_ignore_ascii_case(b"100-continue") {
                        return Err(Refusal::ExpectationFailed);
                    }
                    expects_continue = true;
                }
                _ => {}
            }
        }
        let framing = match (codings, length) {
            (None, None) => Framing::Empty,
            (None, Some(length)) => Framing::Length(length),
            // RFC 9112 section 6.3: both at once ought to be handled as an error.
            (Some(_), Some(_)) => {
                return Err(Refusal::BadRequest("both Transfer-Encoding and Content-Length are there"));
            }
            (Some(codings), None) => codings.framing(version)?,
        };
        let http11 = version == Version::Http11;
        Ok(Self {
            host,
            framing,
            // RFC 9112 section 9.3, where `close` wins.
            keep_alive: !close && (http11 || keep_alive),
            // RFC 9110 section 7.8: an upgrade needs the connection option, and 1.1.
            upgrade: http11 && upgrade && has_upgrade,
            // RFC 9110 section 10.1.1: ignored in a request of 1.0, and one without content waits for nothing.
            expects_continue: http11 && expects_continue && framing != Framing::Empty,
        })
    }
}

/// RFC 9110 section 8.6: `1*DIGIT`. No sign, no list, no blank; a number beyond 64 bits is too large.
fn content_length(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::BadRequest("Content-Length is not a number"));
    }
    number(value).ok_or(Refusal::BodyTooLarge)
}

/// The number that digits write; `None` for another byte, and beyond 64 bits.
fn number(digits: &[u8]) -> Option<u64> {
    let digit = |total: u64, byte: &u8| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        total.checked_mul(10)?.checked_add(digit.into())
    };
    digits.iter().try_fold(0, digit)
}

/// The transfer codings of all `Transfer-Encoding` fields.
#[derive(Default)]
struct Codings {
    /// Whether one came that is not `chunked`.
    other: bool,
    chunked: u32,
    /// Whether the last one is `chunked`.
    last: bool,
    malformed: bool,
}

impl Codings {
    fn add(&mut self, value: &[u8]) {
        for member in value.split(|b| *b == b',') {
            let member = member.trim_ascii();
            let name = &member[..member.iter().position(|&b| !is_token(b)).unwrap_or(member.len())];
            let chunked = name.eq_ignore_ascii_case(b"chunked");
            // RFC 9112 section 7.1: chunked has no parameters; their presence is an error. An empty
            // member is one too: a list of one coding needs no comma.
            self.malformed |= name.is_empty() || (chunked && name.len() != member.len());
            self.other |= !chunked;
            self.chunked += u32::from(chunked);
            self.last = chunked;
        }
    }

    fn framing(&self, version: Version) -> Result<Framing, Refusal> {
        // RFC 9112 section 6.1: in HTTP/1.0 the framing is faulty.
        if version == Version::Http10 {
            return Err(Refusal::BadRequest("HTTP/1.0 has no Transfer-Encoding"));
        }
        // RFC 9112 section 6.3: without a final chunked the length is unknown: 400. Section 7.1: chunked
        // is not applied twice. Section 6.1: a coding that is not understood is a 501.
        match self {
            Self { malformed: true, .. } => Err(Refusal::BadRequest("Transfer-Encoding is malformed")),
            Self { last: false, .. } => Err(Refusal::BadRequest("chunked is not the last transfer coding")),
            Self { chunked: 2.., .. } => Err(Refusal::BadRequest("chunked is applied twice")),
            Self { other: true, .. } => Err(CODING),
            _ => Ok(Framing::Chunked),
        }
    }
}

/// The unreserved characters and the sub-delimiters; a comma would look like a list of hosts to others.
const fn is_in_name(byte: u8) -> bool {
    NAME[byte as usize]
}

static NAME: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0_u8);
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'..=b'+' | b';' | b'=');
        byte += 1;
    }
    table
};

/// The same with escapes, which nearly nobody sends.
fn is_escaped_name(mut name: &[u8]) -> bool {
    while let Some((&byte, rest)) = name.split_first() {
        name = match (byte, rest) {
            (b'%', [high, low, rest @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            (byte, rest) if is_in_name(byte) => rest,
            _ => return false,
        };
    }
    true
}

const HOST: Refusal = Refusal::BadRequest("the host is malformed");
const TARGET: Refusal = Refusal::BadRequest("the request target is malformed");

enum Path<'a> {
    In(&'a str),
    /// `/`, left out of an absolute target.
    Root,
    /// The server as a whole.
    Server,
}

/// The path, the query and the authority of a target: RFC 9112 section 3.2.
fn split_target<'t>(target: &'t str, method: Method) -> Result<(Path<'t>, Option<&'t str>, Option<&'t str>), Refusal> {
    // RFC 3986 has fewer characters, but browsers send `|`, `^` and their like as they are. Other bytes
    // and fragments, which a client must not send, would be read differently by others.
    // Without a way out, so that many are looked at at once.
    if !target.bytes().fold(true, |good, byte| good & byte.is_ascii_graphic() & (byte != b'#')) {
        return Err(TARGET);
    }
    if target.starts_with('/') {
        let (path, query) = split_query(target);
        return Ok((Path::In(path), query, None));
    }
    if target == "*" {
        // Section 3.2.4: only for OPTIONS.
        return if method == Method::Options { Ok((Path::Server, None, None)) } else { Err(TARGET) };
    }
    // Section 3.2.2: the absolute form. The authority form (3.2.3) is for CONNECT alone.
    let (scheme, rest) = target.split_once("://").ok_or(TARGET)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(TARGET);
    }
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    // RFC 9110 section 4.2.1: an empty host is invalid; 4.2.4: user information is an error.
    if !is_authority(authority.as_bytes()) {
        return Err(HOST);
    }
    let (path, query) = split_query(rest);
    let path = match path {
        "" if method == Method::Options && query.is_none() => Path::Server,
        "" => Path::Root,
        path => Path::In(path),
    };
    Ok((path, query, Some(authority)))
}

/// RFC 3986 section 3.2.2 and 3.2.3, without user information: a name, an IPv4 address or an IP literal
/// in brackets, then perhaps a port.
fn is_authority(text: &[u8]) -> bool {
    let (is_host, port) = match text.strip_prefix(b"[") {
        Some(literal) => {
            let (address, rest) = literal.split_at(find(b']', literal));
            let Some(port) = rest.strip_prefix(b"]") else { return false };
            (std::str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok()), port)
        }
        None => {
            let (name, port) = text.split_at(find(b':', text));
            (!name.is_empty() && (name.iter().all(|&byte| is_in_name(byte)) || is_escaped_name(name)), port)
        }
    };
    is_host && (port.is_empty() || port.strip_prefix(b":").is_some_and(is_port))
}

/// An empty port is allowed by the grammar.
fn is_port(digits: &[u8]) -> bool {
    number(digits).is_some_and(|port| port <= u16::MAX.into())
}

/// What comes before the `?`, and what behind it, if there is one.
fn split_query(text: &str) -> (&str, Option<&str>) {
    let (path, query) = text.split_at(find(b'?', text.as_bytes()));
    (path, query.strip_prefix('?'))
}
