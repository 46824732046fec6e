//! Output and events as JSON, one object a line.

use std::io::Write;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::clock::unix;
use crate::process::{Event, Exit, OsPid, Pid, What};
use crate::proto::lines::Line;

/// Writing into a `Vec` never fails.
const INFALLIBLE: &str = "a Vec takes everything";

/// The start of an object.
pub(super) fn time(out: &mut Vec<u8>, time: SystemTime) {
    let (seconds, micros) = unix(time);
    write!(out, "{{\"time\":{seconds}.{micros:06}").expect(INFALLIBLE);
}

/// `"text"`, escaped.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect(INFALLIBLE);
}

fn numbers(out: &mut Vec<u8>, pid: Option<Pid>, os_pid: Option<OsPid>) {
    if let Some(pid) = pid {
        write!(out, ",\"pid\":{pid}").expect(INFALLIBLE);
        match os_pid {
            Some(os_pid) => write!(out, ",\"os_pid\":{os_pid}"),
            None => write!(out, ",\"os_pid\":null"),
        }
        .expect(INFALLIBLE);
    }
}

/// What stands in each object of one stream, between the time and the text.
pub(super) fn stream(name: &str, pid: Pid, os_pid: Option<OsPid>, label: &str) -> Vec<u8> {
    let mut out = b",\"name\":".to_vec();
    string(&mut out, name);
    numbers(&mut out, Some(pid), os_pid);
    out.extend_from_slice(b",\"stream\":");
    string(&mut out, label);
    out
}

/// Whether nothing needs an escape (RFC 8259, 7). Without a way out of the loop the compiler looks
/// at many bytes at once, which is several times as fast as looking for the first.
fn is_plain(text: &[u8]) -> bool {
    text.iter().fold(true, |plain, &b| plain & (b >= 0x20) & (b != b'"') & (b != b'\\'))
}

/// What stands after the stream: the text and how it ends.
pub(super) fn line(out: &mut Vec<u8>, line: Line<'_>) {
    match std::str::from_utf8(line.bytes) {
        Ok(text) if is_plain(line.bytes) => {
            out.extend_from_slice(b",\"text\":\"");
            out.extend_from_slice(text.as_bytes());
            out.push(b'"');
        }
        Ok(text) => {
            out.extend_from_slice(b",\"text\":");
            string(out, text);
        }
        Err(_) => write!(out, ",\"base64\":\"{}\"", STANDARD.encode(line.bytes)).expect(INFALLIBLE),
    }
    if line.continues {
        out.extend_from_slice(b",\"continues\":true");
    }
    out.extend_from_slice(line.end.json().as_bytes());
}

/// An event of the process or job `name`; of the manager itself where that is empty.
pub(super) fn event(out: &mut Vec<u8>, event: &Event, name: &str) {
    time(out, event.time);
    write!(out, ",\"event\":\"{}\"", event.what.name()).expect(INFALLIBLE);
    if !name.is_empty() {
        out.extend_from_slice(b",\"name\":");
        string(out, name);
    }
    numbers(out, event.what.pid(), event.what.os_pid());
    match &event.what {
        What::Update { numprocesses } => write!(out, ",\"numprocesses\":{numprocesses}"),
        What::Spawn { detach, .. } => write!(out, ",\"detach\":{detach}"),
        What::Exit { exit, once, .. } => {
            how_it_ended(out, exit);
            write!(out, ",\"once\":{once}")
        }
        What::Flap { retry, next: Some(pause) } => {
            write!(out, ",\"retry\":{retry},\"retry_in\":{}", pause.as_secs_f64())
        }
        What::Flap { retry, next: None } => write!(out, ",\"retry\":{retry},\"retry_in\":null"),
        What::Kill { signal, .. } => write!(out, ",\"signum\":{}", signal.number()),
        What::Fault { source, reason } => {
            out.extend_from_slice(b",\"source\":");
            string(out, source);
            out.extend_from_slice(b",\"reason\":");
            string(out, reason);
            Ok(())
        }
        What::Overflow { dropped } => write!(out, ",\"dropped\":{dropped}"),
        _ => Ok(()),
    }
    .expect(INFALLIBLE);
    out.extend_from_slice(b"}\n");
}

