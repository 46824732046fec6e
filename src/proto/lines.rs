//! A stream of bytes, line by line, in bounded memory.
//!
//! Lines that are whole inside the bytes given are handed on without a copy; only an unfinished
//! tail is kept. The places of the next `\n` and the next `\r` are remembered, so that a chunk is
//! searched once for each, whatever it holds.

/// The default longest line, in bytes: 64 KiB.
pub const DEFAULT_MAX: usize = 64 * 1024;

/// A `max` below this is raised to it: a cut must leave room for a whole UTF-8 character.
const SMALLEST_MAX: usize = 8;

/// A tail that needed more than this gives its memory back when its line is complete.
const KEEP: usize = 8 * 1024;

/// A line, or a piece of one, without its terminator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line<'a> {
    /// What stands on the line.
    pub bytes: &'a [u8],
    /// What ended it.
    pub end: LineEnd,
    /// Whether it goes on with a line of which a piece was handed on before (a [`LineEnd::Cut`] or
    /// [`LineEnd::Partial`]). With empty [`bytes`](Self::bytes) it only tells how that line ended.
    pub continues: bool,
}

/// What ended a [`Line`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LineEnd {
    /// `\n`.
    Newline,
    /// `\r\n`; also after several `\r`, which a terminal shows alike.
    CrLf,
    /// `\r` with something else after it: what follows replaces this line, as progress bars do.
    Carriage,
    /// Nothing yet: the line is longer than the splitter keeps.
    Cut,
    /// Nothing yet: [`Lines::flush`] asked for what was there.
    Partial,
}

impl LineEnd {
    /// Whether the line is complete.
    #[must_use]
    pub const fn is_complete(self) -> bool {
        !matches!(self, Self::Cut | Self::Partial)
    }

    /// The bytes that ended the line; empty where it is not complete.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Newline => b"\n",
            Self::CrLf => b"\r\n",
            Self::Carriage => b"\r",
            Self::Cut | Self::Partial => b"",
        }
    }

    /// The last member of a line as a JSON object, `end`, which lines that end as most do have not; the brace, and the end of the object's own line.
    pub(crate) const fn json(self) -> &'static str {
        match self {
            Self::Newline => "}\n",
            Self::CrLf => ",\"end\":\"crlf\"}\n",
            Self::Carriage => ",\"end\":\"cr\"}\n",
            Self::Cut => ",\"end\":\"cut\"}\n",
            Self::Partial => ",\"end\":\"partial\"}\n",
        }
    }
}

/// The splitter of one stream.
///
/// Every byte comes out again, in the order it came in, whatever the chunks: pieces and their
/// terminators put together are the input, but for `\r` that a terminal would not show either (at
/// the start of a line, and repeated).
///
/// It holds at most `max` bytes (64 KiB by default). A longer line is handed on in pieces of `max`
/// bytes, at most three fewer where a cut would split a UTF-8 character.
///
/// ```
/// use gaffer::proto::lines::{LineEnd, Lines};
///
/// let (mut lines, mut seen) = (Lines::default(), Vec::new());
/// lines.feed(b"one\ntwo\r\n10%\r20%\rthr", &mut |line| seen.push((line.bytes.to_vec(), line.end)));
/// lines.flush(&mut |line| seen.push((line.bytes.to_vec(), line.end)));
/// assert_eq!(seen[0], (b"one".to_vec(), LineEnd::Newline));
/// assert_eq!(seen[1], (b"two".to_vec(), LineEnd::CrLf));
/// assert_eq!(seen[3], (b"20%".to_vec(), LineEnd::Carriage));
/// assert_eq!(seen[4], (b"thr".to_vec(), LineEnd::Partial));
/// ```
#[derive(Debug)]
pub struct Lines {
    /// The unfinished line, at most `max` bytes.
    tail: Vec<u8>,
    max: usize,
    /// A `\r` came after the tail; the next byte tells what it meant.
    cr: bool,
    /// A piece of the unfinished line was handed on before.
    continues: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self::new(DEFAULT_MAX)
    }
}

impl Lines {
    /// A splitter that hands on lines of up to `max` bytes whole (at least 8).
    #[must_use]
    pub const fn new(max: usize) -> Self {
        let max = if max < SMALLEST_MAX { SMALLEST_MAX } else { max };
        Self { tail: Vec::new(), max, cr: false, continues: false }
    }

    /// Whether [`flush`](Self::flush) would hand something on.
    #[must_use]
    pub fn has_partial(&self) -> bool {
        !self.tail.is_empty()
    }

