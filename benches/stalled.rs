//! 200 MB of a program's output, to a client that takes it and to one that asked for it and never reads, at once.
//!
//! The node is a gafferd of its own, whose memory must stay below 64 MiB. The fast client is a channel of the library, read by a thread of its
//! own; the rate is compared with that of a pipe through `cat`.
//!
//! - Server-sent events: the stalled client misses some, and holds nobody up.
//! - A websocket: the stalled client holds the program up, as a pipe would, until it is cut after five seconds.

#![allow(clippy::print_stdout)]
#![cfg_attr(not(target_os = "linux"), allow(unused))]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use gaffer::client::{Mode, Server};
use gaffer::process::{OsPid, Pid, Signal};
use serde_json::json;

const OUTPUT: usize = 200_000_000;
const ROUNDS: usize = 3;
const MAX_MEMORY: u64 = 64 << 20;

/// Lines of 64 bytes, in pieces of what `yes` writes at a time.
const SOURCE: &str = "yes 012345678901234567890123456789012345678901234567890123456789012 | head -c 200000000";

/// A client that asks for output and never reads it.
type Stall = fn(&Path, Pid) -> UnixStream;

fn main() {
    let node = Node::start();
    let cases: [(&str, Stall); 3] = [
        ("nobody else", |socket, _| UnixStream::connect(socket).expect("it listens")),
        ("a stalled client of events", |socket, pid| {
            ask(socket, &format!("GET /streams/{pid}/out?feed=eventsource HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        }),
        ("a stalled websocket", |socket, pid| {
            let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
            ask(socket, &format!("GET /wstreams/{pid} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n\r\n"))
        }),
    ];
    let mut rates = vec![Vec::new(); cases.len() + 1];
    for round in 0..ROUNDS {
        rates[0].push(through_cat());
        for (n, (_, stall)) in cases.iter().enumerate() {
            rates[n + 1].push(node.round(&format!("job-{round}-{n}"), *stall));
        }
    }
    let mut medians = rates.into_iter().map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[ROUNDS / 2]
    });
    let cat = medians.next().expect("the first one");
    println!("{} MB of output; cat {cat:.0} MB/s", OUTPUT / 1_000_000);
    for ((name, _), rate) in cases.iter().zip(medians) {
        println!("  beside {name}: {rate:.0} MB/s, ratio {:.2}", rate / cat);
    }
    let peak = node.peak();
    println!("  the node's memory: at most {:.1} MiB", peak as f64 / f64::from(1 << 20));
    assert!(peak < MAX_MEMORY, "{peak} bytes");
}

fn rate(start: Instant) -> f64 {
    OUTPUT as f64 / 1e6 / start.elapsed().as_secs_f64()
}

fn through_cat() -> f64 {
    let mut child = Command::new("sh").args(["-c", &format!("{SOURCE} | cat")]).stdout(Stdio::piped()).spawn();
    let child = child.as_mut().expect("a shell");
    let start = Instant::now();
    let mut pipe = child.stdout.take().expect("a pipe");
    let (mut buffer, mut total) = (vec![0; 1 << 16], 0);
    while let Ok(n @ 1..) = pipe.read(&mut buffer) {
        total += n;
    }
    let rate = rate(start);
    child.wait().expect("it ends");
    assert_eq!(total, OUTPUT);
    rate
}

/// Sends a request and reads the first bytes of its answer.
fn ask(socket: &Path, request: &str) -> UnixStream {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    stream.write_all(request.as_bytes()).expect("it takes requests");
    stream.read_exact(&mut [0; 12]).expect("it answers");
    stream
}

/// A gafferd and its folder.
struct Node {
    child: Child,
    folder: PathBuf,
}

impl Node {
    fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("gaffer-stalled-{}", std::process::id()));
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("gafferd.ini"), "[gaffer]\n").expect("a file");
        let bind = format!("unix:{}", folder.join("socket").display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_gafferd"));
        command.arg("-c").arg(folder.join("gafferd.ini")).args(["--bind", &bind]).stderr(Stdio::null());
        let node = Self { child: command.spawn().expect("gafferd"), folder };
        let end = Instant::now() + Duration::from_secs(30);
        while node.server().ping().is_err() {
            assert!(Instant::now() < end, "it does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        node
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    fn server(&self) -> Server {
        Server::new(&format!("unix:{}", self.socket().display())).expect("an address")
    }

    /// The rate of the fast client.
    fn round(&self, name: &str, stall: Stall) -> f64 {
        let server = self.server();
        let started = server.socket().and_then(|socket| Ok(socket.subscribe("EVENTS:spawn")?)).expect("a topic");
        let definition = json!({"name": name, "cmd": format!("read line; {SOURCE}"), "shell": true, "restart": "never",
            "redirect_input": true, "redirect_output": ["out"]});
        server.load(&definition, None, true, false).expect("loaded");
        let pid = started.recv().expect("it starts").and_then(|event| event.pid).expect("a process");
        let stalled = stall(&self.socket(), pid);
        let fast = server.process(pid).socket(Mode::Both, None).expect("a channel");
        let start = Instant::now();
        fast.send(b"\n").expect("it waits for it");
        let total: usize = fast.map(|piece| piece.expect("it goes on").len()).sum();
        let rate = rate(start);
        assert_eq!(total, OUTPUT);
        drop(stalled);
        server.unload(name).expect("unloaded");
        rate
    }

    /// The most memory it has had.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = gaffer::sys::signal_process(OsPid(pid), Signal::TERM);
        }
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
