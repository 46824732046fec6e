//! Keys without owners and rights of their own: whoever has one of them is let in.

use std::fmt;

use super::secret::{digest, same};

/// Some keys, each as good as the other. Only their digests are kept.
///
/// ```
/// use gaffer::access::SharedKeys;
///
/// let keys = SharedKeys::new(["an-old-key-of-ours", "the-one-that-comes"]);
/// let shown = keys.identify("an-old-key-of-ours").expect("it is one of them");
/// assert!(keys.has(&shown) && keys.identify("another").is_none());
/// assert!(!SharedKeys::new(["the-one-that-comes"]).has(&shown));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SharedKeys {
    digests: Vec<[u8; 32]>,
}

/// A key that was shown once: whether it is still good can be asked again without it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shown([u8; 32]);

impl SharedKeys {
    /// These keys.
    #[must_use]
    pub fn new<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self { digests: keys.into_iter().map(|key| digest(key.as_ref())).collect() }
    }

    /// Whether this is one of them. How long that takes tells nothing of them.
    #[must_use]
    pub fn identify(&self, key: &str) -> Option<Shown> {
        let shown = Shown(digest(key));
        self.has(&shown).then_some(shown)
    }

    /// Whether one that was shown before is one of them.
    #[must_use]
    pub fn has(&self, shown: &Shown) -> bool {
        self.digests.iter().fold(false, |found, digest| found | same(digest, &shown.0))
    }
}

/// How many there are.
impl fmt::Debug for SharedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.digests.len())
    }
}

/// Nothing of the key.
impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
}
