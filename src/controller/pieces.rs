//! Output as text, piece by piece.

/// Bytes as text: what is no UTF-8 becomes U+FFFD, and a character that is cut in two goes with the second piece.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// The beginning of a character, at most three bytes.
    rest: Vec<u8>,
}

impl Pieces {
    pub(super) fn feed(&mut self, bytes: &[u8]) -> String {
        self.rest.extend_from_slice(bytes);
        let all = std::mem::take(&mut self.rest);
        let mut text = String::with_capacity(all.len());
        let mut from = &all[..];
        loop {
            match std::str::from_utf8(from) {
                Ok(good) => {
                    text.push_str(good);
                    return text;
                }
                Err(e) => {
                    let (good, bad) = from.split_at(e.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(good));
                    let Some(length) = e.error_len() else {
                        self.rest = bad.to_vec();
                        return text;
                    };
                    text.push('\u{fffd}');
                    from = &bad[length..];
                }
            }
        }
    }

    /// What is left at the end.
    pub(super) fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_make_no_difference() {
        for bytes in [&b"a\xe2\x82\xacb\xff\xf0\x9f\x98\x80"[..], b"\xe2\x82", b"", b"\xf0\x9f\x98x\xc3"] {
            for at in 0..=bytes.len() {
                let mut pieces = Pieces::default();
                let text = pieces.feed(&bytes[..at]) + &pieces.feed(&bytes[at..]) + &pieces.finish();
                assert_eq!(text, String::from_utf8_lossy(bytes), "at {at}");
            }
        }
    }
}
