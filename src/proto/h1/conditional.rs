//! Entity tags and ranges: RFC 9110 sections 8.8.3, 13 and 14.

/// Whether `If-None-Match` holds for a resource with this entity tag, so that it must be sent: `false` means 304 (for
/// `GET` and `HEAD`) or 412.
///
/// `values` are all fields of that name, `current` the tag with its quotes (and `W/`), `None` if the
/// resource does not exist. The comparison is the weak one (RFC 9110 section 13.1.2). Without the field it holds. What
/// is no list of tags matches nothing, so the resource is sent.
///
/// ```
/// # use gaffer::proto::h1::if_none_match;
/// assert!(!if_none_match([&b"\"a,b\", W/\"c\""[..]], Some("\"c\"")));
/// assert!(if_none_match([&b"\"a\""[..]], Some("\"c\"")));
/// ```
#[must_use]
pub fn if_none_match<'a>(values: impl IntoIterator<Item = &'a [u8]>, current: Option<&str>) -> bool {
    let Some(current) = current else { return true };
    let current = opaque(current.as_bytes());
    values.into_iter().all(|value| value != b"*" && tags(value).all(|tag| opaque(tag) != current))
}

/// Whether a `Range` may be answered in part: `If-Range` is absent, or is this very tag and strong (RFC 9110 section 13.1.5). A
/// date never is: whether it is strong cannot be seen, and the whole is always right.
#[must_use]
pub fn if_range(value: Option<&[u8]>, current: &str) -> bool {
    value.is_none_or(|value| value == current.as_bytes() && value.starts_with(b"\""))
}

/// A strong tag of a content (RFC 9110 section 8.8.3). The same bytes have the same tag, whoever computes it and when.
///
/// It protects from nothing, so eight bytes at a time are multiplied in: a step is a bijection of what was before, so contents
/// that differ in one place differ in their tags, and others do but for one in 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityTag([u8; 18]);

impl EntityTag {
    /// That of this content.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        let mix = |hash: u64, word: u64| (hash.rotate_left(26) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let words = |bytes| {
            <[u8]>::chunks_exact(bytes, 8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")))
        };
        // Four words in a row are for four hashes, none of which waits for the multiplication of another.
        let blocks = content.chunks_exact(32);
        let mut end = [0; 32];
        end[..blocks.remainder().len()].copy_from_slice(blocks.remainder());
        let mut hashes = [content.len() as u64, 1, 2, 3];
        for block in blocks.chain([&end[..]]) {
            hashes.iter_mut().zip(words(block)).for_each(|(hash, word)| *hash = mix(*hash, word));
        }
        let hash = hashes.into_iter().reduce(mix).unwrap_or_default();
        // The upper half is the better mixed one.
        let hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let mut tag = [b'"'; 18];
        for (n, digit) in tag[1..17].iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(hash >> (60 - 4 * n)) as usize & 15];
        }
        Self(tag)
    }

    /// As text, with its quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        super::fields::ascii(&self.0)
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A tag without its `W/`.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The tags of a list, with their quotes, up to the first thing that is none. A tag may hold commas.
fn tags(mut list: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let start = list.iter().position(|b| !matches!(b, b' ' | b'\t' | b','))?;
        list = &list[start..];
        let quote = list.len() - opaque(list).len();
        if list.get(quote) != Some(&b'"') {
            return None;
        }
        let end = quote + 2 + list[quote + 1..].iter().position(|b| *b == b'"')?;
        let (tag, rest) = list.split_at(end);
        list = rest;
        Some(tag)
    })
}

/// What a `Range` field asks of a content of known length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// All of it, with 200: the field is malformed, of another unit, or asks for several ranges; RFC 9110
    /// section 14.2 lets a server ignore it.
    Whole,
    /// These bytes, with 206: from `start` up to and including `last`.
    Part {
        /// The first byte.
        start: u64,
        /// The last byte.
        last: u64,
    },
    /// Nothing of it, with 416.
    Unsatisfiable,
}

impl Range {
    /// Reads a `Range` field for a content of `length` bytes: one range, `bytes=0-99`, `bytes=100-` or `bytes=-100`.
    ///
    /// ```
    /// # use gaffer::proto::h1::Range;
    /// assert_eq!(Range::parse(b"bytes=-100", 1000), Range::Part { start: 900, last: 999 });
    /// ```
    #[must_use]
    pub fn parse(value: &[u8], length: u64) -> Self {
        Self::read(value, length).unwrap_or(Self::Whole)
    }

