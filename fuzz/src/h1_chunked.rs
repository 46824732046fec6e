//! Content in chunks.

use std::time::SystemTime;

use gaffer::proto::h1::{Body, Chunked, Event, Exchange, Headers, HttpDate, Limits, Refusal, ResponseHead};

/// The same comes of the bytes however they are split, it is what the plainest reading finds, and what the encoder
/// writes comes back.
pub fn run(data: &[u8]) {
    let Some((&seed, bytes)) = data.split_first() else { return };
    let limits = Limits::default().body(512);
    let (content, end, taken) = read(&limits, bytes, bytes.len().max(1));
    let piece = usize::from(seed) + 1;
    assert_eq!(read(&limits, bytes, 1), (content.clone(), end.clone(), taken), "byte by byte");
    assert_eq!(read(&limits, bytes, piece), (content.clone(), end.clone(), taken), "in pieces");
    if let Some(Ok(_)) = end {
        assert_eq!(plain(&bytes[..taken]).expect("it ended"), content);
    }

    let (date, mut out) = (HttpDate::new(SystemTime::UNIX_EPOCH), Vec::new());
    let mut exchange = Exchange::REFUSED;
    exchange.keep_alive = true;
    let mut writer = ResponseHead::new(200).encode(exchange, Body::Stream, &date, &mut out);
    out.clear();
    for piece in bytes.chunks(piece) {
        writer.write(piece, &mut out).expect("any length");
    }
    assert!(writer.finish(&mut out).expect("chunks can end"));
    let limits = Limits::default().body(u64::MAX);
    assert_eq!(read(&limits, &out, usize::MAX), (bytes.to_vec(), Some(Ok(Headers::default())), out.len()));
}

type Read = (Vec<u8>, Option<Result<Headers, Refusal>>, usize);

fn read(limits: &Limits, bytes: &[u8], piece: usize) -> Read {
    let (mut chunked, mut content, mut taken) = (Chunked::new(limits), Vec::new(), 0);
    for chunk in bytes.chunks(piece) {
        let mut rest = chunk;
        loop {
            let fed = chunked.feed(rest);
            taken += fed.used;
            rest = &rest[fed.used..];
            match fed.event {
                Event::More => break assert!(rest.is_empty()),
                Event::Body(piece) => content.extend_from_slice(piece),
                Event::End(trailers) => return (content, Some(Ok(trailers)), taken),
                Event::Refused(refusal) => return (content, Some(Err(refusal)), taken),
                other => panic!("{other:?}"),
            }
            assert!(content.len() as u64 <= limits.body);
        }
    }
    (content, None, taken)
}

/// The content of a whole body that is known to be right.
fn plain(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let line = std::str::from_utf8(bytes[..end].split(|b| *b == b';').next()?).ok()?;
        let size = usize::from_str_radix(line, 16).ok()?;
        bytes = &bytes[end + 2..];
        if size == 0 {
            return bytes.ends_with(b"\r\n").then_some(content);
        }
        content.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size..)?.strip_prefix(b"\r\n")?;
    }
}
