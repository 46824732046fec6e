//! Keys and users of a node that asks for keys.

use serde_json::{Value, json};
use ureq::http::Method;

use super::address::encode;
use super::answer::{missing, names};
use super::http::{Content, Http};
use super::server::Server;
use crate::Result;

/// The keys of a node, by their ids, the first 16 digits of a key.
#[derive(Clone, Debug)]
pub struct Keys {
    http: Http,
}

/// A key that was just made: the only time its node shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewKey {
    /// By which it is named.
    pub id: String,
    /// The key itself.
    pub key: String,
}

impl NewKey {
    fn read(answer: &Value) -> Result<Self> {
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        let id = text("key").ok_or_else(|| missing("key"))?;
        Ok(Self { id, key: text("api_key").ok_or_else(|| missing("api_key"))? })
    }
}

impl Keys {
    /// The ids of all keys.
    ///
    /// # Errors
    ///
    /// Those of the [module](super#errors); so for all methods. `Forbidden` without the right, `NotFound` also where the node asks nobody for keys.
    pub fn list(&self) -> Result<Vec<String>> {
        names(&self.http.get("/keys")?["keys"])
    }

    /// A key: `key` (its id), `label`, `permissions`, `parent`, `user`, `created`. `self` is the one that is sent.
    pub fn get(&self, id: &str) -> Result<Value> {
        self.http.get(&format!("/keys/{}", encode(id)))
    }

    /// Makes a key with these rights: `{"manage": ["shop"], "read": ["*"]}`.
    pub fn create(&self, permissions: &Value, label: &str) -> Result<NewKey> {
        let body = json!({"permissions": permissions, "label": label});
        NewKey::read(&self.http.post("/keys", Content::Json(&body))?)
    }

    /// Removes a key, and those it has made.
    pub fn remove(&self, id: &str) -> Result<()> {
        self.http.delete(&format!("/keys/{}", encode(id))).map(drop)
    }
}

/// The users of a node.
#[derive(Clone, Debug)]
pub struct Users {
    http: Http,
}

impl Users {
    fn path(name: &str, rest: &str) -> String {
        format!("/users/{}{rest}", encode(name))
    }

    /// The names of all users.
    ///
    /// # Errors
    ///
    /// As for [`Keys::list`]; so for all methods.
    pub fn list(&self) -> Result<Vec<String>> {
        names(&self.http.get("/users")?["users"])
    }

    /// A user: `username`, `user_type` (0 for an administrator), `key` (an id).
    pub fn get(&self, name: &str) -> Result<Value> {
        self.http.get(&Self::path(name, ""))
    }

    /// Makes a user. `key` is the id of the key whose rights a login has.
    pub fn create(&self, name: &str, password: &str, user_type: u8, key: Option<&str>) -> Result<()> {
        let body = json!({"username": name, "password": password, "user_type": user_type, "key": key});
        self.http.post("/users", Content::Json(&body)).map(drop)
    }

    /// Removes a user.
    pub fn remove(&self, name: &str) -> Result<()> {
        self.http.delete(&Self::path(name, "")).map(drop)
    }

    /// Sets a user's password; its logins end.
    pub fn set_password(&self, name: &str, password: &str) -> Result<()> {
        self.http.put(&Self::path(name, "/password"), &json!({"password": password})).map(drop)
    }

    /// Sets a user's key by its id, or takes it away; its logins end.
    pub fn set_key(&self, name: &str, key: Option<&str>) -> Result<()> {
        self.http.put(&Self::path(name, "/key"), &json!({"key": key})).map(drop)
    }
}

impl Server {
    /// The keys of the node.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys { http: self.http.clone() }
    }

    /// The users of the node.
    #[must_use]
    pub fn users(&self) -> Users {
        Users { http: self.http.clone() }
    }

    /// Logs in: a new key with the rights of the user's own. [`api_key`](Self::api_key) has it sent from then on.
    ///
    /// # Errors
    ///
    /// Those of the [module](super#errors): `Forbidden` for a wrong name or password, and for a user without a key; `NotFound` where nobody is asked for
    /// keys.
    pub fn authenticate(&self, name: &str, password: &str) -> Result<NewKey> {
        NewKey::read(&self.http.login(Method::GET, "/auth", name, password)?)
    }
}
