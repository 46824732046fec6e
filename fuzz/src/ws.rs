//! A stream to either role, whole and in pieces; then what was understood, sent and read again.

use gaffer::proto::ws::{Close, Connection, Event, Limits, Masks, ProtocolError, State};

/// Pieces make no difference, every event sent again is read the same, and goodbye is said once.
///
/// The first byte chooses the role and the size of the pieces, the rest is the stream.
pub fn run(data: &[u8]) {
    let Some((choice, stream)) = data.split_first() else { return };
    let whole = drive(connection(choice & 1 == 0, 1 << 12), stream, usize::MAX);
    let pieces = drive(connection(choice & 1 == 0, 1 << 12), stream, usize::from(choice >> 1) + 1);
    assert_eq!(whole, pieces);

    let (mut sender, mut wire) = (connection(choice & 1 == 1, 1 << 13), Vec::new());
    let sent: Vec<Event> = whole.0.into_iter().filter(|event| send(&mut sender, event, &mut wire)).collect();
    // What came in fragments goes out in one frame.
    let again = drive(connection(choice & 1 == 0, 1 << 13), &wire, usize::MAX);
    assert_eq!((again.0, again.1), (sent, None));
}

type Seen = (Vec<Event>, Option<(usize, ProtocolError)>, State, Vec<u8>);

fn connection(server: bool, max_frame: usize) -> Connection {
    let limits = Limits::default().max_frame(max_frame).max_message(1 << 13);
    if server { Connection::server(limits) } else { Connection::client(limits, Masks::seeded(1)) }
}

fn drive(mut connection: Connection, stream: &[u8], size: usize) -> Seen {
    let (mut events, mut failed, mut total, mut out) = (Vec::new(), None, 0, Vec::new());
    for mut piece in stream.chunks(size) {
        while !piece.is_empty() && failed.is_none() {
            let fed = connection.feed(piece);
            assert!(fed.used > 0);
            total += fed.used;
            piece = &piece[fed.used..];
            match fed.out {
                Ok(Some(event)) => events.push(event),
                Ok(None) => assert!(piece.is_empty()),
                Err(error) => failed = Some((total, error)),
            }
            connection.flush(&mut out);
            assert!(!connection.has_output());
        }
    }
    let closed = failed.is_some() || events.iter().any(|event| matches!(event, Event::Close(_)));
    assert_eq!(connection.state(), if closed { State::Closed } else { State::Open });
    assert!(out.len() <= 14 + 131 + 4 * stream.len(), "replies are no longer than what they answer, and one goodbye");
    (events, failed, connection.state(), out)
}

/// Whether there is a way to send it: pongs are not sent unasked, an empty close frame neither.
fn send(sender: &mut Connection, event: &Event, wire: &mut Vec<u8>) -> bool {
    let sent = match event {
        Event::Text(text) => sender.text(text, wire),
        Event::Binary(bytes) => sender.binary(bytes, wire),
        Event::Ping(bytes) => sender.ping(bytes, wire),
        Event::Close(Close { code: Some(code), reason, .. }) => sender.close(*code, reason, wire),
        _ => return false,
    };
    sent.expect("what was received can be sent");
    true
}
