//! Commands and topics against a manager, without a transport.

mod commands;
mod topics;

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{Session, run};
use crate::manager::Manager;

pub(super) struct Node {
    pub(super) manager: Manager,
    pub(super) session: Session,
}

impl Node {
    pub(super) fn new() -> Self {
        Self { manager: Manager::new().expect("a manager"), session: Session::new(|_| {}) }
    }

    /// The answer to a message, if there is one.
    pub(super) fn say(&mut self, message: &Value) -> Option<Value> {
        self.say_text(&message.to_string())
    }

    pub(super) fn say_text(&mut self, message: &str) -> Option<Value> {
        let mut answers = Vec::new();
        self.session.message(&mut self.manager.cx(), message, &mut |answer| answers.push(answer));
        assert!(answers.len() <= 1, "{answers:?}");
        answers.pop().map(|answer| serde_json::from_str(&answer).expect("JSON"))
    }

    #[track_caller]
    pub(super) fn subscribe(&mut self, topic: &str) {
        let answer = self.say(&json!({"event": "SUB", "data": {"topic": topic}})).expect("an answer");
        let want = json!({"event": "gaffer:subscription_success", "topic": topic, "data": {"topic": topic}});
        assert_eq!(answer, want);
    }

    #[track_caller]
    pub(super) fn unsubscribe(&mut self, topic: &str) {
        let answer = self.say(&json!({"event": "UNSUB", "data": {"topic": topic}})).expect("an answer");
        assert_eq!(answer["event"], "gaffer:unsubscription_success", "{answer}");
    }

    /// A command that works.
    #[track_caller]
    pub(super) fn run(&mut self, name: &str, args: Value) -> Value {
        let list = args.as_array().expect("a list");
        run(&mut self.manager.cx(), name, list, &Map::new()).unwrap_or_else(|e| panic!("{name} {args}: {e}"))
    }

    /// A command that does not.
    #[track_caller]
    pub(super) fn fails(&mut self, name: &str, args: Value) -> (u16, String) {
        let list = args.as_array().expect("a list");
        match run(&mut self.manager.cx(), name, list, &Map::new()) {
            Ok(answer) => panic!("{name} {args}: {answer}"),
            Err(e) => {
                assert!(!e.message.is_empty());
                (e.errno, e.reason.into_owned())
            }
        }
    }

    /// Turns until `done` answers something.
    #[track_caller]
    pub(super) fn wait<T>(&mut self, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(answer) = done(self) {
                return answer;
            }
            assert!(Instant::now() < deadline, "timed out: {:?}", self.manager);
            let _ = self.manager.turn(Some(Duration::from_millis(50))).expect("a turn");
        }
    }

    /// Turns until a message comes that `wanted` accepts, and gives its data.
    #[track_caller]
    pub(super) fn event(&mut self, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        self.wait(|node| {
            while let Some(message) = node.session.next(&mut node.manager.cx()) {
                let mut message: Value = serde_json::from_str(&message).expect("JSON");
                assert_eq!(message["event"], "gaffer:event", "{message}");
                if wanted(&message["data"]) {
                    return Some(message["data"].take());
                }
            }
            None
        })
    }

    /// Subscriptions to events, output and figures.
    pub(super) fn listeners(&mut self) -> (usize, usize, usize) {
        let mut cx = self.manager.cx();
        (cx.events().subscriptions(), cx.taps(), cx.monitors())
    }
}
