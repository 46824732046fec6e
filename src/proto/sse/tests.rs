//! The standard's examples, a table of its rules, and the parser against a naive one.

use std::time::Duration;

use super::*;

/// Splitmix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

/// Feeds everything; the events, and the bytes used up to the error if there is one.
fn drive(parser: &mut Parser, mut bytes: &[u8], events: &mut Vec<Event>) -> (usize, Option<ParseError>) {
    let mut total = 0;
    while !bytes.is_empty() {
        let fed = parser.feed(bytes);
        assert!(fed.used > 0 && fed.used <= bytes.len());
        total += fed.used;
        bytes = &bytes[fed.used..];
        match fed.out {
            Ok(Some(event)) => events.push(event),
            Ok(None) => assert!(bytes.is_empty(), "all is taken where there is no event"),
            Err(error) => return (total, Some(error)),
        }
    }
    (total, None)
}

fn parse(bytes: &[u8]) -> (Vec<Event>, Parser) {
    let (mut parser, mut events) = (Parser::default(), Vec::new());
    assert_eq!(drive(&mut parser, bytes, &mut events), (bytes.len(), None));
    (events, parser)
}

/// The rules applied to a whole stream: decode, split, interpret.
fn naive(bytes: &[u8]) -> (Vec<Event>, String, Option<Duration>) {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n");
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let (mut data, mut event, mut id, mut last, mut retry) = (String::new(), "", "", "", None);
    let mut events = Vec::new();
    let mut lines: Vec<&str> = text.split('\n').collect();
    lines.pop(); // not ended
    for line in lines {
        if line.is_empty() {
            last = id;
            if let Some(data) = data.strip_suffix('\n') {
                let event = if event.is_empty() { "message" } else { event };
                events.push(Event { event: event.into(), data: data.into(), last_event_id: id.into() });
            }
            data.clear();
            event = "";
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => data = data + value + "\n",
            "event" => event = value,
            "id" if !value.contains('\0') => id = value,
            "retry" if value.chars().all(|c| c.is_ascii_digit()) => retry = value.parse().ok().or(retry),
            _ => {}
        }
    }
    (events, last.to_owned(), retry.map(Duration::from_millis))
}

/// `type|data|id` of every event.
#[track_caller]
fn check(stream: &str, want: &[&str]) -> Parser {
    let (events, parser) = parse(stream.as_bytes());
    let got: Vec<String> = events.iter().map(|e| format!("{}|{}|{}", e.event, e.data, e.last_event_id)).collect();
    assert_eq!(got, want, "{stream:?}");
    assert_eq!(naive(stream.as_bytes()), (events, parser.last_event_id().to_owned(), parser.retry()), "{stream:?}");
    parser
}

#[test]
fn examples_of_the_standard() {
    check("data: YHOO\ndata: +2\ndata: 10\n\n", &["message|YHOO\n+2\n10|"]);
    let stream = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
    check(stream, &["message|first event|1", "message|second event|", "message| third event|"]);
    // "fires two events", the last block is not ended.
    check("data\n\ndata\ndata\n\ndata:", &["message||", "message|\n|"]);
    check("data:test\n\ndata: test\n\n", &["message|test|", "message|test|"]);
    let stream = "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 113411\n\n";
    check(stream, &["add|73857293|", "remove|2153|", "add|113411|"]);
}

#[test]
fn rules_of_lines_and_fields() {
    for end in ["\n", "\r", "\r\n"] {
        check(&["data: a", "data: b", "", ""].join(end), &["message|a\nb|"]);
    }
    check("data: a\r\r\ndata: b\n\r", &["message|a|", "message|b|"]);
    check("\u{feff}data: a\n\n", &["message|a|"]);
    check("\u{feff}\u{feff}data: a\n\n", &[]);
    check("data: a\n\n\u{feff}data: b\n\n", &["message|a|"]);
    check("\u{feff}\r\ndata: a\n\n", &["message|a|"]);
    check("Data: a\ndata : b\n data: c\ndatax: d\nother\n\n", &[]);
    check("data: a:b: c\n\n", &["message|a:b: c|"]);
    check("data:\u{a0}x\ndata:\ty\n\n", &["message|\u{a0}x\n\ty|"]);
    check("data: a\0b\nevent: a\0b\n\n", &["a\0b|a\0b|"]);
    check(":\n:comment\n: data: a\n\n", &[]);
    check("event: x\n\ndata: a\n\n", &["message|a|"]);
    check("event: x\nevent\ndata: a\n\n", &["message|a|"]);
    check("event: x\nevent: y\ndata: a\n\n", &["y|a|"]);
    check("data: a\n", &[]);
    check("data: a\n\ndata: b", &["message|a|"]);
    check("\n\n\n", &[]);
}

#[test]
fn ids_stay_and_nul_is_ignored() {
    let parser = check(
        "id: 1\ndata: a\n\ndata: b\n\nid: x\0y\ndata: c\n\nid: 2\n\n",
        &["message|a|1", "message|b|1", "message|c|1"],
    );
    assert_eq!(parser.last_event_id(), "2", "a blank line sets it, with or without data");
    let mut parser = check("id: 1\ndata: a\n\nid: 2\ndata: b\n", &["message|a|1"]);
    assert_eq!(parser.last_event_id(), "1", "the second event did not end");
    parser.reconnect();
    let mut events = Vec::new();
    drive(&mut parser, b"\xef\xbb\xbfdata: c\n\n", &mut events);
    assert_eq!((&events[0].data[..], &events[0].last_event_id[..]), ("c", "1"));
    assert_eq!(check("id: 1\n\nid\n\n", &[]).last_event_id(), "");
}

