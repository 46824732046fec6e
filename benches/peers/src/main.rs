//! `GET /ping` and `GET /jobs/default/x` over 1 and 32 keep-alive connections: gaffer against the least
//! that hyper and tiny_http can do, which is to answer with fixed bytes of the same length.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml
//! ```
//!
//! Each client is a thread that sends a request when it has the last answer. Each server is a process of its own; they have
//! their turns in each round, and the rates are medians. Beside the rates stands what a request costs a server in processor
//! time, which says more where others use the machine. Ratios are to the better of the two others.
//!
//! With one connection there is never work for two: either the client waits, or the server. So both share one CPU there, and the rate
//! is that of the work. Left to itself the system may put them on two, each of which sleeps at every turn; the rate is then that of
//! waking a CPU, which in a virtual machine takes ten times as long as a request, and a server that is done *sooner* is asleep
//! more often. That row is printed for the record.
//! `... serve gaffer|hyper|tiny_http` serves one of them at a port it prints, for strace and perf.

mod cpus;
mod load;
mod servers;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

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
    println!("GET /jobs/default/x is {} bytes of JSON", servers::job().len());
    let all = cpus::allowed();
    for path in ["/ping", "/jobs/default/x"] {
        for (connections, on_one) in [(1, true), (1, false), (32, false)] {
            cpus::use_only(&if on_one { cpus::first(&all) } else { all });
            let place = if on_one { "one CPU" } else { "any CPU" };
            print!("GET {path:<16} {connections:2} connections, {place}:");
            row(path, connections);
        }
    }
}

/// What is started here stays on the CPUs that this may use now.
fn row(path: &str, connections: usize) {
    let running = Running::all();
    let mut rates = vec![Vec::new(); running.len()];
    let mut costs = vec![(0, Duration::ZERO); running.len()];
    // The first round only warms up.
    for round in 0..=ROUNDS {
        for ((server, rates), costs) in running.iter().zip(&mut rates).zip(&mut costs) {
            let before = server.cpu_time();
            let (requests, rate) = load::run(server.address, path, connections);
            if round > 0 {
                rates.push(rate);
                *costs = (costs.0 + requests, costs.1 + (server.cpu_time() - before));
            }
        }
    }
    let rates: Vec<f64> = rates.iter_mut().map(|rates| load::median(rates)).collect();
    let costs: Vec<f64> = costs.iter().map(|(n, time)| time.as_secs_f64() * 1e6 / f64::from(*n)).collect();
    for ((server, rate), cost) in running.iter().zip(&rates).zip(&costs) {
        print!("  {} {rate:.0}/s {cost:.1} us", server.name);
    }
    let fastest = rates[1..].iter().copied().fold(0.0, f64::max);
    let cheapest = costs[1..].iter().copied().fold(f64::INFINITY, f64::min);
    println!("  ratio of rates {:.2}, of cost {:.2}", rates[0] / fastest, cheapest / costs[0]);
}

/// A server in a process of its own, which ends with this.
struct Running {
    name: &'static str,
    address: SocketAddr,
    process: Child,
}

impl Running {
    fn all() -> Vec<Self> {
        servers::ALL.iter().map(|server| Self::start(server.name)).collect()
    }

    fn start(name: &'static str) -> Self {
        let this = std::env::current_exe().expect("this program has a file");
        let mut process = Command::new(this).args(["serve", name]).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it is");
        Self { name, address: line.trim().parse().expect("an address"), process }
    }

    /// What the process has used, in its own code and in the system's (proc_pid_stat(5): fields 14 and 15, in ticks of 10 ms).
    fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        Duration::from_millis(fields.skip(11).take(2).map(|ticks| ticks.parse().unwrap_or(0)).sum::<u64>() * 10)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
