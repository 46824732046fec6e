//! The line splitter: chunks make no difference, and nothing is lost.

use gaffer::proto::lines::{Line, Lines};

/// The first two bytes choose the longest line and the chunks; the rest is the stream.
pub fn run(data: &[u8]) {
    let [max, chunk, input @ ..] = data else { return };
    let (max, chunk) = (8 + usize::from(*max), 1 + usize::from(*chunk) % 64);

    let whole = split(max, input, input.len().max(1), false);
    assert_eq!(split(max, input, 1, false), whole);
    assert_eq!(split(max, input, chunk, false), whole);

    // With flushes in between the pieces differ, but not what they make together.
    let flushed = split(max, input, chunk, true);
    for pieces in [&whole, &flushed] {
        assert!(pieces.iter().all(|piece| piece.0.len() <= max));
        assert_eq!(shown(&together(pieces)), shown(input));
    }
}

type Piece = (Vec<u8>, &'static [u8], bool);

fn split(max: usize, input: &[u8], chunk: usize, flush: bool) -> Vec<Piece> {
    let (mut lines, mut pieces) = (Lines::new(max), Vec::new());
    let mut put = |line: Line<'_>| pieces.push((line.bytes.to_vec(), line.end.as_bytes(), line.continues));
    for chunk in input.chunks(chunk) {
        lines.feed(chunk, &mut put);
        if flush {
            lines.flush(&mut put);
            assert!(!lines.has_partial());
        }
    }
    lines.flush(&mut put);
    pieces
}

fn together(pieces: &[Piece]) -> Vec<u8> {
    pieces.iter().flat_map(|(bytes, end, _)| [bytes.as_slice(), end]).flatten().copied().collect()
}

/// Without every `\r`: which of them are dropped (at the start of a line, repeated, at the end of
/// the stream) is for the tests beside the splitter.
fn shown(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|b| *b != b'\r').collect()
}