#[test]
fn retry_is_digits() {
    for (value, want) in [
        ("1500", Some(1500)),
        ("007", Some(7)),
        ("0", Some(0)),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1 ", None),
        ("１", None),
        ("99999999999999999999", None),
    ] {
        let parser = check(&format!("retry: {value}\n"), &[]);
        assert_eq!(parser.retry(), want.map(Duration::from_millis), "{value:?}");
    }
    assert_eq!(check("retry: 5\nretry: x\n", &[]).retry(), Some(Duration::from_millis(5)));
}

#[test]
fn what_is_not_utf8_is_replaced() {
    let (events, _) = parse(b"data: a\xff\xe2\x82\nid: \xc3\n\n");
    assert_eq!((&events[0].data[..], &events[0].last_event_id[..]), ("a\u{fffd}\u{fffd}", "\u{fffd}"));
}

#[test]
fn limits_are_exact_and_errors_stay() {
    let limits = Limits::default().max_line(10).max_event(9);
    for (stream, want) in [
        ("data: 1234\ndata: 5678\n\n", (23, None)),
        ("data:12345\ndata:6789\n", (21, Some(ParseError::EventTooBig))),
        (": 34567890\r\n", (12, None)),
        (": 345678901\n", (11, Some(ParseError::LineTooLong))),
        ("1234567890", (10, None)),
        ("12345678901234", (11, Some(ParseError::LineTooLong))),
    ] {
        for size in [1, 3, 100] {
            let (mut parser, mut total, mut failed) = (Parser::new(limits), 0, None);
            for piece in stream.as_bytes().chunks(size) {
                let (used, error) = drive(&mut parser, piece, &mut Vec::new());
                total += used;
                failed = error;
                if failed.is_some() {
                    assert_eq!(parser.feed(b"\n\ndata: x\n\n"), Fed { used: 11, out: Err(error.expect("an error")) });
                    break;
                }
            }
            assert_eq!((total, failed), want, "{stream:?} by {size}");
            parser.reconnect();
            assert!(parser.feed(b"data: x\n\n").out.is_ok_and(|event| event.is_some()));
        }
    }
}

#[test]
fn random_streams_in_random_pieces_read_as_the_naive_parser_reads_them() {
    let words: [&[u8]; 22] = [
        b"data",
        b"event",
        b"id",
        b"retry",
        b":",
        b": ",
        b"\n",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\r\r",
        b"x",
        b"12",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xc3",
        b"\xa9",
        b"\xe2\x82",
        b"\xff",
        b" ",
        b"data: y\n\n",
    ];
    let mut seen = 0;
    for seed in 0..5000 {
        let mut rng = Rng(seed);
        let mut stream = Vec::new();
        for _ in 0..rng.below(60) {
            stream.extend_from_slice(words[rng.below(words.len())]);
        }
        let (events, last, retry) = naive(&stream);
        seen += events.len();
        for most in [1, 7, 1000] {
            let (mut parser, mut got, mut rest) = (Parser::default(), Vec::new(), &stream[..]);
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(1 + rng.below(rest.len().min(most)));
                assert_eq!(drive(&mut parser, piece, &mut got), (piece.len(), None), "seed {seed}");
                rest = after;
            }
            assert_eq!(got, events, "seed {seed}: {:?}", String::from_utf8_lossy(&stream));
            assert_eq!((parser.last_event_id(), parser.retry()), (&last[..], retry), "seed {seed}");
        }
    }
    assert!(seen > 1000, "{seen} events");
}

#[test]
fn what_is_written_is_read() {
    let alphabet = ["a", " ", ":", "\n", "\r", "\r\n", "é", "data: x", "id: 7", "\u{feff}", "\0"];
    for seed in 0..3000 {
        let mut rng = Rng(seed);
        let mut text = |most| (0..rng.below(most)).map(|_| alphabet[rng.below(alphabet.len())]).collect::<String>();
        let (data, id, event, comment) = (text(12), text(3), text(3), text(6));
        let mut out = Vec::new();
        write_comment(&comment, &mut out);
        let before = out.len();
        let written = Message::new(&data).id(&id).event(&event).retry(Duration::from_millis(seed)).write(&mut out);
        let bad = id.contains(['\r', '\n', '\0']) || event.contains(['\r', '\n']);
        assert_eq!(written.is_err(), bad, "seed {seed}");
        let (events, parser) = parse(&out);
        if let Err(error) = written {
            assert_eq!((error.kind(), out.len(), events.len()), (crate::ErrorKind::Invalid, before, 0), "seed {seed}");
            continue;
        }
        let event = if event.is_empty() { "message".to_owned() } else { event };
        let data = data.replace("\r\n", "\n").replace('\r', "\n");
        assert_eq!(events, [Event { event, data, last_event_id: id }], "seed {seed}");
        assert_eq!(parser.retry(), Some(Duration::from_millis(seed)), "seed {seed}");
    }
}

#[test]
fn a_retry_alone_is_no_event() {
    let mut out = Vec::new();
    write_retry(Duration::from_micros(1_234_567), &mut out);
    assert_eq!(out, b"retry: 1234\n\n");
    let (events, parser) = parse(&out);
    assert_eq!((events.len(), parser.retry()), (0, Some(Duration::from_millis(1234))));
}
