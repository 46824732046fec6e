//! `GET /ping` and `GET /jobs/default/x` over 1 and 32 keep-alive connections: gaffer against the least
//! that hyper and tiny_http can do, which is to answer with fixed bytes of the same length.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml
//! ```
//!
//! Each client is a thread that sends a request when it has the last answer. The servers have their
//! turns in each round; the rates are medians, and the ratio is to the faster of the two others.
//! `... serve gaffer|hyper|tiny_http` serves one of them at a port it prints, for strace and perf.

mod load;
mod servers;

use std::thread;

const ROUNDS: usize = 9;

fn main() {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some("serve"), Some(name)) => {
            let Some(server) = servers::ALL.iter().find(|server| server.name == name) else {
                eprintln!("no server '{name}'");
                std::process::exit(2);
            };
            println!("{}", (server.start)(servers::job()));
            loop {
                thread::park();
            }
        }
        (None, _) => compare(),
        _ => {
            eprintln!("usage: gaffer-peers [serve gaffer|hyper|tiny_http]");
            std::process::exit(2);
        }
    }
}

fn compare() {
    let job = servers::job();
    println!("GET /jobs/default/x is {} bytes of JSON", job.len());
    let running: Vec<_> = servers::ALL.iter().map(|server| (server.name, (server.start)(job.clone()))).collect();
    for path in ["/ping", "/jobs/default/x"] {
        for connections in [1, 32] {
            let mut rates = vec![Vec::new(); running.len()];
            // The first round only warms up.
            for round in 0..=ROUNDS {
                for ((_, address), rates) in running.iter().zip(&mut rates) {
                    let rate = load::rate(*address, path, connections);
                    if round > 0 {
                        rates.push(rate);
                    }
                }
            }
            let medians: Vec<f64> = rates.iter_mut().map(|rates| load::median(rates)).collect();
            let best = medians[1..].iter().copied().fold(0.0, f64::max);
            print!("GET {path:<16} {connections:2} connections:");
            for ((name, _), median) in running.iter().zip(&medians) {
                print!("  {name} {median:.0}/s");
            }
            println!("  ratio to the faster {:.2}", medians[0] / best);
        }
    }
}

