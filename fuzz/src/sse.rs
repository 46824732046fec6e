//! An event stream, whole and in pieces; then its events, written and read again.

use gaffer::proto::sse::{Event, Limits, Message, ParseError, Parser};

/// Pieces make no difference, and every event that can be written is read the same.
///
/// The first byte is the size of the pieces, the rest is the stream.
pub fn run(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else { return };
    let (mut whole, mut pieces) = (parser(), parser());
    let read = drive(&mut whole, stream, usize::MAX);
    assert_eq!(read, drive(&mut pieces, stream, usize::from(*size) + 1));
    assert_eq!((whole.last_event_id(), whole.retry()), (pieces.last_event_id(), pieces.retry()));

    let (events, mut wire) = (read.0, Vec::new());
    for event in &events {
        let message = Message::new(&event.data).id(&event.last_event_id).event(&event.event);
        message.write(&mut wire).expect("what was read has no line ends");
    }
    // A line may be longer than it was, by the blank after the colon or U+FFFD: other limits.
    let mut again = Parser::new(Limits::default());
    assert_eq!(drive(&mut again, &wire, usize::MAX), (events, None));
}

fn parser() -> Parser {
    Parser::new(Limits::default().max_line(100).max_event(200))
}

fn drive(parser: &mut Parser, stream: &[u8], size: usize) -> (Vec<Event>, Option<(usize, ParseError)>) {
    let (mut events, mut total) = (Vec::new(), 0);
    for mut piece in stream.chunks(size) {
        while !piece.is_empty() {
            let fed = parser.feed(piece);
            assert!(fed.used > 0);
            total += fed.used;
            piece = &piece[fed.used..];
            match fed.out {
                Ok(Some(event)) => events.push(event),
                Ok(None) => assert!(piece.is_empty()),
                Err(error) => return (events, Some((total, error))),
            }
        }
    }
    (events, None)
}
