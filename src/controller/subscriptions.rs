//! What one client has subscribed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::hub::{self, ClientId, EntryId, Hub, Key, Wake};
use super::table::first_stream;
use super::topic::Subject;
use super::{CommandError, Topic};
use crate::manager::Cx;

/// Topics one client may have at a time, unless [`max_topics`](Subscriptions::max_topics) says otherwise.
pub const MAX_TOPICS: usize = 1024;

/// Bytes of messages that wait for one client, unless [`max_queue`](Subscriptions::max_queue) says otherwise: 1 MiB.
pub const MAX_QUEUE: usize = 1 << 20;

/// The time between two samples, unless the client says otherwise.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// The topics of one client, and the messages that wait for it.
///
/// A topic that is subscribed twice comes once, and has to be unsubscribed twice. The owner is told by `wake`, on the manager's
/// thread, when the first message waits, and takes all of them with [`next`](Self::next) as soon as it has room; until then
/// it is not told again. Where more waits than fits, messages are left out, and one in their place says how many:
/// `{"event": "gaffer:gap", "data": {"dropped": 3}}`.
///
/// Everything ends with [`close`](Self::close). If it is dropped instead, it ends when the next message for it comes.
///
/// ```
/// use std::sync::mpsc;
///
/// use gaffer::Manager;
/// use gaffer::controller::Subscriptions;
/// use gaffer::process::{JobConfig, Restart};
///
/// let mut manager = Manager::new()?;
/// let (sender, told) = mpsc::channel();
/// let mut client = Subscriptions::new(move |_cx| sender.send(()).expect("it is there"));
/// client.subscribe(&mut manager.cx(), "JOB:hello", None).expect("a topic");
/// manager.load(JobConfig::new("hello", "true")?.restart(Restart::Never), true)?;
/// while told.try_recv().is_err() {
///     let _ = manager.turn(None)?;
/// }
/// let message = client.next(&mut manager.cx()).expect("what happened");
/// assert!(message.contains(r#""event":"load""#) && message.contains(r#""topic":"JOB:hello""#));
/// client.close(&mut manager.cx());
/// # Ok::<(), gaffer::Error>(())
/// ```
pub struct Subscriptions {
    wake: Wake,
    topics: HashMap<Topic, Subscription>,
    /// None before the first topic and after the last.
    client: Option<ClientId>,
    /// Ends with us, and the hub sees it.
    alive: Arc<()>,
    max_topics: usize,
    max_queue: usize,
}

struct Subscription {
    count: u64,
    key: Key,
    entry: EntryId,
}

