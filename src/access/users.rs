//! What is done to users, and by them.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::password::Hashed;
use super::state::{Caller, Key, MAX_LOGINS, MAX_USERS, NewUser, State, User};
use super::{
    Access, LoginError, NewKey, Who, admin, check_user_name, end_logins, lock, needs_create_user, new_key, now, secret,
    throttled,
};
use crate::{Error, ErrorKind, Result};

impl Access {
    /// The names of all users, or with `whole` the users; for administrators.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ErrorKind::Forbidden).
    pub fn users(&self, who: &Who, whole: bool) -> Result<Vec<Value>> {
        self.look(who, |state, caller| {
            admin(caller)?;
            let show = |(name, user): (&String, &User)| {
                if whole { State::user_json(name, user) } else { name.as_str().into() }
            };
            Ok(state.users.iter().map(show).collect())
        })
    }

    /// A user, for itself and those that have create_user.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ErrorKind::Forbidden), [`NotFound`](ErrorKind::NotFound).
    pub fn user(&self, who: &Who, name: &str) -> Result<Value> {
        self.look(who, |state, caller| {
            state.may_see_user(caller, name)?;
            Ok(State::user_json(name, state.user(name)?))
        })
    }

    /// Whether [`create_user`](Self::create_user) has a chance, whatever the user.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ErrorKind::Forbidden).
    pub fn may_create_user(&self, who: &Who) -> Result<()> {
        self.look(who, |_, caller| needs_create_user(caller))
    }

    /// Whether a user may be changed by `who`.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ErrorKind::Forbidden), [`NotFound`](ErrorKind::NotFound).
    pub fn may_change_user(&self, who: &Who, name: &str) -> Result<()> {
        self.look(who, |state, caller| state.may_change_user(caller, name))
    }

    /// Makes a user.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ErrorKind::Forbidden) without create_user, for administrators, and for a key with rights the caller has not;
    /// [`Conflict`](ErrorKind::Conflict); [`Invalid`](ErrorKind::Invalid) for a name or password that cannot be;
    /// [`Full`](ErrorKind::Full); a file that cannot be written.
    pub fn create_user(&self, who: &Who, name: &str, password: &str, new: NewUser) -> Result<()> {
        check_user_name(name)?;
        self.look(who, |state, caller| {
            needs_create_user(caller)?;
            state.may_make_user(caller, &new)
        })?;
        let password = Hashed::new(password)?;
        self.change(who, |state, caller| {
            needs_create_user(caller)?;
            state.may_make_user(caller, &new)?;
            if state.users.contains_key(name) {
                return Err(Error::new(ErrorKind::Conflict, format!("there is a user {name:?} already")));
            }
            if state.users.len() >= MAX_USERS {
                let what = format!("there are {MAX_USERS} users, and that is all there may be");
                return Err(Error::new(ErrorKind::Full, what));
            }
            state.users.insert(name.to_owned(), User { password, user_type: new.user_type, key: new.key });
            Ok(())
        })
    }

    /// Replaces a user; its logins end.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ErrorKind::Forbidden) unless the caller is that user, or has create_user and all rights of the user's key, the old one
    /// and the new one; [`NotFound`](ErrorKind::NotFound), [`Invalid`](ErrorKind::Invalid); a file that cannot be written.
    pub fn update_user(&self, who: &Who, name: &str, password: &str, new: NewUser) -> Result<()> {
        self.may_change_user(who, name)?;
        let password = Hashed::new(password)?;
        self.change_user(who, name, |state, caller, user| {
            // A user must not make itself more than it is either.
            state.may_make_user(caller, &new)?;
            *user = User { password, user_type: new.user_type, key: new.key };
            Ok(())
        })
    }

    /// Sets a user's password; its logins end.
    ///
    /// # Errors
    ///
    /// As [`update_user`](Self::update_user).
    pub fn set_password(&self, who: &Who, name: &str, password: &str) -> Result<()> {
        self.may_change_user(who, name)?;
        let password = Hashed::new(password)?;
        self.change_user(who, name, |_, _, user| {
            user.password = password;
            Ok(())
        })
    }

    /// Sets a user's key by its id; its logins end.
    ///
    /// # Errors
    ///
    /// As [`update_user`](Self::update_user).
    pub fn set_key(&self, who: &Who, name: &str, key: Option<String>) -> Result<()> {
        self.change_user(who, name, |state, caller, user| {
            state.may_attach(caller, key.as_deref())?;
            user.key = key;
            Ok(())
        })
    }

    fn change_user(
        &self,
        who: &Who,
        name: &str,
        f: impl FnOnce(&State, &Caller, &mut User) -> Result<()>,
    ) -> Result<()> {
        self.change(who, |state, caller| {
            state.may_change_user(caller, name)?;
            let mut user = state.user(name)?.clone();
            f(state, caller, &mut user)?;
            state.users.insert(name.to_owned(), user);
            end_logins(state, name, 0);
            Ok(())
        })
    }

    /// Removes a user and its logins; its key stays.
    ///
    /// # Errors
    ///
    /// As [`update_user`](Self::update_user).
    pub fn remove_user(&self, who: &Who, name: &str) -> Result<()> {
        self.change(who, |state, caller| {
            state.may_change_user(caller, name)?;
            state.users.remove(name);
            end_logins(state, name, 0);
            Ok(())
        })
    }

    /// Whether somebody may try a password now; it counts as a wrong one until it was right. `peer` is where it comes from.
    ///
    /// # Errors
    ///
    /// How long to wait.
    pub fn attempt(&self, name: &str, peer: &str, now: Instant) -> std::result::Result<(), Duration> {
        lock(&self.inner.throttle).attempt(&throttled(name, peer), now)
    }

    /// Gives a new key with the rights of the user's own for a password, [attempted](Self::attempt) before. Takes as long for a user that is
    /// not there.
    ///
    /// # Errors
    ///
    /// See [`LoginError`].
    pub fn login(&self, name: &str, password: &str, peer: &str) -> std::result::Result<NewKey, LoginError> {
        let user = {
            let mut known = lock(&self.inner.known);
            // Another process may have made it.
            let changed = self.refresh(&mut known);
            let user = known.state.users.get(name).cloned();
            drop(known);
            if changed {
                self.inner.watchers.tell();
            }
            user
        };
        let hashed = user.as_ref().map_or_else(Hashed::nobodys, |user| user.password.clone());
        if !hashed.verify(password) {
            return Err(LoginError::Wrong);
        }
        lock(&self.inner.throttle).succeeded(&throttled(name, peer));
        let new = new_key().map_err(LoginError::Failed)?;
        let created = now();
        let made = self.change(&Who::Trusted, |state, _| {
            // It may have changed meanwhile.
            let Some(user) = state.users.get(name).filter(|user| user.password == hashed) else { return Ok(false) };
            let Some(parent) = user.key.clone() else { return Ok(false) };
            let permissions = state.key(&parent)?.permissions.clone();
            end_logins(state, name, MAX_LOGINS - 1);
            let (digest, label) = (secret::digest(&new.key), format!("login of {name}"));
            let login = Some(name.to_owned());
            let key = Key { digest, permissions, label, parent: Some(parent), login, created };
            state.keys.insert(new.id.clone(), key);
            Ok(true)
        });
        match made {
            Ok(true) => Ok(new),
            Ok(false) => Err(LoginError::NoKey),
            Err(e) => Err(LoginError::Failed(e)),
        }
    }
}
