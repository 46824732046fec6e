//! Commands and topics over one connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::channel::Channel;
use super::http::Http;
use super::inbox::{Answer, Inbox};
use super::link::Link;
use crate::Result;
use crate::controller::{CommandError, Topic};

/// A connection for [commands](crate::controller::COMMANDS) and [topics](Topic): `/channel/websocket` of a node. The original's client
/// calls it `GafferSocket`.
///
/// ```
/// # #[cfg(feature = "server")] include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/client/example.rs"));
/// # #[cfg(feature = "server")] fn main() -> Result<(), Box<dyn std::error::Error>> { let node = Node::start()?; let address = node.address();
/// use gaffer::client::Server;
/// use serde_json::json;
///
/// let socket = Server::new(address)?.socket()?;
/// let mut started = socket.subscribe("EVENTS:spawn")?;
/// socket.send_command("load", &[json!({"name": "web", "cmd": "sleep 100"})], &Default::default())?;
/// let event = started.next().expect("it goes on")?;
/// assert_eq!((event.event.as_str(), event.name.as_ref().map(|name| name.as_str())), ("spawn", Some("default.web")));
///
/// let refusal = socket.send_command("scale", &[json!("wep"), json!("+1")], &Default::default()).unwrap_err();
/// assert_eq!((refusal.errno, &*refusal.reason), (404, "not_found"));
/// # Ok(()) }
/// # #[cfg(not(feature = "server"))] fn main() {}
/// ```
///
/// It is `Send`, `Sync` and cheap to clone; the connection is closed when the last clone and the last [`Channel`] are dropped. There is no
/// thread behind it: who waits for an answer or an event looks after the connection meanwhile, for all others too. While somebody waits, a silent
/// node is asked for a sign of life each [heartbeat](super::Server::heartbeat), and given up after three. While nobody waits,
/// nothing is read: what comes waits at the node, which leaves out what is more than its bound, says so, and gives a client up that has not
/// answered for two of its idle times (2 × 60 s by default). Who subscribes should call [`Channel::recv_timeout`] at least that often.
///
/// Once the connection has failed, every call has the error with which it did; make a new one then.
#[derive(Clone, Debug)]
pub struct Socket {
    pub(super) link: Arc<Link<Inbox>>,
}

/// A command whose answer is still to come; see [`Socket::post`].
///
/// If it is dropped, the answer is dropped when it comes.
#[derive(Debug)]
pub struct Pending {
    link: Arc<Link<Inbox>>,
    id: u64,
    deadline: Instant,
}

/// Bytes of events that may wait in one [`Channel`], unless [`Socket::max_queue`] says otherwise: 4 MiB.
pub const MAX_QUEUE: usize = 4 << 20;

impl Socket {
    pub(super) fn open(http: &Http) -> Result<Self> {
        Ok(Self { link: Arc::new(Link::open(http, "/channel/websocket", Inbox::new(MAX_QUEUE))?) })
    }

    /// Bytes of events, as they came, that may wait in each [`Channel`] of this connection while others are read. What is more is
    /// left out, and an event `gap` in its place says how much. Default: [`MAX_QUEUE`].
    #[must_use]
    pub fn max_queue(self, bytes: usize) -> Self {
        self.link.lock().receiver.max_queue = bytes;
        self
    }

