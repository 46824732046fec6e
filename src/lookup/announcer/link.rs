//! The connection to one lookup server, and its next one.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::address::Address;
use super::resolver::Names;
use super::wire::{Wire, words};
use super::{ANSWER, CONNECT, MAX_PAUSE, MAX_UNSENT, Notice, PATIENCE, RESOLVER, Terms};
use crate::access::secret;
use crate::event_loop::{Interest, Source, SourceId, TimerId};
use crate::lookup::registry::MISSED_PINGS;
use crate::manager::Cx;
use crate::proto::lookup::{Instance, MAX_MESSAGE, Message, NodeInfo, Refused, Reply, Request};
use crate::proto::ws::client::Handshake;
use crate::proto::ws::{self, CloseCode, Connection, Event, Masks};
use crate::stream::Stream;
use crate::{Error, ErrorKind};

/// The pause after the first failure; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// So many connections are kept that were given up; the oldest one goes.
const MAX_PARKED: usize = 4;

/// The id of the message in which the node identifies itself.
const IDENTIFY: u64 = 0;

/// A lookup server, by its address.
#[derive(Debug)]
pub(super) struct Link {
    /// As it was given.
    pub(super) text: String,
    address: Address,
    terms: Terms,
    state: State,
    names: Names,
    /// When the state is to be looked at.
    timer: Option<TimerId>,
    /// Failures in a row.
    failures: u32,
    random: RandomState,
    draws: u64,
    /// By what this server knows this node again; another server could use it there, so each has its own. `None` where the system has no
    /// random bytes: the node waits then until its old connection was missed.
    instance: Option<Instance>,
    /// Connections that were given up, until the server knows the next one: the end of one, if it came there first, would take away all that this node
    /// has, which would then be there again.
    parked: Vec<Stream>,
}

#[derive(Debug)]
enum State {
    /// Nothing is done before the timer rings.
    Pausing,
    /// What its name means is asked for; where that takes long, it means what it meant last.
    Resolving,
    /// These are to be tried if this one fails.
    Connecting {
        source: Source<Stream>,
        rest: Vec<SocketAddr>,
    },
    /// It stands, and TLS is agreed upon.
    Securing {
        source: Source<Stream>,
    },
    Handshaking {
        wire: Wire,
        handshake: Handshake,
    },
    Open {
        wire: Wire,
        connection: Connection,
        phase: Phase,
        last_id: u64,
        /// The last id that was answered.
        answered: Option<u64>,
        /// Since when the server says nothing though it owes an answer.
        owes: Option<Instant>,
        next_ping: Instant,
        /// Pings since it said something.
        unanswered: u32,
    },
}

/// How far the registration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The server has not said whether it knows us.
    Identifying,
    Registered {
        /// One refusal is told of each connection, not ten thousand.
        complained: bool,
    },
}

/// What became of a step.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Nothing to tell.
    Quiet,
    /// The server knows us: it is to be told everything.
    Identified,
}

/// What whoever runs this is told.
pub(super) type Tell<'a> = &'a mut dyn FnMut(Notice);

impl Link {
    pub(super) fn new(text: String, address: Address, terms: Terms) -> Self {
        let random = RandomState::new();
        let instance = secret::random().ok().map(Instance::new);
        Self {
            text,
            address,
            terms,
            state: State::Pausing,
            names: Names::default(),
            timer: None,
            failures: 0,
            random,
            draws: 0,
            instance,
            parked: Vec::new(),
        }
    }

    /// Whether this is its source.
    pub(super) fn has_source(&self, id: SourceId) -> bool {
        match &self.state {
            _ if self.names.has_source(id) => true,
            State::Pausing | State::Resolving => false,
            State::Connecting { source, .. } | State::Securing { source } => source.id() == id,
            State::Handshaking { wire, .. } | State::Open { wire, .. } => wire.source.id() == id,
        }
    }

    pub(super) fn has_timer(&self, id: TimerId) -> bool {
        self.timer == Some(id)
    }

    /// Speaks like this from now on: what stands goes on as it is, but with another key everything begins anew, and what has failed is tried
    /// again at once.
    pub(super) fn follow(&mut self, cx: &mut Cx<'_>, terms: &Terms, tell: Tell<'_>) {
        let stands = self.is_registered() && self.terms.key == terms.key;
        let same = self.terms == *terms;
        self.terms = terms.clone();
        if stands {
            if let (State::Open { next_ping, .. }, false) = (&mut self.state, same) {
                *next_ping = Instant::now() + terms.ping_interval;
                self.watch(cx);
            }
        } else if !same || self.address.is_tls() {
            self.close(cx);
            self.failures = 0;
            self.connect(cx, tell);
        }
    }

