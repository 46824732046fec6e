//! Who may register, and who may ask.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::access::{SharedKeys, Shown};
use crate::proto::h1::RequestHead;
use crate::server::{Refusal, key_of, no_key};

/// The keys of a lookup server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keys {
    /// A node needs one of these to register, and may read with it. Default: nobody is asked for a key, whatever he wants.
    pub nodes: Option<SharedKeys>,
    /// Who only reads may show one of these instead. Default: none.
    pub readers: SharedKeys,
    /// Whether everybody may read. Default: no, where nodes need a key.
    pub anonymous_read: bool,
}

impl Keys {
    /// Nodes need one of these.
    #[must_use]
    pub fn new(nodes: SharedKeys) -> Self {
        Self { nodes: Some(nodes), ..Self::default() }
    }

    /// Sets [`readers`](field@Self::readers).
    #[must_use]
    pub fn readers(mut self, readers: SharedKeys) -> Self {
        self.readers = readers;
        self
    }

    /// Sets [`anonymous_read`](field@Self::anonymous_read).
    #[must_use]
    pub const fn anonymous_read(mut self, yes: bool) -> Self {
        self.anonymous_read = yes;
        self
    }
}

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    Register,
    Read,
}

/// Asks for [`Keys`], which can be others later. Clones are the same one.
#[derive(Clone, Default)]
pub struct Doors(Arc<Inner>);

#[derive(Default)]
struct Inner {
    keys: RwLock<Keys>,
    /// Who had no key, and whose was not good.
    refused: [AtomicU64; 2],
}

/// What somebody has shown, to be looked at again.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    doors: Doors,
    wants: Wants,
    shown: Option<Shown>,
}

impl Doors {
    /// With these keys.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self(Arc::new(Inner { keys: RwLock::new(keys), refused: Default::default() }))
    }

    /// Asks for these from now on. Connections that came by a key that is none any more end with what they say or would be told next.
    pub fn set(&self, keys: Keys) {
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    fn with<R>(&self, f: impl FnOnce(&Keys) -> R) -> R {
        f(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets somebody in: 401 without a key, 403 with one that is not good for that.
    pub(super) fn admit(&self, head: &RequestHead, wants: Wants) -> Result<Ticket, Refusal> {
        let shown = self.with(|keys| {
            let Some(nodes) = &keys.nodes else { return Ok(None) };
            let key = key_of(head);
            let shown = key.and_then(|key| match wants {
                Wants::Register => nodes.identify(key),
                // Both are asked, so that the time does not tell which was right.
                Wants::Read => match (nodes.identify(key), keys.readers.identify(key)) {
                    (Some(shown), _) | (_, Some(shown)) => Some(shown),
                    _ => None,
                },
            });
            match (shown, key) {
                (Some(shown), _) => Ok(Some(shown)),
                (None, _) if wants == Wants::Read && keys.anonymous_read => Ok(None),
                (None, None) => Err(no_key()),
                (None, Some(_)) if wants == Wants::Register => {
                    Err(Refusal::new(403, "forbidden", "nodes do not register with this key"))
                }
                (None, Some(_)) => Err(Refusal::new(403, "forbidden", "this key is not known")),
            }
        });
        let shown = shown.inspect_err(|refusal| {
            let [unknown, forbidden] = &self.0.refused;
            let counter = if refusal.status == 401 { unknown } else { forbidden };
            counter.fetch_add(1, Ordering::Relaxed);
        })?;
        Ok(Ticket { doors: self.clone(), wants, shown })
    }
}

impl Doors {
    /// How many were refused with each status.
    pub(super) fn refused(&self) -> [(u16, u64); 2] {
        let [unknown, forbidden] = self.0.refused.each_ref().map(|n| n.load(Ordering::Relaxed));
        [(401, unknown), (403, forbidden)]
    }
}

impl Ticket {
    /// Whether it would be let in now.
    pub(super) fn is_good(&self) -> bool {
        self.doors.with(|keys| {
            let Some(nodes) = &keys.nodes else { return true };
            let by = |of: &SharedKeys| self.shown.as_ref().is_some_and(|shown| of.has(shown));
            by(nodes) || self.wants == Wants::Read && (keys.anonymous_read || by(&keys.readers))
        })
    }
}

/// What is told to everybody: that there is a server.
pub(super) fn is_open(path: &str) -> bool {
    matches!(path, "/" | "/ping" | "/version")
}

impl fmt::Debug for Doors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|keys| f.debug_tuple("Doors").field(keys).finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::h1::{Decoder, Event, Limits};

    fn head(fields: &str) -> RequestHead {
        let request = format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        let mut decoder = Decoder::new(Limits::default());
        match decoder.feed(request.as_bytes()).event {
            Event::Head(head) => head,
            _ => panic!("a head"),
        }
    }

    #[test]
    fn who_may_do_what() {
        let node = || Keys::new(SharedKeys::new(["node"]));
        let keys = [Keys::default(), node(), node().readers(SharedKeys::new(["reader"])), node().anonymous_read(true)];
        // Of each: register, read.
        for (fields, want) in [
            ("", [(200, 200), (401, 401), (401, 401), (401, 200)]),
            ("X-Api-Key: node\r\n", [(200, 200); 4]),
            ("Authorization: bearer  node\r\n", [(200, 200); 4]),
            ("X-Api-Key: reader\r\n", [(200, 200), (403, 403), (403, 200), (403, 200)]),
            ("X-Api-Key:\r\n", [(200, 200), (403, 403), (403, 403), (403, 200)]),
            ("Authorization: Basic node\r\n", [(200, 200), (401, 401), (401, 401), (401, 200)]),
        ] {
            for (keys, want) in keys.iter().zip(want) {
                let doors = Doors::new(keys.clone());
                let ask = |wants| doors.admit(&head(fields), wants).map_or_else(|refusal| refusal.status, |_| 200);
                assert_eq!((ask(Wants::Register), ask(Wants::Read)), want, "{fields} {keys:?}");
            }
        }
    }

    #[test]
    fn a_key_that_is_withdrawn() {
        let doors = Doors::new(Keys::new(SharedKeys::new(["old", "new"])));
        let enter = |key: &str, wants| doors.admit(&head(&format!("X-Api-Key: {key}\r\n")), wants).expect(key);
        let (old, new) = (enter("old", Wants::Register), enter("new", Wants::Read));
        assert!(old.is_good() && new.is_good());
        doors.set(Keys::new(SharedKeys::new(["new"])));
        assert!(!old.is_good() && new.is_good());
        doors.set(Keys::new(SharedKeys::new(["third"])).readers(SharedKeys::new(["new", "old"])));
        assert!(!old.is_good() && new.is_good());
        doors.set(Keys::default());
        assert!(old.is_good());
    }
}
