//! Who gets what: one subscription of the manager's for each topic, however many clients want it, and each event
//! written once for all of them.
//!
//! The hub is [shared](crate::manager::Supervisor::shared) by everybody who has [`Subscriptions`](super::Subscriptions).
//! What comes is put into the queue of each client; the client's owner is told when there is something in it, once, and takes it
//! when its transport has room.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::{Value, json};

use super::Topic;
use super::json::{event_json, stats_json, unix_time};
use super::pieces::Pieces;
use super::topic::Subject;
use crate::events::SubscriptionId;
use crate::manager::{Cx, Flow, MonitorId, StreamChunk, StreamData, StreamSelector, TapId, Target};
use crate::process::{Event, JobName};

/// Told when there is something in a queue that was empty.
pub(super) type Wake = Arc<dyn Fn(&mut Cx<'_>) + Send + Sync>;

/// What makes two subscriptions the same for the manager.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) topic: Topic,
    /// How the client writes it; it comes back in each event.
    pub(super) spelling: String,
    /// Between samples.
    pub(super) interval: Duration,
}

/// A client in the hub; it ends with `alive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientId(usize);

/// A topic that somebody wants; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct EntryId(u64);

struct Entry {
    key: Key,
    members: Vec<usize>,
    source: Source,
}

/// What the manager has to end when nobody wants it any more.
#[derive(Default)]
struct Source {
    events: Vec<SubscriptionId>,
    monitor: Option<MonitorId>,
    tap: Option<TapId>,
}

struct Client {
    alive: Weak<()>,
    wake: Wake,
    queue: Queue,
}

#[derive(Default)]
pub(super) struct Hub {
    last: u64,
    entries: HashMap<EntryId, Entry>,
    keys: HashMap<Key, EntryId>,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
}

/// Messages that wait for one client.
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    /// Of the messages.
    bytes: usize,
    max: usize,
    /// The owner was told and has not emptied it since.
    told: bool,
}

enum Waiting {
    Message(Arc<str>),
    /// So many were left out here.
    Gap(u64),
}

impl Queue {
    pub(super) const fn new(max: usize) -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, max, told: false }
    }

    /// The same for an answer, which is never left out: who may ask is bounded.
    fn push_always(&mut self, message: Arc<str>) -> bool {
        self.bytes += message.len();
        self.waiting.push_back(Waiting::Message(message));
        !std::mem::replace(&mut self.told, true)
    }

    /// Whether the owner is to be told.
    fn push(&mut self, message: &Arc<str>) -> bool {
        let is_gap = matches!(self.waiting.back(), Some(Waiting::Gap(_)));
        // Once something was left out, half of the room must be there again. A message that is larger than the bound is
        // taken alone, or it could never come.
        let full = if is_gap {
            self.bytes > self.max / 2
        } else {
            self.bytes > 0 && self.bytes.saturating_add(message.len()) > self.max
        };
        match self.waiting.back_mut() {
            Some(Waiting::Gap(n)) if full => *n += 1,
            _ if full => self.waiting.push_back(Waiting::Gap(1)),
            _ => {
                self.bytes += message.len();
                self.waiting.push_back(Waiting::Message(Arc::clone(message)));
            }
        }
        !std::mem::replace(&mut self.told, true)
    }

    fn pop(&mut self) -> Option<Arc<str>> {
        match self.waiting.pop_front() {
            Some(Waiting::Message(message)) => {
                self.bytes -= message.len();
                Some(message)
            }
            Some(Waiting::Gap(n)) => Some(json!({"event": "gaffer:gap", "data": {"dropped": n}}).to_string().into()),
            None => {
                self.told = false;
                // A burst must not hold its room for ever.
                self.waiting = VecDeque::new();
                None
            }
        }
    }
}

impl Hub {
    pub(super) fn add_client(&mut self, alive: &Arc<()>, wake: Wake, max: usize) -> ClientId {
        let client = Client { alive: Arc::downgrade(alive), wake, queue: Queue::new(max) };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.clients.push(None);
            self.clients.len() - 1
        });
        self.clients[slot] = Some(client);
        ClientId(slot)
    }

    pub(super) fn next(&mut self, client: ClientId) -> Option<Arc<str>> {
        self.clients.get_mut(client.0)?.as_mut()?.queue.pop()
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.clients.iter().flatten().count())
    }
}