    /// Whether the server has taken us, so that it is to be told what changes.
    pub(super) fn is_registered(&self) -> bool {
        matches!(self.state, State::Open { phase: Phase::Registered { .. }, .. })
    }

    fn set_timer(&mut self, cx: &mut Cx<'_>, after: Duration) {
        self.set_timer_at(cx, Instant::now() + after);
    }

    fn set_timer_at(&mut self, cx: &mut Cx<'_>, at: Instant) {
        if let Some(timer) = self.timer.take() {
            cx.cancel_timer(timer);
        }
        self.timer = Some(cx.set_timer(at));
    }

    /// Of an open connection: looks when the next ping is due, or an answer is overdue.
    fn watch(&mut self, cx: &mut Cx<'_>) {
        if let State::Open { next_ping, owes, .. } = &self.state {
            let at = owes.map_or(*next_ping, |since| (since + ANSWER).min(*next_ping));
            self.set_timer_at(cx, at);
        }
    }

    /// A number of 64 random bits, good against those who guess without looking.
    fn draw(&mut self) -> u64 {
        self.draws += 1;
        self.random.hash_one(self.draws)
    }

    /// Begins a connection.
    pub(super) fn connect(&mut self, cx: &mut Cx<'_>, tell: Tell<'_>) {
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
    fn try_next(&mut self, cx: &mut Cx<'_>, addresses: Vec<SocketAddr>, why: String) -> Result<(), String> {
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

    fn dial(&self, address: SocketAddr) -> io::Result<Stream> {
        let stream = Stream::connect_tcp(address)?;
        #[cfg(feature = "tls")]
        if let (Address::Tcp { tls: true, host, .. }, Some(client)) = (&self.address, &self.terms.tls) {
            return stream.connected(client, host);
        }
        Ok(stream)
    }

    fn connecting(&mut self, cx: &mut Cx<'_>, stream: Stream, rest: Vec<SocketAddr>) -> Result<(), String> {
        let source = cx.register(stream, Interest::WRITE).map_err(|e| e.to_string())?;
        self.state = State::Connecting { source, rest };
        self.set_timer(cx, CONNECT);
        Ok(())
    }

    /// Its source is ready.
    pub(super) fn ready(&mut self, cx: &mut Cx<'_>, id: SourceId, node: &NodeInfo, tell: Tell<'_>) -> Outcome {
        let step =
            if self.names.has_source(id) { self.named(cx).map(|()| Outcome::Quiet) } else { self.step(cx, node, tell) };
        match step {
            Ok(outcome) => outcome,
            Err(why) => {
                self.failed(cx, why, tell);
                Outcome::Quiet
            }
        }
    }

    /// The resolver says something.
    fn named(&mut self, cx: &mut Cx<'_>) -> Result<(), String> {
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

    fn step(&mut self, cx: &mut Cx<'_>, node: &NodeInfo, tell: Tell<'_>) -> Result<Outcome, String> {
        match &mut self.state {
            State::Pausing | State::Resolving => {}
            State::Connecting { source, rest } => match source.is_connected() {
                Ok(false) => {}
                Ok(true) => self.secure(cx)?,
                Err(e) => {
                    let rest = std::mem::take(rest);
                    self.try_next(cx, rest, words(&e))?;
                }
            },
            State::Securing { .. } => self.secure(cx)?,
            State::Handshaking { wire, handshake } => {
                let open = wire.read()?;
                if let Some(length) = handshake.read_answer(&wire.input).map_err(|e| refusal(&wire.input, &e))? {
                    wire.input.drain(..length);
                    self.open(cx, node)?;
                    return self.take_in(tell);
                }
                if !open {
                    return Err("it has closed the connection".to_owned());
                }
                wire.write()?;
            }
            State::Open { wire, .. } => {
                let open = wire.read()?;
                let outcome = self.take_in(tell)?;
                if !open {
                    return Err("it has closed the connection".to_owned());
                }
                return Ok(outcome);
            }
        }
        Ok(Outcome::Quiet)
    }

    /// Agrees upon TLS, if that is spoken; then opens the websocket.
    fn secure(&mut self, cx: &mut Cx<'_>) -> Result<(), String> {
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

    fn shake_hands(&mut self, cx: &mut Cx<'_>) -> Result<(), String> {
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

    /// The websocket stands: the node says who it is.
    fn open(&mut self, cx: &mut Cx<'_>, node: &NodeInfo) -> Result<(), String> {
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
    fn take_in(&mut self, tell: Tell<'_>) -> Result<Outcome, String> {
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
    pub(super) fn send(&mut self, cx: &mut Cx<'_>, requests: impl IntoIterator<Item = Request>, tell: Tell<'_>) {
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

    fn owes(&self) -> bool {
        matches!(self.state, State::Open { owes: Some(_), .. })
    }

    /// Requests with their ids; the next one in place of the greatest.
    fn put(&mut self, requests: impl IntoIterator<Item = (u64, Request)>) -> Result<(), String> {
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

    /// Its timer has rung.
    pub(super) fn timeout(&mut self, cx: &mut Cx<'_>, tell: Tell<'_>) {
        self.timer = None;
        let step = match &mut self.state {
            State::Pausing => {
                self.connect(cx, tell);
                return;
            }
            State::Connecting { rest, .. } => {
                let rest = std::mem::take(rest);
                self.try_next(cx, rest, format!("no connection within {} s", CONNECT.as_secs()))
            }
            State::Resolving => self.try_next(cx, self.names.known().to_vec(), String::new()),
            State::Securing { .. } | State::Handshaking { .. } => {
                Err(format!("no answer within {} s", PATIENCE.as_secs()))
            }
            State::Open { unanswered, phase, owes, next_ping, .. } => {
                let now = Instant::now();
                if owes.is_some_and(|since| now >= since + ANSWER) {
                    Err(format!("no answer within {} s", ANSWER.as_secs_f64()))
                } else if now < *next_ping {
                    self.watch(cx);
                    Ok(())
                } else if *phase == Phase::Identifying {
                    Err("no answer to the first message".to_owned())
                } else if *unanswered >= MISSED_PINGS {
                    Err(format!("no answer to {MISSED_PINGS} pings"))
                } else {
                    *unanswered += 1;
                    // It has stood for a while: what comes next is a new trouble.
                    self.failures = 0;
                    *next_ping = now + self.terms.ping_interval;
                    let sent = self.put([(u64::MAX, Request::Ping)]);
                    self.watch(cx);
                    sent
                }
            }
        };
        if let Err(why) = step {
            self.park();
            self.failed(cx, why, tell);
        }
    }

    /// Keeps an open connection on which the server is silent.
    fn park(&mut self) {
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

    /// Gives the connection up and waits, longer from time to time and never as long as others do that failed with it.
    fn failed(&mut self, cx: &mut Cx<'_>, why: String, tell: Tell<'_>) {
        self.state = State::Pausing;
        let pause = pause(self.failures, self.draw());
        self.set_timer(cx, pause);
        // A server that stays away is told of once.
        if self.failures == 0 {
            tell(Notice::Lost { address: self.text.clone(), why });
        }
        self.failures = self.failures.saturating_add(1);
    }

    /// Ends, with a goodbye as far as the server takes it at once. By its end it knows that this node is gone.
    pub(super) fn close(&mut self, cx: &mut Cx<'_>) {
        if let State::Open { wire, connection, .. } = &mut self.state {
            if connection.close(CloseCode::GOING_AWAY, "", &mut wire.out).is_ok() {
                // Without it the connection ends as well.
                let _ = wire.write();
                wire.source.get_mut().say_goodbye();
            }
        }
        self.state = State::Pausing;
        self.names.give_up();
        self.parked.clear();
        if let Some(timer) = self.timer.take() {
            cx.cancel_timer(timer);
        }
    }
}

/// Between a half and the whole of what has doubled so often.
pub(in crate::lookup) fn pause(failures: u32, random: u64) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(MAX_PAUSE);
    whole.mul_f64(0.5 + (random >> 11) as f64 / (1_u64 << 53) as f64 / 2.0)
}

/// Why there is no websocket: the server's own sentence, as far as it has come.
fn refusal(input: &[u8], error: &Error) -> String {
    let content = input.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|end| &input[end + 4..]);
    let content: Option<serde_json::Value> = content.and_then(|content| serde_json::from_slice(content).ok());
    let reason = content.as_ref().and_then(|content| content["reason"].as_str());
    match (reason, error.kind()) {
        (Some(reason), ErrorKind::Forbidden) => format!("it refuses this node: {reason} (`lookup_key_file`)"),
        (Some(reason), _) => format!("it refuses this node: {reason}"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_within_bounds() {
        let random = RandomState::new();
        for failures in 0..200 {
            let whole = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(MAX_PAUSE);
            for n in [0, u64::MAX, random.hash_one(failures)] {
                let pause = pause(failures, n);
                assert!(pause >= whole / 2 && pause <= whole, "{failures} {n}: {pause:?}");
            }
        }
        assert_eq!(pause(u32::MAX, u64::MAX).as_millis(), MAX_PAUSE.as_millis());
    }
}
