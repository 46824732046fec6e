//! The addresses of a name, without blocking the loop.

use std::io::{Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::thread;

use super::wire::{is_later, words};
use crate::event_loop::{Interest, Source, SourceId};
use crate::manager::Cx;

/// What a name means, as far as that is known.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// What it meant last.
    known: Vec<SocketAddr>,
    /// A thread that is asking writes the addresses, one a line.
    asking: Option<(Source<UnixStream>, Vec<u8>)>,
}

impl Names {
    pub(super) fn has_source(&self, id: SourceId) -> bool {
        self.asking.as_ref().is_some_and(|(source, _)| source.id() == id)
    }

    pub(super) fn known(&self) -> &[SocketAddr] {
        &self.known
    }

    /// Asks, unless somebody is asking still: a resolver that hangs must not gather threads.
    pub(super) fn ask(&mut self, cx: &mut Cx<'_>, host: &str, port: u16) -> Result<(), String> {
        if self.asking.is_none() {
            let source = cx.register(resolve(host.to_owned(), port)?, Interest::READ).map_err(|e| e.to_string())?;
            self.asking = Some((source, Vec::new()));
        }
        Ok(())
    }

    /// The answer, when it is whole: the addresses that were not known before.
    pub(super) fn read(&mut self) -> Option<Result<Vec<SocketAddr>, String>> {
        let (source, text) = self.asking.as_mut()?;
        let answer = match read_all(source, text) {
            Ok(false) => return None,
            Ok(true) => resolved(text),
            Err(why) => Err(why),
        };
        self.asking = None;
        Some(answer.map(|found| {
            let known = std::mem::replace(&mut self.known, found);
            self.known.iter().filter(|address| !known.contains(address)).copied().collect()
        }))
    }

    /// Nobody waits for the answer any more.
    pub(super) fn give_up(&mut self) {
        self.asking = None;
    }
}

/// Asks for the addresses of a name on a thread of its own, which ends with the answer: the system has no way to ask that does not block.
fn resolve(host: String, port: u16) -> Result<UnixStream, String> {
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

fn resolved(text: &[u8]) -> Result<Vec<SocketAddr>, String> {
    let text = String::from_utf8_lossy(text);
    match text.strip_prefix('!') {
        Some(why) => Err(why.to_owned()),
        None => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
    }
}

/// Whether all was read.
fn read_all(source: &Source<UnixStream>, text: &mut Vec<u8>) -> Result<bool, String> {
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
