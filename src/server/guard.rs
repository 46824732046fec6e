//! Who asks, and whether that may be: the one place where requests, sockets and commands are refused.

use std::fmt;
use std::sync::Arc;

use super::call::{Peer, Refusal, Request};
use super::redact::redact;
use super::route::{Params, is_number};
use crate::access::{Access, Decision, Right, Who};
use crate::config::job_from_json;
use crate::controller::{self, CommandError, Gate, Scope, values};
use crate::manager::Cx;
use crate::process::{JobName, Pid};
use crate::proto::h1::RequestHead;

/// What a route needs of whoever asks, where keys are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Needs {
    /// Nothing: everybody may.
    Nothing,
    /// A key, of whatever rights: the handler asks for more.
    Key,
    /// This right on all of the node.
    Node(Right),
    /// This right on the session `:session` or `:group`.
    Session(Right),
    /// This right on the job `:name` of `:session`, or on the one that `:name` says.
    Job(Right),
    /// This right on the job of the process `:pid`. Who may not see all of the node does not learn which numbers are used.
    Process(Right),
    /// This right on `:name`, a job as 0.4 names it or the number of a process.
    Named(Right),
    /// This right on the session of the definition in the content.
    Definition(Right),
    /// Nothing yet: the handler asks, with [`Call::check`](super::Call::check), or the socket it makes, by its first message.
    Handler,
}

/// A call that was refused, or that has changed or may change something.
#[derive(Debug)]
#[non_exhaustive]
pub struct Audit<'a> {
    /// Who asked.
    pub who: &'a Who,
    /// What: a method and a path, or a command.
    pub what: &'a str,
    /// From where.
    pub peer: &'a Peer,
    /// Why it was refused; `None` if it was not.
    pub refused: Option<&'a str>,
}

/// `refused key 5f…: POST /jobs/shop from 127.0.0.1: the right manage on session shop is needed`.
impl fmt::Display for Audit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.refused.is_some() { "refused " } else { "allowed " })?;
        write!(f, "{}: {} from {}", self.who, self.what.escape_debug(), place(self.peer))?;
        self.refused.map_or(Ok(()), |why| write!(f, ": {}", why.escape_debug()))
    }
}

/// Where somebody is, for a log and for counting: the port says nothing.
pub(super) fn place(peer: &Peer) -> String {
    match peer {
        Peer::Tcp(address) => address.ip().to_canonical().to_string(),
        Peer::Unix { uid: Some(uid), .. } => format!("uid {uid}"),
        Peer::Unix { .. } => "a unix socket".to_owned(),
    }
}

