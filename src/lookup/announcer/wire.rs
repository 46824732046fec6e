//! Bytes on their way from and to a lookup server.

use std::io;

use crate::event_loop::{Interest, Source};
use crate::stream::Stream;

/// How much is read at a time; a record of TLS finds room.
const CHUNK: usize = 32 << 10;

/// Bytes on their way.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) source: Source<Stream>,
    pub(super) input: Vec<u8>,
    pub(super) out: Vec<u8>,
}

impl Wire {
    /// Takes what is there; false at its end.
    pub(super) fn read(&mut self) -> Result<bool, String> {
        let mut buffer = [0; CHUNK];
        // What is left comes in the next turn.
        match self.source.get_mut().read(&mut buffer) {
            Ok(0) => Ok(false),
            Ok(n) => {
                self.input.extend_from_slice(&buffer[..n]);
                Ok(true)
            }
            Err(e) if is_later(&e) => Ok(true),
            Err(e) => Err(words(&e)),
        }
    }

    /// Sends what can be sent, and waits for room if there is more.
    pub(super) fn write(&mut self) -> Result<(), String> {
        let mut sent = 0;
        while sent < self.out.len() || self.source.is_pending() {
            match self.source.get_mut().write(&self.out[sent..]) {
                // Under TLS it may have sent what it had taken before.
                Ok(n) => sent += n,
                Err(e) if is_later(&e) => break,
                Err(e) => return Err(words(&e)),
            }
        }
        self.out.drain(..sent);
        let waits = !self.out.is_empty() || self.source.is_pending();
        let interest = if waits { Interest::BOTH } else { Interest::READ };
        self.source.set_interest(interest).map_err(|e| e.to_string())
    }
}

pub(super) fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// What TLS has against the other side, or the system's words without its number.
pub(super) fn words(error: &io::Error) -> String {
    #[cfg(feature = "tls")]
    if let Some(words) = crate::tls::explain(error) {
        return words;
    }
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return "it has closed the connection".to_owned();
    }
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
