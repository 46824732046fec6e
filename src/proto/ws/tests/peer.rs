//! The same streams through Python's `websockets`, which is sans-IO as well.
//!
//! `$GAFFER_PYTHON`, or else `python3`, runs it; without the package the test is skipped, aloud.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

/// Reads `s HEX` or `c HEX` a line (to a server, to a client), and prints what that peer made of it.
/// With `S` and `C`, it is to fail, and gets pings behind the stream until it does: it judges frames when they are whole.
const PEER: &str = r#"
import codecs, sys
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

def run(role, data):
    if role in "sS":
        peer = ServerProtocol(state=OPEN, max_size=100_000)
    else:
        peer = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN, max_size=100_000)
    peer.receive_data(data)
    for _ in range(200 if role in "SC" else 0):
        if peer.parser_exc is None:
            peer.receive_data((b"\x89\x80\0\0\0\0" if role == "S" else b"\x89\0\x89\0\x89\0") * 200)
    seen, parts, kind = [], [], None
    for frame in peer.events_received():
        if frame.opcode is Opcode.PING: seen.append("i" + frame.data.hex())
        elif frame.opcode is Opcode.PONG: seen.append("o" + frame.data.hex())
        elif frame.opcode is Opcode.CLOSE: seen.append("c" + frame.data.hex())
        else:
            if frame.opcode is not Opcode.CONT:
                kind, parts = frame.opcode, []
                decoder = codecs.getincrementaldecoder("utf-8")()
            # The package leaves text to a layer above.
            if kind is Opcode.TEXT:
                try: decoder.decode(frame.data, frame.fin)
                except UnicodeDecodeError: return seen + ["!1007"]
            parts.append(bytes(frame.data))
            if frame.fin: seen.append(("t" if kind is Opcode.TEXT else "b") + b"".join(parts).hex())
    if str(peer.parser_exc) == "incomplete fragmented message": seen.append("c?")
    elif peer.parser_exc is not None: seen.append("!%d" % peer.close_sent.code)
    return seen

for line in sys.stdin:
    role, data = line[:-1].split(" ")
    print(" ".join(run(role, bytes.fromhex(data))))
"#;

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}

/// A run of ours in the peer's words.
fn ours(seen: &Seen) -> String {
    let mut words: Vec<String> = Vec::new();
    for event in &seen.events {
        words.push(match event {
            Event::Text(text) => format!("t{}", hex(text.as_bytes())),
            Event::Binary(bytes) => format!("b{}", hex(bytes)),
            Event::Ping(bytes) => format!("i{}", hex(bytes)),
            Event::Pong(bytes) => format!("o{}", hex(bytes)),
            Event::Close(close) => {
                let code = close.code.map_or(Vec::new(), |code| code.get().to_be_bytes().to_vec());
                format!("c{}{}", hex(&code), hex(close.reason.as_bytes()))
            }
        });
    }
    if let Some((_, error)) = seen.failed {
        words.push(format!("!{}", error.close_code()));
    }
    words.join(" ")
}

#[test]
fn python_websockets_reads_the_same() {
    let python = std::env::var_os("GAFFER_PYTHON").unwrap_or_else(|| "python3".into());
    let probe = Command::new(&python).args(["-c", "import websockets.server, websockets.frames"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        // Not by `eprintln`, which the test harness hides.
        let skipped = format!("ws: SKIPPED, {} has no module websockets\n", python.to_string_lossy());
        std::io::stderr().write_all(skipped.as_bytes()).expect("stderr is there");
        return;
    }
    let mut cases = Vec::new();
    for seed in 0..400 {
        let mut rng = Rng(seed);
        let (role_server, wrong) = (rng.below(2) == 0, rng.below(3));
        let bytes = super::properties::stream(&mut rng, role_server, wrong);
        let limits = Limits::default().max_message(100_000).max_frame(100_000);
        let mut connection = match role_server {
            true => Connection::server(limits),
            false => Connection::client(limits, Masks::seeded(seed)),
        };
        let mut out = Vec::new();
        let seen = drive(&mut connection, &[&bytes], |connection, _| connection.flush(&mut out));
        cases.push((seed, role_server, bytes, seen));
    }
    let mut child = Command::new(&python)
        .args(["-c", PEER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python ran a moment ago");
    let mut stdin = child.stdin.take().expect("a pipe");
    let line = |(_, server, bytes, seen): &(u64, bool, Vec<u8>, Seen)| {
        let role = if *server { 's' } else { 'c' };
        let role = if seen.failed.is_some() { role.to_ascii_uppercase() } else { role };
        format!("{role} {}\n", hex(bytes))
    };
    let lines: Vec<String> = cases.iter().map(line).collect();
    let writer = std::thread::spawn(move || lines.iter().try_for_each(|line| stdin.write_all(line.as_bytes())));
    let output = child.wait_with_output().expect("python ends");
    writer.join().expect("no panic").expect("python read all");
    assert!(output.status.success());
    let theirs: Vec<&str> = std::str::from_utf8(&output.stdout).expect("hex").lines().collect();
    assert_eq!(theirs.len(), cases.len());
    let (mut same, mut failures) = (0, 0);
    for ((seed, server, bytes, seen), theirs) in cases.iter().zip(theirs) {
        // The package takes lengths in more bytes than they need.
        if matches!(seen.failed, Some((_, ProtocolError::LengthNotMinimal))) {
            continue;
        }
        let mut ours = ours(seen);
        // It refuses a close frame within a message, which section 5.4 and case 7.1.5 of Autobahn allow.
        if let (Some(_), Some(Event::Close(_))) = (theirs.strip_suffix("c?"), seen.events.last()) {
            let last = ours.rfind(' ').map_or(0, |blank| blank + 1);
            ours.replace_range(last.., "c?");
        }
        // Where both the code and the reason of a close frame are wrong, it complains about the reason.
        let bad_code = matches!(seen.failed, Some((_, ProtocolError::CloseCode(_))));
        let theirs = if bad_code { theirs.replace("!1007", "!1002") } else { theirs.to_owned() };
        let start = &bytes[..bytes.len().min(100)];
        assert_eq!(ours, theirs, "seed {seed}, server {server}: {}", hex(start));
        same += 1;
        failures += usize::from(seen.failed.is_some());
    }
    assert!(same > 300 && failures > 50, "{same} the same, {failures} of them errors");
}
