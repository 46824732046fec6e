//! How many lines a second pass through the console, against copying the same bytes.
//!
//! `cargo bench --bench console`

#![allow(clippy::print_stdout, reason = "a bench is there to print")]

use std::fs::File;
use std::hint::black_box;
use std::time::{Duration, Instant};

use gaffer::console::{Console, Flow, Now, Options, Printer};
use gaffer::process::{OsPid, Pid};
use gaffer::proto::lines::Lines;

/// What one read from a pipe brings.
const CHUNK: usize = 64 * 1024;
const LINE: usize = 100;
const TOTAL: usize = 64 << 20;
const ROUNDS: usize = 7;

type Case<'a> = (&'a str, Box<dyn FnMut(&[u8]) + 'a>);

fn main() {
    // 100-byte lines, cut into chunks wherever they fall.
    let input: Vec<u8> = (0..TOTAL).map(|n| if n % LINE == LINE - 1 { b'\n' } else { b'a' + (n % 23) as u8 }).collect();
    let mut copy: Vec<u8> = Vec::with_capacity(CHUNK);

    let mut cases: Vec<Case<'_>> = vec![
        (
            "memcpy",
            Box::new(|chunk| {
                copy.clear();
                copy.extend_from_slice(chunk);
                black_box(&copy);
            }),
        ),
        ("lines", {
            let mut lines = Lines::default();
            Box::new(move |chunk| {
                lines.feed(chunk, &mut |line| {
                    black_box(line);
                });
            })
        }),
    ];
    for (name, options) in [
        ("printer, text", Options::default()),
        ("printer, colours", Options::default().color(true)),
        ("printer, JSON", Options::default().json(true)),
    ] {
        let mut printer = Printer::new(options);
        printer.process(Pid(1), Some(OsPid(4711)), "web", 1);
        cases.push((
            name,
            Box::new(move |chunk| {
                printer.output(Pid(1), "stdout", chunk, Now::read());
                black_box(printer.buffer()).clear();
            }),
        ));
    }
    let null = File::options().write(true).open("/dev/null").expect("/dev/null can be written");
    let (wake, woken) = std::sync::mpsc::sync_channel(1);
    // A full channel already holds a wake-up.
    let wake = move || wake.try_send(()).unwrap_or(());
    let mut console = Console::new(Options::default(), null.into(), wake).expect("a thread");
    console.process(Pid(1), Some(OsPid(4711)), "web", 1);
    cases.push((
        "console, /dev/null",
        Box::new(move |chunk| {
            let mut flow = console.output(Pid(1), "stdout", chunk, Now::read());
            while flow == Flow::Pause {
                woken.recv().expect("the writer lives");
                flow = console.writer_ready();
            }
        }),
    ));

    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for ((_, run), times) in cases.iter_mut().zip(&mut times) {
            let begin = Instant::now();
            input.chunks(CHUNK).for_each(&mut *run);
            times.push(begin.elapsed());
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let base = median(&mut times[0]);
    println!("{:20} {:>8} {:>14} {:>12}", "", "GB/s", "million line/s", "x memcpy");
    for ((name, _), times) in cases.iter().zip(&mut times) {
        let time = median(times);
        let gigabytes = TOTAL as f64 / time / 1e9;
        println!("{name:20} {gigabytes:8.2} {:14.1} {:12.2}", gigabytes * 1e3 / LINE as f64, time / base);
    }
}