    /// Whether the connection stands, as far as is known: nothing is sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.link.is_open()
    }

    /// Carries a command out and waits for its answer, an object. Arguments may be given by their place or by their name.
    ///
    /// # Errors
    ///
    /// Those of [`controller::run`](fn@crate::controller::run), as the node has told them; 504 `timed_out` where no answer came within
    /// [`timeout`](super::Server::timeout), and the command may have been carried out; 502 `unreachable` and 503 `stopping` where the connection
    /// was lost; 400 for more than 1 MiB of arguments.
    pub fn send_command(&self, name: &str, args: &[Value], kwargs: &Map<String, Value>) -> Answer {
        self.post(name, args, kwargs)?.wait()
    }

    /// Sends a command and does not wait. A node has at most 64 commands of one connection in work that take time.
    ///
    /// # Errors
    ///
    /// It could not be sent.
    pub fn post(&self, name: &str, args: &[Value], kwargs: &Map<String, Value>) -> Result<Pending> {
        let deadline = self.link.deadline();
        let id = self.link.send(deadline, |state| {
            let id = state.receiver.ask();
            let data = json!({"identity": id, "name": name, "args": args, "kwargs": kwargs});
            state.text(&json!({"event": "CMD", "data": data}).to_string())?;
            Ok(id)
        })?;
        Ok(Pending { link: Arc::clone(&self.link), id, deadline })
    }

    /// Subscribes a [topic](Topic): `EVENTS`, `EVENTS:proc.web.exit`, `JOB:web`, `PROCESS:3`, `STATS:web`, `STREAM:3.out` …
    ///
    /// Each call makes a channel of its own, which has everything from now on.
    ///
    /// # Errors
    ///
    /// 400 `invalid_topic`; 404 `not_found`, `stream_not_found`; 503 `full` for too many (1024 by default); and those of
    /// [`send_command`](Self::send_command).
    pub fn subscribe(&self, topic: &str) -> Result<Channel, CommandError> {
        self.listen(topic, None)
    }

    /// The same for `STATS`, with a time between two samples: 0.1 s to a day. What [`subscribe`](Self::subscribe) asks for is 1 s.
    ///
    /// # Errors
    ///
    /// Those of [`subscribe`](Self::subscribe); 400 `invalid_interval`.
    pub fn subscribe_every(&self, topic: &str, interval: Duration) -> Result<Channel, CommandError> {
        self.listen(topic, Some(interval))
    }

    fn listen(&self, topic: &str, interval: Option<Duration>) -> Result<Channel, CommandError> {
        // Events come under the words in which their topic was subscribed first, so each topic has only one spelling here. A newer node may know
        // topics that we do not.
        let topic = topic.parse::<Topic>().map_or_else(|_| topic.to_owned(), |topic| topic.to_string());
        let mut data = json!({"topic": topic});
        if let Some(interval) = interval {
            data["interval"] = interval.as_secs_f64().into();
        }
        let message = json!({"event": "SUB", "data": data}).to_string();
        let deadline = self.link.deadline();
        let (asked, id) = self.link.send(deadline, |state| {
            state.text(&message)?;
            Ok((state.receiver.ask_about_topic(), state.receiver.listen(&topic)))
        })?;
        let answer = Pending { link: Arc::clone(&self.link), id: asked, deadline }.wait();
        if let Err(e) = answer {
            self.link.lock().receiver.leave(id);
            return Err(e);
        }
        Ok(Channel::new(Arc::clone(&self.link), topic, id))
    }

    /// Ends all channels of this connection that have this topic, however it is written; what they have got they still yield. To end
    /// one, [drop](Channel) it.
    ///
    /// # Errors
    ///
    /// 404 `not_subscribed`; and those of [`send_command`](Self::send_command).
    pub fn unsubscribe(&self, topic: &str) -> Result<(), CommandError> {
        let topic = topic.parse::<Topic>().map_or_else(|_| topic.to_owned(), |topic| topic.to_string());
        let message = unsubscription(&topic);
        let deadline = self.link.deadline();
        // A topic that was subscribed twice is unsubscribed twice.
        let mut asked = self.link.send(deadline, |state| {
            let n = state.receiver.end(&topic).max(1);
            (0..n).map(|_| state.text(&message).map(|()| state.receiver.ask_about_topic())).collect::<Result<Vec<_>>>()
        })?;
        let link = &self.link;
        let asked = asked.drain(..).map(|id| Pending { link: Arc::clone(link), id, deadline }).collect::<Vec<_>>();
        asked.into_iter().try_for_each(|pending| pending.wait().map(drop))
    }
}

pub(super) fn unsubscription(topic: &str) -> String {
    json!({"event": "UNSUB", "data": {"topic": topic}}).to_string()
}

impl Pending {
    /// Whether the answer has come, as far as it was read: nobody may be reading.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.link.lock().receiver.is_answered(self.id)
    }

    /// Waits for the answer, up to [`timeout`](super::Server::timeout) after the command was sent.
    ///
    /// # Errors
    ///
    /// Those of [`Socket::send_command`].
    pub fn wait(self) -> Answer {
        let answer = self.link.wait(Some(self.deadline), |state| state.receiver.answer(self.id))?;
        answer.unwrap_or_else(|| Err(self.link.late().into()))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.link.lock().receiver.forget(self.id);
    }
}

const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<Socket>();
    assert_send_sync::<Pending>();
};
