//! Those who listen to what changes.

use std::any::Any;
use std::sync::Arc;

use super::Directory;
use super::doors::Ticket;
use crate::manager::Cx;
use crate::proto::ws::CloseCode;
use crate::server::{Message, Socket, SocketAddress, SocketOut};

/// A listener: each event is a message. What it says is nothing to us.
pub(super) fn listener(directory: Directory, ticket: Option<Ticket>) -> Box<dyn Socket> {
    Box::new(Listener { directory, ticket, address: None })
}

struct Listener {
    directory: Directory,
    /// `None` if it was withdrawn between the request and its session.
    ticket: Option<Ticket>,
    address: Option<SocketAddress>,
}

impl Socket for Listener {
    fn open(&mut self, _: &mut Cx<'_>, out: &mut SocketOut<'_>) {
        let address = out.address();
        self.address = Some(address);
        self.directory.lock().listeners.push(address);
    }

    fn message(&mut self, _: &mut Cx<'_>, _: Message, _: &mut SocketOut<'_>) {}

    fn mail(&mut self, _: &mut Cx<'_>, message: Box<dyn Any + Send>, out: &mut SocketOut<'_>) {
        let Ok(text) = message.downcast::<Arc<str>>() else { return };
        if !self.ticket.as_ref().is_some_and(Ticket::is_good) {
            out.close(CloseCode::POLICY, "its key is not known any more");
        } else if out.is_full() {
            // One event that is missing would make all that follow wrong; who comes again asks for the whole first.
            out.close(CloseCode::TRY_AGAIN_LATER, "too far behind");
        } else {
            out.text(&text);
        }
    }

    fn close(&mut self, _: &mut Cx<'_>) {
        let address = self.address.take();
        self.directory.lock().listeners.retain(|listener| Some(*listener) != address);
    }
}
