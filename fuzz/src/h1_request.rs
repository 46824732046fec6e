//! The requests of a connection.

use gaffer::proto::h1::{Decoder, Event, Limits, Phase, Query, Refusal, path_segments};

/// The same comes of the bytes however they are split, all are accounted for, a head that was taken is taken again as it
/// was understood, and nothing goes beyond its bound.
pub fn run(data: &[u8]) {
    let Some((&seed, bytes)) = data.split_first() else { return };
    let small =
        Limits::default().head(256).target(64).headers(8).body(128).chunk_line(16).trailers(64).trailer_fields(2);
    for limits in [Limits::default(), small] {
        let whole = read(limits, bytes, bytes.len().max(1));
        assert_eq!(read(limits, bytes, 1), whole, "byte by byte");
        assert_eq!(read(limits, bytes, usize::from(seed) + 2), whole, "in pieces");
    }
}

/// What came of the bytes as text, how many were taken and how the connection was left.
fn read(limits: Limits, bytes: &[u8], piece: usize) -> (Vec<String>, Vec<u8>, Option<Refusal>, usize, Phase) {
    let mut decoder = Decoder::new(limits);
    let (mut seen, mut content, mut taken, mut length) = (Vec::new(), Vec::new(), 0, 0);
    for chunk in bytes.chunks(piece) {
        let mut rest = chunk;
        loop {
            let fed = decoder.feed(rest);
            taken += fed.used;
            rest = &rest[fed.used..];
            match fed.event {
                Event::More => break assert!(rest.is_empty()),
                Event::Head(head) => {
                    let mut again = format!("{} {} HTTP/1.1\r\n", head.method(), head.target()).into_bytes();
                    for (name, value) in head.headers().iter() {
                        again.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
                    }
                    again.extend_from_slice(b"\r\n");
                    if head.host().is_some()
                        && head.headers().get("host").is_some()
                        && head.version() == gaffer::proto::h1::Version::Http11
                    {
                        let same =
                            matches!(Decoder::new(Limits::default()).feed(&again).event, Event::Head(h) if h == head);
                        assert!(same || again.len() > Limits::default().head);
                    }
                    assert!(head.headers().len() <= limits.headers && head.target().len() <= limits.target);
                    let _ = path_segments(head.path());
                    let _ = head.query().map(Query::parse);
                    seen.push(format!("{head:?} {:?} {:?}", head.host(), head.path()));
                    length = 0;
                }
                Event::Body(piece) => {
                    length += piece.len() as u64;
                    assert!(!piece.is_empty() && length <= limits.body);
                    content.extend_from_slice(piece);
                }
                Event::End(trailers) => seen.push(format!("{length} {trailers:?}")),
                Event::Refused(refusal) => return (seen, content, Some(refusal), taken, decoder.phase()),
                other => panic!("{other:?}"),
            }
        }
    }
    (seen, content, None, taken, decoder.phase())
}
