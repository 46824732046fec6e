//! What arguments mean: read once for the command table and for the routes of the HTTP API.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::config::parse_name;
use crate::manager::Commit;
use crate::process::{JobName, Scale, Signal};
use crate::{Error, ErrorKind, Result};

fn invalid<T>(message: String) -> Result<T> {
    Err(Error::new(ErrorKind::Invalid, message))
}

/// A job's name: `label`, `session.label`, `session/label` or `session:label`; `session` is that of an own argument, if there
/// is one.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] if it is no name, or two sessions are named.
pub fn job_name(name: &str, session: Option<&str>) -> Result<JobName> {
    parse_name(name, session)
}

/// How to scale: a whole number adds or removes, a text may also set (`"=3"`, `"3"`).
///
/// # Errors
///
/// [`ErrorKind::Invalid`] for anything else.
pub fn scale(value: &Value) -> Result<Scale> {
    match value {
        Value::String(text) => text.parse(),
        Value::Number(number) if number.is_i64() => Ok(Scale::By(number.as_i64().unwrap_or_default())),
        _ => invalid("expected a `scale`: a whole number, or a text such as \"+1\", \"-1\" or \"=3\"".to_owned()),
    }
}

/// A signal by number or by name.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] for anything else.
pub fn signal(value: &Value) -> Result<Signal> {
    match value {
        Value::String(name) => name.parse(),
        Value::Number(number) => number.to_string().parse(),
        _ => invalid("expected a `signal`: a number or a name such as \"HUP\"".to_owned()),
    }
}

/// What a committed process gets: seconds until SIGKILL follows SIGTERM, and variables. `null` is as good as nothing.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] for a time that is none, and for variables that are none.
pub fn commit(graceful_timeout: Option<&Value>, env: Option<&Value>) -> Result<Commit> {
    let mut commit = Commit::default();
    match graceful_timeout {
        None | Some(Value::Null) => {}
        Some(value) => match value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
            Some(timeout) => commit.graceful_timeout = Some(timeout),
            None => return invalid(format!("graceful_timeout: expected seconds, found {value}")),
        },
    }
    match env {
        None | Some(Value::Null) => {}
        Some(Value::Object(variables)) => {
            for (name, value) in variables {
                commit.env.insert(name.clone(), variable(name, value)?);
            }
        }
        Some(value) => return invalid(format!("env: expected an object, found {value}")),
    }
    Ok(commit)
}

fn variable(name: &str, value: &Value) -> Result<String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return invalid(format!("env: {name:?} is not a variable's name"));
    }
    match value {
        Value::String(text) if !text.contains('\0') => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => invalid(format!("env.{name}: expected text, found {value}")),
    }
}

/// What is written to a process: a text, or a list of texts, one after the other as they are.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] for anything else.
pub fn input(value: &Value) -> Result<Vec<u8>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let found = match value {
        Value::Array(lines) => lines.iter().map(text).collect::<Option<Vec<_>>>().map(|lines| lines.concat()),
        value => text(value),
    };
    match found {
        Some(text) => Ok(text.into_bytes()),
        None => invalid("expected a text, or a list of texts".to_owned()),
    }
}

/// A definition with what was given beside it: variables, which win over its own, and whether to start.
pub(super) fn definition(config: &Map<String, Value>, env: Option<&Value>, start: Option<&Value>) -> Value {
    let mut config = config.clone();
    match env {
        Some(Value::Object(more)) if config.get("env").is_none_or(|env| env.is_object() || env.is_null()) => {
            let mut all = config.get("env").and_then(Value::as_object).cloned().unwrap_or_default();
            all.extend(more.clone());
            config.insert("env".to_owned(), Value::Object(all));
        }
        // What is no object is refused with its name where definitions are read.
        Some(other) => drop(config.insert("env".to_owned(), other.clone())),
        None => {}
    }
    if let Some(start) = start {
        config.insert("start".to_owned(), start.clone());
    }
    Value::Object(config)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_arguments_mean() {
        assert_eq!(scale(&json!(-2)).expect("a number"), Scale::By(-2));
        assert_eq!(scale(&json!("3")).expect("a text"), Scale::To(3));
        assert!(scale(&json!(1.5)).is_err() && scale(&json!([])).is_err());
        assert_eq!(signal(&json!("sigterm")).expect("a name"), Signal::TERM);
        assert_eq!(signal(&json!(15)).expect("a number"), Signal::TERM);
        assert!(signal(&json!(1.5)).is_err() && signal(&json!(null)).is_err());
        assert_eq!(input(&json!(["a\n", "b"])).expect("texts"), b"a\nb");
        assert!(input(&json!(["a", 1])).is_err());
        assert_eq!(job_name("shop:web", None).expect("a name").as_str(), "shop.web");
        assert_eq!(job_name("web", Some("shop")).expect("a name").as_str(), "shop.web");
        assert!(job_name("a.web", Some("shop")).is_err());
        let committed = commit(Some(&json!(0.5)), Some(&json!({"A": 1}))).expect("right");
        assert_eq!((committed.graceful_timeout, &*committed.env["A"]), (Some(Duration::from_millis(500)), "1"));
        assert!(commit(Some(&json!(-1)), None).is_err() && commit(None, Some(&json!({"=": "x"}))).is_err());
    }
}
