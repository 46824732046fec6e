//! What is refused and why, and what holds for any bytes.

use super::*;

mod cases;

/// What a connection's bytes come to; content in one piece, however it came.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Head(RequestHead),
    Body(Vec<u8>),
    End(Headers),
    Refused(Refusal),
}

/// Everything a decoder makes of some bytes, and how many it took of them.
fn run<'a>(decoder: &mut Decoder, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Seen>, usize) {
    let (mut seen, mut taken) = (Vec::new(), 0);
    for chunk in chunks {
        let mut rest = chunk;
        loop {
            let fed = decoder.feed(rest);
            taken += fed.used;
            rest = &rest[fed.used..];
            match fed.event {
                Event::More => {
                    assert!(rest.is_empty(), "all is taken before more is asked for");
                    break;
                }
                Event::Head(head) => seen.push(Seen::Head(head)),
                Event::Body(piece) => {
                    assert!(!piece.is_empty());
                    match seen.last_mut() {
                        Some(Seen::Body(body)) => body.extend_from_slice(piece),
                        _ => seen.push(Seen::Body(piece.to_vec())),
                    }
                }
                Event::End(trailers) => seen.push(Seen::End(trailers)),
                Event::Refused(refusal) => {
                    seen.push(Seen::Refused(refusal));
                    assert_eq!(decoder.phase(), Phase::Closed);
                    assert_eq!(decoder.feed(b"GET"), Fed { used: 0, event: Event::Refused(refusal) }, "it stays so");
                    return (seen, taken);
                }
            }
        }
    }
    (seen, taken)
}

fn all(bytes: &[u8]) -> Vec<Seen> {
    run(&mut Decoder::new(Limits::default()), [bytes]).0
}

/// The status of the refusal, or 0 if nothing was refused and the last request is complete.
fn status(bytes: &[u8]) -> u16 {
    match all(bytes).last() {
        Some(Seen::Refused(refusal)) => refusal.status(),
        Some(Seen::End(_)) => 0,
        other => panic!("unfinished: {other:?}"),
    }
}

#[track_caller]
fn check(limits: Limits, input: impl AsRef<[u8]>, want: u16) {
    let input = input.as_ref();
    let (seen, taken) = run(&mut Decoder::new(limits), [input]);
    let got = match seen.last() {
        Some(Seen::Refused(refusal)) => refusal.status(),
        Some(Seen::End(_)) => 0,
        _ => 1,
    };
    let text = String::from_utf8_lossy(&input[..input.len().min(300)]);
    assert_eq!(got, want, "{text:?}: {:?}", seen.last());
    let bytewise = run(&mut Decoder::new(limits), input.chunks(1));
    assert_eq!(bytewise, (seen, taken), "{text:?}, byte by byte");
}

fn only_head(bytes: &[u8]) -> RequestHead {
    match &all(bytes)[0] {
        Seen::Head(head) => head.clone(),
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(bytes)),
    }
}

/// splitmix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

#[test]
fn each_refusal_has_its_status() {
    let all = [
        (Refusal::BadRequest("x"), 400),
        (Refusal::TimedOut, 408),
        (Refusal::LengthRequired, 411),
        (Refusal::BodyTooLarge, 413),
        (Refusal::TargetTooLong, 414),
        (Refusal::ExpectationFailed, 417),
        (Refusal::HeadTooLarge, 431),
        (Refusal::NotImplemented("x"), 501),
        (Refusal::VersionNotSupported, 505),
    ];
    for (refusal, status) in all {
        assert_eq!(refusal.status(), status);
        assert!(!refusal.to_string().is_empty() && !reason(status).is_empty());
    }
}

