//! `/keys`: keys by their ids. A key itself is shown once, to whoever makes it.

use serde_json::json;

use super::auth::{guard, of_change, text, work};
use super::params::{done, flag, object};
use crate::access::Permissions;
use crate::server::{Call, Refusal, Reply};

pub(super) fn all(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let keys = guard(call)?.access().keys(call.who, flag(call, "include_keys")?)?;
    Ok(Reply::Private(200, json!({"keys": keys}), Vec::new()))
}

pub(super) fn create(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let guard = guard(call)?;
    guard.access().may_create_key(call.who)?;
    // The original takes a `key` and throws it away.
    let members = object(call, &["permissions", "label", "parent", "key"])?;
    let permissions = members.get("permissions").map_or(Ok(Permissions::default()), Permissions::from_json)?;
    let (label, parent) = (text(&members, "label")?.unwrap_or_default(), text(&members, "parent")?);
    work(call, guard, "POST /keys".to_owned(), move |access, who| {
        let new = access.create_key(who, permissions, &label, parent.as_deref()).map_err(of_change)?;
        let headers = vec![("X-Api-Key", new.key.clone()), ("Location", format!("/keys/{}", new.id))];
        Ok(Reply::Private(200, json!({"ok": true, "api_key": new.key, "key": new.id}), headers))
    })
}

pub(super) fn one(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let key = guard(call)?.access().key(call.who, call.param("key"), flag(call, "include_keys")?)?;
    Ok(Reply::Private(200, key, Vec::new()))
}

pub(super) fn remove(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let (guard, id) = (guard(call)?, call.param("key").to_owned());
    guard.access().key(call.who, &id, false)?;
    work(call, guard, format!("DELETE /keys/{id}"), move |access, who| {
        access.remove_key(who, &id)?;
        done(200)
    })
}