impl Subscriptions {
    /// None yet; `wake` is called when the first message waits.
    pub fn new(wake: impl Fn(&mut Cx<'_>) + Send + Sync + 'static) -> Self {
        Self {
            wake: Arc::new(wake),
            topics: HashMap::new(),
            client: None,
            alive: Arc::new(()),
            max_topics: MAX_TOPICS,
            max_queue: MAX_QUEUE,
        }
    }

    /// So many topics at most; further ones are refused. Default [`MAX_TOPICS`].
    #[must_use]
    pub const fn max_topics(mut self, topics: usize) -> Self {
        self.max_topics = topics;
        self
    }

    /// So many bytes may wait. Default [`MAX_QUEUE`].
    #[must_use]
    pub const fn max_queue(mut self, bytes: usize) -> Self {
        self.max_queue = bytes;
        self
    }

    /// Subscribes a topic once more. `interval` is the time between two samples of `STATS`, at least 0.1 s; the last one given
    /// holds. Default 1 s.
    ///
    /// # Errors
    ///
    /// 400 `invalid_topic`; 404 `not_found` for a process that is not there, and for `STATS` of a job that is not loaded; 404
    /// `stream_not_found`; 503 `full` where there are too many.
    pub fn subscribe(
        &mut self,
        cx: &mut Cx<'_>,
        spelling: &str,
        interval: Option<Duration>,
    ) -> Result<(), CommandError> {
        let topic = parse(spelling)?;
        let mut key = Key { topic: topic.clone(), spelling: spelling.to_owned(), interval: INTERVAL };
        if let Some(known) = self.topics.get_mut(&topic) {
            known.count += 1;
            if let (Some(interval), Topic::Stats(_), Some(client)) = (interval, &topic, self.client) {
                if interval != known.key.interval {
                    key.interval = interval;
                    key.spelling.clone_from(&known.key.spelling);
                    hub::leave(cx, client, known.entry);
                    known.entry = hub::join(cx, client, key.clone());
                    known.key = key;
                }
            }
            return Ok(());
        }
        if self.topics.len() >= self.max_topics {
            let reason = format!("{} topics are subscribed, and that is all there may be", self.max_topics);
            return Err(CommandError::new(503, "full", reason));
        }
        key.topic = existing(cx, topic.clone())?;
        if matches!(topic, Topic::Stats(_)) {
            key.interval = interval.unwrap_or(INTERVAL);
        }
        let client = self.client(cx);
        let entry = hub::join(cx, client, key.clone());
        self.topics.insert(topic, Subscription { count: 1, key, entry });
        Ok(())
    }

    /// Takes one subscription of a topic back; false if there was none.
    ///
    /// # Errors
    ///
    /// 400 `invalid_topic`.
    pub fn unsubscribe(&mut self, cx: &mut Cx<'_>, spelling: &str) -> Result<bool, CommandError> {
        let Entry::Occupied(mut known) = self.topics.entry(parse(spelling)?) else { return Ok(false) };
        known.get_mut().count -= 1;
        if known.get().count == 0 {
            let entry = known.remove().entry;
            if let Some(client) = self.client {
                hub::leave(cx, client, entry);
            }
        }
        Ok(true)
    }

    /// Takes a topic back, however often it was subscribed.
    pub(super) fn end(&mut self, cx: &mut Cx<'_>, topic: &Topic) {
        if let (Some(subscription), Some(client)) = (self.topics.remove(topic), self.client) {
            hub::leave(cx, client, subscription.entry);
        }
    }

    pub(super) fn contains(&self, topic: &Topic) -> bool {
        self.topics.contains_key(topic)
    }

    /// The next message that waits, a JSON object; the owner is told again only after there was none.
    pub fn next(&mut self, cx: &mut Cx<'_>) -> Option<Arc<str>> {
        cx.shared::<Hub>().next(self.client?)
    }

    /// How many topics are subscribed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.topics.len()
    }

    /// Whether no topic is subscribed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    fn client(&mut self, cx: &mut Cx<'_>) -> ClientId {
        if let Some(client) = self.client {
            return client;
        }
        hub::bury(cx);
        let client = cx.shared::<Hub>().add_client(&self.alive, Arc::clone(&self.wake), self.max_queue);
        *self.client.insert(client)
    }

    /// A way to bring an answer to this client later, between what it has subscribed.
    pub(super) fn answer_later(
        &mut self,
        cx: &mut Cx<'_>,
    ) -> impl FnOnce(&mut Cx<'_>, String) + Send + 'static + use<> {
        let (client, alive) = (self.client(cx), Arc::downgrade(&self.alive));
        move |cx, answer| hub::send(cx, client, &alive, answer)
    }

    /// Ends all subscriptions, and drops what waits.
    pub fn close(&mut self, cx: &mut Cx<'_>) {
        // Answers that are on their way find nobody.
        self.alive = Arc::new(());
        let Some(client) = self.client.take() else { return };
        for (_, subscription) in self.topics.drain() {
            hub::leave(cx, client, subscription.entry);
        }
        hub::forget(cx, client);
    }
}

fn parse(topic: &str) -> Result<Topic, CommandError> {
    topic.parse().map_err(|e: crate::Error| CommandError::new(400, "invalid_topic", e.to_string()))
}

/// The topic, if its subject is there; a stream with its label.
fn existing(cx: &Cx<'_>, topic: Topic) -> Result<Topic, CommandError> {
    match &topic {
        Topic::Process(Subject::Process(pid)) | Topic::Stats(Subject::Process(pid)) => drop(cx.process(*pid)?),
        Topic::Stats(Subject::Job(name)) => drop(cx.info(name.as_str())?),
        Topic::Stream(pid, label) => {
            let first = first_stream(cx, *pid)?;
            let config = cx.process(*pid)?.config;
            let mut labels = config.redirect_output.iter().chain(&config.custom_streams);
            return match (label, first) {
                (Some(label), _) if labels.any(|known| known == label) => Ok(topic),
                (None, Some(first)) => Ok(Topic::Stream(*pid, Some(first))),
                (label, _) => {
                    let which = label.as_deref().unwrap_or("of output");
                    let reason = format!("process {pid}: no stream `{which}`");
                    Err(CommandError::new(404, "stream_not_found", reason))
                }
            };
        }
        _ => {}
    }
    Ok(topic)
}

impl fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.topics.values().map(|subscription| &subscription.key.spelling)).finish()
    }
}
