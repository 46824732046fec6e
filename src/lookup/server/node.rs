//! The connection of a node.

use std::any::Any;
use std::time::Instant;

use super::Directory;
use super::doors::Ticket;
use crate::lookup::registry::{NodeId, Registry};
use crate::manager::{ClosureId, Cx};
use crate::process::{JobName, Pid};
use crate::proto::lookup::{Event, Message, NodeInfo, Refused, Reply, Request};
use crate::proto::ws::CloseCode;
use crate::server::{self, Socket, SocketOut};

/// A socket that speaks the [protocol of nodes](crate::proto::lookup).
pub(super) fn node(directory: Directory, ticket: Ticket) -> Box<dyn Socket> {
    Box::new(Node { directory, ticket, id: None, timer: None })
}

struct Node {
    directory: Directory,
    ticket: Ticket,
    /// From its opening on, unless there were too many.
    id: Option<NodeId>,
    timer: Option<ClosureId>,
}

/// Its time may be over.
struct Late;

/// Its node has come back by another connection.
struct Replaced;

impl Node {
    /// Looks when the node has been silent for too long, and again if it was not.
    fn wait(&mut self, cx: &mut Cx<'_>, out: &SocketOut<'_>) {
        let Some(deadline) = self.id.and_then(|id| self.directory.read(|registry| registry.deadline(id))) else {
            return;
        };
        let address = out.address();
        let rest = deadline.saturating_duration_since(Instant::now());
        self.timer = Some(cx.after(rest, move |cx| address.send(cx, Late)));
    }

    fn leave(&mut self, cx: &mut Cx<'_>) {
        if let Some(id) = self.id.take() {
            self.directory.change(cx, |state, events| {
                state.sockets.remove(&id);
                state.registry.disconnect(id, events);
            });
        }
        if let Some(timer) = self.timer.take() {
            cx.remove(timer);
        }
    }
}

impl Socket for Node {
    fn open(&mut self, cx: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        let address = out.address();
        let connected = self.directory.change(cx, |state, _| {
            let id = state.registry.connect(Instant::now())?;
            state.sockets.insert(id, address);
            Ok::<_, Refused>(id)
        });
        match connected {
            Ok(id) => {
                self.id = Some(id);
                self.wait(cx, out);
            }
            Err(full) => out.close(CloseCode::TRY_AGAIN_LATER, &full.reason),
        }
    }

    fn message(&mut self, cx: &mut Cx<'_>, message: server::Message, out: &mut SocketOut<'_>) {
        let Some(id) = self.id else { return };
        if !self.ticket.is_good() {
            self.leave(cx);
            return out.close(CloseCode::POLICY, "its key is not known any more");
        }
        let text = match message {
            server::Message::Text(text) => text,
            // What is not UTF-8 is no JSON either, and is told so.
            server::Message::Binary(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        };
        let now = Instant::now();
        let (reply, replaced) = self.directory.change(cx, |state, events| {
            let registry = &mut state.registry;
            registry.seen(id, now);
            let (outcome, id) = match Message::read(&text) {
                Ok(message) => (perform(registry, id, message.request, now, events), message.id),
                Err(reply) => (reply.outcome.map(|()| None), reply.id),
            };
            state.counts.message(&outcome);
            let replaced = outcome.as_ref().ok().copied().flatten().and_then(|old| state.sockets.remove(&old));
            state.counts.returned += u64::from(replaced.is_some());
            (Reply { outcome: outcome.map(drop), id }, replaced)
        });
        if let Some(old) = replaced {
            old.send(cx, Replaced);
        }
        if out.is_full() {
            return out.close(CloseCode::POLICY, "it does not take the answers");
        }
        out.text(&reply.to_json());
    }

    fn mail(&mut self, cx: &mut Cx<'_>, message: Box<dyn Any + Send>, out: &mut SocketOut<'_>) {
        if message.is::<Replaced>() {
            self.leave(cx);
            return out.close(CloseCode::GOING_AWAY, "the node has another connection now");
        }
        if !message.is::<Late>() {
            return;
        }
        self.timer = None;
        let deadline = self.id.and_then(|id| self.directory.read(|registry| registry.deadline(id)));
        if deadline.is_some_and(|at| Instant::now() < at) {
            return self.wait(cx, out);
        }
        self.directory.lock().counts.silent += 1;
        self.leave(cx);
        out.close(CloseCode::POLICY, "no sign of life");
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        self.leave(cx);
    }
}

/// Returns the connection whose place was taken, if one was.
fn perform(
    registry: &mut Registry,
    id: NodeId,
    request: Request,
    now: Instant,
    events: &mut Vec<Event>,
) -> Result<Option<NodeId>, Refused> {
    let job = |text: &str| text.parse::<JobName>().map_err(|e| Refused::new(400, e.to_string()));
    match request {
        Request::Identify { name, origin, version, instance } => {
            return registry.claim(id, NodeInfo { name, origin, version }, instance, now, events);
        }
        Request::Ping => registry.settle(id, events),
        Request::RegisterJob { job: name } => registry.add_job(id, &job(&name)?, events)?,
        Request::UnregisterJob { job: name } => registry.remove_job(id, &job(&name)?, events)?,
        Request::RegisterProcess { job: name, pid } => registry.add_process(id, &job(&name)?, Pid(pid), events)?,
        Request::UnregisterProcess { job: name, pid } => registry.remove_process(id, &job(&name)?, Pid(pid), events)?,
    }
    Ok(None)
}