/// Adds a client to those who want a topic; the topic's subject is there.
pub(super) fn join(cx: &mut Cx<'_>, client: ClientId, key: Key) -> EntryId {
    let hub = cx.shared::<Hub>();
    if let Some(&id) = hub.keys.get(&key) {
        if let Some(entry) = hub.entries.get_mut(&id) {
            entry.members.push(client.0);
        }
        return id;
    }
    hub.last += 1;
    let id = EntryId(hub.last);
    let source = listen(cx, id, &key);
    let hub = cx.shared::<Hub>();
    hub.keys.insert(key.clone(), id);
    hub.entries.insert(id, Entry { key, members: vec![client.0], source });
    id
}

/// Takes a client from those who want a topic; what nobody wants ends.
pub(super) fn leave(cx: &mut Cx<'_>, client: ClientId, id: EntryId) {
    let hub = cx.shared::<Hub>();
    let Some(entry) = hub.entries.get_mut(&id) else { return };
    entry.members.retain(|&member| member != client.0);
    if entry.members.is_empty() {
        if let Some(entry) = hub.entries.remove(&id) {
            hub.keys.remove(&entry.key);
            end(cx, entry.source);
        }
    }
}

/// Forgets a client that has left everything.
pub(super) fn forget(cx: &mut Cx<'_>, client: ClientId) {
    let hub = cx.shared::<Hub>();
    if hub.clients.get_mut(client.0).and_then(Option::take).is_some() {
        hub.free.push(client.0);
    }
}

fn end(cx: &mut Cx<'_>, source: Source) {
    for id in source.events {
        cx.unsubscribe(id);
    }
    if let Some(id) = source.monitor {
        cx.unmonitor(id);
    }
    if let Some(id) = source.tap {
        cx.untap(id);
    }
}

/// Forgets clients whose owner was dropped without a word.
pub(super) fn bury(cx: &mut Cx<'_>) {
    let hub = cx.shared::<Hub>();
    let is_dead = |client: &Option<Client>| client.as_ref().is_some_and(|client| client.alive.strong_count() == 0);
    let dead: Vec<usize> = (0..hub.clients.len()).filter(|&slot| is_dead(&hub.clients[slot])).collect();
    let all: Vec<EntryId> = hub.entries.keys().copied().collect();
    for slot in dead {
        for &id in &all {
            leave(cx, ClientId(slot), id);
        }
        forget(cx, ClientId(slot));
    }
}

/// Subscribes to what a topic means.
fn listen(cx: &mut Cx<'_>, id: EntryId, key: &Key) -> Source {
    let mut source = Source::default();
    match &key.topic {
        Topic::Events(pattern) => {
            let listener = move |cx: &mut Cx<'_>, topic: &str, event: &Arc<Event>| {
                deliver(cx, id, |spelling| about_event(event, topic, topic, spelling));
            };
            source.events.push(cx.on(pattern, listener));
        }
        Topic::Job(name) => source.events.push(on_job(cx, id, &format!("job.{name}"), name.clone())),
        Topic::Process(Subject::Job(name)) => {
            source.events.push(on_job(cx, id, &format!("proc.{}", name.short()), name.clone()));
        }
        Topic::Process(Subject::Process(pid)) => {
            source.events.push(cx.on(&format!("proc.{pid}"), move |cx, topic, event| {
                deliver(cx, id, |spelling| about_event(event, last(topic), topic, spelling));
            }));
        }
        // No topic is parsed as this.
        Topic::Process(Subject::All) => {}
        Topic::Stats(subject) => {
            let target = match subject {
                Subject::All => Target::All,
                Subject::Job(name) => Target::Job(name.clone()),
                Subject::Process(pid) => {
                    // There is nothing to sample afterwards.
                    let over = move |cx: &mut Cx<'_>, _: &str, _: &Arc<Event>| end_monitor(cx, id);
                    source.events.push(cx.once(&format!("proc.{pid}.exit"), over));
                    Target::Process(*pid)
                }
            };
            source.monitor = Some(cx.monitor(target, key.interval, move |cx, sample| {
                deliver(cx, id, |spelling| {
                    let mut data = stats_json(sample);
                    data["event"] = "stat".into();
                    message(data, spelling)
                });
            }));
        }
        Topic::Stream(pid, label) => {
            let mut which = StreamSelector::pid(*pid);
            which.label.clone_from(label);
            let mut pieces = Pieces::default();
            source.tap = Some(cx.tap(which, move |cx, chunk| {
                output(cx, id, chunk, &mut pieces);
                // A process never waits for a client.
                Flow::Continue
            }));
        }
    }
    source
}

