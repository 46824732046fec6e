//! The JSON that etcd's gateway takes and gives. Keys and values are base64 there, and numbers of 64 bits are texts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// gRPC's number of an error: the request is not as it should be.
pub(super) const INVALID: i64 = 3;

/// The same: the system is in no state for it.
pub(super) const FAILED_PRECONDITION: i64 = 9;

/// The same: whoever asks has not said who he is.
pub(super) const UNAUTHENTICATED: i64 = 16;

/// A change of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// The key has this value, under the lease of the request.
    Put(String, String),
    /// No key from the first one on, up to the second and without it, or just the one.
    Delete(String, Option<String>),
}

impl Op {
    /// How much of a request it takes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Put(key, value) => key.len() + value.len(),
            Self::Delete(key, end) => key.len() + end.as_ref().map_or(0, String::len),
        }
    }

    /// Whether etcd would refuse both in one transaction: a key that is put must not be put or deleted there again.
    pub(super) fn conflicts(&self, other: &Self) -> bool {
        let within = |key: &str, start: &str, end: &Option<String>| match end {
            None => key == start,
            Some(end) => start <= key && key < end.as_str(),
        };
        match (self, other) {
            (Self::Put(a, _), Self::Put(b, _)) => a == b,
            (Self::Put(key, _), Self::Delete(start, end)) | (Self::Delete(start, end), Self::Put(key, _)) => {
                within(key, start, end)
            }
            (Self::Delete(..), Self::Delete(..)) => false,
        }
    }
}

fn encode(text: &str) -> String {
    STANDARD.encode(text)
}

fn decode(value: &Value) -> Option<Vec<u8>> {
    match value {
        // What is empty is left out.
        Value::Null => Some(Vec::new()),
        value => STANDARD.decode(value.as_str()?).ok(),
    }
}

/// A number; what is zero is left out.
fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Null => Some(0),
        Value::String(text) => text.parse().ok(),
        value => value.as_i64(),
    }
}

/// All of `ops` at once, in this order, or nothing.
pub(super) fn txn(lease: i64, ops: &[Op]) -> Value {
    let op = |op: &Op| match op {
        Op::Put(key, value) => {
            json!({"request_put": {"key": encode(key), "value": encode(value), "lease": lease.to_string()}})
        }
        Op::Delete(key, None) => json!({"request_delete_range": {"key": encode(key)}}),
        Op::Delete(key, Some(end)) => json!({"request_delete_range": {"key": encode(key), "range_end": encode(end)}}),
    };
    json!({"success": ops.iter().map(op).collect::<Vec<_>>()})
}

/// Up to `limit` keys of a range as they were at `revision`; 0 is now.
pub(super) fn range(start: &[u8], end: &str, limit: usize, revision: i64) -> Value {
    json!({"key": STANDARD.encode(start), "range_end": encode(end), "limit": limit.to_string(), "revision": revision.to_string()})
}

/// What happens to a range from `revision` on.
pub(super) fn watch(start: &str, end: &str, revision: i64) -> Value {
    let request = json!({
        "key": encode(start), "range_end": encode(end), "start_revision": revision.to_string(), "progress_notify": true,
    });
    json!({"create_request": request})
}

/// A lease, to be granted, kept or revoked.
pub(super) fn lease(id: i64) -> Value {
    json!({"ID": id.to_string()})
}

/// A new lease.
pub(super) fn grant(seconds: u64) -> Value {
    json!({"TTL": seconds.to_string()})
}

/// The lease that was granted.
pub(super) fn granted(answer: &Value) -> Option<i64> {
    number(&answer["ID"]).filter(|id| *id > 0)
}

/// Whether a lease was there to be kept.
pub(super) fn is_kept(answer: &Value) -> Option<bool> {
    Some(number(&answer.get("result")?["TTL"])? > 0)
}

/// Who asks.
pub(super) fn authenticate(user: &str, password: &str) -> Value {
    json!({"name": user, "password": password})
}

