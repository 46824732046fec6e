//! The way to an open websocket: names, TCP, TLS and the handshake.

use std::io;
use std::net::SocketAddr;

use super::{Link, State, Tell};
use crate::event_loop::Interest;
use crate::lookup::announcer::address::Address;
use crate::lookup::announcer::wire::{Wire, words};
use crate::lookup::announcer::{CONNECT, PATIENCE, RESOLVER};
use crate::manager::Cx;
use crate::proto::ws::client::Handshake;
use crate::stream::Stream;
use crate::{Error, ErrorKind};

impl Link {
    /// Begins a connection.
    pub(in crate::lookup::announcer) fn connect(&mut self, cx: &mut Cx<'_>, tell: Tell<'_>) {
        let step = match (&self.address, self.address.known()) {
            (Address::Unix(path), _) => Stream::connect_unix(path)
                .map_err(|e| words(&e))
                .and_then(|stream| self.connecting(cx, stream, Vec::new())),
            (Address::Tcp { .. }, Some(known)) => self.try_next(cx, known, String::new()),
            (Address::Tcp { host, port, .. }, None) => self.names.ask(cx, host, *port).map(|()| {
                self.state = State::Resolving;
                self.timer = None;
                // The system's resolver has limits of its own, and always answers: who knows nothing yet waits for it.
                if !self.names.known().is_empty() {
                    self.set_timer(cx, RESOLVER);
                }
            }),
        };
        if let Err(why) = step {
            self.failed(cx, why, tell);
        }
    }

    /// Tries the addresses in order.
    pub(super) fn try_next(&mut self, cx: &mut Cx<'_>, addresses: Vec<SocketAddr>, why: String) -> Result<(), String> {
        let mut last = if why.is_empty() { "the name has no address".to_owned() } else { why };
        let mut rest = addresses.into_iter();
        while let Some(address) = rest.next() {
            match self.dial(address) {
                Ok(stream) => return self.connecting(cx, stream, rest.collect()),
                Err(e) => last = words(&e),
            }
        }
        Err(last)
    }

    pub(super) fn dial(&self, address: SocketAddr) -> io::Result<Stream> {
        let stream = Stream::connect_tcp(address)?;
        #[cfg(feature = "tls")]
        if let (Address::Tcp { tls: true, host, .. }, Some(client)) = (&self.address, &self.terms.tls) {
            return stream.connected(client, host);
        }
        Ok(stream)
    }

    pub(super) fn connecting(&mut self, cx: &mut Cx<'_>, stream: Stream, rest: Vec<SocketAddr>) -> Result<(), String> {
        let source = cx.register(stream, Interest::WRITE).map_err(|e| e.to_string())?;
        self.state = State::Connecting { source, rest };
        self.set_timer(cx, CONNECT);
        Ok(())
    }

    /// The resolver says something.
    pub(super) fn named(&mut self, cx: &mut Cx<'_>) -> Result<(), String> {
        let Some(answer) = self.names.read() else { return Ok(()) };
        match &mut self.state {
            State::Resolving => match (answer, self.names.known()) {
                (Err(why), []) => Err(why),
                (_, known) => self.try_next(cx, known.to_vec(), String::new()),
            },
            // Those it had before are tried already.
            State::Connecting { rest, .. } => {
                rest.extend(answer.unwrap_or_default());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Agrees upon TLS, if that is spoken; then opens the websocket.
    pub(super) fn secure(&mut self, cx: &mut Cx<'_>) -> Result<(), String> {
        let (State::Connecting { source, .. } | State::Securing { source }) = &mut self.state else { return Ok(()) };
        if source.get_mut().shake().map_err(|e| words(&e))? {
            return self.shake_hands(cx);
        }
        let interest = if source.is_pending() { Interest::BOTH } else { Interest::READ };
        source.set_interest(interest).map_err(|e| e.to_string())?;
        if let State::Connecting { source, .. } = std::mem::replace(&mut self.state, State::Pausing) {
            self.state = State::Securing { source };
            self.set_timer(cx, PATIENCE);
        }
        Ok(())
    }

    pub(super) fn shake_hands(&mut self, cx: &mut Cx<'_>) -> Result<(), String> {
        let (a, b) = (self.draw(), self.draw());
        let (host, target) = self.address.request();
        let key = (u128::from(a) << 64 | u128::from(b)).to_ne_bytes();
        let mut handshake = Handshake::new(host, target, key).map_err(|e| e.to_string())?;
        if let Some(key) = &self.terms.key {
            handshake = handshake.header("X-Api-Key", key.as_str()).map_err(|e| e.to_string())?;
        }
        let mut out = Vec::new();
        handshake.write(&mut out);
        let (State::Connecting { source, .. } | State::Securing { source }) =
            std::mem::replace(&mut self.state, State::Pausing)
        else {
            return Ok(());
        };
        let mut wire = Wire { source, input: Vec::new(), out };
        wire.write()?;
        self.state = State::Handshaking { wire, handshake };
        self.set_timer(cx, PATIENCE);
        Ok(())
    }
}

/// Why there is no websocket: the server's own sentence, as far as it has come.
pub(super) fn refusal(input: &[u8], error: &Error) -> String {
    let content = input.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|end| &input[end + 4..]);
    let content: Option<serde_json::Value> = content.and_then(|content| serde_json::from_slice(content).ok());
    let reason = content.as_ref().and_then(|content| content["reason"].as_str());
    match (reason, error.kind()) {
        (Some(reason), ErrorKind::Forbidden) => format!("it refuses this node: {reason} (`lookup_key_file`)"),
        (Some(reason), _) => format!("it refuses this node: {reason}"),
        _ => error.to_string(),
    }
}
