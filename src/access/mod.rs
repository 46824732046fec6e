//! Who may do what: keys with rights, users with passwords, and the one decision everybody asks for.
//!
//! A key is a text of 48 hexadecimal digits: the first 16 are its *id*, by which it is named everywhere, the rest (128 random
//! bits) is known to its owner alone. The file has only its SHA-256. What a key may do are its [`Permissions`]; it can make other
//! keys, but never give rights that it has not, and they go when it goes.
//!
//! A user has a password and, if it is of any use, a key. Who [logs in](Access::login) gets a new key with the rights of that one;
//! the sixteen latest of a user are good.
//!
//! [`Access`] is a handle: servers, sockets and commands have a clone each, on whatever thread. What changes something writes
//! the file and may take a while, so it does not belong in a loop; [`identify`](Access::identify) and [`check`](Access::check) do.
//!
//! The file may be another process's work too. It is read again when a key is not known, when a second has passed since it was last
//! looked at, and by [`reload`](Access::reload): keys that are not in it any more are good no longer than that. Whoever has
//! something open under a key is [told](Access::on_change) of each change.
//!
//! ```
//! use gaffer::access::{Access, Decision, Permissions, Right, Who};
//! use gaffer::controller::Scope;
//!
//! let folder = std::env::temp_dir().join(format!("gaffer-doc-{}", std::process::id()));
//! let access = Access::open(folder.join("access.json"))?;
//! let admin = access.create_key(&Who::Trusted, Permissions::admin(), "me", None)?;
//! let who = access.identify(&admin.key)?;
//! let rights = Permissions::from_json(&serde_json::json!({"read": ["shop"]}))?;
//! let reader = access.create_key(&who, rights, "reader", None)?;
//! let reader = access.identify(&reader.key)?;
//! let shop = Scope::Session("shop".into());
//! assert_eq!(access.check(&reader, Right::Read, &shop), Decision::Allowed);
//! assert_eq!(access.check(&reader, Right::Write, &shop), Decision::Forbidden);
//! assert_eq!(access.check(&Who::Nobody, Right::Read, &shop), Decision::NoKey);
//! assert!(access.create_key(&reader, Permissions::admin(), "", None).is_err());
//! # std::fs::remove_dir_all(&folder).expect("it is ours");
//! # Ok::<(), gaffer::Error>(())
//! ```

#![forbid(unsafe_code)]

mod password;
mod permissions;
pub(crate) mod secret;
mod shared;
mod state;
mod store;
mod throttle;
mod users;
mod watch;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use state::{Caller, Key, State};
use store::{Stamp, Store};

use crate::controller::Scope;
use crate::{Error, ErrorKind, Result};

pub use password::MAX_PASSWORD;
pub use permissions::{MAX_PATTERNS, Pattern, Permissions, Right};
pub use shared::{SharedKeys, Shown};
pub use state::{MAX_KEYS, MAX_LOGINS, MAX_NAME, MAX_USERS, NewUser};
pub use throttle::{MAX_REMEMBERED, MAX_WAIT, Throttle};
pub use watch::Watch;

/// Digits of a key that are its id.
const ID: usize = 16;

/// Works that write the file or hash a password at a time; each takes a thread and some 20 MiB.
const MAX_WORKS: usize = 4;

/// The file is looked at for the work of another process this often at most.
const LOOK: Duration = Duration::from_secs(1);

/// Somebody, as far as we know.
#[derive(Clone, PartialEq, Eq)]
pub enum Who {
    /// Somebody who has shown no key.
    Nobody,
    /// Somebody whom the configuration trusts, as an administrator.
    Trusted,
    /// The owner of the key of this id.
    Key(String),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("nobody"),
            Self::Trusted => f.write_str("a trusted user"),
            Self::Key(id) => write!(f, "key {id}"),
        }
    }
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allowed,
    /// Nobody was named: 401.
    NoKey,
    /// That key has not the right, or is none (any more): 403.
    Forbidden,
}

