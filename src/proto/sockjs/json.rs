//! Messages as JSON strings.
//!
//! It is a parser of its own because SockJS carries the strings of JavaScript, in which half a surrogate pair may stand alone. Such a half becomes U+FFFD
//! here; for a parser of strict JSON the whole message would be broken.

use std::fmt;

/// Why what a client has sent is not taken. [`Display`](fmt::Display) is the text that the protocol wants as the answer, with the status 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// Nothing was sent.
    Empty,
    /// It is no JSON of strings.
    Broken,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Payload expected.",
            Self::Broken => "Broken JSON encoding.",
        })
    }
}

impl std::error::Error for ParseError {}

/// Whether browsers or what is between are known to change it: the protocol's list of what a server escapes.
const fn is_unsafe(c: char) -> bool {
    matches!(
        c,
        '\0'..='\x1f' | '\u{200c}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{2060}'..='\u{206f}' | '\u{fff0}'..='\u{ffff}'
    )
}

/// Appends `text` as a JSON string, in quotes. Line ends and what JavaScript takes for one are always escaped.
///
/// ```
/// let mut out = Vec::new();
/// gaffer::proto::sockjs::quote("a \"b\"\n\u{2028}é", &mut out);
/// assert_eq!(out, r#""a \"b\"\n\u2028é""#.as_bytes());
/// ```
pub fn quote(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut clean = 0;
    for (at, c) in text.char_indices() {
        if c != '"' && c != '\\' && !is_unsafe(c) {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[clean..at]);
        clean = at + c.len_utf8();
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\x08' => out.extend_from_slice(b"\\b"),
            '\x0c' => out.extend_from_slice(b"\\f"),
            // All of the list are of the basic plane.
            _ => escape(u32::from(c), out),
        }
    }
    out.extend_from_slice(&text.as_bytes()[clean..]);
    out.push(b'"');
}

/// Appends `\uXXXX`.
pub(super) fn escape(c: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(b"0123456789abcdef"[(c >> shift & 0xf) as usize]);
    }
}

/// Reads what `xhr_send` and `jsonp_send` bring: an array of strings.
///
/// # Errors
///
/// It is empty, or something else than that.
pub fn parse_messages(bytes: &[u8]) -> Result<Vec<String>, ParseError> {
    let mut cursor = Cursor::new(bytes)?;
    let messages = cursor.array()?;
    cursor.end()?;
    Ok(messages)
}

/// Reads a message of a websocket: an array of strings, or one string. An empty one brings nothing.
///
/// # Errors
///
/// It is something else.
pub fn parse_websocket(text: &str) -> Result<Vec<String>, ParseError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut cursor = Cursor { text, at: 0 };
    let messages = if cursor.peek() == Some(b'"') { vec![cursor.string()?] } else { cursor.array()? };
    cursor.end()?;
    Ok(messages)
}

pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, ParseError> {
        if bytes.is_empty() {
            return Err(ParseError::Empty);
        }
        Ok(Self { text: std::str::from_utf8(bytes).map_err(|_| ParseError::Broken)?, at: 0 })
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text[self.at..].trim_start_matches([' ', '\t', '\n', '\r']);
        self.at = self.text.len() - rest.len();
        rest.bytes().next()
    }

    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn end(&mut self) -> Result<(), ParseError> {
        if self.peek().is_none() { Ok(()) } else { Err(ParseError::Broken) }
    }

    pub(super) fn array(&mut self) -> Result<Vec<String>, ParseError> {
        let mut all = Vec::new();
        if !self.eat(b'[') {
            return Err(ParseError::Broken);
        }
        if self.eat(b']') {
            return Ok(all);
        }
        loop {
            all.push(self.string()?);
            if self.eat(b']') {
                return Ok(all);
            }
            if !self.eat(b',') {
                return Err(ParseError::Broken);
            }
        }
    }

    pub(super) fn number(&mut self) -> Result<u16, ParseError> {
        self.peek();
        let rest = &self.text[self.at..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        self.at += digits;
        rest[..digits].parse().map_err(|_| ParseError::Broken)
    }

    pub(super) fn string(&mut self) -> Result<String, ParseError> {
        if !self.eat(b'"') {
            return Err(ParseError::Broken);
        }
        let mut string = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().position(|b| b == b'"' || b == b'\\' || b < 0x20).ok_or(ParseError::Broken)?;
            string.push_str(&rest[..plain]);
            self.at += plain + 1;
            match rest.as_bytes()[plain] {
                b'"' => return Ok(string),
                b'\\' => string.push(self.escaped()?),
                // RFC 8259 section 7: control characters must be escaped.
                _ => return Err(ParseError::Broken),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, ParseError> {
        let escape = *self.text.as_bytes().get(self.at).ok_or(ParseError::Broken)?;
        self.at += 1;
        Ok(match escape {
            b'"' | b'\\' | b'/' => char::from(escape),
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.unit(self.at).ok_or(ParseError::Broken)?;
                self.at += 4;
                if !(0xd800..0xdc00).contains(&unit) {
                    return Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                let low = match self.text.as_bytes().get(self.at..self.at + 2) {
                    Some(b"\\u") => self.unit(self.at + 2).filter(|low| (0xdc00..0xe000).contains(low)),
                    _ => None,
                };
                let Some(low) = low else { return Ok(char::REPLACEMENT_CHARACTER) };
                self.at += 6;
                char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00))
                    .expect("a pair of surrogates is a character")
            }
            _ => return Err(ParseError::Broken),
        })
    }

    /// Four hexadecimal digits.
    fn unit(&self, at: usize) -> Option<u32> {
        let digits = self.text.as_bytes().get(at..at + 4)?;
        digits.iter().try_fold(0, |unit, &b| Some(unit << 4 | char::from(b).to_digit(16)?))
    }
}
