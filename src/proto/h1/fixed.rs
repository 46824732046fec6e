//! Fields that are the same in every answer.

use super::block::is_token;
use super::response::OURS;

/// A field that never changes. It is checked when the program is built, so that adding it to an answer is a copy.
///
/// ```
/// use gaffer::proto::h1::{FixedField, ResponseHead};
///
/// const JSON: FixedField = FixedField::new("Content-Type: application/json\r\n");
/// assert_eq!(ResponseHead::new(200).fixed(JSON), ResponseHead::new(200).with("Content-Type", "application/json"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedField(&'static str);

impl FixedField {
    /// The field of this line: the name, a colon and a blank, the value, and CRLF.
    ///
    /// # Panics
    ///
    /// If it is no such line, or that of a field which [`ResponseHead::encode`](super::ResponseHead::encode) writes; in a
    /// constant that is an error of the compiler.
    #[must_use]
    pub const fn new(line: &'static str) -> Self {
        let bytes = line.as_bytes();
        let mut colon = 0;
        while is_token(bytes[colon]) {
            colon += 1;
        }
        assert!(colon > 0 && bytes[colon] == b':' && bytes[colon + 1] == b' ', "a name, a colon and a blank");
        let mut n = 0;
        while n < OURS.len() {
            assert!(!same(OURS[n].as_bytes(), bytes, colon), "the encoder writes this field");
            n += 1;
        }
        let mut at = colon + 2;
        while at + 2 < bytes.len() {
            assert!(matches!(bytes[at], b'\t' | b' '..=b'~' | 0x80..), "no control character");
            at += 1;
        }
        assert!(at + 2 == bytes.len() && bytes[at] == b'\r' && bytes[at + 1] == b'\n', "the line ends in CRLF");
        Self(line)
    }

    /// The line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// Whether the first bytes are this name, without regard to case.
const fn same(name: &[u8], bytes: &[u8], length: usize) -> bool {
    let mut at = 0;
    while at < length && at < name.len() && name[at].eq_ignore_ascii_case(&bytes[at]) {
        at += 1;
    }
    at == length && at == name.len()
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn what_could_break_a_head_is_refused() {
        for line in ["Server: a\r\n", "X: \r\n", "X-Connection: é\t\r\n"] {
            assert_eq!(FixedField::new(line).as_str(), line);
        }
        for line in [
            "",
            ":",
            ": a\r\n",
            "a",
            "a:\r\n",
            "a:b\r\n",
            "a: b",
            "a: b\n",
            "a: b\r",
            "a: b\r\nc: d\r\n",
            "a: \0\r\n",
            "a b: c\r\n",
            "Connection: close\r\n",
            "DATE: x\r\n",
            "content-length: 1\r\n",
        ] {
            assert!(catch_unwind(|| FixedField::new(line)).is_err(), "{line:?}");
        }
    }
}
