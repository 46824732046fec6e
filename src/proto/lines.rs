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
mod tests {
    use super::*;

    #[test]
    fn the_first_place_is_found() {
        for length in 0..150 {
            for at in 0..=length {
                // What differs by one, and by the highest bit, is next to it.
                for (byte, others) in [(b'\n', [0x0b, 0x8a]), (0, [1, 0x80]), (0xff, [0xfe, 0x7f]), (0x80, [0, 0x81])] {
                    let mut bytes: Vec<u8> = (0..length).map(|n| others[n % 2]).collect();
                    bytes[at..].iter_mut().step_by(3).for_each(|b| *b = byte);
                    assert_eq!(find(byte, &bytes), at, "{byte} in {bytes:?}");
                }
            }
        }
    }

    type Owned = (Vec<u8>, LineEnd, bool);

    fn owned(line: Line<'_>) -> Owned {
        (line.bytes.to_vec(), line.end, line.continues)
    }

    fn split(lines: &mut Lines, bytes: &[u8]) -> Vec<Owned> {
        let mut seen = Vec::new();
        lines.feed(bytes, &mut |line| seen.push(owned(line)));
        seen
    }

    /// The rules in their plainest form, a byte at a time.
    #[derive(Default)]
    struct Naive {
        tail: Vec<u8>,
        cr: bool,
        continues: bool,
    }

    impl Naive {
        fn feed(&mut self, max: usize, bytes: &[u8], out: &mut Vec<Owned>) {
            for &byte in bytes {
                match byte {
                    b'\n' => self.end(if self.cr { LineEnd::CrLf } else { LineEnd::Newline }, out),
                    b'\r' => self.cr = true,
                    _ => {
                        if self.cr {
                            if self.tail.is_empty() && !self.continues {
                                self.cr = false;
                            } else {
                                self.end(LineEnd::Carriage, out);
                            }
                        }
                        if self.tail.len() == max {
                            let mut n = max;
                            // Keep a character whole if the bytes up to here are the start of one.
                            for back in 1..4 {
                                let mut start = self.tail[max - back..].to_vec();
                                start.push(byte);
                                let lead = self.tail[max - back];
                                let want = [0, 0, 2, 3, 4][(lead.leading_ones() as usize).min(4)];
                                let whole = lead.leading_ones() <= 4
                                    && start[1..].iter().all(|b| b & 0xC0 == 0x80)
                                    && start.len() <= want;
                                if whole {
                                    n = max - back;
                                }
                            }
                            let rest = self.tail.split_off(n);
                            out.push((std::mem::replace(&mut self.tail, rest), LineEnd::Cut, self.continues));
                            self.continues = true;
                        }
                        self.tail.push(byte);
                    }
                }
            }
        }

        fn end(&mut self, end: LineEnd, out: &mut Vec<Owned>) {
            out.push((std::mem::take(&mut self.tail), end, self.continues));
            self.cr = false;
            self.continues = false;
        }
    }

    /// splitmix64.
    struct Rng(u64);

