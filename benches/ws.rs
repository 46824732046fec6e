//! Receiving messages of 64 KiB as a server (unmask, check UTF-8, hand over) and sending them as a
//! client (mask), against copying and against `std::str::from_utf8` on the same bytes.
//!
//! `cargo bench --bench ws`

#![allow(clippy::print_stdout, reason = "a bench is there to print")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use gaffer::proto::ws::frame::{self, Opcode};
use gaffer::proto::ws::{Connection, Limits, Masks, mask};

const MESSAGE: usize = 64 * 1024;
const SHORT: usize = 64;
/// Messages a round.
const COUNT: usize = 400;
const ROUNDS: usize = 11;

type Case<'a> = (String, usize, Box<dyn FnMut() + 'a>);

fn main() {
    let ascii = "GET /jobs/default/web 200 in 0.4 ms\n".repeat(MESSAGE).into_bytes()[..MESSAGE].to_vec();
    let mixed: String = "Größe 12 µm, température 21 °C, 中文, пример 😀\n".chars().cycle().take(MESSAGE).collect();
    let end = (0..=MESSAGE).rev().find(|at| mixed.is_char_boundary(*at)).expect("the start is a boundary");
    let mixed = mixed.into_bytes()[..end].to_vec();
    let binary: Vec<u8> = (0..MESSAGE).map(|n| (n * 31) as u8).collect();
    let framed = |opcode, payload: &[u8]| {
        let mut out = Vec::new();
        frame::write(true, opcode, Some([0x37, 0xfa, 0x21, 0x3d]), payload, &mut out);
        out
    };
    let (ascii_frame, mixed_frame) = (framed(Opcode::Text, &ascii), framed(Opcode::Text, &mixed));
    let binary_frame = framed(Opcode::Binary, &binary);
    let small_frames = framed(Opcode::Text, &ascii[..SHORT]).repeat(MESSAGE / SHORT);

    let mut cases: Vec<Case<'_>> = Vec::new();
    // A fresh vector each time, as messages are.
    cases.push(("copy to a new Vec".into(), 0, Box::new(|| drop(black_box(black_box(&binary[..]).to_vec())))));
    for (name, text) in [("ASCII", &ascii), ("mixed", &mixed)] {
        let run = || assert!(black_box(std::str::from_utf8(black_box(text))).is_ok());
        cases.push((format!("from_utf8, {name}"), cases.len(), Box::new(run)));
    }
    let short = &ascii[..SHORT];
    let run = move || {
        for _ in 0..MESSAGE / SHORT {
            assert!(black_box(String::from_utf8(black_box(short).to_vec())).is_ok());
        }
    };
    cases.push(("1024 new Strings of 64 bytes".into(), 3, Box::new(run)));
    let mut scratch = binary.clone();
    cases.push((
        "mask::apply in place".into(),
        0,
        Box::new(move || mask::apply([1, 2, 3, 4], 1, black_box(&mut scratch))),
    ));
    for (name, base, bytes, size) in [
        ("binary", 0, &binary_frame, usize::MAX),
        ("binary, fed by 16 KiB", 0, &binary_frame, 16 * 1024),
        ("text, ASCII", 1, &ascii_frame, usize::MAX),
        ("text, mixed", 2, &mixed_frame, usize::MAX),
        ("text, mixed, fed by 16 KiB", 2, &mixed_frame, 16 * 1024),
        ("1024 texts of 64 bytes", 3, &small_frames, usize::MAX),
    ] {
        let mut server = Connection::server(Limits::default());
        let run = move || {
            for mut piece in bytes.chunks(size.min(bytes.len())) {
                while !piece.is_empty() {
                    let fed = server.feed(piece);
                    piece = &piece[fed.used..];
                    drop(black_box(fed.out.expect("frames are right")));
                }
            }
        };
        cases.push((format!("receive {name}"), base, Box::new(run)));
    }
    let (mut client, mut out) = (Connection::client(Limits::default(), Masks::seeded(1)), Vec::new());
    let payload = &binary;
    cases.push((
        "send binary as a client".into(),
        0,
        Box::new(move || {
            out.clear();
            client.binary(payload, &mut out).expect("open");
            black_box(&out);
        }),
    ));

    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for ((_, _, run), times) in cases.iter_mut().zip(&mut times) {
            let begin = Instant::now();
            (0..COUNT).for_each(|_| run());
            times.push(begin.elapsed());
        }
    }
    let medians: Vec<f64> = times
        .iter_mut()
        .map(|times| {
            times.sort_unstable();
            times[times.len() / 2].as_secs_f64()
        })
        .collect();
    println!("{:<36}{:>8}{:>42}", "64 KiB messages", "MB/s", "of the base's speed");
    for (n, (name, base, _)) in cases.iter().enumerate() {
        let speed = (COUNT * MESSAGE) as f64 / 1e6 / medians[n];
        let ratio = if *base == n {
            String::new()
        } else {
            format!("{:.2} of {}", medians[*base] / medians[n], cases[*base].0)
        };
        println!("{name:<36}{speed:>8.0}{ratio:>42}");
    }
}
