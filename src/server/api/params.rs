//! What a request asks for, read from its path, its query and its body.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::controller::values;
use crate::process::{JobName, Pid, Signal};
use crate::server::route::is_number;
use crate::server::{Call, FeedMode, Refusal, Reply};
use crate::suggest;

/// What `heartbeat=true` means; proxies tend to close what is silent for longer.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// The longest heartbeat, and the longest interval between samples.
const DAY: Duration = Duration::from_secs(86_400);

/// The shortest heartbeat, and the shortest interval between samples.
const SHORTEST: Duration = Duration::from_millis(100);

pub(super) fn bad(reason: impl Into<String>) -> Refusal {
    refuse(400, "bad_request", reason)
}

pub(super) fn refuse(status: u16, error: &'static str, reason: impl Into<String>) -> Refusal {
    Refusal::new(status, error, reason)
}

/// Whether a parameter of the query says yes.
pub(super) fn flag(call: &Call<'_, '_>, name: &str) -> Result<bool, Refusal> {
    call.query(name).map_or(Ok(false), |value| truth(name, value))
}

/// Whether the value of a parameter says yes.
pub(super) fn truth(name: &str, value: &str) -> Result<bool, Refusal> {
    match value {
        "false" | "0" => Ok(false),
        "true" | "1" | "" => Ok(true),
        _ => Err(bad(format!("{name}: expected true or false, found {value:?}"))),
    }
}

/// What commands answer.
pub(super) fn done(status: u16) -> Result<Reply, Refusal> {
    Ok(Reply::Json(status, serde_json::json!({"ok": true})))
}

/// The job of `/jobs/:session/:name`.
pub(super) fn job(call: &Call<'_, '_>) -> Result<JobName, Refusal> {
    Ok(JobName::new(call.param("session"), call.param("name"))?)
}

/// A job as the routes of 0.4 name it.
pub(super) fn job_name(text: &str) -> Result<JobName, Refusal> {
    Ok(values::job_name(text, None)?)
}

/// What `/processes/:name` means.
pub(super) enum Named {
    Job(JobName),
    Process(Pid),
}

pub(super) fn named(call: &Call<'_, '_>) -> Result<Named, Refusal> {
    let name = call.param("name");
    if is_number(name) { number(name).map(Named::Process) } else { job_name(name).map(Named::Job) }
}

/// The `:pid` of a path.
pub(super) fn pid(call: &Call<'_, '_>) -> Result<Pid, Refusal> {
    number(call.param("pid"))
}

/// A number that is too large for a process's is that of no process.
fn number(digits: &str) -> Result<Pid, Refusal> {
    digits.parse().map(Pid).map_err(|_| refuse(404, "not_found", format!("no such process {digits}")))
}

/// The object in the body; of its members only those in `known` may be there.
pub(super) fn object(call: &Call<'_, '_>, known: &[&'static str]) -> Result<Map<String, Value>, Refusal> {
    let Value::Object(members) = call.json()? else { return Err(bad("expected a JSON object")) };
    if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
        let hint = suggest::hint(name, known.iter().copied());
        return Err(bad(format!("there is no `{name}` here{hint}")));
    }
    Ok(members)
}

/// The signal in a body `{"signal": 15}` or `{"signal": "term"}`.
pub(super) fn signal(call: &Call<'_, '_>) -> Result<Signal, Refusal> {
    Ok(values::signal(object(call, &["signal"])?.get("signal").unwrap_or(&Value::Null))?)
}

/// `feed`: how a feed comes; `None` where it is `normal`, which only some know.
pub(super) fn feed(call: &Call<'_, '_>, default: &str, normal: bool) -> Result<Option<FeedMode>, Refusal> {
    let given = call.query("feed");
    let text = given.unwrap_or(default);
    match text {
        "continuous" => Ok(Some(FeedMode::Continuous)),
        "longpoll" => Ok(Some(FeedMode::LongPoll)),
        "eventsource" => Ok(Some(FeedMode::EventSource)),
        "normal" if normal => Ok(None),
        _ => {
            let known = ["continuous", "longpoll", "eventsource", "normal"];
            let hint = suggest::hint(text, known.into_iter().take(if normal { 4 } else { 3 }));
            Err(bad(format!("feed: expected continuous, longpoll or eventsource, found {text:?}{hint}")))
        }
    }
}

/// `heartbeat`: how long a feed may be silent. Default `true`, which is 60 s.
pub(super) fn heartbeat(call: &Call<'_, '_>) -> Result<Option<Duration>, Refusal> {
    match call.query("heartbeat") {
        None | Some("true") => Ok(Some(HEARTBEAT)),
        Some("false") => Ok(None),
        Some(text) => match seconds(text) {
            Some(period) => Ok(Some(period)),
            None => Err(bad(format!("heartbeat: expected true, false, or 0.1 to 86400 seconds, found {text:?}"))),
        },
    }
}

/// `interval`: the time between two samples. Default 1 s.
pub(super) fn interval(call: &Call<'_, '_>) -> Result<Duration, Refusal> {
    match call.query("interval") {
        None => Ok(Duration::from_secs(1)),
        Some(text) => {
            seconds(text).ok_or_else(|| bad(format!("interval: expected 0.1 to 86400 seconds, found {text:?}")))
        }
    }
}

fn seconds(text: &str) -> Option<Duration> {
    // Rust's numbers may be `inf`, `nan` or `1e3`.
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let seconds: f64 = text.parse().ok().filter(|_| plain)?;
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    (SHORTEST..=DAY).contains(&duration).then_some(duration)
}
