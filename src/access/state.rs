//! Keys and users, and who may do what to them. Pure: no file, no clock, no password is hashed here.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::password::Hashed;
use super::permissions::{Permissions, Right};
use super::secret::{from_hex, hex};
use crate::controller::Scope;
use crate::{Error, ErrorKind, Result};

/// Keys there may be.
pub const MAX_KEYS: usize = 10_000;

/// Users there may be.
pub const MAX_USERS: usize = 10_000;

/// Keys one user has by logging in; the oldest goes when there is one more.
pub const MAX_LOGINS: usize = 16;

/// Characters of a key's label, and of a user's name.
pub const MAX_NAME: usize = 256;

/// A key, without what only its owner has.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) digest: [u8; 32],
    pub(super) permissions: Permissions,
    pub(super) label: String,
    /// The key that made it and takes it along when it goes.
    pub(super) parent: Option<String>,
    /// Whose login it is.
    pub(super) login: Option<String>,
    /// Seconds since 1970.
    pub(super) created: u64,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) password: Hashed,
    /// 0: an administrator; 1: an application.
    pub(super) user_type: u8,
    pub(super) key: Option<String>,
}

#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) keys: BTreeMap<String, Key>,
    pub(super) users: BTreeMap<String, User>,
}

/// Who wants something done: rights, and the key that has them, if it is one.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) permissions: Permissions,
    pub(super) key: Option<String>,
}

/// What a user is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewUser {
    /// 0: an administrator; 1: an application.
    pub user_type: u8,
    /// The id of the key whose rights a login has.
    pub key: Option<String>,
}

impl NewUser {
    /// A user of this type with a key or none.
    #[must_use]
    pub const fn new(user_type: u8, key: Option<String>) -> Self {
        Self { user_type, key }
    }
}

fn error<T>(kind: ErrorKind, what: impl Into<String>) -> Result<T> {
    Err(Error::new(kind, what.into()))
}

fn forbidden(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Forbidden, what.into())
}

impl Caller {
    fn may(&self, right: Right) -> bool {
        self.permissions.allows(right, &Scope::Node)
    }
}

impl State {
    /// Whether the caller may see and remove this key: its own, or one whose rights are among its own.
    pub(super) fn may_have_key(&self, caller: &Caller, id: &str) -> Result<()> {
        if caller.key.as_deref() == Some(id) {
            return Ok(());
        }
        if !caller.may(Right::CreateKey) {
            return Err(forbidden("the right create_key is needed for other keys than one's own"));
        }
        let key = self.key(id)?;
        match caller.permissions.contains(&key.permissions) {
            true => Ok(()),
            false => Err(forbidden(format!("key {id} has rights that yours has not"))),
        }
    }

    pub(super) fn key(&self, id: &str) -> Result<&Key> {
        self.keys.get(id).ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no such key {id:?}")))
    }

    /// Whether a key of these rights may be made.
    pub(super) fn may_make_key(&self, caller: &Caller, permissions: &Permissions, parent: Option<&str>) -> Result<()> {
        if !caller.may(Right::CreateKey) {
            return Err(forbidden("the right create_key is needed"));
        }
        if !caller.permissions.contains(permissions) {
            return Err(forbidden("a key cannot give rights that it has not"));
        }
        if let Some(parent) = parent {
            self.may_have_key(caller, parent)?;
        }
        if self.keys.len() >= MAX_KEYS {
            return error(ErrorKind::Full, format!("there are {MAX_KEYS} keys, and that is all there may be"));
        }
        Ok(())
    }

    /// Removes a key, those that it has made, and those that these have made.
    pub(super) fn remove_key(&mut self, id: &str) {
        let mut gone = vec![id.to_owned()];
        while let Some(id) = gone.pop() {
            self.keys.remove(&id);
            gone.extend(
                self.keys.iter().filter(|(_, key)| key.parent.as_deref() == Some(&id)).map(|(id, _)| id.clone()),
            );
            for user in self.users.values_mut().filter(|user| user.key.as_deref() == Some(&id)) {
                user.key = None;
            }
        }
    }

    /// Whether the caller is this user: by the user's key, or by a login.
    fn is_user(&self, caller: &Caller, name: &str) -> bool {
        let Some(id) = caller.key.as_deref() else { return false };
        let attached = self.users.get(name).and_then(|user| user.key.as_deref()) == Some(id);
        attached || self.keys.get(id).is_some_and(|key| key.login.as_deref() == Some(name))
    }

    /// Whether the caller may see a user.
    pub(super) fn may_see_user(&self, caller: &Caller, name: &str) -> Result<()> {
        if self.is_user(caller, name) {
            return Ok(());
        }
        if !caller.may(Right::CreateUser) {
            return Err(forbidden("the right create_user is needed for other users than oneself"));
        }
        self.user(name).map(drop)
    }

