//! `/chunking_test`, by which clients of 0.1 and 0.2 found out whether a proxy holds pieces of a response back.

use std::time::Duration;

/// Milliseconds before each piece.
const PAUSES: [u64; 7] = [0, 1, 5, 25, 125, 625, 3125];

/// The pieces of one response.
///
/// ```
/// use gaffer::proto::sockjs::ChunkingTest;
///
/// let (mut test, mut body) = (ChunkingTest::default(), Vec::new());
/// while let Some(pause) = test.pause() {
///     // Wait for so long, then:
///     test.write(&mut body);
/// #   assert!(pause.as_millis() <= 3125);
/// }
/// assert_eq!(body.iter().filter(|&&b| b == b'h').count(), 7);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ChunkingTest {
    written: usize,
}

impl ChunkingTest {
    /// The pause before the next piece; `None` after the last.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        PAUSES.get(self.written).copied().map(Duration::from_millis)
    }

    /// Appends the next piece, if there is one.
    pub fn write(&mut self, out: &mut Vec<u8>) {
        if self.written >= PAUSES.len() {
            return;
        }
        if self.written == 1 {
            // For Internet Explorer, which needs so much before it looks.
            out.resize(out.len() + 2048, b' ');
        }
        out.extend_from_slice(b"h\n");
        self.written += 1;
    }
}