#[test]
fn what_a_head_says() {
    let head = only_head(
        b"GET /a/b?c=d?e HTTP/1.1\r\nHost: Example:80\r\nX-One:  1 \r\nx-one: 2\r\nX-Bin: \xff\r\nAccept: a, ,b\r\n\r\n",
    );
    assert_eq!((head.target(), head.path(), head.query()), ("/a/b?c=d?e", "/a/b", Some("c=d?e")));
    assert_eq!((head.method(), head.version(), head.host()), (Method::Get, Version::Http11, Some("Example:80")));
    assert_eq!((head.framing(), head.keep_alive(), head.expects_continue()), (Framing::Empty, true, false));
    let headers = head.headers();
    assert_eq!(headers.get("X-ONE"), Some(&b"1"[..]));
    assert_eq!(headers.all("x-One").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!((headers.get("x-bin"), headers.text("x-bin")), (Some(&b"\xff"[..]), None));
    assert_eq!(headers.tokens("accept").collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(headers.iter().map(|(n, _)| n).collect::<Vec<_>>(), ["Host", "X-One", "x-one", "X-Bin", "Accept"]);
    assert!(headers.get("y").is_none() && headers.len() == 5);

    for (target, path, query, host) in [
        ("http://b:81/x?y", "/x", Some("y"), "b:81"),
        ("http://b", "/", None, "b"),
        ("HTTPS://[::1]?y", "/", Some("y"), "[::1]"),
        ("/", "/", None, "a"),
        ("/?", "/", Some(""), "a"),
        ("//b/c", "//b/c", None, "a"),
        ("/http://b/", "/http://b/", None, "a"),
    ] {
        let head = only_head(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!((head.path(), head.query(), head.host()), (path, query, Some(host)), "{target}");
    }
    assert_eq!(only_head(b"OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n").path(), "*");
    assert_eq!(only_head(b"GET / HTTP/1.0\r\n\r\n").host(), None);
}

#[test]
fn credentials_are_not_logged() {
    let head = only_head(
        b"GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: k123\r\nAuthorization: Bearer k123\r\nCookie: k123\r\n\r\n",
    );
    let shown = format!("{head:?}");
    assert!(!shown.contains("k123") && shown.contains("X-API-Key"), "{shown}");
}

#[test]
fn connections_that_stay_open() {
    for (version, connection, want) in [
        ("1.1", "", true),
        ("1.1", "close", false),
        ("1.1", "keep-alive", true),
        ("1.1", "x, CLOSE", false),
        ("1.1", "keep-alive, close", false),
        ("1.1", "closed", true),
        ("1.0", "", false),
        ("1.0", "Keep-Alive", true),
        ("1.0", "keep-alive, close", false),
    ] {
        let request = format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: {connection}\r\n\r\n");
        assert_eq!(only_head(request.as_bytes()).keep_alive(), want, "{version} {connection}");
        // What follows a request that closes is not processed: RFC 9112 section 9.6.
        let mut decoder = Decoder::new(Limits::default());
        let twice = request.repeat(2);
        let (seen, taken) = run(&mut decoder, [twice.as_bytes()]);
        assert_eq!((seen.len(), taken), (if want { 4 } else { 2 }, twice.len()));
        assert_eq!(decoder.phase(), if want { Phase::Idle } else { Phase::Closed });
    }
}

#[test]
fn an_answer_that_closes_ends_the_reading() {
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
    let mut decoder = Decoder::new(Limits::default());
    let fed = decoder.feed(request);
    let used = fed.used;
    decoder.close();
    let (seen, _) = run(&mut decoder, [&request[used..], request]);
    assert_eq!(seen, [Seen::Body(b"ab".to_vec()), Seen::End(Headers::default())]);
    let mut decoder = Decoder::new(Limits::default());
    decoder.feed(b"GET");
    decoder.close();
    assert_eq!(decoder.phase(), Phase::Closed);
}

#[test]
fn upgrades() {
    let head =
        |version: &str, fields: &str| only_head(format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n").as_bytes());
    let both = "Connection: keep-alive, Upgrade\r\nUpgrade: x/1, WebSocket\r\n";
    assert!(head("1.1", both).upgrades_to("websocket"));
    assert_eq!(head("1.1", both).upgrades().collect::<Vec<_>>(), ["x/1", "WebSocket"]);
    assert!(!head("1.0", both).upgrades_to("websocket"));
    assert!(!head("1.1", "Upgrade: websocket\r\n").upgrades_to("websocket"));
    assert!(!head("1.1", "Connection: upgrade\r\n").upgrades_to("websocket"));
}

#[test]
fn the_client_is_told_to_go_on_once() {
    let request = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{fields}\r\n");
    for (fields, body) in [("Content-Length: 2\r\n", &b"ab"[..]), ("Transfer-Encoding: chunked\r\n", b"0\r\n\r\n")] {
        let mut decoder = Decoder::new(Limits::default());
        run(&mut decoder, [request(fields).as_bytes()]);
        assert!(decoder.take_continue(), "{fields}");
        assert!(!decoder.take_continue(), "once");
        run(&mut decoder, [body]);
        assert_eq!(decoder.phase(), Phase::Idle);
        // Not when some of the content is there: it was not waited for.
        let mut decoder = Decoder::new(Limits::default());
        run(&mut decoder, [request(fields).as_bytes(), &body[..1]]);
        assert!(!decoder.take_continue(), "{fields}");
    }
    for input in [
        request(""),
        request("Content-Length: 0\r\n"),
        request("Content-Length: 9999999\r\n"),
        request("Content-Length: 2\r\n").replace("1.1", "1.0"),
        request("Content-Length: 2\r\n").replace("Expect", "X"),
    ] {
        let mut decoder = Decoder::new(Limits::default());
        run(&mut decoder, [input.as_bytes()]);
        assert!(!decoder.take_continue(), "{input}");
    }
}

#[test]
fn a_route_may_have_its_own_bound() {
    for (fields, body) in [("Content-Length: 3", "abc"), ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n")] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}");
        for (default, own, want) in [(2, 3, true), (3, 2, false)] {
            let mut decoder = Decoder::new(Limits::default().body(default));
            let used = decoder.feed(request.as_bytes()).used;
            decoder.set_body_limit(own);
            let (seen, _) = run(&mut decoder, [&request.as_bytes()[used..]]);
            assert_eq!(seen.last() == Some(&Seen::End(Headers::default())), want, "{seen:?}");
            if want {
                // It holds for one request.
                let (seen, _) = run(&mut decoder, [request.as_bytes()]);
                assert_eq!(seen.last(), Some(&Seen::Refused(Refusal::BodyTooLarge)));
            }
        }
    }
}

#[test]
fn trailers() {
    let seen = all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\
          Digest: x\r\nContent-Length: 5\r\nProxy-Authorization: y\r\nX-Api-Key: k\r\nDigest: z\r\n\r\n");
    let Some(Seen::End(trailers)) = seen.last() else { panic!("{seen:?}") };
    let fields: Vec<_> = trailers.iter().collect();
    assert_eq!(fields, [("Digest", &b"x"[..]), ("Digest", b"z")]);
}

#[test]
fn phases() {
    let mut decoder = Decoder::new(Limits::default());
    let mut phases = Vec::new();
    for piece in [&b""[..], b"P", b"OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", b"a", b"b", b"\r"] {
        run(&mut decoder, [piece]);
        phases.push(decoder.phase());
    }
    use Phase::{Body, Head, Idle};
    assert_eq!(phases, [Idle, Head, Body, Body, Idle, Head]);
}

/// A request that is taken, with what should come of it.
fn request(rng: &mut Rng) -> (Vec<u8>, Vec<u8>, usize) {
    let method = rng.pick(&["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]);
    let target = rng.pick(&["/", "/a/b%20c", "/x?y=z", "http://h:1/p?q", "//"]);
    let mut head = format!("{}{method} {target} HTTP/1.1\r\n", rng.pick(&["", "", "\r\n"]));
    let mut fields = vec!["Host: a".to_string()];
    for n in 0..rng.below(40) {
        let blank = rng.pick(&["", " ", "\t "]);
        fields.push(format!("X-{n}:{blank}{}{blank}", rng.pick(&["", "v", "a, b;c=\"d\"", "é", "a b\tc"])));
    }
    let content: Vec<u8> = (0..rng.below(300)).map(|_| rng.below(256) as u8).collect();
    let (mut body, mut trailers) = (Vec::new(), 0);
    match rng.below(3) {
        0 => {
            fields.push(format!("Content-Length: {}", content.len()));
            body.extend_from_slice(&content);
        }
        _ => {
            fields.push("Transfer-Encoding: chunked".to_string());
            let mut rest = &content[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(1 + rng.below(rest.len()));
                let zeros = "0".repeat(rng.below(3));
                body.extend_from_slice(
                    format!("{zeros}{:x}{}\r\n", piece.len(), rng.pick(&["", ";a", ";b=\"c\""])).as_bytes(),
                );
                body.extend_from_slice(piece);
                body.extend_from_slice(b"\r\n");
                rest = after;
            }
            body.extend_from_slice(b"0\r\n");
            trailers = rng.below(3);
            for n in 0..trailers {
                body.extend_from_slice(format!("T{n}: v\r\n").as_bytes());
            }
            body.extend_from_slice(b"\r\n");
        }
    }
    // Where the fields stand makes no difference.
    let at = rng.below(fields.len());
    fields.rotate_left(at);
    head.push_str(&fields.join("\r\n"));
    head.push_str("\r\n\r\n");
    (([head.as_bytes(), &body].concat()), content, trailers)
}

fn random_split<'a>(bytes: &'a [u8], rng: &mut Rng) -> Vec<&'a [u8]> {
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let most = rest.len().min(1 + rng.below(200));
        let (piece, after) = rest.split_at(rng.below(most + 1));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

#[test]
fn generated_requests_come_back() {
    for seed in 0..2000 {
        let mut rng = Rng(seed);
        let (mut stream, mut want) = (Vec::new(), Vec::new());
        for _ in 0..1 + rng.below(4) {
            let (bytes, content, trailers) = request(&mut rng);
            let separate = all(&bytes);
            let Seen::Head(head) = &separate[0] else { panic!("seed {seed}: {separate:?}") };
            // The head, written again, is what was read.
            let mut again = format!("{} {} HTTP/1.1\r\n", head.method(), head.target()).into_bytes();
            for (name, value) in head.headers().iter() {
                again.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
            }
            assert_eq!(&only_head(&[&again[..], b"\r\n"].concat()), head, "seed {seed}");
            let body = separate.iter().find_map(|s| if let Seen::Body(b) = s { Some(b.clone()) } else { None });
            assert_eq!(body.unwrap_or_default(), content, "seed {seed}");
            assert!(matches!(separate.last(), Some(Seen::End(t)) if t.len() == trailers), "seed {seed}: {separate:?}");
            want.extend(separate);
            stream.extend_from_slice(&bytes);
        }
        // Pipelined is the same as each on its own connection, in whatever pieces.
        let whole = run(&mut Decoder::new(Limits::default()), [&stream[..]]);
        assert_eq!(whole, (want, stream.len()), "seed {seed}");
        assert_eq!(run(&mut Decoder::new(Limits::default()), stream.chunks(1)), whole, "seed {seed}, byte by byte");
        let pieces = random_split(&stream, &mut rng);
        assert_eq!(run(&mut Decoder::new(Limits::default()), pieces), whole, "seed {seed}, in pieces");
    }
}

#[test]
fn splits_make_no_difference_to_mutants() {
    let small =
        Limits::default().head(300).target(40).headers(6).body(64).chunk_line(12).trailers(40).trailer_fields(2);
    let odd: &[&[u8]] = &[
        b"\r",
        b"\n",
        b"\r\n",
        b"\0",
        b" ",
        b":",
        b",",
        b"\t",
        b";",
        b"\x7f",
        b"\xff",
        b"0",
        b"Content-Length: 1\r\n",
    ];
    let mut refused = 0;
    for seed in 0..6000 {
        let mut rng = Rng(seed);
        let mut stream = Vec::new();
        for _ in 0..1 + rng.below(3) {
            stream.extend_from_slice(&request(&mut rng).0);
        }
        for _ in 0..rng.below(4) {
            let at = rng.below(stream.len());
            let until = (at + rng.below(6)).min(stream.len());
            match rng.below(3) {
                0 => drop(stream.drain(at..until)),
                1 => drop(stream.splice(at..at, rng.pick(odd).iter().copied())),
                _ => stream[at] = rng.below(256) as u8,
            }
            if stream.is_empty() {
                break;
            }
        }
        let limits = if rng.below(2) == 0 { small } else { Limits::default() };
        let whole = run(&mut Decoder::new(limits), [&stream[..]]);
        refused += u32::from(matches!(whole.0.last(), Some(Seen::Refused(_))));
        assert_eq!(run(&mut Decoder::new(limits), stream.chunks(1)), whole, "seed {seed}, byte by byte");
        let pieces = random_split(&stream, &mut rng);
        assert_eq!(run(&mut Decoder::new(limits), pieces), whole, "seed {seed}, in pieces");
    }
    assert!((1000..5900).contains(&refused), "{refused} of the mutants were refused");
}

#[test]
fn random_bytes_never_panic() {
    let words: &[&[u8]] = &[
        b"GET ",
        b"/",
        b" HTTP/1.1",
        b"\r\n",
        b"\r\n\r\n",
        b"Host: a\r\n",
        b"\n",
        b"0",
        b"\xff",
        b":",
        b"Transfer-Encoding: chunked\r\n",
        b"f;",
    ];
    for seed in 0..5000 {
        let mut rng = Rng(seed);
        let bytes: Vec<u8> = (0..rng.below(40)).flat_map(|_| rng.pick(words).to_vec()).collect();
        let noise: Vec<u8> = (0..rng.below(200)).map(|_| rng.below(256) as u8).collect();
        for input in [bytes, noise] {
            let whole = run(&mut Decoder::new(Limits::default()), [&input[..]]);
            assert_eq!(run(&mut Decoder::new(Limits::default()), input.chunks(1)), whole, "seed {seed}");
            let mut chunked = Chunked::new(&Limits::default());
            let mut rest = &input[..];
            loop {
                let fed = chunked.feed(rest);
                rest = &rest[fed.used..];
                if !matches!(fed.event, Event::Body(_)) {
                    break;
                }
            }
        }
    }
}

#[test]
fn nothing_grows_without_input() {
    for input in [
        &b""[..],
        b"GET / HTT",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\nab",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b",
    ] {
        let mut decoder = Decoder::new(Limits::default());
        run(&mut decoder, [input]);
        let before = format!("{decoder:?}");
        for _ in 0..100 {
            assert_eq!(decoder.feed(b""), Fed { used: 0, event: Event::More });
        }
        assert_eq!(format!("{decoder:?}"), before);
    }
    // An idle connection holds no memory but its own, also after a large head.
    let mut decoder = Decoder::new(Limits::default());
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(16_000));
    run(&mut decoder, request.as_bytes().chunks(100));
    assert_eq!(format!("{decoder:?}"), format!("{:?}", Decoder::new(Limits::default())));
    assert!(size_of::<Decoder>() <= 192, "{}", size_of::<Decoder>());
}

#[test]
fn a_head_byte_by_byte_is_searched_once() {
    // 4 MiB byte by byte: a square of it would take hours.
    let limits = Limits::default().head(usize::MAX).headers(usize::MAX);
    let mut decoder = Decoder::new(limits);
    let mut feed = |bytes: &[u8]| {
        for byte in bytes.chunks(1) {
            assert_eq!(decoder.feed(byte), Fed { used: 1, event: Event::More });
        }
    };
    feed(b"GET / HTTP/1.1\r\nHost: a\r\nX: ");
    feed(&vec![b'y'; 2 << 20]);
    feed(&b"\r\nX: y".repeat((2 << 20) / 6));
    feed(b"\r\n\r");
    assert!(matches!(decoder.feed(b"\n").event, Event::Head(_)));
}

#[test]
fn answers_are_read_back() {
    // The chunks of the writer are those of the decoder.
    for seed in 0..300 {
        let mut rng = Rng(seed);
        let date = HttpDate::new(std::time::SystemTime::UNIX_EPOCH);
        let (mut out, mut want) = (Vec::new(), Vec::new());
        let exchange = Exchange { keep_alive: true, ..Exchange::REFUSED };
        let mut writer = ResponseHead::new(200).encode(exchange, Body::Stream, &date, &mut out);
        let start = out.len();
        for _ in 0..rng.below(10) {
            let piece: Vec<u8> = (0..rng.below(5000)).map(|_| rng.below(256) as u8).collect();
            writer.write(&piece, &mut out).expect("any length");
            want.extend_from_slice(&piece);
        }
        assert!(writer.finish(&mut out).expect("chunks can end"));
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let seen = all(&[&head[..], &out[start..]].concat());
        let body = seen.iter().find_map(|s| if let Seen::Body(b) = s { Some(b.clone()) } else { None });
        assert_eq!(body.unwrap_or_default(), want, "seed {seed}");
        assert_eq!(seen.last(), Some(&Seen::End(Headers::default())), "seed {seed}");
        assert_eq!(status(&[&head[..], &out[start..]].concat()), 0);
    }
}
