//! What comes over the channel of a node, sorted: answers to those who asked, events to their topics.

use std::collections::{HashMap, VecDeque};

use serde_json::{Value, json};

use super::answer::missing;
use super::link::Receive;
use crate::controller::CommandError;
use crate::proto::ws::Event;
use crate::{Error, ErrorKind, Result};

/// What a node answers.
pub(super) type Answer = Result<Value, CommandError>;

/// Of one connection.
#[derive(Debug)]
pub(super) struct Inbox {
    /// Bytes of messages that may wait in each topic.
    pub(super) max_queue: usize,
    last: u64,
    /// Who waits for an answer, and what has come.
    answers: HashMap<u64, Option<Answer>>,
    /// Those who asked about topics, in the order in which they will be answered: these answers have no name.
    asked: VecDeque<u64>,
    /// Who listens to what.
    topics: Vec<Topic>,
}

#[derive(Debug)]
struct Topic {
    id: u64,
    name: String,
    queue: Queue,
    /// It was unsubscribed: nothing more comes.
    ended: bool,
}

/// Messages that wait.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Item>,
    bytes: usize,
}

#[derive(Debug)]
enum Item {
    /// An event, and how long it was.
    Event(Value, usize),
    /// So many were left out here.
    Gap(u64),
}

impl Queue {
    fn push(&mut self, event: Value, bytes: usize, max: usize) {
        // Once something was left out, half of the room must be there again. What is larger than the bound is taken alone, or it
        // could never come.
        let is_gap = matches!(self.waiting.back(), Some(Item::Gap(_)));
        let full = if is_gap { self.bytes > max / 2 } else { self.bytes > 0 && self.bytes.saturating_add(bytes) > max };
        if full {
            return self.gap(1);
        }
        self.bytes += bytes;
        self.waiting.push_back(Item::Event(event, bytes));
    }

    fn gap(&mut self, more: u64) {
        match self.waiting.back_mut() {
            Some(Item::Gap(n)) => *n = n.saturating_add(more),
            _ => self.waiting.push_back(Item::Gap(more)),
        }
    }

    fn pop(&mut self) -> Option<Value> {
        Some(match self.waiting.pop_front()? {
            Item::Event(event, bytes) => {
                self.bytes -= bytes;
                event
            }
            Item::Gap(n) => json!({"event": "gap", "dropped": n}),
        })
    }
}

impl Inbox {
    pub(super) fn new(max_queue: usize) -> Self {
        Self { max_queue, last: 0, answers: HashMap::new(), asked: VecDeque::new(), topics: Vec::new() }
    }

    /// Somebody who will wait for an answer.
    pub(super) fn ask(&mut self) -> u64 {
        self.last += 1;
        self.answers.insert(self.last, None);
        self.last
    }

    /// The same about a topic; the questions must go out in this order.
    pub(super) fn ask_about_topic(&mut self) -> u64 {
        let id = self.ask();
        self.asked.push_back(id);
        id
    }

    /// The answer, once.
    pub(super) fn answer(&mut self, id: u64) -> Option<Answer> {
        self.answers.get_mut(&id)?.take().inspect(|_| drop(self.answers.remove(&id)))
    }

    pub(super) fn is_answered(&self, id: u64) -> bool {
        self.answers.get(&id).is_none_or(Option::is_some)
    }

    /// Nobody waits for this answer any more.
    pub(super) fn forget(&mut self, id: u64) {
        self.answers.remove(&id);
    }

    /// Somebody listens, from now on.
    pub(super) fn listen(&mut self, name: &str) -> u64 {
        self.last += 1;
        self.topics.push(Topic { id: self.last, name: name.to_owned(), queue: Queue::default(), ended: false });
        self.last
    }

    /// Somebody listens no more; whether anything has to be unsubscribed.
    pub(super) fn leave(&mut self, id: u64) -> bool {
        let place = self.topics.iter().position(|topic| topic.id == id);
        place.is_some_and(|place| !self.topics.swap_remove(place).ended)
    }

    /// Nothing more comes under this topic; how many have listened.
    pub(super) fn end(&mut self, name: &str) -> usize {
        let listening = self.topics.iter_mut().filter(|topic| topic.name == name && !topic.ended);
        listening.map(|topic| topic.ended = true).count()
    }

    /// The next event for a listener; `Some(None)` when no more will come.
    pub(super) fn next(&mut self, id: u64) -> Option<Option<Value>> {
        let Some(topic) = self.topics.iter_mut().find(|topic| topic.id == id) else { return Some(None) };
        match topic.queue.pop() {
            Some(event) => Some(Some(event)),
            None => topic.ended.then_some(None),
        }
    }

    fn answered(&mut self, id: u64, answer: Answer) {
        // Who does not wait any more has taken the place away.
        if let Some(place) = self.answers.get_mut(&id) {
            *place = Some(answer);
        }
    }

    fn event(&mut self, event: Value, bytes: usize) {
        let name = event["topic"].as_str().unwrap_or_default();
        let max = self.max_queue;
        for topic in self.topics.iter_mut().filter(|topic| topic.name == name && !topic.ended) {
            topic.queue.push(event.clone(), bytes, max);
        }
    }
}

