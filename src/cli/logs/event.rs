//! An event of a node, as the console shows events.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::client;
use crate::process::{Event, Exit, OsPid, Signal, What};

/// The event, if it is one that the console knows.
pub(super) fn read(event: &client::Event) -> Option<Event> {
    let fields = &event.fields;
    let text = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| fields[name].as_u64().and_then(|n| u32::try_from(n).ok());
    let signal = |name: &str| fields[name].as_i64().and_then(|n| Signal::new(i32::try_from(n).ok()?).ok());
    let os_pid = fields["os_pid"].as_i64().and_then(|n| i32::try_from(n).ok()).map(OsPid);
    let what = match event.event.as_str() {
        "create" => What::Create,
        "start" => What::Start,
        "stop" => What::Stop,
        "restart" => What::Restart,
        "update" => What::Update { numprocesses: number("numprocesses")? },
        "delete" => What::Delete,
        "spawn" => What::Spawn { pid: event.pid?, os_pid: os_pid?, detach: fields["detach"] == true },
        "reap" => What::Reap { pid: event.pid?, os_pid },
        "exit" => What::Exit {
            pid: event.pid?,
            os_pid,
            instance: 0,
            exit: exit(fields, signal("term_signal")),
            once: fields["once"] == true,
        },
        "stop_pid" => What::StopPid { pid: event.pid?, os_pid },
        "flap" => {
            let next = fields["retry_in"].as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            What::Flap { retry: number("retry")?, next }
        }
        "kill" => What::Kill { pid: event.pid, os_pid, signal: signal("signum")? },
        "fault" => What::Fault { source: text("source"), reason: text("reason") },
        "overflow" => What::Overflow { dropped: fields["dropped"].as_u64()? },
        _ => return None,
    };
    Some(Event::new(event.time, event.name.clone().map(Arc::new), what))
}

fn exit(fields: &Value, signal: Option<Signal>) -> Exit {
    let code = fields["exit_code"].as_i64().and_then(|code| i32::try_from(code).ok());
    match (code, signal, fields["reason"].as_str()) {
        (Some(code), _, _) => Exit::Code(code),
        (None, Some(signal), _) => Exit::Signal { signal, core: fields["core"] == true },
        (None, None, Some(reason)) if fields["os_pid"].is_null() => Exit::Failed(reason.to_owned()),
        _ => Exit::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ends() {
        for (fields, want) in [
            (json!({"exit_code": 3, "os_pid": 1}), Exit::Code(3)),
            (
                json!({"exit_code": null, "os_pid": 1, "term_signal": 9}),
                Exit::Signal { signal: Signal::KILL, core: false },
            ),
            (json!({"exit_code": null, "os_pid": null, "reason": "no"}), Exit::Failed("no".to_owned())),
            (json!({"exit_code": null, "os_pid": 1, "reason": "lost"}), Exit::Lost),
        ] {
            let signal = fields["term_signal"].as_i64().and_then(|n| Signal::new(n as i32).ok());
            assert_eq!(exit(&fields, signal), want);
        }
    }
}