/// A key that was just made: the only time it is known here.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewKey {
    /// By which it is named.
    pub id: String,
    /// The key itself.
    pub key: String,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.id)
    }
}

/// Why nobody was let in.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoginError {
    /// Name or password are wrong; which one, is not told.
    Wrong,
    /// Too many were wrong: to be tried again after this.
    Wait(Duration),
    /// The user has no key, so nothing could be done with a login.
    NoKey,
    /// The file could not be written.
    Failed(Error),
}

/// Keys and users. See the [module](self).
#[derive(Clone)]
pub struct Access {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    /// Held for moments only: the loop waits for it.
    known: Mutex<Known>,
    throttle: Mutex<Throttle>,
    works: AtomicUsize,
    watchers: watch::Watchers,
}

struct Known {
    state: State,
    stamp: Option<Stamp>,
    /// A file whose content makes no sense: it is not read twice.
    senseless: Option<Stamp>,
    looked: Instant,
}

impl Known {
    fn new((state, stamp): (State, Option<Stamp>)) -> Self {
        Self { state, stamp, senseless: None, looked: Instant::now() }
    }
}

/// The right to do something that takes a while, see [`Access::work`].
#[derive(Debug)]
pub struct Work(Access);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.inner.works.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What is behind it is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Access {
    /// The keys and users of a file, none if it is not there; it is made, with mode 0600, when there is something to keep.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is not ours ([`Invalid`](ErrorKind::Invalid)), or may be used by others than its owner.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let store = Store::new(path.as_ref());
        let known = Mutex::new(Known::new(store.load()?));
        let (throttle, works, watchers) = (Mutex::default(), AtomicUsize::new(0), watch::Watchers::default());
        Ok(Self { inner: Arc::new(Inner { store, known, throttle, works, watchers }) })
    }

    /// Whose key this is.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ErrorKind::Forbidden) if it is nobody's.
    pub fn identify(&self, key: &str) -> Result<Who> {
        let digest = secret::digest(key);
        let is_known = |known: &Known| {
            let found = key.get(..ID).and_then(|id| known.state.keys.get(id));
            found.is_some_and(|found| secret::same(&found.digest, &digest))
        };
        let mut known = lock(&self.inner.known);
        // Another process may have made it, or removed it.
        let look = known.looked.elapsed() >= LOOK || !is_known(&known);
        let changed = look && self.refresh(&mut known);
        let found = is_known(&known);
        drop(known);
        if changed {
            self.inner.watchers.tell();
        }
        match found {
            true => Ok(Who::Key(key[..ID].to_owned())),
            false => Err(Error::new(ErrorKind::Forbidden, "this key is not known here")),
        }
    }

    /// Looks whether another process has written the file, unless that was done within the last second.
    #[cfg(feature = "server")]
    pub(crate) fn look_at_file(&self) {
        let mut known = lock(&self.inner.known);
        if known.looked.elapsed() >= LOOK && self.refresh(&mut known) {
            drop(known);
            self.inner.watchers.tell();
        }
    }

    /// Reads the file again if it is another one; one that cannot be read changes nothing. Whether anything has changed.
    fn refresh(&self, known: &mut Known) -> bool {
        known.looked = Instant::now();
        let there = self.inner.store.stamp();
        if there == known.stamp || there.is_some() && there == known.senseless {
            return false;
        }
        match self.inner.store.load() {
            Ok(loaded) => {
                let changed = loaded.0 != known.state;
                *known = Known::new(loaded);
                changed
            }
            Err(e) => {
                // Anything else may go by: too many open files, say.
                known.senseless = there.filter(|_| e.kind() == ErrorKind::Invalid);
                false
            }
        }
    }

    /// Reads the file again if another process has written it: keys that were removed there end here.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); what was known stays.
    pub fn reload(&self) -> Result<()> {
        let loaded = self.inner.store.load()?;
        *lock(&self.inner.known) = Known::new(loaded);
        self.inner.watchers.tell();
        Ok(())
    }

    /// Calls `f` after each change of keys and users, until what is returned is dropped: on whatever thread has made it or found it
    /// in the file, at once, so it has to be quick. It may ask for anything here.
    #[must_use = "it ends when this is dropped"]
    pub fn on_change(&self, f: impl Fn() + Send + Sync + 'static) -> Watch {
        Watch::new(&self.inner, Arc::new(f))
    }

    /// The decision: whether `who` may do what needs `right`, on `on`.
    #[must_use]
    pub fn check(&self, who: &Who, right: Right, on: &Scope) -> Decision {
        match who {
            Who::Nobody => Decision::NoKey,
            Who::Trusted => Decision::Allowed,
            Who::Key(id) => match lock(&self.inner.known).state.keys.get(id) {
                Some(key) if key.permissions.allows(right, on) => Decision::Allowed,
                _ => Decision::Forbidden,
            },
        }
    }

    /// Whether somebody is known, whatever the rights: a key that was removed is not.
    #[must_use]
    pub fn is_somebody(&self, who: &Who) -> bool {
        match who {
            Who::Nobody => false,
            Who::Trusted => true,
            Who::Key(id) => lock(&self.inner.known).state.keys.contains_key(id),
        }
    }

    /// Leave to start something that takes a while on a thread, for as long as the value is there; `None` when four are at it.
    #[must_use]
    pub fn work(&self) -> Option<Work> {
        let more = |works| (works < MAX_WORKS).then_some(works + 1);
        self.inner.works.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Work(self.clone()))
    }

    fn caller(state: &State, who: &Who) -> Result<Caller> {
        let refused = |what| Error::new(ErrorKind::Forbidden, what);
        match who {
            Who::Nobody => Err(refused("a key is needed")),
            Who::Trusted => Ok(Caller { permissions: Permissions::admin(), key: None }),
            Who::Key(id) => {
                let key = state.keys.get(id).ok_or_else(|| refused("this key is not known any more"))?;
                Ok(Caller { permissions: key.permissions.clone(), key: Some(id.clone()) })
            }
        }
    }

    fn look<T>(&self, who: &Who, f: impl FnOnce(&State, &Caller) -> Result<T>) -> Result<T> {
        let known = lock(&self.inner.known);
        let caller = Self::caller(&known.state, who)?;
        f(&known.state, &caller)
    }

    fn change<T>(&self, who: &Who, f: impl FnOnce(&mut State, &Caller) -> Result<T>) -> Result<T> {
        let change = |state: &mut State| {
            let caller = Self::caller(state, who)?;
            f(state, &caller)
        };
        let (outcome, state, stamp) = self.inner.store.update(change)?;
        let mut known = lock(&self.inner.known);
        // Of two that have written, the later may be here first; the file says what holds.
        if self.inner.store.stamp() == stamp {
            *known = Known::new((state, stamp));
        } else {
            self.refresh(&mut known);
        }
        drop(known);
        self.inner.watchers.tell();
        Ok(outcome)
    }

    /// The ids of all keys, or with `whole` the keys; for administrators.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ErrorKind::Forbidden).
    pub fn keys(&self, who: &Who, whole: bool) -> Result<Vec<Value>> {
        self.look(who, |state, caller| {
            admin(caller)?;
            let show =
                |(id, key): (&String, &Key)| if whole { state.key_json(id, key, false) } else { id.as_str().into() };
            Ok(state.keys.iter().map(show).collect())
        })
    }

    /// A key, for itself and those that have create_key and all its rights.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ErrorKind::Forbidden), [`NotFound`](ErrorKind::NotFound).
    pub fn key(&self, who: &Who, id: &str, with_children: bool) -> Result<Value> {
        self.look(who, |state, caller| {
            let id = own(caller, id);
            state.may_have_key(caller, id)?;
            Ok(state.key_json(id, state.key(id)?, with_children))
        })
    }

    /// Whether [`create_key`](Self::create_key) has a chance, whatever the key.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ErrorKind::Forbidden).
    pub fn may_create_key(&self, who: &Who) -> Result<()> {
        self.look(who, |state, caller| state.may_make_key(caller, &Permissions::default(), None))
    }

    /// Makes a key. `parent` is the key it goes with; by default the one that makes it.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ErrorKind::Forbidden) without create_key, and for rights the caller has not; [`NotFound`](ErrorKind::NotFound)
    /// for the parent; [`Full`](ErrorKind::Full); a file that cannot be written.
    pub fn create_key(&self, who: &Who, rights: Permissions, label: &str, parent: Option<&str>) -> Result<NewKey> {
        check_name("label", label)?;
        let new = new_key()?;
        let created = now();
        self.change(who, |state, caller| {
            state.may_make_key(caller, &rights, parent)?;
            let parent = parent.map(str::to_owned).or_else(|| caller.key.clone());
            let digest = secret::digest(&new.key);
            let key = Key { digest, permissions: rights, label: label.to_owned(), parent, login: None, created };
            state.keys.insert(new.id.clone(), key);
            Ok(())
        })?;
        Ok(new)
    }

    /// Removes a key, and those made by it. A key may remove itself.
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key); a file that cannot be written.
    pub fn remove_key(&self, who: &Who, id: &str) -> Result<()> {
        self.change(who, |state, caller| {
            let id = own(caller, id).to_owned();
            state.may_have_key(caller, &id)?;
            state.key(&id)?;
            state.remove_key(&id);
            Ok(())
        })
    }
}

