//! The addresses of a name, without blocking the loop.

use std::io::{Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::thread;

use super::wire::{is_later, words};
use crate::event_loop::Source;

/// Asks for the addresses of a name on a thread of its own, which ends with the answer: the system has no way to ask that does not block.
pub(super) fn resolve(host: String, port: u16) -> Result<UnixStream, String> {
    let (ours, mut theirs) = UnixStream::pair().map_err(|e| words(&e))?;
    ours.set_nonblocking(true).map_err(|e| words(&e))?;
    let ask = move || {
        let answer = match (host.as_str(), port).to_socket_addrs() {
            Ok(found) => found.take(16).map(|address| format!("{address}\n")).collect(),
            Err(e) => format!("!{e}"),
        };
        // Nobody may want to know any more.
        let _ = theirs.write_all(answer.as_bytes());
    };
    thread::Builder::new().name("gaffer-resolver".to_owned()).spawn(ask).map_err(|e| words(&e))?;
    Ok(ours)
}

pub(super) fn resolved(text: &[u8]) -> Result<Vec<SocketAddr>, String> {
    let text = String::from_utf8_lossy(text);
    match text.strip_prefix('!') {
        Some(why) => Err(why.to_owned()),
        None => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
    }
}

/// Whether all was read.
pub(super) fn read_all(source: &Source<UnixStream>, text: &mut Vec<u8>) -> Result<bool, String> {
    let mut buffer = [0; 1024];
    loop {
        match (&**source).read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(n) => text.extend_from_slice(&buffer[..n]),
            Err(e) if is_later(&e) => return Ok(false),
            Err(e) => return Err(words(&e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_answer() {
        assert_eq!(resolved(b"127.0.0.1:1\n[::1]:2\n").expect("two").len(), 2);
        assert_eq!(resolved(b"!no such host"), Err("no such host".to_owned()));
        let mut answer = resolve("127.0.0.1".to_owned(), 7).expect("a thread");
        answer.set_nonblocking(false).expect("it can");
        let mut text = Vec::new();
        answer.read_to_end(&mut text).expect("an answer");
        assert_eq!(resolved(&text), Ok(vec!["127.0.0.1:7".parse().expect("an address")]));
    }
}
