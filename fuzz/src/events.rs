//! The emitter against a naive matcher: a list of patterns, each split and compared for each event.
//!
//! The bytes are a program of operations. Listeners take their operations from the same bytes, and
//! every delivery is compared with what the model expects at that very moment.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};

use gaffer::events::{EventEmitter, Publisher, SubscriptionId, Topic};

type Emitter = EventEmitter<u32, World>;

/// How many events the publishers' queue gives at a time.
const BATCH: usize = 256;

/// The panic that a listener means.
struct Planned;

struct Sub {
    id: SubscriptionId,
    serial: u32,
    pattern: String,
    once: bool,
}

struct World {
    bytes: Vec<u8>,
    at: usize,
    operations: usize,
    subs: Vec<Sub>,
    ended: Vec<SubscriptionId>,
    topics: Vec<(Topic, String, usize)>,
    publisher: Publisher<u32>,
    queue: VecDeque<(String, usize, u32)>,
    inbox: VecDeque<(String, usize, u32)>,
    max: usize,
    dropped: u64,
    planned: u64,
    next: u32,
    closed: bool,
    /// The event under way and who is still to get it.
    event: (String, u32),
    expected: VecDeque<(u32, bool)>,
    budget: usize,
    taken: usize,
}

fn parts(text: &str) -> Vec<&str> {
    match text.strip_suffix('.').unwrap_or(text) {
        "" => Vec::new(),
        text => text.split('.').collect(),
    }
}

fn matches(pattern: &str, topic: &str, literal: usize) -> bool {
    let (pattern, topic) = (parts(pattern), parts(topic));
    let same = |(i, (p, t)): (usize, (&&str, &&str))| if *p == "*" { i >= literal } else { p == t };
    (literal..=topic.len()).contains(&pattern.len()) && pattern.iter().zip(&topic).enumerate().all(same)
}

impl World {
    fn byte(&mut self) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        byte.into()
    }

    fn text(&mut self) -> String {
        let shape = self.byte();
        let parts: Vec<_> =
            (0..shape % 5).map(|_| ["a", "b", "*", "a", "b", "*", "", "long-segment"][self.byte() % 8]).collect();
        let dot = if shape >= 200 || parts.is_empty() && shape >= 100 { "." } else { "" };
        parts.join(".") + dot
    }

    fn literal(&mut self) -> usize {
        self.byte().saturating_sub(128) % 5
    }

    fn pushed(&mut self, topic: &str, literal: usize, payload: u32) {
        if self.closed {
            return;
        }
        self.queue.push_back((topic.to_owned(), literal, payload));
        if self.queue.len() > self.max {
            self.queue.pop_front();
            self.dropped += 1;
        }
    }

    fn collect(&mut self) {
        let room = (self.max - self.queue.len()).min(BATCH).min(self.inbox.len());
        self.queue.extend(self.inbox.drain(..room));
    }

    fn has(&self, topic: &str, literal: usize) -> bool {
        self.subs.iter().any(|sub| matches(&sub.pattern, topic, literal))
    }

    /// Goes on to the next event that somebody gets.
    fn advance(&mut self) {
        while self.expected.is_empty() && self.taken < self.budget {
            if self.queue.is_empty() {
                self.collect();
            }
            let Some((topic, literal, payload)) = self.queue.pop_front() else { return };
            self.taken += 1;
            let mut found: Vec<_> = self.subs.iter().filter(|sub| matches(&sub.pattern, &topic, literal)).collect();
            found.sort_by_key(|sub| (parts(&sub.pattern).len(), sub.serial));
            self.expected = found.iter().map(|sub| (sub.serial, sub.once)).collect();
            self.event = (topic.strip_suffix('.').unwrap_or(&topic).to_owned(), payload);
        }
    }

    fn operate(&mut self, emitter: &mut Emitter) {
        self.operations += 1;
        match self.byte() % 32 {
            0 => {}
            1..=6 if self.subs.len() < 64 && !self.closed => {
                let (pattern, once) = (self.text(), self.byte() >= 192);
                let serial = self.next;
                self.next += 1;
                let listener =
                    move |emitter: &mut Emitter, world: &mut World, event: &gaffer::events::Delivery<'_, u32>| {
                        world.listen(emitter, serial, event);
                    };
                let id = match once {
                    true => emitter.subscribe_once(&pattern, listener),
                    false => emitter.subscribe(&pattern, listener),
                };
                self.subs.push(Sub { id, serial, pattern, once });
            }
            1..=9 if !self.subs.is_empty() => {
                let index = self.byte() % self.subs.len();
                let id = self.subs.remove(index).id;
                assert!(emitter.unsubscribe(id));
                self.ended.push(id);
            }
            10 if !self.ended.is_empty() => {
                let index = self.byte() % self.ended.len();
                let id = self.ended[index];
                assert!(!emitter.unsubscribe(id), "{id} ends twice");
            }
            11 => {
                let pattern = self.text();
                let (ended, kept) = self.subs.drain(..).partition(|sub| parts(&sub.pattern) == parts(&pattern));
                self.subs = kept;
                let ended: Vec<Sub> = ended;
                assert_eq!(emitter.unsubscribe_all(&pattern), ended.len(), "{pattern:?}");
                self.ended.extend(ended.iter().map(|sub| sub.id));
            }
            12 | 13 => {
                let (text, literal) = (self.text(), self.literal());
                let topic = emitter.topic_under(literal, &text);
                if self.topics.len() < 8 {
                    self.topics.push((topic, text, literal));
                } else {
                    let index = self.byte() % 8;
                    self.topics[index] = (topic, text, literal);
                }
            }
            14..=18 if !self.topics.is_empty() => {
                let index = self.byte() % self.topics.len();
                let (topic, text, literal) = self.topics[index].clone();
                self.next += 1;
                emitter.publish_to(&topic, self.next);
                self.pushed(&text, literal, self.next);
            }
            14..=20 => {
                let text = self.text();
                self.next += 1;
                emitter.publish(&text, self.next);
                self.pushed(&text, 0, self.next);
            }
            21..=23 => {
                let (text, literal) = (self.text(), self.literal());
                self.next += 1;
                emitter.publish_under(literal, &text, self.next);
                self.pushed(&text, literal, self.next);
            }
            24 => {
                let (text, literal) = (self.text(), self.literal());
                self.next += 1;
                let sent = self.publisher.publish_under(literal, &text, self.next);
                assert_eq!(sent.is_err(), self.closed);
                if !self.closed {
                    self.inbox.push_back((text, literal, self.next));
                    if self.inbox.len() > self.max {
                        self.inbox.pop_front();
                        self.dropped += 1;
                    }
                }
            }
            25..=27 => {
                let (text, literal) = (self.text(), self.literal());
                assert_eq!(
                    emitter.has_subscribers_under(literal, &text),
                    self.has(&text, literal),
                    "{text:?} {literal}"
                );
                let below = self.subs.iter().any(|sub| parts(&sub.pattern).starts_with(&parts(&text)));
                // It may lag behind what listeners end, never behind what they begin.
                assert!(emitter.has_patterns_under(&text) || !below, "{text:?}");
            }
            28 if self.byte() == 255 => {
                emitter.close();
                self.closed = true;
                self.ended.extend(self.subs.drain(..).map(|sub| sub.id));
                self.queue.clear();
                self.inbox.clear();
                self.expected.clear();
            }
            29 => {
                let index = self.byte();
                if index < self.topics.len() {
                    self.topics.swap_remove(index);
                }
            }
            _ => {
                assert_eq!(emitter.subscriptions(), self.subs.len());
                assert_eq!(emitter.len(), self.queue.len() + self.inbox.len());
                assert_eq!(emitter.is_empty(), self.queue.is_empty() && self.inbox.is_empty());
                assert_eq!(emitter.is_closed(), self.closed);
                assert_eq!(emitter.dropped(), self.dropped);
            }
        }
    }

    fn listen(&mut self, emitter: &mut Emitter, serial: u32, event: &gaffer::events::Delivery<'_, u32>) {
        let (expected, once) = self.expected.pop_front().expect("nobody is to be called");
        assert_eq!((serial, event.topic, *event.payload), (expected, self.event.0.as_str(), self.event.1));
        if once {
            if let Some(index) = self.subs.iter().position(|sub| sub.serial == serial) {
                self.ended.push(self.subs.remove(index).id);
            }
        }
        for _ in 0..self.byte() % 4 {
            self.operate(emitter);
        }
        assert_eq!(emitter.dispatch(self), 0, "a round within a round");
        let panics = self.byte() == 255;
        self.advance();
        if panics {
            self.planned += 1;
            // This way the panic hook keeps silent.
            resume_unwind(Box::new(Planned));
        }
    }
}

