//! The protocol of the channel, whatever carries it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::shapes::hide_env;
use super::{Access, Command, CommandError, Scope, Subscriptions, Topic};
use crate::manager::Cx;

/// Who is asked before a [`Session`] does something.
pub trait Gate: Send {
    /// The client has shown a key; it is somebody else from now on, or nobody.
    ///
    /// # Errors
    ///
    /// The key is nobody's.
    fn authenticate(&mut self, key: &str) -> Result<(), CommandError>;

    /// Whether the client may do `what`, which needs `access` on `on`.
    ///
    /// # Errors
    ///
    /// 401 `unauthorized`, 403 `forbidden`.
    fn check(&mut self, what: &str, access: Access, on: &Scope) -> Result<(), CommandError>;

    /// Whether the client may see the environments of `on`.
    fn may_see_environment(&self, on: &Scope) -> bool;

    /// Whether the client is still somebody; what it has subscribed ends where not.
    fn is_alive(&self) -> bool;

    /// Whether the client may go on, after keys or rights have changed: somebody whose key is not good any more may not.
    ///
    /// # Errors
    ///
    /// 403 `forbidden`.
    fn recheck(&mut self) -> Result<(), CommandError> {
        Ok(())
    }
}

/// The longest interval between samples.
const DAY: Duration = Duration::from_secs(86_400);

/// The shortest one.
const SHORTEST: Duration = Duration::from_millis(100);

/// One client that sends commands and subscribes topics, by messages of JSON.
///
/// | message | answer |
/// |---|---|
/// | `{"event": "NOP"}` | none |
/// | `{"event": "SUB", "data": {"topic": T}}`, for `STATS` also `"interval": seconds` | `gaffer:subscription_success` with the topic, or `gaffer:subscription_error` |
/// | `{"event": "UNSUB", "data": {"topic": T}}` | `gaffer:unsubscription_success`, or `gaffer:subscription_error` |
/// | `{"event": "CMD", "data": {"identity": I, "name": N, "args": [..], "kwargs": {..}}}` | `gaffer:command_success` with `{"id": I, "result": {..}}`, or `gaffer:command_error` with `{"id": I, "error": {"errno", "reason", "message"}}` |
/// | `{"event": "AUTH", "data": {"key": K}}`, `AUTH:K` | none if the key is good, or nobody [asks](Self::guarded) for one; else `gaffer:error` with `{"error": "forbidden", "reason": …}` |
/// | anything else | `gaffer:error` with `{"error": "invalid_msg", "reason": R, "message": …}` |
///
/// Topics are those of [`Topic`](super::Topic), commands those of [`COMMANDS`](super::COMMANDS). What is subscribed comes as
/// `{"event": "gaffer:event", "data": {"event", "topic", …}}` by [`next`](Self::next), as
/// [`Subscriptions`] says; `topic` is what the client has written.
///
/// ```
/// use gaffer::controller::Session;
///
/// let mut manager = gaffer::Manager::new()?;
/// let mut session = Session::new(|_cx| { /* messages wait: have them sent */ });
/// let mut answers = Vec::new();
/// let message = r#"{"event": "CMD", "data": {"identity": 7, "name": "sessions"}}"#;
/// session.message(&mut manager.cx(), message, &mut |answer| answers.push(answer));
/// assert_eq!(answers, [r#"{"data":{"id":7,"result":{"sessions":[]}},"event":"gaffer:command_success"}"#]);
/// session.close(&mut manager.cx());
/// # Ok::<(), gaffer::Error>(())
/// ```
pub struct Session {
    subscriptions: Subscriptions,
    /// One reference more for each command that waits for its answer.
    pending: Arc<()>,
    gate: Option<Box<dyn Gate>>,
    /// Where somebody is asked: the topics, as they are written, and whom they were allowed for.
    granted: Vec<(Topic, String, Scope)>,
}

/// Commands of one client that may wait for their answers.
const MAX_PENDING: usize = 64;

