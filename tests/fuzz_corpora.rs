//! Replays the corpora of `fuzz/` with the properties of its targets, without a fuzzer.
#![allow(unreachable_pub, dead_code, clippy::print_stdout)]

use std::fs;
use std::path::Path;

#[path = "../fuzz/src/dotenv.rs"]
mod dotenv;
#[path = "../fuzz/src/events.rs"]
mod events;
#[path = "../fuzz/src/frame.rs"]
mod frame;
#[path = "../fuzz/src/gafferd_config.rs"]
mod gafferd_config;
#[path = "../fuzz/src/h1_chunked.rs"]
mod h1_chunked;
#[path = "../fuzz/src/h1_request.rs"]
mod h1_request;
#[path = "../fuzz/src/ini.rs"]
mod ini;
#[path = "../fuzz/src/lines.rs"]
mod lines;
#[path = "../fuzz/src/procfile.rs"]
mod procfile;
#[path = "../fuzz/src/sockjs.rs"]
mod sockjs;
#[path = "../fuzz/src/sse.rs"]
mod sse;
#[path = "../fuzz/src/table.rs"]
mod table;
#[path = "../fuzz/src/words.rs"]
mod words;
#[path = "../fuzz/src/ws.rs"]
mod ws;

/// Runs `target` on every file of its corpus, and on the first half of each.
fn check(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files = 0;
    for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("an entry").path();
        let data = fs::read(&path).expect("a file");
        // Shown where the test fails.
        println!("{}", path.display());
        target(&data);
        target(&data[..data.len() / 2]);
        files += 1;
    }
    assert!(files > 0, "no corpus in {}", folder.display());
}

#[test]
fn replay_dotenv() {
    check("dotenv", dotenv::run);
}

#[test]
fn replay_events() {
    check("events", events::run);
}

#[test]
fn replay_frame() {
    check("frame", frame::run);
}

#[test]
fn replay_gafferd_config() {
    check("gafferd_config", gafferd_config::run);
}

#[test]
fn replay_h1_chunked() {
    check("h1_chunked", h1_chunked::run);
}

#[test]
fn replay_h1_request() {
    check("h1_request", h1_request::run);
}

#[test]
fn replay_ini() {
    check("ini", ini::run);
}

#[test]
fn replay_lines() {
    check("lines", lines::run);
}

#[test]
fn replay_procfile() {
    check("procfile", procfile::run);
}

#[test]
fn replay_sockjs() {
    check("sockjs", sockjs::run);
}

#[test]
fn replay_sse() {
    check("sse", sse::run);
}

#[test]
fn replay_table() {
    check("table", table::run);
}

#[test]
fn replay_words() {
    check("words", words::run);
}

#[test]
fn replay_ws() {
    check("ws", ws::run);
}
