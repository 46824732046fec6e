//! `gaffer start --json`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gaffer::process::Signal;
use serde_json::Value;

use crate::support::Room;

/// Every line as an object with a time.
#[track_caller]
pub(crate) fn objects(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    let read = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(value["time"].as_f64().is_some_and(|time| time > 1.6e9), "{line}");
        value
    };
    text.lines().map(read).collect()
}

/// What a stream has said, put together again.
fn said(objects: &[Value], name: &str, stream: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for object in objects.iter().filter(|o| o["name"] == name && o["stream"] == stream) {
        match (&object["text"], &object["base64"]) {
            (Value::String(text), Value::Null) => bytes.extend_from_slice(text.as_bytes()),
            (Value::Null, Value::String(text)) => bytes.extend(STANDARD.decode(text).expect("base64")),
            _ => panic!("{object}"),
        }
        bytes.extend_from_slice(match object["end"].as_str() {
            None => b"\n",
            Some("crlf") => b"\r\n",
            Some("cr") => b"\r",
            Some("cut" | "partial") => b"",
            other => panic!("{other:?}"),
        });
    }
    bytes
}

#[test]
fn streams_are_told_apart_and_complete() {
    let out: &[u8] = b"plain\n\"quotes\" \\ \t\x01 \xc3\xa9\r\nbar\rbin\xff\x00\n\nno end";
    let room = Room::new("a: cat out; cat err >&2\n").file("out", out).file("err", b"oh \xfe\nno\n");
    let done = room.run("start --json --no-restart").expect(0).quietly();
    let objects = objects(&done.text());
    assert_eq!(said(&objects, "a.1", "stdout"), out, "{done}");
    assert_eq!(said(&objects, "a.1", "stderr"), b"oh \xfe\nno\n", "{done}");
    let pid = objects[0]["os_pid"].as_i64().expect("a number");
    for object in &objects {
        assert_eq!((&object["name"], &object["pid"], &object["os_pid"]), (&"a.1".into(), &1.into(), &pid.into()));
    }
}

#[test]
fn events_have_fields() {
    let room = Room::new("a: exit 3\nb: kill -9 $$\nc: nonexistent-program\nd: sleep 1000\n");
    let running = room.start("start --json -v --flapping 1,5,1000,1");
    for name in ["a", "b", "c"] {
        running.wait_until("it flaps", |text| {
            text.lines().any(|line| line.contains(r#""event":"flap""#) && line.contains(&format!("\"{name}\"")))
        });
    }
    let done = running.stop(Signal::INT).expect(0).quietly();
    let objects = objects(&done.text());
    let event = |name: &str, event: &str| {
        let found = objects.iter().find(|o| o["event"] == event && o["name"] == name);
        found.unwrap_or_else(|| panic!("{event} of {name}\n{done}"))
    };
    assert!(event("a.1", "spawn")["os_pid"].is_i64(), "{done}");
    assert_eq!(event("a.1", "spawn")["detach"], false);
    let exit = event("a.1", "exit");
    assert_eq!((&exit["exit_status"], &exit["exit_code"], &exit["term_signal"]), (&3.into(), &3.into(), &Value::Null));
    let exit = event("b.1", "exit");
    assert_eq!((&exit["exit_status"], &exit["term_signal"], &exit["core"]), (&Value::Null, &9.into(), &false.into()));
    let exit = event("c.1", "exit");
    assert!(exit["reason"].as_str().is_some_and(|reason| reason.contains("No such file")), "{exit}");
    assert_eq!(exit["os_pid"], Value::Null);
    assert_eq!(event("a", "flap")["retry_in"], 1000.0);
    for name in ["create", "start"] {
        event("d", name);
    }
    assert_eq!(event("d.1", "exit")["term_signal"], 15, "{done}");
    event("d.1", "stop_pid");
    let notice = objects.iter().find(|o| o["event"] == "notice").expect("a notice");
    assert!(notice["text"].as_str().is_some_and(|text| text.starts_with("stopping, waiting for d.1")), "{notice}");
}

#[test]
fn long_lines_are_pieces_that_say_so() {
    let room = Room::new("a: head -c 300000 /dev/zero | tr '\\0' x; echo; echo next\n");
    let done = room.run("start --json --no-restart").expect(0);
    let objects = objects(&done.text());
    let pieces: Vec<&Value> = objects.iter().filter(|o| o["text"].as_str().is_some_and(|t| t.contains("xx"))).collect();
    assert!(pieces.len() > 3, "{done}");
    assert!(pieces[1..].iter().all(|piece| piece["continues"] == true) && pieces[0]["continues"] == Value::Null);
    let mut want = vec![b'x'; 300_000];
    want.extend_from_slice(b"\nnext\n");
    assert_eq!(said(&objects, "a.1", "stdout"), want);
}
