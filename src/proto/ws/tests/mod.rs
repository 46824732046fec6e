//! A table in the spirit of the Autobahn test suite, properties over random streams, and a real peer.

mod autobahn;
mod peer;
mod properties;

use super::frame::{self, Opcode};
use super::*;
use crate::ErrorKind::{Closed, Invalid};

/// Splitmix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Cuts `bytes` into pieces of at most `most`.
    fn cut<'a>(&mut self, mut bytes: &'a [u8], most: usize) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(1 + self.below(bytes.len().min(most)));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}

/// What a connection saw of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    events: Vec<Event>,
    /// The error, with the number of bytes used up to it.
    failed: Option<(usize, ProtocolError)>,
}

/// Feeds the pieces until there is an error; `reply` is called after each event.
fn drive(
    connection: &mut Connection,
    pieces: &[&[u8]],
    mut reply: impl FnMut(&mut Connection, Option<&Event>),
) -> Seen {
    let (mut seen, mut total) = (Seen::default(), 0);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let fed = connection.feed(rest);
            assert!(fed.used > 0 && fed.used <= rest.len(), "{} of {}", fed.used, rest.len());
            total += fed.used;
            rest = &rest[fed.used..];
            match fed.out {
                Ok(Some(event)) => {
                    reply(connection, Some(&event));
                    seen.events.push(event);
                }
                Ok(None) => assert!(rest.is_empty(), "all is taken where there is no event"),
                Err(error) => {
                    assert_eq!(connection.feed(b"more"), Fed { used: 4, out: Err(error) }, "errors stay");
                    reply(connection, None);
                    seen.failed = Some((total, error));
                    return seen;
                }
            }
        }
    }
    seen
}

/// A frame of a client, first byte and all.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(true, Opcode::Text, Some([0x12, 0x34, 0x56, 0x78]), payload, &mut out);
    out[0] = first;
    out
}

fn server() -> Connection {
    Connection::server(Limits::default())
}

fn client() -> Connection {
    Connection::client(Limits::default(), Masks::seeded(1))
}