/// What is to be shown from then on.
pub(super) fn token(answer: &Value) -> Option<String> {
    let token = answer["token"].as_str()?;
    (!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())).then(|| token.to_owned())
}

/// A part of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) keys: Vec<(String, Vec<u8>)>,
    /// The last key, byte by byte.
    pub(super) last: Vec<u8>,
    /// Of the whole store, when it was read.
    pub(super) revision: i64,
    /// There are further ones.
    pub(super) more: bool,
    pub(super) cluster: String,
}

/// Reads a page; `None` if it is none.
pub(super) fn page(answer: &Value) -> Option<Page> {
    let kvs = answer["kvs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let read = |kv: &Value| Some((text(&decode(&kv["key"])?), decode(&kv["value"])?));
    Some(Page {
        last: kvs.last().map_or(Some(Vec::new()), |kv| decode(&kv["key"]))?,
        keys: kvs.iter().map(read).collect::<Option<_>>()?,
        revision: number(&answer.get("header")?["revision"])?,
        more: answer["more"] == true,
        cluster: cluster(answer),
    })
}

/// A key that is no text is of somebody else; it will not be understood.
fn text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

fn cluster(answer: &Value) -> String {
    answer["header"]["cluster_id"].as_str().unwrap_or_default().to_owned()
}

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyEvent {
    pub(super) key: String,
    /// `None` if it is gone.
    pub(super) value: Option<Vec<u8>>,
    pub(super) revision: i64,
}

/// A message of a stream of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It has begun; the store was at this revision.
    Created { revision: i64, cluster: String },
    /// What happened, in order.
    Events(Vec<KeyEvent>),
    /// Everything up to this revision was told.
    Progress(i64),
    /// What was asked for is not kept any more: the range must be read again.
    Compacted,
    /// It has ended.
    Ended(String),
}

/// Reads a message; `None` if it is none.
pub(super) fn told(message: &Value) -> Option<Told> {
    let Some(result) = message.get("result") else { return message.get("error").map(|_| Told::Ended(reason(message))) };
    let revision = number(&result["header"]["revision"])?;
    if result["canceled"] == true {
        let reason = result["cancel_reason"].as_str().unwrap_or("no reason was given");
        let is_compacted = number(&result["compact_revision"])? > 0;
        return Some(if is_compacted { Told::Compacted } else { Told::Ended(reason.to_owned()) });
    }
    if result["created"] == true {
        return Some(Told::Created { revision, cluster: cluster(result) });
    }
    let event = |event: &Value| {
        let kv = event.get("kv")?;
        let is_gone = event["type"] == "DELETE" || event["type"] == 1;
        Some(KeyEvent {
            key: text(&decode(&kv["key"])?),
            value: if is_gone { None } else { Some(decode(&kv["value"])?) },
            revision: number(&kv["mod_revision"])?,
        })
    };
    match result["events"].as_array() {
        Some(events) if !events.is_empty() => events.iter().map(event).collect::<Option<_>>().map(Told::Events),
        _ => Some(Told::Progress(revision)),
    }
}

/// The sentence of an error.
pub(super) fn reason(answer: &Value) -> String {
    let error = &answer["error"];
    let text = [error, &error["message"], &answer["message"]].into_iter().find_map(Value::as_str);
    text.unwrap_or("an error without words").to_owned()
}

