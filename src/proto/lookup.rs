//! What nodes and lookup servers say to each other, and what lookup servers tell of it: JSON in websocket messages of text.
//!
//! ```text
//! {"type":"IDENTIFY","msgid":0,"name":"a","origin":"http://a:5000","version":"0.1"}   node ─▶
//! {"ok":true,"msgid":0}                                                                    ◀─ lookup server
//! {"type":"REGISTER_JOB","msgid":1,"job_name":"shop.web"}                             node ─▶
//! {"ok":true,"msgid":1}                                                                    ◀─
//! {"type":"REGISTER_PROCESS","msgid":2,"job_name":"shop.web","pid":7}                 node ─▶
//! {"ok":true,"msgid":2}                                                                    ◀─
//! {"type":"PING","msgid":3}                                                           node ─▶
//! {"ok":true,"msgid":3}                                                                    ◀─
//! ```
//!
//! A node may add `"instance"` to its first message, 32 hexadecimal digits that only it knows: see [`Instance`]. Servers that do not know it pass it over.
//!
//! A message that cannot be done gets `{"errno":404,"reason":"…","msgid":…}`, and the connection goes on. Messages need no answer before the
//! next one; answers come in order.
//!
//! ```
//! use gaffer::proto::lookup::{Message, Reply, Request};
//!
//! let message = Message::read(r#"{"type":"REGISTER_JOB","msgid":1,"job_name":"shop.web"}"#)?;
//! assert_eq!(message.request, Request::RegisterJob { job: "shop.web".to_owned() });
//! let reply = Reply::ok(message.id).to_json();
//! assert_eq!(reply, r#"{"msgid":1,"ok":true}"#);
//! # Ok::<(), Reply>(())
//! ```

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value, json};

/// The version of the protocol that nodes announce.
pub const VERSION: &str = "0.1";

/// The longest message that either side takes, in bytes; a websocket with a longer one is closed with 1009.
pub const MAX_MESSAGE: usize = 64 << 10;

/// 128 random bits by which a node that comes back is known to be the same: whoever shows them takes the place of the connection that showed them
/// before. So they are for one server alone, and no server tells them to anybody.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Instance(u128);

impl Instance {
    /// These bits, which nobody must be able to guess.
    #[must_use]
    pub const fn new(bits: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bits))
    }

    /// Reads 32 hexadecimal digits.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        // One comparison of numbers takes as long whatever differs.
        let is_number = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_number.then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }

    /// As it is sent.
    fn to_hex(self) -> String {
        format!("{:032x}", self.0)
    }
}

/// Nothing of the bits.
impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an instance")
    }
}

/// What a node asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Who it is; the first message.
    Identify {
        /// The name of its host.
        name: String,
        /// The address at which clients reach it.
        origin: String,
        /// The version of the protocol it speaks.
        version: String,
        /// By what it is known when it comes back. Without one, it waits until its old connection was missed.
        instance: Option<Instance>,
    },
    /// It is alive. The first one after [`Identify`](Self::Identify) says that the node has told all it has, too: what it had told by a connection
    /// whose place this one has taken, and has not told again, is gone.
    Ping,
    /// It has this job.
    RegisterJob {
        /// `session.label`.
        job: String,
    },
    /// It has it no more.
    UnregisterJob {
        /// `session.label`.
        job: String,
    },
    /// The job has this process.
    RegisterProcess {
        /// `session.label`.
        job: String,
        /// The node's own number of it.
        pid: u64,
    },
    /// The job has it no more.
    UnregisterProcess {
        /// `session.label`.
        job: String,
        /// The node's own number of it.
        pid: u64,
    },
}

