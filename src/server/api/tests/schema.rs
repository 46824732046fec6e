//! Just enough of JSON Schema to check answers by the description.

use serde_json::{Value, json};

use super::Route;
use crate::server::{Refusal, Reply};

/// Checks that the description allows this answer of this route.
#[track_caller]
pub(super) fn check_answer(document: &Value, route: &Route, answer: &Result<Reply, Refusal>) {
    let path = template(route.pattern);
    let responses = &document["paths"][&path][route.method.to_ascii_lowercase()]["responses"];
    let (status, json, media) = match answer {
        Err(refusal) => (refusal.status, Some(refusal.to_json()), "application/json"),
        Ok(Reply::Json(status, value)) => (*status, Some(value.clone()), "application/json"),
        Ok(Reply::JsonText(status, text)) => {
            (*status, Some(serde_json::from_slice(text).expect("JSON")), "application/json")
        }
        Ok(Reply::Private(status, value, _)) => (*status, Some(value.clone()), "application/json"),
        Ok(Reply::Text(status, _)) => (*status, None, "text/plain"),
        Ok(Reply::Bytes { status, content_type, .. }) => (*status, None, content_type.split(';').next().expect("one")),
        Ok(Reply::Empty(status)) => (*status, None, ""),
        Ok(Reply::Streamed(streamed)) => (streamed.status, None, ""),
        Ok(Reply::Feed(_)) => (200, None, "text/event-stream"),
        Ok(Reply::WebSocket(_)) => (101, None, ""),
        Ok(Reply::Later(_)) => panic!("{route:?}: the answer itself is to be checked"),
    };
    let response = &responses[status.to_string()];
    assert!(response.is_object(), "{route:?}: status {status} is not described: {answer:?}");
    let content = &response["content"][media];
    assert!(media.is_empty() || content.is_object(), "{route:?}: {media} of {status} is not described");
    if let Some(json) = json {
        if let Err(why) = conforms(document, &content["schema"], &json) {
            panic!("{route:?}: {why}\n{json:#}");
        }
    }
}

pub(super) fn template(pattern: &str) -> String {
    let segments = pattern.split('/').map(|segment| match segment.strip_prefix([':', '*']) {
        Some(name) => format!("{{{name}}}"),
        None => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

pub(super) fn conforms(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.strip_prefix('#').expect("a local reference"));
        return conforms(document, target.unwrap_or_else(|| panic!("{reference} leads nowhere")), value);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let faults: Vec<String> = any.iter().filter_map(|one| conforms(document, one, value).err()).collect();
        return if faults.len() < any.len() { Ok(()) } else { Err(faults.join(", or ")) };
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return Err(format!("expected {}, found {value}", schema["const"]));
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        return Err(format!("expected one of {}, found {value}", schema["enum"]));
    }
    let is = |kind: &Value| match kind.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    };
    let typed = match &schema["type"] {
        Value::Null => true,
        Value::Array(kinds) => kinds.iter().any(is),
        kind => is(kind),
    };
    if !typed {
        return Err(format!("expected {}, found {value}", schema["type"]));
    }
    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
        if let Some(schema) = schema.get("items") {
            conforms(document, schema, item).map_err(|why| format!("[{i}]: {why}"))?;
        }
    }
    let Some(members) = value.as_object() else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !members.contains_key(name.as_str().expect("a name")) {
            return Err(format!("{name} is missing"));
        }
    }
    for (name, value) in members {
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, Value::Bool(false)) => return Err(format!("{name} is not described")),
            (Value::Null, Value::Null | Value::Bool(true)) => {}
            (Value::Null, other) | (other, _) => {
                conforms(document, other, value).map_err(|why| format!("{name}: {why}"))?;
            }
        }
    }
    Ok(())
}

#[test]
fn the_checker_checks() {
    let document = json!({"a": {"type": "object", "required": ["n"], "properties": {"n": {"type": ["integer", "null"]},
        "l": {"type": "array", "items": {"$ref": "#/a"}}}, "additionalProperties": false}});
    let check = |value: Value| conforms(&document, &document["a"], &value);
    assert_eq!(check(json!({"n": 1, "l": [{"n": null}]})), Ok(()));
    for bad in [json!({}), json!({"n": 1.5}), json!({"n": 1, "x": 1}), json!({"n": 1, "l": [{}]}), json!([])] {
        assert!(check(bad.clone()).is_err(), "{bad}");
    }
}
