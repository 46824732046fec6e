//! Events as JSON: spec section 4.

#![forbid(unsafe_code)]

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::{Event, Exit, What};

/// A UNIX time in seconds, with its fraction to the microsecond.
#[must_use]
pub fn unix_time(time: SystemTime) -> f64 {
    let micros = time.duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_micros());
    // 2^53 microseconds are 285 years: exact for a while yet.
    micros as f64 / 1e6
}

/// How a process ended: `exit_code term_signal core reason`, null where it has none.
#[must_use]
pub fn exit_json(exit: &Exit) -> Map<String, Value> {
    let reason = match exit {
        Exit::Failed(reason) => Some(reason.clone()),
        Exit::Lost => Some(exit.to_string()),
        _ => None,
    };
    let members: [(&str, Value); 4] = [
        ("exit_code", exit.code().into()),
        ("term_signal", exit.signal().map(|signal| signal.number()).into()),
        ("core", matches!(exit, Exit::Signal { core: true, .. }).into()),
        ("reason", reason.into()),
    ];
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The payload of an event as it was published under `topic`.
///
/// `event` is the topic's last word where that is the event's 0.5 name (`load`, `unload`, `stop_process`), else the event's
/// own; `topic` is the topic.
#[must_use]
pub fn event_json(event: &Event, topic: &str) -> Value {
    let last = topic.rsplit('.').next().unwrap_or(topic);
    let name = if last == event.what.name_0_5() { last } else { event.what.name() };
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
    put("event", name.into());
    put("topic", topic.into());
    put("time", unix_time(event.time).into());
    if let Some(job) = &event.job {
        put("name", job.as_str().into());
    }
    if let Some(pid) = event.what.pid() {
        put("pid", pid.0.into());
        put("os_pid", event.what.os_pid().map(|os_pid| os_pid.0).into());
    }
    match &event.what {
        What::Update { numprocesses } => put("numprocesses", (*numprocesses).into()),
        What::Spawn { detach, .. } => put("detach", (*detach).into()),
        What::Exit { exit, once, .. } => {
            put("exit_status", exit.code().into());
            put("once", (*once).into());
            exit_json(exit).into_iter().for_each(|(key, value)| put(&key, value));
        }
        What::Flap { retry, next } => {
            put("retry", (*retry).into());
            put("retry_in", next.map(|next| next.as_secs_f64()).into());
            put("next_try", next.map(|next| unix_time(event.time + next)).into());
        }
        What::Kill { signal, .. } => put("signum", signal.number().into()),
        What::Fault { source, reason } => {
            put("source", source.clone().into());
            put("reason", reason.clone().into());
        }
        What::Overflow { dropped } => put("dropped", (*dropped).into()),
        What::Create | What::Start | What::Stop | What::Restart | What::Delete => {}
        What::Reap { .. } | What::StopPid { .. } => {}
    }
    Value::Object(map)
}
