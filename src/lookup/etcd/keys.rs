//! The layout of keys. See the [module](super).

use std::fmt::Write;

use crate::lookup::registry::{Fact, Gone, NodeId};
use crate::process::{JobName, Pid};
use crate::proto::lookup::NodeInfo;
use serde_json::{Value, json};

/// The version of the layout; another one would live beside it.
const VERSION: &str = "1";

/// Where the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// `PREFIX/1/nodes/`
    root: String,
}

/// A registration as its keys name it: `NODE/LEASE.N`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    path: String,
    /// With which it ends.
    pub(super) lease: i64,
    /// The number of the connection at the server that has this lease.
    pub(super) id: NodeId,
}

impl Layout {
    pub(super) fn new(prefix: &str) -> Self {
        Self { root: format!("{prefix}/{VERSION}/nodes/") }
    }

    /// The range of all keys: from the first one, up to the second and without it.
    pub(super) fn all(&self) -> (String, String) {
        (self.root.clone(), after(&self.root))
    }

    /// The key of a registration.
    pub(super) fn place(&self, info: &NodeInfo, lease: i64, id: NodeId) -> String {
        let mut key = self.root.clone();
        for byte in info.name.bytes().chain([b'@']).chain(info.origin.bytes()) {
            if byte.is_ascii_alphanumeric() || b"._~:@+-[]".contains(&byte) {
                key.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(key, "%{byte:02X}");
            }
        }
        let _ = write!(key, "/{lease:016x}.{}", id.number());
        key
    }

    /// What a key is about: of which registration, and what it says while it is there. `None` for one that is not of this layout.
    pub(super) fn read(&self, key: &str) -> Option<(Place, Gone)> {
        let mut parts = key.strip_prefix(&self.root)?.split('/');
        let (node, number) = (parts.next()?, parts.next()?);
        let (lease, id) = number.split_once('.')?;
        let place = Place {
            path: format!("{node}/{number}"),
            lease: i64::from_str_radix(lease, 16).ok()?,
            id: NodeId::of(id.parse().ok()?),
        };
        if node.is_empty() || number != format!("{:016x}.{}", place.lease, place.id.number()) {
            return None;
        }
        let what = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (None, ..) => Gone::Node,
            (Some("jobs"), Some(job), None, _) => Gone::Job(name(job)?),
            (Some("jobs"), Some(job), Some(pid), None) => {
                let number = pid.parse::<u64>().ok().filter(|number| number.to_string() == pid)?;
                Gone::Process(name(job)?, Pid(number))
            }
            _ => return None,
        };
        Some((place, what))
    }

    /// What a key with its value says.
    pub(super) fn fact(&self, key: &str, value: &[u8]) -> Option<(Place, Fact)> {
        let (place, what) = self.read(key)?;
        let fact = match what {
            Gone::Node => {
                let value: Value = serde_json::from_slice(value).ok()?;
                let text = |key: &str| value[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
                Fact::Node(NodeInfo { name: text("name")?, origin: text("origin")?, version: text("version")? })
            }
            Gone::Job(job) => Fact::Job(job),
            Gone::Process(job, pid) => Fact::Process(job, pid),
        };
        Some((place, fact))
    }
}

/// Exactly as it is written: a name without its session is another key.
fn name(text: &str) -> Option<JobName> {
    text.parse().ok().filter(|name: &JobName| name.as_str() == text)
}

/// The key of a job of a registration.
pub(super) fn job(place: &str, job: &JobName) -> String {
    format!("{place}/jobs/{}", job.as_str())
}

/// The key of a process of a registration.
pub(super) fn process(place: &str, job: &JobName, pid: Pid) -> String {
    format!("{place}/jobs/{}/{pid}", job.as_str())
}

/// The first key that does not begin with this one, which ends with a slash.
pub(super) fn after(folder: &str) -> String {
    let mut end = folder.to_owned();
    end.pop();
    end.push('0');
    end
}

/// The value of a key that says this.
pub(super) fn value(fact: &Fact) -> String {
    let value = match fact {
        Fact::Node(info) => info.to_json(),
        Fact::Job(job) => json!({"job": job.as_str()}),
        Fact::Process(job, pid) => json!({"job": job.as_str(), "pid": pid.0}),
    };
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> NodeInfo {
        NodeInfo { name: "höst/1".into(), origin: "http://[::1]:5000".into(), version: "0.1".into() }
    }

    #[test]
    fn keys_say_what_was_told() {
        let layout = Layout::new("/x");
        let web: JobName = "shop.web".parse().expect("a name");
        for (lease, id) in [(0x1f, 1), (i64::MAX, u64::MAX)] {
            let place = layout.place(&info(), lease, NodeId::of(id));
            let at = layout.read(&place).expect("its own").0;
            assert_eq!((at.lease, at.id), (lease, NodeId::of(id)));
            for fact in [Fact::Node(info()), Fact::Job(web.clone()), Fact::Process(web.clone(), Pid(7))] {
                let key = match &fact {
                    Fact::Node(_) => place.clone(),
                    Fact::Job(name) => job(&place, name),
                    Fact::Process(name, pid) => process(&place, name, *pid),
                };
                let (start, end) = layout.all();
                assert!(start < key && key < end);
                assert_eq!(layout.fact(&key, value(&fact).as_bytes()), Some((at.clone(), fact)), "{key}");
            }
        }
        let place = layout.place(&info(), 31, NodeId::of(2));
        assert_eq!(place, "/x/1/nodes/h%C3%B6st%2F1@http:%2F%2F[::1]:5000/000000000000001f.2");
        assert_eq!(process(&place, &web, Pid(7)), format!("{place}/jobs/shop.web/7"));
    }

    #[test]
    fn what_is_of_somebody_else_is_left_alone() {
        let layout = Layout::new("/x");
        let good = "/x/1/nodes/a/000000000000001f.2";
        assert!(layout.read(good).is_some());
        for key in [
            "",
            "/x/1/nodes/",
            "/x/1/nodes/a",
            "/x/2/nodes/a/000000000000001f.2",
            "/x/1/nodes//000000000000001f.2",
            "/x/1/nodes/a/1f.2",
            "/x/1/nodes/a/000000000000001F.2",
            "/x/1/nodes/a/000000000000001f.02",
            "/x/1/nodes/a/000000000000001f",
            "/x/1/nodes/a/000000000000001f.2/",
            "/x/1/nodes/a/000000000000001f.2/jobs",
            "/x/1/nodes/a/000000000000001f.2/jobs/web",
            "/x/1/nodes/a/000000000000001f.2/jobs/a.web/07",
            "/x/1/nodes/a/000000000000001f.2/jobs/a.web/x",
            "/x/1/nodes/a/000000000000001f.2/jobs/a.web/7/8",
        ] {
            assert_eq!(layout.read(key), None, "{key}");
        }
        for value in ["", "{}", r#"{"name":"","origin":"o","version":"v"}"#, r#"{"name":1,"origin":"o","version":"v"}"#]
        {
            assert_eq!(layout.fact(good, value.as_bytes()), None, "{value}");
        }
    }
}