fn dispatch(emitter: &mut Emitter, world: &mut World, budget: usize, check: impl Fn(&World)) {
    (world.budget, world.taken) = (budget, 0);
    world.collect();
    world.advance();
    let taken = emitter.dispatch_budget(world, budget);
    check(world);
    assert_eq!((taken, world.expected.len()), (world.taken, 0), "the round ended elsewhere");
}

/// Runs the program and returns the number of its operations. Panics where the emitter is wrong.
pub fn operations(data: &[u8]) -> usize {
    let max = [16, 3, 1, 0, 100, 1000][usize::from(data.first().copied().unwrap_or(0) % 6)];
    let mut emitter = Emitter::with_max_size(max);
    let faults = Arc::new(Mutex::new((0, Vec::new())));
    let seen = Arc::clone(&faults);
    emitter.on_panic(move |event, panic| {
        let mut seen = seen.lock().expect("no panic under the lock");
        match panic.downcast::<Planned>() {
            Ok(_) => seen.0 += 1,
            Err(panic) => seen.1.push(format!("{event:?}: {:?}", panic.downcast_ref::<String>())),
        }
    });
    let foreign = EventEmitter::<(), ()>::new().topic_under(1, "a.b");
    let mut world = World {
        bytes: data.get(1..).unwrap_or_default().to_vec(),
        at: 0,
        operations: 0,
        subs: Vec::new(),
        ended: Vec::new(),
        topics: vec![(foreign, "a.b".to_owned(), 1)],
        publisher: emitter.publisher(),
        queue: VecDeque::new(),
        inbox: VecDeque::new(),
        max,
        dropped: 0,
        planned: 0,
        next: 0,
        closed: false,
        event: (String::new(), 0),
        expected: VecDeque::new(),
        budget: 0,
        taken: 0,
    };
    let check = |world: &World| {
        let faults = faults.lock().expect("no panic under the lock");
        assert!(faults.1.is_empty(), "{:#?}", faults.1);
        assert_eq!(faults.0, world.planned);
    };
    while world.at < world.bytes.len() {
        match world.byte() % 8 {
            0 => {
                let budget = world.byte();
                dispatch(&mut emitter, &mut world, budget, check);
            }
            1 => dispatch(&mut emitter, &mut world, max, check),
            _ => world.operate(&mut emitter),
        }
    }
    while !emitter.is_empty() {
        dispatch(&mut emitter, &mut world, max, check);
    }
    for sub in world.subs.drain(..) {
        assert!(emitter.unsubscribe(sub.id));
    }
    assert_eq!((emitter.trie_size(), emitter.subscriptions()), ((0, 0), 0), "something is left");
    world.operations
}

/// The property.
pub fn run(data: &[u8]) {
    operations(data);
}