fn how_it_ended(out: &mut Vec<u8>, exit: &Exit) {
    match (exit.code(), exit.signal()) {
        (Some(code), _) => write!(out, ",\"exit_status\":{code},\"exit_code\":{code},\"term_signal\":null"),
        (None, Some(signal)) => {
            write!(out, ",\"exit_status\":null,\"exit_code\":null,\"term_signal\":{}", signal.number())
        }
        (None, None) => write!(out, ",\"exit_status\":null,\"exit_code\":null,\"term_signal\":null"),
    }
    .expect(INFALLIBLE);
    let core = matches!(exit, Exit::Signal { core: true, .. });
    write!(out, ",\"core\":{core},\"reason\":").expect(INFALLIBLE);
    match exit {
        Exit::Failed(reason) => string(out, reason),
        Exit::Lost => string(out, &exit.to_string()),
        _ => out.extend_from_slice(b"null"),
    }
}

/// What the manager's user should know.
pub(super) fn notice(out: &mut Vec<u8>, at: SystemTime, text: &str) {
    time(out, at);
    out.extend_from_slice(b",\"event\":\"notice\",\"text\":");
    string(out, text);
    out.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Signal;
    use std::time::{Duration, UNIX_EPOCH};

    fn at() -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_042)
    }

    #[track_caller]
    fn check(what: What, want: &str) {
        let mut out = Vec::new();
        event(&mut out, &Event::new(at(), None, what), "web.1");
        let text = String::from_utf8(out).expect("JSON is UTF-8");
        assert_eq!(text, format!("{{\"time\":1700000000.000042,{want}}}\n"));
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
    }

    #[test]
    fn events() {
        let (pid, os_pid) = (Pid(1), Some(OsPid(42)));
        check(What::Start, r#""event":"start","name":"web.1""#);
        check(
            What::Spawn { pid, os_pid: OsPid(42), detach: true },
            r#""event":"spawn","name":"web.1","pid":1,"os_pid":42,"detach":true"#,
        );
        check(
            What::Exit { pid, os_pid, instance: 1, exit: Exit::Code(3), once: false },
            r#""event":"exit","name":"web.1","pid":1,"os_pid":42,"exit_status":3,"exit_code":3,"term_signal":null,"core":false,"reason":null,"once":false"#,
        );
        check(
            What::Exit {
                pid,
                os_pid,
                instance: 1,
                exit: Exit::Signal { signal: Signal::KILL, core: true },
                once: true,
            },
            r#""event":"exit","name":"web.1","pid":1,"os_pid":42,"exit_status":null,"exit_code":null,"term_signal":9,"core":true,"reason":null,"once":true"#,
        );
        check(
            What::Exit { pid, os_pid: None, instance: 1, exit: Exit::Failed("no \"x\"".into()), once: false },
            r#""event":"exit","name":"web.1","pid":1,"os_pid":null,"exit_status":null,"exit_code":null,"term_signal":null,"core":false,"reason":"no \"x\"","once":false"#,
        );
        check(
            What::Flap { retry: 1, next: Some(Duration::from_millis(7500)) },
            r#""event":"flap","name":"web.1","retry":1,"retry_in":7.5"#,
        );
        check(What::Flap { retry: 0, next: None }, r#""event":"flap","name":"web.1","retry":0,"retry_in":null"#);
        check(
            What::Kill { pid: Some(pid), os_pid, signal: Signal::HUP },
            r#""event":"kill","name":"web.1","pid":1,"os_pid":42,"signum":1"#,
        );
        check(
            What::Kill { pid: None, os_pid: None, signal: Signal::HUP },
            r#""event":"kill","name":"web.1","signum":1"#,
        );
        check(What::Update { numprocesses: 4 }, r#""event":"update","name":"web.1","numprocesses":4"#);
        check(
            What::Fault { source: "a \"b\"".into(), reason: "c".into() },
            r#""event":"fault","name":"web.1","source":"a \"b\"","reason":"c""#,
        );
        check(What::Overflow { dropped: 4 }, r#""event":"overflow","name":"web.1","dropped":4"#);
    }
}
