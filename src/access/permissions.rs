//! What a key may do: the algebra of rights, and nothing else.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

use crate::controller::{self, Scope};
use crate::process::JobName;
use crate::{Error, ErrorKind, Result, suggest};

/// Entries that one list of rights may have.
pub const MAX_PATTERNS: usize = 1000;

/// What one must be allowed to do. Read, write and manage are about jobs, each of them including those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// To look, environments excepted.
    Read,
    /// To write to processes.
    Write,
    /// To change, and to see environments.
    Manage,
    /// To make keys, of rights the maker has.
    CreateKey,
    /// To make users, whose keys have rights the maker has.
    CreateUser,
    /// Everything.
    Admin,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Manage => "manage",
            Self::CreateKey => "create_key",
            Self::CreateUser => "create_user",
            Self::Admin => "admin",
        })
    }
}

impl From<controller::Access> for Right {
    fn from(access: controller::Access) -> Self {
        match access {
            controller::Access::Read => Self::Read,
            controller::Access::Write => Self::Write,
            controller::Access::Manage => Self::Manage,
        }
    }
}

/// What a right is about: `*`, `session`, or `session.job`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// All of the node.
    All,
    /// A session and all its jobs, those to come too.
    Session(String),
    /// One job and its processes.
    Job(JobName),
}

impl Pattern {
    /// Whether what is about this, is about `on` too. A job is not its session.
    #[must_use]
    pub fn covers(&self, on: &Scope) -> bool {
        match (self, on) {
            (Self::All, _) => true,
            (_, Scope::Node) => false,
            (Self::Session(ours), Scope::Session(session)) => ours == session,
            (Self::Session(ours), Scope::Job(job)) => ours == job.session(),
            (Self::Job(_), Scope::Session(_)) => false,
            (Self::Job(ours), Scope::Job(job)) => ours == job,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::All => Scope::Node,
            Self::Session(session) => Scope::Session(session.clone()),
            Self::Job(job) => Scope::Job(job.clone()),
        }
    }
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |e: Error| e.context(format_args!("{text:?} (expected `*`, `session` or `session.job`)"));
        Ok(match text.split_once('.') {
            _ if text == "*" => Self::All,
            Some((session, label)) => Self::Job(JobName::new(session, label).map_err(wrong)?),
            None => Self::Session(JobName::new(text, "x").map_err(wrong)?.session().to_owned()),
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Session(session) => f.write_str(session),
            Self::Job(job) => f.write_str(job.as_str()),
        }
    }
}

/// The rights of a key. Default: none.
///
/// ```
/// use gaffer::access::{Permissions, Right};
/// use gaffer::controller::Scope;
///
/// let rights = Permissions::from_json(&serde_json::json!({"manage": ["shop"], "read": ["*"]}))?;
/// assert!(rights.allows(Right::Write, &Scope::Session("shop".into())));
/// assert!(rights.allows(Right::Read, &Scope::Node) && !rights.allows(Right::Write, &Scope::Node));
/// assert!(rights.contains(&Permissions::from_json(&serde_json::json!({"write": ["shop.web"]}))?));
/// assert!(!rights.contains(&Permissions::admin()));
/// # Ok::<(), gaffer::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Permissions {
    /// Everything is allowed.
    pub admin: bool,
    /// Keys may be made, seen and removed, of rights that are among ours.
    pub create_key: bool,
    /// Users likewise.
    pub create_user: bool,
    /// What may be changed.
    pub manage: Vec<Pattern>,
    /// What may be written to.
    pub write: Vec<Pattern>,
    /// What may be looked at.
    pub read: Vec<Pattern>,
}

const MEMBERS: [&str; 6] = ["admin", "create_key", "create_user", "manage", "write", "read"];

impl Permissions {
    /// Everything.
    #[must_use]
    pub fn admin() -> Self {
        Self { admin: true, ..Self::default() }
    }

    /// Whether `right` is had on `on`; on what, does not matter for those that are about the node.
    #[must_use]
    pub fn allows(&self, right: Right, on: &Scope) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.covers(on));
        self.admin
            || match right {
                Right::Admin => false,
                Right::CreateKey => self.create_key,
                Right::CreateUser => self.create_user,
                Right::Manage => any(&self.manage),
                Right::Write => any(&self.manage) || any(&self.write),
                Right::Read => any(&self.manage) || any(&self.write) || any(&self.read),
            }
    }

    /// Whether everything `other` allows is allowed here too, so that nothing is won by giving it away.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        let all = |right, patterns: &[Pattern]| patterns.iter().all(|pattern| self.allows(right, &pattern.scope()));
        self.admin
            || !other.admin
                && (self.create_key || !other.create_key)
                && (self.create_user || !other.create_user)
                && all(Right::Manage, &other.manage)
                && all(Right::Write, &other.write)
                && all(Right::Read, &other.read)
    }

    /// As [`to_json`](Self::to_json) writes them; every member may be left out.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid), with the member, for what is none of these or of another type.
    pub fn from_json(value: &Value) -> Result<Self> {
        let Value::Object(members) = value else { return invalid("permissions: expected an object".to_owned()) };
        if let Some(name) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
            return invalid(format!("permissions: there is no `{name}`{}", suggest::hint(name, MEMBERS)));
        }
        Ok(Self {
            admin: truth(members, "admin")?,
            create_key: truth(members, "create_key")?,
            create_user: truth(members, "create_user")?,
            manage: patterns(members, "manage")?,
            write: patterns(members, "write")?,
            read: patterns(members, "read")?,
        })
    }

    /// `{"admin": true, "create_key": true, "create_user": true, "manage": [..], "write": [..], "read": [..]}`, without what is
    /// not allowed.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        for (name, yes) in [("admin", self.admin), ("create_key", self.create_key), ("create_user", self.create_user)] {
            if yes {
                members.insert(name.to_owned(), true.into());
            }
        }
        for (name, list) in [("manage", &self.manage), ("write", &self.write), ("read", &self.read)] {
            if !list.is_empty() {
                let list: Vec<String> = list.iter().map(Pattern::to_string).collect();
                members.insert(name.to_owned(), json!(list));
            }
        }
        members.into()
    }
}

fn invalid<T>(what: String) -> Result<T> {
    Err(Error::new(ErrorKind::Invalid, what))
}

fn truth(members: &Map<String, Value>, name: &str) -> Result<bool> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(yes)) => Ok(*yes),
        Some(other) => invalid(format!("permissions: {name}: expected true or false, found {other}")),
    }
}

fn patterns(members: &Map<String, Value>, name: &str) -> Result<Vec<Pattern>> {
    let list = match members.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(other) => return invalid(format!("permissions: {name}: expected a list of texts, found {other}")),
    };
    if list.len() > MAX_PATTERNS {
        return invalid(format!("permissions: {name}: {} entries, but {MAX_PATTERNS} is the most", list.len()));
    }
    let parse = |value: &Value| match value.as_str() {
        Some(text) => text.parse().map_err(|e: Error| e.context(format_args!("permissions: {name}"))),
        None => invalid(format!("permissions: {name}: expected a text, found {value}")),
    };
    list.iter().map(parse).collect()
}