    impl Rng {
        fn below(&mut self, n: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) % n as u64) as usize
        }
    }

    #[test]
    fn ends() {
        use LineEnd::*;
        let seen = split(&mut Lines::default(), b"a\n\nb\r\nc\rd\r\r\n\r\n\re\r\rf");
        let want: &[(&[u8], LineEnd)] = &[
            (b"a", Newline),
            (b"", Newline),
            (b"b", CrLf),
            (b"c", Carriage),
            (b"d", CrLf),
            (b"", CrLf),
            (b"e", Carriage),
        ];
        let want: Vec<Owned> = want.iter().map(|&(bytes, end)| (bytes.to_vec(), end, false)).collect();
        assert_eq!(seen, want);
    }

    #[test]
    fn a_flushed_line_is_told_how_it_ended() {
        use LineEnd::*;
        for (rest, end) in [("\n", Newline), ("\r\n", CrLf), ("\rx", Carriage)] {
            let mut lines = Lines::default();
            assert!(split(&mut lines, b"tea?").is_empty());
            assert!(lines.has_partial());
            let mut seen = Vec::new();
            lines.flush(&mut |line| seen.push(owned(line)));
            lines.flush(&mut |_| panic!("nothing is left"));
            assert!(!lines.has_partial());
            assert_eq!(seen, [(b"tea?".to_vec(), Partial, false)]);
            assert_eq!(split(&mut lines, rest.as_bytes()), [(Vec::new(), end, true)], "{rest:?}");
        }
    }

    #[test]
    fn a_progress_bar_that_waits_is_seen() {
        let mut lines = Lines::default();
        assert!(split(&mut lines, b"10%\r").is_empty(), "the next byte may be a newline");
        let mut seen = Vec::new();
        lines.flush(&mut |line| seen.push(owned(line)));
        assert_eq!(seen, [(b"10%".to_vec(), LineEnd::Partial, false)]);
        let seen = split(&mut lines, b"20%\r\n");
        assert_eq!(seen, [(Vec::new(), LineEnd::Carriage, true), (b"20%".to_vec(), LineEnd::CrLf, false)]);
    }

    #[test]
    fn cuts_between_characters() {
        let seen = split(&mut Lines::new(8), "aaaaaaa\u{20ac}b\n".as_bytes());
        let want = [(b"aaaaaaa".to_vec(), LineEnd::Cut, false), ("\u{20ac}b".into(), LineEnd::Newline, true)];
        assert_eq!(seen, want);
        // Bytes that are no character are cut where they are.
        let seen = split(&mut Lines::new(8), &[0x80; 17]);
        assert_eq!(seen.iter().map(|s| s.0.len()).collect::<Vec<_>>(), [8, 8]);
    }

    #[test]
    fn chunks_make_no_difference() {
        let alphabet: &[&[u8]] = &[
            b"\n",
            b"\r",
            b"\r\n",
            b"a",
            b"bcd",
            "\u{e9}".as_bytes(),
            "\u{20ac}".as_bytes(),
            "\u{1F600}".as_bytes(),
            b"\x80",
            b"\xff",
            b"\xe2",
            b"0123456789",
        ];
        for seed in 0..3000 {
            let mut rng = Rng(seed);
            let max = SMALLEST_MAX + rng.below(12);
            let mut input = Vec::new();
            for _ in 0..rng.below(60) {
                input.extend_from_slice(alphabet[rng.below(alphabet.len())]);
            }
            let mut want = Vec::new();
            Naive::default().feed(max, &input, &mut want);

            let whole = split(&mut Lines::new(max), &input);
            assert_eq!(whole, want, "seed {seed}");

            let mut lines = Lines::new(max);
            let bytewise: Vec<Owned> = input.iter().flat_map(|b| split(&mut lines, &[*b])).collect();
            assert_eq!(bytewise, want, "seed {seed}, byte by byte");

            let (mut lines, mut chunked, mut rest) = (Lines::new(max), Vec::new(), &input[..]);
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(1 + rng.below(rest.len()));
                chunked.extend(split(&mut lines, chunk));
                rest = after;
                assert!(lines.tail.len() <= max, "seed {seed}");
            }
            assert_eq!(chunked, want, "seed {seed}, in chunks");
        }
    }

    #[test]
    fn every_byte_comes_out_again() {
        for seed in 0..2000 {
            let mut rng = Rng(seed);
            // No `\r` at the start of a line nor two in a row: those are dropped by rule.
            let input: Vec<u8> = (0..rng.below(200)).map(|_| b"ab\n\xc3\xa9"[rng.below(5)]).collect();
            let input = input.chunks(3).collect::<Vec<_>>().join(&b"x\ry"[..]);
            let (mut lines, mut back, mut rest) = (Lines::new(8), Vec::new(), &input[..]);
            let mut take = |line: Line<'_>| {
                back.extend_from_slice(line.bytes);
                back.extend_from_slice(line.end.as_bytes());
            };
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(1 + rng.below(rest.len()));
                lines.feed(chunk, &mut take);
                if rng.below(3) == 0 {
                    lines.flush(&mut take);
                }
                rest = after;
            }
            lines.flush(&mut take);
            assert_eq!(back, input, "seed {seed}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut lines = Lines::default();
        let (chunk, mut total) = (vec![b'x'; 100_000], 0);
        for _ in 0..105 {
            lines.feed(&chunk, &mut |line| total += line.bytes.len());
            assert!(lines.tail.capacity() <= 2 * DEFAULT_MAX, "{}", lines.tail.capacity());
        }
        lines.feed(b"\n", &mut |line| total += line.bytes.len());
        assert_eq!(total, 105 * 100_000);
        assert!(lines.tail.capacity() <= KEEP, "a long tail gives its memory back");
        let before = lines.tail.capacity();
        for _ in 0..1000 {
            lines.feed(b"", &mut |_| panic!("nothing was fed"));
            lines.flush(&mut |_| panic!("nothing was fed"));
        }
        assert_eq!(lines.tail.capacity(), before);
    }
}