/// A request and the id that its answer repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Anything but null.
    pub id: Value,
    /// What is asked for.
    pub request: Request,
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// The answer that says what is wrong, 400 with one of the words of the protocol as its reason: `invalid_json`, `invalid_message` (something is
    /// missing or of another type), `invalid_message_type`.
    pub fn read(text: &str) -> Result<Self, Reply> {
        let value: Value = serde_json::from_str(text).map_err(|_| Reply::refused(Value::Null, 400, "invalid_json"))?;
        let id = value["msgid"].clone();
        let invalid = || Reply::refused(id.clone(), 400, "invalid_message");
        if id.is_null() {
            return Err(invalid());
        }
        let kind = value["type"].as_str().ok_or_else(invalid)?;
        let text = |key: &str| value[key].as_str().map(str::to_owned).ok_or_else(invalid);
        let pid = || value["pid"].as_u64().ok_or_else(invalid);
        let request = match kind {
            "IDENTIFY" => {
                let instance = match &value["instance"] {
                    Value::Null => None,
                    given => Some(given.as_str().and_then(Instance::read).ok_or_else(invalid)?),
                };
                Request::Identify { name: text("name")?, origin: text("origin")?, version: text("version")?, instance }
            }
            "PING" => Request::Ping,
            "REGISTER_JOB" => Request::RegisterJob { job: text("job_name")? },
            "UNREGISTER_JOB" => Request::UnregisterJob { job: text("job_name")? },
            "REGISTER_PROCESS" => Request::RegisterProcess { job: text("job_name")?, pid: pid()? },
            "UNREGISTER_PROCESS" => Request::UnregisterProcess { job: text("job_name")?, pid: pid()? },
            _ => return Err(Reply::refused(Value::Null, 400, "invalid_message_type")),
        };
        Ok(Self { id, request })
    }

    /// The message as it is sent.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut value = match &self.request {
            Request::Identify { name, origin, version, instance } => {
                let mut message = json!({"type": "IDENTIFY", "name": name, "origin": origin, "version": version});
                if let Some(instance) = instance {
                    message["instance"] = instance.to_hex().into();
                }
                message
            }
            Request::Ping => json!({"type": "PING"}),
            Request::RegisterJob { job } => json!({"type": "REGISTER_JOB", "job_name": job}),
            Request::UnregisterJob { job } => json!({"type": "UNREGISTER_JOB", "job_name": job}),
            Request::RegisterProcess { job, pid } => {
                json!({"type": "REGISTER_PROCESS", "job_name": job, "pid": pid})
            }
            Request::UnregisterProcess { job, pid } => {
                json!({"type": "UNREGISTER_PROCESS", "job_name": job, "pid": pid})
            }
        };
        value["msgid"] = self.id.clone();
        value.to_string()
    }
}

/// The answer to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// That of the message; null if it had none.
    pub id: Value,
    /// Whether it was done.
    pub outcome: Result<(), Refused>,
}

/// Why a message was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// As an HTTP status: 400, 404, 409 or 503.
    pub errno: u16,
    /// A word of the protocol, or a sentence.
    pub reason: Cow<'static, str>,
}

impl Refused {
    /// A refusal.
    #[must_use]
    pub fn new(errno: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { errno, reason: reason.into() }
    }
}

impl Reply {
    /// It was done.
    #[must_use]
    pub const fn ok(id: Value) -> Self {
        Self { id, outcome: Ok(()) }
    }

    /// It was not.
    #[must_use]
    pub fn refused(id: Value, errno: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { id, outcome: Err(Refused::new(errno, reason)) }
    }

    /// Reads an answer; `None` for what is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let id = value.get("msgid")?.clone();
        if value["ok"] == true {
            return Some(Self::ok(id));
        }
        let errno = value["errno"].as_u64().and_then(|n| u16::try_from(n).ok())?;
        Some(Self::refused(id, errno, value["reason"].as_str()?.to_owned()))
    }

    /// The answer as it is sent.
    #[must_use]
    pub fn to_json(&self) -> String {
        let value = match &self.outcome {
            Ok(()) => json!({"ok": true, "msgid": self.id}),
            Err(Refused { errno, reason }) => json!({"errno": errno, "reason": &**reason, "msgid": self.id}),
        };
        value.to_string()
    }
}

/// A node, as it has identified itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeInfo {
    /// The name of its host.
    pub name: String,
    /// The address at which clients reach it.
    pub origin: String,
    /// The version of the protocol it speaks.
    pub version: String,
}

impl NodeInfo {
    /// As answers and events have it: `{"name", "origin", "version"}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"name": self.name, "origin": self.origin, "version": self.version})
    }
}

/// What happened, as those are told who listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The node it happened to.
    pub node: NodeInfo,
    /// What it was.
    pub what: What,
}

/// What happened to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// It is there.
    AddNode,
    /// It has said who it is; comes right after [`AddNode`](Self::AddNode).
    Identify,
    /// It is gone. Its processes and jobs were told before.
    RemoveNode,
    /// It has this job (`session.label`).
    AddJob(String),
    /// It has it no more.
    RemoveJob(String),
    /// The job has this process.
    AddProcess(String, u64),
    /// The job has it no more.
    RemoveProcess(String, u64),
}

impl What {
    /// The event's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AddNode => "add_node",
            Self::Identify => "identify",
            Self::RemoveNode => "remove_node",
            Self::AddJob(_) => "add_job",
            Self::RemoveJob(_) => "remove_job",
            Self::AddProcess(..) => "add_process",
            Self::RemoveProcess(..) => "remove_process",
        }
    }
}