impl Receive for Inbox {
    fn receive(&mut self, event: Event) -> Result<()> {
        let Event::Text(text) = event else { return Ok(()) };
        let mut message: Value = serde_json::from_str(&text)
            .map_err(|_| Error::new(ErrorKind::Invalid, "a message that is no JSON; is this a gaffer node?"))?;
        let data = message["data"].take();
        match message["event"].as_str().unwrap_or_default() {
            "gaffer:event" => self.event(data, text.len()),
            "gaffer:gap" => {
                // It does not say whose they were.
                let n = data["dropped"].as_u64().unwrap_or(1);
                self.topics.iter_mut().filter(|topic| !topic.ended).for_each(|topic| topic.queue.gap(n));
            }
            kind @ ("gaffer:command_success" | "gaffer:command_error") => {
                let id = data["id"].as_u64().ok_or_else(|| missing("id of a command"))?;
                let mut data = data;
                let answer = match kind {
                    "gaffer:command_success" => Ok(data["result"].take()),
                    _ => Err(refused(&data["error"])),
                };
                self.answered(id, answer);
            }
            "gaffer:subscription_success" | "gaffer:unsubscription_success" => {
                if let Some(id) = self.asked.pop_front() {
                    self.answered(id, Ok(Value::Null));
                }
            }
            // 0.5 says it without the prefix.
            "gaffer:subscription_error" | "subscription_error" => {
                if let Some(id) = self.asked.pop_front() {
                    self.answered(id, Err(refused(&data)));
                }
            }
            // We were not understood, so nobody knows which answers are to come.
            "gaffer:error" => {
                let word = data["error"].as_str().unwrap_or_default();
                let kind = match word {
                    "AUTH_REQUIRED" | "FORBIDDEN" => ErrorKind::Forbidden,
                    _ => ErrorKind::Invalid,
                };
                let why = data["message"].as_str().or(data["reason"].as_str()).unwrap_or(word);
                return Err(Error::new(kind, why.to_owned()));
            }
            // Something of a newer node.
            _ => {}
        }
        Ok(())
    }

    fn sign(&self) -> Option<&'static str> {
        Some(r#"{"event":"NOP"}"#)
    }
}

/// An error as it came; 0.5 has no sentences and, for topics, no numbers.
fn refused(error: &Value) -> CommandError {
    let reason = error["reason"].as_str().unwrap_or("unknown").to_owned();
    let errno = error["errno"].as_u64().and_then(|n| u16::try_from(n).ok()).unwrap_or(match reason.as_str() {
        "forbidden" => 403,
        "stream_not_found" | "not_found" => 404,
        _ => 400,
    });
    let message = error["message"].as_str().map_or_else(|| reason.clone(), str::to_owned);
    CommandError::new(errno, reason, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(inbox: &mut Inbox, message: &Value) -> Result<()> {
        inbox.receive(Event::Text(message.to_string()))
    }

    #[test]
    fn a_full_queue_says_what_it_left_out() {
        let mut inbox = Inbox::new(300);
        let (a, b) = (inbox.listen("A"), inbox.listen("B"));
        let event = |n: u64| json!({"event": "gaffer:event", "data": {"event": "e", "topic": "A", "n": n}});
        let size = event(1).to_string().len();
        let fit = 300 / size;
        for n in 0..10 {
            text(&mut inbox, &event(n)).expect("taken");
        }
        for n in 0..fit as u64 {
            assert_eq!(inbox.next(a).expect("one").expect("an event")["n"], n);
        }
        text(&mut inbox, &event(10)).expect("taken");
        text(&mut inbox, &json!({"event": "gaffer:gap", "data": {"dropped": 5}})).expect("taken");
        text(&mut inbox, &json!({"event": "gaffer:gap", "data": {"dropped": 2}})).expect("taken");
        let rest: Vec<Value> = std::iter::from_fn(|| inbox.next(a).flatten()).collect();
        assert_eq!(rest[0]["dropped"], 10 - fit as u64);
        assert_eq!((&rest[1]["n"], &rest[2]["dropped"], rest.len()), (&json!(10), &json!(7), 3));
        assert_eq!(inbox.next(b).expect("the gap may be of B").expect("an event")["dropped"], 7);
        assert_eq!(inbox.end("B"), 1);
        assert_eq!((inbox.next(b), inbox.next(a)), (Some(None), None));
        assert!(inbox.leave(a) && !inbox.leave(b) && !inbox.leave(b));
    }

    #[test]
    fn answers_find_who_asked() {
        let mut inbox = Inbox::new(300);
        let (command, sub, unsub) = (inbox.ask(), inbox.ask_about_topic(), inbox.ask_about_topic());
        inbox.forget(sub);
        text(&mut inbox, &json!({"event": "gaffer:subscription_success", "topic": "A"})).expect("taken");
        assert!(!inbox.is_answered(unsub) && !inbox.is_answered(command));
        text(&mut inbox, &json!({"event": "subscription_error", "data": {"reason": "forbidden"}})).expect("taken");
        let error = inbox.answer(unsub).expect("an answer").expect_err("an error");
        assert_eq!((error.errno, &*error.reason), (403, "forbidden"));
        let error = json!({"errno": 404, "reason": "not_found", "message": "no job x"});
        text(&mut inbox, &json!({"event": "gaffer:command_error", "data": {"id": command, "error": error}}))
            .expect("taken");
        assert!(inbox.is_answered(command));
        let error = inbox.answer(command).expect("an answer").expect_err("an error");
        assert_eq!((error.errno, &*error.message), (404, "no job x"));
        assert_eq!(inbox.answer(command), None);
        let refusal = text(&mut inbox, &json!({"event": "gaffer:error", "data": {"error": "AUTH_REQUIRED"}}));
        assert_eq!(refusal.expect_err("it ends").kind(), ErrorKind::Forbidden);
        assert!(inbox.receive(Event::Text("{".to_owned())).is_err());
        assert!(text(&mut inbox, &json!({"event": "gaffer:news"})).is_ok());
    }
}
