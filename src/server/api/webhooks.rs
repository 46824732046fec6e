//! `/webhooks`: where events are posted to. Passwords and the values of queries are never listed.

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
            "url": masked(&hook.url),
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

/// A URL without the secrets in it: who may list webhooks need not be who has set them up. What stays is enough to tell one from the other.
fn masked(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:***@{host}"),
            // A user without a password is often a token.
            None => format!("***@{host}"),
        },
        None => authority.to_owned(),
    };
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let query = query.map(|query| {
        let pair = |pair: &str| match pair.split_once('=') {
            Some((name, _)) => format!("{name}=***"),
            None => "***".to_owned(),
        };
        format!("?{}", query.split('&').map(pair).collect::<Vec<_>>().join("&"))
    });
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{authority}{path}{}", query.unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn secrets_are_not_listed() {
        for (url, want) in [
            ("http://a.example/x", "http://a.example/x"),
            ("http://u:p@h:1/x", "http://u:***@h:1/x"),
            ("https://token@h/x", "https://***@h/x"),
            ("http://u:p@q@h/", "http://u:***@h/"),
            ("http://h/x?token=1&y=2&z", "http://h/x?token=***&y=***&***"),
            ("http://h?a=b@c:d/e", "http://h?a=***"),
            ("http://h/a@b:c", "http://h/a@b:c"),
        ] {
            assert_eq!(masked(url), want, "{url}");
        }
    }
}
