//! The websockets of one process, where keys are asked for.
//!
//! The key is that of the request, or comes in the first message: scripts of browsers can give a websocket no field of their own, and what is in a URL
//! would be in logs and histories.

use super::call::{Call, Peer, Refusal};
use super::guard::{Guard, owner};
use crate::access::{Right, Who};
use crate::controller::Scope;
use crate::manager::Cx;

/// The key in a first message: `AUTH:KEY`.
pub(super) fn key_of(message: &[u8]) -> Option<&str> {
    // What is no text is no key, but it was meant as one.
    message.strip_prefix(b"AUTH:").map(|key| std::str::from_utf8(key).unwrap_or("").trim())
}

/// What has to be opened by a key, and closes when that is not good any more.
pub(super) struct Lock {
    guard: Guard,
    peer: Peer,
    who: Who,
    /// The number of the process.
    pid: String,
    right: Right,
    /// Whom the right is needed on, from the opening on: the process may end.
    on: Scope,
    what: String,
}

impl Lock {
    /// For the process `:pid`; `None` where nobody is asked.
    ///
    /// # Errors
    ///
    /// 403 if the request has a key that is not enough.
    pub(super) fn new(call: &Call<'_, '_>, right: Right) -> Result<Option<Self>, Refusal> {
        let Some(guard) = call.guard else { return Ok(None) };
        let pid = call.param("pid").to_owned();
        let (guard, peer, who, on) = (guard.clone(), call.request.peer.clone(), call.who.clone(), owner(call.cx, &pid));
        let lock = Self { guard, peer, who, pid, right, on, what: call.request.head.path().to_owned() };
        if lock.is_open() {
            lock.guard.check(&lock.who, right, &lock.on)?;
        }
        Ok(Some(lock))
    }

    pub(super) fn is_open(&self) -> bool {
        self.who != Who::Nobody
    }

    /// By the key of the first message, which may have none.
    ///
    /// # Errors
    ///
    /// 401 without a key, 403 for one that is not enough.
    pub(super) fn open(&mut self, cx: &Cx<'_>, key: Option<&str>) -> Result<(), Refusal> {
        let mut who = Who::Nobody;
        // The one that was there when it was connected to may have another job's number by now, or none.
        let on = owner(cx, &self.pid);
        let outcome = match key {
            None => self.guard.check(&who, self.right, &on),
            Some(key) => self.guard.access().identify(key).map_err(Refusal::from).and_then(|found| {
                who = found;
                self.guard.check(&who, self.right, &on)
            }),
        };
        self.tell(&who, "by its first message", outcome.as_ref().err());
        outcome.map(|()| (self.who, self.on) = (who, on))
    }

    /// After keys or rights have changed.
    ///
    /// # Errors
    ///
    /// 403 if it has to be closed.
    pub(super) fn recheck(&self) -> Result<(), Refusal> {
        if !self.is_open() {
            return Ok(());
        }
        let known = self.guard.check_known(&self.who);
        let outcome = known.and_then(|()| self.guard.check(&self.who, self.right, &self.on));
        if let Err(refusal) = &outcome {
            self.tell(&self.who, "under way", Some(refusal));
        }
        outcome
    }

    fn tell(&self, who: &Who, how: &str, refusal: Option<&Refusal>) {
        let what = format!("{}, {how}", self.what);
        self.guard.audit(who, &what, &self.peer, refusal.map(|refusal| refusal.reason.as_str()));
    }
}
