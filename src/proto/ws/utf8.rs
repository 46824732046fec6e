//! UTF-8 in pieces cut anywhere, refused at the very byte that cannot belong to it.

use std::str::from_utf8;

/// The check of one text message: what an unfinished character has so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8 {
    partial: [u8; 3],
    len: u8,
}

impl Utf8 {
    /// Appends `bytes` to `text`, but for an unfinished character at the end, which is kept.
    ///
    /// # Errors
    ///
    /// The place of the first byte after which no further bytes could make it valid.
    pub(super) fn push(&mut self, bytes: &[u8], text: &mut String) -> Result<(), usize> {
        let begin = self.complete(bytes, text)?;
        let bytes = &bytes[begin..];
        if bytes.is_empty() {
            return Ok(()); // What is kept may still be unfinished.
        }
        let (whole, tail) = bytes.split_at(bytes.len() - unfinished(bytes));
        match from_utf8(whole) {
            Ok(whole) => text.push_str(whole),
            Err(error) => return Err(begin + culprit(whole, error)),
        }
        match from_utf8(tail) {
            Err(error) if error.error_len().is_some() => Err(begin + whole.len() + culprit(tail, error)),
            // A prefix of a character: the ranges of second bytes (no surrogates, no overlong forms,
            // nothing over U+10FFFF) are among what `from_utf8` looks at.
            _ => {
                self.partial[..tail.len()].copy_from_slice(tail);
                self.len = tail.len() as u8;
                Ok(())
            }
        }
    }

    /// Whether the text may end here.
    pub(super) const fn is_complete(self) -> bool {
        self.len == 0
    }

    /// Takes from `bytes` what the kept character lacks, and tells how many these were.
    fn complete(&mut self, bytes: &[u8], text: &mut String) -> Result<usize, usize> {
        let mut character = [0; 4];
        let mut len = usize::from(self.len);
        character[..len].copy_from_slice(&self.partial[..len]);
        for (at, byte) in bytes.iter().enumerate() {
            if len == 0 {
                return Ok(at);
            }
            character[len] = *byte;
            len += 1;
            match from_utf8(&character[..len]) {
                Ok(whole) => {
                    text.push_str(whole);
                    self.len = 0;
                    len = 0;
                }
                Err(error) if error.error_len().is_some() => return Err(at),
                Err(_) => {
                    // Four bytes are never a mere prefix.
                    self.partial[len - 1] = *byte;
                    self.len = len as u8;
                }
            }
        }
        Ok(bytes.len())
    }
}

/// How many bytes at the end begin a character that needs more than there are.
fn unfinished(bytes: &[u8]) -> usize {
    for (before, byte) in bytes.iter().rev().take(3).enumerate() {
        if byte & 0xC0 != 0x80 {
            // The number of leading ones is the length of the character.
            return if byte.leading_ones() as usize > before + 1 { before + 1 } else { 0 };
        }
    }
    0
}

/// The byte that made `bytes` invalid.
fn culprit(bytes: &[u8], error: std::str::Utf8Error) -> usize {
    let begin = error.valid_up_to();
    // `error_len` counts the bytes that could have begun a character. Where it is one, that byte is
    // at fault itself, or else it is a fine first byte and what follows it is not.
    match error.error_len() {
        Some(1) if !matches!(bytes[begin], 0xC2..=0xF4) => begin,
        Some(len) => begin + len,
        None => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Byte by byte against one byte at a time of the standard library.
    fn first_bad(bytes: &[u8]) -> Option<usize> {
        (0..bytes.len()).find(|at| from_utf8(&bytes[..=*at]).is_err_and(|e| e.error_len().is_some()))
    }

    #[test]
    fn every_cut_gives_the_same_text_or_the_same_culprit() {
        let alphabet =
            b"az\x00\x7f\x80\xbf\xc0\xc1\xc2\xc3\xa9\xdf\xe0\xe2\x82\xac\xed\x9f\xa0\xef\xf0\x90\xf4\x8f\xf5\xff";
        let mut seed = 1u64;
        let mut next = |n: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % n as u64) as usize
        };
        let good = ["é", "€", "😀", "a", "\u{d7ff}", "\u{10ffff}"];
        let (mut valid, mut invalid) = (0, 0);
        for round in 0..20_000 {
            let mut bytes = Vec::new();
            for _ in 0..next(9) {
                if next(12) == 0 {
                    bytes.push(alphabet[next(alphabet.len())]);
                } else {
                    bytes.extend_from_slice(good[next(good.len())].as_bytes());
                }
            }
            bytes.truncate(bytes.len() - next(3).min(bytes.len()));
            let want = first_bad(&bytes);
            let (mut utf8, mut text, mut at, mut got) = (Utf8::default(), String::new(), 0, None);
            while at < bytes.len() && got.is_none() {
                let piece = &bytes[at..at + 1 + next(bytes.len() - at)];
                got = utf8.push(piece, &mut text).err().map(|bad| at + bad);
                at += piece.len();
            }
            assert_eq!(got, want, "round {round}: {bytes:x?}");
            if got.is_none() {
                let complete = from_utf8(&bytes);
                assert_eq!(utf8.is_complete(), complete.is_ok(), "round {round}: {bytes:x?}");
                assert!(complete.map_or(true, |whole| whole == text), "round {round}: {bytes:x?}");
                valid += 1;
            } else {
                invalid += 1;
            }
        }
        assert!(valid > 1000 && invalid > 1000, "{valid} valid, {invalid} invalid");
    }
}
