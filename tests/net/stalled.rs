//! Clients that ask for feeds and never read them: they cost themselves only.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::util::{DEADLINE, Node, eventually};

const CLIENTS: usize = 200;
const UNSENT: u64 = 256 << 10;

/// A client that has sent its request and read the head. It comes by unix socket: what the system keeps for one is little, and
/// for TCP some megabytes, which 200 clients would have to be sent before the server is left with anything.
fn stalled(node: &Node, path: &str) -> UnixStream {
    let mut stream = UnixStream::connect(node.path("api.sock")).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    stream
}

fn median_ping(node: &Node) -> Duration {
    let mut times: Vec<Duration> = (0..101)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(node.request("GET", "/ping", "").expect("an answer").0, 200);
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

#[test]
#[ignore = "it takes a minute or more on a busy machine"]
fn two_hundred_stalled_clients() {
    // Some eighty kilobytes a second of output, and a job that ends and is started for ever.
    let node = Node::at(
        "127.0.0.1:0 unix:FOLDER/api.sock",
        "[limits]\nunsent = 256 KiB\n\
         [process:loud]\nshell = true\ncmd = line=$(head -c 8192 /dev/zero | tr '\\0' x); while :; do echo $line; sleep 0.1; done\n\
         redirect_output = out\n\
         [process:short]\ncmd = sleep 0.1\nnumprocesses = 2\nbackoff = 0\n",
    );
    let loud = node.pids("loud", 1)[0];
    let calm = median_ping(&node);
    let before = node.rss();

    let feeds = ["/watch?feed=eventsource".to_owned(), format!("/streams/{loud}/out?feed=eventsource")];
    let raw = format!("/streams/{loud}/out?feed=continuous");
    let mut clients: Vec<UnixStream> = (0..CLIENTS - 10).map(|i| stalled(&node, &feeds[i % 2])).collect();
    let mut cut: Vec<UnixStream> = (0..10).map(|_| stalled(&node, &raw)).collect();

    // What each client of the output loses is counted; raw output has no place to say so and is cut.
    eventually("all are behind", || (node.metric("gaffer_feed_dropped_total") > 10.0 * CLIENTS as f64).then_some(()));
    eventually("raw feeds are cut", || (node.metric("gaffer_connections") <= (CLIENTS - 10 + 1) as f64).then_some(()));
    let busy = median_ping(&node);
    // Ten times, and 20 ms for a machine that does other things.
    assert!(busy < calm * 10 + Duration::from_millis(20), "{busy:?}, alone {calm:?}");
    let grown = node.rss().saturating_sub(before);
    let bound = CLIENTS as u64 * UNSENT * 2 + (32 << 20);
    assert!(grown < bound, "{} KiB more, at most {} KiB", grown >> 10, bound >> 10);

    for stream in &mut cut {
        let mut rest = Vec::new();
        let end = stream.read_to_end(&mut rest);
        assert!(end.is_err() || !rest.ends_with(b"0\r\n\r\n"), "a feed that is cut does not look complete");
    }

    // One that reads again is told how much it has missed.
    let mut stream = clients.swap_remove(1);
    let (mut tail, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    let end = Instant::now() + Duration::from_secs(90);
    while !tail.windows(12).any(|w| w == b"event: gap\nd") {
        assert!(Instant::now() < end, "it is not told of a gap");
        let n = loop {
            match stream.read(&mut buffer) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other.expect("more"),
            }
        };
        assert!(n > 0, "it is cut");
        let keep = tail.len().saturating_sub(64);
        tail.drain(..keep);
        tail.extend_from_slice(&buffer[..n]);
    }

    // When they go, everything of theirs goes.
    drop((stream, clients, cut));
    eventually("no connection is left", || (node.metric("gaffer_connections") <= 1.0).then_some(()));
}