    /// Whether the caller may change a user, which must not make it more than it is: whoever sets a password has the user's key.
    pub(super) fn may_change_user(&self, caller: &Caller, name: &str) -> Result<()> {
        self.may_see_user(caller, name)?;
        if self.is_user(caller, name) {
            return Ok(());
        }
        let user = self.user(name)?;
        if user.user_type == 0 && !caller.may(Right::Admin) {
            return Err(forbidden(format!("{name} is an administrator: only another one changes it")));
        }
        self.may_attach(caller, user.key.as_deref())
    }

    /// Whether the caller may make a user what it shall be.
    pub(super) fn may_make_user(&self, caller: &Caller, new: &NewUser) -> Result<()> {
        if new.user_type == 0 && !caller.may(Right::Admin) {
            return Err(forbidden("user_type 0 is an administrator: only another one makes it"));
        }
        if new.user_type > 1 {
            return error(ErrorKind::Invalid, format!("user_type: expected 0 or 1, found {}", new.user_type));
        }
        self.may_attach(caller, new.key.as_deref())
    }

    /// Whether the caller has all rights of a key that a user is to have.
    pub(super) fn may_attach(&self, caller: &Caller, id: Option<&str>) -> Result<()> {
        let Some(id) = id.filter(|id| caller.key.as_deref() != Some(id)) else { return Ok(()) };
        match self.keys.get(id) {
            Some(key) if caller.permissions.contains(&key.permissions) => Ok(()),
            None if caller.may(Right::Admin) => error(ErrorKind::Invalid, format!("key: no such key {id:?}")),
            _ => Err(forbidden("key: it is not there, or has rights that yours has not")),
        }
    }

    pub(super) fn user(&self, name: &str) -> Result<&User> {
        self.users.get(name).ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no such user {name:?}")))
    }

    /// As `/keys/<id>` shows it.
    pub(super) fn key_json(&self, id: &str, key: &Key, with_children: bool) -> Value {
        let mut members = Map::new();
        members.insert("key".to_owned(), id.into());
        members.insert("label".to_owned(), key.label.as_str().into());
        members.insert("permissions".to_owned(), key.permissions.to_json());
        members.insert("parent".to_owned(), json!(key.parent));
        members.insert("user".to_owned(), json!(key.login));
        members.insert("created".to_owned(), key.created.into());
        if with_children {
            let children = self.keys.iter().filter(|(_, key)| key.parent.as_deref() == Some(id));
            members.insert("keys".to_owned(), children.map(|(id, _)| id.clone()).collect());
        }
        members.into()
    }

    pub(super) fn user_json(name: &str, user: &User) -> Value {
        json!({"username": name, "user_type": user.user_type, "key": user.key})
    }

    pub(super) fn to_json(&self) -> Value {
        let keys: Map<String, Value> = self.keys.iter().map(|(id, key)| (id.clone(), key_to_file(key))).collect();
        let users: Map<String, Value> = self
            .users
            .iter()
            .map(|(name, user)| {
                let password = user.password.to_json();
                (name.clone(), json!({"password": password, "user_type": user.user_type, "key": user.key}))
            })
            .collect();
        json!({"version": 1, "keys": keys, "users": users})
    }

    /// # Errors
    ///
    /// Where what is there is not what [`to_json`](Self::to_json) has written.
    pub(super) fn from_json(value: &Value) -> std::result::Result<Self, String> {
        if value["version"] != 1 {
            return Err(format!("version: expected 1, found {}", value["version"]));
        }
        let mut state = Self::default();
        for (id, key) in value["keys"].as_object().ok_or("keys: expected an object")? {
            let key = key_from_file(key).map_err(|e| format!("keys: {id}: {e}"))?;
            state.keys.insert(id.clone(), key);
        }
        for (name, user) in value["users"].as_object().ok_or("users: expected an object")? {
            let password = Hashed::from_json(&user["password"]);
            let user_type = user["user_type"].as_u64().and_then(|n| u8::try_from(n).ok()).filter(|n| *n < 2);
            let (Some(password), Some(user_type)) = (password, user_type) else {
                return Err(format!("users: {name}: expected a password's hash and a user_type"));
            };
            state.users.insert(name.clone(), User { password, user_type, key: text(&user["key"]) });
        }
        Ok(state)
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn key_to_file(key: &Key) -> Value {
    json!({
        "sha256": hex(&key.digest), "permissions": key.permissions.to_json(), "label": key.label,
        "parent": key.parent, "login": key.login, "created": key.created,
    })
}

fn key_from_file(value: &Value) -> std::result::Result<Key, String> {
    let digest = value["sha256"].as_str().and_then(from_hex).and_then(|bytes| bytes.try_into().ok());
    Ok(Key {
        digest: digest.ok_or("sha256: expected 64 hexadecimal digits")?,
        permissions: Permissions::from_json(&value["permissions"]).map_err(|e| e.to_string())?,
        label: text(&value["label"]).unwrap_or_default(),
        parent: text(&value["parent"]),
        login: text(&value["login"]),
        created: value["created"].as_u64().unwrap_or(0),
    })
}
