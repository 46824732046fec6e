//! One publish and its deliveries, by text and by topic, against the original's algorithm.
//!
//! All cells of a block are measured in turn, round by round, and the medians are printed.

#![allow(clippy::print_stdout, missing_docs, reason = "a program of its own")]

use std::collections::{HashMap, VecDeque};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use gaffer::events::{EventEmitter, Topic};

const TOPIC: &str = "proc.web.exit";
const UNRELATED: [usize; 3] = [10, 10_000, 100_000];
const ROUNDS: usize = 31;
/// Events published before each dispatch.
const BATCH: u64 = 32;

/// The original's algorithm, as one would write it in Rust: a map from each dotted prefix to its
/// listeners, one queue for wildcards and one for topics with an entry per prefix, and the
/// listeners looked up when the entry is dispatched.
#[derive(Default)]
struct Base {
    listeners: HashMap<String, Vec<BaseListener>>,
    wildcards: VecDeque<Arc<BaseEvent>>,
    queue: VecDeque<(String, Arc<BaseEvent>)>,
}

type BaseListener = Box<dyn FnMut(&mut u64, &BaseEvent) + Send>;

struct BaseEvent {
    topic: String,
    payload: u64,
}

impl Base {
    const MAX: usize = 10_000;

    fn subscribe(&mut self, pattern: &str, listener: impl FnMut(&mut u64, &BaseEvent) + Send + 'static) {
        self.listeners.entry(pattern.to_owned()).or_default().push(Box::new(listener));
    }

    fn publish(&mut self, topic: &str, payload: u64) {
        let event = Arc::new(BaseEvent { topic: topic.to_owned(), payload });
        if self.wildcards.len() == Self::MAX {
            self.wildcards.pop_front();
        }
        self.wildcards.push_back(Arc::clone(&event));
        let ends = topic.match_indices('.').map(|(dot, _)| dot).chain([topic.len()]);
        for end in ends {
            if self.queue.len() == Self::MAX {
                self.queue.pop_front();
            }
            self.queue.push_back((topic[..end].to_owned(), Arc::clone(&event)));
        }
    }

    fn dispatch(&mut self, cx: &mut u64) {
        while let Some(event) = self.wildcards.pop_front() {
            for listener in self.listeners.get_mut(".").into_iter().flatten() {
                listener(cx, &event);
            }
        }
        while let Some((prefix, event)) = self.queue.pop_front() {
            for listener in self.listeners.get_mut(&prefix).into_iter().flatten() {
                listener(cx, &event);
            }
        }
    }
}

/// One emitter of each kind with the same subscriptions.
struct World {
    base: Base,
    ours: EventEmitter<u64, u64>,
    topic: Topic,
    /// The topics of the unrelated subscriptions.
    others: Vec<(String, Topic)>,
}

fn unrelated(n: usize) -> String {
    if n % 2 == 0 { format!("proc.{n}.exit") } else { format!("job.default.{n}") }
}

impl World {
    fn new(subscribers: usize, others: usize) -> Self {
        let mut world = Self {
            base: Base::default(),
            ours: EventEmitter::new(),
            topic: EventEmitter::<u64>::new().topic(TOPIC),
            others: Vec::new(),
        };
        for n in 0..others / 2 {
            world.subscribe(&unrelated(n));
        }
        for _ in 0..subscribers {
            world.subscribe(TOPIC);
        }
        for n in others / 2..others {
            world.subscribe(&unrelated(n));
        }
        world.topic = world.ours.topic(TOPIC);
        for n in 0..others {
            let text = unrelated(n);
            let topic = world.ours.topic(&text);
            world.others.push((text, topic));
        }
        world
    }

    fn subscribe(&mut self, pattern: &str) {
        self.base.subscribe(pattern, |cx, event| *cx += event.payload + event.topic.len() as u64);
        self.ours.subscribe(pattern, |_, cx, event| *cx += event.payload + event.topic.len() as u64);
    }

    fn by_base(&mut self, n: u64, cx: &mut u64) {
        self.base.publish(black_box(TOPIC), n);
        if n % BATCH == BATCH - 1 {
            self.base.dispatch(cx);
        }
    }

    fn by_text(&mut self, n: u64, cx: &mut u64) {
        self.ours.publish(black_box(TOPIC), n);
        if n % BATCH == BATCH - 1 {
            self.ours.dispatch(cx);
        }
    }

    fn by_topic(&mut self, n: u64, cx: &mut u64) {
        self.ours.publish_to(black_box(&self.topic), n);
        if n % BATCH == BATCH - 1 {
            self.ours.dispatch(cx);
        }
    }