/// gRPC's number of an error.
pub(super) fn code(answer: &Value) -> Option<i64> {
    [&answer["code"], &answer["error"]["grpc_code"]].into_iter().find_map(Value::as_i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    /// As etcd 3.4 has answered.
    #[test]
    fn answers() {
        let granted_by = read(r#"{"header":{"revision":"1"},"ID":"2228896983009785093","TTL":"5"}"#);
        assert_eq!(granted(&granted_by), Some(2_228_896_983_009_785_093));
        assert_eq!(is_kept(&read(r#"{"result":{"header":{},"ID":"77","TTL":"5"}}"#)), Some(true));
        assert_eq!(is_kept(&read(r#"{"result":{"header":{},"ID":"77"}}"#)), Some(false));
        assert_eq!(is_kept(&read("{}")), None);
        let some = page(&read(
            r#"{"header":{"cluster_id":"14","revision":"2"},"kvs":[{"key":"Zy9h","mod_revision":"2","value":"dg==","lease":"9"},{"key":"Zy9i"}],"more":true,"count":"3"}"#,
        ));
        let keys = vec![("g/a".to_owned(), b"v".to_vec()), ("g/b".to_owned(), Vec::new())];
        assert_eq!(some, Some(Page { keys, last: b"g/b".to_vec(), revision: 2, more: true, cluster: "14".to_owned() }));
        let none = page(&read(r#"{"header":{"cluster_id":"14","revision":"4"}}"#)).expect("an empty page");
        assert_eq!((none.keys.len(), none.more), (0, false));
        assert_eq!(page(&read("{}")), None);
        assert_eq!(page(&read(r#"{"header":{"revision":"2"},"kvs":[{"key":"!"}]}"#)), None);
        assert_eq!(token(&read(r#"{"header":{},"token":"cLnO.9"}"#)).as_deref(), Some("cLnO.9"));
        assert_eq!((token(&read("{}")), token(&read(r#"{"token":"a\nb"}"#))), (None, None));
        let lost = read(
            r#"{"error":"etcdserver: requested lease not found","message":"etcdserver: requested lease not found","code":5}"#,
        );
        assert_eq!((reason(&lost).as_str(), code(&lost)), ("etcdserver: requested lease not found", Some(5)));
        assert_eq!(code(&read(r#"{"error":{"grpc_code":14,"http_code":503}}"#)), Some(14));
    }

    #[test]
    fn messages() {
        let told = |text: &str| told(&read(text));
        let created = Told::Created { revision: 3, cluster: "14".to_owned() };
        assert_eq!(told(r#"{"result":{"header":{"cluster_id":"14","revision":"3"},"created":true}}"#), Some(created));
        let events = r#"{"result":{"header":{"revision":"9"},"events":[{"kv":{"key":"Zy9h","mod_revision":"2","value":"dg=="}},{"type":"DELETE","kv":{"key":"Zy9j","mod_revision":"4"}}]}}"#;
        let want = [("g/a", Some(b"v".to_vec()), 2), ("g/c", None, 4)];
        let want = want.map(|(key, value, revision)| KeyEvent { key: key.to_owned(), value, revision });
        assert_eq!(told(events), Some(Told::Events(want.to_vec())));
        assert_eq!(told(r#"{"result":{"header":{"revision":"7"}}}"#), Some(Told::Progress(7)));
        let compacted = r#"{"result":{"header":{},"canceled":true,"compact_revision":"4"}}"#;
        assert_eq!(told(compacted), Some(Told::Compacted));
        let no_leader = r#"{"result":{"header":{},"canceled":true,"cancel_reason":"etcdserver: no leader"}}"#;
        assert_eq!(told(no_leader), Some(Told::Ended("etcdserver: no leader".to_owned())));
        let error =
            r#"{"error":{"grpc_code":14,"http_code":503,"message":"gone","http_status":"Service Unavailable"}}"#;
        assert_eq!(told(error), Some(Told::Ended("gone".to_owned())));
        for text in ["{}", "[]", "3", r#"{"result":{"header":{"revision":"x"}}}"#, r#"{"result":{"events":[{}]}}"#] {
            assert_eq!(told(text), None, "{text}");
        }
    }

    #[test]
    fn conflicts() {
        let put = |key: &str| Op::Put(key.to_owned(), String::new());
        let delete = |key: &str, end: Option<&str>| Op::Delete(key.to_owned(), end.map(str::to_owned));
        assert!(put("a").conflicts(&put("a")) && !put("a").conflicts(&put("b")));
        assert!(put("a").conflicts(&delete("a", None)) && !delete("a", None).conflicts(&put("a0")));
        assert!(delete("a/", Some("a0")).conflicts(&put("a/x")) && !put("a0").conflicts(&delete("a/", Some("a0"))));
        assert!(!delete("a", None).conflicts(&delete("a", None)));
    }
}
