//! The connection to one lookup server, and its next one.

mod talk;
mod way;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::address::Address;
use super::resolver::Names;
use super::wire::{Wire, words};
use super::{ANSWER, CONNECT, MAX_PAUSE, Notice, PATIENCE, Terms};
use crate::access::secret;
use crate::event_loop::{Source, SourceId, TimerId};
use crate::lookup::registry::MISSED_PINGS;
use crate::manager::Cx;
use crate::proto::lookup::{Instance, NodeInfo, Request};
use crate::proto::ws::client::Handshake;
use crate::proto::ws::{CloseCode, Connection};
use crate::stream::Stream;
use way::refusal;

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

    /// A number of 64 random bits, good against those who guess without looking.
    fn draw(&mut self) -> u64 {
        self.draws += 1;
        self.random.hash_one(self.draws)
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
