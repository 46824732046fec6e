//! `/webhooks`: where events are posted to.

use serde_json::{Value, json};

use super::params::{bad, done, object, refuse};
use crate::server::{Call, Refusal, Reply};
use crate::webhooks::{HookId, Hooks};

fn hooks<'a>(call: &Call<'a, '_>) -> Result<&'a Hooks, Refusal> {
    call.provided.get().ok_or_else(|| refuse(501, "unsupported", "this node posts no events"))
}

pub(super) fn list(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let all = hooks(call)?.list().into_iter().map(|hook| {
        json!({
            "id": hook.id.0,
            "event": hook.event,
            "url": hook.url,
            "queued": hook.counters.queued,
            "sent": hook.counters.sent,
            "failed": hook.counters.failed,
            "dropped": hook.counters.dropped,
            "retried": hook.counters.retried,
            "error": hook.last_error,
        })
    });
    Ok(Reply::Json(200, json!({"webhooks": all.collect::<Vec<_>>()})))
}

/// The same one twice is one, and has the same number.
pub(super) fn register(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let hooks = hooks(call)?;
    let body = object(call, &["event", "url"])?;
    let text = |name: &str| match body.get(name) {
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(bad(format!("{name}: expected a text"))),
        None => Err(bad(format!("expected `{name}`: a text"))),
    };
    let (event, url) = (text("event")?, text("url")?);
    let id = hooks.register(event, url)?;
    Ok(Reply::Json(200, json!({"ok": true, "id": id.0})))
}

pub(super) fn unregister(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let id = call.param("id");
    match id.parse() {
        Ok(number) if hooks(call)?.unregister(HookId(number)) => done(200),
        _ => Err(refuse(404, "not_found", format!("no such webhook {id}"))),
    }
}