/// Section 5.7.
#[test]
fn examples_of_the_rfc() {
    let text = |text: &str| Event::Text(text.to_owned());
    let big = |len: usize| (0..len).map(|n| n as u8).collect::<Vec<_>>();
    let with = |head: &[u8], payload: &[u8]| [head, payload].concat();
    for (bytes, event) in [
        (b"\x81\x05Hello".to_vec(), text("Hello")),
        (b"\x01\x03Hel\x80\x02lo".to_vec(), text("Hello")),
        (b"\x89\x05Hello".to_vec(), Event::Ping(b"Hello".to_vec())),
        (with(b"\x82\x7e\x01\x00", &big(256)), Event::Binary(big(256))),
        (with(b"\x82\x7f\0\0\0\0\0\x01\0\0", &big(65536)), Event::Binary(big(65536))),
    ] {
        let seen = drive(&mut client(), &[&bytes], |_, _| ());
        assert_eq!(seen, Seen { events: vec![event], failed: None });
    }
    for (bytes, event) in [
        (b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", text("Hello")),
        (b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", Event::Pong(b"Hello".to_vec())),
    ] {
        let seen = drive(&mut server(), &[bytes], |_, _| ());
        assert_eq!(seen, Seen { events: vec![event], failed: None });
    }
}

#[test]
fn only_the_last_of_many_pings_is_answered_where_there_is_no_room() {
    let (mut server, mut out) = (server(), Vec::new());
    let flood: Vec<u8> = (0..1000).flat_map(|n| masked(0x89, format!("{n}").as_bytes())).collect();
    assert_eq!(drive(&mut server, &[&flood], |_, _| ()).events.len(), 1000);
    assert!(server.has_output());
    server.flush(&mut out);
    assert_eq!(out, b"\x8a\x03999");
    assert!(!server.has_output());
    server.flush(&mut out);
    assert_eq!(out.len(), 5);
}

#[test]
fn nothing_is_sent_after_goodbye() {
    let (mut server, mut out) = (server(), Vec::new());
    drive(&mut server, &[&masked(0x89, b"x")], |_, _| ());
    assert_eq!(server.close(CloseCode::NORMAL, &"é".repeat(62), &mut out).expect_err("124 bytes").kind(), Invalid);
    assert_eq!((server.state(), out.len()), (State::Open, 0));
    server.close(CloseCode::NORMAL, &"x".repeat(123), &mut out).expect("123 bytes");
    assert_eq!((server.state(), out.len()), (State::CloseSent, 3 + 127), "the pong went first");
    out.clear();

    // Ours is said: messages still come in, pings are not answered, the peer's goodbye ends it.
    let more = [masked(0x81, b"late"), masked(0x89, b"y"), masked(0x88, b""), masked(0x81, b"too late")].concat();
    let seen = drive(&mut server, &[&more], |server, _| server.flush(&mut out));
    let close = Event::Close(Close::default());
    assert_eq!(seen.events, [Event::Text("late".to_owned()), Event::Ping(b"y".to_vec()), close]);
    assert_eq!((server.state(), server.has_output()), (State::Closed, false));
    for sent in [server.text("x", &mut out), server.binary(b"x", &mut out), server.ping(b"x", &mut out)] {
        assert_eq!(sent.expect_err("closed").kind(), Closed);
    }
    server.close(CloseCode::NORMAL, "again", &mut out).expect("does nothing");
    assert_eq!(out, b"");

    // An error after our goodbye has no second close frame.
    let mut server = self::server();
    server.close(CloseCode::NORMAL, "", &mut out).expect("open");
    out.clear();
    let seen = drive(&mut server, &[b"\xff"], |server, _| server.flush(&mut out));
    assert_eq!(seen.failed, Some((1, ProtocolError::ReservedBits)));
    assert_eq!((server.state(), &out[..]), (State::Closed, &b""[..]));

    // The peer's goodbye, then ours by hand: it is the answer that goes out.
    let mut server = self::server();
    drive(&mut server, &[&masked(0x88, b"\x03\xe9bye")], |_, _| ());
    assert_eq!(server.state(), State::ClosePending);
    assert_eq!(server.text("x", &mut out).expect_err("closing").kind(), Closed);
    server.close(CloseCode::NORMAL, "bye", &mut out).expect("closing already");
    assert_eq!((server.state(), &out[..]), (State::Closed, &b"\x88\x02\x03\xe9"[..]));
}

#[test]
fn what_a_client_sends_is_masked_anew_each_time() {
    let (mut client, mut out) = (client(), Vec::new());
    for _ in 0..2 {
        client.text("the same", &mut out).expect("open");
    }
    assert_eq!(out.len(), 2 * (6 + 8));
    assert_ne!(out[2..14], out[16..28]);
    assert_eq!(client.ping(&[0; 126], &mut out).expect_err("too long").kind(), Invalid);
    client.ping(&[0; 125], &mut out).expect("as long as may be");
    client.close(CloseCode::new(4999).expect("valid"), "", &mut out).expect("open");
    let seen = drive(&mut server(), &[&out], |_, _| ());
    assert_eq!((seen.events.len(), seen.failed), (4, None));
}

#[test]
fn limits_are_exact_and_looked_at_before_the_payload() {
    let limits = Limits::default().max_frame(1000).max_message(1500);
    let check = |bytes: &[u8], want: Result<usize, (usize, ProtocolError)>| {
        let mut server = Connection::server(limits);
        let mut out = Vec::new();
        let seen = drive(&mut server, &[bytes], |server, _| server.flush(&mut out));
        assert_eq!(seen.failed.map_or(Ok(seen.events.len()), Err), want);
        if let Err((_, error)) = want {
            assert_eq!(out[2..4], error.close_code().get().to_be_bytes());
        }
    };
    let begin = masked(0x02, &[0; 1000]);
    check(&masked(0x82, &[0; 1000]), Ok(1));
    check(&masked(0x82, &[0; 1001])[..4], Err((4, ProtocolError::FrameTooBig)));
    check(&[&begin[..], &masked(0x89, &[0; 125]), &masked(0x80, &[0; 500])].concat(), Ok(2));
    check(&[&begin[..], &masked(0x80, &[0; 501])[..8]].concat(), Err((1016, ProtocolError::MessageTooBig)));
    // The largest that can be announced.
    check(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", Err((10, ProtocolError::FrameTooBig)));
    check(b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff", Err((10, ProtocolError::LengthOverflow)));
    let mut open = Connection::server(Limits::default().max_frame(usize::MAX).max_message(usize::MAX));
    let huge = b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0some";
    assert_eq!(drive(&mut open, &[huge], |_, _| ()), Seen::default(), "nothing is reserved for what is announced");
    // No frame but a control frame.
    let mut none = Connection::server(Limits::default().max_frame(0).max_message(0));
    let bytes = [masked(0x89, b"ping"), masked(0x81, b""), masked(0x81, b"x")].concat();
    let seen = drive(&mut none, &[&bytes], |_, _| ());
    assert_eq!((seen.events.len(), seen.failed), (2, Some((18, ProtocolError::FrameTooBig))));
}

#[test]
fn lengths_must_be_minimal() {
    for (head, good) in [
        (&[0x82, 126, 0, 125][..], false),
        (&[0x82, 126, 0, 126], true),
        (&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], false),
        (&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0], true),
        (&[0x82, 127, 0, 0, 0, 0, 0, 0, 0, 1], false),
    ] {
        let seen = drive(&mut client(), &[head], |_, _| ());
        let want = (!good).then_some((head.len(), ProtocolError::LengthNotMinimal));
        assert_eq!(seen.failed, want, "{head:x?}");
    }
}

#[test]
fn each_side_must_be_masked_as_the_rfc_says() {
    let seen = drive(&mut server(), &[b"\x81\x05Hello"], |_, _| ());
    assert_eq!(seen.failed, Some((2, ProtocolError::Unmasked)));
    let seen = drive(&mut client(), &[&masked(0x81, b"Hello")], |_, _| ());
    assert_eq!(seen.failed, Some((2, ProtocolError::Masked)));
}

#[test]
fn headers_are_written_as_they_are_read() {
    for len in [0, 1, 125, 126, 127, 65535, 65536, 1 << 40, (1 << 63) - 1] {
        for mask in [None, Some([1, 2, 3, 4])] {
            let header = frame::Header { fin: len % 2 == 0, opcode: Opcode::Binary, mask, len };
            let mut bytes = Vec::new();
            header.write(&mut bytes);
            let role = if mask.is_some() { Role::Server } else { Role::Client };
            let mut decoder = frame::HeaderDecoder::new(role, usize::MAX);
            for byte in &bytes[..bytes.len() - 1] {
                assert_eq!(decoder.feed(&[*byte]), Fed { used: 1, out: Ok(None) });
            }
            let fed = decoder.feed(&[bytes[bytes.len() - 1], 0xff]);
            assert_eq!(fed, Fed { used: 1, out: Ok(Some(header)) }, "{len}");
        }
    }
}