type Observer = Arc<dyn Fn(&Audit<'_>) + Send + Sync>;

/// Asks everybody for a key; see [`HttpServer::guard`](super::HttpServer::guard).
#[derive(Clone)]
pub struct Guard {
    pub(super) access: Access,
    trusted: Vec<u32>,
    observer: Option<Observer>,
}

impl Guard {
    /// With these keys and users.
    #[must_use]
    pub const fn new(access: Access) -> Self {
        Self { access, trusted: Vec::new(), observer: None }
    }

    /// Users of this machine who are administrators without a key when they come by a unix socket. Default: none.
    #[must_use]
    pub fn trust(mut self, uids: impl IntoIterator<Item = u32>) -> Self {
        self.trusted.extend(uids);
        self
    }

    /// Calls `f` with everything that is refused, changes or may change something. It runs in the loop and must not block.
    #[must_use]
    pub fn on_audit(mut self, f: impl Fn(&Audit<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(f));
        self
    }

    /// The keys and users.
    #[must_use]
    pub const fn access(&self) -> &Access {
        &self.access
    }

    /// Who has sent a request: by `X-Api-Key`, `Authorization: Bearer`, or as a trusted user of this machine.
    ///
    /// # Errors
    ///
    /// 403 for a key that is not known.
    pub(super) fn who(&self, head: &RequestHead, peer: &Peer) -> Result<Who, Refusal> {
        match key_of(head) {
            Some(key) => self.access.identify(key).map_err(Refusal::from),
            None => match peer {
                Peer::Unix { uid: Some(uid), .. } if self.trusted.contains(uid) => Ok(Who::Trusted),
                _ => Ok(Who::Nobody),
            },
        }
    }

    /// Whether `who` has `right` on `on`.
    ///
    /// # Errors
    ///
    /// 401 `unauthorized` without a key, 403 `forbidden` with one that has not the right.
    pub fn check(&self, who: &Who, right: Right, on: &Scope) -> Result<(), Refusal> {
        match self.access.check(who, right, on) {
            Decision::Allowed => Ok(()),
            Decision::NoKey => Err(no_key()),
            Decision::Forbidden => {
                let on = match on {
                    Scope::Node => String::new(),
                    Scope::Session(session) => format!(" on session {session}"),
                    Scope::Job(job) => format!(" on {job}"),
                };
                Err(Refusal::new(403, "forbidden", format!("the right {right}{on} is needed")))
            }
        }
    }

    /// Whether somebody's key is good still.
    ///
    /// # Errors
    ///
    /// 403 `forbidden`.
    pub(super) fn check_known(&self, who: &Who) -> Result<(), Refusal> {
        match who {
            Who::Key(id) if !self.access.is_somebody(who) => {
                Err(Refusal::new(403, "forbidden", format!("key {id} is not good any more")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn audit(&self, who: &Who, what: &str, peer: &Peer, refused: Option<&str>) {
        if let Some(observer) = &self.observer {
            // Where an id is expected, people write keys.
            let (what, refused) = (redact(what), refused.map(redact));
            observer(&Audit { who, what: &what, peer, refused: refused.as_deref() });
        }
    }

    /// A gate for one client of the channel.
    pub(super) fn gate(&self, who: Who, peer: Peer) -> Box<dyn Gate> {
        Box::new(ChannelGate { guard: self.clone(), who, peer })
    }
}

/// The key that a request shows: in `X-Api-Key`, else as `Authorization: Bearer`.
#[must_use]
pub fn key_of(head: &RequestHead) -> Option<&str> {
    let text = |name| head.headers().get(name).map(|value| std::str::from_utf8(value).unwrap_or(""));
    let bearer = || text("authorization").and_then(|value| scheme(value, "bearer"));
    text("x-api-key").map(str::trim).or_else(bearer)
}

pub(crate) fn no_key() -> Refusal {
    let reason = "a key is needed: in X-Api-Key, or as Authorization: Bearer";
    Refusal::new(401, "unauthorized", reason).header("WWW-Authenticate", "Bearer")
}

/// What follows the name of a scheme (RFC 9110 section 11.4), which is written in any case.
pub(super) fn scheme<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let (scheme, rest) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case(name).then(|| rest.trim())
}

/// Whom a process belongs to; all of the node if it is not there.
pub(super) fn owner(cx: &Cx<'_>, digits: &str) -> Scope {
    let process = digits.parse().ok().and_then(|pid| cx.process(Pid(pid)).ok());
    process.map_or(Scope::Node, |process| Scope::Job(JobName::clone(&process.name)))
}

impl Needs {
    /// The right, and on what; `None` if there is none to be asked for here. What names nothing that could be is about all of the node.
    pub(super) fn resolve(self, cx: &Cx<'_>, params: &Params<'_>, body: &[u8]) -> Option<(Right, Scope)> {
        let param = |name: &str| params.get(name).unwrap_or("");
        let job = |name: Result<JobName, _>| name.map_or(Scope::Node, Scope::Job);
        Some(match self {
            Self::Nothing | Self::Key | Self::Handler => return None,
            Self::Node(right) => (right, Scope::Node),
            Self::Session(right) => {
                let session = params.get("session").or_else(|| params.get("group")).unwrap_or("");
                (right, Scope::Session(session.to_owned()))
            }
            Self::Job(right) if params.get("session").is_some() => {
                (right, job(JobName::new(param("session"), param("name"))))
            }
            Self::Process(right) => (right, owner(cx, param("pid"))),
            Self::Named(right) if is_number(param("name")) => (right, owner(cx, param("name"))),
            Self::Job(right) | Self::Named(right) => (right, job(values::job_name(param("name"), None))),
            Self::Definition(right) => {
                let config = serde_json::from_slice(body).ok().and_then(|value| job_from_json(&value, None).ok());
                let session = config.map(|(config, _)| Scope::Session(config.name.session().to_owned()));
                (right, session.unwrap_or(Scope::Node))
            }
        })
    }

    /// Whether it can be told without the content.
    pub(super) const fn is_early(self) -> bool {
        !matches!(self, Self::Definition(_))
    }
}

/// Whoever is on a channel: nobody at first, unless the request had a key.
struct ChannelGate {
    guard: Guard,
    who: Who,
    peer: Peer,
}

fn of_refusal(refusal: Refusal) -> CommandError {
    CommandError::new(refusal.status, refusal.error, refusal.reason)
}

impl Gate for ChannelGate {
    fn authenticate(&mut self, key: &str) -> Result<(), CommandError> {
        // Whoever fails is nobody, whoever it was before.
        self.who = Who::Nobody;
        match self.guard.access.identify(key.trim()) {
            Ok(who) => {
                self.who = who;
                Ok(())
            }
            Err(e) => {
                self.guard.audit(&self.who, "AUTH", &self.peer, Some(&e.to_string()));
                Err(e.into())
            }
        }
    }

    fn check(&mut self, what: &str, access: controller::Access, on: &Scope) -> Result<(), CommandError> {
        let outcome = self.guard.check(&self.who, access.into(), on).map_err(of_refusal);
        let refused = outcome.as_ref().err().map(|e| e.message.as_str());
        if refused.is_some() || access > controller::Access::Read {
            self.guard.audit(&self.who, &format!("{what} on {}", named(on)), &self.peer, refused);
        }
        outcome
    }

    fn may_see_environment(&self, on: &Scope) -> bool {
        self.guard.access.check(&self.who, Right::Manage, on) == Decision::Allowed
    }

    fn is_alive(&self) -> bool {
        self.guard.access.is_somebody(&self.who)
    }

    fn recheck(&mut self) -> Result<(), CommandError> {
        let outcome = self.guard.check_known(&self.who);
        if let Err(refusal) = &outcome {
            self.guard.audit(&self.who, "the channel, under way", &self.peer, Some(&refusal.reason));
        }
        outcome.map_err(of_refusal)
    }
}

fn named(on: &Scope) -> &str {
    match on {
        Scope::Node => "the node",
        Scope::Session(session) => session,
        Scope::Job(job) => job.as_str(),
    }
}

/// What a request's socket is given to ask with.
pub(super) fn gate_of(guard: Option<&Guard>, request: &Request) -> Result<Option<Box<dyn Gate>>, Refusal> {
    let Some(guard) = guard else { return Ok(None) };
    let who = guard.who(&request.head, &request.peer)?;
    Ok(Some(guard.gate(who, request.peer.clone())))
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("access", &self.access).field("trusted", &self.trusted).finish_non_exhaustive()
    }
}
