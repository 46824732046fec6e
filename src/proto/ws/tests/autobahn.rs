//! The cases of the Autobahn test suite, sections 1-7, against an echo server: what the client sends
//! and what it gets back. Numbers are those of the suite; some cases of ours are beside them.

use super::*;

/// What the client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Got {
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    /// A close frame with this code, 0 for none, and nothing after it.
    Close(u16),
}

use Got::{Binary, Close, Pong, Text};

#[derive(Default)]
struct Table {
    cases: usize,
}

impl Table {
    /// Sends the frames whole, byte by byte and in pieces, and compares what comes back.
    #[track_caller]
    fn case(&mut self, id: &str, frames: &[Vec<u8>], want: &[Got]) {
        self.cases += 1;
        let bytes = frames.concat();
        let mut first = None;
        for size in [bytes.len().max(1), 1, 3, 997] {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            let (mut server, mut out) = (server(), Vec::new());
            let seen = drive(&mut server, &pieces, |server, event| {
                match event {
                    Some(Event::Text(text)) => server.text(text, &mut out).expect("open"),
                    Some(Event::Binary(bytes)) => server.binary(bytes, &mut out).expect("open"),
                    _ => {}
                }
                server.flush(&mut out);
            });
            assert_eq!(got(&out), want, "case {id}, by {size}");
            assert_eq!(*first.get_or_insert_with(|| seen.clone()), seen, "case {id}, by {size}");
        }
    }

    #[track_caller]
    fn text(&mut self, id: &str, hex: &str, valid: bool) {
        let bytes = unhex(hex);
        let code = CloseCode::INVALID_PAYLOAD.get();
        let want = if valid { Text(String::from_utf8(bytes.clone()).expect("valid")) } else { Close(code) };
        self.case(id, &[masked(0x81, &bytes)], std::slice::from_ref(&want));
        // The same, a frame a byte.
        let mut frames: Vec<Vec<u8>> = bytes.iter().map(|byte| masked(0, &[*byte])).collect();
        frames.insert(0, masked(1, b""));
        frames.push(masked(0x80, b""));
        self.case(id, &frames, &[want]);
    }
}

