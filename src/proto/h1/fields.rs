//! Header and trailer fields, in the order they came.

use std::fmt;

/// A range of the block's bytes. Heads longer than 4 GiB are not parsed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Where `part`, a piece of `whole`, lies in it.
    pub(super) fn of(part: &[u8], whole: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        debug_assert!(start + part.len() <= whole.len(), "the part is a piece of the whole");
        Self { start: start as u32, end: (start + part.len()) as u32 }
    }

    pub(super) fn of_bytes(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }
}

/// The bytes of a block. Names and targets are ASCII and values nearly always text, which is checked once for all of them.
#[derive(Clone, Debug)]
pub(super) enum Text {
    Utf8(String),
    /// Some value is no UTF-8.
    Bytes(Vec<u8>),
}

impl Text {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|e| Self::Bytes(e.into_bytes()), Self::Utf8)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Utf8(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        span.of_bytes(self.as_bytes())
    }

    /// A name or a target, which was checked when it was parsed.
    pub(super) fn ascii(&self, span: Span) -> &str {
        match self {
            Self::Utf8(text) => &text[span.start as usize..span.end as usize],
            Self::Bytes(bytes) => ascii(span.of_bytes(bytes)),
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::Utf8(String::new())
    }
}

/// Fields of a head or of a trailer section, in the order they came; names compare without case.
///
/// Its `Debug` output shows no credentials: logs are read by more people than keys are meant for.
#[derive(Clone, Default)]
pub struct Headers {
    /// The block the fields are part of.
    pub(super) text: Text,
    pub(super) fields: Vec<(Span, Span)>,
}

impl Headers {
    /// The value of the first field of this name, without the blanks around it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Like [`get`](Self::get), as text; `None` also for a value that is not UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The values of all fields of this name.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let named = move |span: Span| self.text.bytes(span).eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(move |(n, _)| named(*n)).map(|(_, value)| self.text.bytes(*value))
    }

    /// The members of a comma-separated list over all fields of this name, empty ones left out.
    ///
    /// For lists of tokens (`Connection`, `Upgrade`); a comma in a quoted string separates here too.
    pub fn tokens<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.all(name).flat_map(tokens)
    }

    /// Whether a comma-separated list has this member, without regard to case.
    #[must_use]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.tokens(name).any(|t| t.eq_ignore_ascii_case(token))
    }

    /// All fields: name as it was written, and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|(name, value)| (self.text.ascii(*name), self.text.bytes(*value)))
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().zip(other.iter()).all(|(a, b)| a.0.eq_ignore_ascii_case(b.0) && a.1 == b.1)
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECRET: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "x-api-key"];
        let shown = self.iter().map(|(name, value)| {
            let secret = SECRET.iter().any(|s| name.eq_ignore_ascii_case(s));
            (name, if secret { "…".into() } else { String::from_utf8_lossy(value) })
        });
        f.debug_map().entries(shown).finish()
    }
}

/// The members of a list that are text.
pub(super) fn tokens(value: &[u8]) -> impl Iterator<Item = &str> {
    value.split(|b| *b == b',').filter_map(|t| std::str::from_utf8(t).ok()).map(trim).filter(|t| !t.is_empty())
}

/// Without the blanks around it: RFC 9110 section 5.6.3, OWS.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Text whose bytes were checked when it was parsed.
pub(super) fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("names and targets are ASCII, or the head was refused")
}
