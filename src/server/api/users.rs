//! `/users`: names, passwords that nobody sees, and keys.

use serde_json::{Map, Value, json};

use super::auth::{guard, of_change, required, text, work};
use super::params::{bad, done, flag, object};
use crate::access::NewUser;
use crate::server::{Call, Refusal, Reply};

pub(super) fn all(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let users = guard(call)?.access().users(call.who, flag(call, "include_user")?)?;
    Ok(Reply::Private(200, json!({"users": users}), Vec::new()))
}

pub(super) fn create(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let guard = guard(call)?;
    guard.access().may_create_user(call.who)?;
    let members = object(call, &["username", "password", "user_type", "key"])?;
    let (name, password, new) = (required(&members, "username")?, required(&members, "password")?, new_user(&members)?);
    work(call, guard, format!("POST /users {name}"), move |access, who| {
        access.create_user(who, &name, &password, new).map_err(of_change)?;
        done(200)
    })
}

fn new_user(members: &Map<String, Value>) -> Result<NewUser, Refusal> {
    let user_type = match members.get("user_type") {
        None | Some(Value::Null) => 1,
        Some(value) => {
            let number = value.as_u64().and_then(|n| u8::try_from(n).ok()).filter(|n| *n < 2);
            number.ok_or_else(|| bad(format!("user_type: expected 0 (administrator) or 1, found {value}")))?
        }
    };
    Ok(NewUser::new(user_type, text(members, "key")?))
}

pub(super) fn one(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let user = guard(call)?.access().user(call.who, call.param("user"))?;
    Ok(Reply::Private(200, user, Vec::new()))
}

pub(super) fn update(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let (guard, name) = (guard(call)?, call.param("user").to_owned());
    guard.access().may_change_user(call.who, &name)?;
    let members = object(call, &["username", "password", "user_type", "key"])?;
    let (password, new) = (required(&members, "password")?, new_user(&members)?);
    work(call, guard, format!("PUT /users/{name}"), move |access, who| {
        access.update_user(who, &name, &password, new)?;
        done(200)
    })
}

pub(super) fn remove(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let (guard, name) = (guard(call)?, call.param("user").to_owned());
    guard.access().may_change_user(call.who, &name)?;
    work(call, guard, format!("DELETE /users/{name}"), move |access, who| {
        access.remove_user(who, &name)?;
        done(200)
    })
}

pub(super) fn set_password(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let (guard, name) = (guard(call)?, call.param("user").to_owned());
    guard.access().may_change_user(call.who, &name)?;
    let password = required(&object(call, &["password"])?, "password")?;
    work(call, guard, format!("PUT /users/{name}/password"), move |access, who| {
        access.set_password(who, &name, &password)?;
        done(200)
    })
}

pub(super) fn set_key(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let (guard, name) = (guard(call)?, call.param("user").to_owned());
    guard.access().may_change_user(call.who, &name)?;
    let members = object(call, &["key"])?;
    if !members.contains_key("key") {
        return Err(bad("`key` is missing: the id of a key, or null"));
    }
    let key = text(&members, "key")?;
    work(call, guard, format!("PUT /users/{name}/key"), move |access, who| {
        access.set_key(who, &name, key)?;
        done(200)
    })
}