    /// Takes the next bytes of the stream and hands on the lines they complete.
    pub fn feed(&mut self, bytes: &[u8], out: &mut impl FnMut(Line<'_>)) {
        let (mut newline, mut carriage) = (Next::new(b'\n'), Next::new(b'\r'));
        let mut at = 0;
        while at < bytes.len() {
            let stop = newline.from(bytes, at).min(carriage.from(bytes, at));
            let mut text = &bytes[at..stop];
            if !text.is_empty() {
                if self.cr {
                    self.end(b"", LineEnd::Carriage, out);
                }
                text = self.cut(text, out);
            }
            at = stop;
            match bytes.get(at) {
                None => self.tail.extend_from_slice(text),
                Some(b'\n') => {
                    at += 1;
                    self.end(text, if self.cr { LineEnd::CrLf } else { LineEnd::Newline }, out);
                }
                Some(_) => {
                    while bytes.get(at) == Some(&b'\r') {
                        at += 1;
                    }
                    match bytes.get(at) {
                        Some(b'\n') => {
                            at += 1;
                            self.end(text, LineEnd::CrLf, out);
                        }
                        Some(_) => self.end(text, LineEnd::Carriage, out),
                        None => {
                            self.tail.extend_from_slice(text);
                            self.cr = true;
                        }
                    }
                }
            }
        }
    }

    /// Hands on the unfinished line as a [`LineEnd::Partial`], if there is one: at the end of the
    /// stream, or because it has been silent for so long that somebody may wait for it.
    pub fn flush(&mut self, out: &mut impl FnMut(Line<'_>)) {
        if !self.tail.is_empty() {
            out(Line { bytes: &self.tail, end: LineEnd::Partial, continues: self.continues });
            self.continues = true;
            self.empty_tail();
        }
    }

    /// Ends the unfinished line with `text`.
    fn end(&mut self, text: &[u8], end: LineEnd, out: &mut impl FnMut(Line<'_>)) {
        let continues = std::mem::replace(&mut self.continues, false);
        self.cr = false;
        if self.tail.is_empty() {
            // A `\r` at the start of a line does nothing.
            if end != LineEnd::Carriage || continues || !text.is_empty() {
                out(Line { bytes: text, end, continues });
            }
        } else {
            self.tail.extend_from_slice(text);
            out(Line { bytes: &self.tail, end, continues });
            self.empty_tail();
        }
    }

    /// Hands on pieces until the tail and what is left of `text` are at most `max` bytes.
    fn cut<'a>(&mut self, mut text: &'a [u8], out: &mut impl FnMut(Line<'_>)) -> &'a [u8] {
        while self.tail.len() + text.len() > self.max {
            let continues = std::mem::replace(&mut self.continues, true);
            if self.tail.is_empty() {
                let (piece, rest) = text.split_at(boundary(&text[..self.max], text[self.max]));
                out(Line { bytes: piece, end: LineEnd::Cut, continues });
                text = rest;
            } else {
                let (fill, rest) = text.split_at(self.max - self.tail.len());
                self.tail.extend_from_slice(fill);
                let piece = boundary(&self.tail, rest[0]);
                out(Line { bytes: &self.tail[..piece], end: LineEnd::Cut, continues });
                self.tail.drain(..piece);
                text = rest;
            }
        }
        text
    }

    fn empty_tail(&mut self) {
        if self.tail.capacity() > KEEP {
            self.tail = Vec::new();
        } else {
            self.tail.clear();
        }
    }
}

/// Where to cut before `next`: at the end of `piece`, or before the character that `next` continues.
fn boundary(piece: &[u8], next: u8) -> usize {
    if next & 0xC0 == 0x80 {
        for back in 1..=3 {
            let byte = piece[piece.len() - back];
            if byte & 0xC0 != 0x80 {
                // The number of leading ones is the length of the character.
                let length = byte.leading_ones() as usize;
                return if (2..=4).contains(&length) && length > back { piece.len() - back } else { piece.len() };
            }
        }
    }
    piece.len()
}

/// The place of the next `byte`, searched only once it is passed.
struct Next {
    byte: u8,
    place: Option<usize>,
}

impl Next {
    const fn new(byte: u8) -> Self {
        Self { byte, place: None }
    }

    /// The index of the first `byte` in `bytes` at or after `from`, or the length.
    fn from(&mut self, bytes: &[u8], from: usize) -> usize {
        match self.place {
            Some(place) if place >= from => place,
            _ => {
                let place = from + find(self.byte, &bytes[from..]);
                self.place = Some(place);
                place
            }
        }
    }
}

/// The index of the first `byte`, or the length.
pub(super) fn find(byte: u8, bytes: &[u8]) -> usize {
    const BLOCK: usize = 32;
    const WORD: usize = 8;
    // Compilers look at all bytes of a block at once. That is for what is long; most of what is searched is a line of a few words.
    let has = |block: &&[u8]| block.iter().fold(false, |has, b| has | (*b == byte));
    let passed = bytes.chunks_exact(BLOCK).take_while(|block| !has(block)).count() * BLOCK;
    let words = bytes[passed..].chunks_exact(WORD);
    let rest = words.remainder();
    for (n, word) in words.enumerate() {
        let place = zero(u64::from_le_bytes(word.try_into().expect("eight bytes")) ^ (ONES * u64::from(byte)));
        if place < WORD {
            return passed + n * WORD + place;
        }
    }
    bytes.len() - rest.len() + rest.iter().position(|b| *b == byte).unwrap_or(rest.len())
}

/// A one in each byte.
const ONES: u64 = u64::MAX / 0xff;

/// The index of the first byte that is zero, by a word's lower end; 8 if none is. The subtraction borrows from what is above a zero
/// only, so that the first place is right.
const fn zero(word: u64) -> usize {
    (word.wrapping_sub(ONES) & !word & (ONES << 7)).trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests;
