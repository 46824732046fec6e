//! Reading requests, against httparse alone on the same bytes, and content in chunks, against copying it.
//!
//! `cargo bench --bench h1`

#![allow(clippy::print_stdout, reason = "a bench is there to print")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use gaffer::proto::h1::{Chunked, Decoder, Event, Limits};

const ROUNDS: usize = 15;
const CURL: &[u8] =
    b"GET /jobs/default/web HTTP/1.1\r\nHost: localhost:5000\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";
const BROWSER: &[u8] = b"GET /streams/1/stdout?feed=eventsource HTTP/1.1\r\nHost: localhost:5000\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: text/event-stream\r\n\
    Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nReferer: http://localhost:5000/_plugin/site/\r\n\
    Connection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef\r\nSec-Fetch-Dest: empty\r\n\
    Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n\r\n";
const BODY: usize = 1 << 20;

/// One case: its name and how to do it `n` times.
type Case<'a> = (&'a str, Box<dyn FnMut(usize) + 'a>);

fn main() {
    heads("curl GET", CURL);
    heads("browser GET", BROWSER);
    body();
}

fn heads(name: &str, head: &'static [u8]) {
    let pipelined = head.repeat(100);
    let mut decoder = Decoder::new(Limits::default());
    let mut pieces = Decoder::new(Limits::default());
    let mut cases: Vec<Case<'_>> = vec![
        (
            "httparse",
            Box::new(|n| {
                for _ in 0..n {
                    let mut headers = [httparse::EMPTY_HEADER; 100];
                    let mut request = httparse::Request::new(&mut headers);
                    black_box(request.parse(black_box(head))).expect("a request");
                }
            }),
        ),
        (
            "Decoder",
            Box::new(|n| {
                for _ in 0..n / 100 {
                    requests(&mut decoder, black_box(&pipelined), 100);
                }
            }),
        ),
        (
            "Decoder, byte by byte",
            Box::new(move |n| {
                for _ in 0..n {
                    let ends: usize = head.chunks(1).map(|byte| drain(&mut pieces, black_box(byte))).sum();
                    assert_eq!(ends, 1);
                }
            }),
        ),
    ];
    let times = measure(&mut cases, 20_000);
    println!("{name}, {} bytes{:>22} {:>12} {:>8} {:>12}", head.len(), "ns", "requests/s", "MB/s", "x httparse");
    for ((case, _), time) in cases.iter().zip(&times) {
        let each = time.as_secs_f64() / 20_000.0;
        let (rate, speed) = (1.0 / each, head.len() as f64 / each / 1e6);
        let ratio = time.as_secs_f64() / times[0].as_secs_f64();
        println!("  {case:32} {:8.0} {rate:12.0} {speed:8.0} {ratio:12.2}", each * 1e9);
    }
}

fn requests(decoder: &mut Decoder, bytes: &[u8], want: usize) {
    assert_eq!(drain(decoder, bytes), want);
}

/// How many requests end in the bytes.
fn drain(decoder: &mut Decoder, mut bytes: &[u8]) -> usize {
    let mut ends = 0;
    loop {
        let fed = decoder.feed(bytes);
        bytes = &bytes[fed.used..];
        match fed.event {
            Event::More => return ends,
            Event::End(_) => ends += 1,
            event => drop(black_box(event)),
        }
    }
}

fn body() {
    let content = vec![b'x'; BODY];
    let chunked = |size: usize| {
        let mut out = Vec::new();
        for piece in content.chunks(size) {
            out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            out.extend_from_slice(piece);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\n\r\n");
        out
    };
    let (large, small) = (chunked(16 * 1024), chunked(64));
    let decode = |bytes: &[u8], n: usize| {
        for _ in 0..n {
            let (mut decoder, mut rest, mut body) = (Chunked::new(&Limits::default()), black_box(bytes), Vec::new());
            loop {
                let fed = decoder.feed(rest);
                rest = &rest[fed.used..];
                match fed.event {
                    Event::Body(piece) => body.extend_from_slice(piece),
                    Event::End(_) => break,
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(black_box(body).len(), BODY);
        }
    };
    let mut cases: Vec<Case<'_>> = vec![
        (
            "copied in pieces of 16 KiB",
            Box::new(|n| {
                for _ in 0..n {
                    let mut body = Vec::new();
                    black_box(&content).chunks(16 * 1024).for_each(|piece| body.extend_from_slice(piece));
                    assert_eq!(black_box(body).len(), BODY);
                }
            }),
        ),
        ("in chunks of 16 KiB", Box::new(|n| decode(&large, n))),
        ("in chunks of 64 bytes", Box::new(|n| decode(&small, n))),
    ];
    let times = measure(&mut cases, 40);
    println!("content of 1 MiB{:>35} {:>10} {:>12}", "us", "MB/s", "x copied");
    for ((case, _), time) in cases.iter().zip(&times) {
        let each = time.as_secs_f64() / 40.0;
        let ratio = time.as_secs_f64() / times[0].as_secs_f64();
        println!("  {case:38} {:10.0} {:10.0} {ratio:12.2}", each * 1e6, BODY as f64 / each / 1e6);
    }
}

/// The median time of each case for `n` times, with the rounds of all interleaved.
fn measure(cases: &mut [Case<'_>], n: usize) -> Vec<Duration> {
    let mut times = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for ((_, run), times) in cases.iter_mut().zip(&mut times) {
            let begin = Instant::now();
            run(n);
            times.push(begin.elapsed());
        }
    }
    times.iter_mut().for_each(|times| times.sort());
    times.iter().map(|times| times[ROUNDS / 2]).collect()
}
