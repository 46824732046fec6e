//! What is said over an open websocket.

use std::time::Instant;

use super::{IDENTIFY, Link, MAX_PARKED, Outcome, Phase, State, Tell};
use crate::lookup::announcer::{ANSWER, MAX_UNSENT, Notice};
use crate::manager::Cx;
use crate::proto::lookup::{MAX_MESSAGE, Message, NodeInfo, Refused, Reply, Request};
use crate::proto::ws::{self, Connection, Event, Masks};

impl Link {
    /// Of an open connection: looks when the next ping is due, or an answer is overdue.
    pub(super) fn watch(&mut self, cx: &mut Cx<'_>) {
        if let State::Open { next_ping, owes, .. } = &self.state {
            let at = owes.map_or(*next_ping, |since| (since + ANSWER).min(*next_ping));
            self.set_timer_at(cx, at);
        }
    }

    /// The websocket stands: the node says who it is.
    pub(super) fn open(&mut self, cx: &mut Cx<'_>, node: &NodeInfo) -> Result<(), String> {
        let State::Handshaking { wire, .. } = std::mem::replace(&mut self.state, State::Pausing) else {
            return Ok(());
        };
        let limits = ws::Limits::default().max_frame(MAX_MESSAGE).max_message(MAX_MESSAGE);
        let connection = Connection::client(limits, Masks::seeded(self.draw()));
        self.state = State::Open {
            wire,
            connection,
            phase: Phase::Identifying,
            last_id: IDENTIFY,
            answered: None,
            owes: None,
            next_ping: Instant::now() + self.terms.ping_interval,
            unanswered: 0,
        };
        let (NodeInfo { name, origin, version }, instance) = (node.clone(), self.instance);
        self.put([(IDENTIFY, Request::Identify { name, origin, version, instance })])?;
        self.watch(cx);
        Ok(())
    }

    /// Takes up what the server has sent.
    pub(super) fn take_in(&mut self, tell: Tell<'_>) -> Result<Outcome, String> {
        let State::Open { wire, connection, phase, unanswered, last_id, answered, owes, .. } = &mut self.state else {
            return Ok(Outcome::Quiet);
        };
        let mut outcome = Outcome::Quiet;
        let mut used = 0;
        loop {
            let fed = connection.feed(&wire.input[used..]);
            used += fed.used;
            let text = match fed.out {
                Err(e) => return Err(format!("it breaks the protocol: {e}")),
                Ok(None) => break,
                Ok(Some(Event::Text(text))) => text,
                Ok(Some(Event::Close(close))) => {
                    let code = close.code.map_or_else(|| "no code".to_owned(), |code| code.to_string());
                    return Err(format!("it has said goodbye ({code}) {}", close.reason).trim_end().to_owned());
                }
                Ok(Some(_)) => {
                    *unanswered = 0;
                    continue;
                }
            };
            *unanswered = 0;
            let Some(reply) = Reply::read(&text) else { return Err("it is no lookup server".to_owned()) };
            *answered = reply.id.as_u64().or(*answered);
            match (reply.outcome, *phase) {
                (Ok(()), Phase::Identifying) if reply.id == IDENTIFY => {
                    *phase = Phase::Registered { complained: false };
                    self.parked.clear();
                    outcome = Outcome::Identified;
                }
                (Err(Refused { reason, .. }), Phase::Identifying) => {
                    // A server that does not know instances waits for their end.
                    self.parked.clear();
                    return Err(format!("it refuses this node: {reason}"));
                }
                (Err(Refused { reason, .. }), Phase::Registered { complained: false }) => {
                    *phase = Phase::Registered { complained: true };
                    tell(Notice::Refused { address: self.text.clone(), reason: reason.into_owned() });
                }
                _ => {}
            }
        }
        wire.input.drain(..used);
        if used > 0 {
            // It is at it.
            *owes = (*answered != Some(*last_id)).then(Instant::now);
        }
        // The pongs.
        connection.flush(&mut wire.out);
        wire.write()?;
        Ok(outcome)
    }

    /// Sends requests.
    pub(in crate::lookup::announcer) fn send(
        &mut self,
        cx: &mut Cx<'_>,
        requests: impl IntoIterator<Item = Request>,
        tell: Tell<'_>,
    ) {
        let owed = self.owes();
        match self.put(requests.into_iter().map(|request| (u64::MAX, request))) {
            Err(why) => {
                self.park();
                self.failed(cx, why, tell);
            }
            Ok(()) if !owed && self.owes() => self.watch(cx),
            Ok(()) => {}
        }
    }

    pub(super) fn owes(&self) -> bool {
        matches!(self.state, State::Open { owes: Some(_), .. })
    }

    /// Requests with their ids; the next one in place of the greatest.
    pub(super) fn put(&mut self, requests: impl IntoIterator<Item = (u64, Request)>) -> Result<(), String> {
        let State::Open { wire, connection, last_id, owes, .. } = &mut self.state else { return Ok(()) };
        for (id, request) in requests {
            owes.get_or_insert_with(Instant::now);
            let id = if id == u64::MAX { *last_id + 1 } else { id };
            *last_id = id;
            let message = Message { id: id.into(), request };
            connection.text(&message.to_json(), &mut wire.out).map_err(|e| e.to_string())?;
            if wire.out.len() > MAX_UNSENT {
                return Err(format!("it has not taken {MAX_UNSENT} bytes"));
            }
        }
        wire.write()
    }

    /// Keeps an open connection on which the server is silent.
    pub(super) fn park(&mut self) {
        match std::mem::replace(&mut self.state, State::Pausing) {
            State::Open { wire, .. } => {
                let stream = wire.source.into_inner();
                stream.abort_on_close();
                if self.parked.len() >= MAX_PARKED {
                    self.parked.remove(0);
                }
                self.parked.push(stream);
            }
            other => self.state = other,
        }
    }
}