    /// A topic far from the last one, in an order that repeats late.
    fn scattered(&self, n: u64) -> usize {
        (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize % self.others.len()
    }

    fn scattered_base(&mut self, n: u64, cx: &mut u64) {
        let index = self.scattered(n);
        self.base.publish(&self.others[index].0, n);
        if n % BATCH == BATCH - 1 {
            self.base.dispatch(cx);
        }
    }

    fn scattered_text(&mut self, n: u64, cx: &mut u64) {
        let index = self.scattered(n);
        self.ours.publish(&self.others[index].0, n);
        if n % BATCH == BATCH - 1 {
            self.ours.dispatch(cx);
        }
    }

    fn scattered_topic(&mut self, n: u64, cx: &mut u64) {
        let index = self.scattered(n);
        self.ours.publish_to(&self.others[index].1, n);
        if n % BATCH == BATCH - 1 {
            self.ours.dispatch(cx);
        }
    }
}

type Way = fn(&mut World, u64, &mut u64);

const WAYS: [Way; 3] = [World::by_base, World::by_text, World::by_topic];
const SCATTERED: [Way; 3] = [World::scattered_base, World::scattered_text, World::scattered_topic];

/// Nanoseconds per publish, for each world and way.
fn measure(worlds: &mut [World], ways: [Way; 3], publishes: u64) -> Vec<[f64; 3]> {
    let mut samples = vec![[const { Vec::new() }; 3]; worlds.len()];
    for round in 0..=ROUNDS {
        for (world, samples) in worlds.iter_mut().zip(&mut samples) {
            let mut sums = [0; 3];
            for ((way, samples), sum) in ways.iter().zip(samples).zip(&mut sums) {
                let start = Instant::now();
                for n in 0..publishes {
                    way(world, n, sum);
                }
                let time = start.elapsed().as_nanos() as f64 / publishes as f64;
                // The first round warms up.
                if round > 0 {
                    samples.push(time);
                }
            }
            assert!(sums[0] > 0 && sums[0] == sums[1] && sums[0] == sums[2], "not the same work: {sums:?}");
        }
    }
    let median = |samples: &mut Vec<f64>| {
        samples.sort_by(f64::total_cmp);
        samples[samples.len() / 2]
    };
    samples.iter_mut().map(|cells| cells.each_mut().map(median)).collect()
}

fn print(what: &str, others: usize, [base, text, topic]: [f64; 3]) {
    let (by_text, by_topic) = (base / text, base / topic);
    println!("{what:>11} {others:>10} {base:>10.1} {text:>10.1} {by_text:>6.1}x {topic:>10.1} {by_topic:>6.1}x");
}

fn verdict(what: &str, value: f64, target: f64, at_least: bool) {
    let met = if at_least { value >= target } else { value <= target };
    let sign = if at_least { "≥" } else { "≤" };
    println!("{what}: {value:.2}x (target {sign} {target}x){}", if met { "" } else { " MISSED" });
}

fn main() {
    println!("ns per publish with its deliveries; topic {TOPIC}; ratios are base / ours");
    println!(
        "{:>11} {:>10} {:>10} {:>10} {:>7} {:>10} {:>7}",
        "subscribers", "unrelated", "base", "by text", "ratio", "by topic", "ratio"
    );
    let mut targets = Vec::new();
    for (subscribers, publishes) in [(1, 64 * BATCH), (10, 32 * BATCH), (1_000, 2 * BATCH)] {
        let mut worlds = UNRELATED.map(|others| World::new(subscribers, others));
        let cells = measure(&mut worlds, WAYS, publishes);
        for (&others, &cells) in UNRELATED.iter().zip(&cells) {
            print(&subscribers.to_string(), others, cells);
        }
        if subscribers == 1 {
            for (name, way) in [("text", 1), ("topic", 2)] {
                targets.push((
                    format!("by {name}, 1 subscriber, 10 000 unrelated"),
                    cells[1][0] / cells[1][way],
                    5.0,
                    true,
                ));
            }
        }
        for (name, way) in [("text", 1), ("topic", 2)] {
            let name = format!("by {name}, {subscribers} subscriber(s), time with 100 000 unrelated / with 10");
            targets.push((name, cells[2][way] / cells[0][way], 1.3, false));
        }
    }
    println!("each publish to another of the topics, one subscriber each (caches are cold; no target):");
    let mut worlds = UNRELATED.map(|others| World::new(0, others));
    let cells = measure(&mut worlds, SCATTERED, 64 * BATCH);
    for (&others, &cells) in UNRELATED.iter().zip(&cells) {
        print("scattered", others, cells);
    }
    println!();
    for (what, value, target, at_least) in targets {
        verdict(&what, value, target, at_least);
    }
}