/// Why a message is none: a word, and a sentence.
struct Invalid(&'static str, String);

impl Session {
    /// A client; `wake` is called, on the manager's thread, when messages begin to wait for [`next`](Self::next).
    pub fn new(wake: impl Fn(&mut Cx<'_>) + Send + Sync + 'static) -> Self {
        Self::with(Subscriptions::new(wake))
    }

    /// The same with other bounds than the default ones.
    #[must_use]
    pub fn with(subscriptions: Subscriptions) -> Self {
        Self { subscriptions, pending: Arc::new(()), gate: None, granted: Vec::new() }
    }

    /// Asks somebody before anything is done.
    #[must_use]
    pub fn guarded(mut self, gate: Box<dyn Gate>) -> Self {
        self.gate = Some(gate);
        self
    }

    /// What is subscribed.
    #[must_use]
    pub const fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }

    /// Takes a message up. It is answered before this returns, with at most one message; what has to be sampled first (`stats`,
    /// `process_stats`) is answered by [`next`](Self::next), at most 64 at a time.
    pub fn message(&mut self, cx: &mut Cx<'_>, text: &str, out: &mut dyn FnMut(String)) {
        if let Some(key) = text.strip_prefix("AUTH:") {
            return self.authenticate(cx, key, out);
        }
        let answer = self.answer(cx, text, out).unwrap_or_else(|Invalid(reason, message)| {
            let data = json!({"error": "invalid_msg", "reason": reason, "message": message});
            Some(json!({"event": "gaffer:error", "data": data}))
        });
        if let Some(answer) = answer {
            out(answer.to_string());
        }
    }

    /// The next message that waits.
    pub fn next(&mut self, cx: &mut Cx<'_>) -> Option<Arc<str>> {
        if self.gate.as_ref().is_some_and(|gate| !gate.is_alive()) {
            // The key was removed.
            self.close(cx);
            return None;
        }
        self.subscriptions.next(cx)
    }

    /// The client has gone: everything it has subscribed ends.
    pub fn close(&mut self, cx: &mut Cx<'_>) {
        self.pending = Arc::new(());
        self.granted.clear();
        self.subscriptions.close(cx);
    }

    /// Asks once more about what is subscribed, after keys or rights have changed: a topic that is not allowed any more ends with a
    /// `gaffer:subscription_error`.
    ///
    /// # Errors
    ///
    /// The client is nobody any more. All it has subscribed has ended; it should be sent away.
    pub fn recheck(&mut self, cx: &mut Cx<'_>, out: &mut dyn FnMut(String)) -> Result<(), CommandError> {
        let Some(gate) = &mut self.gate else { return Ok(()) };
        if let Err(e) = gate.recheck() {
            self.close(cx);
            return Err(e);
        }
        let subscriptions = &mut self.subscriptions;
        self.granted.retain(|(topic, spelling, on)| match gate.check(&format!("SUB {topic}"), Access::Read, on) {
            Ok(()) => true,
            Err(e) => {
                subscriptions.end(cx, topic);
                out(subscription_error(spelling, &e).to_string());
                false
            }
        });
        Ok(())
    }

    fn answer(&mut self, cx: &mut Cx<'_>, text: &str, out: &mut dyn FnMut(String)) -> Result<Option<Value>, Invalid> {
        let message: Value = serde_json::from_str(text).map_err(|e| Invalid("invalid_json", e.to_string()))?;
        let Value::Object(message) = message else {
            return Err(Invalid("invalid_json", "expected an object".to_owned()));
        };
        let Some(event) = message.get("event").and_then(Value::as_str) else {
            return Err(Invalid("event_missing", "expected an `event`: NOP, SUB, UNSUB or CMD".to_owned()));
        };
        if event == "NOP" {
            return Ok(None);
        }
        if event == "AUTH" {
            let key = message.get("data").and_then(|data| data.get("key")).and_then(Value::as_str);
            self.authenticate(cx, key.unwrap_or(""), out);
            return Ok(None);
        }
        if !matches!(event, "SUB" | "UNSUB" | "CMD") {
            let reason = format!("there is no event {event:?}: expected NOP, SUB, UNSUB or CMD");
            return Err(Invalid("unknown_cmd", reason));
        }
        let Some(data) = message.get("data").and_then(Value::as_object) else {
            return Err(Invalid("data_missing", format!("expected `data` of {event}, an object")));
        };
        if event == "CMD" {
            return self.command(cx, data);
        }
        let Some(topic) = data.get("topic").and_then(Value::as_str) else {
            return Err(Invalid("topic_missing", format!("expected the `topic` of {event}, a text")));
        };
        let (outcome, done) = match event {
            "SUB" => (self.subscribe(cx, topic, data.get("interval")), "gaffer:subscription_success"),
            _ => (self.unsubscribe(cx, topic), "gaffer:unsubscription_success"),
        };
        Ok(Some(match outcome {
            Ok(()) => json!({"event": done, "topic": topic, "data": {"topic": topic}}),
            Err(e) => subscription_error(topic, &e),
        }))
    }

    /// Says something to a key only if it is not good, or if less is allowed by it: what the one before was allowed to see does not go on.
    fn authenticate(&mut self, cx: &mut Cx<'_>, key: &str, out: &mut dyn FnMut(String)) {
        let Some(gate) = &mut self.gate else { return };
        if let Err(refused) = gate.authenticate(key) {
            self.close(cx);
            let data = json!({"error": "forbidden", "reason": refused.message});
            out(json!({"event": "gaffer:error", "data": data}).to_string());
        } else {
            // The key was good a moment ago.
            let _ = self.recheck(cx, out);
        }
    }

    fn command(&mut self, cx: &mut Cx<'_>, data: &Map<String, Value>) -> Result<Option<Value>, Invalid> {
        let Some(identity) = data.get("identity") else {
            let reason = "expected an `identity`, which comes back as `id`";
            return Err(Invalid("cmd_identity_missing", reason.to_owned()));
        };
        let Some(name) = data.get("name").and_then(Value::as_str) else {
            return Err(Invalid("cmd_name_missing", "expected the `name` of a command, a text".to_owned()));
        };
        let (args, kwargs) = match arguments(data) {
            Ok(found) => found,
            Err(e) => return Ok(Some(outcome(identity, Err(e)))),
        };
        let (mut hides, mut allowed) = (false, Ok(()));
        if let Some(gate) = &mut self.gate {
            // What cannot be is for those to know who could do everything of the kind.
            match super::required(cx, name, &args, &kwargs) {
                Ok((access, on)) => {
                    hides = !gate.may_see_environment(&on);
                    allowed = gate.check(name, access, &on);
                }
                Err(e) => allowed = gate.check(name, Access::Manage, &Scope::Node).and(Err(e)),
            }
        }
        if let Err(e) = allowed {
            return Ok(Some(outcome(identity, Err(e))));
        }
        if !super::command(name).is_ok_and(Command::is_later) {
            let mut answer = super::run(cx, name, &args, &kwargs);
            if let (true, Ok(value)) = (hides, &mut answer) {
                hide_env(value);
            }
            return Ok(Some(outcome(identity, answer)));
        }
        if Arc::strong_count(&self.pending) > MAX_PENDING {
            let e = CommandError::new(503, "full", format!("{MAX_PENDING} commands wait for their answers already"));
            return Ok(Some(outcome(identity, Err(e))));
        }
        let (answer, identity) = (self.subscriptions.answer_later(cx), identity.clone());
        let pending = Arc::clone(&self.pending);
        super::run_later(cx, name, &args, &kwargs, move |cx, result| {
            answer(cx, outcome(&identity, result).to_string());
            drop(pending);
        });
        Ok(None)
    }

    fn subscribe(&mut self, cx: &mut Cx<'_>, topic: &str, interval: Option<&Value>) -> Result<(), CommandError> {
        let mut granted = None;
        if let Some(gate) = &mut self.gate {
            // A topic that is none is told so to those who could read all.
            if let Ok(parsed) = topic.parse::<Topic>() {
                let on = parsed.scope(cx);
                gate.check(&format!("SUB {parsed}"), Access::Read, &on)?;
                granted = Some((parsed, topic.to_owned(), on));
            } else {
                gate.check("SUB", Access::Read, &Scope::Node)?;
            }
        }
        let interval = match interval {
            None | Some(Value::Null) => None,
            Some(value) => {
                let duration = value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                let duration = duration.filter(|duration| (SHORTEST..=DAY).contains(duration));
                let wrong = || format!("interval: expected 0.1 to 86400 seconds, found {value}");
                Some(duration.ok_or_else(|| CommandError::new(400, "invalid_interval", wrong()))?)
            }
        };
        self.subscriptions.subscribe(cx, topic, interval)?;
        if let Some(granted) = granted.filter(|(new, ..)| !self.granted.iter().any(|(topic, ..)| topic == new)) {
            self.granted.push(granted);
        }
        Ok(())
    }

    fn unsubscribe(&mut self, cx: &mut Cx<'_>, topic: &str) -> Result<(), CommandError> {
        if self.subscriptions.unsubscribe(cx, topic)? {
            self.granted.retain(|(topic, ..)| self.subscriptions.contains(topic));
            return Ok(());
        }
        Err(CommandError::new(404, "not_subscribed", format!("{topic:?} is not subscribed")))
    }
}

fn subscription_error(topic: &str, e: &CommandError) -> Value {
    let mut data = e.to_json();
    data["topic"] = topic.into();
    json!({"event": "gaffer:subscription_error", "topic": topic, "data": data})
}

fn outcome(identity: &Value, outcome: Result<Value, CommandError>) -> Value {
    match outcome {
        Ok(result) => json!({"event": "gaffer:command_success", "data": {"id": identity, "result": result}}),
        Err(e) => json!({"event": "gaffer:command_error", "data": {"id": identity, "error": e.to_json()}}),
    }
}

fn arguments(data: &Map<String, Value>) -> Result<(Vec<Value>, Map<String, Value>), CommandError> {
    let args = match data.get("args") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(args)) => args.clone(),
        Some(other) => return Err(CommandError::bad(format!("args: expected a list, found {other}"))),
    };
    let kwargs = match data.get("kwargs") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(kwargs)) => kwargs.clone(),
        Some(other) => return Err(CommandError::bad(format!("kwargs: expected an object, found {other}"))),
    };
    Ok((args, kwargs))
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("subscriptions", &self.subscriptions).finish_non_exhaustive()
    }
}
