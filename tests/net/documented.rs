//! The sessions of the original's documentation: its commands word for word but for the port, and what they print.
//!
//! What differs from the printed sessions, and why:
//! - `{"ok": true}` has no blank: JSON is written compactly.
//! - An event has an `id:` line too, for clients that come back, and an empty `data:` line at its end: that is the line feed of
//!   what was written, which a client of server-sent events gets back byte for byte.
//! - `feed=longpoll` waits for what is written after it has begun, so that it is begun before the `POST`; a program that has answered
//!   already is not heard again.
//! - `-d '$ECHO\n'` of one edition is a misprint of the other's `$'ECHO\n'`.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::util::{DEADLINE, Node, run_script, script, skip, tools};

/// The program of the documentation's examples counts on both of its outputs; the second one is `cat`.
const CONFIG: &str = "[process:dummy]\n\
    cmd = n=12; while :; do echo STDOUT $n; echo STDERR $n >&2; n=$((n+1)); sleep 0.005; done\nshell = true\n\
    numprocesses = 1\nredirect_output = stdout, stderr\n\
    [process:echo]\ncmd = cat\nredirect_input = true\nredirect_output = stdout\n";

fn node() -> Node {
    let node = Node::new(CONFIG);
    assert_eq!((node.pids("dummy", 1), node.pids("echo", 1)), (vec![1], vec![2]), "as in the documentation");
    node
}

/// A command as it was typed.
struct Typed {
    child: Child,
    output: Receiver<Vec<u8>>,
    text: String,
}

impl Typed {
    fn new(node: &Node, line: &str) -> Self {
        let port = node.address.rsplit(':').next().expect("a port");
        let line = format!("exec {}", line.replace("localhost:5000", &format!("localhost:{port}")));
        let mut child = Command::new("bash")
            .args(["-c", &line])
            .env("no_proxy", "*")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash is installed");
        let mut stdout = child.stdout.take().expect("a pipe");
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, output, text: String::new() }
    }

    /// Reads on; false at the end, or if nothing comes for so long.
    fn more(&mut self, timeout: Duration) -> bool {
        let Ok(bytes) = self.output.recv_timeout(timeout) else { return false };
        self.text.push_str(std::str::from_utf8(&bytes).expect("text"));
        true
    }

    /// What it has printed, once there are so many lines.
    #[track_caller]
    fn lines(&mut self, n: usize) -> Vec<&str> {
        let start = Instant::now();
        while self.text.matches('\n').count() < n {
            assert!(self.more(DEADLINE) && start.elapsed() < DEADLINE, "only {:?}", self.text);
        }
        self.text.split_inclusive('\n').take(n).map(|line| line.trim_end_matches('\n')).collect()
    }

    /// All that it prints.
    #[track_caller]
    fn end(&mut self) -> &str {
        while self.more(DEADLINE) {}
        let status = self.child.wait().expect("it is a child");
        assert!(status.success(), "{status}: {:?}", self.text);
        &self.text
    }
}

impl Drop for Typed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines of a word and a number, one after the other; at least one.
#[track_caller]
fn numbers<'a>(lines: impl Iterator<Item = &'a str>, word: &str) {
    let mut last = None;
    for line in lines {
        let number = line.strip_prefix(word).and_then(|rest| rest.strip_prefix(' ')).and_then(|rest| rest.parse().ok());
        let number: u64 = number.unwrap_or_else(|| panic!("{line:?}"));
        assert!(last.is_none_or(|last| number == last + 1), "{line:?} after {last:?}");
        last = Some(number);
    }
    assert!(last.is_some());
}

#[test]
fn streams() {
    let node = node();
    let mut curl = Typed::new(&node, "curl localhost:5000/streams/1/stderr?feed=continuous");
    numbers(curl.lines(20).into_iter(), "STDERR");

    let mut curl = Typed::new(&node, "curl localhost:5000/streams/1/stderr?feed=longpoll");
    // One piece, and the end.
    numbers(curl.end().lines(), "STDERR");

    let mut curl = Typed::new(&node, "curl localhost:5000/streams/1/stderr?feed=eventsource");
    // An event has all that was written at a time: on a busy machine that is many lines.
    while curl.text.matches("\n\n").count() < 5 {
        assert!(curl.more(DEADLINE), "only {:?}", curl.text);
    }
    let lines = curl.text.lines();
    let own: Vec<&str> = lines.filter(|line| !line.starts_with("id: ") && !line.starts_with("retry: ")).collect();
    // The last one may not be whole yet.
    let mut events: Vec<&[&str]> = own.split(|line| line.is_empty()).filter(|event| !event.is_empty()).collect();
    events.pop();
    assert!(events.len() >= 3, "{own:?}");
    for event in events {
        let [kind, lines @ .., last] = event else { panic!("{event:?}") };
        assert_eq!((*kind, *last), ("event: stderr", "data: "));
        numbers(lines.iter().copied(), "data: STDERR");
    }

    let mut curl = Typed::new(&node, "curl localhost:5000/streams/1/stdout?feed=longpoll");
    numbers(curl.end().lines(), "STDOUT");
}

#[test]
fn standard_input() {
    let node = node();
    for command in [
        r"curl -XPOST -d $'ECHO\n' localhost:5000/streams/2/stdin",
        // "POST to /streams/<pid>/ttin"
        r"curl -XPOST -d $'ECHO\n' localhost:5000/streams/2/ttin",
    ] {
        let mut poll = Typed::new(&node, "curl localhost:5000/streams/2/stdout?feed=longpoll");
        // Whether it listens already shows when something comes.
        let start = Instant::now();
        while poll.text.is_empty() {
            assert!(start.elapsed() < DEADLINE);
            assert_eq!(Typed::new(&node, command).end().trim_end(), r#"{"ok":true}"#);
            poll.more(Duration::from_millis(100));
        }
        assert!(poll.end().lines().all(|line| line == "ECHO"), "{:?}", poll.text);
    }
}

#[test]
fn the_echo_client() {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", tools().join("python")).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut probe = Command::new("python3");
    probe.env("PYTHONPATH", tools().join("python")).args(["-c", "import websockets.sync.client"]);
    if !probe.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return skip("the_echo_client", "python3 has no `websockets`");
    }
    let node = node();
    run_script(python.arg(script("echo_client.py")).arg(format!("ws://{}/wstreams/2", node.address)));
}