fn on_job(cx: &mut Cx<'_>, id: EntryId, pattern: &str, name: JobName) -> SubscriptionId {
    cx.on(pattern, move |cx, topic, event| {
        // `proc.shop` would be the job `shop` of the default session and all jobs of the session `shop`.
        if event.job.as_deref() == Some(&name) {
            deliver(cx, id, |spelling| about_event(event, last(topic), topic, spelling));
        }
    })
}

fn end_monitor(cx: &mut Cx<'_>, id: EntryId) {
    let monitor = cx.shared::<Hub>().entries.get_mut(&id).and_then(|entry| entry.source.monitor.take());
    if let Some(monitor) = monitor {
        cx.unmonitor(monitor);
    }
}

fn output(cx: &mut Cx<'_>, id: EntryId, chunk: &StreamChunk<'_>, pieces: &mut Pieces) {
    let (text, is_end) = match chunk.data {
        StreamData::Bytes(bytes) => (pieces.feed(bytes), false),
        StreamData::End => (pieces.finish(), true),
    };
    if text.is_empty() && !is_end {
        return;
    }
    let origin = chunk.origin;
    deliver(cx, id, |spelling| {
        let mut data = json!({
            "event": &*origin.label,
            "name": origin.name.as_str(),
            "pid": origin.pid.0,
            "os_pid": origin.os_pid.0,
            "label": &*origin.label,
            "time": unix_time(std::time::SystemTime::now()),
            "data": text,
        });
        if is_end {
            data["end"] = true.into();
        }
        message(data, spelling)
    });
}

fn last(topic: &str) -> &str {
    topic.rsplit('.').next().unwrap_or(topic)
}

fn about_event(event: &Event, name: &str, topic: &str, spelling: &str) -> String {
    let mut data = event_json(event, topic);
    data["event"] = name.into();
    message(data, spelling)
}

fn message(mut data: Value, spelling: &str) -> String {
    data["topic"] = spelling.into();
    json!({"event": "gaffer:event", "data": data}).to_string()
}

/// Brings an answer to a client, if it is still there.
pub(super) fn send(cx: &mut Cx<'_>, client: ClientId, alive: &Weak<()>, answer: String) {
    // Its place may be another's by now.
    if alive.strong_count() == 0 {
        return bury(cx);
    }
    let client = cx.shared::<Hub>().clients.get_mut(client.0).and_then(Option::as_mut);
    let wake = client.filter(|client| client.alive.ptr_eq(alive)).and_then(|client| {
        let tell = client.queue.push_always(answer.into());
        tell.then(|| Arc::clone(&client.wake))
    });
    if let Some(wake) = wake {
        wake(cx);
    }
}

/// Puts a message into the queue of everybody who wants it.
fn deliver(cx: &mut Cx<'_>, id: EntryId, write: impl FnOnce(&str) -> String) {
    let Hub { entries, clients, .. } = cx.shared::<Hub>();
    let Some(entry) = entries.get(&id) else { return };
    let message: Arc<str> = write(&entry.key.spelling).into();
    let (mut wakes, mut dead) = (Vec::new(), false);
    for &member in &entry.members {
        let Some(client) = clients.get_mut(member).and_then(Option::as_mut) else { continue };
        if client.alive.strong_count() == 0 {
            dead = true;
        } else if client.queue.push(&message) {
            wakes.push(Arc::clone(&client.wake));
        }
    }
    for wake in wakes {
        wake(cx);
    }
    if dead {
        bury(cx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_says_what_it_left_out() {
        let mut queue = Queue::new(10);
        let message = |n: usize| Arc::<str>::from(n.to_string().repeat(4));
        assert!(queue.push(&message(1)), "the first one is told");
        for n in 2..6 {
            assert!(!queue.push(&message(n)), "and no other");
        }
        assert_eq!(queue.pop().as_deref(), Some("1111"));
        // Half of the room is there again, and the gap stands where messages are missing.
        assert!(!queue.push(&message(6)));
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        let gap = r#"{"data":{"dropped":3},"event":"gaffer:gap"}"#;
        assert_eq!(rest.iter().map(|m| &**m).collect::<Vec<_>>(), ["2222", gap, "6666"]);
        assert_eq!(queue.bytes, 0);
        assert!(queue.push(&message(7)), "told again");
        assert_eq!(queue.pop().as_deref(), Some("7777"));
        let large = Arc::<str>::from("x".repeat(100));
        queue.push(&large);
        queue.push(&message(8));
        assert_eq!(queue.pop(), Some(large));
        assert_eq!(queue.pop().as_deref(), Some(&*gap.replace('3', "1")));
    }
}