impl Event {
    /// The event as it is sent.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut event = match &self.what {
            What::AddNode | What::Identify | What::RemoveNode => self.node.to_json(),
            What::AddJob(job) | What::RemoveJob(job) => json!({"node": self.node.to_json(), "job_name": job}),
            What::AddProcess(job, pid) | What::RemoveProcess(job, pid) => {
                json!({"node": self.node.to_json(), "job_name": job, "pid": pid})
            }
        };
        event["event"] = self.what.name().into();
        event
    }

    /// Reads an event; `None` for what is none.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let members: &Map<String, Value> = value.as_object()?;
        let job = || members.get("job_name").and_then(Value::as_str).map(str::to_owned);
        let pid = || members.get("pid").and_then(Value::as_u64);
        let (what, node) = match members.get("event")?.as_str()? {
            "add_node" => (What::AddNode, value),
            "identify" => (What::Identify, value),
            "remove_node" => (What::RemoveNode, value),
            "add_job" => (What::AddJob(job()?), &value["node"]),
            "remove_job" => (What::RemoveJob(job()?), &value["node"]),
            "add_process" => (What::AddProcess(job()?, pid()?), &value["node"]),
            "remove_process" => (What::RemoveProcess(job()?, pid()?), &value["node"]),
            _ => return None,
        };
        let text = |key: &str| node[key].as_str().map(str::to_owned);
        let node = NodeInfo { name: text("name")?, origin: text("origin")?, version: text("version")? };
        Some(Self { node, what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_what_they_were() {
        let job = || "s.j".to_owned();
        let identify = |instance| Request::Identify {
            name: "n".into(),
            origin: "http://n:1".into(),
            version: VERSION.into(),
            instance,
        };
        for request in [
            identify(None),
            identify(Some(Instance::new([0; 16]))),
            identify(Some(Instance::new(*b"\xffabcdefghijklmn\x01"))),
            Request::Ping,
            Request::RegisterJob { job: job() },
            Request::UnregisterJob { job: job() },
            Request::RegisterProcess { job: job(), pid: u64::MAX },
            Request::UnregisterProcess { job: job(), pid: 0 },
        ] {
            let message = Message { id: json!("a1"), request };
            assert_eq!(Message::read(&message.to_json()), Ok(message));
        }
        for reply in [Reply::ok(json!(7)), Reply::refused(Value::Null, 404, "it is not there")] {
            assert_eq!(Reply::read(&reply.to_json()), Some(reply));
        }
        let node = NodeInfo { name: "n".into(), origin: "o".into(), version: "v".into() };
        for what in [
            What::AddNode,
            What::Identify,
            What::RemoveNode,
            What::AddJob(job()),
            What::RemoveJob(job()),
            What::AddProcess(job(), 1),
            What::RemoveProcess(job(), 1),
        ] {
            let event = Event { node: node.clone(), what };
            assert_eq!(Event::read(&event.to_json()), Some(event));
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, reason, id) in [
            ("", "invalid_json", Value::Null),
            ("{", "invalid_json", Value::Null),
            ("[]", "invalid_message", Value::Null),
            ("3", "invalid_message", Value::Null),
            (r#"{"type":"PING"}"#, "invalid_message", Value::Null),
            (r#"{"msgid":"x"}"#, "invalid_message", json!("x")),
            (r#"{"msgid":1,"type":3}"#, "invalid_message", json!(1)),
            (r#"{"msgid":1,"type":"PONG"}"#, "invalid_message_type", Value::Null),
            (r#"{"msgid":1,"type":"IDENTIFY","name":"a","origin":"b"}"#, "invalid_message", json!(1)),
            (
                r#"{"msgid":1,"type":"IDENTIFY","name":"a","origin":"b","version":"c","instance":7}"#,
                "invalid_message",
                json!(1),
            ),
            (
                r#"{"msgid":1,"type":"IDENTIFY","name":"a","origin":"b","version":"c","instance":"+1234567890123456789012345678901"}"#,
                "invalid_message",
                json!(1),
            ),
            (r#"{"msgid":1,"type":"REGISTER_JOB"}"#, "invalid_message", json!(1)),
            (r#"{"msgid":1,"type":"REGISTER_PROCESS","job_name":"a","pid":-1}"#, "invalid_message", json!(1)),
            (r#"{"msgid":1,"type":"REGISTER_PROCESS","job_name":"a","pid":"1"}"#, "invalid_message", json!(1)),
        ] {
            assert_eq!(Message::read(text), Err(Reply::refused(id, 400, reason)), "{text}");
        }
        for text in ["", "{}", r#"{"msgid":1}"#, r#"{"ok":true}"#, r#"{"msgid":1,"errno":70000,"reason":""}"#] {
            assert_eq!(Reply::read(text), None, "{text}");
        }
    }
}
