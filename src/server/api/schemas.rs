//! The shapes of `/openapi.json`.

use serde_json::{Value, json};

/// An object that has all of these members, and no others.
fn exact(properties: Value) -> Value {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(|members| members.keys()).collect();
    json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false})
}

fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Every shape, by name.
pub(super) fn schemas() -> Value {
    let (text, whole, number, truth) =
        (json!({"type": "string"}), json!({"type": "integer"}), json!({"type": "number"}), json!({"type": "boolean"}));
    let or_null = |kind: &str| json!({"type": [kind, "null"]});
    let state = json!({"enum": ["active", "flapping", "stopped"]});
    let health = json!({
        "enum": ["active", "finished", "backing off", "crash loop", "flapping", "gave up", "stopped"],
    });
    let last_exit = json!({"anyOf": [{"type": "null"}, exact(json!({
        "exit_code": or_null("integer"), "term_signal": or_null("integer"), "core": truth, "reason": or_null("string"),
        "time": number,
    }))]});
    let texts = list(text.clone());
    let wholes = list(whole.clone());
    let variables = json!({"type": "object", "additionalProperties": {"type": ["string", "number"]}});
    // An environment is null to those who may not see it.
    let hidden = json!({"type": ["object", "null"], "additionalProperties": {"type": ["string", "number"]}});
    let permissions = json!({
        "type": "object",
        "properties": {
            "admin": truth, "create_key": truth, "create_user": truth, "manage": texts, "write": texts, "read": texts,
        },
        "additionalProperties": false,
    });
    let user_type = json!({"enum": [0, 1]});
    let user = json!({"username": text, "user_type": user_type, "key": or_null("string")});
    let new_user = |required: &[&str]| {
        let mut properties = user.clone();
        properties["password"] = text.clone();
        json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false})
    };
    let ok = json!({"const": true});
    [
        ("Any", json!({})),
        ("Ok", exact(json!({"ok": ok}))),
        ("Error", json!({
            "type": "object",
            "required": ["error", "reason", "errno"],
            "properties": {"error": text, "reason": text, "errno": whole},
        })),
        ("Welcome", exact(json!({"welcome": text, "version": text}))),
        ("Version", exact(json!({"name": text, "version": text}))),
        ("Health", exact(json!({"status": {"const": "ok"}}))),
        ("Ready", exact(json!({"ready": truth, "total": whole, "jobs": list(json!({}))}))),
        ("Names", texts.clone()),
        ("NamesOrPids", json!({"anyOf": [texts, wholes]})),
        ("Pids", exact(json!({"pids": wholes}))),
        ("OkPids", exact(json!({"ok": ok, "pids": wholes}))),
        ("Pid", exact(json!({"pid": whole}))),
        ("Numprocesses", exact(json!({"numprocesses": whole}))),
        ("OkNumprocesses", exact(json!({"ok": ok, "numprocesses": whole}))),
        ("Sessions", exact(json!({"sessions": texts}))),
        ("Jobs", exact(json!({"jobs": {"anyOf": [texts, list(reference("Job"))]}}))),
        ("SessionJobs", exact(json!({"sessionid": text, "jobs": texts}))),
        ("Status", exact(json!({
            "name": text, "active": truth, "state": state, "health": health, "running": whole, "numprocesses": whole,
            "max_processes": whole, "restarts": whole, "last_exit": last_exit, "started": or_null("number"),
            "ending": wholes, "failing_logs": list(reference("Log")),
        }))),
        ("AllStatus", exact(json!({"jobs": list(reference("Status"))}))),
        ("Job", exact(json!({
            "name": text, "active": truth, "state": state, "health": health, "running": whole, "running_out": whole,
            "numprocesses": whole, "max_processes": whole, "restarts": whole, "last_exit": last_exit,
            "started": or_null("number"), "processes": wholes, "ending": wholes,
            "config": reference("Definition"), "logs": list(reference("Log")),
        }))),
        ("Log", exact(json!({
            "path": text, "bytes": whole, "spliced": whole, "dropped": whole, "rotations": whole,
            "failing": or_null("string"),
        }))),
        ("Definition", definition(&["name", "cmd"])),
        ("Replacement", definition(&["cmd"])),
        ("Process", exact(json!({
            "pid": whole, "os_pid": or_null("integer"), "name": text, "instance": whole,
            "state": {"enum": ["starting", "running", "stopping", "exited"]},
            "active": truth, "cmd": text, "args": texts, "env": hidden,
            "uid": {"type": ["integer", "string", "null"]}, "gid": {"type": ["integer", "string", "null"]},
            "create_time": or_null("number"), "commited": truth, "redirect_output": texts, "redirect_input": truth,
            "custom_streams": texts, "stdout_logfile": or_null("string"), "stderr_logfile": or_null("string"),
        }))),
        ("Figures", json!({
            "type": "object",
            "required": [
                "os_pid", "mem_info1", "mem_info2", "rss", "vms", "cpu", "mem", "ctime", "username", "nice", "cmdline",
                "num_threads", "num_fds", "create_time", "children",
            ],
            "properties": {
                "pid": whole, "id": whole, "name": text, "os_pid": whole, "mem_info1": text, "mem_info2": text,
                "rss": whole, "vms": whole, "cpu": number, "mem": number, "ctime": text, "username": text,
                "nice": whole, "cmdline": text, "num_threads": whole, "num_fds": or_null("integer"),
                "create_time": number, "children": list(reference("Figures")),
            },
            "additionalProperties": false,
        })),
        ("Stats", exact(json!({"stats": reference("Figures")}))),
        ("JobStats", exact(json!({
            "name": text, "stats": list(reference("Figures")),
            "mem": or_null("number"), "max_mem": or_null("number"), "min_mem": or_null("number"),
            "cpu": or_null("number"), "max_cpu": or_null("number"), "min_cpu": or_null("number"),
        }))),
        ("AllStats", list(reference("JobStats"))),
        ("Event", json!({
            "type": "object",
            "required": ["event", "time"],
            "properties": {"event": text, "topic": text, "time": number, "name": text, "pid": whole},
        })),
        ("Log", json!({
            "type": "object",
            "properties": {
                "time": number, "name": text, "instance": whole, "pid": whole, "os_pid": whole, "label": text,
                "fd": whole, "data": text, "data_base64": text,
                "event": {"const": "gap"}, "dropped": or_null("integer"),
            },
        })),
        ("Scale", exact(json!({"scale": {"type": ["integer", "string"], "description": "3 adds, -3 removes, \"=3\" sets"}}))),
        ("Signal", exact(json!({"signal": {"type": ["integer", "string"]}}))),
        #[cfg(feature = "webhooks")]
        ("Webhooks", exact(json!({"webhooks": list(exact(json!({
            "id": whole, "event": text, "url": text, "queued": whole, "sent": whole, "failed": whole, "dropped": whole,
            "retried": whole, "error": or_null("string"),
        })))}))),
        #[cfg(feature = "webhooks")]
        ("NewWebhook", exact(json!({"event": text, "url": text}))),
        #[cfg(feature = "webhooks")]
        ("OkId", exact(json!({"ok": ok, "id": whole}))),
        ("ApiKey", exact(json!({"api_key": text, "key": text}))),
        ("OkApiKey", exact(json!({"ok": ok, "api_key": text, "key": text}))),
        ("Keys", exact(json!({"keys": list(json!({"anyOf": [text, reference("Key")]}))}))),
        ("Key", json!({
            "type": "object",
            "required": ["key", "label", "permissions", "parent", "user", "created"],
            "properties": {
                "key": text, "label": text, "permissions": permissions, "parent": or_null("string"),
                "user": or_null("string"), "created": whole, "keys": texts,
            },
            "additionalProperties": false,
        })),
        ("NewKey", json!({
            "type": "object",
            "properties": {
                "permissions": permissions, "label": text, "parent": or_null("string"),
                "key": {"description": "is ignored: the server makes it"},
            },
            "additionalProperties": false,
        })),
        ("Users", exact(json!({"users": list(json!({"anyOf": [text, reference("User")]}))}))),
        ("User", exact(user.clone())),
        ("NewUser", new_user(&["username", "password"])),
        ("ChangedUser", new_user(&["password"])),
        ("Password", exact(json!({"password": text}))),
        ("UserKey", exact(json!({"key": or_null("string")}))),
        ("Commit", json!({
            "type": "object",
            "properties": {"graceful_timeout": {"type": ["number", "null"], "minimum": 0}, "env": variables},
            "additionalProperties": false,
        })),
    ]
    .into_iter()
    .collect()
}