    /// The value of `Content-Range` (RFC 9110 section 14.4), for an answer that has one.
    #[must_use]
    pub fn content_range(self, length: u64) -> Option<String> {
        match self {
            Self::Whole => None,
            Self::Part { start, last } => Some(format!("bytes {start}-{last}/{length}")),
            Self::Unsatisfiable => Some(format!("bytes */{length}")),
        }
    }

    fn read(value: &[u8], length: u64) -> Option<Self> {
        let (unit, range) = std::str::from_utf8(value).ok()?.split_once('=')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = super::fields::trim(range).split_once('-')?;
        Some(match (number(first)?, number(last)?) {
            (None, None) => return None,
            (Some(first), Some(last)) if last < first => return None,
            (None, Some(0)) => Self::Unsatisfiable,
            (Some(first), _) if first >= length => Self::Unsatisfiable,
            _ if length == 0 => Self::Unsatisfiable,
            (Some(start), last) => Self::Part { start, last: last.unwrap_or(u64::MAX).min(length - 1) },
            (None, Some(suffix)) => Self::Part { start: length.saturating_sub(suffix), last: length - 1 },
        })
    }
}

/// Digits or nothing; a number too large for 64 bits is larger than any content.
fn number(digits: &str) -> Option<Option<u64>> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((!digits.is_empty()).then(|| digits.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags() {
        let sent = |values: &[&str], tag| if_none_match(values.iter().map(|v| v.as_bytes()), tag);
        let tag = Some("\"a\"");
        assert!(sent(&[], tag));
        assert!(sent(&["*"], None));
        assert!(!sent(&["*"], tag));
        assert!(!sent(&["\"a\""], tag));
        assert!(!sent(&["\"a\""], Some("W/\"a\"")), "weakly equal");
        assert!(!sent(&["W/\"a\""], tag));
        assert!(!sent(&[" , \"b\",\t\"a\""], tag));
        assert!(!sent(&["\"b\"", "\"a\""], tag), "over several fields");
        assert!(!sent(&["\"x,y\""], Some("\"x,y\"")));
        assert!(!sent(&["\"\""], Some("\"\"")));
        assert!(sent(&["\"b\", W/\"c\""], tag));
        for odd in ["a", "\"a", "a\"", "W\"a\"", "w/\"a\"", "", ",", "W/", "W/\"", "\"A\""] {
            assert!(sent(&[odd], tag), "{odd}");
        }
    }

    #[test]
    fn ranges_of_the_right_content() {
        assert!(if_range(None, "\"a\""));
        assert!(if_range(Some(b"\"a\""), "\"a\""));
        assert!(!if_range(Some(b"\"b\""), "\"a\""));
        assert!(!if_range(Some(b"W/\"a\""), "W/\"a\""), "weak tags do not do");
        assert!(!if_range(Some(b"Sun, 06 Nov 1994 08:49:37 GMT"), "\"a\""));
    }

    #[test]
    fn ranges() {
        let part = |start, last| Range::Part { start, last };
        for (value, length, want) in [
            ("bytes=0-0", 10, part(0, 0)),
            ("bytes=0-9", 10, part(0, 9)),
            ("bytes=0-99", 10, part(0, 9)),
            ("Bytes=5-", 10, part(5, 9)),
            ("bytes=-3", 10, part(7, 9)),
            ("bytes=-30", 10, part(0, 9)),
            ("bytes=5-99999999999999999999", 10, part(5, 9)),
            ("bytes=10-", 10, Range::Unsatisfiable),
            ("bytes=99999999999999999999-", 10, Range::Unsatisfiable),
            ("bytes=-0", 10, Range::Unsatisfiable),
            ("bytes=0-", 0, Range::Unsatisfiable),
            ("bytes=-1", 0, Range::Unsatisfiable),
            ("bytes=5-4", 10, Range::Whole),
            ("bytes=-", 10, Range::Whole),
            ("bytes=0-1,3-4", 10, Range::Whole),
            ("bytes=+1-2", 10, Range::Whole),
            ("bytes=a-b", 10, Range::Whole),
            ("lines=0-1", 10, Range::Whole),
            ("0-1", 10, Range::Whole),
            ("", 10, Range::Whole),
        ] {
            assert_eq!(Range::parse(value.as_bytes(), length), want, "{value} of {length}");
        }
        assert_eq!(part(0, 4).content_range(10).as_deref(), Some("bytes 0-4/10"));
        assert_eq!(Range::Unsatisfiable.content_range(10).as_deref(), Some("bytes */10"));
        assert_eq!(Range::Whole.content_range(10), None);
    }
}
