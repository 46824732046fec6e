//! What comes under a topic.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::inbox::Inbox;
use super::link::{Link, from_now};
use super::socket::unsubscription;
use super::values::Event;
use crate::{Error, ErrorKind, Result};

/// The events of a topic, in the order in which they happened; see [`Socket::subscribe`](super::Socket::subscribe).
///
/// As an iterator it waits for each, without an end of its own: not even the end of a process ends it, since that is an event. It yields an
/// error once, and nothing after it, when the connection has failed. An event called `gap`, with `dropped` among its fields, stands where
/// events are missing because we were too slow. Figures come as events `stat`, output as events with its label, `data` and, once, `end`.
///
/// Dropping it unsubscribes the topic. It is `Send` and `Sync`; several threads that take from one channel share its events.
///
/// ```
/// # #[cfg(feature = "server")] include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/client/example.rs"));
/// # #[cfg(feature = "server")] fn main() -> Result<(), Box<dyn std::error::Error>> { let node = Node::start()?; let address = node.address();
/// use std::time::Duration;
/// use gaffer::client::Server;
/// use serde_json::json;
///
/// let server = Server::new(address)?;
/// let socket = server.socket()?;
/// let events = socket.subscribe("JOB:greeter")?;
/// let exits = socket.subscribe("EVENTS:exit")?;
/// server.load(&json!({"name": "greeter", "cmd": "true", "restart": "never"}), None, true, false)?;
/// // Both are read by whoever waits; each has its own queue.
/// let exit = exits.recv()?.expect("it was not unsubscribed");
/// assert_eq!(exit.fields["exit_code"], 0);
/// assert_eq!(events.recv()?.expect("the same").event, "load");
/// assert_eq!(events.recv_timeout(Duration::from_secs(10))?.expect("the same").event, "start");
/// # Ok(()) }
/// # #[cfg(not(feature = "server"))] fn main() {}
/// ```
#[derive(Debug)]
pub struct Channel {
    link: Arc<Link<Inbox>>,
    topic: String,
    id: u64,
    failed: bool,
}

impl Channel {
    pub(super) fn new(link: Arc<Link<Inbox>>, topic: String, id: u64) -> Self {
        Self { link, topic, id, failed: false }
    }

    /// The topic, in the spelling of [`Topic`](crate::controller::Topic).
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Waits for the next event; `None` once the topic was [unsubscribed](super::Socket::unsubscribe).
    ///
    /// # Errors
    ///
    /// The connection has failed; [`ErrorKind::TimedOut`] if because the node was silent for three heartbeats.
    pub fn recv(&self) -> Result<Option<Event>> {
        let next = self.link.wait(None, |state| state.receiver.next(self.id))?;
        self.read(next.flatten())
    }

    /// The same, for so long at most. With a time of zero it takes what has come.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv); [`ErrorKind::TimedOut`] where nothing came, while [`Socket::is_open`](super::Socket::is_open).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<Event>> {
        let next = self.link.wait(from_now(timeout), |state| state.receiver.next(self.id))?;
        let nothing =
            || Error::new(ErrorKind::TimedOut, format!("{}: nothing came under {}", self.link.address(), self.topic));
        self.read(next.ok_or_else(nothing)?)
    }

    fn read(&self, next: Option<Value>) -> Result<Option<Event>> {
        next.map(|fields| Event::read(&self.topic, fields)).transpose()
    }
}

impl Iterator for Channel {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.recv().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.link.post(|state| {
            if state.receiver.leave(self.id) {
                state.text(&unsubscription(&self.topic))?;
                // The answer is nobody's, but it has its place among the others.
                let id = state.receiver.ask_about_topic();
                state.receiver.forget(id);
            }
            Ok(())
        });
    }
}

const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<Channel>();
};