/// A job's definition; each key may be left out but these.
fn definition(required: &[&str]) -> Value {
    let (text, truth) = (json!({"type": "string"}), json!({"type": "boolean"}));
    let texts = list(text.clone());
    let who = json!({"type": ["integer", "string", "null"]});
    let seconds = json!({"type": "number", "minimum": 0});
    let size =
        json!({"type": ["integer", "string"], "minimum": 0, "description": "bytes, such as 52428800 or \"50 MiB\""});
    json!({
        "type": "object",
        "required": required,
        "properties": {
            "name": text, "session": text, "group": text, "sessionid": text, "cmd": text,
            "args": {"anyOf": [texts, text]},
            "shell": truth,
            "env": {"type": ["object", "null"], "additionalProperties": {"type": ["string", "number", "null"]}},
            "os_env": truth,
            "port": {"type": "integer", "minimum": 1, "maximum": 65535},
            "ps": truth,
            "cwd": {"type": ["string", "null"]},
            "uid": who, "gid": who,
            "umask": {"type": ["string", "integer"]},
            "detach": truth,
            "numprocesses": {"type": "integer", "minimum": 0},
            "start": truth,
            "priority": {"type": "integer"},
            "restart": {"enum": ["always", "on-failure", "on-success", "never"]},
            "flapping": {"type": ["object", "string", "boolean"]},
            "backoff": {"type": ["object", "string", "number"]},
            "redirect_output": texts, "redirect_input": truth, "custom_streams": texts,
            "stdout_logfile": {"type": ["string", "null"]}, "stderr_logfile": {"type": ["string", "null"]},
            "logfile_maxbytes": size, "logfile_backups": {"type": "integer", "minimum": 0, "maximum": 1000},
            "logfile_total": size, "log_format": {"enum": ["raw", "prefix", "json"]},
            "stdio": {"enum": ["null", "inherit"]},
            "graceful_timeout": seconds,
            "stop_signal": {"type": ["string", "integer"]},
            "tty": truth, "log_history": size,
        },
        "additionalProperties": false,
    })
}
