//! Reading answers.

use serde_json::Value;

use crate::process::{JobName, Pid};
use crate::{Error, ErrorKind, Result};

/// The error in an answer: its status decides the kind, the node's sentence is the message.
pub(super) fn refusal(status: u16, path: &str, body: &[u8]) -> Error {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let word = body["error"].as_str().unwrap_or_default();
    let kind = match status {
        401 | 403 | 421 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        408 | 504 => ErrorKind::TimedOut,
        409 => ErrorKind::Conflict,
        410 => ErrorKind::Closed,
        501 => ErrorKind::Unsupported,
        503 if word == "full" => ErrorKind::Full,
        503 => ErrorKind::Stopping,
        500.. => ErrorKind::Io,
        _ => ErrorKind::Invalid,
    };
    let message = match body["reason"].as_str() {
        Some(reason) => reason.to_owned(),
        None if !word.is_empty() => format!("{path}: {word} ({status})"),
        // None of ours: a proxy, or another server.
        None => format!("{path}: the answer is {status}, with nothing a gaffer node would say; is it one?"),
    };
    Error::new(kind, message)
}

/// The status in a record by which a node ends a feed before its time: the key is not good any more.
pub(super) fn ended(record: &Value) -> Option<u16> {
    record["error"].as_str().and(record["errno"].as_u64()).and_then(|errno| u16::try_from(errno).ok())
}

/// The error for an object without a member that a node's always has.
pub(super) fn missing(what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("the answer has no {what}; is this a gaffer node?"))
}

/// A job's name as either generation writes it: `label`, `session.label`, `session:label`, `session/label`.
pub(super) fn job_name(text: &str) -> Result<JobName> {
    text.replacen(':', ".", 1).parse()
}

pub(super) fn number(value: &Value, what: &str) -> Result<u32> {
    value[what].as_u64().and_then(|n| u32::try_from(n).ok()).ok_or_else(|| missing(what))
}

pub(super) fn pids(value: &Value) -> Result<Vec<Pid>> {
    let list = value.as_array().ok_or_else(|| missing("list of processes"))?;
    list.iter().map(|pid| pid.as_u64().map(Pid).ok_or_else(|| missing("number of a process"))).collect()
}

pub(super) fn names(value: &Value) -> Result<Vec<String>> {
    let list = value.as_array().ok_or_else(|| missing("list of names"))?;
    list.iter().map(|name| name.as_str().map(str::to_owned).ok_or_else(|| missing("name"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_kinds() {
        for (status, body, kind, message) in [
            (404, r#"{"error":"not_found","reason":"no job x","errno":404}"#, ErrorKind::NotFound, "no job x"),
            (409, r#"{"error":"conflict","errno":409}"#, ErrorKind::Conflict, "/p: conflict (409)"),
            (401, r#"{"reason":"a key"}"#, ErrorKind::Forbidden, "a key"),
            (403, r#"{"reason":"a key"}"#, ErrorKind::Forbidden, "a key"),
            (421, r#"{"reason":"a host"}"#, ErrorKind::Forbidden, "a host"),
            (410, r#"{"reason":"it has ended"}"#, ErrorKind::Closed, "it has ended"),
            (503, r#"{"error":"full","reason":"too many"}"#, ErrorKind::Full, "too many"),
            (503, r#"{"error":"stopping","reason":"it ends"}"#, ErrorKind::Stopping, "it ends"),
            (501, "{}", ErrorKind::Unsupported, "nothing a gaffer node"),
            (500, "<html>", ErrorKind::Io, "the answer is 500"),
            (504, "", ErrorKind::TimedOut, "the answer is 504"),
            (302, "", ErrorKind::Invalid, "is it one?"),
        ] {
            let e = refusal(status, "/p", body.as_bytes());
            assert_eq!(e.kind(), kind, "{status}");
            assert!(e.to_string().contains(message), "{e}");
        }
    }

    #[test]
    fn names_of_both_generations() {
        for text in ["s.a", "s:a", "s/a"] {
            assert_eq!(job_name(text).expect(text).as_str(), "s.a");
        }
        assert_eq!(job_name("a").expect("a").as_str(), "default.a");
        assert!(job_name("a:b:c").is_err());
    }
}
