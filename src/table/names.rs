//! The names of the loaded jobs.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::process::{JobId, JobName};

/// The loaded jobs by name. Those who ask have the session and the label in two places, so a job is found by these two, without a name
/// that is made for it.
#[derive(Default)]
pub(super) struct Names(HashMap<Key, JobId>);

struct Key(Arc<JobName>);

impl Names {
    pub(super) fn get(&self, session: &str, label: &str) -> Option<JobId> {
        self.0.get(&(session, label) as &dyn Parts).copied()
    }

    pub(super) fn insert(&mut self, name: Arc<JobName>, job: JobId) {
        self.0.insert(Key(name), job);
    }

    pub(super) fn remove(&mut self, name: &JobName) {
        self.0.remove(&(name.session(), name.label()) as &dyn Parts);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// What a name is looked up by: both kinds of key hash and compare as their parts do.
trait Parts {
    /// The session and the label.
    fn parts(&self) -> (&str, &str);
}

impl Parts for Key {
    fn parts(&self) -> (&str, &str) {
        (self.0.session(), self.0.label())
    }
}

impl Parts for (&str, &str) {
    fn parts(&self) -> (&str, &str) {
        *self
    }
}

impl Hash for dyn Parts + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Names that are the same but for where they are parted hash alike, which is rare and harmless.
        let (session, label) = self.parts();
        state.write(session.as_bytes());
        state.write(label.as_bytes());
    }
}

impl PartialEq for dyn Parts + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn Parts + '_ {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self as &dyn Parts).hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Key {}

impl<'a> Borrow<dyn Parts + 'a> for Key {
    fn borrow(&self) -> &(dyn Parts + 'a) {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_found_by_the_parts_of_its_name() {
        let mut names = Names::default();
        let all = ["default.web", "shop.web", "default.w", "shop.eb"];
        for (n, name) in (1..).zip(all) {
            names.insert(Arc::new(name.parse().expect("a name")), JobId(n));
        }
        assert_eq!(names.len(), 4);
        for (n, name) in (1..).zip(all) {
            let (session, label) = name.split_once('.').expect("two parts");
            assert_eq!(names.get(session, label), Some(JobId(n)), "{name}");
        }
        // Who asks may ask for anything.
        for (session, label) in
            [("", ""), ("web", "default"), ("default.web", ""), ("", "default.web"), ("shopw", "eb")]
        {
            assert_eq!(names.get(session, label), None, "{session:?} {label:?}");
        }
        names.remove(&"shop.web".parse().expect("a name"));
        assert_eq!((names.get("shop", "web"), names.get("default", "web")), (None, Some(JobId(1))));
    }
}