/// The server's frames, as a client reads them.
fn got(bytes: &[u8]) -> Vec<Got> {
    let mut client = client();
    let seen = drive(&mut client, &[bytes], |_, _| ());
    assert_eq!(seen.failed, None, "the server's frames are right");
    let mut closed = false;
    let got = seen.events.into_iter().map(|event| {
        assert!(!closed, "nothing after the close frame");
        match event {
            Event::Text(text) => Text(text),
            Event::Binary(bytes) => Binary(bytes),
            Event::Pong(bytes) => Pong(bytes),
            Event::Ping(_) => panic!("the server does not ping"),
            Event::Close(close) => {
                closed = true;
                Close(close.code.map_or(0, CloseCode::get))
            }
        }
    });
    got.collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    assert_eq!(digits.len() % 2, 0, "{hex}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn text(text: &str) -> Got {
    Text(text.to_owned())
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    masked(0x88, &[&code.to_be_bytes(), reason].concat())
}

const PROTOCOL: Got = Close(1002);

#[test]
fn section_1_framing() {
    let mut table = Table::default();
    for (n, len) in [0, 125, 126, 127, 128, 65535, 65536].into_iter().enumerate() {
        let payload = "*".repeat(len);
        table.case(&format!("1.1.{}", n + 1), &[masked(0x81, payload.as_bytes())], &[Text(payload)]);
        table.case(&format!("1.2.{}", n + 1), &[masked(0x82, &vec![0xfe; len])], &[Binary(vec![0xfe; len])]);
    }
    assert_eq!(table.cases, 14);
}

#[test]
fn section_2_pings_and_pongs() {
    let mut table = Table::default();
    let pong = |payload: &[u8]| Pong(payload.to_vec());
    table.case("2.1", &[masked(0x89, b"")], &[pong(b"")]);
    table.case("2.2", &[masked(0x89, b"Hello, world!")], &[pong(b"Hello, world!")]);
    table.case("2.3", &[masked(0x89, b"\0\xff\xfe\xfd\xfc\xfb\0\xff")], &[pong(b"\0\xff\xfe\xfd\xfc\xfb\0\xff")]);
    table.case("2.4", &[masked(0x89, &[0xfe; 125])], &[pong(&[0xfe; 125])]);
    table.case("2.5", &[masked(0x89, &[0xfe; 126])], &[PROTOCOL]);
    table.case("2.6", &[masked(0x89, &[0xfe; 125]), close(1000, b"")], &[pong(&[0xfe; 125]), Close(1000)]);
    table.case("2.7", &[masked(0x8a, b"")], &[]);
    table.case("2.8", &[masked(0x8a, b"unsolicited")], &[]);
    table.case("2.9", &[masked(0x8a, b"unsolicited"), masked(0x89, b"ping")], &[pong(b"ping")]);
    let pings: Vec<_> = (0..10).map(|n| masked(0x89, &[n])).collect();
    table.case("2.10", &pings, &(0..10).map(|n| pong(&[n])).collect::<Vec<_>>());
    assert_eq!(table.cases, 10);
}

#[test]
fn section_3_reserved_bits() {
    let mut table = Table::default();
    let small = "Hello, world!";
    table.case("3.1", &[masked(0x91, small.as_bytes())], &[PROTOCOL]);
    table.case(
        "3.2",
        &[masked(0x81, small.as_bytes()), masked(0xa1, small.as_bytes()), masked(0x89, b"")],
        &[text(small), PROTOCOL],
    );
    table.case("3.3", &[masked(0x81, small.as_bytes()), masked(0xb1, small.as_bytes())], &[text(small), PROTOCOL]);
    table.case("3.4", &[masked(0x81, small.as_bytes()), masked(0xc1, small.as_bytes())], &[text(small), PROTOCOL]);
    table.case("3.5", &[masked(0xd2, b"\0\xff")], &[PROTOCOL]);
    table.case("3.6", &[masked(0xe9, b"ping")], &[PROTOCOL]);
    table.case("3.7", &[masked(0xf8, b"")], &[PROTOCOL]);
    assert_eq!(table.cases, 7);
}

#[test]
fn section_4_opcodes() {
    let mut table = Table::default();
    for (section, first) in [(1, 3), (2, 11)] {
        for n in 0..5 {
            let id = format!("4.{section}.{}", n + 1);
            let bad = masked(0x80 | (first + n), b"reserved");
            table.case(&id, std::slice::from_ref(&bad), &[PROTOCOL]);
            table.case(&id, &[masked(0x81, b"Hello"), bad, masked(0x89, b"")], &[text("Hello"), PROTOCOL]);
        }
    }
    assert_eq!(table.cases, 20);
}

#[test]
fn section_5_fragmentation() {
    let mut table = Table::default();
    let (one, two) = (masked(0x01, b"fragment1"), masked(0x80, b"fragment2"));
    let ping = masked(0x89, b"ping");
    let both = text("fragment1fragment2");
    let pong = Pong(b"ping".to_vec());
    table.case("5.1", &[masked(0x09, b"fragment1"), two.clone()], &[PROTOCOL]);
    table.case("5.2", &[masked(0x0a, b"fragment1"), two.clone()], &[PROTOCOL]);
    table.case("5.3-5", &[one.clone(), two.clone()], std::slice::from_ref(&both));
    table.case("5.6-8", &[one.clone(), ping.clone(), two.clone()], &[pong.clone(), both.clone()]);
    table.case("5.9-11", &[masked(0x80, b"non-continuation"), masked(0x81, b"Hello")], &[PROTOCOL]);
    table.case("5.12-14", &[masked(0x00, b"non-continuation"), masked(0x81, b"Hello")], &[PROTOCOL]);
    let more = [one.clone(), two.clone(), masked(0x00, b"fragment3"), masked(0x81, b"fragment4")];
    table.case("5.15", &more, &[both.clone(), PROTOCOL]);
    table.case("5.16", &[masked(0x00, b"fragment1"), one.clone(), two.clone()], &[PROTOCOL]);
    table.case("5.17", &[masked(0x80, b"fragment1"), one.clone(), two.clone()], &[PROTOCOL]);
    table.case("5.18", &[one.clone(), masked(0x81, b"fragment2")], &[PROTOCOL]);
    table.case("5.18 binary", &[one.clone(), masked(0x02, b"fragment2")], &[PROTOCOL]);
    let pieces =
        [one.clone(), masked(0, b"-2"), ping.clone(), masked(0, b"-3"), masked(0, b"-4"), ping, masked(0x80, b"-5")];
    table.case("5.19-20", &pieces, &[pong.clone(), pong, text("fragment1-2-3-4-5")]);
    let binary = [masked(0x02, b"\0"), masked(0x00, b"\xff"), masked(0x80, b"\xfe")];
    table.case("5.21 binary", &binary, &[Binary(b"\0\xff\xfe".to_vec())]);
    let quiet = [masked(0x01, b"a"), masked(0x8a, b"pong"), masked(0x80, b"b")];
    table.case("5.22 a pong between", &quiet, &[text("ab")]);
    assert_eq!(table.cases, 14);
}

#[test]
fn section_6_utf8() {
    let mut table = Table::default();
    table.case("6.1.2", &[masked(1, b""), masked(0, b""), masked(0x80, b"")], &[text("")]);
    table.case("6.1.3", &[masked(1, b""), masked(0, b"middle"), masked(0x80, b"")], &[text("middle")]);
    let hello = "Hello-µ@ßöäüàá-UTF-8!!".as_bytes();
    table.case("6.2.2", &[masked(1, &hello[..12]), masked(0x80, &hello[12..])], &[text("Hello-µ@ßöäüàá-UTF-8!!")]);

    // Everything in one frame, and a frame a byte, with a cut at every byte of the transport too.
    let kosme = "cebae1bdb9cf83cebcceb5";
    table.text("6.1.1", "", true);
    table.text("6.2.1,3", "48656c6c6f2dc2b540c39fc3b6c3a4c3bcc3a0c3a12d5554462d382121", true);
    table.text("6.2.4", kosme, true);
    table.text("6.3.1-2", &format!("{kosme}eda080656469746564"), false);
    table.text("6.4", &format!("{kosme}f4908080656469746564"), false);
    table.text("6.5.1", "c3a90a", true);
    // Prefixes of "κόσμε": valid where a character ends.
    for n in 1..=11 {
        table.text(&format!("6.6.{n}"), &kosme[..2 * n], [2, 5, 7, 9, 11].contains(&n));
    }
    for (id, hex, valid) in [
        // The first of each length.
        ("6.7.1", "00", true),
        ("6.7.2", "c280", true),
        ("6.7.3", "e0a080", true),
        ("6.7.4", "f0908080", true),
        ("6.8.1", "f888808080", false),
        ("6.8.2", "fc8480808080", false),
        // The last of each length.
        ("6.9.1", "7f", true),
        ("6.9.2", "dfbf", true),
        ("6.9.3", "efbfbf", true),
        ("6.9.4", "f48fbfbf", true),
        ("6.10.1", "f7bfbfbf", false),
        ("6.10.2", "fbbfbfbfbf", false),
        ("6.10.3", "fdbfbfbfbfbf", false),
        // Other boundaries.
        ("6.11.1", "ed9fbf", true),
        ("6.11.2", "ee8080", true),
        ("6.11.3", "efbfbd", true),
        ("6.11.4", "f48fbfbf", true),
        ("6.11.5", "f4908080", false),
        // Continuation bytes alone.
        ("6.12.1", "80", false),
        ("6.12.2", "bf", false),
        ("6.12.3", "80bf", false),
        ("6.12.4", "80bf80", false),
        ("6.12.5", "80bf80bf", false),
        ("6.12.6", "80bf80bf80", false),
        ("6.12.7", "80bf80bf80bf", false),
        ("6.12.8", "808182838485868788898a8b8c8d8e8fb0b1bebf", false),
        // First bytes alone.
        ("6.13.1", "c020c120c220c320df20", false),
        ("6.13.2", "e020e120e220ef20", false),
        ("6.13.3", "f020f120f220f720", false),
        ("6.13.4", "f820f920fa20fb20", false),
        ("6.13.5", "fc20fd20", false),
        // The last byte missing.
        ("6.14.1", "c0", false),
        ("6.14.2", "e080", false),
        ("6.14.3", "f08080", false),
        ("6.14.4", "f8808080", false),
        ("6.14.5", "fc80808080", false),
        ("6.14.6", "df", false),
        ("6.14.7", "efbf", false),
        ("6.14.8", "f7bfbf", false),
        ("6.14.9", "fbbfbfbf", false),
        ("6.14.10", "fdbfbfbfbf", false),
        ("6.15.1", "c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf", false),
        // Bytes that never occur.
        ("6.16.1", "fe", false),
        ("6.16.2", "ff", false),
        ("6.16.3", "fefeffff", false),
        // Overlong: '/', the largest, NUL.
        ("6.17.1", "c0af", false),
        ("6.17.2", "e080af", false),
        ("6.17.3", "f08080af", false),
        ("6.17.4", "f8808080af", false),
        ("6.17.5", "fc80808080af", false),
        ("6.18.1", "c1bf", false),
        ("6.18.2", "e09fbf", false),
        ("6.18.3", "f08fbfbf", false),
        ("6.18.4", "f887bfbfbf", false),
        ("6.18.5", "fc83bfbfbfbf", false),
        ("6.19.1", "c080", false),
        ("6.19.2", "e08080", false),
        ("6.19.3", "f0808080", false),
        ("6.19.4", "f880808080", false),
        ("6.19.5", "fc8080808080", false),
        // Surrogates, alone and in pairs.
        ("6.20.1", "eda080", false),
        ("6.20.2", "edadbf", false),
        ("6.20.3", "edae80", false),
        ("6.20.4", "edafbf", false),
        ("6.20.5", "edb080", false),
        ("6.20.6", "edbe80", false),
        ("6.20.7", "edbfbf", false),
        ("6.21.1", "eda080edb080", false),
        ("6.21.2", "eda080edbfbf", false),
        ("6.21.3", "edadbfedb080", false),
        ("6.21.4", "edadbfedbfbf", false),
        ("6.21.5", "edae80edb080", false),
        ("6.21.6", "edae80edbfbf", false),
        ("6.21.7", "edafbfedb080", false),
        ("6.21.8", "edafbfedbfbf", false),
        // Specials and the byte order mark.
        ("6.23.1", "efbfb9", true),
        ("6.23.2", "efbfba", true),
        ("6.23.3", "efbfbb", true),
        ("6.23.4", "efbfbc", true),
        ("6.23.5", "efbbbf", true),
    ] {
        table.text(id, hex, valid);
    }
    // The non-characters of all planes are characters here.
    for n in 0..34 {
        let character = char::from_u32(((n / 2) << 16) + 0xfffe + n % 2).expect("no surrogate");
        let hex: String = character.to_string().bytes().map(|byte| format!("{byte:02x}")).collect();
        table.text(&format!("6.22.{}", n + 1), &hex, true);
    }
    assert_eq!(table.cases, 265);
}

#[test]
fn section_6_fails_at_the_very_byte() {
    // 6.4: the close frame is there before the rest of the frame or of the message is.
    for (valid, bad, rest) in [
        ("cebae1bdb9cf83cebcceb5f4", "90", "8080656469746564"),
        ("cebae1bdb9cf83cebcceb5", "ff", "656469746564"),
        ("61ed", "a0", "80"),
        ("f0", "8f", "bfbf"),
        ("e282", "28", "00"),
        ("", "c1", "bf"),
    ] {
        let (valid, bad, rest) = (unhex(valid), unhex(bad), unhex(rest));
        let frame = masked(0x81, &[&valid[..], &bad, &rest].concat());
        let at = 6 + valid.len();
        let mut server = server();
        assert_eq!(drive(&mut server, &[&frame[..at]], |_, _| ()), Seen::default());
        let seen = drive(&mut server, &[&frame[at..]], |_, _| ());
        assert_eq!(seen.failed, Some((1, ProtocolError::InvalidUtf8)));
        let seen = drive(&mut self::server(), &[&frame], |_, _| ());
        assert_eq!(seen.failed, Some((at + 1, ProtocolError::InvalidUtf8)));

        // In fragments: a first frame that is not the last.
        let frames = [masked(0x01, &valid), masked(0x00, &bad)].concat();
        let seen = drive(&mut self::server(), &[&frames], |_, _| ());
        assert_eq!(seen.failed, Some((frames.len(), ProtocolError::InvalidUtf8)));
    }
}

#[test]
fn section_7_goodbye() {
    let mut table = Table::default();
    let hello = || masked(0x81, b"Hello");
    let end = || close(1000, b"");
    table.case("7.1.1", &[hello(), end()], &[text("Hello"), Close(1000)]);
    table.case("7.1.2", &[end(), end()], &[Close(1000)]);
    table.case("7.1.3", &[end(), masked(0x89, b"")], &[Close(1000)]);
    table.case("7.1.4", &[end(), hello()], &[Close(1000)]);
    table.case("7.1.5", &[masked(0x01, b"fragment1"), end(), masked(0x80, b"fragment2")], &[Close(1000)]);
    let large = "BAsd7&jh23".repeat(26 * 1024);
    let frames = [masked(0x81, large.as_bytes()), end(), masked(0x89, b"")];
    table.case("7.1.6", &frames, &[Text(large), Close(1000)]);
    table.case("7.1.7 rubbish after the end", &[end(), b"\xff\xff\xff".to_vec()], &[Close(1000)]);

    table.case("7.3.1", &[masked(0x88, b"")], &[Close(0)]);
    table.case("7.3.2", &[masked(0x88, b"a")], &[PROTOCOL]);
    table.case("7.3.3", &[end()], &[Close(1000)]);
    table.case("7.3.4", &[close(1000, b"Hello World!")], &[Close(1000)]);
    table.case("7.3.5", &[close(1000, &[b'*'; 123])], &[Close(1000)]);
    table.case("7.3.6", &[close(1000, &[b'*'; 124])], &[PROTOCOL]);
    table.case("7.3.7 in fragments", &[masked(0x08, b"\x03\xe8")], &[PROTOCOL]);

    table.case("7.5.1", &[close(1000, &unhex("cebae1bdb9cf83cebcceb5eda080656469746564"))], &[Close(1007)]);
    table.case("7.5.2 cut", &[close(1000, b"\xc3")], &[Close(1007)]);

    let valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
    for (n, code) in valid.into_iter().enumerate() {
        table.case(&format!("7.7.{}: {code}", n + 1), &[close(code, b"")], &[Close(code)]);
    }
    let invalid = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535];
    for (n, code) in invalid.into_iter().enumerate() {
        table.case(&format!("7.9.{}: {code}", n + 1), &[close(code, b"")], &[PROTOCOL]);
    }
    for code in 0..=u16::MAX {
        let want = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        assert_eq!(CloseCode::new(code).is_some(), want, "{code}");
    }
    assert_eq!(table.cases, 44);
}