/// Removes the oldest logins of a user until so many are left.
fn end_logins(state: &mut State, name: &str, keep: usize) {
    let mine = state.keys.iter().filter(|(_, key)| key.login.as_deref() == Some(name));
    let mut logins: Vec<(u64, String)> = mine.map(|(id, key)| (key.created, id.clone())).collect();
    logins.sort();
    for (_, id) in &logins[..logins.len().saturating_sub(keep)] {
        state.remove_key(id);
    }
}

fn throttled(name: &str, peer: &str) -> Vec<String> {
    // A name that is too long for a user's is not kept as it is.
    let name: String = name.chars().take(MAX_NAME).collect();
    vec![format!("user {name}"), format!("peer {peer}")]
}

fn admin(caller: &Caller) -> Result<()> {
    if caller.permissions.admin {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Forbidden, "the right admin is needed"))
}

fn needs_create_user(caller: &Caller) -> Result<()> {
    if caller.permissions.allows(Right::CreateUser, &Scope::Node) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Forbidden, "the right create_user is needed"))
}

/// `self` is whoever asks.
fn own<'a>(caller: &'a Caller, id: &'a str) -> &'a str {
    caller.key.as_deref().filter(|_| id == "self").unwrap_or(id)
}

fn check_name(what: &str, name: &str) -> Result<()> {
    if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        let what = format!("{what}: expected at most {MAX_NAME} characters, none of them a control character");
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    Ok(())
}

/// RFC 7617: a name with a colon could not log in.
fn check_user_name(name: &str) -> Result<()> {
    if name.is_empty() || name.contains([':', '/']) {
        return Err(Error::new(ErrorKind::Invalid, "username: expected some characters, but no `:` and no `/`"));
    }
    check_name("username", name)
}

fn new_key() -> Result<NewKey> {
    let key = secret::hex(&secret::random::<24>()?);
    Ok(NewKey { id: key[..ID].to_owned(), key })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = lock(&self.inner.known);
        let (keys, users) = (known.state.keys.len(), known.state.users.len());
        write!(f, "{keys} keys and {users} users of {}", self.inner.store.path().display())
    }
}

const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<Access>();
};
