//! The lines up to an empty one: a head, or a trailer section.
//!
//! httparse starts anew at each call, so a head that arrives byte by byte would be read a square
//! number of times. Here the end is searched first, each byte once, and only a whole block is
//! parsed; one that is whole in the bytes given is copied once, into the memory its fields stay in.

use super::Refusal;
use crate::proto::lines::find;

/// The longest method that is looked at; the longest one registered with IANA has 17 letters.
pub(super) const MAX_METHOD: usize = 32;

const BARE_LF: Refusal = Refusal::BadRequest("a line ends in a bare line feed");

/// What a block may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes, the empty line included.
    pub(super) bytes: usize,
    /// Lines, the empty one not included.
    pub(super) lines: usize,
    /// The longest request target; `None` in a trailer section, which has no request line.
    pub(super) target: Option<usize>,
}

/// A block that is whole: its bytes, the empty line included, and how many other lines there are.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: usize,
}

#[derive(Debug, Default)]
pub(super) struct Block {
    /// What came so far, at most [`Bounds::bytes`].
    buffer: Vec<u8>,
    scan: Scan,
}

/// How far the search has come; all places count from the first byte fed.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    /// Where the block starts: after an empty line before the request line, if there was one.
    start: usize,
    /// Where the unfinished line starts.
    line: usize,
    searched: usize,
    lines: usize,
}

impl Block {
    /// Whether nothing of it has come yet.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Takes bytes up to the end of the block: how many, and the block if it is whole.
    pub(super) fn feed(&mut self, bytes: &[u8], bounds: Bounds) -> (usize, Result<Option<Whole>, Refusal>) {
        let before = self.buffer.len();
        let room = bounds.bytes.saturating_sub(before);
        let window = &bytes[..bytes.len().min(room)];
        let mut scan = self.scan;
        let found = if before == 0 {
            scan.search(window, bounds)
        } else {
            self.buffer.extend_from_slice(window);
            scan.search(&self.buffer, bounds)
        };
        match found {
            Ok(Some(end)) => {
                let bytes = if before == 0 {
                    window[scan.start..end].to_vec()
                } else {
                    let mut buffer = std::mem::take(&mut self.buffer);
                    buffer.truncate(end);
                    buffer.drain(..scan.start);
                    buffer
                };
                (end - before, Ok(Some(Whole { bytes, lines: scan.lines })))
            }
            Ok(None) if before + window.len() < bounds.bytes => {
                if before == 0 {
                    self.buffer.extend_from_slice(window);
                }
                self.scan = scan;
                (window.len(), Ok(None))
            }
            Ok(None) => {
                let all = if before == 0 { window } else { &self.buffer[..] };
                let refusal = match bounds.target {
                    Some(_) if scan.lines == 0 => long_request_line(&all[scan.start..]),
                    _ => Refusal::HeadTooLarge,
                };
                (window.len(), Err(refusal))
            }
            Err((at, refusal)) => (at - before, Err(refusal)),
        }
    }
}

impl Scan {
    /// The end of the block in `bytes`, which starts with everything searched before. An error tells
    /// how many bytes were needed to see it.
    fn search(&mut self, bytes: &[u8], bounds: Bounds) -> Result<Option<usize>, (usize, Refusal)> {
        loop {
            if bounds.target.is_some() && self.lines == 0 {
                // The first byte tells whether this is HTTP at all: a TLS handshake is not.
                match bytes.get(self.start) {
                    Some(&byte) if is_token(byte) || (byte == b'\r' && self.start == 0) => {}
                    Some(b'\n') => return Err((self.start + 1, BARE_LF)),
                    Some(_) => return Err((self.start + 1, Refusal::BadRequest("this is not an HTTP request"))),
                    None => return Ok(None),
                }
            }
            let place = self.searched + find(b'\n', &bytes[self.searched..]);
            if let Some(target) = bounds.target.filter(|_| self.lines == 0) {
                // The method, the target, `HTTP/1.1`, two spaces and the CRLF.
                let longest = MAX_METHOD.saturating_add(target).saturating_add(12);
                if place - self.start >= longest {
                    let line = &bytes[self.start..self.start + longest];
                    return Err((self.start + longest, long_request_line(line)));
                }
            }
            if place == bytes.len() {
                self.searched = place;
                return Ok(None);
            }
            // RFC 9112 section 2.2 lets a recipient take a bare LF for a line end. Another one in the
            // chain may not, and then the two disagree about where the head ends.
            if place == self.line || bytes[place - 1] != b'\r' {
                return Err((place + 1, BARE_LF));
            }
            let empty = place - 1 == self.line;
            (self.line, self.searched) = (place + 1, place + 1);
            if !empty {
                self.lines += 1;
                if self.lines > bounds.lines {
                    return Err((place + 1, Refusal::HeadTooLarge));
                }
            } else if bounds.target.is_some() && self.lines == 0 {
                // RFC 9112 section 2.2: at least one empty line before the request line is ignored. One
                // is what old clients send after a body; the check of the first byte refuses a second.
                self.start = place + 1;
            } else {
                return Ok(Some(place + 1));
            }
        }
    }
}

/// What to say to a request line that is too long, by its start.
fn long_request_line(line: &[u8]) -> Refusal {
    let method = &line[..find(b' ', line)];
    if !method.iter().all(|&byte| is_token(byte)) {
        return Refusal::BadRequest("the method is not a token");
    }
    if method.len() > MAX_METHOD {
        // RFC 9112 section 3: a method longer than any that is implemented is a 501.
        return super::parse::METHOD;
    }
    Refusal::TargetTooLong
}

/// RFC 9110 section 5.6.2, `tchar`.
pub(super) const fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

static TOKEN: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0_u8);
    while byte < 128 {
        table[byte as usize] = matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9'
            | b'A'..=b'Z' | b'^'..=b'z' | b'|' | b'~');
        byte += 1;
    }
    table
};
